"""A stand-in for AWS: ``python -m servers.moto_server``, which is moto in hypercorn behind a relay.

It has S3 and SQS, and whatever else the ``moto`` that is installed has.  It remembers buckets and queues until
it ends, or until it is asked to forget: a POST to ``/moto-api/reset``.

moto's own server, which is werkzeug's, closes each connection after its answer; AWS does not.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable, Iterable
from typing import Any

from hypercorn.asyncio import serve
from moto.server import DomainDispatcherApplication, create_backend_app

from .h2_server import configuration
from .relay import Relay, run_before


def run(listener: socket.socket, relay: Relay) -> None:
    """Serve."""
    moto = DomainDispatcherApplication(create_backend_app)

    def application(environment: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        environment["wsgi.errors"] = sys.stderr  # hypercorn says stdout, which is for the answers to who asks
        return moto(environment, start_response)

    config = configuration(listener)
    asyncio.run(serve(application, config, shutdown_trigger=asyncio.Event().wait, mode="wsgi"))


if __name__ == "__main__":
    run_before(run, scheme="http")
