"""The line that says how far something has come: on a real terminal, and nowhere else."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TextIO
from unittest import mock

import pytest

from pytest_connleak import __main__ as commands
from pytest_connleak import progress
from pytest_connleak.formats import json
from pytest_connleak.progress import Progress
from pytest_connleak.report import Report

ERASE = "\r\x1b[K"


class Terminal:
    """A terminal, as a program writes to it (``stream``) and as somebody sees it."""

    def __init__(self, controlling: int, stream: TextIO) -> None:
        self._controlling = controlling
        self.stream = stream
        self.seen = ""

    def wait_for(self, pattern: str) -> str:
        """Read until this was drawn, and return all that was."""
        while not re.search(pattern, self.seen):
            self.seen += os.read(self._controlling, 65536).decode()
        return self.seen

    def rest(self) -> str:
        """All that was written, once there will be no more."""
        self.stream.write("THE END")
        self.stream.flush()
        return self.wait_for("THE END").removesuffix("THE END")


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    controlling, controlled = pty.openpty()
    with open(controlled, "w", encoding="utf-8") as stream:
        yield Terminal(controlling, stream)
    os.close(controlling)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line comes at once."""
    monkeypatch.setattr(progress, "PATIENCE", 0)
    monkeypatch.setattr(progress, "INTERVAL", 0.001)
    monkeypatch.setenv("TERM", "xterm")


def test_it_is_drawn_and_taken_away(terminal: Terminal, impatient: None) -> None:
    with Progress("reading reports", 4, stream=terminal.stream) as line:
        line.step("one.json")
        terminal.wait_for(re.escape(f"{ERASE}reading reports  {'-' * 20}  0/4  0:00  one.json"))
        line.step("two.json")
        terminal.wait_for(re.escape(f"{ERASE}reading reports  #####{'-' * 15}  1/4  0:00  two.json"))
    assert terminal.rest().endswith(ERASE)


def test_without_an_end_there_is_no_bar(terminal: Terminal, impatient: None) -> None:
    with Progress("merging", stream=terminal.stream):
        seen = terminal.wait_for("merging  0:00")
    assert not re.search(r"[#-]{2}|/", seen)


def test_it_leaves_alone_the_line_that_stands_there(terminal: Terminal, impatient: None) -> None:
    with Progress("writing", stream=terminal.stream, lead="\n"):
        assert terminal.wait_for("writing").startswith("\r\n")


def test_it_fits_the_terminal(terminal: Terminal, impatient: None) -> None:
    with Progress("reading reports", 4, stream=terminal.stream) as line:
        line.step("x" * 1000)
        drawn = terminal.wait_for("xxx").split(ERASE)[-1]
    assert len(drawn) < 80


def test_a_name_cannot_command_the_terminal(terminal: Terminal, impatient: None) -> None:
    with Progress("reading reports", 4, stream=terminal.stream) as line:
        line.step("\x1b[31m\n.json")
        assert r"  \x1b[31m\n.json" in terminal.wait_for(r"31m\s*\S*json")


def test_a_terminal_that_is_gone_is_no_error(impatient: None) -> None:
    controlling, controlled = pty.openpty()
    stream = open(controlled, "w", encoding="utf-8")  # noqa: SIM115 (to close it fails, too)
    with Progress("reading reports", stream=stream) as line:
        os.read(controlling, 1)
        os.close(controlling)
        assert line._thread is not None
        line._thread.join(10)  # pytest makes an error of an exception in there
        assert not line._thread.is_alive()
    with suppress(OSError):
        stream.close()


