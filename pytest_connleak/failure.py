"""How a leaking test comes to be one failure.

A leak is known only after the teardown, when the report of the call says "passed".  pytest itself then reports an
error beside the pass: "1 passed, 1 error" for one test.  Here the report of the call becomes a failure, as long as
nobody was told of it; ``protocol`` sees to that.  So the test counts once, for everything that reads reports: totals,
JUnit XML, ``-x``, ``--lf``, ``--sw``, pytest-xdist and pytest-rerunfailures.
"""

from __future__ import annotations

from typing import Any

import pytest
from _pytest._code.code import ReprEntryNative, ReprExceptionInfo, ReprFileLocation, ReprTraceback

# The attribute of a report by which findings travel, also from a worker of pytest-xdist.
ATTRIBUTE = "connleak"
# The attribute of the report of a call that had passed before its leaks were known.
HAD_PASSED = "connleak_had_passed"
SECTION = "connection leaks (seen at teardown)"


def findings_of(report: pytest.TestReport) -> list[dict[str, Any]]:
    """The findings that a report brings.  Where the test was expected to fail the run passes, so they fail nothing."""
    found: list[dict[str, Any]] = vars(report).get(ATTRIBUTE, [])
    if not hasattr(report, "wasxfail"):
        return found
    return [{**each, "status": "test-failed"} if each["status"] == "leak" else each for each in found]


def worker_name(node: Any) -> str:
    """The worker of pytest-xdist that a report came from, by the report's ``node``; empty if it has none."""
    return str(node.gateway.id) if node is not None else ""


class OneFailure:
    """The reports of the test that runs now, and what is to be said in them.

    Attributes:
        failed: whether the test has failed already.
    """

    def __init__(self) -> None:
        self.failed = False
        self._told = False
        self._call: pytest.TestReport | None = None
        self._teardown: pytest.TestReport | None = None
        self._findings: list[dict[str, Any]] = []
        self._section = ""
        self._properties: list[tuple[str, str]] = []

    def made(self, report: pytest.TestReport) -> None:
        """A phase of the test is over, and this is its report."""
        if report.when == "setup":
            self.failed = self._told = False
            self._call = self._teardown = None
            self._findings, self._section, self._properties = [], "", []
        elif report.when == "call":
            self._call = report
        if report.outcome == "failed":
            self.failed = True

    def logged(self, report: pytest.TestReport) -> None:
        """Everybody was told of this report."""
        self._told = self._told or report is self._call

    def show_in(self, teardown: pytest.TestReport) -> None:
        """What is attached, now or later, is shown with this report."""
        self._teardown = teardown
        if self._findings or self._properties:
            self._show()

    @property
    def can_amend(self) -> bool:
        """Whether the test has passed and nobody was told so yet."""
        call = self._call
        return call is not None and call.passed and not hasattr(call, "wasxfail") and not self._told

    @property
    def has_findings(self) -> bool:
        """Whether something is attached to the report of the teardown."""
        return bool(self._findings)

    def amend(self, findings: list[dict[str, Any]], text: str, path: str, line: int, headline: str) -> None:
        """The test that passed has failed, at this place, with this text."""
        assert self._call is not None
        crash = ReprFileLocation(path, line, headline)
        traceback = ReprTraceback([ReprEntryNative([f"{row}\n" for row in text.splitlines()])], None, "native")
        self._call.outcome = "failed"
        self._call.longrepr = ReprExceptionInfo(reprtraceback=traceback, reprcrash=crash)
        setattr(self._call, ATTRIBUTE, findings)
        setattr(self._call, HAD_PASSED, True)

    def attach(self, findings: list[dict[str, Any]], text: str) -> None:
        """Show the findings with the report of the teardown."""
        self._findings, self._section = findings, text
        self._show()

    def add_properties(self, properties: list[tuple[str, str]]) -> None:
        """Give the report of the teardown these ``user_properties``: it is the one from which JUnit XML takes them."""
        self._properties = properties
        self._show()

    def _show(self) -> None:
        if self._teardown is None:
            return
        self._teardown.user_properties.extend(self._properties)
        self._properties = []
        if self._findings:
            setattr(self._teardown, ATTRIBUTE, self._findings)
            if self._section:
                self._teardown.sections.append((SECTION, self._section))
