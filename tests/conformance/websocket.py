"""websocket-client."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import websocket

from servers import Server

from .interface import Library


class WebSocket(Library):
    instrumentation = "websocket"
    kind = "socket"
    object = "socket.socket"
    server = "ws_server"
    connects = True

    def open(self, server: Server) -> Any:
        return websocket.create_connection(f"{server.url}/echo", timeout=5)

    def close(self, client: Any) -> Any:
        return client.close()

    def block(self, server: Server) -> Any:
        return closing(websocket.create_connection(f"{server.url}/echo", timeout=5))

    def send(self, client: Any, url: str) -> Any:
        client.send("a")
        return client.recv()
