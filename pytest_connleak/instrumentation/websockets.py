"""websockets, with threads and with asyncio: its connections live and die with their sockets, which tell all."""

from __future__ import annotations

from ..model import Advice
from .interface import Instrumentation

instrumentation = Instrumentation(
    "websockets",
    "websockets",
    advice={
        "websockets": Advice(socket="async with websockets.connect(url) as connection:\n    ..."),
        "websockets.sync": Advice(socket="with websockets.sync.client.connect(url) as connection:\n    ..."),
    },
)
