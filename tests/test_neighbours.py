"""Beside plugins and tools that reach deep: coverage, flaky, pytest-socket, frozen time, eventlet, interpreters."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from conftest import Run, RunTests


def found(run: Run) -> list[tuple[str, str]]:
    """The test and the kind of each finding that fails."""
    return [(f["nodeid"].rpartition("::")[2], f["kind"]) for f in run.findings if f["status"] == "leak"]


# --- coverage ---------------------------------------------------------------------------------------------


APP = """
    import requests


    class Session(requests.Session):
        def __init__(self, *, wait=True):
            super().__init__()
            if wait:
                self.wait = 5
            else:
                self.wait = None

        def request(self, *args, **kwargs):
            kwargs.setdefault("timeout", self.wait)
            for _ in range(2):
                try:
                    return super().request(*args, **kwargs)
                except OSError:
                    continue
            return None

        def close(self):
            try:
                super().close()
            finally:
                self.wait = None


    def users(url):
        with Session() as session:
            return [word for word in str(session.get(url)).split() if word]


    def never():
        return Session(wait=False)
"""


@pytest.mark.parametrize("core", ["ctrace", "sysmon"])
def test_coverage_of_the_program_is_the_same(
    core: str, pytester: pytest.Pytester, run: RunTests, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pytest_cov")
    if core == "sysmon" and sys.version_info < (3, 12):
        pytest.skip("sys.monitoring came with Python 3.12")
    monkeypatch.setenv("COVERAGE_CORE", core)
    monkeypatch.delenv("COVERAGE_PROCESS_START", raising=False)
    pytester.makepyfile(app=APP, test_it='import app\n\n\ndef test_users():\n    app.users("http://127.0.0.1:9/")\n')

    def measured(plugin: str) -> dict[str, Any]:
        report = pytester.path / "coverage.json"
        run("--cov=app", "--cov-branch", "--cov-report=json", plugins=(plugin, "pytest_cov"), report=False)
        files = json.loads(report.read_text())["files"]
        report.unlink()
        return files

    without = measured("no:connleak")
    assert list(without) == ["app.py"]
    assert without["app.py"]["summary"]["covered_branches"] >= 3
    assert measured("connleak") == without


def test_a_trace_function_of_the_program_sees_its_own_lines_as_ever(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(
        app=APP,
        test_it="""
        import json
        import sys

        import app


        def test_traced():
            seen = []

            def trace(frame, event, argument):
                if frame.f_code.co_filename == app.__file__:
                    seen.append((frame.f_code.co_name, frame.f_lineno, event))
                return trace

            sys.settrace(trace)
            try:
                app.users("http://127.0.0.1:9/")
                assert sys.gettrace() is trace
            finally:
                sys.settrace(None)
            with open("seen.json", "w") as file:
                json.dump(seen, file)
        """,
    )

    def seen(plugin: str) -> list[Any]:
        assert run(plugins=[plugin], report=False).outcomes == {"passed": 1}
        return json.loads((pytester.path / "seen.json").read_text())

    without = seen("no:connleak")
    assert len(without) > 20
    assert seen("connleak") == without


# --- plugins that run the tests, or change the world for them ---------------------------------------------


def test_flaky(pytester: pytest.Pytester, run: RunTests) -> None:
    """flaky runs the tests by itself: a leak is an error beside its pass then, and fails the run as ever."""
    pytest.importorskip("flaky")
    pytester.makepyfile("""
        import pytest
        import requests

        ATTEMPTS = []


        @pytest.mark.flaky(max_runs=2)
        def test_fails_once_and_leaks_then():
            ATTEMPTS.append(requests.Session())
            if len(ATTEMPTS) == 1:
                raise LookupError
            ATTEMPTS[-1].close()


        @pytest.mark.flaky(max_runs=2)
        def test_leaks():
            requests.Session()


        def test_leaks_too():
            requests.Session()


        def test_closes():
            requests.Session().close()
    """)
    ran = run(plugins=("connleak", "flaky.flaky_pytest_plugin"))
    assert ran.status == pytest.ExitCode.TESTS_FAILED
    assert found(ran) == [("test_leaks", "unclosed-session"), ("test_leaks_too", "unclosed-session")]
    assert ran.outcomes["passed"] == 4
    assert "could not do" not in ran.output


def test_pytest_socket(pytester: pytest.Pytester, run: RunTests) -> None:
    pytest.importorskip("pytest_socket")
    pytester.makepyfile("""
        import socket

        import pytest
        import requests


        def test_refused():
            with requests.Session() as session, pytest.raises(RuntimeError):
                session.get("http://127.0.0.1:9/", timeout=1)


        def test_refused_and_leaks():
            session = requests.Session()
            with pytest.raises(RuntimeError):
                session.get("http://127.0.0.1:9/")


        @pytest.mark.enable_socket
        def test_allowed():
            socket.socket()


        def test_closes():
            requests.Session().close()


        class Own(socket.socket):
            pass


        @pytest.mark.enable_socket
        def test_replaced(monkeypatch):
            monkeypatch.setattr(socket, "socket", Own)
            with socket.socket():
                pass
            socket.socket()


        @pytest.mark.enable_socket
        def test_patched_method(monkeypatch):
            monkeypatch.setattr(socket.socket, "connect", lambda self, address: None)
            with socket.create_connection(("127.0.0.1", 9), timeout=1):
                pass
    """)
    ran = run("-Wignore", "--disable-socket", plugins=("connleak", "pytest_socket"))
    assert found(ran) == [
        ("test_refused_and_leaks", "unclosed-session"),
        ("test_refused_and_leaks", "missing-timeout"),
        ("test_allowed", "unclosed-socket"),
        ("test_replaced", "unclosed-socket"),
    ]
    assert "could not do" not in ran.output


@pytest.mark.parametrize("library", ["freezegun", "time_machine"])
def test_frozen_time(library: str, pytester: pytest.Pytester, run: RunTests) -> None:
    """Frozen while the verdict comes, too: the grace that threads get passes all the same, and ends."""
    freeze = {
        "freezegun": 'freezegun.freeze_time("2020-01-01")',
        "time_machine": 'time_machine.travel("2020-01-01T00:00Z", tick=False)',
    }[library]
    pytest.importorskip(library)
    pytester.makepyfile(f"""
        import threading

        import pytest
        import requests
        import {library}

        GO = threading.Event()


        @pytest.fixture(scope="module", autouse=True)
        def frozen():
            with {freeze}:
                yield


        def test_leaks():
            requests.Session()


        def test_closed_by_a_thread():
            session = requests.Session()
            threading.Timer(0.1, session.close).start()


        def test_thread_that_closes_too_late():
            session = requests.Session()

            def work():
                GO.wait(10)
                session.close()

            threading.Thread(target=work).start()


        def test_after():
            GO.set()
    """)
    ran = run("-oconnleak_grace=0.4")
    assert found(ran) == [("test_leaks", "unclosed-session"), ("test_thread_that_closes_too_late", "unclosed-session")]
    assert ran.result.duration < 10


GREEN = """
    import os
    import socket

    import eventlet
    import requests

    KEPT = []
    URL = os.environ["CONNLEAK_TEST_URL"]
    HOST, _, PORT = URL.removeprefix("http://").partition(":")


    def test_session():
        session = requests.Session()
        session.get(URL, timeout=5)
        KEPT.append(session)


    def test_session_closed():
        with requests.Session() as session:
            session.get(URL, timeout=5)


    def test_session_closed_by_a_greenlet():
        session = requests.Session()
        session.get(URL, timeout=5)
        eventlet.spawn_after(0.05, session.close)


    def test_closes():
        requests.Session().close()
