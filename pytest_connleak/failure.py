"""How a leaking test comes to be one failure.

A leak is known only after the teardown, when the report of the call has long said "passed".  pytest itself
then reports an error beside the pass: "1 passed, 1 error" for one test.  Here the report of a call that
passed waits until the test is over, and becomes a failure if the test leaked.  So the test counts once,
for everything that reads reports: totals, JUnit XML, ``-x``, ``--lf``, ``--sw``, pytest-xdist and
pytest-rerunfailures.  Nothing else waits: a test that fails is reported at once, as ever.

The verdict on a test that passed comes when pytest has let go of its fixtures' values, since those may close
what they hold in a finalizer.  Where the report cannot wait (another plugin runs the test), and for skipped and
expected failures, the verdict comes at the end of the teardown, and is raised there as any teardown error.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import pytest
from _pytest._code.code import ReprEntryNative, ReprExceptionInfo, ReprFileLocation, ReprTraceback
from _pytest.runner import runtestprotocol

# The attribute of a report by which findings travel, also from a worker of pytest-xdist.
ATTRIBUTE = "connleak"
# The attribute of the report of a call that had passed before its leaks were known.
HAD_PASSED = "connleak_had_passed"
SECTION = "connection leaks (seen at teardown)"


class OneFailure:
    """Lets the report of a passed call wait for the verdict on its test."""

    def __init__(self, judge: Callable[[], None]) -> None:
        self._judge = judge
        self._runs_tests = False
        self._calling = False
        self._waiting: list[pytest.TestReport] = []
        self._call: pytest.TestReport | None = None
        self._teardown: pytest.TestReport | None = None
        self._logged: pytest.TestReport | None = None
        self._findings: list[dict[str, Any]] = []
        self._section = ""
        self._properties: list[tuple[str, str]] = []
        self.failed = False
        """Whether the test that runs now has failed already."""

    def take_precedence_over_runner(self, config: pytest.Config) -> None:
        """Run tests where pytest's own runner would, after every plugin that wants to run them itself.

        Plugins are asked in the reverse order of their registration, and this one may be registered before
        or after pytest-rerunfailures; there is no public way to say "last but one".
        """
        impls = config.hook.pytest_runtest_protocol._hookimpls
        mine = next(impl for impl in impls if impl.plugin is self)
        runner = next(impl for impl in impls if impl.plugin is config.pluginmanager.get_plugin("runner"))
        impls.remove(mine)
        impls.insert(impls.index(runner) + 1, mine)

    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool:
        """As pytest's runner does it, but the reports are logged by ``pytest_runtest_makereport`` below."""
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        self._runs_tests = True
        try:
            runtestprotocol(item, log=False, nextitem=nextitem)
            if self.can_wait:
                self._judge()
        finally:
            self._runs_tests = False
            self._log_waiting(item)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self) -> Generator[None, object, object]:
        self._calling = True
        try:
            return (yield)
        finally:
            self._calling = False

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if self._calling:
            return report  # of a subtest, which logs it itself
        if report.when == "setup":
            self.failed, self._call, self._teardown, self._findings, self._section = False, None, None, [], ""
        self.failed = self.failed or report.failed
        if report.when == "call":
            self._call = report
        elif report.when == "teardown":
            self._teardown = report
            self._show()
        if self._runs_tests:
            self._log(item, report)
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call":
            self._logged = report

    @property
    def can_wait(self) -> bool:
        """Whether the verdict can come after the test is over, since its report is held back."""
        return self._runs_tests and not self.failed and self.can_amend

    @property
    def can_amend(self) -> bool:
        """Whether the test has passed and nobody was told so yet."""
        call = self._call
        return call is not None and call.passed and not hasattr(call, "wasxfail") and call is not self._logged

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

    def _log(self, item: pytest.Item, report: pytest.TestReport) -> None:
        if self._waiting or (report.when == "call" and report.passed):
            self._waiting.append(report)
        else:
            item.ihook.pytest_runtest_logreport(report=report)

    def _log_waiting(self, item: pytest.Item) -> None:
        reports, self._waiting = self._waiting, []
        for report in reports:
            item.ihook.pytest_runtest_logreport(report=report)
