"""requests 2.28 and later: sessions, and the timeout as it passes from the session to its adapter.

Its copies and forks are described by the same words; what is asynchronous, only niquests has.
Followed sources: ``requests/sessions.py`` and ``requests/adapters.py``.
"""

from __future__ import annotations

import sys
import threading
from typing import Any

from ..in_flight import ADAPTER, CLIENT, UNKNOWN, InFlight, Manner
from ..model import Advice
from ..recorder import Known
from ..timeouts import limits
from .interface import Argument, Call, End, Instrumentation, Probe

instrumentation = Instrumentation(
    "requests",
    "requests",
    copies=("pip._vendor.requests", "botocore.vendored.requests", "niquests"),
    advice={
        name: Advice(
            response="with {call}(..., stream=True) as {variable}:\n    ...",
            timeout="timeout=10  # seconds; give it to this call; or (connect, read)",
            aclose="close",
        )
        for name in ("requests", "niquests")
    },
)


_MAIN = threading.main_thread().ident


@instrumentation.before("requests.sessions:Session.__init__")
@instrumentation.before("requests.async_session:AsyncSession.__init__", optional=True)
def session_opened(probe: Probe, library: str, session: Any) -> End:
    if probe.skips_transients and _is_of_one_call(library, session):
        return probe.making_transient(session)
    probe.transient_is_over(session)  # one that was at this address, and whose end was not seen
    return probe.making(lambda: _first_seen(probe, library, session))


def _is_of_one_call(library: str, session: object) -> bool:
    """Whether it is made by ``requests.api.request``, which ``requests.get`` and the like call, in a ``with`` block.

    Where somebody has put code of his own in the place of the library's, it may make more than that, or not close it.
    And in another thread it may be in use when a verdict comes.
    """
    if threading.get_ident() != _MAIN:
        return False
    caller = sys._getframe(3)  # of the wrapper, of the observer
    if caller.f_code.co_name != "request" or caller.f_globals.get("__name__") != f"{library}.api":
        return False
    adapter = getattr(sys.modules.get(f"{library}.sessions"), "HTTPAdapter", object)
    manager = getattr(sys.modules.get(f"{library}.adapters"), "PoolManager", object)
    return (
        library != "niquests"  # it may go on with the request after that
        and _is_the_librarys(type(session), f"{library}.sessions", ("__init__", "__enter__", "__exit__", "close"))
        and _is_the_librarys(adapter, f"{library}.adapters", ("__init__", "init_poolmanager", "close"))
        and _is_the_librarys(manager, manager.__module__, ("__init__", "clear"))
    )


def _is_the_librarys(cls: type, module: str, methods: tuple[str, ...]) -> bool:
    return cls.__module__ == module and all(
        getattr(getattr(cls, name, None), "__module__", None) == module for name in methods
    )


@instrumentation.after("requests.sessions:Session.__setstate__")
@instrumentation.after("requests.async_session:AsyncSession.__setstate__", optional=True)
def session_copied(probe: Probe, call: Call) -> None:
    """A copy, or unpickled; it counts from its first request on."""
    probe.born(call.instance)


# A session that is being made mounts its first adapters before it is known.
@instrumentation.after("requests.sessions:Session.mount", when=Probe.knows)
@instrumentation.after("requests.async_session:AsyncSession.mount", optional=True, when=Probe.knows)
def adapter_mounted(probe: Probe, call: Call) -> None:
    probe.adopted(call.instance, _managers(call.instance))


_METHOD, _URL = Argument("method", 0, ""), Argument("url", 1, "")
_REQUEST, _STREAM, _TIMEOUT = Argument("request", 0), Argument("stream"), Argument("timeout")


@instrumentation.before("requests.sessions:Session.request", _METHOD, _URL)
@instrumentation.before("requests.async_session:AsyncSession.request", _METHOD, _URL, optional=True)
def session_request(probe: Probe, library: str, session: Any, method: object, url: object) -> End | None:
    """The user's call begins here, unless it is one of ``send``, where its limits are known."""
    known = probe.known(session) or _seen(probe, library, session)
    begun = probe.begin(session, known, library, _CALLED, (method, url), UNKNOWN)
    return None if begun is None else begun.end


