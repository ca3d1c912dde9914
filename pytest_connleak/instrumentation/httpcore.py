"""httpcore 0.17 and later, and httpcore2: pools, streamed responses and the timeouts in effect, sync and async.

What httpx sends over the network passes here.  Followed sources: ``httpcore/_sync/connection_pool.py`` and
``_async/connection_pool.py`` (``handle_request``; the byte stream of a response, whose ``close()`` gives the
connection, or the stream of an HTTP/2 connection, back).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..in_flight import CONNECTION, Borrowed, Manner
from ..model import ASYNC, Advice
from ..timeouts import limits_by_kind
from .interface import Argument, Call, End, Instrumentation, Probe

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
def pool_opened(probe: Probe, call: Call) -> None:
    probe.opened(call.instance, "pool", call.library)


@instrumentation.after("httpcore._async.connection_pool:AsyncConnectionPool.__init__")
def async_pool_opened(probe: Probe, call: Call) -> None:
    probe.opened(call.instance, "pool", call.library, traits=ASYNC)


@instrumentation.after("httpcore._sync.connection_pool:ConnectionPool.close", vital=("session", "pool"))
@instrumentation.after("httpcore._async.connection_pool:AsyncConnectionPool.aclose", vital=("session", "pool"))
def pool_closed(probe: Probe, call: Call) -> None:
    probe.closed(call.instance)


def _said(_: object, request: Any) -> tuple[object, object]:
    return request.method.decode("ascii", "replace"), bytes(request.url).decode("ascii", "replace")


_SYNC, _ASYNC = Manner(_said), Manner(_said, traits=ASYNC)


def _handles(manner: Manner) -> Callable[..., End | None]:
    """What is told of a request; to find out each time which kind of pool it is would cost more than the rest."""

    def handle_request(probe: Probe, library: str, pool: Any, request: Any) -> End | None:
        known = probe.known(pool) or probe.opened(pool, "pool", library, traits=manner.traits)
        effective = limits_by_kind(request.extensions)
        sending, begun = probe.in_flight(), None
        if sending is None or sending.over:
            sending = begun = probe.begin(pool, known, library, manner, (request,), effective, CONNECTION)
        return None if sending is None else probe.passes(sending, known, effective, _borrowed_by, begun)

    return handle_request


_REQUEST = Argument("request", 0)
instrumentation.before("httpcore._sync.connection_pool:ConnectionPool.handle_request", _REQUEST)(_handles(_SYNC))
instrumentation.before("httpcore._async.connection_pool:AsyncConnectionPool.handle_async_request", _REQUEST)(
    _handles(_ASYNC)
)


# Before 1.0.4 the streams had the longer name.
@instrumentation.after(
    "httpcore._sync.connection_pool:PoolByteStream.close|ConnectionPoolByteStream.close",
    vital=("response",),
    when="responses",
)
@instrumentation.after(
    "httpcore._async.connection_pool:PoolByteStream.aclose|ConnectionPoolByteStream.aclose",
    vital=("response",),
    when="responses",
)
def response_closed(probe: Probe, call: Call) -> None:
    probe.closed(call.instance)


def _borrowed_by(response: Any) -> Borrowed | None:
    """The connection that a response's stream keeps from its pool, as long as its request is in the pool's books."""
    stream = response.stream
    request = getattr(stream, "_pool_request", None) or stream._status
    if request not in stream._pool._requests:
        return None
    connection = request.connection
    while hasattr(connection, "_connection"):  # which connects, goes through a proxy, and speaks HTTP/1 or 2
        connection = connection._connection
    network_stream = getattr(connection, "_network_stream", None)
    return Borrowed(stream, None, network_stream and network_stream.get_extra_info("socket"))
