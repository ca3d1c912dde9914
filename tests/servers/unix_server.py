"""The HTTP server on a Unix socket, and a Docker engine that does nothing: ``python -m servers.unix_server``.

It knows the paths of ``http_server``, and of the engine's API these, also below ``/v1.44`` or another version:

    /_ping                  "OK"
    /version                the version
    /events                 one event, then nothing until the client closes
    /containers/json        the list of the containers: "web", which runs, and "job", which has ended
    /containers/ID/json     all about one; ID may be its name
    /containers/ID/logs     its two lines; with "follow" what runs says nothing more until the client closes
"""

from __future__ import annotations

import json
import re
import struct
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from .counting import CountingServer
from .http_server import PathHandler, no_such_path, pause

API_VERSION = "1.44"
VERSION = re.compile(r"/v\d+\.\d+/")
CONTAINERS = {"web": {"Id": "a" * 64, "State": "running"}, "job": {"Id": "b" * 64, "State": "exited"}}
CREATED = 1_700_000_000
LINES = (b"first line\n", b"second line\n")
LONG = 3600.0
LONGEST_DIRECTORY = 60
"""How long the path of a directory may be, so that a socket below it has one of less than 100 characters."""


class EngineHandler(PathHandler):
    """Answers as the engine does, or else as the HTTP server."""

    def respond(self) -> None:
        path = urlsplit(VERSION.sub("/", self.path, count=1)).path
        name, *arguments = path.strip("/").split("/")
        if name in ENGINE:
            self.body = self.read_body()
            ENGINE[name](self, *arguments)
        else:
            super().respond()


def answer_json(handler: PathHandler, value: Any, status: int = 200) -> None:
    handler.answer(json.dumps(value).encode(), status, Content_Type="application/json", Api_Version=API_VERSION)


def stream(handler: PathHandler, chunks: tuple[bytes, ...], ends: bool, content_type: str) -> None:
    """Send the chunks; what does not end then waits for the client to close."""
    handler.head(Transfer_Encoding="chunked", Content_Type=content_type)
    for chunk in chunks:
        handler.write_chunk(chunk)
    if not ends:
        pause(handler, LONG)
    handler.write_chunk(b"")


def ping(handler: PathHandler) -> None:
    handler.answer(b"OK", Content_Type="text/plain", Api_Version=API_VERSION)


def version(handler: PathHandler) -> None:
    answer_json(handler, {"Version": "27.0.0", "ApiVersion": API_VERSION, "MinAPIVersion": "1.24", "Os": "linux"})


def events(handler: PathHandler) -> None:
    event = {"Type": "container", "Action": "start", "Actor": {"ID": CONTAINERS["web"]["Id"]}, "time": CREATED}
    stream(handler, (json.dumps(event).encode() + b"\n",), ends=False, content_type="application/json")


def containers(handler: PathHandler, name: str, about: str = "") -> None:
    if name == "json":
        answer_json(handler, list(summaries()))
        return
    found = next((known for known, facts in CONTAINERS.items() if name in (known, facts["Id"])), None)
    if found is None:
        answer_json(handler, {"message": f"No such container: {name}"}, 404)
    elif about == "json":
        answer_json(handler, details(found))
    elif about == "logs":
        logs(handler, found)
    else:
        no_such_path(handler)


def summaries() -> Iterator[dict[str, Any]]:
    for name, facts in CONTAINERS.items():
        yield {**facts, "Names": [f"/{name}"], "Image": "image", "Created": CREATED}


def details(name: str) -> dict[str, Any]:
    facts = CONTAINERS[name]
    state = {"Status": facts["State"], "Running": facts["State"] == "running"}
    return {"Id": facts["Id"], "Name": f"/{name}", "State": state, "Config": {"Tty": False, "Labels": {}}}


def logs(handler: PathHandler, name: str) -> None:
    """Each line is a frame: 1 for stdout, three zeros, its length, itself."""
    frames = tuple(struct.pack(">BxxxL", 1, len(line)) + line for line in LINES)
    follow = parse_qs(urlsplit(handler.path).query).get("follow", ["0"])[0] in ("1", "true", "True")
    ends = not (follow and CONTAINERS[name]["State"] == "running")
    stream(handler, frames, ends, content_type="application/vnd.docker.multiplexed-stream")


ENGINE: dict[str, Callable[..., None]] = {
    "_ping": ping,
    "version": version,
    "events": events,
    "containers": containers,
}


def main() -> None:
    """Serve until stdin ends."""
    short = None if len(tempfile.gettempdir()) <= LONGEST_DIRECTORY else "/tmp"
    with tempfile.TemporaryDirectory(prefix="servers-", dir=short) as directory:
        path = str(Path(directory, "http"))
        CountingServer(EngineHandler, address=path).run(scheme="unix", path=path)


if __name__ == "__main__":
    main()
