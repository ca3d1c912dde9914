"""asyncio: transports, which close their sockets a turn of the loop later; and who made a task.

Followed sources: ``Lib/asyncio/selector_events.py``, ``sslproto.py``, ``streams.py``, ``base_events.py``.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import nullcontext
from types import CodeType
from typing import Any

from .. import origin
from ..model import Advice
from .interface import Call, Instrumentation, Outcome, Probe, leave_no_trace

instrumentation = Instrumentation(
    "asyncio",
    advice={
        "asyncio": Advice(socket="writer.close()  # or transport.close()\nawait writer.wait_closed()"),
        "asyncio.streams.start_server": Advice(socket="async with server:\n    ..."),
        "asyncio.base_events.BaseEventLoop.create_server": Advice(socket="async with server:\n    ..."),
    },
)


@instrumentation.after("asyncio.selector_events:_SelectorTransport.close", vital=("socket",))
@instrumentation.after("asyncio.selector_events:_SelectorTransport._force_close", vital=("socket",))
def transport_closed(probe: Probe, call: Call) -> None:
    """The socket is closed in the loop's next turn, or once all is written, even if that loop never turns again."""
    probe.closed(call.instance._sock)


@instrumentation.around("asyncio.sslproto:_SSLProtocolTransport.close")
@instrumentation.around("asyncio.sslproto:_SSLProtocolTransport.abort")
def tls_transport_closed(probe: Probe, call: Call) -> Generator[None, Outcome, None]:
    """The transport below is closed when the other side has agreed."""
    protocol = call.instance._ssl_protocol
    below: Any = getattr(protocol, "_transport", None)
    yield
    if below is not None:
        probe.closed(getattr(below, "_sock", None))


@instrumentation.around("asyncio.selector_events:_SelectorTransport.__del__")
@instrumentation.around("asyncio.sslproto:_SSLProtocolTransport.__del__")
@instrumentation.around("asyncio.streams:StreamWriter.__del__", optional=True)  # since 3.11.5
def dropped(probe: Probe, call: Call) -> Generator[None, Outcome, None]:
    """They warn "unclosed transport" and close it: nobody else did."""
    with probe.finalizing(call.instance):
        yield


@instrumentation.around("asyncio.base_events:BaseEventLoop.create_task")
def task_made(probe: Probe, call: Call) -> Generator[None, Outcome, None]:
    """``asyncio.gather(client.get(a), client.get(b))`` leaves no line of the user's on the stacks of its tasks."""
    code: CodeType | None = getattr(call.argument(0, "coro"), "cr_code", None)
    is_users = code is not None and origin.classify(code.co_filename) == "user"
    with nullcontext() if is_users else probe.making_a_task():
        outcome = yield
    leave_no_trace(outcome.result)
