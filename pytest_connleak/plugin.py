"""pytest's hooks: each one says when, never what."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from importlib import metadata
from typing import TYPE_CHECKING, Any

import pytest
from _pytest.doctest import DoctestItem
from _pytest.fixtures import FixtureDef  # pytest.FixtureDef since 8.1

from . import instrumentation, nodes, options, origin, protocol, rules
from .errors import SettingError
from .failure import ATTRIBUTE, HAD_PASSED, OneFailure
from .fixture import connleak
from .formats import github, junit, terminal
from .judge import Judge
from .model import PROCESS, Owner, Verdict
from .monitor import Monitor
from .protocol import RunElsewhere, RunHere
from .report import Entry, safe
from .settings import Settings
from .tally import Tally

if TYPE_CHECKING:
    from _pytest.fixtures import SubRequest
    from _pytest.terminal import TerminalReporter

__all__ = ["connleak"]  # the fixture, which pytest finds here

KINDS = tuple(rule.kind for rule in rules.discover())

_MONITOR: pytest.StashKey[Monitor] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    options.add_options(parser)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Watch from the first conftest on; of bad options ``pytest_configure`` will complain."""
    with suppress(SettingError):
        if options.read_mode(early_config) != "off":
            _monitor_of(early_config)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", options.MARKER)
    try:
        settings = options.read(config, KINDS)
        tally = Tally(settings, str(config.rootpath), rules.kinds())
    except SettingError as error:
        raise pytest.UsageError(str(error)) from None
    if settings.mode != "off":
        monitor = _monitor_of(config)
        monitor.settings = settings
        monitor.is_known = tally.knows
        plugin = Plugin(config, monitor, settings, tally)
        config.pluginmanager.register(plugin, "connleak-run")
        config.pluginmanager.register(plugin.here, "connleak-protocol")
        plugin.here.take_precedence_over_runner(config)


def _monitor_of(config: pytest.Config) -> Monitor:
    """The monitor of a run, started when it is first asked for."""
    monitor = config.stash.get(_MONITOR, None)
    if monitor is None:
        monitor = config.stash[_MONITOR] = Monitor(str(config.rootpath))
        config.add_cleanup(monitor.stop)
        monitor.start()
    return monitor


