"""Where a run does not go its way: debuggers, Ctrl-C, exits, and exceptions that may strike anywhere."""

from __future__ import annotations

import sys

import pytest

from conftest import Run, RunTests

LEAKS = """
    import requests


    def test_leaks():
        requests.Session()


"""


# --- a person looks ---------------------------------------------------------------------------------------


def debugged(pytester: pytest.Pytester, typed: str, *arguments: str) -> Run:
    """A run in which somebody types these lines."""
    command = [sys.executable, "-mpytest", "-pconnleak", "-pno:cacheprovider", "--connleak-report=report.json"]
    return Run(pytester.run(*command, *arguments, stdin=typed.encode()), pytester.path)


PAUSES = """
    import os
    import pdb
    import threading
    import time

    import pytest
    import requests


    def test_pauses_with_one_open():
        session = requests.Session()
        breakpoint()
        session.close()


    def test_pauses_and_leaks():
        session = requests.Session()
        pdb.set_trace()


    @pytest.fixture
    def fixture():
        session = requests.Session()
        yield session
        breakpoint()
        session.close()


    def test_pauses_in_teardown(fixture):
        pass


    def test_person_closes():
        session = requests.Session()
        breakpoint()
        assert session
"""


def test_no_verdict_while_a_person_looks(
    pytester: pytest.Pytester, run: RunTests, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makepyfile(PAUSES)
    typed = "p 'looked', session\ncontinue\n" * 3 + "session.close()\ncontinue\n"
    ran = debugged(pytester, typed)
    assert ran.output.count("('looked', <requests.sessions.Session") == 3
    assert ran.outcomes == {"failed": 1, "passed": 3}
    assert ran.statuses == {"test_pauses_and_leaks": "leak"}


def test_post_mortem(pytester: pytest.Pytester, run: RunTests) -> None:
    """A failing test stops where it failed; one that leaks has no such place, and is reported as ever."""
    pytester.makepyfile("""
        import pytest
        import requests


        @pytest.fixture
        def session():
            with requests.Session() as session:
                yield session


        def test_fails(session):
            raise LookupError("here")


        def test_fails_and_leaks():
            kept = requests.Session()
            raise LookupError("there")


        def test_leaks():
            requests.Session()


        def test_passes(session):
            pass
    """)
    ran = debugged(pytester, "p 'looked', session.adapters.keys()\ncontinue\np 'looked', kept\ncontinue\n", "--pdb")
    assert ran.output.count("('looked', ") == 2
    assert ran.output.count("entering PDB") == 2
    assert ran.outcomes == {"failed": 3, "passed": 1}
    assert ran.statuses == {"test_fails_and_leaks": "test-failed", "test_leaks": "leak"}


def test_quitting_the_debugger_shows_what_was_found(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(f"""{LEAKS}
    def test_fails():
        session = requests.Session()
        raise LookupError


    def test_never():
        requests.Session()
    """)
    ran = debugged(pytester, "quit\n", "--pdb")
    assert ran.status == pytest.ExitCode.INTERRUPTED
    assert ran.statuses == {"test_leaks": "leak", "test_fails": "test-failed"}
    assert "connleak: 1 unclosed-session; not failing: 1 in a test that failed anyway" in ran.section


# --- Ctrl-C, and exits ------------------------------------------------------------------------------------


INTERRUPTED = """
    import os
    import signal
    import sys
    import threading

    import pytest
    import requests


    def test_leaks():
        requests.Session()


    @pytest.fixture
    def before():
        session = requests.Session()
        yield session
        session.close()


    @pytest.fixture
    def stops():
        yield
        {how}


    def test_stops(before, stops):
        requests.Session()


    def test_never():
        requests.Session()
"""


@pytest.mark.parametrize(
    "how", ["signal.raise_signal(signal.SIGINT)", "pytest.exit('enough')"], ids=["ctrl-c", "pytest.exit"]
)
def test_an_interrupted_teardown_shows_what_was_found(how: str, pytester: pytest.Pytester, run: RunTests) -> None:
    """Of the test that was torn down nothing is said for sure: some of its fixtures may not have been asked to end."""
    pytester.makepyfile(INTERRUPTED.format(how=how))
    ran = run()
    assert ran.status == pytest.ExitCode.INTERRUPTED
    assert ran.statuses["test_leaks"] == "leak"
    assert "test_never" not in ran.statuses
    assert "1 unclosed-session" in ran.section[-1]
    assert ran.outcomes["failed"] == 1


def test_ctrl_c_while_the_verdict_waits_for_a_thread(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile("""
        import os
        import signal
        import threading
        import time

        import requests


        def test_leaks():
            requests.Session()


        def test_has_a_thread():
            session, main = requests.Session(), threading.main_thread().ident

            def work():
                time.sleep(0.5)
                signal.pthread_kill(main, signal.SIGINT)
                time.sleep(0.2)
                session.close()

            threading.Thread(target=work, daemon=True).start()
    """)
    ran = run("-oconnleak_grace=30")
    assert ran.status == pytest.ExitCode.INTERRUPTED
    assert ran.statuses["test_leaks"] == "leak"
    assert ran.result.duration < 10


@pytest.mark.parametrize("how", ["sys.exit(3)", "raise SystemExit", "raise MemoryError", "raise GeneratorExit"])
def test_a_fixture_that_exits_fails_its_test_and_no_other(how: str, pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(f"""
        import sys

        import pytest
        import requests


        @pytest.fixture
        def fixture():
            session = requests.Session()
            {how}
            yield session


        def test_uses(fixture):
            pass


        def test_leaks():
            requests.Session()


        @pytest.fixture
        def ends():
            yield requests.Session()
            {how}


        def test_ends(ends):
            pass


        def test_closes():
            requests.Session().close()
    """)
    ran = run(here=True)
    assert ran.outcomes == {"errors": 2, "failed": 1, "passed": 2}
    assert ran.statuses == {"test_uses": "test-failed", "test_leaks": "leak", "test_ends": "test-failed"}


def test_a_test_that_ends_the_process_keeps_its_status(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(f"{LEAKS}    def test_exits():\n        __import__('os')._exit(7)\n")
    ran = run()
    assert ran.status == 7
    assert "Traceback" not in ran.output


# --- exceptions that strike anywhere ----------------------------------------------------------------------


def test_no_memory_for_the_program_switches_nothing_off(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile("""
        import pytest
        import requests
        import requests.adapters


        class Adapter(requests.adapters.HTTPAdapter):
            def send(self, *args, **kwargs):
                raise MemoryError


        def test_no_memory():
            with requests.Session() as session, pytest.raises(MemoryError):
                session.mount("http://", Adapter())
                session.get("http://127.0.0.1:9/", timeout=1)


        def test_no_memory_in_a_constructor():
            class Session(requests.Session):
                def __init__(self):
                    super().__init__()
                    raise MemoryError

            with pytest.raises(MemoryError):
                Session()  # the program has no chance to close it, but it was made


        def test_leaks():
            requests.Session()
    """)
    ran = run(here=True)
    assert "could not do" not in ran.output
    assert "test_leaks" in ran.statuses


def test_a_handler_of_signals_that_raises_while_the_plugin_works(pytester: pytest.Pytester, run: RunTests) -> None:
    """The exception is the program's, wherever its handler happens to run."""
    pytester.makepyfile("""
        import itertools
        import signal
        import socket
        import time

        import pytest


        class Alarm(Exception):
            pass


        def ring(*_):
            raise Alarm


        def work():
            end = time.perf_counter() + 5
            while time.perf_counter() < end:
                socket.socket().close()


        @pytest.mark.connleak("off")  # an alarm between a socket and its close leaves it open
        def test_alarms():
            before = signal.signal(signal.SIGALRM, ring)
            try:
                for n in range(300):
                    with pytest.raises(Alarm):
                        signal.setitimer(signal.ITIMER_REAL, 0.0005 + n * 0.000003)
                        work()
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
                signal.signal(signal.SIGALRM, before)


        def test_leaks():
            socket.socket()
    """)
    ran = run("-Wignore")
    assert ran.outcomes == {"passed": 1, "failed": 1}
    assert ran.statuses["test_leaks"] == "leak"
    assert "could not do" not in ran.output