"""


@pytest.mark.parametrize("order", ["patched before the plugin", "patched, then requests", "requests, then patched"])
@pytest.mark.usefixtures("server")
def test_eventlet(order: str, pytester: pytest.Pytester, run: RunTests, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("eventlet")
    monkeypatch.setenv("EVENTLET_NO_GREENDNS", "yes")  # dnspython brings httpcore2 and trio, which cannot be patched
    patch = "import eventlet\neventlet.monkey_patch()\n"
    early = order == "patched before the plugin"
    if order == "requests, then patched":
        patch = f"import requests\n{patch}"
    pytester.makepyfile(GREEN)
    pytester.makepyfile(**{"early" if early else "conftest": patch})
    ran = run("-Wignore", plugins=["early", "connleak"] if early else ["connleak"])
    assert found(ran) == [("test_session", "unclosed-session")], ran.output
    assert "could not do" not in ran.output


@pytest.mark.usefixtures("server")
def test_gevent_patched_after_requests_was_imported(pytester: pytest.Pytester, run: RunTests) -> None:
    pytest.importorskip("gevent")
    pytester.makeconftest("import requests\nfrom gevent import monkey\nmonkey.patch_all()\n")
    pytester.makepyfile(
        GREEN.replace("import eventlet", "import gevent").replace("eventlet.spawn_after", "gevent.spawn_later")
    )
    ran = run("-Wignore")
    assert found(ran) == [("test_session", "unclosed-session")], ran.output
    assert "could not do" not in ran.output


# --- interpreters, and tests in several threads -----------------------------------------------------------


def test_another_interpreter(pytester: pytest.Pytester, run: RunTests) -> None:
    """It has modules of its own, which nobody watches; its sockets are the process's, and seen as those of C are."""
    name = "_interpreters" if sys.version_info >= (3, 13) else "_xxsubinterpreters"
    pytest.importorskip(name)
    pytester.makepyfile(f"""
        import {name} as interpreters
        import socket

        import requests

        CODE = '''
        import socket
        listener = socket.create_server(("127.0.0.1", 0))
        '''.replace("        ", "")


        def test_leaks():
            global INTERPRETER
            INTERPRETER = interpreters.create()
            interpreters.run_string(INTERPRETER, CODE)


        def test_closes():
            interpreter = interpreters.create()
            interpreters.run_string(interpreter, CODE + "listener.close()")
            interpreters.destroy(interpreter)


        def test_leaks_itself():
            requests.Session()
            interpreters.destroy(INTERPRETER)
    """)
    ran = run("-Wignore")
    assert found(ran) == [("test_leaks", "unclosed-socket"), ("test_leaks_itself", "unclosed-session")]
    assert ran.outcomes == {"failed": 2, "passed": 1}


