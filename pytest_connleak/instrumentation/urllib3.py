"""urllib3 1.26.16 and later: pool managers, single-host pools, responses, timeouts.

Followed sources: ``urllib3/connectionpool.py`` (``urlopen``: the only place where the timeout in effect
is known), ``urllib3/response.py`` (``release_conn``, ``close``), ``urllib3/util/timeout.py``.  What is below
``_async``, only its fork urllib3-future has, under that name or in the place of urllib3.
"""

from __future__ import annotations

from collections.abc import Generator
from functools import partial
from typing import Any

from ..model import Advice
from ..recorder import CONNECTION, UNKNOWN, Borrowed
from ..timeouts import is_given, limits
from .interface import Call, End, Instrumentation, Outcome, Probe

instrumentation = Instrumentation(
    "urllib3",
    "urllib3",
    copies=("pip._vendor.urllib3", "urllib3_future"),
    advice={
        name: Advice(
            response="{variable} = {call}(..., preload_content=False)\n"
            "try:\n    ...\nfinally:\n    {variable}.drain_conn()  # or .close() to give up the rest",
            timeout="timeout=10  # seconds; give it to this call, or to the pool; or urllib3.Timeout(3, 10)",
        )
        for name in ("urllib3", "urllib3_future")
    }
    | {
        f"{name}.{manager}": Advice(close="clear")  # they have no close()
        for name in ("urllib3", "urllib3_future")
        for manager in ("PoolManager", "ProxyManager")
    },
)

_UNSET = object()


# --- pools --------------------------------------------------------------------------------------------


@instrumentation.after("urllib3.poolmanager:PoolManager.__init__")
@instrumentation.after("urllib3._async.poolmanager:AsyncPoolManager.__init__", optional=True)
def manager_opened(probe: Probe, call: Call) -> None:
    probe.opened(call.instance, "pool", call.library)


@instrumentation.after("urllib3.poolmanager:PoolManager.clear", vital=("session", "pool"))
@instrumentation.after("urllib3._async.poolmanager:AsyncPoolManager.clear", vital=("session", "pool"), optional=True)
def manager_closed(probe: Probe, call: Call) -> None:
    probe.closed(call.instance)


@instrumentation.after("urllib3.poolmanager:PoolManager.connection_from_pool_key")
@instrumentation.after("urllib3._async.poolmanager:AsyncPoolManager.connection_from_pool_key", optional=True)
def pool_adopted(probe: Probe, call: Call) -> None:
    probe.adopted_one(call.instance, call.result)


@instrumentation.after("urllib3.connectionpool:HTTPConnectionPool.__init__")
@instrumentation.after("urllib3._async.connectionpool:AsyncHTTPConnectionPool.__init__", optional=True)
def pool_opened(probe: Probe, call: Call) -> None:
    probe.opened(call.instance, "pool", call.library)


@instrumentation.after("urllib3.connectionpool:HTTPConnectionPool.close", vital=("pool",))
@instrumentation.after("urllib3._async.connectionpool:AsyncHTTPConnectionPool.close", vital=("pool",), optional=True)
def pool_closed(probe: Probe, call: Call) -> None:
    probe.closed(call.instance)


# --- requests -----------------------------------------------------------------------------------------


# Named where both 1.26 and 2 have it, for managers and pools alike; the limits are not known yet.
@instrumentation.before("urllib3.poolmanager:RequestMethods.request")
@instrumentation.before("urllib3._async.poolmanager:AsyncRequestMethods.request", optional=True)
def call_begins(probe: Probe, call: Call) -> End | None:
    """Between this and ``urlopen`` the request is prepared, and garbage may be collected.

    The client need be no pool: google-auth's wraps one.
    """
    begun = probe.begin(call, _said, UNKNOWN, response_name="HTTPResponse")
    return None if begun is None else partial(probe.end, begun)


