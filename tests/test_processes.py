"""Forks, other processes, several runs in one process, and threads that go on."""

from __future__ import annotations

import json

import pytest

from conftest import RunTests

LEAKS = """
    import requests


    def test_leaks():
        requests.Session()


    def test_closes():
        requests.Session().close()
"""


# --- children ---------------------------------------------------------------------------------------------


FORKS = """
    import os
    import sys

    import requests


    def in_child(function):
        child = os.fork()
        if not child:
            status = 99
            try:
                status = function() or 0
            finally:
                os._exit(status)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


    def test_child_leaks():
        assert in_child(lambda: requests.Session() and 7) == 7


    def test_parent_has_one_open():
        session = requests.Session()
        assert in_child(lambda: 3) == 3
        session.close()


    def test_child_closes_what_the_parent_forgets(url):
        session = requests.Session()
        session.get(url, timeout=5)
        assert in_child(session.close) == 0


    def test_child_raises():
        def fail():
            requests.Session()
            raise LookupError

        assert in_child(fail) == 99


    def test_child_without_timeout(url):
        assert in_child(lambda: requests.get(url).status_code - 200) == 0


    def test_after():
        requests.Session()
"""


@pytest.mark.usefixtures("server")
def test_a_forked_child_reports_nothing_and_its_parent_all(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(FORKS)
    ran = run("-Wignore", plugins=("connleak", "servers.plugin"))
    assert ran.statuses == {"test_child_closes_what_the_parent_forgets": "leak", "test_after": "leak"}
    assert ran.outcomes == {"failed": 2, "passed": 4}
    assert "could not" not in ran.output


CHILD = """
    import sys

    import requests


    def leak_and_exit(status):
        requests.Session()
        sys.exit(status)


    def leak(status):
        requests.Session()
        return status
"""
START_METHODS = """
    import concurrent.futures
    import multiprocessing

    import pytest
    import requests

    import child

    METHODS = [multiprocessing.get_context(name) for name in ("fork", "spawn", "forkserver")]


    @pytest.mark.parametrize("method", METHODS)
    def test_process(method):
        process = method.Process(target=child.leak_and_exit, args=(5,))
        process.start()
        process.join()
        assert process.exitcode == 5


    @pytest.mark.parametrize("method", METHODS)
    def test_pool(method):
        with concurrent.futures.ProcessPoolExecutor(1, mp_context=method) as pool:
            assert list(pool.map(child.leak, [1, 2])) == [1, 2]


    def test_manager():
        with multiprocessing.Manager() as manager:
            manager.list()


    def test_queue_and_pipe():
        queue, (one, other) = multiprocessing.Queue(), multiprocessing.Pipe()
        queue.put(1)
        assert queue.get() == 1
        one.close(), other.close(), queue.close(), queue.join_thread()


    def test_leaks():
        child.leak(1)
"""


def test_every_way_of_multiprocessing_to_start_a_child(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(START_METHODS, child=CHILD)
    ran = run("-Wignore::DeprecationWarning")
    assert ran.outcomes == {"failed": 1, "passed": 8}
    assert ran.statuses == {"test_leaks": "leak"}


def test_a_child_that_runs_pytest_itself(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(
        """
        import os

        import pytest
        import requests


        def statuses(*arguments):
            found = []
            for name in ("leaks", "closes"):
                child = os.fork()
                if not child:
                    os._exit(pytest.main(["-q", "-pno:cacheprovider", *arguments, f"inner.py::test_{name}"]))
                found.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
            return found


        def test_with_it():
            assert statuses("-pconnleak", "--connleak-report=inner.json") == [1, 0]


        def test_without():
            assert statuses("-pno:connleak") == [0, 0]


        def test_leaks_itself():
            session = requests.Session()
            assert statuses("-pconnleak") == [1, 0]
        """,
        inner=LEAKS,
    )
    ran = run("-Wignore::DeprecationWarning")
    assert ran.statuses == {"test_leaks_itself": "leak"}
    assert ran.outcomes == {"failed": 1, "passed": 2}


def test_a_child_that_goes_on_with_the_tests_writes_no_report(pytester: pytest.Pytester, run: RunTests) -> None:
    """A fork without ``os._exit()`` runs the rest of the tests, too, and here it is the last to end."""
    pytester.makeconftest("""
        import os
        import time

        PARENT = os.getpid()


        def pytest_sessionfinish(session):
            if os.getpid() != PARENT:
                time.sleep(0.3)


        def pytest_unconfigure():
            if os.getpid() == PARENT:
                os.wait()
    """)
    pytester.makepyfile("""
        import os

        import requests

        PARENT = os.getpid()


        def test_forks():
            os.fork()


        def test_leaks():
            requests.Session()
            assert os.getpid() == PARENT
    """)
    ran = run("-Wignore::DeprecationWarning", "-s")
    assert ran.output.count("1 passed") == 2
    assert ran.statuses == {"test_leaks": "leak"}


def test_forked(pytester: pytest.Pytester, run: RunTests) -> None:
    pytest.importorskip("pytest_forked")
    pytester.makepyfile(
        LEAKS,
        test_module="""
        import pytest
        import requests


        @pytest.fixture(scope="module")
        def session():
            with requests.Session() as session:
                yield session


        def test_uses(session):
            pass


        def test_uses_too(session):
            pass
        """,
    )
    arguments, plugins = ("--forked", "-Wignore::DeprecationWarning"), ("connleak", "pytest_forked")
    if run("--connleak=off", *arguments, plugins=plugins, report=False).outcomes != {"passed": 4}:
        pytest.skip("this pytest-forked does not work with this pytest")
    ran = run("--junit-xml=junit.xml", *arguments, plugins=plugins)
    assert ran.outcomes == {"failed": 1, "passed": 3}
    assert ran.statuses == {"test_leaks": "leak"}


# --- several runs in one process --------------------------------------------------------------------------


def test_pytest_called_again_and_again(pytester: pytest.Pytester, run: RunTests) -> None:
    """Each run is judged by its own options and its own tests; one that had it off, or lasts in a thread, too."""
    pytester.makepyfile(test_it=LEAKS)
    script = pytester.makepyfile(
        script="""
        import json
        import threading

        import pytest
        import requests

        SEND = requests.Session.send


        def main(*arguments):
            status = int(pytest.main(["-q", "-pno:cacheprovider", *arguments, "test_it.py"]))
            return [status, requests.Session.send is SEND]


        def in_thread(*arguments):
            found = []
            thread = threading.Thread(target=lambda: found.extend(main(*arguments)))
            thread.start()
            thread.join()
            return found


        seen = [
            main("-pconnleak"),
            main("-pconnleak"),
            main("-pconnleak", "--connleak=off"),
            main("-pno:connleak"),
            main("-pconnleak", "--connleak=warn"),
            main("-pconnleak", "--no-such-option"),
            in_thread("-pconnleak"),
            main("-pconnleak", "-k", "closes"),
            in_thread("-pconnleak", "--connleak-report=report.json"),
        ]
        with open("seen.json", "w") as file:
            json.dump(seen, file)
        """
    )
    pytester.runpython(script)
    seen = json.loads((pytester.path / "seen.json").read_text())
    assert [put_back for _, put_back in seen] == [True] * len(seen)
    assert [status for status, _ in seen] == [1, 1, 0, 0, 0, 4, 1, 0, 1]
    [finding] = json.loads((pytester.path / "report.json").read_text())["findings"]
    assert finding["nodeid"] == "test_it.py::test_leaks"


def test_two_runs_at_once(pytester: pytest.Pytester, run: RunTests) -> None:
    """Patches are of the process: whose leak is whose cannot be told then, but nothing fails.

    With -s, since two pytests that capture at once write to each other's closed files now and then, also without this
    plugin.
    """
    pytester.makepyfile(test_it=LEAKS)
    script = pytester.makepyfile(
        script="""
        import threading

        import pytest
        import requests


        def main():
            status.append(int(pytest.main(["-q", "-s", "-pno:cacheprovider", "-pconnleak", "test_it.py"])))


        status = []
        threads = [threading.Thread(target=main) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(status) == 2
        assert set(status) <= {0, 1}, status
        requests.Session().close()
        """
    )
    result = pytester.runpython(script)
    assert result.ret == 0, result.stderr.str()
    assert "could not do" not in result.stdout.str()


# --- threads ----------------------------------------------------------------------------------------------


THREADS = """
    import threading
    import time

    import pytest
    import requests

    GO, KEPT = threading.Event(), []


    def test_thread_that_closes_soon():
        session = requests.Session()
        threading.Timer(0.05, session.close).start()


    def test_thread_that_outlives_the_test():
        def work():
            session = requests.Session()
            GO.wait(5)
            session.close()

        threading.Thread(target=work).start()
        time.sleep(0.05)


    def test_daemon():
        started = threading.Event()

        def work():
            session = requests.Session()
            started.set()
            while session:
                time.sleep(0.01)

        threading.Thread(target=work, daemon=True).start()
        started.wait(5)


    def test_after():
        GO.set()


    def test_daemon_that_goes_on_making_them():
        started = threading.Event()

        def work():
            while True:
                requests.Session().close()
                started.set()

        threading.Thread(target=work, daemon=True).start()
        started.wait(5)
"""


def test_threads_that_go_on(pytester: pytest.Pytester, run: RunTests) -> None:
    """What a thread still has when its grace is over is found; daemons at the end disturb nobody."""
    pytester.makepyfile(THREADS)
    ran = run("-oconnleak_grace=0.2")
    assert ran.statuses == {"test_thread_that_outlives_the_test": "leak", "test_daemon": "leak"}
    assert ran.outcomes == {"failed": 2, "passed": 3}
    assert ran.result.stderr.str().strip() == ""
    assert "could not do" not in ran.output
