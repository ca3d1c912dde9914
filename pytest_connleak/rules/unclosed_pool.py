"""A connection pool, or a manager of pools, that was not closed by the scope that made it."""

from __future__ import annotations

from collections.abc import Iterator

from ..model import Evidence, Finding
from ..remedy import close_session
from ..settings import Settings
from .interface import Rule, counts, fate, usage

rule = Rule(__name__, title="a connection pool that was not closed")


@rule.check
def check(evidence: Evidence, settings: Settings) -> Iterator[Finding]:
    for pool in evidence.of("pool"):
        if counts(pool, settings.require):
            message = f"{pool.name} {fate(pool)}; {usage(pool)}"
            advice = evidence.advice_of(f"{pool.library}.{pool.name.rpartition('.')[2]}")
            yield rule.finding(pool, message, close_session(pool, advice.pool, advice))
