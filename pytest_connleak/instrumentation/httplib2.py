"""httplib2 0.22 and later: ``Http`` objects, which keep their connections, and the timeout that they were made with.

Followed source: ``httplib2/__init__.py`` (``request``: one call of the user, with its redirects; a timeout of None
leaves it to :func:`socket.setdefaulttimeout`).
"""

from __future__ import annotations

import socket
from functools import partial

from ..model import Advice, Limits
from .interface import Call, End, Instrumentation, Probe

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


@instrumentation.before("httplib2:Http.request")
def request(probe: Probe, call: Call) -> End | None:
    known = probe.opened(call.instance, "session", call.library)
    limited = call.instance.timeout is not None or socket.getdefaulttimeout() is not None
    begun = probe.begin(call, _said, Limits.of(limited, limited))
    probe.sent(known)
    if begun is None:
        return None
    begun.pool = None if known is None else known.id
    return partial(probe.end, begun)


def _said(call: Call) -> tuple[object, object]:
    return call.argument(1, "method", "GET"), call.argument(0, "uri", "")
