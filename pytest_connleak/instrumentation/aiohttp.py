"""aiohttp 3.9 and later: client sessions, their connectors, responses and WebSockets, timeouts.

A WebSocket is a response that goes on: it is the ``ClientResponse`` of its upgrade which holds the connection, until
``ClientWebSocketResponse.close()`` closes that.  Followed sources: ``aiohttp/client.py`` (``_request``: one call of
the user, with its redirects), ``aiohttp/connector.py`` (``connect``: the timeout in effect),
``aiohttp/client_reqrep.py``.
"""

from __future__ import annotations

from collections.abc import Generator
from enum import Enum
from typing import Any

from ..in_flight import Borrowed, InFlight, Manner
from ..model import ASYNC, LIMITED, Advice, Limits
from .interface import Argument, Call, End, Instrumentation, Outcome, Probe, leave_no_trace

instrumentation = Instrumentation(
    "aiohttp",
    "aiohttp",
    advice={
        "aiohttp": Advice(
            response="with {call}(...) as {variable}:\n    ...",
            aclose="close",
            timeout="timeout=aiohttp.ClientTimeout(total=10)  # seconds; give it to this call, or to the ClientSession",
        )
    },
)


# --- sessions and connectors --------------------------------------------------------------------------


@instrumentation.after("aiohttp.connector:BaseConnector.__init__")
def connector_opened(probe: Probe, call: Call) -> None:
    probe.opened(call.instance, "pool", call.library, traits=ASYNC)
    leave_no_trace(call.instance)


@instrumentation.after("aiohttp.connector:BaseConnector.close", vital=("session", "pool"))
@instrumentation.after("aiohttp.connector:BaseConnector.__exit__", vital=("session", "pool"))
def connector_closed(probe: Probe, call: Call) -> None:
    """In its finalizer a connector closes its connections, too, but not by this."""
    probe.closed(call.instance)


@instrumentation.before("aiohttp.client:ClientSession.__init__")
def session_opened(probe: Probe, library: str, session: Any) -> End:
    def opened() -> None:
        probe.opened(session, "session", library, traits=ASYNC)
        leave_no_trace(session)
        _adopt_connector(probe, session)

    return probe.making(opened)


@instrumentation.after("aiohttp.client:ClientSession.close", vital=("session",))
def session_closed(probe: Probe, call: Call) -> None:
    probe.closed(call.instance)


@instrumentation.around("aiohttp.client:ClientSession.detach")
def session_detached(probe: Probe, call: Call) -> Generator[None, Outcome, None]:
    """The session is closed, and its connector goes on without it."""
    connector = call.instance.connector
    yield
    probe.disowned(connector)
    probe.closed(call.instance)


def _adopt_connector(probe: Probe, session: Any) -> None:
    if session.connector is not None and session.connector_owner:
        probe.adopted(session, [session.connector])


# --- requests -----------------------------------------------------------------------------------------


_UNSET = object()
_METHOD, _URL, _TIMEOUT = Argument("method", 0, ""), Argument("str_or_url", 1, ""), Argument("timeout", None, _UNSET)


@instrumentation.before("aiohttp.client:ClientSession._request", _METHOD, _URL, _TIMEOUT)
def request(probe: Probe, library: str, session: Any, method: object, url: object, timeout: object) -> End:
    # Not given, or their mark for that.
    effective = _limits(session.timeout if timeout is _UNSET or isinstance(timeout, Enum) else timeout)
    known = probe.known(session) or probe.opened(session, "session", library, traits=ASYNC)
    begun = probe.begin(session, known, library, _REQUEST, (method, url), effective)
    sending = begun or probe.in_flight()
    if not session.closed:  # a closed session refuses the request
        probe.sent(known, sending)
        if probe.may_adopt(known):
            _adopt_connector(probe, session)
        if not session.connector_owner:
            # A fake is not known: nobody could see it being closed.
            probe.sent(probe.known(session.connector), sending, counts=begun is not None)

    if begun is not None:
        return begun.end

    def ended(result: object, error: BaseException | None) -> None:
        if sending is not None and error is None and not sending.over:
            _over(sending, result, error)

    return ended


# aioresponses puts this in the place of ClientSession._request; the session comes first, where its own self was.
@instrumentation.before(
    "aioresponses.core:aioresponses._request_mock",
    Argument("orig_self", 0),
    Argument("method", 1, ""),
    Argument("url", 2, ""),
    _TIMEOUT,
)
def mocked_request(
    probe: Probe, library: str, _: object, session: Any, method: object, url: object, timeout: object
) -> End | None:
    return request(probe, library, session, method, url, timeout)


@instrumentation.before("aiohttp.client:ClientSession._ws_connect", Argument("url", 0, ""))
def websocket_request(probe: Probe, library: str, session: Any, url: object) -> End | None:
    known = probe.known(session)
    begun = probe.begin(session, known, library, _WEBSOCKET, ("GET", url), _limits(session.timeout))
    return None if begun is None else begun.end


def _said(_: object, method: object, url: object) -> tuple[object, object]:
    return method, url


def _over(request: InFlight, response: object, _: BaseException | None) -> None:
    request.responses += ((response, _borrowed_by),)


_REQUEST = Manner(_said, "ClientResponse", ASYNC, _over)
_WEBSOCKET = Manner(_said, "ClientWebSocketResponse", ASYNC)


@instrumentation.before("aiohttp.connector:BaseConnector.connect", Argument("timeout", 2))
def connect(probe: Probe, library: str, connector: Any, timeout: object) -> End | None:
    request = probe.in_flight()
    known = probe.known(connector) or probe.opened(connector, "pool", library, traits=ASYNC)
    if request is None or request.over:
        probe.sent(known, None)
        return None
    return probe.passes(request, known, _limits(timeout))


def _limits(timeout: Any) -> Limits:
    """What a ``ClientTimeout``, or a number for its total, limits; 0 and None limit nothing."""
    if getattr(timeout, "total", None):
        return LIMITED
    if not hasattr(timeout, "sock_read"):
        return Limits.of(bool(timeout), bool(timeout))
    return Limits.of(bool(timeout.connect or timeout.sock_connect), bool(timeout.sock_read))


# --- responses ----------------------------------------------------------------------------------------


@instrumentation.after("aiohttp.client_reqrep:ClientResponse.close", vital=("response",), when="responses")
def response_closed(probe: Probe, call: Call) -> None:
    probe.closed(call.instance)


@instrumentation.after("aiohttp.client_reqrep:ClientResponse.release", vital=("response",), when="responses")
def response_released(probe: Probe, call: Call) -> None:
    probe.released(call.instance)


@instrumentation.after("aiohttp.client_reqrep:ClientResponse._response_eof", vital=("response",), when="responses")
def response_ended(probe: Probe, call: Call) -> None:
    """All has arrived; but where the connection was upgraded, this only ends the answer's headers."""
    if call.instance.closed:
        probe.released(call.instance)


def _borrowed_by(response: Any) -> Borrowed | None:
    connection = response.connection
    if response.closed or connection is None:
        return None
    transport = connection.transport
    return Borrowed(response, None, transport and transport.get_extra_info("socket"))
