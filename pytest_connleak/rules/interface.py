"""What a rule is: it looks at evidence and yields findings, and knows nothing else.

A rule's file declares a :class:`Rule` and decorates its check::

    rule = Rule(__name__, title="a session that nobody closed")

    @rule.check
    def check(evidence, settings): ...
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from ..model import Advice, Evidence, Finding, Frame, Tracked
from ..settings import Require, Settings

Check = Callable[[Evidence, Settings], Iterator[Finding]]


@dataclass(slots=True)
class Rule:
    """A kind of finding.

    Attributes:
        kind: its name, made of the name of the module.
        title: what it finds, in a few words.

    Beside the file of the rule lies its page, in Markdown, for whoever has never heard of it: a heading, what it is in
    one paragraph, and then the rest.
    """

    module: str
    title: str
    run: Check = field(init=False)

    @property
    def kind(self) -> str:
        return self.module.rpartition(".")[2].replace("_", "-")

    def check(self, function: Check) -> Check:
        """Use the decorated function for this rule."""
        self.run = function
        return function

    def finding(self, tracked: Tracked, message: str, help: str) -> Finding:
        """A finding about a resource."""
        return Finding(
            self.kind,
            tracked.name,
            message,
            help,
            tracked.origin,
            tracked.owner,
            tracked.nodeid or None,
            connections=tracked.connections,
            held_by=tracked.held_by,
            held_path=tracked.held_path,
            status="shared" if tracked.shared else "leak",
            resource=tracked.id,
        )


def counts(tracked: Tracked, require: Require | None) -> bool:
    """Whether an unclosed session or pool is a finding, used or not.

    Who writes ``Session()`` can write ``with``; what a library made for its user counts once it was used.
    """
    required = require or ("used" if tracked.by_library else "always")
    if required == "connected":
        return tracked.connected > 0
    return required == "always" or tracked.requests > 0


def how_to_close(tracked: Tracked, template: str, advice: Advice) -> str:
    """How to close a session or a pool where it was made, as code; ``template`` is for the usual case."""
    if tracked.by_library and tracked.origin.called is not None:
        return f"close what {public_name(tracked.origin.called)}() made for you, or use it in a with block"
    name = tracked.name if tracked.name.count(".") == 1 else tracked.name.rpartition(".")[2]
    variable = tracked.kind
    asynchronous = "async" in tracked.traits
    place = tracked.origin.place
    if place is not None and place.function.endswith("__init__"):
        if asynchronous:
            return f"async def aclose(self):  # for whoever made it\n    await self.{variable}.{advice.aclose}()"
        return f"def close(self):  # and whoever makes it: with contextlib.closing(...)\n    self.{variable}.close()"
    body = f"yield {variable}" if tracked.owner.scope in ("class", "module", "package", "session") else "..."
    return awaited(template.format(name=name, body=body), asynchronous=asynchronous)


def public_name(frame: Frame) -> str:
    """``websocket.create_connection`` for ``websocket._core.create_connection``; ``ftplib.FTP`` for its constructor."""
    parts = f"{frame.module}.{frame.function}".removesuffix(".__init__").split(".")
    return ".".join(part for part in parts if not part.startswith("_"))


def awaited(code: str, *, asynchronous: bool) -> str:
    """``async with`` where the object is of that kind."""
    return f"async {code}" if asynchronous and code.startswith("with ") else code


def fate(tracked: Tracked) -> str:
    """What became of it, for the message."""
    return "still open" if tracked.alive else "dropped without being closed"


def usage(tracked: Tracked) -> str:
    """How much it was used, for the message."""
    if not tracked.requests:
        return "it sent no request"
    requests = f"it sent {tracked.requests} request{'s' * (tracked.requests != 1)}"
    connections = f"{tracked.connected} connection{'s' * (tracked.connected != 1)}"
    return f"{requests} over {connections}"
