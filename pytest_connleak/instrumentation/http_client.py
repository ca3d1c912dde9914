"""The standard library's ``http.client``, over which urllib.request and xmlrpc work: responses that were dropped.

Connections are seen as their sockets.  Followed source: ``Lib/http/client.py``.
"""

from __future__ import annotations

import weakref
from collections.abc import Generator
from typing import TYPE_CHECKING

from ..model import Advice
from .interface import Call, Instrumentation, Outcome, Probe

if TYPE_CHECKING:
    import http.client

instrumentation = Instrumentation(
    "http.client",
    advice={
        "http.client": Advice(
            socket="with contextlib.closing(http.client.HTTPConnection(...)) as connection:\n    ..."
        ),
        "urllib.request": Advice(socket="with urllib.request.urlopen(url, timeout=10) as response:\n    ..."),
        "xmlrpc.client": Advice(socket="with xmlrpc.client.ServerProxy(url) as proxy:\n    ..."),
    },
)


# The numbers of the sockets of connections, which forget them when they hand them to a last response.
_sockets: weakref.WeakKeyDictionary[http.client.HTTPConnection, int] = weakref.WeakKeyDictionary()


@instrumentation.after("http.client:HTTPConnection.connect")
def connected(probe: Probe, call: Call) -> None:
    number = probe.find(call.instance.sock)
    if number is not None:
        _sockets[call.instance] = number


@instrumentation.around("http.client:HTTPConnection.close")
def connection_closed(probe: Probe, call: Call) -> Generator[None, Outcome, None]:
    """``getresponse()`` closes a connection that ends with the answer, though the response keeps its socket.

    Who closes the connection after that has done what there is to do.
    """
    forgotten = call.instance.sock is None
    yield
    number = _sockets.pop(call.instance, None) if forgotten else None
    if number is not None:
        probe.closed_with(number)


def _is_finalizing(_: Probe, response: http.client.HTTPResponse) -> bool:
    """io.IOBase closes what is garbage-collected open, and says so first (_io__IOBase finalizer): nobody closed it.

    One that was read to its end has nothing more to close, and one that could not be made has no file.
    """
    return getattr(response, "_finalizing", False) and getattr(response, "fp", None) is not None


@instrumentation.around("http.client:HTTPResponse.close", when=_is_finalizing)
def response_dropped(probe: Probe, call: Call) -> Generator[None, Outcome, None]:
    with probe.finalizing(call.instance):
        yield
