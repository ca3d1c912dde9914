"""The tests as they run: whose a resource is, and what is found when its scope has ended."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from _pytest.fixtures import FixtureDef  # pytest.FixtureDef since 8.1

from . import nodes, protocol
from .failure import OneFailure
from .formats import junit, terminal
from .judge import Judge
from .model import PROCESS, Owner, Verdict
from .monitor import Monitor
from .protocol import RunElsewhere, RunHere
from .report import Entry

if TYPE_CHECKING:
    from _pytest.fixtures import SubRequest

    from .plugin import Plugin


class Run:
    """What is done as the tests run that run in this process: a :class:`~pytest_connleak.protocol.Callbacks`.

    Attributes:
        call: the call of the test that runs now, if it asked for the fixture ``connleak``.
    """

    def __init__(self, plugin: Plugin, monitor: Monitor) -> None:
        self.plugin = plugin
        self.monitor = monitor
        self.failure = OneFailure()
        self.call: Owner | None = None
        self.judge = Judge(plugin.config, monitor, plugin.settings, plugin.test_modules)
        self.account = plugin.account
        self._lists_tests = plugin.settings.lists_tests
        self._last_item: pytest.Item | None = None
        self._owner = PROCESS

    def register(self) -> None:
        """Be told of every test from now on."""
        config = self.plugin.config
        here = RunHere(self)
        config.pluginmanager.register(self, "connleak-run")
        config.pluginmanager.register(here, "connleak-protocol")
        here.take_precedence_over_runner(config)
        if protocol.some_run_elsewhere(config, here):
            config.pluginmanager.register(RunElsewhere(self, here), "connleak-elsewhere")
        self.plugin.keep_timeline(self.monitor.count_open)

    # --- whose a resource is --------------------------------------------------------------------------

    def begins(self, item: pytest.Item, nodeid: str) -> None:
        if self._last_item is None:
            self.monitor.tests_begin()
        self._last_item = item
        self._owner = tuple.__new__(Owner, (nodeid, "function"))  # what Owner() says in Python, at a third of its cost
        self.monitor.begin(self._owner, nodeid)

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

    def finished(self) -> None:
        self.monitor.end()

    # --- the verdict ----------------------------------------------------------------------------------

    def torn_down(self, item: pytest.Item, nextitem: pytest.Item | None) -> str | None:
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
            verdict = verdict.excused(adopting=self.plugin.settings.update_baseline)
        root = str(self.plugin.config.rootpath)
        entries = [Entry.of(f, root) for f in verdict.findings]
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

    def passed(self, nodeid: str) -> None:
        if self._lists_tests:
            self.plugin.tally().ended(nodeid, passed=True)

    def settle_interrupted(self) -> Verdict:
        """The verdict on what an interrupted run had not torn down."""
        owners = [owner for owner in self.monitor.owners() if owner != PROCESS]
        rest = self.judge.settle_rest(owners, self._last_item)
        # A test whose teardown was not reached was interrupted: there is no saying what it would have closed.
        return rest.excused("function", adopting=self.plugin.settings.update_baseline)

    def settle_process(self) -> Verdict:
        """The verdict on what belongs to no test and no fixture; it comes last."""
        return self.judge.settle_rest([PROCESS], None)