def test_without_another_thread_nothing_is_drawn(
    terminal: Terminal, impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", mock.Mock(side_effect=RuntimeError("can't start new thread")))
        assert nothing_is_drawn(terminal.stream)
    assert terminal.rest() == ""


def test_what_is_done_at_once_says_nothing(terminal: Terminal) -> None:
    with Progress("reading reports", 4, stream=terminal.stream) as line:
        line.step("one.json")
    assert terminal.rest() == ""


def test_a_dumb_terminal_gets_nothing(terminal: Terminal, impatient: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert nothing_is_drawn(terminal.stream)
    assert terminal.rest() == ""


def test_a_pipe_gets_nothing(impatient: None) -> None:
    reading, writing = os.pipe()
    with open(writing, "w", encoding="utf-8") as stream:
        assert nothing_is_drawn(stream)
    with open(reading, encoding="utf-8") as stream:
        assert stream.read() == ""


def test_what_is_no_file_gets_nothing(impatient: None) -> None:
    stream = io.StringIO()
    assert nothing_is_drawn(stream)
    assert stream.getvalue() == ""
    stream.close()
    assert nothing_is_drawn(stream)


def nothing_is_drawn(stream: TextIO) -> bool:
    """There is no thread that could draw."""
    before = threading.active_count()
    with Progress("reading reports", 4, stream=stream) as line:
        line.step("one.json")
        return threading.active_count() == before


def test_merging_says_how_far_it_is(
    terminal: Terminal, impatient: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [str(tmp_path / f"{number}.json") for number in range(3)]
    for path in paths:
        Path(path).write_text(json.render(Report()), encoding="utf-8")
    parse = json.parse

    def parse_when_it_was_said(text: str) -> Report:
        nonlocal done
        terminal.wait_for(rf"reading reports  [#-]{{20}}  {done}/3")
        done += 1
        return parse(text)

    done = 0
    monkeypatch.setattr(json, "parse", parse_when_it_was_said)
    monkeypatch.setattr(sys, "stderr", terminal.stream)
    assert commands.main(["merge", *paths]) == 0
    assert terminal.rest().endswith(ERASE)


SLOW_REPORT = """
    import threading
    from pytest_connleak import progress
    from pytest_connleak.formats import json

    progress.PATIENCE, progress.INTERVAL = 0, 0.001
    begun, drawn = threading.Event(), threading.Event()
    line, render = progress.Progress._line, json.render

    def note(self, *arguments):
        if begun.is_set():  # so the line says which report it is
            drawn.set()
        return line(self, *arguments)

    def render_when_it_was_said(report):
        begun.set()
        assert drawn.wait({timeout})
        return render(report)

    progress.Progress._line = note
    json.render = render_when_it_was_said
"""


def test_a_run_that_writes_reports_says_so(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it="def test_it(): pass")
    pytester.makeconftest(SLOW_REPORT.format(timeout=30))
    controlling, controlled = pty.openpty()
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "TERM": "xterm", "COLUMNS": "100"}
    arguments = ["-m", "pytest", "-q", "-p", "connleak", "--connleak-report=report.json"]
    with subprocess.Popen(
        [sys.executable, *arguments], stdin=controlled, stdout=controlled, stderr=controlled, env=environment
    ) as process:
        os.close(controlled)
        seen = ""
        while part := _read(controlling):
            seen += part
    os.close(controlling)
    assert process.returncode == 0, seen
    before, _, after = seen.rpartition(ERASE)
    assert f"writing reports  {'-' * 20}  0/1  0:00  " in before
    assert "100%" in before.partition("\n")[0]
    assert "writing" not in after
    assert "1 passed" in after


def test_a_run_in_a_pipe_says_nothing(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it="def test_it(): pass")
    pytester.makeconftest("from pytest_connleak import progress\n\nprogress.PATIENCE = progress.INTERVAL = 0\n")
    result = pytester.runpytest_subprocess("-pconnleak", "--connleak-report=report.json")
    assert result.ret == 0
    assert "writing reports" not in f"{result.stdout}{result.stderr}"


def _read(descriptor: int) -> str:
    try:
        return os.read(descriptor, 65536).decode()
    except OSError:  # Linux says so where the last program has closed the terminal
        return ""