# requests-mock calls the method that it found when it was imported, which may have been before this was patched.
@instrumentation.before("requests_mock.mocker:_original_send", _REQUEST, _STREAM, _TIMEOUT)
@instrumentation.before("requests.sessions:Session.send", _REQUEST, _STREAM, _TIMEOUT)
@instrumentation.before("requests.async_session:AsyncSession.send", _REQUEST, _STREAM, _TIMEOUT, optional=True)
def session_send(
    probe: Probe, library: str, session: Any, prepared: object, stream: object, timeout: object
) -> End | None:
    request = own = probe.in_flight()
    begun = None
    # Also where a subclass overrides this, and redirects come by.
    if own is not None and own.client is session:
        known = own.known
        own.reached(CLIENT, limits(timeout))
    else:
        known = probe.known(session) or _seen(probe, library, session)
        own = begun = probe.begin(session, known, library, _PREPARED, (prepared,), limits(timeout))
    if own is not None:
        # requests has read what it does not stream, whatever a mock says of its connection.
        own.streams = getattr(session, "stream", False) if stream is None else stream
        if not own.counted:  # as it is sent: a session may add to what the user said
            own.manner, own.arguments = _PREPARED, (prepared,)
    probe.sent(known, own or request)
    if own is not None:
        own.counted = True
    return None if begun is None else begun.end


def _seen(probe: Probe, library: str, session: object) -> Known | None:
    """A copy, an unpickled session, or one of a subclass that skips ``__init__``, is seen for the first time."""
    return None if probe.is_transient(session) else _first_seen(probe, library, session)


def _first_seen(probe: Probe, library: str, session: object) -> Known | None:
    known = probe.opened(session, "session", library)
    probe.adopted(session, _managers(session))
    return known


def _over(request: InFlight, _: object, __: BaseException | None) -> None:
    """Adapters may have been put there, or have made the pools of proxies."""
    if request.recorder.may_adopt(request.known):
        request.recorder.adopted(request.client, _managers(request.client))


def _said(_: object, method: object, url: object) -> tuple[object, object]:
    return method, url


def _said_by(_: object, prepared: object) -> tuple[object, object]:
    return getattr(prepared, "method", None) or "", getattr(prepared, "url", None) or ""


_CALLED, _PREPARED = Manner(_said, over=_over), Manner(_said_by, over=_over)


@instrumentation.after("requests.sessions:Session.close", vital=("session",))
@instrumentation.after("requests.async_session:AsyncSession.close", vital=("session",), optional=True)
def session_closed(probe: Probe, call: Call) -> None:
    session = call.instance
    if probe.is_transient(session):
        probe.transient_is_over(session)
        return
    probe.adopted(session, _managers(session))  # as they are now: adapters may have been put there without a word
    probe.closed(session)


@instrumentation.before("requests.adapters:HTTPAdapter.send", _TIMEOUT._replace(position=2))
@instrumentation.before("requests.adapters:AsyncHTTPAdapter.send", _TIMEOUT._replace(position=2), optional=True)
def adapter_send(probe: Probe, library: str, adapter: Any, timeout: object) -> None:
    request = probe.in_flight()
    if request is not None:
        request.reached(ADAPTER, limits(timeout))


def _managers(session: object) -> list[object]:
    """The pool managers of a session's adapters, also those for proxies, and the pools for Unix sockets."""
    managers: list[object] = []
    for adapter in list(getattr(session, "adapters", {}).values()):
        attributes = getattr(adapter, "__dict__", {})
        if "poolmanager" in attributes:
            managers.append(attributes["poolmanager"])
        if attributes.get("proxy_manager"):
            managers += list(attributes["proxy_manager"].values())
        if "pools" in attributes:
            # docker's and requests-unixsocket's; their mapping has no other way to look without using it.
            managers += list(getattr(attributes["pools"], "_container", {}).values())
    return managers
