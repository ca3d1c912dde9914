"""httplib2 0.22 and later: ``Http`` objects, which keep their connections, and the timeout that they were made with.

Followed source: ``httplib2/__init__.py`` (``request``: one call of the user, with its redirects; a timeout of None
leaves it to :func:`socket.setdefaulttimeout`).
"""

from __future__ import annotations

import socket
from typing import Any

from ..in_flight import Manner
from ..model import Advice, Limits
from .interface import Argument, Call, End, Instrumentation, Probe

instrumentation = Instrumentation(
    "httplib2",
    "httplib2",
    advice={
        "httplib2": Advice(
            session="with contextlib.closing({name}(...)) as {variable}:\n    {body}",
            timeout="httplib2.Http(timeout=10)  # seconds; request() takes none",
        )
    },
)


@instrumentation.after("httplib2:Http.__init__")
def http_opened(probe: Probe, call: Call) -> None:
    probe.opened(call.instance, "session", call.library)


@instrumentation.after("httplib2:Http.close", vital=("session",))
def http_closed(probe: Probe, call: Call) -> None:
    probe.closed(call.instance)


@instrumentation.before("httplib2:Http.request", Argument("method", 1, "GET"), Argument("uri", 0, ""))
def request(probe: Probe, library: str, http: Any, method: object, url: object) -> End | None:
    known = probe.opened(http, "session", library)
    limited = http.timeout is not None or socket.getdefaulttimeout() is not None
    begun = probe.begin(http, known, library, _MANNER, (method, url), Limits.of(limited, limited))
    probe.sent(known, begun or probe.in_flight())
    if begun is None:
        return None
    begun.pool = None if known is None else known.id
    return begun.end


def _said(_: object, method: object, url: object) -> tuple[object, object]:
    return method, url


_MANNER = Manner(_said)
