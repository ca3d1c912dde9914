"""An SMTP server: ``python -m servers.smtp_server``, which is that of aiosmtpd behind a relay.

It takes every mail, forgets it, and counts it as a request.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from aiosmtpd.smtp import SMTP

from .relay import Relay, run_before


class Mailbox:
    """Where mails go."""

    def __init__(self, relay: Relay):
        self._relay = relay

    async def handle_DATA(self, server: SMTP, session: Any, envelope: Any) -> str:  # noqa: N802
        """Take a mail."""
        self._relay.client_of(session.peer[1]).requests += 1
        return "250 OK"


def run(listener: socket.socket, relay: Relay) -> None:
    """Serve."""
    mailbox = Mailbox(relay)

    async def forever() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: SMTP(mailbox, hostname="localhost", loop=loop), sock=listener)
        async with server:
            await server.serve_forever()

    asyncio.run(forever())


if __name__ == "__main__":
    run_before(run, scheme="smtp")
