"""httpcore 0.17 and later, httpcore2, and so httpx: the connections of each pool, HTTP/1.1 and HTTP/2.

Followed sources: ``httpcore/_sync/connection_pool.py``, ``http11.py`` and ``http2.py``, and their ``_async`` twins.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Generator
from typing import Any

from ..instrumentation.interface import Call, Instrumentation, Outcome, Probe
from ..traffic import Counted, Traffic, at

meter = Instrumentation("httpcore", "httpcore", copies=("httpcore2",), statistics=True)

# What h11 says of the other end when the connection ends with this answer.
_ENDING = ("MUST_CLOSE", "CLOSED")

# All others a pool refuses.
_SCHEMES = (b"http", b"https", b"ws", b"wss")

# What stands for the first request of a connection.
_first: weakref.WeakKeyDictionary[Any, object] = weakref.WeakKeyDictionary()

# The number of the pool that a connection is of, when it became idle (on the monotonic clock), and those that were
# found closed or too old: nobody discarded these.
_pools: weakref.WeakKeyDictionary[Any, int | None] = weakref.WeakKeyDictionary()
_idle_since: weakref.WeakKeyDictionary[Any, float] = weakref.WeakKeyDictionary()
_gone: weakref.WeakSet[Any] = weakref.WeakSet()

# The origin that a request is sent to, which may be a proxy's.
_sent_to: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()

# How many requests a pool had at the same time, at the most, while it sent to a host.
_most_in_use: weakref.WeakKeyDictionary[Any, dict[str, int]] = weakref.WeakKeyDictionary()


@meter.around("httpcore._sync.http11:HTTP11Connection.handle_request")
@meter.around("httpcore._sync.http2:HTTP2Connection.handle_request", optional=True)
@meter.around("httpcore._async.http11:AsyncHTTP11Connection.handle_async_request")
@meter.around("httpcore._async.http2:AsyncHTTP2Connection.handle_async_request", optional=True)
def sent(probe: Probe, call: Call) -> Generator[None, Outcome, None]:
    connection = call.instance
    # Requests of HTTP/2 come at the same time; one of them is the first.
    mine = object()
    is_first = _first.setdefault(connection, mine) is mine
    since = _idle_since.pop(connection, None)
    idle = time.monotonic() - since if since is not None else None
    request = probe.in_flight()
    _pools[connection] = request.pool if request is not None else None
    outcome = yield
    if outcome.error is not None and type(outcome.error).__name__ == "ConnectionNotAvailable":
        if is_first:
            del _first[connection]
        return  # it goes over another one
    _tell(
        probe,
        _pools[connection],
        connection._origin,
        requests=1,
        opened=int(is_first),
        reused=int(not is_first),
        kept_for=idle if outcome.error is None else None,
        versions=_versions(outcome.result),
    )


@meter.around("httpcore._sync.http11:HTTP11Connection._response_closed")
@meter.around("httpcore._async.http11:AsyncHTTP11Connection._response_closed")
def answered(probe: Probe, call: Call) -> Generator[None, Outcome, None]:
    connection = call.instance
    ends = str(connection._h11_state.their_state) in _ENDING
    yield
    if connection.is_idle():
        _idle_since[connection] = time.monotonic()
    elif ends:
        _tell(probe, _pools.get(connection), connection._origin, ended=1)


@meter.after("httpcore._sync.http2:HTTP2Connection._response_closed", optional=True)
@meter.after("httpcore._async.http2:AsyncHTTP2Connection._response_closed", optional=True)
def stream_closed(probe: Probe, call: Call) -> None:
    if call.instance.is_idle():
        _idle_since[call.instance] = time.monotonic()


@meter.after("httpcore._sync.http11:HTTP11Connection.has_expired")
@meter.after("httpcore._async.http11:AsyncHTTP11Connection.has_expired")
@meter.after("httpcore._sync.http2:HTTP2Connection.has_expired", optional=True)
@meter.after("httpcore._async.http2:AsyncHTTP2Connection.has_expired", optional=True)
def looked_at(probe: Probe, call: Call) -> None:
    """A pool asks before it uses one: it is too old by the pool's own ``keepalive_expiry``, or the server closed it."""
    connection = call.instance
    if not call.result or connection in _gone:
        return
    _gone.add(connection)
    now = time.monotonic()
    if connection._expire_at is None or now <= connection._expire_at:
        since = _idle_since.get(connection)
        idle = now - since if since is not None else None
        _tell(probe, _pools.get(connection), connection._origin, dropped=1, dropped_after=idle)


