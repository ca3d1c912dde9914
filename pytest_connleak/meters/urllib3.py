"""urllib3 1.26.16 and later, and so requests: the connections of each ``HTTPConnectionPool``.

Followed source: ``urllib3/connectionpool.py`` (``_get_conn`` closes what it finds dropped, and waits if the pool
blocks; ``_make_request`` sends one request over the wire; ``_put_conn`` discards what finds no room).
"""

from __future__ import annotations

import http.client
import time
import weakref
from collections.abc import Generator
from typing import Any

from ..instrumentation.interface import Call, Instrumentation, Outcome, Probe
from ..traffic import Counted, Traffic, at

meter = Instrumentation("urllib3", "urllib3", statistics=True)


# What responses call them.
_VERSIONS = {10: "HTTP/1.0", 11: "HTTP/1.1", 20: "HTTP/2"}


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

# The connections that have sent a request, and those that have connected since.
_served: weakref.WeakSet[Any] = weakref.WeakSet()
_connected: weakref.WeakSet[Any] = weakref.WeakSet()

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
    if outcome.error is not None or not _is_real(connection):
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
    if not _is_real(connection):
        yield
        return
    was_open = connection.sock is not None
    reused = was_open and connection in _served and connection not in _connected
    outcome = yield
    came_to_one = was_open or connection in _connected
    _connected.discard(connection)
    if outcome.error is not None and not came_to_one:
        return
    _served.add(connection)
    _tell(
        probe,
        pool,
        requests=1,
        opened=int(not reused),
        reused=int(reused),
        ended=int(outcome.error is None and connection.sock is None),
        most_in_use=len(_uses.get(pool, ())),
        kept_for=_idle.get(connection) if reused and outcome.error is None else None,
        versions=_versions(outcome.result),
    )
    if outcome.error is not None and pool in _uses:
        _uses[pool].out.discard(connection)  # it is closed, and not returned


@meter.around("urllib3.connectionpool:HTTPConnectionPool._put_conn", when=_is_counted)
def returned(probe: Probe, call: Call) -> Generator[None, Outcome, None]:
    pool, connection = call.instance, call.argument(0, "conn")
    if not _is_real(connection):
        yield
        return
    was_open = connection.sock is not None
    yield
    if pool in _uses:
        _uses[pool].out.discard(connection)
    if was_open and connection.sock is not None:
        _returned[connection] = time.monotonic()
    elif was_open and pool.pool is not None:  # a pool that was closed meanwhile takes nothing back
        _tell(probe, pool, discarded=1)


def _tell(probe: Probe, pool: Any, **counts: Any) -> None:
    probe.counted(
        Counted(probe.find(pool), probe.calling, Traffic(at(pool.scheme, pool.host, pool.port), "urllib3", **counts))
    )


def _versions(response: Any) -> tuple[str, ...]:
    version = getattr(response, "version", None)
    return (_VERSIONS[version],) if type(version) is int and version in _VERSIONS else ()


def _is_real(connection: object) -> bool:
    """Whether it can send something: no mock, and not vcrpy's."""
    kind = type(connection)
    return issubclass(kind, http.client.HTTPConnection) and not kind.__module__.startswith("vcr.")
