"""httpx 0.24 and later, and httpx2, which goes on from there: clients, sync and async.

Their connections, responses and timeouts are httpcore's.

Followed sources: ``httpx/_client.py`` (``send``: one call of the user, with its redirects and its authentication;
``_send_single_request``: the timeout that is passed to the transport, mocked or not), ``httpx/_transports/default.py``.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..model import ASYNC, Advice, Limits
from ..recorder import ADAPTER, UNKNOWN
from .interface import Call, End, Instrumentation, Probe

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


@instrumentation.after("httpx._client:Client.__init__")
@instrumentation.after("httpx._client:AsyncClient.__init__")
def client_opened(probe: Probe, call: Call) -> None:
    probe.opened(call.instance, "session", call.library, traits=_traits(call.instance))
    probe.adopted(call.instance, _pools(call.instance))


@instrumentation.after("httpx._client:Client.close", vital=("session",))
@instrumentation.after("httpx._client:Client.__exit__", vital=("session",))
@instrumentation.after("httpx._client:AsyncClient.aclose", vital=("session",))
@instrumentation.after("httpx._client:AsyncClient.__aexit__", vital=("session",))
# It is a Client, and leaves its block without a word to that.
@instrumentation.after("starlette.testclient:TestClient.__exit__")
def client_closed(probe: Probe, call: Call) -> None:
    probe.adopted(call.instance, _pools(call.instance))
    probe.closed(call.instance)


@instrumentation.before("httpx._client:Client.send")
@instrumentation.before("httpx._client:AsyncClient.send")
def send(probe: Probe, call: Call) -> End:
    client = call.instance
    traits = _traits(client)
    known = probe.opened(client, "session", call.library, traits=traits)
    begun = probe.begin(call, _said, UNKNOWN, traits=traits)
    if not client.is_closed:  # a closed client refuses the request
        probe.sent(known)

    def ended(result: object, error: BaseException | None) -> None:
        if probe.may_adopt(known):  # transports may make their pools when they need them
            probe.adopted(client, _pools(client))
        probe.end(begun, result, error)

    return ended


def _said(call: Call) -> tuple[object, object]:
    request = call.argument(0, "request")
    return getattr(request, "method", ""), getattr(request, "url", "")


@instrumentation.before("httpx._client:Client._send_single_request")
@instrumentation.before("httpx._client:AsyncClient._send_single_request")
def send_single_request(probe: Probe, call: Call) -> None:
    sending = probe.in_flight
    if sending is not None:
        timeout = call.argument(0, "request").extensions.get("timeout", {})
        sending.reached(ADAPTER, Limits.of(timeout.get("connect") is not None, timeout.get("read") is not None))


def _traits(client: object) -> frozenset[str]:
    return ASYNC if hasattr(client, "aclose") else frozenset()


def _pools(client: object) -> Iterator[object]:
    """The connection pools of a client's transports, those of its proxies and mounts among them."""
    transports = [getattr(client, "_transport", None), *getattr(client, "_mounts", {}).values()]
    return (transport._pool for transport in transports if hasattr(transport, "_pool"))
