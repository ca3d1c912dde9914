"""pytest's hooks: each one says when, never what."""

from __future__ import annotations

import os
import unittest
import warnings
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from importlib import metadata
from typing import TYPE_CHECKING, Any

import pytest
from _pytest.fixtures import FixtureDef  # pytest.FixtureDef since 8.1

from . import formats, instrumentation, options, origin, rules
from .errors import PytestConnectionLeakWarning, SettingError
from .failure import ATTRIBUTE, OneFailure
from .formats import terminal
from .model import PROCESS, Frame, Owner, Scope, Verdict
from .monitor import Monitor, Surroundings
from .report import Entry, Report, merge, safe
from .settings import Local, Settings

if TYPE_CHECKING:
    from _pytest.fixtures import SubRequest
    from _pytest.terminal import TerminalReporter

    Node = pytest.Item | pytest.Collector

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
        settings = options.read(config, KINDS, formats.discover())
    except SettingError as error:
        raise pytest.UsageError(str(error)) from None
    if settings.mode != "off":
        monitor = _monitor_of(config)
        monitor.settings = settings
        plugin = Plugin(config, monitor, settings)
        config.pluginmanager.register(plugin, "connleak-run")
        config.pluginmanager.register(plugin.failure, "connleak-failure")
        plugin.failure.take_precedence_over_runner(config)


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

    def __init__(self, config: pytest.Config, monitor: Monitor, settings: Settings) -> None:
        self.config = config
        self.monitor = monitor
        self.settings = settings
        self.failure = OneFailure(self._judge_afterwards)
        self.report = Report()
        self.shards: dict[str, list[Entry]] = {}
        self._collected: Sequence[str] = ()
        self._live_fixtures: dict[FixtureDef[Any], Node] = {}
        self._test_modules: set[str] = set()
        self._last_item: pytest.Item | None = None
        self._ending: list[Node] = []
        self._used_ignores: set[str] = set()
        self._partial = False
        self._usage_error = ""
        self._process = os.getpid()

    # --- before the first test ------------------------------------------------------------------------

    def pytest_report_header(self) -> str:
        watched = [
            f"{i.name} {_version(i.distribution)}".strip()
            for i in instrumentation.discover()
            if not i.distribution or _version(i.distribution)
        ]
        return f"connleak: {self.settings.mode}, watching {', '.join(watched)}; checks {', '.join(KINDS)}"

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        nodes = dict.fromkeys(node for item in items for node in _chain(item))
        for node in nodes:
            if any(mark.name == "connleak" for mark in node.own_markers):
                try:
                    options.read_markers(node, self.settings, KINDS)
                except SettingError as error:
                    if not hasattr(self.config, "workeroutput"):
                        raise pytest.UsageError(str(error)) from None
                    # A worker's usage error would reach nobody: run nothing, and let the controller say it.
                    self._usage_error = str(error)
                    items.clear()
                    return
        self._test_modules.update(
            module.__name__ for node in nodes if (module := getattr(node, "module", None)) is not None
        )

    def pytest_deselected(self) -> None:
        self._partial = True

    # --- whose a resource is --------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        doctest = getattr(item, "dtest", None)
        if doctest is not None:
            first = (doctest.lineno or 0) + 1
            origin.register_doctest(doctest.name, str(item.path), [first + e.lineno for e in doctest.examples])
        if self._last_item is None:
            self.monitor.tests_begin()
        self._last_item = item
        with self.monitor.owned_by(_owner(item), item.nodeid):
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: FixtureDef[Any], request: SubRequest) -> Generator[None, object, object]:
        if fixturedef.scope == "function":
            return (yield)
        self._live_fixtures[fixturedef] = request.node
        with self.monitor.set_up_by(_owner(request.node)):
            return (yield)

    # --- the verdict ----------------------------------------------------------------------------------

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> Generator[None, object, object]:
        raised = True
        try:
            result = yield
            raised = False
            return result
        finally:
            following = set(nextitem.listchain()) if nextitem is not None else ()
            self._ending = [node for node in _chain(item) if node not in following]
            if raised or not self.failure.can_wait:
                self._judge_in_teardown(item, failed=raised or self.failure.failed)

    def _judge_in_teardown(self, item: pytest.Item, *, failed: bool) -> None:
        """Raise what cannot be put on the report of the call."""
        error = self._judge(item, failed=failed)
        if error is not None:
            pytest.fail(error, pytrace=False)

    def _judge_afterwards(self) -> None:
        """The test is over, and its report waits for the verdict."""
        assert self._last_item is not None
        self._judge(self._last_item, failed=False)

    def _judge(self, item: pytest.Item, *, failed: bool) -> str | None:
        """Settle what ended with this test; return the error to raise where the report cannot be amended."""
        try:
            verdict = self._settle(self._ending, item)
            if verdict.findings:
                return self._report(item, self._warn(verdict, item), failed=failed)
        except Exception as fault:
            self.monitor.fault("report", fault)
        return None

    def _report(self, item: pytest.Item, verdict: Verdict, *, failed: bool) -> str | None:
        """Put the findings on the test's report; return the error to raise where the report cannot be amended."""
        if failed:
            verdict = verdict.excused()
        entries = [Entry.of(f, self._root) for f in verdict.findings]
        plain = [entry.plain() for entry in entries]
        leaks = [e for e in entries if e.status == "leak" and e.level == "fail"]
        if not leaks:
            self.failure.attach(plain, terminal.short([e for e in entries if e.status == "test-failed"]))
            return None
        headline, text = terminal.headline(leaks), terminal.short(leaks)
        if not self.failure.can_amend:
            self.failure.attach(plain, "")
            return f"{headline}\n{text}"
        definition = _definition(item)
        self.failure.amend(plain, text, leaks[0].path or definition.path, leaks[0].line or definition.line, headline)
        return None

    def _settle(self, ending: Sequence[Node], item: pytest.Item | None) -> Verdict:
        nodes = {_owner(node): node for node in ending}
        return self.monitor.settle(
            [*nodes], item.nodeid if item is not None else "", lambda: self._surroundings(nodes, item)
        )

    def _surroundings(self, nodes: dict[Owner, Node], item: pytest.Item | None) -> Surroundings:
        self._live_fixtures = {f: node for f, node in self._live_fixtures.items() if f.cached_result is not None}
        fixtures = {}
        for fixture, node in self._live_fixtures.items():
            fixtures[id(fixture)] = (f"fixture {fixture.argname!r}", _owner(node))
            fixtures |= {number: (name, _owner(node)) for number, name in _in_reach(fixture, node)}
        return Surroundings(
            fixtures=fixtures,
            fixture_definitions=list(self._live_fixtures),
            test_modules=self._test_modules,
            # A fixture that is a method has the instance of the first test in its frame: it does not hold for it.
            opaque=(*_OPAQUE, *filter(None, [getattr(item, "cls", None)])),
            definitions={_owner(item): _definition(item)} if item is not None else {},
            last_tests=self._last_tests(nodes, item),
            local=self._local(nodes),
        )

    def _local(self, nodes: dict[Owner, Node]) -> dict[Owner, Local]:
        try:
            return {owner: options.read_markers(node, self.settings, KINDS) for owner, node in nodes.items()}
        except Exception as error:  # the findings stand as if there were no markers
            self.monitor.fault("markers", error)
            return {}

    def _last_tests(self, nodes: dict[Owner, Node], item: pytest.Item | None) -> dict[Owner, str]:
        """The last test of each wider scope as it was collected.

        Without pytest-xdist it is the one that ends.  A worker runs the tests of a module in part, and another part
        each time: the findings must not depend on it.
        """
        if item is None or not hasattr(self.config, "workerinput"):
            return {}
        found: dict[Owner, str] = {}
        for candidate in item.session.items:
            for node in _chain(candidate):
                owner = _owner(node)
                if owner in nodes:
                    found[owner] = candidate.nodeid
        return found

    def _warn(self, verdict: Verdict, item: pytest.Item) -> Verdict:
        """Emit the warnings; one that the filters turn into an error is a failure."""
        findings = []
        for finding in verdict.findings:
            if finding.status == "leak" and finding.level == "warn":
                place = finding.origin.place or _definition(item)
                try:
                    warnings.warn_explicit(
                        PytestConnectionLeakWarning(safe(f"{finding.kind}: {finding.message}")),
                        None,
                        place.path,
                        place.line,
                        place.module or None,
                    )
                except PytestConnectionLeakWarning:
                    finding = replace(finding, level="fail")
            findings.append(finding)
        return Verdict(tuple(findings))

    # --- the end of the run ---------------------------------------------------------------------------

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        entries = [Entry.from_plain(plain) for plain in getattr(report, ATTRIBUTE, ())]
        if getattr(report, "outcome", "") == "rerun":  # pytest-rerunfailures: the last attempt tells
            entries = [replace(e, status="ignored", reason="the test was run again") for e in entries]
        self.shards.setdefault(_worker(getattr(report, "node", None)), []).extend(entries)

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
        worker_output = getattr(self.config, "workeroutput", None)
        leftover: list[Entry] = []
        if not self.config.pluginmanager.has_plugin("dsession"):  # the controller of pytest-xdist runs no tests
            leftover = self._settle_rest(session)
            self.shards.setdefault("", []).extend(leftover)
        self._used_ignores.update(str(ignore) for ignore in self.monitor.used_ignores)
        self.report.faults.update({safe(part): safe(error) for part, error in self.monitor.faults.items()})
        if worker_output is not None:
            worker_output[ATTRIBUTE] = {
                "entries": [entry.plain() for entry in leftover],
                "faults": self.report.faults,
                "used_ignores": sorted(self._used_ignores),
                "usage_error": self._usage_error,
            }
            return
        if self._usage_error:
            session.exitstatus = pytest.ExitCode.USAGE_ERROR
        self.report.entries = merge(self.shards.values(), self._collected)
        if self._is_whole_run(session):
            self.report.unused_ignores = [
                safe(str(ignore)) for ignore in self.settings.ignores if str(ignore) not in self._used_ignores
            ]
        for path in self.settings.reports:
            try:
                formats.discover()[os.path.splitext(path)[1]].write(self.report, path)
            except Exception as error:  # a full disk, or a mistake in a format: the run goes on
                self.report.faults[safe(f"report {path}")] = safe(f"{type(error).__name__}: {error}")
                if (
                    session.exitstatus == pytest.ExitCode.OK
                ):  # who waits for the report must not take it for a clean one
                    session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _settle_rest(self, session: pytest.Session) -> list[Entry]:
        """What an interrupted run had not torn down before, and then the process itself."""
        item = self._last_item
        nodes = {_owner(node): node for node in _chain(item)} if item is not None else {}
        owners = [owner for owner in self.monitor.owners() if owner != PROCESS]
        rest = self.monitor.settle(owners, item.nodeid if item else "", lambda: self._surroundings(nodes, item))
        # A test whose teardown was not reached was interrupted: there is no saying what it would have closed.
        rest = rest.excused("function")
        if rest.fails and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        process = self.monitor.settle([PROCESS], "", lambda: self._surroundings({}, None))
        return [Entry.of(finding, self._root) for finding in (*rest.findings, *process.findings)]

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        self._collected = ids

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """A worker of pytest-xdist is done; the findings of its tests came with their reports."""
        output = getattr(node, "workeroutput", {}).get(ATTRIBUTE)
        if output is not None:
            entries = [Entry.from_plain(plain) for plain in output["entries"]]
            self.shards.setdefault(_worker(node), []).extend(entries)
            self.report.faults.update(output["faults"])
            self._used_ignores.update(output["used_ignores"])
            self._usage_error = self._usage_error or output["usage_error"]

    def pytest_terminal_summary(self, terminalreporter: TerminalReporter) -> None:
        if self._usage_error:
            terminalreporter.write_line(f"ERROR: {self._usage_error}", red=True)
        try:
            rows = list(terminal.summary(self.report, verbose=self.config.get_verbosity() > 0))
        except Exception as error:
            terminalreporter.write_line(f"connleak: the summary failed with {type(error).__name__}: {safe(str(error))}")
            return
        if rows:
            terminalreporter.section("connection leaks")
        for row in rows:
            for text, style in row:
                terminalreporter.write(text, **_MARKUP[style])
            terminalreporter.line("")
        if self.report.entries:
            failing = any(e.status == "leak" and e.level == "fail" for e in self.report.entries)
            terminalreporter.write_line(terminal.counts(self.report), red=failing, bold=failing)

    def _is_whole_run(self, session: pytest.Session) -> bool:
        """Whether every test of the project ran, so that an ignore which matched nothing is of no use."""
        option, config = self.config.option, self.config
        ended = session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
        stopped = session.shouldstop or session.shouldfail
        dry = option.collectonly or option.setuponly or option.setupplan
        chosen = option.keyword or option.markexpr or option.ignore or option.ignore_glob or option.deselect
        if config.args_source is pytest.Config.ArgsSource.INVOCATION_DIR:
            everywhere = config.invocation_params.dir == config.rootpath
        else:
            everywhere = config.args_source is pytest.Config.ArgsSource.TESTPATHS or [
                os.path.realpath(arg) for arg in config.args
            ] == [os.path.realpath(config.rootpath)]
        return ended and everywhere and not (stopped or dry or chosen or self._partial)

    @property
    def _root(self) -> str:
        return str(self.config.rootpath)


