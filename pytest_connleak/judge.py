"""Asks for the verdict on what has ended, and tells what pytest knows of it: fixtures, modules, markers."""

from __future__ import annotations

import warnings
from collections.abc import Generator, Iterable, Sequence, Set
from contextlib import contextmanager
from itertools import count
from typing import Any

import pytest
from _pytest.fixtures import FixtureDef  # pytest.FixtureDef since 8.1

from . import nodes, options, rules
from .errors import PytestConnectionLeakWarning
from .failure import OneFailure
from .model import Finding, Owner, Verdict
from .monitor import Monitor, Surroundings
from .nodes import Node
from .report import Entry, safe
from .settings import Ignore, Local, Settings


class Judge:
    """The verdicts of one run.

    Args:
        test_modules: the names of the modules that hold tests.

    Attributes:
        live_fixtures: the fixtures of a scope wider than function that are set up, and the nodes they are for.
    """

    def __init__(self, config: pytest.Config, monitor: Monitor, settings: Settings, test_modules: Set[str]) -> None:
        self.live_fixtures: dict[FixtureDef[Any], Node] = {}
        self._test_modules = test_modules
        self._config = config
        self._monitor = monitor
        self._settings = settings
        self._root = str(config.rootpath)
        self._parts: list[Owner] = []
        self._last: dict[Owner, str] = {}
        self._extra_ignores: list[Ignore] = []
        self._kept: list[Finding] = []
        self._numbers = count(1)

    def settle(self, ending: Sequence[Node], item: pytest.Item) -> Verdict:
        """The verdict on nodes that have ended with a test, and on what of the test was judged by itself."""
        owners = {nodes.owner(node): node for node in ending} | dict.fromkeys(self._parts, item)
        verdict = self._warned(self._settle(owners, item), item)
        verdict = Verdict((*self._kept, *verdict.findings))
        self._kept.clear()
        self._parts.clear()
        self._extra_ignores.clear()
        return verdict

    def settle_part(self, part: Owner, item: pytest.Item) -> list[Entry]:
        """What a part of a test has left open, while the test goes on."""
        verdict = self._warned(self._settle({part: item}, item, running=True), item)
        # What fails is raised, and comes with the exception; the rest is reported with the test.
        self._kept += [f for f in verdict.findings if not (f.status == "leak" and f.level == "fail")]
        return self._entries(verdict.findings)

    def open_now(self, item: pytest.Item) -> list[Entry]:
        """All that is open now, of whatever scope."""
        return self._entries(self._monitor.open_now(nodes.definition(item)))

    def _entries(self, findings: Iterable[Finding]) -> list[Entry]:
        return [Entry.of(finding, self._root) for finding in findings]

    @property
    def has_parts(self) -> bool:
        """Whether something of the test that runs now was judged by itself."""
        return bool(self._parts or self._extra_ignores)

    def ignore(self, ignores: Iterable[Ignore]) -> None:
        """Ignore such findings of the test that runs now."""
        self._extra_ignores += ignores

    def settle_rest(self, owners: Sequence[Owner], item: pytest.Item | None) -> Verdict:
        """The verdict on what is left at the end of the run."""
        known = {nodes.owner(node): node for node in nodes.chain(item)} if item is not None else {}
        return self._monitor.settle(owners, item.nodeid if item else "", lambda: self._surroundings(known, item))

    @contextmanager
    def part_of(self, item: pytest.Item) -> Generator[Owner, None, None]:
        """What is made within belongs to a part of the test, and can be judged before the rest of it."""
        part = Owner(f"{item.nodeid} (part {next(self._numbers)})", "function")
        self._parts.append(part)
        with self._monitor.owned_by(part, item.nodeid):
            yield part

    def _settle(self, owners: dict[Owner, Node], item: pytest.Item, *, running: bool = False) -> Verdict:
        return self._monitor.settle([*owners], item.nodeid, lambda: self._surroundings(owners, item, running=running))

    def _surroundings(
        self, owners: dict[Owner, Node], item: pytest.Item | None, *, running: bool = False
    ) -> Surroundings:
        self.live_fixtures = {f: node for f, node in self.live_fixtures.items() if f.cached_result is not None}
        alive = dict(self.live_fixtures)
        if running and item is not None:  # then those of the test itself have yet to close what they opened
            alive |= dict.fromkeys(getattr(getattr(item, "_request", None), "_fixture_defs", {}).values(), item)
        fixtures = {}
        for fixture, node in alive.items():
            fixtures[id(fixture)] = (f"fixture {fixture.argname!r}", nodes.owner(node))
            fixtures |= {number: (name, nodes.owner(node)) for number, name in nodes.in_reach(fixture, node)}
        return Surroundings(
            fixtures=fixtures,
            fixture_definitions=list(alive),
            test_modules=self._test_modules,
            # A fixture that is a method has the instance of the first test in its frame: it does not hold for it.
            opaque=(*_OPAQUE, *filter(None, [getattr(item, "cls", None)])),
            definitions=dict.fromkeys([*owners, nodes.owner(item)], nodes.definition(item)) if item is not None else {},
            last_tests=self._last_tests(item),
            local=self._local(owners),
        )

    def _local(self, owners: dict[Owner, Node]) -> dict[Owner, Local]:
        try:
            return {owner: self._local_of(node) for owner, node in owners.items()}
        except Exception as error:  # the findings stand as if there were no markers
            self._monitor.fault("markers", error)
            return {}

    def _local_of(self, node: Node) -> Local:
        local = options.read_markers(node, self._settings, rules.KINDS)
        extra = self._extra_ignores if isinstance(node, pytest.Item) else ()
        return local._replace(ignores=(*extra, *local.ignores))

    def _last_tests(self, item: pytest.Item | None) -> dict[Owner, str]:
        """The last test of each wider scope as it was collected.

        Without pytest-xdist it is the one that ends.  A worker runs the tests of a module in part, and another part
        each time: the findings must not depend on it.
        """
        if item is None or not hasattr(self._config, "workerinput"):
            return {}
        if not self._last:
            for candidate in item.session.items:
                for node in nodes.chain(candidate)[:-1]:
                    self._last[nodes.owner(node)] = candidate.nodeid
        return self._last

    def _warned(self, verdict: Verdict, item: pytest.Item) -> Verdict:
        """Emit the warnings; one that the filters turn into an error is a failure."""
        findings = []
        for finding in verdict.findings:
            if finding.status == "leak" and finding.level == "warn":
                place = finding.origin.place or nodes.definition(item)
                try:
                    warnings.warn_explicit(
                        PytestConnectionLeakWarning(safe(f"{finding.kind}: {finding.message}")),
                        None,
                        place.path,
                        place.line,
                        place.module or None,
                    )
                except PytestConnectionLeakWarning:
                    finding = finding._replace(level="fail")
            findings.append(finding)
        return Verdict(tuple(findings))


# Objects that hold everything, and explain nothing.
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
    OneFailure,
    Monitor,
    Judge,
)
