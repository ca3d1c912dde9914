"""A request that waits without a limit for the connection, or for the answer."""

from __future__ import annotations

from collections.abc import Iterator

from ..model import Evidence, Finding, Limits, Owner, Request
from ..remedy import limit
from ..settings import Settings
from .interface import Rule

rule = Rule(__name__, title="a request without a timeout")


@rule.check
def check(evidence: Evidence, settings: Settings) -> Iterator[Finding]:
    """One finding per call site and test; a count says how often."""
    sites: dict[tuple[Owner, str, int, str], list[Request]] = {}
    for request in evidence.requests:
        place = request.origin.place
        if place is not None:
            sites.setdefault((request.owner, place.path, place.line, place.function), []).append(request)
    for requests in sites.values():
        first = requests[0]
        yield Finding(
            rule.kind,
            first.name,
            f"{first.method} {first.url} was sent without a timeout for {_missing(first.limits)}",
            limit(first, evidence.advice_of(first.library).timeout),
            first.origin,
            first.owner,
            first.nodeid or None,
            count=len(requests),
        )


def _missing(limits: Limits) -> str:
    parts = [*["connecting"] * (not limits.connect), *["reading the answer"] * (not limits.read)]
    return " or ".join(parts)
