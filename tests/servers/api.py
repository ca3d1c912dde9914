"""The web services of the SDKs, as far as the cases in ``sdks`` call them: ``python -m servers.api PATH``.

Over TCP, each below its name: ``/elasticsearch``, ``/github``, ``/google``, ``/kubernetes``.  On the Unix socket PATH:
a Docker daemon.  Nothing is stored; everything asked for is there.  A stream that is not limited says something and
then waits for its client to go.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import re
import select
import socketserver
import struct
import sys
import termios
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs, urlsplit

from .counting import CountingServer, Handler, Peer

Answer = Callable[["ApiHandler", str], None]
YES = {"1", "true", "True"}


class ApiHandler(Handler):
    """Hands a request to the service that the first part of its path names."""

    def respond(self) -> None:
        self.body = self.read_body()
        parts = urlsplit(self.path)
        self.query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        service, _, path = parts.path.lstrip("/").partition("/")
        SERVICES[service](self, f"/{path}")

    def asked_for(self, name: str) -> bool:
        """Whether a flag of the query string is set."""
        return self.query.get(name) in YES

    def json(self, document: object, status: int = 200, **headers: str) -> None:
        """Answer with a document."""
        self.answer(json.dumps(document).encode(), status, Content_Type="application/json", **headers)

    def stream(self, *parts: bytes, endless: bool = False) -> None:
        """Answer in chunks; without an end, wait for the client to go after them."""
        self.head(Transfer_Encoding="chunked", Content_Type="text/plain")
        for part in parts:
            self.write_chunk(part)
        if endless:
            select.select([self.connection], [], [])
            self.close_connection = True
        else:
            self.write_chunk(b"")

    def _wait_until_read(self) -> None:
        """Of a Unix socket the system says what the other end has not read yet (unix(7): SIOCOUTQ)."""
        for _ in range(500):
            time.sleep(0.02)
            (unread,) = struct.unpack("i", fcntl.ioctl(self.connection, termios.TIOCOUTQ, bytes(4)))
            if not unread:
                break

    def upgrade(self, *parts: bytes) -> None:
        """Answer with a raw stream, which ends with the connection."""
        self.head(101, Connection="Upgrade", Upgrade="tcp")
        self._wait_until_read()  # docker-py loses what comes along with the head
        for part in parts:
            self.write(part)
        self.close_connection = True


def line(document: object) -> bytes:
    return json.dumps(document).encode() + b"\n"


# --- elasticsearch ------------------------------------------------------------------------------------------


def elasticsearch(handler: ApiHandler, path: str) -> None:
    """Three documents: the search finds them two at a time."""
    hits = [{"_index": "books", "_id": str(number), "_source": {"number": number}} for number in range(3)]
    found: Any = {"cluster_name": "stub", "version": {"number": "9.0.0", "build_flavor": "default"}, "tagline": ""}
    if path == "/_bulk":
        lines = handler.body.splitlines()
        found = {"errors": False, "items": [{"index": {"_id": "1", "status": 201}}] * (len(lines) // 2)}
    elif path == "/_search/scroll" and handler.command == "DELETE":
        found = {"succeeded": True, "num_freed": 1}
    elif path == "/_search/scroll":
        found = _page(hits[2:]) if json.loads(handler.body)["scroll_id"] == "first" else _page([])
    elif path.endswith("/_search"):
        found = _page(hits[:2], "first")
    handler.json(found, X_Elastic_Product="Elasticsearch")


def _page(hits: list[dict[str, Any]], scroll: str = "rest") -> dict[str, Any]:
    shards = {"total": 1, "successful": 1, "skipped": 0, "failed": 0}
    return {"_scroll_id": scroll, "_shards": shards, "timed_out": False, "took": 1, "hits": {"hits": hits}}


# --- GitHub, Google -----------------------------------------------------------------------------------------


def github(handler: ApiHandler, path: str) -> None:
    base = f"http://{handler.headers['Host']}/github"
    if path == "/user":
        handler.json({"login": "octocat", "id": 1, "url": f"{base}/users/octocat"})
    else:
        handler.json({"id": 1, "full_name": "octocat/hello", "url": f"{base}/repos/octocat/hello"})


def google(handler: ApiHandler, path: str) -> None:
    if path == "/token":
        handler.json({"access_token": "secret", "expires_in": 3600, "token_type": "Bearer"})
    else:
        handler.json({"size": handler.query.get("size")})


# --- kubernetes ---------------------------------------------------------------------------------------------


def kubernetes(handler: ApiHandler, path: str) -> None:
    """Two namespaces, or events about them; logs of any pod; nothing else."""
    names = ("default", "kube-system") if path.endswith("/namespaces") else ()
    items = [{"metadata": {"name": name, "resourceVersion": "1"}} for name in names]
    if path.endswith("/exec"):
        execute_in_pod(handler)
    elif path.endswith("/log"):
        handler.stream(b"one\n", b"two\n", endless=handler.asked_for("follow"))
    elif handler.asked_for("watch"):
        events = [line({"type": "ADDED", "object": {"kind": "Namespace", **item}}) for item in items]
        handler.stream(*events, endless="timeoutSeconds" not in handler.query)
    else:
        handler.json(
            {"kind": "NamespaceList", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": items}
        )


def execute_in_pod(handler: ApiHandler) -> None:
    """Over a WebSocket: a line of output, and that all went well; with stdin not before the client has gone."""
    key = handler.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455
    accept = base64.b64encode(hashlib.sha1(key.encode(), usedforsecurity=False).digest()).decode()
    protocol = "v4.channel.k8s.io"
    handler.head(
        101, Upgrade="websocket", Connection="Upgrade", Sec_WebSocket_Accept=accept, Sec_WebSocket_Protocol=protocol
    )
    handler.write(message(b"\x01one\n"))
    if handler.asked_for("stdin"):
        select.select([handler.connection], [], [])
    else:
        handler.write(message(b"\x03" + line({"status": "Success"})) + message(b"", opcode=8))
    handler.close_connection = True


def message(data: bytes, opcode: int = 2) -> bytes:
    """A short message of a WebSocket's server."""
    return bytes([0x80 | opcode, len(data)]) + data


