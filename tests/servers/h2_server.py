"""An HTTPS server for HTTP/2, and for HTTP/1.1 where that is all the client offers: ``python -m servers.h2_server``.

It is hypercorn behind a relay.

    /               "hello"
    /size/N         N bytes
    /drip/N         N parts of 1000 bytes, with a short pause between them
    /wait/SECONDS   "hello", later
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from hypercorn.asyncio import serve
from hypercorn.config import Config

from .certificate import certificate
from .relay import Relay, run_before

GREETING = b"hello"
PART = b"x" * 1000
PAUSE = 0.01
LONG = 3600.0
START = 10.0


async def body(name: str, argument: str) -> AsyncIterator[bytes]:
    """The parts of what a path's name and argument ask for."""
    if name == "size":
        yield b"x" * int(argument)
    elif name == "drip":
        for _ in range(int(argument)):
            yield PART
            await asyncio.sleep(PAUSE)
    else:
        if name == "wait":
            await asyncio.sleep(float(argument))
        yield GREETING


async def say(path: str, send: Callable[[Any], Any]) -> None:
    """Answer what was asked for."""
    name, _, argument = path.strip("/").partition("/")
    known = name in ("", "size", "drip", "wait")
    await send({"type": "http.response.start", "status": 200 if known else 404, "headers": []})
    if known:
        async for part in body(name, argument):
            await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b"" if known else b"no such path"})


async def departure(receive: Callable[[], Any]) -> None:
    """Wait until the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


def application(relay: Relay) -> Callable[..., Awaitable[None]]:
    """An ASGI application that tells the relay of its requests."""

    async def answer(scope: dict[str, Any], receive: Callable[[], Any], send: Callable[[Any], Any]) -> None:
        if scope["type"] != "http":
            return  # there is nothing to start or to end
        relay.client_of(scope["client"][1]).requests += 1
        tasks = [asyncio.ensure_future(say(scope["path"], send)), asyncio.ensure_future(departure(receive))]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()

    return answer


def configuration(listener: socket.socket, has_certificate: threading.Event) -> Config:
    """What hypercorn is told: to listen here, to be quiet, and to leave it to its clients to close.

    When it has read its certificate, the event is set.
    """

    class Telling(Config):
        def create_ssl_context(self) -> ssl.SSLContext | None:
            context = super().create_ssl_context()
            has_certificate.set()
            return context

    config = Telling()
    config.bind = [f"fd://{listener.detach()}"]
    config.loglevel = "ERROR"
    config.keep_alive_timeout = LONG
    return config


def main() -> None:
    """Serve until stdin ends."""
    with certificate() as (ca, chain):
        has_certificate = threading.Event()

        def run(listener: socket.socket, relay: Relay) -> None:
            config = configuration(listener, has_certificate)
            config.certfile = config.keyfile = chain
            asyncio.run(serve(application(relay), config, shutdown_trigger=asyncio.Event().wait))

        run_before(run, scheme="https", ca=ca)
        # Who needs no answer may end this before hypercorn has come so far, and it would say that the file is gone.
        has_certificate.wait(START)


if __name__ == "__main__":
    main()
