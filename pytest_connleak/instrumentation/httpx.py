"""httpx 0.24 and later, and httpx2, which goes on from there: clients, sync and async.

Their connections, responses and timeouts are httpcore's.

Followed sources: ``httpx/_client.py`` (``send``: one call of the user, with its redirects and its authentication,
all of whose responses are in the ``history`` of the last), ``httpx/_transports/default.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ..in_flight import ADAPTER, CONNECTION, UNKNOWN, InFlight, Manner
from ..model import ASYNC, Advice
from ..recorder import Known
from ..timeouts import limits_by_kind
from .interface import Argument, Call, End, Instrumentation, Probe

instrumentation = Instrumentation(
    "httpx",
    "httpx",
    copies=("httpx2",),
    advice={
        name: Advice(
            response='with client.stream("GET", url) as response:\n    ...',
            timeout=f"timeout=10  # seconds; give it to this call, or to the client; or {name}.Timeout(10, read=60)",
        )
        for name in ("httpx", "httpx2")
    },
)


def _said(_: object, request: object) -> tuple[object, object]:
    return getattr(request, "method", ""), getattr(request, "url", "")


def _over(request: InFlight, response: object, error: BaseException | None) -> None:
    probe = request.recorder
    if request.layer < CONNECTION:
        _mocked(request, request.library, response, error)
    known = request.known
    # Transports may make their pools when they need them; may_adopt() would be one call more.
    if known is not None and known.adopted_at != probe.count_opened:
        probe.adopted(request.client, _pools(request.client))


_SYNC, _ASYNC = Manner(_said, over=_over), Manner(_said, traits=ASYNC, over=_over)


# --- clients ------------------------------------------------------------------------------------------


@instrumentation.before("httpx._client:Client.__init__")
def client_opened(probe: Probe, library: str, client: object) -> End:
    return probe.making(lambda: _first_seen(probe, library, client, _SYNC))


@instrumentation.before("httpx._client:AsyncClient.__init__")
def async_client_opened(probe: Probe, library: str, client: object) -> End:
    return probe.making(lambda: _first_seen(probe, library, client, _ASYNC))


def _first_seen(probe: Probe, library: str, client: object, manner: Manner) -> Known | None:
    known = probe.opened(client, "session", library, traits=manner.traits)
    probe.adopted(client, _pools(client))
    return known


@instrumentation.after("httpx._client:Client.close", vital=("session",))
@instrumentation.after("httpx._client:Client.__exit__", vital=("session",))
@instrumentation.after("httpx._client:AsyncClient.aclose", vital=("session",))
@instrumentation.after("httpx._client:AsyncClient.__aexit__", vital=("session",))
# It is a Client, and leaves its block without a word to that.
@instrumentation.after("starlette.testclient:TestClient.__exit__")
def client_closed(probe: Probe, call: Call) -> None:
    probe.adopted(call.instance, _pools(call.instance))
    probe.closed(call.instance)


def _pools(client: object) -> Iterator[object]:
    """The connection pools of a client's transports, those of its proxies and mounts among them."""
    transports = [getattr(client, "_transport", None), *getattr(client, "_mounts", {}).values()]
    return (transport._pool for transport in transports if hasattr(transport, "_pool"))


# --- requests -----------------------------------------------------------------------------------------


def _sends(manner: Manner) -> Callable[..., End]:
    """What is told of ``send()``; to find out each time which kind of client it is would cost more than the rest."""

    def send(probe: Probe, library: str, client: Any, request: object) -> End:
        known = probe.known(client) or _first_seen(probe, library, client, manner)
        begun = probe.begin(client, known, library, manner, (request,), UNKNOWN)
        sending = begun or probe.in_flight()
        # A closed client refuses the request; so does the copy of one.
        if known is not None and not ((known.closed_at or not known.run) and client.is_closed):
            probe.sent(known, sending)
        if begun is not None:
            return begun.end

        def ended(result: object, error: BaseException | None) -> None:
            if sending is not None and sending.layer < CONNECTION:
                _mocked(sending, library, result, error)
            if probe.may_adopt(known):
                probe.adopted(client, _pools(client))

        return ended

    return send


_REQUEST = Argument("request", 0)
instrumentation.before("httpx._client:Client.send", _REQUEST)(_sends(_SYNC))
instrumentation.before("httpx._client:AsyncClient.send", _REQUEST)(_sends(_ASYNC))


def _mocked(sending: InFlight, library: str, response: object, error: BaseException | None) -> None:
    """What never came to httpcore, which sees the timeouts otherwise: the request, and those of an authentication.

    What was sent before an error came is still in the variables of the functions that it came through.
    """
    answered = [response, *_listed(getattr(response, "history", None))]
    sent = []
    step = error.__traceback__ if error is not None else None
    while step is not None:
        frame, step = step.tb_frame, step.tb_next
        if frame.f_globals.get("__name__") == f"{library}._client":
            if frame.f_code.co_name == "_send_single_request":
                sent.append(frame.f_locals.get("request"))
            answered += [frame.f_locals.get("response"), *_listed(frame.f_locals.get("history"))]
    for request in sent + [getattr(each, "_request", None) for each in answered]:
        extensions = getattr(request, "extensions", None)
        if isinstance(extensions, dict):
            sending.reached(ADAPTER, limits_by_kind(extensions))


def _listed(value: object) -> list[object]:
    """A list; a mock may have put anything in its place."""
    return value if type(value) is list else []
