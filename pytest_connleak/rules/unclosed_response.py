"""A streamed response that was neither read to its end nor closed: its connection serves nobody else."""

from __future__ import annotations

from collections.abc import Iterator

from ..model import Evidence, Finding
from ..remedy import close_response
from ..settings import Settings
from .interface import Rule, fate

rule = Rule(__name__, title="a streamed response that was neither read to its end nor closed")


@rule.check
def check(evidence: Evidence, settings: Settings) -> Iterator[Finding]:
    for response in evidence.of("response"):
        message = f"{response.name} {fate(response)}: it was not read to its end and keeps its connection"
        advice = evidence.advice_of(response.library)
        yield rule.finding(response, message, close_response(response, advice.response))
