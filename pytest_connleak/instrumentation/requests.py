"""requests 2.28 and later: sessions, and the timeout as it passes from the session to its adapter.

Its copies and forks are described by the same words; what is asynchronous, only niquests has.
Followed sources: ``requests/sessions.py`` and ``requests/adapters.py``.
"""

from __future__ import annotations

from functools import partial

from ..model import Advice
from ..recorder import ADAPTER, CLIENT, UNKNOWN
from ..timeouts import limits
from .interface import Call, End, Instrumentation, Probe

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


@instrumentation.after("requests.sessions:Session.__init__")
@instrumentation.after("requests.async_session:AsyncSession.__init__", optional=True)
def session_opened(probe: Probe, call: Call) -> None:
    session = call.instance
    probe.opened(session, "session", call.library)
    probe.adopted(session, _managers(session))


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


@instrumentation.before("requests.sessions:Session.request")
@instrumentation.before("requests.async_session:AsyncSession.request", optional=True)
def session_request(probe: Probe, call: Call) -> End | None:
    """The user's call begins here, unless it is one of ``send``, where its limits are known."""
    probe.opened(call.instance, "session", call.library)
    begun = probe.begin(call, _said, UNKNOWN)
    return None if begun is None else partial(probe.end, begun)


def _said(call: Call) -> tuple[object, object]:
    return call.argument(0, "method", ""), call.argument(1, "url", "")


# requests-mock calls the method that it found when it was imported, which may have been before this was patched.
@instrumentation.before("requests_mock.mocker:_original_send")
@instrumentation.before("requests.sessions:Session.send")
@instrumentation.before("requests.async_session:AsyncSession.send", optional=True)
def session_send(probe: Probe, call: Call) -> End | None:
    session = call.instance
    # A copy, an unpickled session and a subclass that skips __init__ are seen here for the first time.
    known = probe.opened(session, "session", call.library)
    effective = limits(call.kwargs.get("timeout"))
    begun, own = None, probe.request_of(known)
    if own is not None:  # also where a subclass overrides this, and redirects come by
        own.reached(CLIENT, effective)
    else:
        begun = probe.begin(call, _prepared, effective)
        own = probe.request_of(known)
    if own is not None and not own.counted:
        own.call, own.said = call, _prepared  # as it is sent: a session may add to what the user said
    if probe.may_adopt(known):  # adapters may have been mounted
        probe.adopted(session, _managers(session))
    probe.sent(known)

    def ended(result: object, error: BaseException | None) -> None:
        if probe.may_adopt(known):  # an adapter makes the pools of its proxies when it needs them
            probe.adopted(session, _managers(session))
        if own is not None and not call.kwargs.get("stream", getattr(session, "stream", False)):
            own.responses.clear()  # requests has read them, whatever a mock says of its connection
        probe.end(begun, result, error)

    return ended


def _prepared(call: Call) -> tuple[object, object]:
    prepared = call.argument(0, "request")
    return getattr(prepared, "method", None) or "", getattr(prepared, "url", None) or ""


@instrumentation.after("requests.sessions:Session.close", vital=("session",))
@instrumentation.after("requests.async_session:AsyncSession.close", vital=("session",), optional=True)
def session_closed(probe: Probe, call: Call) -> None:
    session = call.instance
    probe.adopted(session, _managers(session))
    probe.closed(session)


@instrumentation.before("requests.adapters:HTTPAdapter.send")
@instrumentation.before("requests.adapters:AsyncHTTPAdapter.send", optional=True)
def adapter_send(probe: Probe, call: Call) -> None:
    request = probe.in_flight
    if request is not None:
        request.reached(ADAPTER, limits(call.argument(2, "timeout")))


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
