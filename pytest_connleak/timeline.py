"""What was open after each test: noted only where a report draws it.

It is counted where the test runs, and goes with the report of its teardown, as the findings do, to the controller of
pytest-xdist.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest

from .failure import worker_name
from .report import Step, safe

# The attribute of a report of a teardown: how many sockets and how many sessions were open after it.
OPEN = "connleak_open"


class _Phases(NamedTuple):
    outcomes: list[str]
    seconds: list[float]


class Timeline:
    """The hook of a run that keeps a timeline.

    Args:
        count: says how many sockets and how many sessions are open now.
        ran: is told of each test that is over.
    """

    def __init__(self, count: Callable[[], tuple[int, int]], ran: Callable[[Step], None]) -> None:
        self._count = count
        self._ran = ran
        self._phases: dict[tuple[str, str], _Phases] = {}

    @pytest.hookimpl(tryfirst=True)  # a worker's report is sent by a hook like this one
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if type(report) is not pytest.TestReport:  # of a subtest
            return
        process = worker_name(getattr(report, "node", None))
        if report.when == "setup":  # again, perhaps: pytest-rerunfailures 16.1 keeps some teardowns to itself
            self._phases[process, report.nodeid] = _Phases([], [])
        phases = self._phases.setdefault((process, report.nodeid), _Phases([], []))
        phases.outcomes.append(_outcome(report))
        phases.seconds.append(report.duration)
        if report.when == "teardown":
            if not hasattr(report, OPEN):
                setattr(report, OPEN, self._count())
            sockets, sessions = getattr(report, OPEN)
            del self._phases[process, report.nodeid]
            outcome = max(phases.outcomes, key=lambda each: _RANKS.get(each, 0))
            self._ran(Step(safe(report.nodeid), outcome, sum(phases.seconds), report.stop, sockets, sessions, process))


# The outcome of a test is that of its phases which ranks highest.
_RANKS = {"passed": 0, "skipped": 1, "xfailed": 1, "xpassed": 1, "rerun": 2, "failed": 3, "error": 4}


def _outcome(report: pytest.TestReport) -> str:
    if hasattr(report, "wasxfail"):
        return "xpassed" if report.passed else "xfailed"
    if report.failed and report.when != "call":
        return "error"
    return report.outcome
