"""httpx2, which goes on from httpx."""

from __future__ import annotations

import httpx2

from . import httpx


class Client(httpx.Client):
    api = httpx2
    object = "httpx2.Client"
    response = "httpx2.Response"
    refused = (httpx2.ConnectError,)
    limits = (5, httpx2.Timeout(5), httpx2.Timeout(5, pool=None), httpx2.USE_CLIENT_DEFAULT)
    no_limits = (None, httpx2.Timeout(5, read=None), httpx2.Timeout(5, connect=None), httpx2.Timeout(None))


class AsyncClient(httpx.AsyncClient):
    api = httpx2
    object = "httpx2.AsyncClient"
    response = "httpx2.Response"
    refused = (httpx2.ConnectError,)
    limits = Client.limits
    no_limits = Client.no_limits
