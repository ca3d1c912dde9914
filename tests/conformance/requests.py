"""requests."""

from __future__ import annotations

from typing import Any

import requests
import urllib3

from servers import Server

from .interface import Library


class Requests(Library):
    instrumentation = "requests"
    meter = "" if hasattr(urllib3, "AsyncPoolManager") else "urllib3"  # urllib3-future's connections are not counted
    object = "requests.Session"
    response = "requests.Response"
    reopens = True
    limits = (5, 0.5, (3, 5))
    no_limits = (None, (None, 5), (3, None))

    def open(self, server: Server) -> Any:
        return requests.Session()

    def close(self, client: Any) -> Any:
        return client.close()

    def block(self, server: Server) -> Any:
        return requests.Session()

    def send(self, client: Any, url: str) -> Any:
        return client.get(url, timeout=5).content

    def send_within(self, client: Any, url: str, limit: Any) -> Any:
        return client.get(url, timeout=limit).content

    def stream(self, client: Any, url: str) -> Any:
        return client.get(url, timeout=5, stream=True)

    def read(self, response: Any) -> Any:
        return response.content

    def close_response(self, response: Any) -> Any:
        return response.close()
