"""aiohttp 3.9 and later: the connections of each connector.

Followed sources: ``aiohttp/connector.py`` (``connect``: one for each request; ``_get`` looks for an idle connection and
closes those that the server has closed; ``_release`` takes one back) and ``aiohttp/client_reqrep.py``.
How long a request waits for a free connection is seen in the versions that have a method for it.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Generator
from typing import Any

from ..instrumentation.interface import Call, Instrumentation, Outcome, Probe
from ..traffic import Counted, Traffic, at

meter = Instrumentation("aiohttp", "aiohttp", statistics=True)

# The connections that have served a request, and since when (on the monotonic clock) they are idle.
_served: weakref.WeakSet[Any] = weakref.WeakSet()
_idle_since: weakref.WeakKeyDictionary[Any, float] = weakref.WeakKeyDictionary()


@meter.around("aiohttp.connector:BaseConnector.connect")
def sent(probe: Probe, call: Call) -> Generator[None, Outcome, None]:
    connector, key = call.instance, call.argument(0, "req").connection_key
    outcome = yield
    if outcome.error is not None:
        return
    connection = outcome.result.protocol
    reused = connection in _served
    _served.add(connection)
    since = _idle_since.pop(connection, None)
    _tell(
        probe,
        connector,
        key,
        requests=1,
        opened=int(not reused),
        reused=int(reused),
        kept_for=time.monotonic() - since if since is not None else None,
        most_in_use=len(connector._acquired),
    )


@meter.around("aiohttp.connector:BaseConnector._get")
def looked_for(probe: Probe, call: Call) -> Generator[None, Outcome, None]:
    connector, key = call.instance, call.argument(0, "key")
    for connection, *_ in connector._conns.get(key, ()):
        # Its time is known until it is counted: it may lie behind one that is taken, and be found again.
        since = None if connection.is_connected() else _idle_since.pop(connection, None)
        if since is not None:
            _tell(probe, connector, key, dropped=1, dropped_after=time.monotonic() - since)
    yield


@meter.around("aiohttp.connector:BaseConnector._wait_for_available_connection", optional=True)
def waits(probe: Probe, call: Call) -> Generator[None, Outcome, None]:
    connector, key = call.instance, call.argument(0, "key")
    waiting = sum(map(len, connector._waiters.values())) + 1
    in_use, began = len(connector._acquired) + waiting, time.monotonic()
    yield
    waited = time.monotonic() - began
    _tell(probe, connector, key, waits=1, waited=waited, longest_wait=waited, most_in_use=in_use)


@meter.after("aiohttp.connector:BaseConnector._release")
def returned(probe: Probe, call: Call) -> None:
    connection = call.argument(1, "protocol")
    if connection.is_connected() and not connection.should_close:
        _idle_since[connection] = time.monotonic()


@meter.around("aiohttp.client_reqrep:ClientResponse.start")
def answered(probe: Probe, call: Call) -> Generator[None, Outcome, None]:
    connection = call.argument(0, "connection")
    if type(connection).__name__ != "Connection":  # a mock
        yield
        return
    protocol = connection.protocol  # when a short answer is there, it is complete, and has returned it
    outcome = yield
    if outcome.error is not None:
        return
    version = call.instance.version
    _tell(
        probe,
        connection._connector,
        connection._key,
        ended=int(getattr(protocol, "_should_close", None) is True),  # as the answer said; a mock does not know
        versions=(f"HTTP/{version.major}.{version.minor}",),
    )


def _tell(probe: Probe, connector: Any, key: Any, **counts: Any) -> None:
    if type(key).__name__ != "ConnectionKey":  # a mock's
        return
    scheme, host, port = ("https" if key.is_ssl else "http"), key.host, key.port
    if key.proxy is not None and not key.is_ssl:  # a request for http: goes to the proxy itself
        scheme, host, port = key.proxy.scheme, key.proxy.host, key.proxy.port
    probe.counted(Counted(probe.find(connector), probe.calling, Traffic(at(scheme, host, port), "aiohttp", **counts)))