@instrumentation.before("urllib3.poolmanager:PoolManager.urlopen")
@instrumentation.before("urllib3._async.poolmanager:AsyncPoolManager.urlopen", optional=True)
def manager_urlopen(probe: Probe, call: Call) -> End | None:
    manager = call.instance
    known = probe.opened(manager, "pool", call.library)
    timeout = call.kwargs.get("timeout", manager.connection_pool_kw.get("timeout", _UNSET))
    begun = probe.begin(call, _said, limits(timeout), response_name="HTTPResponse")
    probe.sent(known)
    return None if begun is None else partial(probe.end, begun)


@instrumentation.before("urllib3.connectionpool:HTTPConnectionPool.urlopen")
@instrumentation.before("urllib3._async.connectionpool:AsyncHTTPConnectionPool.urlopen", optional=True)
def pool_urlopen(probe: Probe, call: Call) -> End | None:
    pool = call.instance
    known = probe.opened(pool, "pool", call.library)
    timeout = call.argument(7, "timeout", _UNSET)
    effective = limits(timeout if is_given(timeout) else pool.timeout)
    sending = probe.in_flight
    begun = None
    if sending is None:
        sending = begun = probe.begin(call, _said, effective, layer=CONNECTION, response_name="HTTPResponse")
    else:
        sending.reached(CONNECTION, effective)
    if pool.pool is not None:  # a closed pool refuses the request
        probe.sent(known)
    if sending is None:
        return None
    request, before = sending, sending.pool
    request.pool = None if known is None else known.id

    def ended(result: object, error: BaseException | None) -> None:
        request.pool = before
        if error is None:
            request.responses.append((result, _borrowed_by))
        probe.end(begun, result, error)

    return ended


def _said(call: Call) -> tuple[object, object]:
    method, url = call.argument(0, "method", ""), call.argument(1, "url", "")
    return method, _url(call.instance, str(url))


def _url(client: Any, url: str) -> str:
    """The whole URL: a pool is given the path alone, and may be closed by now."""
    if getattr(client, "host", None) is None or not url.startswith("/"):
        return url
    return f"{client.scheme}://{client.host}{f':{client.port}' if client.port else ''}{url}"


# --- responses ----------------------------------------------------------------------------------------


def _borrowed_by(response: object) -> Borrowed | None:
    """The connection that a response keeps from its pool, None once it gave it back.

    What a mock puts in the place of a response is not watched, so there is no saying what becomes of it.
    """
    connection = getattr(response, "_connection", None)
    # Before urllib3 2 it is urllib3's own response, on a connection of vcrpy's.
    if connection is None or type(connection).__module__.startswith("vcr."):
        return None
    if not any(
        cls.__module__.endswith(".response") and "HTTPResponse" in cls.__name__ for cls in type(response).__mro__
    ):
        return None
    return Borrowed(connection, getattr(connection, "sock", None))


@instrumentation.after("urllib3.response:HTTPResponse.release_conn", vital=("response",), when=Probe.knows)
def response_released(probe: Probe, call: Call) -> None:
    probe.released(call.instance)


# What vcrpy and others put in the place of a response does not always say that it is released; the pool knows.
@instrumentation.after("urllib3.connectionpool:HTTPConnectionPool._put_conn", when=Probe.lends)
@instrumentation.after(
    "urllib3._async.connectionpool:AsyncHTTPConnectionPool._put_conn", optional=True, when=Probe.lends
)
def connection_returned(probe: Probe, call: Call) -> None:
    connection = call.argument(0, "conn")
    if connection is not None:
        probe.returned(connection)


@instrumentation.after("urllib3.response:HTTPResponse.close", vital=("response",), when=Probe.knows)
@instrumentation.after("urllib3._async.response:AsyncHTTPResponse.close", vital=("response",), optional=True)
def response_closed(probe: Probe, call: Call) -> None:
    # io.IOBase closes what is garbage-collected open, and says so first (_io__IOBase finalizer): nobody closed it.
    if not getattr(call.instance, "_finalizing", False):
        probe.closed(call.instance)


@instrumentation.around("urllib3.response:HTTPResponse.__del__", optional=True)
@instrumentation.around("urllib3._async.response:AsyncHTTPResponse.__del__", optional=True)
def response_dropped(probe: Probe, call: Call) -> Generator[None, Outcome, None]:
    """urllib3-future's responses close themselves when nobody did."""
    with probe.finalizing(call.instance):
        yield
