"""The standard library's ``http.client``, over which urllib.request and xmlrpc work: responses that were dropped.

Connections are seen as their sockets.  Followed source: ``Lib/http/client.py``.
"""

from __future__ import annotations

from collections.abc import Generator

from ..model import Advice
from .interface import Call, Instrumentation, Outcome, Probe

instrumentation = Instrumentation(
    "http.client",
    advice={
        "http.client": Advice(
            socket="with contextlib.closing(http.client.HTTPSConnection(host, timeout=10)) as connection:\n    ..."
        ),
        "urllib.request": Advice(socket="with urllib.request.urlopen(url, timeout=10) as response:\n    ..."),
        "xmlrpc.client": Advice(socket="with xmlrpc.client.ServerProxy(url) as proxy:\n    ..."),
    },
)


@instrumentation.around("http.client:HTTPResponse.close")
def response_closed(probe: Probe, call: Call) -> Generator[None, Outcome, None]:
    """io.IOBase closes what is garbage-collected open, and says so first (_io__IOBase finalizer): nobody closed it."""
    if getattr(call.instance, "_finalizing", False):
        with probe.finalizing(call.instance):
            yield
    else:
        yield
