"""requests 2.28 and later: sessions, and the timeout as it passes from the session to its adapter.

Its copies and forks are described by the same words; what is asynchronous, only niquests has.
Followed sources: ``requests/sessions.py`` and ``requests/adapters.py``.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator

from ..model import Advice
from ..recorder import ADAPTER
from ..timeouts import limits
from .interface import Call, Instrumentation, Outcome, Probe

instrumentation = Instrumentation(
    "requests",
    "requests",
    copies=("pip._vendor.requests", "botocore.vendored.requests", "niquests"),
    advice={
        name: Advice(
            response="with session.get(url, stream=True, timeout=10) as response:\n    ...",
            timeout="timeout=10  # or timeout=(connect, read), in seconds",
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


# requests-mock calls the method that it found when it was imported, which may have been before this was patched.
@instrumentation.around("requests_mock.mocker:_original_send")
@instrumentation.around("requests.sessions:Session.send")
@instrumentation.around("requests.async_session:AsyncSession.send", optional=True)
def session_send(probe: Probe, call: Call) -> Generator[None, Outcome, None]:
    session, prepared = call.instance, call.argument(0, "request")
    # A copy, an unpickled session and a subclass that skips __init__ are seen here for the first time.
    probe.opened(session, "session", call.library)
    request = probe.begin(
        session,
        call.library,
        getattr(prepared, "method", None) or "",
        getattr(prepared, "url", None) or "",
        limits(call.kwargs.get("timeout")),
        response_name=f"{call.library}.Response",
    )
    probe.sent(session, first=request is not None)
    outcome = yield
    # Not before: an adapter makes the pools of its proxies when it needs them.
    probe.adopted(session, _managers(session))
    if request is not None and not call.kwargs.get("stream", getattr(session, "stream", False)):
        request.responses.clear()  # requests has read them, whatever a mock says of its connection
    probe.end(request, outcome.error)


@instrumentation.after("requests.sessions:Session.close", ends=("session",))
@instrumentation.after("requests.async_session:AsyncSession.close", ends=("session",), optional=True)
def session_closed(probe: Probe, call: Call) -> None:
    session = call.instance
    probe.adopted(session, _managers(session))
    probe.closed(session)


@instrumentation.around("requests.adapters:HTTPAdapter.send")
@instrumentation.around("requests.adapters:AsyncHTTPAdapter.send", optional=True)
def adapter_send(probe: Probe, call: Call) -> Generator[None, Outcome, None]:
    request = probe.in_flight
    if request is not None:
        request.reached(ADAPTER, limits(call.argument(2, "timeout")))
    yield


def _managers(session: object) -> Iterator[object]:
    """The pool managers of a session's adapters, also those for proxies, and the pools for Unix sockets."""
    for adapter in list(getattr(session, "adapters", {}).values()):
        attributes = getattr(adapter, "__dict__", {})
        if "poolmanager" in attributes:
            yield attributes["poolmanager"]
        yield from list(attributes.get("proxy_manager", {}).values())
        # docker's and requests-unixsocket's; their mapping has no other way to look without using it.
        yield from list(getattr(attributes.get("pools"), "_container", {}).values())
