"""pytest's hooks up to the first test and after the last one: each one says when, never what."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from _pytest.doctest import DoctestItem

from . import options, rules
from .errors import SettingError
from .failure import ATTRIBUTE, HAD_PASSED, findings_of, worker_name
from .settings import Settings
from .standby import Standby

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

    from .fixture import Connleak
    from .monitor import Monitor
    from .report import Entry
    from .run import Run
    from .tally import Tally

_STANDBY: pytest.StashKey[Standby] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    options.add_options(parser)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Watch from the first conftest on; of bad options ``pytest_configure`` will complain."""
    with suppress(SettingError):
        if options.read_mode(early_config) != "off":
            _standby_of(early_config)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", options.MARKER)
    try:
        settings = options.read(config, rules.KINDS)
        if settings.mode != "off":
            plugin = Plugin(config, _standby_of(config), settings)
            config.pluginmanager.register(plugin, "connleak-plugin")
    except SettingError as error:
        raise pytest.UsageError(str(error)) from None


def _standby_of(config: pytest.Config) -> Standby:
    """What watches a run; it begins when it is first asked for."""
    standby = config.stash.get(_STANDBY, None)
    if standby is None:
        standby = config.stash[_STANDBY] = Standby(str(config.rootpath), statistics=options.wants_statistics(config))
        config.add_cleanup(standby.stop)
        standby.start()
    return standby


@pytest.fixture
def connleak(request: pytest.FixtureRequest) -> Connleak:
    """Look at, judge or allow what this test leaves open: check(), ignore(kind, reason=...), open()."""
    from .fixture import Connleak

    return Connleak(request.config.pluginmanager.get_plugin("connleak-run"), request.node)


