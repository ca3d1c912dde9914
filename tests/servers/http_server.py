"""An HTTP/1.1 server, with ``--tls`` an HTTPS one: ``python -m servers.http_server [--tls | --ipv6]``.

It listens on 127.0.0.1, with ``--ipv6`` on ::1.  The paths, for any method:

    /                   "hello"
    /size/N             N bytes
    /code/STATUS        an answer with that status
    /hops/N             N redirects, then "hello"
    /wait/SECONDS       "hello", later
    /parts/N            N chunks of a chunked body
    /drip/N/SECONDS     N bytes, one at a time, that take so long together
    /endless            a chunked body that does not end
    /until-eof/N        N bytes in the manner of HTTP/1.0: no length, the end of the connection ends them
    /zipped/N           N bytes, gzipped
    /echo               JSON: the request's method, path, headers, length of its body, and the client's port
    /last               "hello" and "Connection: close"
    /hang-up            no answer: the connection ends
    /reset              no answer: the connection is reset
    /cut/N              half of N bytes, then the connection ends
"""

from __future__ import annotations

import gzip
import json
import select
import socket
import ssl
import struct
import sys
from collections.abc import Callable
from urllib.parse import urlsplit

from .certificate import certificate
from .counting import CountingServer, Handler

GREETING = b"hello"


class PathHandler(Handler):
    """Does what the path of the request says."""

    def respond(self) -> None:
        self.body = self.read_body()
        name, *arguments = urlsplit(self.path).path.strip("/").split("/")
        PATHS.get(name, no_such_path)(self, *arguments)


def no_such_path(handler: PathHandler, *arguments: str) -> None:
    handler.answer(b"no such path", 404)


def hello(handler: PathHandler) -> None:
    handler.answer(GREETING)


def size(handler: PathHandler, n: str) -> None:
    handler.answer(b"x" * int(n))


def code(handler: PathHandler, status: str) -> None:
    handler.answer(status.encode(), int(status))


def hops(handler: PathHandler, n: str) -> None:
    if int(n) == 0:
        hello(handler)
    else:
        handler.answer(b"elsewhere", 302, Location=f"/hops/{int(n) - 1}")


def wait(handler: PathHandler, seconds: str) -> None:
    pause(handler, float(seconds))
    hello(handler)


def pause(handler: PathHandler, seconds: float) -> None:
    """Wait, but not for a client that has gone: that is to be counted at once."""
    if select.select([handler.connection], [], [], seconds)[0]:
        raise ConnectionAbortedError


def parts(handler: PathHandler, n: str) -> None:
    handler.head(Transfer_Encoding="chunked")
    for _ in range(int(n)):
        handler.write_chunk(GREETING)
    handler.write_chunk(b"")


def drip(handler: PathHandler, n: str, seconds: str) -> None:
    handler.head(Content_Length=n)
    for _ in range(int(n) if handler.command != "HEAD" else 0):
        pause(handler, float(seconds) / int(n))
        handler.write(b"x")


def endless(handler: PathHandler) -> None:
    handler.head(Transfer_Encoding="chunked")
    while handler.command != "HEAD":
        handler.write_chunk(b"x" * 65536)


def until_eof(handler: PathHandler, n: str) -> None:
    handler.protocol_version = "HTTP/1.0"
    handler.head()
    handler.write(b"x" * int(n))
    handler.close_connection = True


def zipped(handler: PathHandler, n: str) -> None:
    handler.answer(gzip.compress(b"x" * int(n)), Content_Encoding="gzip")


def echo(handler: PathHandler) -> None:
    request = {
        "method": handler.command,
        "path": handler.path,
        "headers": dict(handler.headers),
        "length": len(handler.body),
        "port": handler.peer.port,
    }
    handler.answer(json.dumps(request).encode(), Content_Type="application/json")


def last(handler: PathHandler) -> None:
    handler.answer(GREETING, Connection="close")


def hang_up(handler: PathHandler) -> None:
    handler.close_connection = True


def reset(handler: PathHandler) -> None:
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    handler.close_connection = True


def cut(handler: PathHandler, n: str) -> None:
    handler.head(Content_Length=n)
    handler.write(b"x" * (int(n) // 2))
    handler.close_connection = True


PATHS: dict[str, Callable[..., None]] = {
    "": hello,
    "size": size,
    "code": code,
    "hops": hops,
    "wait": wait,
    "parts": parts,
    "drip": drip,
    "endless": endless,
    "until-eof": until_eof,
    "zipped": zipped,
    "echo": echo,
    "last": last,
    "hang-up": hang_up,
    "reset": reset,
    "cut": cut,
}


def main(tls: bool, ipv6: bool) -> None:
    """Serve until stdin ends."""
    if ipv6:
        CountingServer(PathHandler, address=("::1", 0)).run(scheme="http", host="[::1]")
        return
    if not tls:
        CountingServer(PathHandler).run(scheme="http")
        return
    with certificate() as (ca, chain):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        CountingServer(PathHandler, context).run(scheme="https", ca=ca)


if __name__ == "__main__":
    main(tls="--tls" in sys.argv[1:], ipv6="--ipv6" in sys.argv[1:])
