"""websockets, with threads and with asyncio."""

from __future__ import annotations

from typing import Any

import websockets.asyncio.client
import websockets.sync.client

from servers import Server

from .interface import Library


class Threaded(Library):
    instrumentation = "websockets"
    kind = "socket"
    object = "socket.socket"
    server = "ws_server"
    connects = True
    lives_on = True

    def open(self, server: Server) -> Any:
        # Newer versions want a block, and this is how one forgets to leave it.
        return websockets.sync.client.connect(f"{server.url}/echo").__enter__()

    def close(self, client: Any) -> Any:
        return client.close()

    def block(self, server: Server) -> Any:
        return websockets.sync.client.connect(f"{server.url}/echo")

    def send(self, client: Any, url: str) -> Any:
        client.send("a")
        return client.recv()


class Asynchronous(Threaded):
    backends = ("asyncio",)
    lives_on = False

    async def open(self, server: Server) -> Any:
        return await websockets.asyncio.client.connect(f"{server.url}/echo")

    def block(self, server: Server) -> Any:
        return websockets.asyncio.client.connect(f"{server.url}/echo")

    async def send(self, client: Any, url: str) -> Any:
        await client.send("a")
        return await client.recv()
