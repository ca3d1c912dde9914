"""An FTP server: ``python -m servers.ftp_server``, which is that of pyftpdlib behind a relay.

Anonymous may read, "user" with "secret" also write:

    hello.txt   "hello"
    large       16 MB, more than the buffers of a connection take

The connections for data are counted as well, if the client makes them (``PASV``, ``EPSV``, which is what clients
do unless they are told otherwise); those that the server makes are the client's to count.
"""

from __future__ import annotations

import logging
import os
import re
import socket
import tempfile
from pathlib import Path
from typing import Any, ClassVar

from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.servers import FTPServer

from .counting import HOST
from .relay import Relay, run_before

GREETING = b"hello"
LARGE = 16 * 2**20
PASSIVE = re.compile(r"227 .*,(?P<high>\d+),(?P<low>\d+)\)\.$")
EXTENDED_PASSIVE = re.compile(r"229 .*\(\|\|\|(?P<port>\d+)\|\)\.$")


class RelayedHandler(FTPHandler):
    """Sends its clients through the relay also for data."""

    relay: ClassVar[Relay]

    def respond(self, resp: str, *arguments: Any, **named: Any) -> None:
        """Name the relay's port instead of its own."""
        if found := PASSIVE.match(resp):
            port = self.relay.once((HOST, int(found["high"]) * 256 + int(found["low"])))
            resp = f"227 Entering passive mode ({HOST.replace('.', ',')},{port // 256},{port % 256})."
        elif found := EXTENDED_PASSIVE.match(resp):
            port = self.relay.once((HOST, int(found["port"])))
            resp = f"229 Entering extended passive mode (|||{port}|)."
        super().respond(resp, *arguments, **named)


def main() -> None:
    """Serve until stdin ends."""
    logging.getLogger("pyftpdlib").addHandler(logging.NullHandler())  # or it logs to stderr what it does
    logging.getLogger("pyftpdlib").propagate = False
    with tempfile.TemporaryDirectory(prefix="servers-") as directory:
        Path(directory, "hello.txt").write_bytes(GREETING)
        Path(directory, "large").touch()
        os.truncate(Path(directory, "large"), LARGE)
        authorizer = DummyAuthorizer()
        authorizer.add_anonymous(directory)
        authorizer.add_user("user", "secret", directory, perm="elradfmw")
        RelayedHandler.authorizer = authorizer

        def run(listener: socket.socket, relay: Relay) -> None:
            RelayedHandler.relay = relay
            FTPServer(listener, RelayedHandler).serve_forever(handle_exit=False)

        run_before(run, scheme="ftp")


if __name__ == "__main__":
    main()
