"""All that a user may import, used as users do: mypy and pyright must agree with every line, and pytest run it.

``nox -s release`` checks a copy of this directory, far from the checkout, against the installed wheel.
"""

from __future__ import annotations

import socket
import warnings
from collections.abc import Sequence
from typing import assert_type

import pytest

import pytest_connleak
from pytest_connleak import (
    ConnectionLeakError,
    Connleak,
    ConnleakError,
    Entry,
    Leaks,
    PytestConnectionLeakWarning,
    SettingError,
    watch,
)

pytestmark = pytest.mark.connleak(ignore=["missing-timeout"], reason="nothing here talks to anybody")


def leak() -> None:
    socket.socket()


def titles(findings: Sequence[Entry]) -> list[str]:
    return [f"{finding.kind} at {finding.path}:{finding.line}" for finding in findings]


def test_a_script_watches_a_block() -> None:
    with pytest_connleak.watch() as leaks:
        leak()
    assert_type(leaks, Leaks)
    assert_type(leaks[0], Entry)
    assert_type(leaks[:1], Sequence[Entry])
    assert_type(len(leaks), int)
    assert "unclosed-socket" in str(leaks)
    assert titles(leaks) == [f"unclosed-socket at {leaks[0].path}:{leaks[0].line}"]
    for finding in leaks:
        assert_type(finding, Entry)
        assert_type(finding.kind, str)
        assert_type(finding.nodeid, str | None)
        assert_type(finding.path, str | None)
        assert_type(finding.line, int | None)
        assert_type(finding.function, str | None)
        assert_type(finding.scope, str)
        assert_type(finding.owner, str)
        assert_type(finding.count, int)
        assert_type(finding.status, str)
        assert_type(finding.level, str)
        assert_type(finding.object, str)
        assert_type(finding.message, str)
        assert_type(finding.held_by, str | None)
        assert_type(finding.source, str)
        assert_type(finding.help, str)
        assert_type(finding.reason, str | None)
        assert_type(finding.fingerprint, str)
        assert_type(finding.fails, bool)
        assert_type([frame.path for frame in finding.stack], list[str])
        assert_type([frame.line for frame in finding.library_stack], list[int])
        assert [connection["status"] for connection in finding.connections] == []


@watch()
def test_watch_is_a_decorator_too() -> None:
    socket.socket().close()


def test_the_fixture(connleak: Connleak) -> None:
    assert_type(connleak.open(), list[Entry])
    connleak.ignore("unclosed-session", "unclosed-pool", reason="as an example")
    connleak.check()
    with connleak.check() as nothing:
        assert_type(nothing, None)
    with pytest.raises(ConnectionLeakError, match="unclosed-socket") as caught, connleak.check():
        leak()
    assert_type(caught.value, ConnectionLeakError)
    assert_type(caught.value.findings, tuple[Entry, ...])
    assert titles(caught.value.findings)[0].startswith("unclosed-socket at ")


def test_the_errors(connleak: Connleak) -> None:
    with pytest.raises(SettingError):
        connleak.ignore("no-such-kind", reason="as an example")
    bases: list[type[ConnleakError]] = [SettingError, ConnectionLeakError]
    assert_error: type[AssertionError] = ConnectionLeakError
    warning: type[UserWarning] = PytestConnectionLeakWarning
    assert bases
    assert assert_error
    warnings.simplefilter("error", warning)


@pytest.mark.connleak("off")
def test_a_marker() -> None:
    leak()


@pytest.mark.filterwarnings("ignore::pytest_connleak.PytestConnectionLeakWarning")
@pytest.mark.connleak("warn")
def test_a_marker_that_warns() -> None:
    leak()