def test_each_test_in_several_threads_at_once(pytester: pytest.Pytester, run: RunTests) -> None:
    """As pytest-run-parallel does it."""
    pytester.makeconftest("""
        import threading

        import pytest


        @pytest.hookimpl(tryfirst=True)
        def pytest_pyfunc_call(pyfuncitem):
            errors, barrier = [], threading.Barrier(4)
            arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}

            def work():
                barrier.wait()
                try:
                    for _ in range(20):
                        pyfuncitem.obj(**arguments)
                except BaseException as error:
                    errors.append(error)

            threads = [threading.Thread(target=work) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            if errors:
                raise errors[0]
            return True
    """)
    pytester.makepyfile("""
        import socket

        import pytest
        import requests


        @pytest.mark.parametrize("number", range(5))
        def test_closes(number):
            with requests.Session(), socket.socket():
                pass


        def test_leaks():
            requests.Session()
    """)
    ran = run(here=True)
    assert found(ran) == [("test_leaks", "unclosed-session")] * 80
    assert ran.outcomes == {"passed": 5, "failed": 1}
    assert "could not do" not in ran.output


def test_verdicts_in_several_threads_at_once() -> None:
    """Nothing raises, and what the verdict sets aside for its collection is as it was."""
    code = """
import sys, threading, warnings
import requests
from pytest_connleak.model import Owner
from pytest_connleak.monitor import Monitor

hook, filters = sys.unraisablehook, list(warnings.filters)
monitor = Monitor("/")
monitor.start()
monitor.tests_begin()
kept = []

def work(number):
    for n in range(10):
        owner = Owner(f"test_{number}_{n}", "function")
        with monitor.owned_by(owner, owner.nodeid):
            kept.append(requests.Session())
        monitor.settle([owner], owner.nodeid)

threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
sys.setswitchinterval(1e-5)
for thread in threads: thread.start()
for thread in threads: thread.join()
monitor.stop()
assert monitor.faults == {}, monitor.faults
assert sys.unraisablehook is hook, sys.unraisablehook
assert list(warnings.filters) == filters
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
