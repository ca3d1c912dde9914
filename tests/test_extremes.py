"""Where there is too much of something, or nothing left: objects, descriptors, directories, the environment."""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Callable

import pytest
import requests

from conftest import RunTests
from pytest_connleak.monitor import Monitor
from watching import TEST, kinds, verdict

# --- too many ---------------------------------------------------------------------------------------------


def test_ten_thousand_sessions_are_one_readable_finding(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile("""
        import requests

        KEPT = []


        def test_keeps():
            for _ in range(10_000):
                KEPT.append(requests.Session())


        def test_after():
            pass
    """)
    before = time.process_time()
    ran = run("--connleak-report=report.json", "--junit-xml=junit.xml", report=False, here=True)
    assert time.process_time() - before < 20  # seconds of its own: a busy machine lets it wait
    assert ran.outcomes == {"failed": 1, "passed": 1}
    assert "connleak: 10000 unclosed-session" in ran.section
    assert len(ran.result.outlines) < 60
    [failure] = ran.junit.iter("failure")
    assert "(10000 times)" in (failure.text or "")
    assert len(failure.text or "") < 2000


def test_a_verdict_costs_a_few_collections_however_big_the_heap(monitor: Monitor) -> None:
    """The passes through the heap are counted in collections, which every program knows the price of."""
    heap = [[number] for number in range(1_500_000)]
    collection = min(_seconds(gc.collect) for _ in range(3))

    requests.Session().close()
    assert _seconds(lambda: verdict(monitor)) < 0.1 * collection + 0.01, "nothing is open: no pass at all"

    requests.Session()
    assert _seconds(lambda: verdict(monitor)) < 0.1 * collection + 0.01, "nothing open is alive: no pass at all"

    kept = requests.Session()
    found: list[str] = []
    took = _seconds(lambda: found.extend(kinds(verdict(monitor))))
    assert found == ["unclosed-session"]
    assert took < 20 * collection + 0.1
    kept.close()
    assert len(heap) == 1_500_000


def _seconds(function: Callable[[], object]) -> float:
    before = time.thread_time()
    function()
    return time.thread_time() - before


def test_too_much_happens_while_events_are_noted(pytester: pytest.Pytester, run: RunTests) -> None:
    """A finalizer that opens more than may wait: the collector may call it at any line of the plugin's own, too."""
    script = pytester.makepyfile(
        script="""
        import gc

        import requests

        from pytest_connleak.model import Owner
        from pytest_connleak.monitor import Monitor


        class Opens:
            def __init__(self):
                self.me = self

            def __del__(self):
                for _ in range(3000):
                    requests.Session().close()


        class Collects(str):
            def __hash__(self):
                gc.collect()
                return 0


        monitor = Monitor("/")
        monitor.start()
        owner = Owner(Collects("test"), "function")
        gc.disable()
        Opens()
        with monitor.owned_by(owner, ""):
            requests.Session().close()
        assert monitor.settle([owner]).findings == ()
        """
    )
    try:
        ended = pytester.run(sys.executable, script, timeout=20)
    except pytester.TimeoutExpired:
        pytest.fail("it waits for itself")
    assert ended.ret == 0, ended.stderr.str()


# --- nothing left -----------------------------------------------------------------------------------------


def test_no_descriptor_is_left(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile("""
        import os
        import resource
        import socket

        import pytest
        import requests


        @pytest.fixture
        def few():
            before = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (64, before[1]))
            yield
            resource.setrlimit(resource.RLIMIT_NOFILE, before)


        KEPT = []


        def test_exhausts(few):
            with pytest.raises(OSError):
                while True:
                    KEPT.append(socket.socket())


        def test_session_with_none_left(few):
            with pytest.raises(OSError):
                while True:
                    KEPT.append(os.open("/dev/null", os.O_RDONLY))
            requests.Session()
            for descriptor in [kept for kept in KEPT if isinstance(kept, int)]:
                os.close(descriptor)


        def test_after():
            requests.Session()
    """)
    ran = run("-Wignore", "-s")
    assert ran.outcomes == {"failed": 3}
    assert set(ran.statuses) == {"test_exhausts", "test_session_with_none_left", "test_after"}
    assert set(ran.statuses.values()) == {"leak"}


def test_the_verdict_comes_while_no_descriptor_is_left(monitor: Monitor) -> None:
    resource = pytest.importorskip("resource")
    kept, taken = requests.Session(), []
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
    try:
        try:
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            found = kinds(list(monitor.settle([TEST]).findings))
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert found == ["unclosed-session"]
    kept.close()


def test_all_descriptors_are_closed(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile("""
        import os
        import socket

        import pytest
        import requests


        def test_closes_everything():
            session, sock = requests.Session(), socket.socket()
            os.closerange(3, 256)
            sock.detach()
            session.close()


        def test_leaks():
            requests.Session()


        def test_closed_by_its_number():
            sock = socket.socket()
            os.close(sock.fileno())
            sock.detach()
    """)
    ran = run("-s", "-Wignore")
    assert ran.statuses == {"test_leaks": "leak"}
    assert ran.outcomes == {"failed": 1, "passed": 2}
    assert "could not do" not in ran.output


def test_no_environment_no_streams_and_another_directory(pytester: pytest.Pytester, run: RunTests) -> None:
    """What a test takes away for good."""
    pytester.makepyfile("""
        import io
        import os
        import sys

        import requests


        def test_environment():
            os.environ.clear()
            requests.Session()


        def test_streams():
            sys.stdout = sys.stderr = None
            requests.Session()


        def test_closed_streams():
            sys.stdout = sys.stderr = io.StringIO()
            sys.stdout.close()
            requests.Session()


        def test_directory(tmp_path):
            os.chdir(tmp_path)
            requests.Session()


        def test_path():
            sys.path.clear()
            sys.meta_path.clear()
            requests.Session()


        def test_closes():
            requests.Session().close()
    """)
    ran = run("-pno:cacheprovider", "--capture=sys")
    assert ran.outcomes == {"failed": 5, "passed": 1}
    assert {(f["nodeid"].partition("::")[2], f["path"], f["source"]) for f in ran.findings} == {
        (f"test_{name}", f"{pytester.path.name[:-1]}.py", "requests.Session()")
        for name in ("environment", "streams", "closed_streams", "directory", "path")
    }
    assert "could not do" not in ran.output


def test_a_root_directory_that_cannot_be_written_to(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(test_it="import requests\n\n\ndef test_leaks():\n    requests.Session()\n")
    ran = run("--rootdir=/proc", "-Wignore")  # not even root can
    assert ran.outcomes == {"failed": 1}
    assert ran.section[-1] == "connleak: 1 unclosed-session"


def test_the_root_directory_goes_away(pytester: pytest.Pytester, run: RunTests) -> None:
    """The report has nowhere to go then; that is said, and the rest is shown."""
    inner = pytester.mkdir("inner")
    (inner / "test_it.py").write_text(
        "import os, shutil\nimport requests\n\n\ndef test_leaks():\n    requests.Session()\n"
        "    shutil.rmtree(os.path.dirname(__file__))\n"
    )
    ran = run("--rootdir=inner", "--connleak-report=inner/report.json", "-pno:cacheprovider", "inner", report=False)
    assert ran.status == pytest.ExitCode.TESTS_FAILED
    assert "report.json was not written" in "".join(line for line in ran.section if line.startswith("the run fails: "))
    assert ran.section[-1] == "connleak: 1 unclosed-session"
    assert ran.outcomes == {"failed": 1}
