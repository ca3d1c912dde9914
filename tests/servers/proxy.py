"""A forward proxy, for plain requests and for tunnels by CONNECT: ``python -m servers.proxy``.

It counts the connections of its clients.  Upstream it makes one connection for each request or tunnel, which
ends with it.
"""

from __future__ import annotations

import selectors
import socket
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

from .counting import CountingServer, Handler

UPSTREAM_TIMEOUT = 30.0
HOP_BY_HOP = {"connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade"}


class ProxyHandler(Handler):
    """Passes requests on."""

    def respond(self) -> None:
        if self.command == "CONNECT":
            self.make_tunnel()
        else:
            self.forward()

    def forward(self) -> None:
        """Forward a request, and the answer as it comes."""
        target = urlsplit(self.path)
        body = self.read_body()
        if target.scheme != "http" or target.hostname is None:
            self.answer(b"not a URL that can be forwarded", 400)
            return
        headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
        path = target._replace(scheme="", netloc="", fragment="", path=target.path or "/").geturl()
        with closing(HTTPConnection(target.hostname, target.port, timeout=UPSTREAM_TIMEOUT)) as upstream:
            try:
                upstream.request(self.command, path, body or None, headers)
                answer = upstream.getresponse()
            except (OSError, HTTPException) as error:
                self.answer(repr(error).encode(), 502)
                return
            self.send_response_only(answer.status, answer.reason)
            for name, value in answer.getheaders():
                if name.lower() not in HOP_BY_HOP:
                    self.send_header(name, value)
            unknown_length = answer.length is None
            if unknown_length:
                self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            write = self.write_chunk if unknown_length else self.write
            while data := answer.read1(65536):
                write(data)
            if unknown_length:
                write(b"")
            elif answer.length:  # it broke off, so this does
                self.close_connection = True

    def make_tunnel(self) -> None:
        """Make a tunnel; it lasts until both ends are closed."""
        self.close_connection = True
        host, _, port = self.path.rpartition(":")
        try:
            upstream = socket.create_connection((host, int(port)), timeout=UPSTREAM_TIMEOUT)
        except (OSError, ValueError) as error:
            self.answer(repr(error).encode(), 502)
            return
        with upstream:
            upstream.settimeout(None)
            self.send_response_only(200, "Connection established")
            self.end_headers()
            tunnel(self.connection, upstream)


def tunnel(client: socket.socket, upstream: socket.socket) -> None:
    """Pass on what either says until both have said all; the end of one is passed on as well."""
    with selectors.DefaultSelector() as selector:
        selector.register(client, selectors.EVENT_READ, (client, upstream))
        selector.register(upstream, selectors.EVENT_READ, (upstream, client))
        while selector.get_map():
            for key, _ in selector.select():
                speaker, listener = key.data
                if data := speaker.recv(65536):
                    listener.sendall(data)
                else:
                    selector.unregister(speaker)
                    listener.shutdown(socket.SHUT_WR)


if __name__ == "__main__":
    CountingServer(ProxyHandler).run(scheme="http")