class Plugin:
    """The hooks of a run that watches."""

    def __init__(self, config: pytest.Config, monitor: Monitor, settings: Settings, tally: Tally) -> None:
        self.config = config
        self.monitor = monitor
        self.settings = settings
        self.tally = tally
        self.failure = OneFailure()
        self.here = RunHere(self)
        self.call: Owner | None = None
        """The call of the test that runs now, if it asked for the fixture ``connleak``."""
        self.judge = Judge(config, monitor, settings, KINDS)
        self._collected: Sequence[str] = ()
        self._last_item: pytest.Item | None = None
        self._owner = PROCESS
        self._process = os.getpid()

    # --- before the first test ------------------------------------------------------------------------

    def pytest_report_header(self) -> str:
        watched = [
            f"{i.name} {_version(i.distribution)}".strip()
            for i in instrumentation.discover()
            if not i.distribution or _version(i.distribution)
        ]
        return f"connleak: {self.settings.mode}, watching {', '.join(watched)}; checks {', '.join(KINDS)}"

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        lists_tests = self.tally.lists_tests
        for node in report.result or ():
            if isinstance(node, DoctestItem):
                _register_doctest(node)
            if lists_tests and isinstance(node, pytest.Item):
                self.tally.collected(node.nodeid)
        if not report.passed and report.nodeid:
            self.tally.ended(report.nodeid, passed=False)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        collectors = nodes.collectors_of(items)
        for collector in collectors:
            if (module := getattr(collector, "module", None)) is not None:
                self.judge.test_modules.add(module.__name__)
        every: list[nodes.Node] = [*items, *collectors]
        for node in every:
            if node.own_markers and any(mark.name == "connleak" for mark in node.own_markers):
                try:
                    options.read_markers(node, self.settings, KINDS)
                except SettingError as error:
                    if not hasattr(self.config, "workeroutput"):
                        raise pytest.UsageError(str(error)) from None
                    # A worker's usage error would reach nobody: run nothing, and let the controller say it.
                    self.tally.usage_error = str(error)
                    items.clear()
                    return

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self) -> None:
        """Before the first test: now it is known who runs them."""
        manager = self.config.pluginmanager
        if manager.has_plugin("dsession"):
            manager.register(Controller(self), "connleak-controller")
        elif protocol.some_run_elsewhere(self.config, self.here):
            manager.register(RunElsewhere(self, self.here), "connleak-elsewhere")

    # --- whose a resource is --------------------------------------------------------------------------

    def begins(self, item: pytest.Item, nodeid: str) -> None:
        if self._last_item is None:
            self.monitor.tests_begin()
        self._last_item = item
        self._owner = tuple.__new__(Owner, (nodeid, "function"))  # what Owner() says in Python, at a third of its cost
        self.monitor.begin(self._owner, nodeid)

    def leaves(self) -> None:
        self.monitor.end()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: FixtureDef[Any], request: SubRequest) -> Generator[None, object, object]:
        if fixturedef.scope == "function":
            return (yield)
        self.judge.live_fixtures[fixturedef] = request.node
        with self.monitor.set_up_by(nodes.owner(request.node)):
            return (yield)

    def calling(self, item: pytest.Item) -> AbstractContextManager[object] | None:
        if "connleak" not in getattr(item, "fixturenames", ()):
            return None
        return self._part(item)  # what the test makes is judged apart from what its fixtures made

    @contextmanager
    def _part(self, item: pytest.Item) -> Iterator[None]:
        with self.judge.part_of(item) as self.call:
            yield

    # --- the verdict ----------------------------------------------------------------------------------

    def ended(self, item: pytest.Item, nextitem: pytest.Item | None) -> str | None:
        """Settle what ended with this test; return the error to raise where the report cannot be amended."""
        try:
            alone = nextitem is not None and nextitem.parent is item.parent
            if alone and self.monitor.has_nothing_of(self._owner) and not self.judge.has_parts:
                return None
            verdict = self.judge.settle(nodes.ending(item, nextitem), item)
            if verdict.findings:
                return self._report(item, verdict, failed=self.failure.failed)
        except Exception as fault:
            self.monitor.fault("report", fault, gap="the findings of a test were lost")
        return None

    def _report(self, item: pytest.Item, verdict: Verdict, *, failed: bool) -> str | None:
        """Put the findings on the test's report; return the error to raise where the report cannot be amended."""
        if failed:
            verdict = verdict.excused(adopting=self.settings.update_baseline)
        entries = [Entry.of(f, self._root) for f in verdict.findings]
        plain = [entry.plain() for entry in entries]
        self.failure.add_properties(junit.properties(entries))
        leaks = [e for e in entries if e.fails]
        if not leaks:
            self.failure.attach(plain, terminal.short([e for e in entries if e.status == "test-failed"]))
            return None
        headline, text = terminal.headline(leaks), terminal.short(leaks)
        if not self.failure.can_amend:
            self.failure.attach(plain, "")
            return f"{headline}\n{text}"
        definition = nodes.definition(item)
        self.failure.amend(plain, text, leaks[0].path or definition.path, leaks[0].line or definition.line, headline)
        return None

    # --- the end of the run ---------------------------------------------------------------------------

    def passed(self, nodeid: str) -> None:
        if self.tally.lists_tests:
            self.tally.ended(nodeid, passed=True)

    def account(self, report: pytest.TestReport) -> None:
        told = vars(report)
        found = told.get(ATTRIBUTE)
        if found:
            entries = [Entry.from_plain(plain) for plain in found]
            if getattr(report, "outcome", "") == "rerun":  # pytest-rerunfailures: the last attempt tells
                entries = [replace(e, status="ignored", reason="the test was run again") for e in entries]
            self.tally.found(entries, _worker(getattr(report, "node", None)))
        # A test passes with its call, unless its setup or its teardown does not.
        passed = report.outcome == "passed" or HAD_PASSED in told
        if report.when == "call" or not passed:
            self.tally.ended(report.nodeid, passed=passed)

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
        leftover: list[Entry] = []
        if not self.config.pluginmanager.has_plugin("dsession"):  # the controller of pytest-xdist runs no tests
            leftover = self._settle_rest(session)
        monitor = self.monitor
        self.tally.watched(monitor.faults, monitor.gaps, map(str, monitor.used_ignores))
        worker_output = getattr(self.config, "workeroutput", None)
        if worker_output is not None:
            worker_output[ATTRIBUTE] = self.tally.sent(leftover)
            return
        self.tally.found(leftover)
        self.tally.close(self._collected, complete=self._is_complete(session))
        if self.tally.usage_error:
            session.exitstatus = pytest.ExitCode.USAGE_ERROR
        elif self.tally.report.failures and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _settle_rest(self, session: pytest.Session) -> list[Entry]:
        """What an interrupted run had not torn down before, and then the process itself."""
        owners = [owner for owner in self.monitor.owners() if owner != PROCESS]
        rest = self.judge.settle_rest(owners, self._last_item)
        # A test whose teardown was not reached was interrupted: there is no saying what it would have closed.
        rest = rest.excused("function", adopting=self.settings.update_baseline)
        if rest.fails and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        process = self.judge.settle_rest([PROCESS], None)
        return [Entry.of(finding, self._root) for finding in (*rest.findings, *process.findings)]

    def pytest_terminal_summary(self, terminalreporter: TerminalReporter) -> None:
        report = self.tally.report
        if self.tally.usage_error:
            terminalreporter.write_line(f"ERROR: {self.tally.usage_error}", red=True)
        try:
            rows = list(terminal.summary(report, verbose=self.config.get_verbosity() > 0))
            annotations = github.render(report) if github.wanted(os.environ) else ""
        except Exception as error:
            terminalreporter.write_line(f"connleak: the summary failed with {type(error).__name__}: {safe(str(error))}")
            return
        if rows:
            terminalreporter.section("connection leaks")
        for row in rows:
            for text, style in row:
                terminalreporter.write(text, **_MARKUP[style])
            terminalreporter.line("")
        if report.entries or report.failures:
            terminalreporter.write_line(terminal.counts(report), red=report.fails, bold=report.fails)
        for annotation in annotations.splitlines():
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

    def collected_by_worker(self, ids: Sequence[str]) -> None:
        self._collected = ids
        self.tally.collected(*ids)

    @property
    def _root(self) -> str:
        return str(self.config.rootpath)


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
            self._plugin.tally.received(output, _worker(node))


_MARKUP: dict[str, dict[str, bool]] = {
    "": {},
    "bold": {"bold": True},
    "error": {"red": True, "bold": True},
    "note": {"cyan": True},
}


def _register_doctest(item: DoctestItem) -> None:
    if item.dtest is not None:
        first = (item.dtest.lineno or 0) + 1
        origin.register_doctest(item.dtest.name, str(item.path), [first + e.lineno for e in item.dtest.examples])


def _worker(node: Any) -> str:
    """The name of a worker of pytest-xdist."""
    return str(node.gateway.id) if node is not None else ""


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution) if distribution else ""
    except metadata.PackageNotFoundError:
        return ""
