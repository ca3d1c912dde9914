"""What the tests share: servers, and ``run``, which runs the files that ``pytester`` made."""

from __future__ import annotations

import compileall
import json
import signal
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest

import pytest_connleak
from heap import small_heap
from pytest_connleak.monitor import Monitor
from watching import TEST

pytest_plugins = ["pytester", "servers.plugin"]


def pytest_configure() -> None:
    """A shell that starts a process in the background has it, and all that it starts, ignore Ctrl-C."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def compiled() -> None:
    """With PYTHONDONTWRITEBYTECODE, each run in a process of its own would compile the plugin anew."""
    compileall.compile_dir(Path(pytest_connleak.__file__).parent, quiet=2)


@dataclass(frozen=True)
class Run:
    """A pytest that ran, and what it left behind."""

    result: pytest.RunResult
    directory: Path

    @property
    def status(self) -> int:
        """The exit status."""
        return int(self.result.ret)

    @property
    def output(self) -> str:
        """All that it printed."""
        return f"{self.result.stdout}\n{self.result.stderr}"

    @property
    def outcomes(self) -> dict[str, int]:
        """What the last line counts, such as ``{"failed": 1, "passed": 2}``."""
        return self.result.parseoutcomes()

    @property
    def findings(self) -> list[dict[str, Any]]:
        """The findings of the JSON report."""
        document = json.loads((self.directory / "report.json").read_text(encoding="utf-8"))
        assert document["version"] == 1
        findings: list[dict[str, Any]] = document["findings"]
        return findings

    @property
    def statuses(self) -> dict[str, str]:
        """The status of the findings by test; the test's name alone, for there is one of each name."""
        return {_name(finding["nodeid"]): finding["status"] for finding in self.findings}

    @property
    def section(self) -> list[str]:
        """The lines of the plugin's section of the terminal summary; empty if there is none."""
        lines = self.result.outlines
        start = next((n for n, line in enumerate(lines, 1) if line.strip("= ") == "connection leaks"), len(lines))
        end = next((n for n, line in enumerate(lines[start:], start) if line.startswith("===")), len(lines))
        return lines[start:end]

    @property
    def junit(self) -> ElementTree.Element:
        """The ``<testsuite>`` that ``--junit-xml=junit.xml`` wrote."""
        suite = ElementTree.parse(self.directory / "junit.xml").find("testsuite")
        assert suite is not None
        return suite


@pytest.fixture
def monitor(pytestconfig: pytest.Config) -> Iterator[Monitor]:
    """A monitor at work; what is made now belongs to ``watching.TEST``."""
    with _at_work(Monitor(str(pytestconfig.rootpath))) as monitor:
        yield monitor


@pytest.fixture
def counting(pytestconfig: pytest.Config) -> Iterator[Monitor]:
    """A monitor that counts connections, too."""
    with _at_work(Monitor(str(pytestconfig.rootpath), statistics=True)) as monitor:
        yield monitor


@contextmanager
def _at_work(monitor: Monitor) -> Iterator[Monitor]:
    monitor.start()
    monitor.tests_begin()
    try:
        with small_heap(), monitor.owned_by(TEST, TEST.nodeid):
            yield monitor
    finally:
        monitor.stop()


class RunTests(Protocol):
    """Runs the tests with the plugins named, and no other; the report is written to ``report.json``.

    ``here`` means within this process, as a pytest within the pytest: that takes a fifth of the time, and is for
    what is told by the outcome alone.
    """

    def __call__(
        self, *arguments: str, plugins: Iterable[str] = ("connleak",), report: bool = True, here: bool = False
    ) -> Run: ...


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> RunTests:
    """Run the files that ``pytester`` made, in a process of its own unless it is said otherwise."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # a run with all that is installed takes a second
    monkeypatch.setenv("COLUMNS", "200")  # or pytest cuts the lines of its short summary
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)  # that this run may be a worker is not theirs to know
    for name in ("GITHUB_ACTIONS", "GITHUB_WORKSPACE", "CI_PROJECT_DIR"):  # nor where CI runs these tests
        monkeypatch.delenv(name, raising=False)

    def run_tests(
        *arguments: str, plugins: Iterable[str] = ("connleak",), report: bool = True, here: bool = False
    ) -> Run:
        loaded = [f"-p{plugin}" for plugin in plugins]
        reports = ["--connleak-report=report.json"] * report
        start = pytester.runpytest_inprocess if here else pytester.runpytest_subprocess
        with small_heap() if here else nullcontext():
            return Run(start(*loaded, *reports, *arguments), pytester.path)

    return run_tests


def _name(nodeid: str | None) -> str:
    return (nodeid or "").rpartition("::")[2]
