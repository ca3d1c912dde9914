"""How a test is run, so that its verdict comes before anybody is told that it passed.

``RunHere`` takes the place of pytest's runner and does what that does, but for one thing: the report of a call that
passed waits until the test is over.  It costs a test next to nothing, since it needs no hook that pytest would not call
anyway.  A test that is skipped or expected to fail has no such report: its leaks are raised as any teardown error.

Where another plugin runs the test (pytest-rerunfailures, flaky), ``RunElsewhere`` is told by wrappers, and the verdict
comes at the end of the teardown.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, Protocol

import pytest
from _pytest.runner import check_interactive_exception

from .errors import ConnectionLeakError
from .failure import ATTRIBUTE, OneFailure

_EXIT = (pytest.exit.Exception,)
_EXIT_OR_INTERRUPT = (pytest.exit.Exception, KeyboardInterrupt)


class Callbacks(Protocol):
    """What is to be done as a test goes on; ``run.Run`` does it."""

    failure: OneFailure

    def begins(self, item: pytest.Item, nodeid: str) -> None:
        """A test begins."""

    def calling(self, item: pytest.Item) -> AbstractContextManager[object] | None:
        """What to enter while the test itself runs."""

    def torn_down(self, item: pytest.Item, nextitem: pytest.Item | None) -> str | None:
        """Its teardown is over: judge it, and return the error to raise where no report can be amended."""

    def finished(self) -> None:
        """It is over, or was interrupted."""

    def account(self, report: pytest.TestReport) -> None:
        """A report was logged."""

    def passed(self, nodeid: str) -> None:
        """All reports of a test were logged, and there is nothing in them."""


class RunHere:
    """Runs tests where pytest's own runner would, after every plugin that wants to run them itself."""

    def __init__(self, callbacks: Callbacks) -> None:
        self._callbacks = callbacks
        self._failure = callbacks.failure
        self._hook: Any = None
        self._told: pytest.TestReport | None = None
        self.item: pytest.Item | None = None
        """The test that runs here now."""

    def take_precedence_over_runner(self, config: pytest.Config) -> None:
        """Be asked just before pytest's runner is.

        Plugins are asked in the reverse order of their registration, and this one may be registered before
        or after pytest-rerunfailures; there is no public way to say "last but one".
        """
        impls = config.hook.pytest_runtest_protocol._hookimpls
        mine = next(impl for impl in impls if impl.plugin is self)
        runner = next(impl for impl in impls if impl.plugin is config.pluginmanager.get_plugin("runner"))
        impls.remove(mine)
        impls.insert(impls.index(runner) + 1, mine)

    def pytest_runtest_protocol(self, item: Any, nextitem: pytest.Item | None) -> bool | None:
        """As ``_pytest.runner.pytest_runtest_protocol`` and ``runtestprotocol`` do it."""
        if _shows_setup(item.config):
            return None
        # To ask an item for its hooks costs a tenth of what a test does; pytest asks four times.
        hook, nodeid, location = item.ihook, item.nodeid, item.location
        hook.pytest_runtest_logstart(nodeid=nodeid, location=location)
        self.item, self._hook = item, hook
        self._callbacks.begins(item, nodeid)
        try:
            reports = self._run(item, nextitem)
        finally:
            self._callbacks.finished()
            self.item = None
        uneventful = not self._failure.has_findings
        for report in reports:
            uneventful = uneventful and report.outcome == "passed"
        if uneventful:
            self._callbacks.passed(nodeid)
        else:
            for report in reports:
                self._callbacks.account(report)
        hook.pytest_runtest_logfinish(nodeid=nodeid, location=location)
        return True

    def _run(self, item: Any, nextitem: pytest.Item | None) -> list[pytest.TestReport]:
        has_request = hasattr(item, "_request")
        if has_request and not item._request:
            item._initrequest()
        waiting: list[pytest.TestReport] = []
        try:
            reports = [self._phase(item, "setup")]
            self._tell(reports[0])
            if reports[0].passed:
                calling = self._callbacks.calling(item)
                if calling is None:
                    call = self._phase(item, "call")
                else:
                    with calling:
                        call = self._phase(item, "call")
                reports.append(call)
                if call.passed:
                    waiting.append(call)
                else:
                    self._tell(call)
            if item.session.shouldfail or item.session.shouldstop:
                nextitem = None
            teardown = self._phase(item, "teardown", nextitem=nextitem)
            waiting.append(teardown)
            if has_request:  # the values of fixtures may close what they hold in a finalizer
                item._request, item.funcargs = False, None
            error = self._callbacks.torn_down(item, nextitem)
            if error is not None:
                waiting[-1] = teardown = self._raised_in_teardown(item, error)
            self._failure.show_in(teardown)
            return [*reports, teardown]
        finally:
            if has_request:
                item._request, item.funcargs = False, None
            for report in waiting:
                self._tell(report)

    def _phase(self, item: pytest.Item, when: Any, **arguments: Any) -> pytest.TestReport:
        """As ``_pytest.runner.call_and_report`` does it, but for the log."""
        hook = self._hook
        phase = partial(getattr(hook, f"pytest_runtest_{when}"), item=item, **arguments)  # no frame in a traceback
        in_debugger = getattr(item.config.option, "usepdb", False)
        call = pytest.CallInfo.from_call(phase, when, _EXIT if in_debugger else _EXIT_OR_INTERRUPT)
        report: pytest.TestReport = hook.pytest_runtest_makereport(item=item, call=call)
        self._failure.made(report)
        if check_interactive_exception(call, report):
            hook.pytest_exception_interact(node=item, call=call, report=report)
        return report

    def _raised_in_teardown(self, item: pytest.Item, error: str) -> pytest.TestReport:
        call = pytest.CallInfo.from_call(lambda: pytest.fail(error, pytrace=False), "teardown")
        report: pytest.TestReport = item.ihook.pytest_runtest_makereport(item=item, call=call)
        return report

    def _tell(self, report: pytest.TestReport) -> None:
        if report is not self._told:
            self._told = report
            self._hook.pytest_runtest_logreport(report=report)

    @pytest.hookimpl(tryfirst=True)
    def pytest_exception_interact(self, node: Any, call: pytest.CallInfo[Any], report: Any) -> None:
        """A phase, or a subtest, has failed; pytest has it logged before it lets a debugger in."""
        if self.item is None or node is not self.item:
            return
        _note_findings(call, report)
        if type(report) is pytest.TestReport and report.when != "teardown":
            self._tell(report)


