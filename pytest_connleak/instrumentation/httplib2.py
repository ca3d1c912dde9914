"""httplib2 0.22 and later: ``Http`` objects, which keep their connections, and the timeout that they were made with.

Followed source: ``httplib2/__init__.py`` (``request``: one call of the user, with its redirects; a timeout of None
leaves it to :func:`socket.setdefaulttimeout`).
"""

from __future__ import annotations

import socket
from collections.abc import Generator

from ..model import Advice, Limits
from .interface import Call, Instrumentation, Outcome, Probe

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


@instrumentation.around("httplib2:Http.request")
def request(probe: Probe, call: Call) -> Generator[None, Outcome, None]:
    http, url, method = call.instance, call.argument(0, "uri", ""), call.argument(1, "method", "GET")
    number = probe.opened(http, "session", call.library)
    limited = http.timeout is not None or socket.getdefaulttimeout() is not None
    begun = probe.begin(http, call.library, method, url, Limits.of(limited, limited))
    probe.sent(http)
    if begun is not None:
        begun.pool = number
    outcome = yield
    probe.end(begun, outcome.error)
