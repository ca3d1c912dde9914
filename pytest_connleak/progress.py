"""How far a long step has come: one line on a terminal, after a moment, and gone at the end; elsewhere nothing.

It is drawn by a thread, since what takes long is often one call, and says at least that time goes on.  (rich and tqdm
draw it better; but nobody has them installed for this.)
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TextIO, TypeVar

# Seconds: what takes less has no line, and how often it is drawn.
PATIENCE = 2.0
INTERVAL = 0.1

# Columns of the bar.
WIDTH = 20

_ERASE = "\r\x1b[K"

_T = TypeVar("_T")


class Progress:
    """``with Progress("reading reports", 200) as progress: progress.step("shard-1.json")``."""

    def __init__(self, what: str, total: int = 0, *, stream: TextIO | None = None, lead: str = "") -> None:
        """Nothing is drawn yet.

        Args:
            what: is done; it stands before the bar.
            total: how many steps there are; 0 if there is no saying, and so no bar.
            stream: where to draw; stderr by default.
            lead: written before anything is drawn, where the cursor is not at the beginning of a line.
        """
        self._what = what
        self._total = total
        self._lead = lead
        self._begun = 0
        self._step = ""
        self._stream = sys.stderr if stream is None else stream
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Progress:
        if _is_terminal(self._stream):
            thread = threading.Thread(target=self._draw, args=(time.monotonic(),), daemon=True)
            with suppress(RuntimeError):  # the system allows no more threads
                thread.start()
                self._thread = thread
        return self

    def __exit__(self, *exception: object) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def step(self, name: str) -> None:
        """The next step begins."""
        self._begun += 1
        self._step = name if name.isprintable() else ascii(name)[1:-1]

    def through(self, names: Sequence[str]) -> Iterator[str]:
        """Each of these is a step."""
        for name in names:
            self.step(name)
            yield name

    def _draw(self, start: float) -> None:
        with suppress(OSError, ValueError):  # the terminal is gone, or cannot show a name
            self._redraw(start)

    def _redraw(self, start: float) -> None:
        if self._over.wait(PATIENCE):
            return
        self._stream.write(self._lead)
        while not self._over.wait(INTERVAL):
            self._stream.write(_ERASE + self._line(time.monotonic() - start, _columns(self._stream)))
            self._stream.flush()
        self._stream.write(_ERASE)
        self._stream.flush()

    def _line(self, seconds: float, columns: int) -> str:
        """``reading reports  ########------------  12/30  0:07  shard-12.json``, as far as there is room."""
        done = max(self._begun - 1, 0)  # the step that has begun is not done
        parts = [self._what]
        if self._total:
            filled = WIDTH * done // self._total
            parts += ["#" * filled + "-" * (WIDTH - filled), f"{done}/{self._total}"]
        parts += [f"{int(seconds) // 60}:{int(seconds) % 60:02}", self._step]
        return "  ".join(filter(None, parts))[: columns - 1]


def _is_terminal(stream: TextIO) -> bool:
    """Whether lines can be drawn over there; a captured stream, or a pipe, is none."""
    try:
        return os.isatty(stream.fileno()) and os.environ.get("TERM") != "dumb"
    except (AttributeError, OSError, ValueError):  # no file at all, or a closed one
        return False


def _columns(stream: TextIO) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except OSError:
        return 80
