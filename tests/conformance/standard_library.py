"""What the standard library opens: there is no session, so the sockets count."""

from __future__ import annotations

import asyncio
import http.client
import socket
import urllib.request
from contextlib import closing
from typing import Any

from servers import Server

from .interface import Library

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Socket(Library):
    instrumentation = "socket"
    kind = "socket"
    object = "socket.socket"
    connects = True

    def open(self, server: Server) -> Any:
        return socket.create_connection(("127.0.0.1", server.port), timeout=5)

    def close(self, client: Any) -> Any:
        return client.close()

    def block(self, server: Server) -> Any:
        return socket.create_connection(("127.0.0.1", server.port), timeout=5)

    def send(self, client: Any, url: str) -> Any:
        client.sendall(REQUEST)
        return client.recv(100)


class HTTPConnection(Library):
    instrumentation = "http_client"
    kind = "socket"
    object = "socket.socket"
    reopens = True

    def open(self, server: Server) -> Any:
        return http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)

    def close(self, client: Any) -> Any:
        return client.close()

    def block(self, server: Server) -> Any:
        return closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=5))

    def send(self, client: Any, url: str) -> Any:
        client.request("GET", "/")
        return client.getresponse().read()


class Urlopen(Library):
    instrumentation = "http_client"
    kind = "socket"
    object = "socket.socket"
    connects = True

    def open(self, server: Server) -> Any:
        return urllib.request.urlopen(f"{server.url}/size/3000000", timeout=5)

    def close(self, client: Any) -> Any:
        return client.close()

    def block(self, server: Server) -> Any:
        return urllib.request.urlopen(f"{server.url}/size/3000000", timeout=5)

    def send(self, client: Any, url: str) -> Any:
        return client.read(10)


class Streams(Library):
    instrumentation = "asyncio"
    kind = "socket"
    object = "socket.socket"
    connects = True
    backends = ("asyncio",)

    async def open(self, server: Server) -> Any:
        return await asyncio.open_connection("127.0.0.1", server.port)

    async def close(self, client: Any) -> Any:
        _, writer = client
        writer.close()
        await writer.wait_closed()

    async def send(self, client: Any, url: str) -> Any:
        reader, writer = client
        writer.write(REQUEST)
        return await reader.read(100)
