"""niquests, a fork of requests over urllib3-future."""

from __future__ import annotations

from typing import Any

import niquests

from servers import Server

from .interface import Library


class Session(Library):
    instrumentation = "requests"
    object = "niquests.Session"
    response = "niquests.Response"
    reopens = True
    limits = (None, 5, 0.5, (3, 5))  # None is its default of some seconds
    no_limits = ((None, 5), (3, None))

    def open(self, server: Server) -> Any:
        return niquests.Session()

    def close(self, client: Any) -> Any:
        return client.close()

    def block(self, server: Server) -> Any:
        return niquests.Session()

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


class AsyncSession(Session):
    object = "niquests.AsyncSession"
    backends = ("asyncio",)

    def open(self, server: Server) -> Any:
        return niquests.AsyncSession()

    def block(self, server: Server) -> Any:
        return niquests.AsyncSession()

    async def send(self, client: Any, url: str) -> Any:
        return (await client.get(url, timeout=5)).content

    async def send_within(self, client: Any, url: str, limit: Any) -> Any:
        return (await client.get(url, timeout=limit)).content

    async def stream(self, client: Any, url: str) -> Any:
        return await client.get(url, timeout=5, stream=True)

    async def read(self, response: Any) -> Any:
        return await response.content