class Plugin:
    """The hooks of a run that watches.

    Raises:
        SettingError: if the baseline cannot be read.
    """

    def __init__(self, config: pytest.Config, standby: Standby, settings: Settings) -> None:
        self.config = config
        self.standby = standby
        self.settings = settings
        self.run: Run | None = None
        """The tests as they run, from the first one on, if they run in this process."""
        self._tally: Tally | None = None
        self.test_modules: set[str] = set()
        self._order: Sequence[str] = ()
        """The tests as they were collected, if workers of pytest-xdist run them."""
        self._process = os.getpid()
        if settings.lists_tests:  # it complains of what it cannot read
            standby.configure(settings, self.tally().knows)
        else:
            standby.configure(settings)

    def tally(self) -> Tally:
        """What was found, and what comes of it; nothing is imported for it before there is something."""
        if self._tally is None:
            from .tally import Tally

            self._tally = Tally(self.settings, str(self.config.rootpath), rules.described())
        return self._tally

    # --- before the first test ------------------------------------------------------------------------

    def pytest_report_header(self) -> str:
        checked = [kind for kind in rules.KINDS if self.settings.level(kind) != "off"]
        header = f"connleak: {self.settings.mode}; checks {', '.join(checked) or 'nothing'}"
        if self.config.get_verbosity() <= 0:
            return header
        from .instrumentation import watched

        return f"{header}; watches {', '.join(' '.join(each).strip() for each in watched().items())}"

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        lists_tests = self.settings.lists_tests
        for node in report.result or ():
            if isinstance(node, DoctestItem):
                _register_doctest(node)
            if lists_tests and isinstance(node, pytest.Item):
                self.tally().collected(node.nodeid)
        if lists_tests and not report.passed and report.nodeid:
            self.tally().ended(report.nodeid, passed=False)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        if not items:
            return
        from . import nodes

        collectors = nodes.collectors_of(items)
        for collector in collectors:
            if (module := getattr(collector, "module", None)) is not None:
                self.test_modules.add(module.__name__)
        every: list[nodes.Node] = [*items, *collectors]
        for node in every:
            if node.own_markers and any(mark.name == "connleak" for mark in node.own_markers):
                try:
                    options.read_markers(node, self.settings, rules.KINDS)
                except SettingError as error:
                    if not hasattr(self.config, "workeroutput"):
                        raise pytest.UsageError(str(error)) from None
                    # A worker's usage error would reach nobody: run nothing, and let the controller say it.
                    self.tally().usage_error = str(error)
                    items.clear()
                    return

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Before the first test: now it is known who runs them."""
        manager = self.config.pluginmanager
        if manager.has_plugin("dsession"):
            manager.register(Controller(self), "connleak-controller")
            self.keep_timeline(lambda: (0, 0))
        elif session.items and not self.config.option.collectonly:
            self.tally()  # all that will be needed is imported here: a test may break whatever imports need
            self.run = self._new_run(self.standby.wake())
            self.run.register()

    def keep_timeline(self, count: Callable[[], tuple[int, int]]) -> None:
        """Note what is open after each test, which ``count`` says, and of what versions, if a report tells it."""
        if self.settings.keeps_timeline:
            from .timeline import Timeline

            self.config.pluginmanager.register(Timeline(count, self.tally().ran), "connleak-timeline")
            try:  # now: the tests may change what it takes
                self.tally().report.versions = _versions()
            except Exception as error:
                self.tally().watched({"versions": f"{type(error).__name__}: {error}"}, [], [])

    def _new_run(self, monitor: Monitor) -> Run:
        from .run import Run

        return Run(self, monitor)

    # --- while tests run ------------------------------------------------------------------------------

    def account(self, report: pytest.TestReport) -> None:
        """A report was logged: of a test that ran here, or in a worker of pytest-xdist."""
        told = vars(report)
        if ATTRIBUTE in told:
            rerun = told.get("outcome") == "rerun"
            self.tally().reported(findings_of(report), worker_name(told.get("node")), rerun=rerun)
        if self.settings.lists_tests:
            # A test passes with its call, unless its setup or its teardown does not.
            passed = report.outcome == "passed" or HAD_PASSED in told
            if report.when == "call" or not passed:
                self.tally().ended(report.nodeid, passed=passed)

    def collected_by_worker(self, ids: Sequence[str]) -> None:
        """A worker of pytest-xdist has collected these tests, as each of them does."""
        self._order = ids
        if self.settings.lists_tests:
            self.tally().collected(*ids)

    # --- the end of the run ---------------------------------------------------------------------------

    # The innermost wrapper: after the last fixtures, before the summary is printed and a worker says good-bye.
    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, object, object]:
        try:
            return (yield)
        finally:
            # A fork that went on with the tests must not write over its parent's report.
            if os.getpid() == self._process:
                self._finish(session)

    def _finish(self, session: pytest.Session) -> None:
        leftover = self._leftover(session)
        monitor = self.standby.monitor
        if monitor is not None and (monitor.faults or monitor.gaps or monitor.used_ignores):
            self.tally().watched(monitor.faults, monitor.gaps, map(str, monitor.used_ignores))
        if monitor is not None and (traffic := monitor.traffic):
            self.tally().counted(traffic)
        if self.standby.fault is not None:
            error = f"{type(self.standby.fault).__name__}: {self.standby.fault}"
            self.tally().watched({"start": error}, ["nothing was watched before the first test"], [])
        if leftover or self._tally is not None:
            self._close(self.tally(), leftover, session)

    def _leftover(self, session: pytest.Session) -> list[Entry]:
        """What is found of the scopes that nothing has ended yet."""
        # The controller of pytest-xdist runs no tests.
        if self.standby.monitor is None or self.config.pluginmanager.has_plugin("dsession"):
            return []
        run = self.run or self._new_run(self.standby.monitor)
        interrupted = run.settle_interrupted()
        if interrupted.fails and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        findings = (*interrupted.findings, *run.settle_process().findings)
        if not findings:
            return []
        from .report import Entry

        return [Entry.of(finding, str(self.config.rootpath)) for finding in findings]

    def _close(self, tally: Tally, leftover: list[Entry], session: pytest.Session) -> None:
        worker_output = getattr(self.config, "workeroutput", None)
        if worker_output is not None:
            sent = tally.sent(leftover)
            if any(sent.values()):
                worker_output[ATTRIBUTE] = sent
            return
        tally.found(leftover)
        tally.close(self._order, complete=self._is_complete(session))
        if tally.usage_error:
            session.exitstatus = pytest.ExitCode.USAGE_ERROR
        elif tally.report.failures and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: TerminalReporter) -> None:
        if self._tally is None:
            return
        report = self._tally.report
        if self._tally.usage_error:
            terminalreporter.write_line(f"ERROR: {self._tally.usage_error}", red=True)
        try:
            rows, last, annotations = self._tally.summary(verbose=self.config.get_verbosity() > 0)
            sections = {"connection statistics": self._tally.statistics(), "connection leaks": rows}
        except Exception as error:
            text = ascii(f"{type(error).__name__}: {error}")[1:-1]
            terminalreporter.write_line(f"connleak: the summary failed with {text}")
            return
        for title, section in sections.items():
            if section:
                terminalreporter.section(title)
            for row in section:
                for text, style in row:
                    terminalreporter.write(text, **_MARKUP[style])
                terminalreporter.line("")
        if last:
            terminalreporter.write_line(last, red=report.fails, bold=report.fails)
        for annotation in annotations:
            terminalreporter.write_line(annotation)  # which begins a line of its own

    def _is_complete(self, session: pytest.Session) -> bool:
        """Whether the run was asked for every test of the project, and came to its end."""
        option, config = self.config.option, self.config
        ended = session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
        stopped = session.shouldstop or session.shouldfail
        dry = option.collectonly or option.setuponly or option.setupplan
        chosen = option.ignore or option.ignore_glob or getattr(option, "lf", False)
        if config.args_source is pytest.Config.ArgsSource.INVOCATION_DIR:
            everywhere = config.invocation_params.dir == config.rootpath
        else:
            everywhere = config.args_source is pytest.Config.ArgsSource.TESTPATHS or [
                os.path.realpath(arg) for arg in config.args
            ] == [os.path.realpath(config.rootpath)]
        return ended and everywhere and not (stopped or dry or chosen)


class Controller:
    """The hooks of a process whose tests are run by the workers of pytest-xdist."""

    def __init__(self, plugin: Plugin) -> None:
        self._plugin = plugin

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._plugin.account(report)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        self._plugin.collected_by_worker(ids)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """A worker is done; the findings of its tests came with their reports."""
        output = getattr(node, "workeroutput", {}).get(ATTRIBUTE)
        if output is not None:
            self._plugin.tally().received(output, worker_name(node))


_MARKUP: dict[str, dict[str, bool]] = {
    "": {},
    "bold": {"bold": True},
    "error": {"red": True, "bold": True},
    "note": {"cyan": True},
}


def _register_doctest(item: DoctestItem) -> None:
    if item.dtest is not None:
        from . import origin

        first = (item.dtest.lineno or 0) + 1
        origin.register_doctest(item.dtest.name, str(item.path), [first + e.lineno for e in item.dtest.examples])


def _versions() -> dict[str, str]:
    """Of all that had a part in the run."""
    from .instrumentation import version_of, watched

    runners = {"Python": sys.version.split()[0], "pytest": pytest.__version__}
    libraries = {"pytest-connleak": version_of("pytest-connleak"), **watched()}
    return {**runners, **{name: version for name, version in libraries.items() if version}}
