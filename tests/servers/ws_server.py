"""A WebSocket server: ``python -m servers.ws_server``, which is that of ``websockets`` behind a relay.

/echo      each message comes back
/bye       one message, then the server closes
/count/N   the messages "0", "1" and so on, N of them; then it waits until the client closes
"""

from __future__ import annotations

import asyncio
import logging
import socket

from websockets.asyncio.server import ServerConnection, serve

from .relay import Relay, run_before


async def talk(connection: ServerConnection) -> None:
    """Do what the path says; afterwards the connection is closed from here."""
    assert connection.request is not None
    name, _, argument = connection.request.path.strip("/").partition("/")
    if name == "echo":
        async for message in connection:
            await connection.send(message)
    elif name == "bye":
        await connection.send("bye")
    elif name == "count":
        for number in range(int(argument)):
            await connection.send(str(number))
        await connection.wait_closed()
    else:
        await connection.close(reason="no such path")


def run(listener: socket.socket, relay: Relay) -> None:
    """Serve."""
    logging.getLogger("websockets").setLevel(logging.CRITICAL)  # or it logs each client that says something else

    async def count_and_talk(connection: ServerConnection) -> None:
        relay.client_of(connection.remote_address[1]).requests += 1
        await talk(connection)

    async def forever() -> None:
        async with serve(count_and_talk, sock=listener) as server:
            await server.serve_forever()

    asyncio.run(forever())


if __name__ == "__main__":
    run_before(run, scheme="ws")
