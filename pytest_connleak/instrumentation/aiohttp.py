"""aiohttp 3.9 and later: client sessions, their connectors, responses and WebSockets, timeouts.

A WebSocket is a response that goes on: it is the ``ClientResponse`` of its upgrade which holds the connection, until
``ClientWebSocketResponse.close()`` closes that.  Followed sources: ``aiohttp/client.py`` (``_request``: one call of
the user, with its redirects), ``aiohttp/connector.py`` (``connect``: the timeout in effect),
``aiohttp/client_reqrep.py``.
"""

from __future__ import annotations

from collections.abc import Generator
from enum import Enum
from functools import partial
from typing import Any

from ..model import ASYNC, Advice, Limits
from ..recorder import CONNECTION, Borrowed
from .interface import Call, End, Instrumentation, Outcome, Probe, leave_no_trace

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


@instrumentation.after("aiohttp.client:ClientSession.__init__")
def session_opened(probe: Probe, call: Call) -> None:
    probe.opened(call.instance, "session", call.library, traits=ASYNC)
    leave_no_trace(call.instance)
    _adopt_connector(probe, call.instance)


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


@instrumentation.before("aiohttp.client:ClientSession._request")
def request(probe: Probe, call: Call) -> End:
    session = call.instance
    timeout = call.kwargs.get("timeout", session.timeout)
    effective = _limits(session.timeout if isinstance(timeout, Enum) else timeout)  # their mark for "not given"
    known = probe.opened(session, "session", call.library, traits=ASYNC)
    begun = probe.begin(call, _said, effective, response_name="ClientResponse", traits=ASYNC)
    if not session.closed:  # a closed session refuses the request
        probe.sent(known)
        if probe.may_adopt(known):
            _adopt_connector(probe, session)
        if not session.connector_owner:
            # A fake is not known: nobody could see it being closed.
            probe.sent(probe.known(session.connector), counts=begun is not None)
    sending = probe.in_flight

    def ended(result: object, error: BaseException | None) -> None:
        if sending is not None and error is None:
            sending.responses.append((result, _borrowed_by))
        probe.end(begun, result, error)

    return ended


def _said(call: Call) -> tuple[object, object]:
    return call.argument(0, "method", ""), call.argument(1, "str_or_url", "")


# aioresponses puts this in the place of ClientSession._request; the session comes first, where its own self was.
@instrumentation.before("aioresponses.core:aioresponses._request_mock")
def mocked_request(probe: Probe, call: Call) -> End | None:
    return request(probe, Call(call.library, call.args[0], call.args[1:], call.kwargs))


@instrumentation.before("aiohttp.client:ClientSession._ws_connect")
def websocket_request(probe: Probe, call: Call) -> End | None:
    limited = _limits(call.instance.timeout)
    begun = probe.begin(call, _websocket, limited, response_name="ClientWebSocketResponse", traits=ASYNC)
    return None if begun is None else partial(probe.end, begun)


def _websocket(call: Call) -> tuple[object, object]:
    return "GET", call.argument(0, "url", "")


@instrumentation.before("aiohttp.connector:BaseConnector.connect")
def connect(probe: Probe, call: Call) -> End | None:
    sending = probe.in_flight
    known = probe.opened(call.instance, "pool", call.library, traits=ASYNC)
    probe.sent(known)
    if sending is None:
        return None
    sending.reached(CONNECTION, _limits(call.argument(2, "timeout")))
    request, before = sending, sending.pool
    request.pool = None if known is None else known.id

    def ended(result: object, error: BaseException | None) -> None:
        request.pool = before

    return ended


def _limits(timeout: Any) -> Limits:
    """What a ``ClientTimeout``, or a number for its total, limits; 0 and None limit nothing."""
    if not hasattr(timeout, "sock_read"):
        return Limits.of(bool(timeout), bool(timeout))
    connect = timeout.total or timeout.connect or timeout.sock_connect
    return Limits.of(bool(connect), bool(timeout.total or timeout.sock_read))


# --- responses ----------------------------------------------------------------------------------------


@instrumentation.after("aiohttp.client_reqrep:ClientResponse.close", vital=("response",), when=Probe.knows)
def response_closed(probe: Probe, call: Call) -> None:
    probe.closed(call.instance)


@instrumentation.after("aiohttp.client_reqrep:ClientResponse.release", vital=("response",), when=Probe.knows)
def response_released(probe: Probe, call: Call) -> None:
    probe.released(call.instance)


@instrumentation.after("aiohttp.client_reqrep:ClientResponse._response_eof", vital=("response",), when=Probe.knows)
def response_ended(probe: Probe, call: Call) -> None:
    """All has arrived; but where the connection was upgraded, this only ends the answer's headers."""
    if call.instance.closed:
        probe.released(call.instance)


def _borrowed_by(response: Any) -> Borrowed | None:
    connection = response.connection
    if response.closed or connection is None:
        return None
    transport = connection.transport
    return Borrowed(None, transport and transport.get_extra_info("socket"))
