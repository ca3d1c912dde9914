"""A streamed response that was neither read to its end nor closed: its connection serves nobody else."""

from __future__ import annotations

from collections.abc import Iterator

from ..model import Evidence, Finding, Tracked
from ..settings import Settings
from .interface import Rule, awaited, fate, public_name

rule = Rule(__name__, title="a streamed response that was neither read to its end nor closed")


@rule.check
def check(evidence: Evidence, settings: Settings) -> Iterator[Finding]:
    for response in evidence.of("response"):
        message = f"{response.name} {fate(response)}: it was not read to its end and keeps its connection"
        yield rule.finding(response, message, _help(response, evidence))


def _help(response: Tracked, evidence: Evidence) -> str:
    if response.by_library and response.origin.called is not None:
        return f"read to its end, or close, what {public_name(response.origin.called)}() gave you"
    advice = evidence.advice_of(response.library).response
    return awaited(advice, asynchronous="async" in response.traits)