# Before 1.0.3 it was done apart.
@meter.around(
    "httpcore._sync.connection_pool:"
    "ConnectionPool._assign_requests_to_connections|ConnectionPool._close_expired_connections"
)
@meter.around(
    "httpcore._async.connection_pool:"
    "AsyncConnectionPool._assign_requests_to_connections|AsyncConnectionPool._close_expired_connections"
)
def tidied(probe: Probe, call: Call) -> Generator[None, Outcome, None]:
    """A pool takes out of its books what is closed, what is too old, and what is idle and too many."""
    pool = call.instance
    before = [connection for connection in pool.connections if not connection.is_closed()]
    outcome = yield
    closing = outcome.result
    if closing is None:  # then it has closed them itself
        left = pool.connections
        closing = [connection for connection in before if connection not in left]
    for connection in closing:
        speaking = _innermost(connection)
        if speaking is not None and speaking not in _gone:
            _tell(probe, probe.find(pool), speaking._origin, discarded=1)


@meter.around("httpcore._sync.connection_pool:ConnectionPool.handle_request")
@meter.around("httpcore._async.connection_pool:AsyncConnectionPool.handle_async_request")
def wanted(probe: Probe, call: Call) -> Generator[None, Outcome, None]:
    """Of the requests that a pool has at the same time each wants a connection, but for those of HTTP/2."""
    pool, request, number = call.instance, call.argument(0, "request"), len(call.instance._requests) + 1
    if request.url.scheme not in _SCHEMES:
        yield
        return
    _sent_to[request] = origin = _destination(pool, request.url)
    most, host = _most_in_use.setdefault(pool, {}), str(origin)
    if number > most.get(host, 0):
        most[host] = number
        _tell(probe, probe.find(pool), origin, most_in_use=number)
    yield


# Before 1.0.3 the requests had another name.
@meter.around("httpcore._sync.connection_pool:PoolRequest.wait_for_connection|RequestStatus.wait_for_connection")
@meter.around("httpcore._async.connection_pool:AsyncPoolRequest.wait_for_connection|RequestStatus.wait_for_connection")
def waits(probe: Probe, call: Call) -> Generator[None, Outcome, None]:
    if call.instance.connection is not None:
        yield
        return
    began = time.monotonic()
    yield
    waited = time.monotonic() - began
    request = probe.in_flight()
    pool = request.pool if request is not None else None
    _tell(probe, pool, _sent_to[call.instance.request], waits=1, waited=waited, longest_wait=waited)


def _destination(pool: Any, url: Any) -> Any:
    """The origin that a request is sent to: the proxy's, if one forwards it; others tunnel."""
    proxy = getattr(pool, "_proxy_url", None) or getattr(getattr(pool, "_proxy", None), "url", None)
    if proxy is not None and url.scheme == b"http" and proxy.scheme in (b"http", b"https"):
        return proxy.origin
    return url.origin


def _innermost(connection: Any) -> Any:
    """The one that speaks HTTP, within those that connect, and go through a proxy; None if it never connected."""
    while hasattr(connection, "_connection"):
        connection = connection._connection
    return connection


def _tell(probe: Probe, pool: int | None, origin: Any, **counts: Any) -> None:
    scheme, host = origin.scheme.decode("ascii", "replace"), origin.host.decode("ascii", "replace")
    probe.counted(Counted(pool, probe.calling, Traffic(at(scheme, host, origin.port), "httpcore", **counts)))


def _versions(response: Any) -> tuple[str, ...]:
    version = response.extensions.get("http_version", b"") if response is not None else b""
    return (version.decode("ascii", "replace"),) if version else ()
