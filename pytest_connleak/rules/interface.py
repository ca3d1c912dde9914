"""What a rule is: it looks at evidence and yields findings, and knows nothing else.

A rule's file declares a :class:`Rule` and decorates its check::

    rule = Rule(__name__, title="a session that nobody closed")

    @rule.check
    def check(evidence, settings): ...
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from ..model import Evidence, Finding, Tracked
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