# --- docker -------------------------------------------------------------------------------------------------


def docker(handler: ApiHandler, path: str) -> None:
    """A daemon with one container, which is named as it is asked for."""
    for pattern, answer in DOCKER.items():
        if re.fullmatch(pattern, path):
            answer(handler, path)
            return
    handler.json({"message": "no such path"}, 404)


def frame(text: bytes) -> bytes:
    """Output as the daemon multiplexes it."""
    return struct.pack(">BxxxL", 1, len(text)) + text


def version(handler: ApiHandler, path: str) -> None:
    handler.json({"ApiVersion": "1.44", "MinAPIVersion": "1.24", "Version": "25"})


def containers(handler: ApiHandler, path: str) -> None:
    handler.json([{"Id": "web"}])


def container(handler: ApiHandler, path: str) -> None:
    handler.json({"Id": "web", "Name": "/web", "Image": "sha256:0", "Config": {"Tty": False, "Image": "busybox"}})


def logs(handler: ApiHandler, path: str) -> None:
    handler.stream(frame(b"one\n"), frame(b"two\n"), endless=handler.asked_for("follow"))


def stats(handler: ApiHandler, path: str) -> None:
    if handler.asked_for("stream"):
        handler.stream(line({"cpu_stats": {}}), endless=True)
    else:
        handler.json({"cpu_stats": {}})


def events(handler: ApiHandler, path: str) -> None:
    handler.stream(line({"Action": "start"}), line({"Action": "die"}), endless="until" not in handler.query)


def pull(handler: ApiHandler, path: str) -> None:
    handler.stream(line({"status": "Pulling"}), line({"status": "Done"}))


def execute(handler: ApiHandler, path: str) -> None:
    handler.json({"Id": "exec"}, 201)


def executed(handler: ApiHandler, path: str) -> None:
    handler.json({"ID": "exec", "ExitCode": 0, "Running": False})


def talk(handler: ApiHandler, path: str) -> None:
    handler.upgrade(frame(b"one\n"), frame(b"two\n"))


def waited(handler: ApiHandler, path: str) -> None:
    handler.json({"StatusCode": 0})


DOCKER: dict[str, Answer] = {
    "/version": version,
    "/containers/json": containers,
    "/containers/[^/]+/json": container,
    "/containers/[^/]+/logs": logs,
    "/containers/[^/]+/stats": stats,
    "/containers/[^/]+/exec": execute,
    "/containers/[^/]+/attach": talk,
    "/containers/[^/]+/wait": waited,
    "/exec/[^/]+/start": talk,
    "/exec/[^/]+/json": executed,
    "/events": events,
    "/images/create": pull,
}

SERVICES: dict[str, Answer] = {
    "elasticsearch": elasticsearch,
    "github": github,
    "google": google,
    "kubernetes": kubernetes,
    "v1.44": docker,
    "version": lambda handler, _: version(handler, "/version"),
}


class UnixHandler(ApiHandler):
    """The same on a Unix socket."""

    disable_nagle_algorithm = False  # which is TCP's


class UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Serves each connection to a Unix socket in a thread of its own; it does not count them."""

    daemon_threads = True

    def __init__(self, path: str, counting: CountingServer):
        super().__init__(path, socketserver.BaseRequestHandler)
        self._counting = counting

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection until its client is gone, which may be in the middle of an answer."""
        with suppress(ConnectionError):
            UnixHandler(request, Peer(0), self._counting)


def main(path: str) -> None:
    """Serve until stdin ends."""
    server = CountingServer(ApiHandler)
    threading.Thread(target=UnixServer(path, server).serve_forever, daemon=True).start()
    server.run(scheme="http")


if __name__ == "__main__":
    main(sys.argv[1])
