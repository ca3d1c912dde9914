"""httpcore 0.17 and later, and httpcore2: pools, streamed responses and the timeouts in effect, sync and async.

What httpx sends over the network passes here.  Followed sources: ``httpcore/_sync/connection_pool.py`` and
``_async/connection_pool.py`` (``handle_request``; the byte stream of a response, whose ``close()`` gives the
connection, or the stream of an HTTP/2 connection, back).
"""

from __future__ import annotations

from typing import Any

from ..model import ASYNC, Advice, Limits
from ..recorder import CONNECTION, Borrowed
from .interface import Call, End, Instrumentation, Probe

instrumentation = Instrumentation(
    "httpcore",
    "httpcore",
    copies=("httpcore2",),
    advice={
        name: Advice(
            response='with pool.stream("GET", url) as response:\n    ...',
            timeout='extensions={"timeout": {"connect": 10, "read": 10}}  # seconds; give it to this call',
        )
        for name in ("httpcore", "httpcore2")
    },
)


@instrumentation.after("httpcore._sync.connection_pool:ConnectionPool.__init__")
@instrumentation.after("httpcore._async.connection_pool:AsyncConnectionPool.__init__")
def pool_opened(probe: Probe, call: Call) -> None:
    probe.opened(call.instance, "pool", call.library, traits=_traits(call.instance))


@instrumentation.after("httpcore._sync.connection_pool:ConnectionPool.close", vital=("session", "pool"))
@instrumentation.after("httpcore._async.connection_pool:AsyncConnectionPool.aclose", vital=("session", "pool"))
def pool_closed(probe: Probe, call: Call) -> None:
    probe.closed(call.instance)


@instrumentation.before("httpcore._sync.connection_pool:ConnectionPool.handle_request")
@instrumentation.before("httpcore._async.connection_pool:AsyncConnectionPool.handle_async_request")
def handle_request(probe: Probe, call: Call) -> End | None:
    pool = call.instance
    traits = _traits(pool)
    known = probe.opened(pool, "pool", call.library, traits=traits)
    timeout = call.argument(0, "request").extensions.get("timeout", {})
    effective = Limits.of(timeout.get("connect") is not None, timeout.get("read") is not None)
    sending, begun = probe.in_flight, None
    if sending is None:
        sending = begun = probe.begin(call, _said, effective, layer=CONNECTION, traits=traits)
    else:
        sending.reached(CONNECTION, effective)
    probe.sent(known)
    if sending is None:
        return None
    request, before = sending, sending.pool
    request.pool = None if known is None else known.id

    def ended(result: Any, error: BaseException | None) -> None:
        request.pool = before
        if error is None:
            request.responses.append((result.stream, _borrowed_by))
        probe.end(begun, result, error)

    return ended


def _said(call: Call) -> tuple[object, object]:
    request = call.argument(0, "request")
    return request.method.decode("ascii", "replace"), bytes(request.url).decode("ascii", "replace")


# Before 1.0.4 the streams had the longer name.
@instrumentation.after(
    "httpcore._sync.connection_pool:PoolByteStream.close|ConnectionPoolByteStream.close",
    vital=("response",),
    when=Probe.knows,
)
@instrumentation.after(
    "httpcore._async.connection_pool:PoolByteStream.aclose|ConnectionPoolByteStream.aclose",
    vital=("response",),
    when=Probe.knows,
)
def response_closed(probe: Probe, call: Call) -> None:
    probe.closed(call.instance)


def _traits(pool: object) -> frozenset[str]:
    return ASYNC if hasattr(pool, "aclose") else frozenset()


def _borrowed_by(stream: Any) -> Borrowed | None:
    """The connection that a response's stream keeps from its pool, as long as its request is in the pool's books."""
    request = getattr(stream, "_pool_request", None) or stream._status
    if request not in stream._pool._requests:
        return None
    connection = request.connection
    while hasattr(connection, "_connection"):  # which connects, goes through a proxy, and speaks HTTP/1 or 2
        connection = connection._connection
    network_stream = getattr(connection, "_network_stream", None)
    return Borrowed(None, network_stream and network_stream.get_extra_info("socket"))
