"""The standard library's clients for FTP, SMTP and XML-RPC: their sockets count."""

from __future__ import annotations

import ftplib
import smtplib
import xmlrpc.client
from typing import Any

from servers import Server

from .interface import Library


class FTP(Library):
    instrumentation = "socket"
    kind = "socket"
    object = "socket.socket"
    server = "ftp_server"
    connects = True

    def open(self, server: Server) -> Any:
        client = ftplib.FTP(timeout=5)
        return client.connect("127.0.0.1", server.port) and client

    def close(self, client: Any) -> Any:
        return client.close()

    def send(self, client: Any, url: str) -> Any:
        return client.login()


class SMTP(Library):
    instrumentation = "socket"
    kind = "socket"
    object = "socket.socket"
    server = "smtp_server"
    connects = True

    def open(self, server: Server) -> Any:
        return smtplib.SMTP("127.0.0.1", server.port, timeout=5)

    def close(self, client: Any) -> Any:
        return client.close()

    def block(self, server: Server) -> Any:
        return smtplib.SMTP("127.0.0.1", server.port, timeout=5)

    def send(self, client: Any, url: str) -> Any:
        return client.ehlo_or_helo_if_needed()


class XMLRPC(Library):
    instrumentation = "http_client"
    kind = "socket"
    object = "socket.socket"
    server = "xmlrpc_server"
    reopens = True

    def open(self, server: Server) -> Any:
        return xmlrpc.client.ServerProxy(server.url)

    def close(self, client: Any) -> Any:
        return client("close")()

    def block(self, server: Server) -> Any:
        return xmlrpc.client.ServerProxy(server.url)

    def send(self, client: Any, url: str) -> Any:
        return client.hello()
