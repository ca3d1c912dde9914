"""Whether a run passes, from the whole of what was found: the findings of all workers, or of all shards.

What a single test leaked is decided in its teardown.  Here is what can only be said at the end: that there is more of a
known finding than the baseline knows, and what of the baseline is fixed.  Pure.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence

from .baseline import VARIANTS, Baseline, Known, Ran, some
from .fingerprint import plain_nodeid
from .report import Entry, Report, Step, Tests, merge, safe

# The findings that a baseline is about.  The others are listed for a reason of their own.
ADOPTABLE = frozenset({"leak", "baseline"})


def decide(report: Report, baseline: Baseline, *, strict: bool) -> None:
    """Give the findings of a run their last status, and note what is fixed and why the run fails.

    Args:
        report: the run; it is changed.
        baseline: the known findings.
        strict: whether the run fails if something is fixed and the baseline still has it.
    """
    seen = seen_in(report)
    excess = baseline.excess(seen)
    report.entries = [
        entry._replace(status="leak", reason=_too_many(entry.fingerprint, seen, baseline))
        if entry.status == "baseline" and entry.fingerprint in excess
        else entry
        for entry in report.entries
    ]
    report.fixed = [*map(safe, baseline.fixed(seen, ran_in(report)))] if baseline.known else []
    failing = {entry.fingerprint for entry in report.failing}
    report.failures = [
        *report.gaps,
        *(f"more of a known finding than before: {known}" for known in excess if known in failing),
    ]
    if strict and report.fixed:
        report.failures.append("the baseline has entries that are fixed; --connleak-prune-baseline removes them")


def join(reports: Sequence[Report], baseline: Baseline | None, *, strict: bool, root: str) -> Report:
    """The report of a run whose tests were shared out, decided as if they had run together.

    Args:
        reports: those of the shards, in their order.
        baseline: the known findings; None leaves the findings as the shards have them.
        strict: as for :func:`decide`.
        root: the directory to which the paths are relative.
    """
    known = Baseline() if baseline is None else baseline
    entries = merge(report.entries for report in reports)
    if baseline is not None:
        entries = [_judged_again(entry, baseline) for entry in entries]
    joined = Report(
        entries=entries,
        faults={part: error for report in reports for part, error in report.faults.items()},
        gaps=[*dict.fromkeys(gap for report in reports for gap in report.gaps)],
        unchecked=[*dict.fromkeys(kind for report in reports for kind in report.unchecked)],
        tests=functools.reduce(Tests.joined, (report.tests for report in reports), Tests()),
        root=root,
        mode=_joined(report.mode for report in reports),
        versions={name: _joined(r.versions.get(name, "") for r in reports) for r in reports for name in r.versions},
        timeline=_timeline(reports),
    )
    decide(joined, known, strict=strict)
    if baseline is None:  # then what the shards decided stands
        joined.fixed = [*dict.fromkeys(fixed for report in reports for fixed in report.fixed)]
        joined.failures = [*dict.fromkeys(failure for report in reports for failure in report.failures)]
    return joined


def _judged_again(entry: Entry, baseline: Baseline) -> Entry:
    if entry.status not in ("leak", "baseline"):
        return entry
    return entry._replace(status="baseline" if baseline.covers(entry.fingerprint) else "leak", reason=None)


def _joined(texts: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(filter(None, texts)))


def _timeline(reports: Sequence[Report]) -> list[Step]:
    """The tests of all shards in the order in which they ended, each with the shard's number in its process."""
    if len(reports) == 1:
        return reports[0].timeline
    steps = [
        step._replace(process=f"shard {number} {step.process}".strip())
        for number, report in enumerate(reports, 1)
        for step in report.timeline
    ]
    return sorted(steps, key=lambda step: step.ended)


def seen_in(report: Report) -> dict[str, Known]:
    """The findings of a run as a baseline would have them."""
    lines: dict[str, set[int | None]] = {}
    tests: dict[str, set[str]] = {}
    for entry in report.entries:
        if entry.status in ADOPTABLE:
            lines.setdefault(entry.fingerprint, set()).add(entry.line)
            tests.setdefault(entry.fingerprint, set()).add(_cause(entry.nodeid or "", entry.scope))
    return {fingerprint: Known(len(lines[fingerprint]), some(tests[fingerprint])) for fingerprint in lines}


def ran_in(report: Report) -> Ran:
    """The tests of a run, as a baseline asks for them: by their nodeids without parameters."""
    tests = report.tests
    others = {plain_nodeid(nodeid) for nodeid in tests.others | tests.left_out}
    return Ran(
        passed=frozenset(map(plain_nodeid, tests.passed)) - others,
        others=frozenset(others),
        whole=tests.whole,
        occurred=frozenset(entry.fingerprint for entry in report.entries),
        unchecked=frozenset(report.unchecked),
    )


def _cause(nodeid: str, scope: str) -> str:
    """The test that caused a finding; of a wider scope any test may be the cause, so its file stands for them."""
    plain = plain_nodeid(nodeid)
    if scope != "function":
        return plain.partition("::")[0]
    return plain if plain == nodeid else plain + VARIANTS


def _too_many(fingerprint: str, seen: dict[str, Known], baseline: Baseline) -> str:
    known = baseline.known.get(fingerprint)
    if known is None:
        return "a test of this file was renamed since the baseline was written, and there is one more like it"
    return f"it is in {seen[fingerprint].lines} lines of this function; the baseline knows {known.lines}"