class RunElsewhere:
    """Watches the tests that another plugin runs."""

    def __init__(self, callbacks: Callbacks, here: RunHere) -> None:
        self._callbacks = callbacks
        self._failure = callbacks.failure
        self._here = here
        self._calling = False

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        self._callbacks.begins(item, item.nodeid)
        try:
            return (yield)
        finally:
            self._callbacks.finished()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        if self._here.item is not None:
            return (yield)
        self._calling = True
        try:
            with self._callbacks.calling(item) or nullcontext():
                return (yield)
        finally:
            self._calling = False

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> Generator[None, object, object]:
        if self._here.item is not None:
            return (yield)
        raised = True
        try:
            result = yield
            raised = False
            return result
        finally:
            self._failure.failed = self._failure.failed or raised
            error = self._callbacks.torn_down(item, nextitem)
            if error is not None:
                pytest.fail(error, pytrace=False)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
        report = yield
        _note_findings(call, report)
        if self._here.item is None and not self._calling:  # a subtest logs its report itself
            self._failure.made(report)
            if report.when == "teardown":
                self._failure.show_in(report)
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if self._here.item is None:
            self._failure.logged(report)
            self._callbacks.account(report)


def _shows_setup(config: pytest.Config) -> bool:
    """Whether pytest's runner has more to do than to run tests."""
    return bool(config.option.setupshow or config.option.setuponly)


def some_run_elsewhere(config: pytest.Config, here: RunHere) -> bool:
    """Whether another plugin, or pytest's own runner, may run some of the tests."""
    if _shows_setup(config):
        return True
    runner = config.pluginmanager.get_plugin("runner")
    impls = config.hook.pytest_runtest_protocol.get_hookimpls()
    return any(not (impl.wrapper or impl.hookwrapper) and impl.plugin not in (here, runner) for impl in impls)


def _note_findings(call: pytest.CallInfo[Any], report: Any) -> None:
    """What a test checked for itself comes with the exception."""
    error = call.excinfo.value if call.excinfo is not None else None
    if isinstance(error, ConnectionLeakError):
        setattr(report, ATTRIBUTE, [entry.plain() for entry in error.findings])
