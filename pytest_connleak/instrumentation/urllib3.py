"""urllib3 1.26.16 and later: pool managers, single-host pools, responses, timeouts.

Followed sources: ``urllib3/connectionpool.py`` (``urlopen``: the only place where the timeout in effect
is known), ``urllib3/response.py`` (``release_conn``, ``close``), ``urllib3/util/timeout.py``.  What is below
``_async``, only its fork urllib3-future has, under that name or in the place of urllib3.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from .. import origin
from ..in_flight import CLIENT, CONNECTION, UNKNOWN, Borrowed, Manner
from ..model import Advice
from ..timeouts import is_given, limits
from .interface import Argument, Call, End, Instrumentation, Outcome, Probe

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


@instrumentation.before("urllib3.poolmanager:PoolManager._new_pool", optional=True)
def manager_makes_a_pool(probe: Probe, library: str, manager: Any) -> End | None:
    """What the user's code makes of the pool is not known; nor does a copy of a manager answer for it."""
    is_known = probe.known(manager) is not None
    if not (is_known or probe.calls_transient()) or origin.user_frame_below_plugin():
        return None
    return probe.making() if is_known else probe.making_transient()


@instrumentation.after("urllib3.poolmanager:PoolManager.connection_from_pool_key", when=Probe.may_adopt_one)
@instrumentation.after(
    "urllib3._async.poolmanager:AsyncPoolManager.connection_from_pool_key", optional=True, when=Probe.may_adopt_one
)
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


_METHOD, _URL, _TIMEOUT = Argument("method", 0, ""), Argument("url", 1, ""), Argument("timeout", None, _UNSET)


# Named where both 1.26 and 2 have it, for managers and pools alike; the limits are not known yet.
@instrumentation.before("urllib3.poolmanager:RequestMethods.request", _METHOD, _URL)
@instrumentation.before("urllib3._async.poolmanager:AsyncRequestMethods.request", _METHOD, _URL, optional=True)
def call_begins(probe: Probe, library: str, client: Any, method: object, url: object) -> End | None:
    """Between this and ``urlopen`` the request is prepared, and garbage may be collected.

    The client need be no pool: google-auth's wraps one.
    """
    begun = probe.begin(client, probe.known(client), library, _MANNER, (method, url), UNKNOWN)
    return None if begun is None else begun.end


_RETRIES = Argument("retries")


@instrumentation.before("urllib3.poolmanager:PoolManager.urlopen", _METHOD, _URL, _TIMEOUT, _RETRIES)
@instrumentation.before(
    "urllib3._async.poolmanager:AsyncPoolManager.urlopen", _METHOD, _URL, _TIMEOUT, _RETRIES, optional=True
)
def manager_urlopen(
    probe: Probe, library: str, manager: Any, method: object, url: object, timeout: object, retries: object
) -> End | None:
    known = probe.opened(manager, "pool", library)
    effective = limits(manager.connection_pool_kw.get("timeout", _UNSET) if timeout is _UNSET else timeout)
    request, begun = probe.in_flight(), None
    own = request if request is not None and request.client is manager else None
    if own is not None and not own.counted:
        own.arguments = (method, url)  # as it is sent: a manager may add to what the user said
        own.reached(CLIENT, effective)
    elif own is not None and getattr(retries, "history", None):
        own.reached(CLIENT, effective)  # it was redirected, also where a subclass overrides this
    else:
        begun = probe.begin(manager, known, library, _MANNER, (method, url), effective)
    probe.sent(known, begun or request)
    return None if begun is None else begun.end


@instrumentation.before(
    "urllib3.connectionpool:HTTPConnectionPool.urlopen", _METHOD, _URL, _TIMEOUT._replace(position=7)
)
@instrumentation.before(
    "urllib3._async.connectionpool:AsyncHTTPConnectionPool.urlopen",
    _METHOD,
    _URL,
    _TIMEOUT._replace(position=7),
    optional=True,
)
def pool_urlopen(probe: Probe, library: str, pool: Any, method: object, url: object, timeout: object) -> End | None:
    known = probe.known(pool) or (None if probe.calls_transient() else probe.opened(pool, "pool", library))
    effective = limits(timeout if is_given(timeout) else pool.timeout)
    request, begun = probe.in_flight(), None
    if request is None or request.over:
        request = begun = probe.begin(pool, known, library, _MANNER, (method, url), effective, CONNECTION)
    if request is None:
        return None
    is_open = pool.pool is not None  # else it refuses the request
    return probe.passes(request, known if is_open else None, effective, _borrowed_by, begun)


def _said(client: Any, method: object, url: object) -> tuple[object, object]:
    """With the whole URL: a pool is given the path alone, and may be closed by now."""
    url = str(url)
    if getattr(client, "host", None) is not None and url.startswith("/"):
        url = f"{client.scheme}://{client.host}{f':{client.port}' if client.port else ''}{url}"
    return method, url


_MANNER = Manner(_said, "HTTPResponse")


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
    return Borrowed(response, connection, getattr(connection, "sock", None))


@instrumentation.after("urllib3.response:HTTPResponse.release_conn", vital=("response",), when="responses")
def response_released(probe: Probe, call: Call) -> None:
    probe.released(call.instance)


# What vcrpy and others put in the place of a response does not always say that it is released; the pool knows.
@instrumentation.after("urllib3.connectionpool:HTTPConnectionPool._put_conn", when="responses")
@instrumentation.after(
    "urllib3._async.connectionpool:AsyncHTTPConnectionPool._put_conn", optional=True, when="responses"
)
def connection_returned(probe: Probe, call: Call) -> None:
    connection = call.argument(0, "conn")
    if connection is not None:
        probe.returned(connection)


@instrumentation.after("urllib3.response:HTTPResponse.close", vital=("response",), when="responses")
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
