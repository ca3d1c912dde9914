"""urllib3 1.26.16 and later, and so requests: the connections of each ``HTTPConnectionPool``.

Followed source: ``urllib3/connectionpool.py`` (``_get_conn`` closes what it finds dropped, and waits if the pool
blocks; ``_make_request`` sends one request over the wire; ``_put_conn`` discards what finds no room).
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Generator
from typing import Any

from ..instrumentation.interface import Call, Instrumentation, Outcome, Probe
from ..traffic import Counted, Traffic, at

meter = Instrumentation("urllib3", "urllib3", statistics=True)


class _Use:
    """What is known of a pool: the connections that are out, and who waits for one.

    A connection that is never returned, because it could not connect, goes by itself when it is dropped.
    """

    def __init__(self) -> None:
        self.out: weakref.WeakSet[Any] = weakref.WeakSet()
        self.waiting: list[None] = []  # to append to it, and to pop, is atomic

    def __len__(self) -> int:
        return len(self.out) + len(self.waiting)


_uses: weakref.WeakKeyDictionary[Any, _Use] = weakref.WeakKeyDictionary()

# The connections that have connected since their last request.
_connected: weakref.WeakSet[Any] = weakref.WeakSet()

# The socket on which a connection has served a request: one that connects again has another.
_served: weakref.WeakKeyDictionary[Any, weakref.ref[Any]] = weakref.WeakKeyDictionary()

# When a connection was returned that was open then, on the monotonic clock; and for how long it was idle before it was
# taken for the request that it serves now.
_returned: weakref.WeakKeyDictionary[Any, float] = weakref.WeakKeyDictionary()
_idle: weakref.WeakKeyDictionary[Any, float] = weakref.WeakKeyDictionary()


def _is_counted(_: Probe, pool: Any) -> bool:
    """urllib3-future, which may stand in the place of urllib3, does with its connections something else."""
    return type(pool.pool).__name__ != "TrafficPolice"


@meter.around("urllib3.connectionpool:HTTPConnectionPool._get_conn", when=_is_counted)
def taken(probe: Probe, call: Call) -> Generator[None, Outcome, None]:
    pool = call.instance
    use = _uses.setdefault(pool, _Use())
    waits = pool.block and pool.pool is not None and pool.pool.empty()
    if waits:
        use.waiting.append(None)
        in_use = len(use)
        began = time.monotonic()
    outcome = yield
    if waits:
        use.waiting.pop()
        waited = time.monotonic() - began
        _tell(probe, pool, waits=1, waited=waited, longest_wait=waited, most_in_use=in_use)
    connection = outcome.result
    if outcome.error is not None or _is_played_back(connection):
        return
    use.out.add(connection)
    returned = _returned.pop(connection, None)
    if returned is None:
        _idle.pop(connection, None)
        return
    _idle[connection] = idle = time.monotonic() - returned
    if connection.sock is None:
        _tell(probe, pool, dropped=1, dropped_after=idle)


@meter.after("urllib3.connection:HTTPConnection.connect")
@meter.after("urllib3.connection:HTTPSConnection.connect")
def connected(probe: Probe, call: Call) -> None:
    _connected.add(call.instance)


@meter.around("urllib3.connectionpool:HTTPConnectionPool._make_request", when=_is_counted)
def sent(probe: Probe, call: Call) -> Generator[None, Outcome, None]:
    pool, connection = call.instance, call.argument(0, "conn")
    before, served = getattr(connection, "sock", None), _served.get(connection)
    reused = before is not None and served is not None and served() is before
    outcome = yield
    after = getattr(connection, "sock", None)
    came_to_one = connection in _connected or before is not None or after is not None
    _connected.discard(connection)
    if _is_played_back(connection) or (outcome.error is not None and not came_to_one):
        return
    if after is not None:
        _served[connection] = weakref.ref(after)
    _tell(
        probe,
        pool,
        requests=1,
        opened=int(not reused),
        reused=int(reused),
        ended=int(outcome.error is None and after is None),
        most_in_use=len(_uses.get(pool, ())),
        kept_for=_idle.get(connection) if reused and outcome.error is None else None,
        versions=_versions(outcome.result),
    )
    if outcome.error is not None and pool in _uses:
        _uses[pool].out.discard(connection)  # it is closed, and not returned


@meter.around("urllib3.connectionpool:HTTPConnectionPool._put_conn", when=_is_counted)
def returned(probe: Probe, call: Call) -> Generator[None, Outcome, None]:
    pool, connection = call.instance, call.argument(0, "conn")
    was_open = getattr(connection, "sock", None) is not None
    yield
    if connection is None or _is_played_back(connection):
        return
    if pool in _uses:
        _uses[pool].out.discard(connection)
    if was_open and connection.sock is not None:
        _returned[connection] = time.monotonic()
    elif was_open and pool.pool is not None:  # a pool that was closed meanwhile takes nothing back
        _tell(probe, pool, discarded=1)


def _tell(probe: Probe, pool: Any, **counts: Any) -> None:
    request, number = probe.in_flight, probe.find(pool)
    client = request.client if request is not None else None
    probe.counted(Counted(number, client, Traffic(at(pool.scheme, pool.host, pool.port), "urllib3", **counts)))


def _versions(response: Any) -> tuple[str, ...]:
    version = getattr(response, "version", 0)  # 10, 11 or 20
    return (f"HTTP/{version // 10}.{version % 10}" if version < 20 else "HTTP/2",) if version else ()


def _is_played_back(connection: object) -> bool:
    """Whether it is vcrpy's, which sends nothing."""
    return type(connection).__module__.startswith("vcr.")
