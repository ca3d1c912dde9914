"""The fixture ``connleak``: a test looks at, judges or allows what it leaves open, while it runs."""

from __future__ import annotations

import dis
import sys
from contextlib import AbstractContextManager, ExitStack
from types import FrameType, TracebackType
from typing import TYPE_CHECKING

import pytest

from . import rules, settings
from .errors import ConnectionLeakError, SettingError
from .formats import terminal
from .judge import Judge
from .model import Owner
from .report import Entry
from .settings import Ignore

if TYPE_CHECKING:
    from .run import Run


class Connleak:
    """What the fixture gives a test; where nothing is watched (``--connleak=off``), nothing is found.

    Attributes:
        run: what watches this run, if anything does.
        item: the test.
    """

    def __init__(self, run: Run | None, item: pytest.Item) -> None:
        self.run = run
        self.item = item

    def check(self) -> AbstractContextManager[None]:
        """Judge what the test has made so far or, as a context manager, what is made in its block.

        ``connleak.check()`` on a line of its own judges at once.  What fixtures made, or hold, is theirs to close.

        Raises:
            ConnectionLeakError: if something was left open, or a request sent without a limit.
        """
        __tracebackhide__ = True
        if _is_a_statement(sys._getframe(1)) and self.run is not None and self.run.call is not None:
            _judge(self.run.judge, self.run.call, self.item)
        return _Block(self.run.judge if self.run is not None else None, self.item)

    def ignore(self, *kinds: str, reason: str) -> None:
        """Let this test leave such things open.

        Raises:
            SettingError: if there is no such kind.
        """
        __tracebackhide__ = True
        try:
            ignores = [Ignore(settings.kind(kind, rules.KINDS, "connleak.ignore()"), "*", reason) for kind in kinds]
        except SettingError as error:
            raise error.with_traceback(None) from None  # the test's line is the one to look at
        if self.run is not None:
            self.run.judge.ignore(ignores)

    def open(self) -> list[Entry]:
        """All that is open now, of whatever scope."""
        return [] if self.run is None else self.run.judge.open_now(self.item)


class _Block(AbstractContextManager[None]):
    """A part of a test, judged when it ends; one that ends with an exception is left to the end of the test."""

    def __init__(self, judge: Judge | None, item: pytest.Item) -> None:
        self._judge = judge
        self._item = item
        self._part: Owner | None = None
        self._stack = ExitStack()

    def __enter__(self) -> None:
        if self._judge is not None:
            self._part = self._stack.enter_context(self._judge.part_of(self._item))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        __tracebackhide__ = True
        self._stack.close()
        if self._judge is not None and self._part is not None and error is None:
            _judge(self._judge, self._part, self._item)


def _judge(judge: Judge, part: Owner, item: pytest.Item) -> None:
    __tracebackhide__ = True
    leaks = [entry for entry in judge.settle_part(part, item) if entry.fails]
    if leaks:
        raise ConnectionLeakError(f"{terminal.headline(leaks)}\n{terminal.short(leaks)}", leaks)


def _is_a_statement(caller: FrameType) -> bool:
    """Whether the caller throws away what it is given: then it will not use it in a ``with``."""
    following = (i for i in dis.get_instructions(caller.f_code) if i.offset > caller.f_lasti)
    return next((i.opname == "POP_TOP" for i in following), False)
