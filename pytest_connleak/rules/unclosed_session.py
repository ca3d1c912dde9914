"""A session that was not closed by the scope that made it."""

from __future__ import annotations

from collections.abc import Iterator

from ..model import Evidence, Finding
from ..remedy import close_session
from ..settings import Settings
from .interface import Rule, counts, fate, usage

rule = Rule(__name__, title="a session that was not closed")


@rule.check
def check(evidence: Evidence, settings: Settings) -> Iterator[Finding]:
    for session in evidence.of("session"):
        if counts(session, settings.require):
            message = f"{session.name} {fate(session)}; {usage(session)}"
            advice = evidence.advice_of(session.library)
            yield rule.finding(session, message, close_session(session, advice.session, advice))
