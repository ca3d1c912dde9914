"""Which findings fail the run, and why the others do not.  Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from . import fingerprint, origin
from .habits import habit
from .model import Finding, Owner, Status
from .settings import Ignore, Local, Settings


def triage(
    findings: Iterable[Finding],
    local: Mapping[Owner, Local],
    settings: Settings,
    root: str,
    is_known: Callable[[str], bool] = lambda _: False,
) -> tuple[tuple[Finding, ...], frozenset[Ignore]]:
    """The findings with their status and level, and the ignores that were of use.

    Args:
        findings: what the rules found.
        local: what markers say, by owner.
        settings: of the run.
        root: the directory to which paths are relative.
        is_known: whether the baseline has this fingerprint.
    """
    default = Local(None, settings.ignores)
    used: set[Ignore] = set()
    sorted_out: list[Finding] = []
    for finding in findings:
        here = local.get(finding.owner, default)
        level = here.mode or settings.level(finding.kind)
        if level == "off" or _is_tooling(finding):
            continue
        names = origin.names((*finding.origin.inner, *finding.origin.stack), root)
        matching = [ignore for ignore in here.ignores if ignore.matches(finding.kind, names)]
        used.update(matching)
        status, reason = _status(finding, matching, names, settings)
        if status == "leak" and is_known(fingerprint.of(finding, root)):
            status = "baseline"
        sorted_out.append(finding._replace(status=status, level=level, reason=reason))
    return tuple(sorted_out), frozenset(used)


def _is_tooling(finding: Finding) -> bool:
    """Whether pytest and its plugins opened it for themselves: outside of any test, by no line of the user's."""
    place = finding.origin.place
    return finding.owner.scope == "process" and not (place is not None and place.user)


def _status(
    finding: Finding, matching: Sequence[Ignore], names: frozenset[str], settings: Settings
) -> tuple[Status, str | None]:
    known = habit(finding.kind, names | {finding.object})
    if matching:
        return "ignored", matching[0].reason
    if known is not None and settings.library == "list":
        return "library", f"{known.reason} ({known.link})"
    if finding.owner.scope == "process" and finding.status == "leak":
        return "shared", "made outside of any test: it lives as long as the process"
    return finding.status, finding.reason
