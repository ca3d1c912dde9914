"""httpx, with and without an event loop, and over HTTP/2."""

from __future__ import annotations

import ssl
from typing import Any, ClassVar

import httpx

from servers import Server

from .interface import Library


class Client(Library):
    api: ClassVar[Any] = httpx
    """The package; that of httpx2 has the same names."""
    # Its servers speak plain HTTP (those of HTTP/2 have a certificate of their own), and to load all that could be
    # trusted takes longer than a check.
    instrumentation = "httpx"
    meter = "httpcore"
    object = "httpx.Client"
    response = "httpx.Response"
    refused = (httpx.ConnectError,)
    limits = (5, httpx.Timeout(5), httpx.Timeout(5, pool=None), (3, 5, 5, 5), httpx.USE_CLIENT_DEFAULT)
    no_limits = (None, httpx.Timeout(5, read=None), httpx.Timeout(5, connect=None), httpx.Timeout(None))

    def open(self, server: Server) -> Any:
        return self.api.Client(follow_redirects=True, verify=False)

    def close(self, client: Any) -> Any:
        return client.close()

    def block(self, server: Server) -> Any:
        return self.api.Client(follow_redirects=True, verify=False)

    def send(self, client: Any, url: str) -> Any:
        return client.get(url).content

    def send_within(self, client: Any, url: str, limit: Any) -> Any:
        return client.get(url, timeout=limit).content

    def stream(self, client: Any, url: str) -> Any:
        return client.send(self.api.Request("GET", url, extensions=LIMITED), stream=True)

    def read(self, response: Any) -> Any:
        return response.read()

    def close_response(self, response: Any) -> Any:
        return response.close()


class AsyncClient(Client):
    object = "httpx.AsyncClient"
    backends = ("asyncio", "trio")

    def open(self, server: Server) -> Any:
        return self.api.AsyncClient(follow_redirects=True, verify=False)

    def close(self, client: Any) -> Any:
        return client.aclose()

    def block(self, server: Server) -> Any:
        return self.api.AsyncClient(follow_redirects=True, verify=False)

    async def send(self, client: Any, url: str) -> Any:
        return (await client.get(url)).content

    async def send_within(self, client: Any, url: str, limit: Any) -> Any:
        return (await client.get(url, timeout=limit)).content

    def sending(self, client: Any, url: str) -> Any:
        return client.get(url, timeout=None)

    async def stream(self, client: Any, url: str) -> Any:
        return await client.send(self.api.Request("GET", url, extensions=LIMITED), stream=True)

    def read(self, response: Any) -> Any:
        return response.aread()

    def close_response(self, response: Any) -> Any:
        return response.aclose()


class HTTP2(Client):
    """Several streams on one connection; where they are left unread is another matter."""

    server = "h2_server"

    def open(self, server: Server) -> Any:
        return self.api.Client(http2=True, verify=ssl.create_default_context(cafile=server.ca))

    def block(self, server: Server) -> Any:
        return self.api.Client(http2=True, verify=ssl.create_default_context(cafile=server.ca))


class AsyncHTTP2(AsyncClient):
    server = "h2_server"

    def open(self, server: Server) -> Any:
        return self.api.AsyncClient(http2=True, verify=ssl.create_default_context(cafile=server.ca))

    def block(self, server: Server) -> Any:
        return self.api.AsyncClient(http2=True, verify=ssl.create_default_context(cafile=server.ca))


LIMITED = {"timeout": {"connect": 5, "read": 5}}
