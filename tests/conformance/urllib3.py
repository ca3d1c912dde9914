"""urllib3: managers, and pools of one host that the program makes itself."""

from __future__ import annotations

from typing import Any

import urllib3

from servers import Server

from .interface import Library


class PoolManager(Library):
    instrumentation = "urllib3"
    meter = "" if hasattr(urllib3, "AsyncPoolManager") else "urllib3"  # urllib3-future's connections are not counted
    kind = "pool"
    object = "urllib3.PoolManager"
    response = "urllib3.HTTPResponse"
    reopens = True
    refused = (urllib3.exceptions.HTTPError,)
    limits = (5, urllib3.Timeout(5), urllib3.Timeout(total=5), urllib3.Timeout(connect=3, read=5))
    no_limits = (None, urllib3.Timeout(None), urllib3.Timeout(connect=3, read=None))

    def open(self, server: Server) -> Any:
        return urllib3.PoolManager(retries=False)

    def close(self, client: Any) -> Any:
        return client.clear()

    def block(self, server: Server) -> Any:
        return urllib3.PoolManager(retries=urllib3.Retry(3))

    def send(self, client: Any, url: str) -> Any:
        return client.request("GET", url, timeout=5).data

    def send_within(self, client: Any, url: str, limit: Any) -> Any:
        return client.request("GET", url, timeout=limit).data

    def stream(self, client: Any, url: str) -> Any:
        return client.request("GET", url, timeout=5, preload_content=False)

    def read(self, response: Any) -> Any:
        return response.read()

    def close_response(self, response: Any) -> Any:
        return response.close()


class Pool(PoolManager):
    object = "urllib3.HTTPConnectionPool"
    reopens = False

    def open(self, server: Server) -> Any:
        return urllib3.HTTPConnectionPool("127.0.0.1", server.port, retries=False)

    def close(self, client: Any) -> Any:
        return client.close()

    def block(self, server: Server) -> Any:
        return urllib3.HTTPConnectionPool("127.0.0.1", server.port, retries=urllib3.Retry(3))

    def send(self, client: Any, url: str) -> Any:
        return client.request("GET", url, timeout=5).data
