"""websocket-client: its WebSockets live and die with their sockets, which tell all."""

from __future__ import annotations

from ..model import Advice
from .interface import Instrumentation

instrumentation = Instrumentation(
    "websocket",
    "websocket-client",
    advice={
        "websocket": Advice(
            socket="with contextlib.closing(websocket.create_connection(url, timeout=10)) as connection:\n    ..."
        )
    },
)
