"""What the suite must be told of a library.

The methods are the user's code: a finding must name the line in them, so each keeps to one call of the library.
They may all be coroutine functions, for an asynchronous library.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, ClassVar

from pytest_connleak.model import ResourceKind
from servers import Server


class Library:
    """A library, or one of the ways to use it."""

    instrumentation: ClassVar[str]
    """The file below ``instrumentation/``; empty if the sockets alone tell all."""
    meter: ClassVar[str] = ""
    """The file below ``meters/``; empty if its connections are not counted."""
    kind: ClassVar[ResourceKind] = "session"
    """What an unclosed client is."""
    object: ClassVar[str]
    """What a finding calls an unclosed client."""
    response: ClassVar[str] = ""
    """What a finding calls an unclosed response."""
    server: ClassVar[str] = "server"
    """The fixture of the server that it talks to."""
    backends: ClassVar[tuple[str, ...]] = ()
    """The event loops that it runs on, as anyio calls them; none for what does not wait for anything."""
    reopens: ClassVar[bool] = False
    """Whether a closed client that is used again opens connections again."""
    connects: ClassVar[bool] = False
    """Whether a client is connected as soon as it is opened."""
    lives_on: ClassVar[bool] = False
    """Whether a client that is dropped is kept alive by a thread of its own."""
    refused: ClassVar[tuple[type[Exception], ...]] = (OSError,)
    """What is raised where nobody listens."""
    limits: ClassVar[tuple[Any, ...]] = ()
    """Timeouts that limit both the connecting and the reading."""
    no_limits: ClassVar[tuple[Any, ...]] = ()
    """Timeouts that leave one of them, or both, without a limit."""

    def open(self, server: Server) -> Any:
        """A new client."""
        raise NotImplementedError

    def close(self, client: Any) -> Any:
        """Close it."""
        raise NotImplementedError

    def block(self, server: Server) -> AbstractContextManager[Any] | AbstractAsyncContextManager[Any]:
        """A new client for a ``with`` block, or an ``async with`` block."""
        raise NotImplementedError

    def send(self, client: Any, url: str) -> Any:
        """Send a request, with a limit of time, and read the answer."""
        raise NotImplementedError

    def send_within(self, client: Any, url: str, limit: Any) -> Any:
        """Send a request with one of the limits above, and read the answer."""
        raise NotImplementedError

    def sending(self, client: Any, url: str) -> Any:
        """An awaitable that sends a request without a limit, in which nothing of the user's runs."""
        raise NotImplementedError

    def stream(self, client: Any, url: str) -> Any:
        """Send a request, and return its response before it is read."""
        raise NotImplementedError

    def read(self, response: Any) -> Any:
        """Read a streamed response to its end."""
        raise NotImplementedError

    def close_response(self, response: Any) -> Any:
        """Close a streamed response."""
        raise NotImplementedError

    def has(self, need: str) -> bool:
        """Whether it has a method above, can be used by "threads", dies of "dropping", can be "refused" when open.

        Of its connections: whether they are "counted", and, for it talks to nginx, whether they need no TLS ("plain").
        """
        if need == "threads":
            return not self.backends
        if need == "dropping":
            return not self.lives_on
        if need == "counted":
            return bool(self.meter)
        if need == "plain":
            return self.server == "server"
        if need == "refused":
            return self.kind != "socket"
        return getattr(type(self), need) is not getattr(Library, need)

    def __repr__(self) -> str:
        return f"{type(self).__module__.rpartition('.')[2]}.{type(self).__name__}"
