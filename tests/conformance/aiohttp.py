"""aiohttp: sessions, and connectors that the user owns."""

from __future__ import annotations

from typing import Any

import aiohttp
from aiohttp import ClientTimeout

from servers import Server

from .interface import Library


class Session(Library):
    instrumentation = "aiohttp"
    meter = "aiohttp"
    object = "aiohttp.ClientSession"
    response = "aiohttp.ClientResponse"
    backends = ("asyncio",)
    limits = (ClientTimeout(total=5), ClientTimeout(connect=3, sock_read=5), ClientTimeout(sock_connect=3, sock_read=5))
    no_limits = (None, ClientTimeout(), ClientTimeout(total=0), ClientTimeout(connect=3), ClientTimeout(sock_read=5))

    async def open(self, server: Server) -> Any:
        return aiohttp.ClientSession()

    def close(self, client: Any) -> Any:
        return client.close()

    def block(self, server: Server) -> Any:
        return aiohttp.ClientSession()

    async def send(self, client: Any, url: str) -> Any:
        async with client.get(url) as response:
            return await response.read()

    async def send_within(self, client: Any, url: str, limit: Any) -> Any:
        async with client.get(url, timeout=limit) as response:
            return await response.read()

    def sending(self, client: Any, url: str) -> Any:
        # An answer without a body is complete as soon as it is there; one with a body, which nobody keeps here, warns
        # that it is unclosed if it dies before the rest has arrived.
        return client.head(url, timeout=ClientTimeout())

    async def stream(self, client: Any, url: str) -> Any:
        return await client.get(url)

    def read(self, response: Any) -> Any:
        return response.read()

    async def close_response(self, response: Any) -> Any:
        response.close()
