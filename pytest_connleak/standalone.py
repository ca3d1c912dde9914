"""Watching without pytest: in a script, a REPL or another test runner."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import overload

from .formats import terminal
from .model import Owner
from .monitor import Monitor, Surroundings
from .report import Entry, Report

_OWNER = Owner("watch()", "function")


class Leaks(Sequence[Entry]):
    """What a watched block left open; there is nothing in it before the block has ended.  Printed, it is a report."""

    def __init__(self) -> None:
        self.report = Report(root=os.getcwd())

    @overload
    def __getitem__(self, index: int) -> Entry: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Entry]: ...
    def __getitem__(self, index: int | slice) -> Entry | Sequence[Entry]:
        return self.report.entries[index]

    def __len__(self) -> int:
        return len(self.report.entries)

    def __str__(self) -> str:
        return terminal.text(self.report)

    def __repr__(self) -> str:
        return f"<{terminal.counts(self.report)}>"


@contextmanager
def watch() -> Generator[Leaks, None, None]:
    """Watch a block, and judge it when it ends: ``with pytest_connleak.watch() as leaks: ...``, then ``print(leaks)``.

    What a module of the application keeps for the process is listed with the status ``shared``, as in a test; what the
    script itself keeps is a leak.  An exception of the block goes on its way; what was left open until then is judged.
    """
    leaks = Leaks()
    monitor = Monitor(leaks.report.root)
    monitor.start()
    try:
        monitor.tests_begin()
        try:
            with monitor.owned_by(_OWNER, ""):
                yield leaks
        finally:
            verdict = monitor.settle([_OWNER], "", lambda: Surroundings(test_modules=["__main__"]))
            leaks.report.entries = [Entry.of(finding, leaks.report.root) for finding in verdict.findings]
            leaks.report.faults = monitor.faults
    finally:
        monitor.stop()
