"""The fixture ``connleak``, and ``watch()`` without pytest."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import pytest_connleak
from conftest import RunTests

HELPERS = """
    import contextlib

    import pytest
    import requests

    from pytest_connleak import ConnectionLeakError


    def forget():
        requests.Session()
"""


def test_check_judges_what_the_test_has_made_so_far(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(
        HELPERS
        + """

    @pytest.fixture
    def session():
        with requests.Session() as session:
            yield session


    @pytest.fixture
    def lazily():
        made = []
        yield lambda: made.append(requests.Session())
        for session in made:
            session.close()


    def test_clean(connleak):
        with requests.Session():
            pass
        connleak.check()


    def test_what_fixtures_close_is_theirs(session, connleak, lazily):
        lazily()
        connleak.check()


    def test_leaks(connleak):
        forget()
        connleak.check()
        raise AssertionError("not reached")


    def test_is_told_what(connleak):
        forget()
        with pytest.raises(ConnectionLeakError, match="unclosed-session") as caught:
            connleak.check()
        (finding,) = caught.value.findings
        assert (finding.kind, finding.function) == ("unclosed-session", "forget")
        connleak.check()  # which was said already
    """
    )
    outcome = run(here=True)
    assert outcome.outcomes == {"passed": 3, "failed": 1}
    assert [(f["nodeid"].rpartition("::")[2], f["status"]) for f in outcome.findings] == [("test_leaks", "leak")]
    outcome.result.stdout.fnmatch_lines(["*ConnectionLeakError: connection leak: unclosed-session at *"])


def test_check_judges_a_block(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(
        HELPERS
        + """

    def test_what_was_before_does_not_matter(connleak):
        session = requests.Session()
        with connleak.check():
            with requests.Session():
                pass
        session.close()


    def test_on_a_stack_of_contexts(connleak):
        session = requests.Session()
        with contextlib.ExitStack() as stack:
            stack.enter_context(connleak.check())
        session.close()


    def test_leaks(connleak):
        with connleak.check():
            forget()
        raise AssertionError("not reached")


    def test_an_exception_goes_first(connleak):
        with pytest.raises(KeyError):
            with connleak.check():
                forget()
                raise KeyError


    def test_blocks_in_blocks(connleak):
        with connleak.check():
            kept = requests.Session()
            with connleak.check():
                pass
            kept.close()
    """
    )
    outcome = run(here=True)
    assert outcome.outcomes == {"passed": 3, "failed": 2}
    assert outcome.statuses == {"test_leaks": "leak", "test_an_exception_goes_first": "leak"}


def test_ignore(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(
        HELPERS
        + """

    def test_ignored(connleak):
        connleak.ignore("unclosed-session", reason="the server is told to hang up")
        forget()


    def test_the_next_is_judged_again(connleak):
        forget()


    def test_no_such_kind(connleak):
        connleak.ignore("unclosed-door", reason="it is warm")
    """
    )
    outcome = run(here=True)
    assert outcome.outcomes == {"passed": 1, "failed": 2}
    assert outcome.statuses == {"test_ignored": "ignored", "test_the_next_is_judged_again": "leak"}
    assert outcome.findings[0]["reason"] == "the server is told to hang up"
    outcome.result.stdout.fnmatch_lines(["*'unclosed-door' is not a kind of finding; the kinds are *"])
    assert "settings.kind(" not in outcome.output, "its lines are no concern of who reads it"


def test_open_lists_what_is_open(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(
        HELPERS
        + """

    @pytest.fixture(scope="module")
    def wide():
        with requests.Session() as session:
            yield session


    def test_it(connleak, wide):
        assert [(e.kind, e.scope, e.function) for e in connleak.open()] == [("unclosed-session", "module", "wide")]
        with requests.Session():
            assert [e.scope for e in connleak.open()] == ["module", "function"]
        forget()
        assert [e.scope for e in connleak.open()] == ["module"], "that one is gone"
        connleak.ignore("unclosed-session", reason="it is what was tested")
    """
    )
    assert run(here=True).outcomes == {"passed": 1}


def test_where_nothing_is_watched_nothing_is_found(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(
        HELPERS
        + """

    def test_it(connleak):
        forget()
        connleak.check()
        with connleak.check():
            forget()
        connleak.ignore("unclosed-session", reason="")
        assert connleak.open() == []
    """
    )
    assert run("--connleak=off", report=False).outcomes == {"passed": 1}


# --- without pytest -----------------------------------------------------------------------------------------


def forget() -> None:
    import requests

    requests.Session()


def test_watch() -> None:
    with pytest_connleak.watch() as leaks:
        assert len(leaks) == 0
        forget()
    assert [(leak.kind, leak.function) for leak in leaks] == [("unclosed-session", "forget")]
    assert "connleak: 1 unclosed-session" in str(leaks)
    assert repr(leaks) == "<connleak: 1 unclosed-session>"
    assert leaks[0].path is not None
    assert leaks[0].path.endswith("test_fixture.py")


def test_watch_and_an_exception() -> None:
    def work() -> None:
        with pytest_connleak.watch() as leaks:
            seen.append(leaks)
            forget()
            raise KeyError

    seen: list[pytest_connleak.Leaks] = []
    with pytest.raises(KeyError):
        work()
    assert len(seen[0]) == 1


def test_watch_puts_everything_back() -> None:
    code = (
        "import requests, pytest_connleak\n"
        "before = requests.Session.close\n"
        "with pytest_connleak.watch() as leaks:\n"
        "    assert requests.Session.close is not before\n"
        "    session = requests.Session()\n"
        "assert requests.Session.close is before\n"
        "print([(leak.kind, leak.status, leak.line) for leak in leaks])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[('unclosed-session', 'leak', 5)]\n"


def test_watch_in_a_script(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import requests, pytest_connleak\n"
        "with pytest_connleak.watch() as leaks:\n"
        "    kept = requests.Session()\n"
        "    with requests.Session():\n"
        "        pass\n"
        "print(leaks)\n"
    )
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "--> script.py:3 in <module>" in done.stdout
    assert "help: with requests.Session(...) as kept:" in done.stdout
    assert done.stdout.endswith("connleak: 1 unclosed-session\n")
