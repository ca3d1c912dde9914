"""A request under way: one call of the user, as it passes the layers of a client.

The probe begins one, the instrumentations of the layers below say what they see, and when the call is over it is judged
by the lowest layer that was reached.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from .model import LIMITED, Limits

if TYPE_CHECKING:
    from .recorder import Known, Recorder

# The layers that a request passes on its way down; see InFlight.reached.
CLIENT, ADAPTER, CONNECTION = 0, 1, 2
# The limits at a layer where they are not known yet.
UNKNOWN = LIMITED


class Borrowed(NamedTuple):
    """What a response has of its pool: the library's object for a connection, and its socket as far as that is known.

    The response is what has to be closed: the object that the user has, or a part of it.
    """

    response: object
    connection: object
    socket: object


class Manner(NamedTuple):
    """How a client sends."""

    said: Callable[..., tuple[object, object]]
    """Says the method and the URL, given the client and the arguments; asked only of what becomes a finding."""
    response_name: str = "Response"
    traits: frozenset[str] = frozenset()
    """Those of its responses."""
    over: Callable[[InFlight, Any, BaseException | None], None] | None = None
    """Told the request and how it ended, when it is over and has not been judged yet."""


class InFlight:
    """A request under way: one call of the user, with its redirects and retries.

    Attributes:
        recorder: who is told of its end.
        library: the package that the user called.
        client: what the user called; None if it is over.
        known: what is known of that; None where that is nothing, as it wraps what is known, or if it is over.
        manner: how that sends.
        arguments: those by which it says what is sent.
        began: when, on the recorder's clock of calls and closes.
        layer: the lowest layer reached so far.
        limits: those seen there, which are the ones that count.
        pool: the number of the pool at work: it answers for the sockets that are opened meanwhile.
        responses: those of this call, and how to get at the connection that one still has.
        streams: whether the user may be given a response that was not read.
        counted: whether the client has counted it; redirects are not counted.
        delegated: whether the user's code has made another request within this one, and so may have handed it on.
        over: whether it is; tasks and callbacks that were made during a request keep its context, and may outlive it.
    """

    # One is made for every call of the user.  An __init__ would take longer than all else, and most leave these alone.
    pool: int | None = None
    responses: tuple[tuple[object, Callable[[Any], Borrowed | None]], ...] = ()
    streams: object = True
    counted = False
    delegated = False
    over = False

    recorder: Recorder
    library: str
    client: object
    known: Known | None
    manner: Manner
    arguments: tuple[object, ...]
    began: int
    layer: int
    limits: Limits
    outer: InFlight | None

    def reached(self, layer: int, limits: Limits) -> None:
        """Note the limits in effect at a layer."""
        if layer > self.layer:
            self.layer, self.limits = layer, limits
        elif layer == self.layer and limits is not self.limits:
            self.limits = Limits.of(self.limits.connect and limits.connect, self.limits.read and limits.read)

    def forget(self) -> None:
        """It is over, and keeps nothing alive."""
        self.over = True
        self.arguments = self.responses = ()
        self.client = self.known = self.pool = self.outer = None

    def end(self, result: object, error: BaseException | None) -> None:
        """The call is over: judge its limits, and note the responses that still hold a connection."""
        self.over = True
        # A coroutine that was dropped half-way ends in another context.
        if self.outer is not None and current.get() is self:
            current.set(self.outer)
        if self.manner.over is not None:
            self.manner.over(self, result, error)
        if self.limits is not LIMITED:
            self.recorder.unlimited(self, error)
        if self.responses and error is None and self.streams:
            for response, borrowed_by in self.responses:
                borrowed = borrowed_by(response)
                if borrowed is not None and self.client is not None:
                    self.recorder.answered(self, borrowed)
        self.forget()


current: ContextVar[InFlight | None] = ContextVar("connleak_in_flight", default=None)


# What libraries raise before they send anything: of urllib3's pools, and of httpx and httpcore.
_REFUSALS = frozenset(
    {"ClosedPoolError", "EmptyPoolError", "HostChangedError", "InvalidURL", "URLSchemeUnknown", "UnsupportedProtocol"}
)


def was_never_sent(error: BaseException, library: str, layer: int) -> bool:
    """Whether a request came to nothing before it was sent.

    So it is with what the library refuses, and with errors that are neither its own nor the system's: those of the
    user's hooks, or of arguments that do not fit.
    """
    if not _REFUSALS.isdisjoint(cls.__name__ for cls in type(error).__mro__):
        return True
    if layer >= CONNECTION or not isinstance(error, Exception):
        return False
    own = type(error).__module__.partition(".")[0] in (library.partition(".")[0], "httpcore", "urllib3")
    return isinstance(error, (ValueError, TypeError, AttributeError)) or not (own or isinstance(error, OSError))


def public_url(url: str) -> str:
    """A URL without credentials, query string and fragment."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return "(malformed URL)"
    return f"{parts.scheme}://{host}{parts.path}" if parts.scheme else parts.path
