"""Until something can leak, hardly anything of the plugin is there; then all of it is."""

from __future__ import annotations

import socket
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from pytest_connleak import instrumentation, standby
from pytest_connleak.standby import LIBRARIES, TRAPS, Standby

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import RunTests

# What makes a socket, or starts a thread, before there is anything to be seen of it.
NOTICED_BY_TRAPS = {"anyio", "asyncio", "concurrent.futures", "socket", "threading", "trio"}

NOTE = """
    import sys

    def note(when):
        with open(f"{when}.txt", "w") as file:
            file.write(" ".join(name for name in sys.modules if name.startswith("pytest_connleak.")))

    def pytest_collection_modifyitems():
        note("collected")

    def pytest_unconfigure():
        note("ended")
"""
LIGHT = {
    "descriptors",
    "errors",
    "failure",
    "formats",
    "options",
    "packages",
    "plugin",
    "rules",
    "settings",
    "standby",
    "untouched",
}


@pytest.mark.parametrize("library", instrumentation.discover(), ids=lambda library: library.name)
def test_every_library_is_noticed_in_time(library: Any) -> None:
    for observer in library.observers:
        parts = observer.module.split(".")
        packages = {".".join(parts[: n + 1]) for n in range(len(parts))}
        assert packages & LIBRARIES or library.name in NOTICED_BY_TRAPS, observer


@pytest.mark.parametrize(
    ("tests", "arguments"),
    [
        pytest.param("", (), id="no tests"),
        pytest.param("def test_it(): pass", ("--collect-only",), id="only collected"),
        pytest.param("def test_it(): pass", ("-k", "nothing"), id="deselected"),
        pytest.param("def test_it(): pass", ("--connleak=off",), id="off"),
        pytest.param("def test_it(): pass", ("-n1",), id="in workers"),
    ],
)
def test_without_tests_hardly_anything_is_imported(
    tests: str, arguments: tuple[str, ...], pytester: pytest.Pytester, run: RunTests
) -> None:
    pytester.makeconftest(NOTE if "-n1" not in arguments else NOTE.replace('note("ended")', WORKERS_DO_NOT))
    pytester.makepyfile(tests)
    run(*arguments, plugins=("connleak", "xdist"), report=False, here=False)
    imported = {name.partition(".")[2] for name in (pytester.path / "ended.txt").read_text().split()}
    assert imported - {"nodes", "model"} <= LIGHT


WORKERS_DO_NOT = """
        import os
        if "PYTEST_XDIST_WORKER" not in os.environ:
            note("ended")
"""


def test_with_tests_all_is_imported_before_the_first(pytester: pytest.Pytester, run: RunTests) -> None:
    """A test may break what imports need."""
    pytester.makeconftest(NOTE)
    pytester.makepyfile(
        """
        import sys

        def test_it():
            with open("ended.txt", "w") as file:
                file.write(" ".join(sys.modules))
            import requests

            requests.Session()
            sys.path.clear()
            sys.meta_path.clear()
    """
    )
    before = pytester.path / "ended.txt"
    ran = run(here=False)
    assert ran.outcomes == {"failed": 1}
    assert "could not do" not in ran.output
    assert "connleak: 1 unclosed-session" in ran.output
    assert "pytest_connleak.holders" in before.read_text().split()


# --- what wakes it ----------------------------------------------------------------------------------------


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> Iterator[Standby]:
    """On standby, as if no library had been imported."""
    monkeypatch.setattr(standby, "LIBRARIES", frozenset({"a_library"}))
    it = Standby(".")
    it.start()
    assert it.monitor is None
    yield it
    it.stop()


def originals() -> list[object]:
    return [vars(owner)[name] for owner, name in TRAPS]


def test_a_socket_wakes_it_and_is_seen(waiting: Standby) -> None:
    with socket.socket() as opened:
        assert waiting.monitor is not None
        [found] = [e for e in waiting.monitor.open_now(None) if e.kind == "unclosed-socket"]  # type: ignore[arg-type]
        assert found.origin.place is not None
        assert found.origin.place.function == test_a_socket_wakes_it_and_is_seen.__name__
        assert opened.fileno() >= 0


def test_a_thread_wakes_it_and_runs(waiting: Standby) -> None:
    ran = threading.Event()
    thread = threading.Thread(target=ran.set)
    thread.start()
    thread.join()
    assert ran.is_set()
    assert waiting.monitor is not None


def test_an_import_wakes_it(waiting: Standby, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "another.py").touch()
    (tmp_path / "a_library.py").touch()
    __import__("another")
    assert waiting.monitor is None
    __import__("a_library")
    del sys.modules["a_library"]
    assert waiting.monitor is not None


def test_all_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standby, "LIBRARIES", frozenset())
    before, finders = originals(), [*sys.meta_path]
    it = Standby(".")
    it.start()
    assert all(now is not then for now, then in zip(originals(), before, strict=True))
    it.stop()
    assert (originals(), sys.meta_path) == (before, finders)


def test_a_patch_on_top_of_a_trap_stays_and_is_no_loop(waiting: Standby, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    below = socket.socket.__init__

    def patched(self: Any, *args: Any, **kwargs: Any) -> None:
        calls.append(self)
        below(self, *args, **kwargs)

    monkeypatch.setattr(socket.socket, "__init__", patched)
    socket.socket().close()
    socket.socket().close()
    assert len(calls) == 2
    assert waiting.monitor is not None
    waiting.stop()
    assert socket.socket.__init__ is patched


def test_what_was_taken_before_it_woke_is_seen(waiting: Standby) -> None:
    taken = socket.socket.__init__
    waiting.wake()
    sock = socket.socket.__new__(socket.socket)
    taken(sock)
    assert waiting.monitor is not None
    assert any(found.kind == "unclosed-socket" for found in waiting.monitor.open_now(None))  # type: ignore[arg-type]
    sock.close()


def test_a_failure_to_wake_hurts_nobody_and_is_named(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makeconftest(
        """
        import sys, threading

        sys.modules["pytest_connleak.monitor"] = None  # importing it fails
        thread = threading.Thread(target=print)
        thread.start()
        thread.join()
        del sys.modules["pytest_connleak.monitor"]
    """
    )
    pytester.makepyfile("import socket\nKEPT = []\ndef test_it():\n    KEPT.append(socket.socket())\n")
    ran = run(here=False)
    assert ran.outcomes == {"failed": 1}
    assert "start failed with ModuleNotFoundError" in ran.output
    assert "nothing was watched before the first test" in ran.output
