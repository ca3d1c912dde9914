"""httplib2."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import httplib2

from servers import Server

from .interface import Library


class Http(Library):
    instrumentation = "httplib2"
    object = "httplib2.Http"
    reopens = True
    refused = (OSError, httplib2.HttpLib2Error)
    limits = (5, 0.5)
    no_limits = (None,)

    def open(self, server: Server) -> Any:
        return httplib2.Http(timeout=5)

    def close(self, client: Any) -> Any:
        return client.close()

    def block(self, server: Server) -> Any:
        return closing(httplib2.Http(timeout=5))

    def send(self, client: Any, url: str) -> Any:
        return client.request(url)[1]

    def send_within(self, client: Any, url: str, limit: Any) -> Any:
        client.timeout = limit
        return client.request(url)[1]