_OPAQUE = (
    FixtureDef,
    pytest.Item,
    pytest.Collector,
    pytest.Config,
    pytest.FixtureRequest,
    pytest.PytestPluginManager,
    pytest.CallInfo,
    pytest.ExceptionInfo,
    pytest.TestReport,
    Plugin,
    OneFailure,
    Monitor,
)

_MARKUP: dict[str, dict[str, bool]] = {
    "": {},
    "bold": {"bold": True},
    "error": {"red": True, "bold": True},
    "note": {"cyan": True},
}


def _definition(item: pytest.Item) -> Frame:
    """Where a test is defined."""
    _, line, name = item.location
    return Frame(str(item.path), (line or 0) + 1, name.partition("[")[0], "", user=True)


def _worker(node: Any) -> str:
    """The name of a worker of pytest-xdist."""
    return str(node.gateway.id) if node is not None else ""


def _chain(item: pytest.Item) -> list[Node]:
    return [node for node in item.listchain() if isinstance(node, (pytest.Item, pytest.Collector))]


def _owner(node: pytest.Item | pytest.Collector) -> Owner:
    scope: Scope
    if isinstance(node, pytest.Item):
        scope = "function"
    elif isinstance(node, pytest.Session):
        scope = "session"
    elif isinstance(node, pytest.Class):
        scope = "class"
    elif isinstance(node, (pytest.Package, pytest.Dir)):
        scope = "package"
    else:
        scope = "module"
    return Owner(node.nodeid, scope)


def _in_reach(fixture: FixtureDef[Any], node: Node) -> Iterator[tuple[int, str]]:
    """What a live fixture holds by way of its request: the class, or the module, that its code sets up and tears down.

    pytest makes a fixture of ``setup_class`` and the like; for a module, only those are meant.
    """
    is_xunit = fixture.argname.startswith(("_xunit_", "_unittest_"))
    if isinstance(node, pytest.Class) and (is_xunit or "request" in fixture.argnames):
        cls = node.obj
        if is_xunit and issubclass(cls, unittest.TestCase) and not _overrides(cls, "setUpClass", "tearDownClass"):
            return  # pytest makes one for each of these classes
        for base in cls.__mro__:
            if base.__module__ == cls.__module__:
                yield id(base), f"class {base.__module__}.{base.__qualname__}"
    elif isinstance(node, pytest.Module) and is_xunit:
        yield id(vars(node.obj)), f"module {node.obj.__name__}"


def _overrides(cls: type[unittest.TestCase], *names: str) -> bool:
    return any(getattr(cls, name).__func__ is not getattr(unittest.TestCase, name).__func__ for name in names)


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution) if distribution else ""
    except metadata.PackageNotFoundError:
        return ""
