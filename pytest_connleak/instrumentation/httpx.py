"""httpx 0.24 and later, and httpx2, which goes on from there: clients, sync and async.

Their connections, responses and timeouts are httpcore's.

Followed sources: ``httpx/_client.py`` (``send``: one call of the user, with its redirects and its authentication;
``_send_single_request``: the timeout that is passed to the transport, mocked or not), ``httpx/_transports/default.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..in_flight import ADAPTER, UNKNOWN, Manner
from ..model import ASYNC, Advice
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


@instrumentation.before("httpx._client:Client.__init__")
@instrumentation.before("httpx._client:AsyncClient.__init__")
def client_opened(probe: Probe, library: str, client: Any) -> End:
    def opened() -> None:
        probe.opened(client, "session", library, traits=_manner(client).traits)
        probe.adopted(client, _pools(client))

    return probe.making(opened)


@instrumentation.after("httpx._client:Client.close", vital=("session",))
@instrumentation.after("httpx._client:Client.__exit__", vital=("session",))
@instrumentation.after("httpx._client:AsyncClient.aclose", vital=("session",))
@instrumentation.after("httpx._client:AsyncClient.__aexit__", vital=("session",))
# It is a Client, and leaves its block without a word to that.
@instrumentation.after("starlette.testclient:TestClient.__exit__")
def client_closed(probe: Probe, call: Call) -> None:
    probe.adopted(call.instance, _pools(call.instance))
    probe.closed(call.instance)


_REQUEST = Argument("request", 0)


@instrumentation.before("httpx._client:Client.send", _REQUEST)
@instrumentation.before("httpx._client:AsyncClient.send", _REQUEST)
def send(probe: Probe, library: str, client: Any, request: object) -> End:
    manner = _manner(client)
    known = probe.opened(client, "session", library, traits=manner.traits)
    begun = probe.begin(client, known, library, manner, (request,), UNKNOWN)
    if not client.is_closed:  # a closed client refuses the request
        probe.sent(known, begun or probe.in_flight())

    def ended(result: object, error: BaseException | None) -> None:
        if probe.may_adopt(known):  # transports may make their pools when they need them
            probe.adopted(client, _pools(client))
        if begun is not None:
            begun.end(result, error)

    return ended


@instrumentation.before("httpx._client:Client._send_single_request", _REQUEST)
@instrumentation.before("httpx._client:AsyncClient._send_single_request", _REQUEST)
def send_single_request(probe: Probe, library: str, client: object, request: Any) -> None:
    sending = probe.in_flight()
    if sending is not None:
        sending.reached(ADAPTER, limits_by_kind(request.extensions))


def _said(_: object, request: object) -> tuple[object, object]:
    return getattr(request, "method", ""), getattr(request, "url", "")


_SYNC, _ASYNC = Manner(_said), Manner(_said, traits=ASYNC)


def _manner(client: object) -> Manner:
    return _ASYNC if hasattr(client, "aclose") else _SYNC


def _pools(client: object) -> Iterator[object]:
    """The connection pools of a client's transports, those of its proxies and mounts among them."""
    transports = [getattr(client, "_transport", None), *getattr(client, "_mounts", {}).values()]
    return (transport._pool for transport in transports if hasattr(transport, "_pool"))
