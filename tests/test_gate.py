"""Levels for each kind, and what a run that could not look properly does."""

from __future__ import annotations

import os

import pytest

from conftest import RunTests

BOTH = """
    import pytest
    import requests
    import responses


    @responses.activate
    def test_both():
        responses.get("http://a.test/")
        requests.Session().get("http://a.test/")
"""

CLEAN = """
    import requests


    def test_clean():
        with requests.Session():
            pass
"""


# --- levels -------------------------------------------------------------------------------------------------

SESSION, TIMEOUT = "unclosed-session", "missing-timeout"


@pytest.mark.parametrize(
    ("ini", "arguments", "marker", "levels"),
    [
        ("", (), "", {SESSION: "fail", TIMEOUT: "fail"}),
        ("connleak_levels = missing-timeout=warn", (), "", {SESSION: "fail", TIMEOUT: "warn"}),
        ("connleak_levels = missing-timeout=off", (), "", {SESSION: "fail"}),
        ("connleak_levels = missing-timeout=off, unclosed-session = warn", (), "", {SESSION: "warn"}),
        ("connleak_levels =\n  missing-timeout=off\n  unclosed-session=warn", (), "", {SESSION: "warn"}),
        ("connleak = warn\nconnleak_levels = missing-timeout=fail", (), "", {SESSION: "warn", TIMEOUT: "fail"}),
        ("connleak_levels = missing-timeout=off", ("--connleak=warn",), "", {SESSION: "warn", TIMEOUT: "warn"}),
        ("", ("--connleak-select=missing-timeout",), "", {TIMEOUT: "fail"}),
        ("", ("--connleak-select=missing-timeout,unclosed-session",), "", {SESSION: "fail", TIMEOUT: "fail"}),
        ("", ("--connleak-select=missing-timeout", "--connleak-ignore=missing-timeout"), "", {}),
        ("", ("--connleak-ignore=unclosed-session", "--connleak-ignore=unclosed-pool"), "", {TIMEOUT: "fail"}),
        ("", ("--connleak-ignore=unclosed-session", "--connleak=warn"), "", {TIMEOUT: "warn"}),
        ("connleak_levels = missing-timeout=off", ("--connleak-select=missing-timeout",), "", {TIMEOUT: "fail"}),
        ("connleak_levels = missing-timeout=warn", ("--connleak-select=missing-timeout",), "", {TIMEOUT: "warn"}),
        ("connleak_levels = missing-timeout=off", (), '"warn"', {SESSION: "warn", TIMEOUT: "warn"}),
        ("", ("--connleak-ignore=missing-timeout",), '"warn"', {SESSION: "warn", TIMEOUT: "warn"}),
        ("", ("--connleak=warn",), '"fail"', {SESSION: "fail", TIMEOUT: "fail"}),
        ("", ("--connleak=fail",), '"off"', {}),
    ],
)
def test_the_most_specific_wins(
    ini: str, arguments: tuple[str, ...], marker: str, levels: dict[str, str], pytester: pytest.Pytester, run: RunTests
) -> None:
    """The marker, then the command line, then the ini file."""
    pytester.makeini(f"[pytest]\n{ini}")
    mark = f"@pytest.mark.connleak({marker})\n    @responses" if marker else "@responses"
    pytester.makepyfile(BOTH.replace("@responses", mark))
    outcome = run(*arguments, "-Wignore", here=True)
    assert {f["kind"]: f["level"] for f in outcome.findings} == levels
    assert outcome.outcomes == ({"failed": 1} if "fail" in levels.values() else {"passed": 1})


@pytest.mark.parametrize(
    ("ini", "arguments", "message"),
    [
        ("connleak_levels = missing-timeout", (), "*connleak_levels: 'missing-timeout' is not of the form KIND=MODE*"),
        ("connleak_levels = leaks=warn", (), "*connleak_levels: 'leaks' is not a kind of finding; the kinds are *"),
        ("connleak_levels = missing-timeout=no", (), "*connleak_levels: 'no' is not one of fail, warn, off*"),
        ("", ("--connleak-select=leaks",), "*--connleak-select: 'leaks' is not a kind of finding*"),
        ("", ("--connleak-ignore=missing-timeout,",), "*--connleak-ignore: '' is not a kind of finding*"),
    ],
)
def test_a_wrong_level_is_a_usage_error(
    ini: str, arguments: tuple[str, ...], message: str, pytester: pytest.Pytester, run: RunTests
) -> None:
    pytester.makeini(f"[pytest]\n{ini}")
    pytester.makepyfile(CLEAN)
    outcome = run(*arguments, here=True)
    assert outcome.status == pytest.ExitCode.USAGE_ERROR
    outcome.result.stderr.fnmatch_lines([message])


# --- honesty ------------------------------------------------------------------------------------------------

BREAKS = {
    "the closing of sessions": (
        "import pytest_connleak.recorder\n"
        "def broken(*args): raise LookupError('broken')\n"
        "pytest_connleak.recorder.Recorder.closed = broken\n",
        "*the run fails: it could not be seen when a session is closed, so none was judged*",
    ),
    "what requests are sent": (
        "import pytest_connleak.recorder\n"
        "def broken(*args, **kwargs): raise LookupError('broken')\n"
        "pytest_connleak.recorder.Recorder.begin = broken\n",
        "*the run fails: requests (*) was not watched to the end, so leaks may*",
    ),
    "a rule": (
        "import pytest_connleak.rules.missing_timeout as rule\n"
        "def broken(*args): raise LookupError('broken')\n"
        "rule.rule.run = broken\n",
        "*the run fails: the rule missing-timeout failed, so it found no more*",
    ),
    "the verdict": (
        "import pytest_connleak.ledger\n"
        "def broken(*args, **kwargs): raise LookupError('broken')\n"
        "pytest_connleak.ledger.Ledger.has_suspects = broken\n",
        "*the run fails: a verdict failed, so what some tests left open is not known*",
    ),
}
USES = """
    import requests


    def test_clean():
        with requests.Session() as session:
            pass
        session = requests.Session()
        session.close()


    def test_kept():
        kept.append(requests.Session())
        kept.pop().close()


    kept = []
"""


@pytest.mark.parametrize(("conftest", "message"), BREAKS.values(), ids=BREAKS)
@pytest.mark.parametrize("plugins", [("connleak",), ("connleak", "xdist")], ids=["plain", "xdist"])
def test_a_run_that_could_not_look_fails(
    conftest: str, message: str, plugins: tuple[str, ...], pytester: pytest.Pytester, run: RunTests
) -> None:
    pytester.makeconftest(conftest)
    pytester.makepyfile(USES, test_leaks=BOTH)
    workers = ("-n1",) if "xdist" in plugins else ()
    outcome = run("-k", "clean or kept or both", *workers, plugins=plugins)
    assert outcome.status == pytest.ExitCode.TESTS_FAILED
    outcome.result.stdout.fnmatch_lines(["what to do: update pytest-connleak; *", message])


def test_a_library_of_which_nothing_can_be_watched(
    pytester: pytest.Pytester, run: RunTests, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is called requests, and has nothing of it."""
    for module in ("__init__", "sessions", "adapters"):
        pytester.makepyfile(**{f"site-packages/requests/{module}": ""})
    pytester.makepyfile("import requests.sessions, requests.adapters\n\ndef test_it(): pass")
    monkeypatch.setenv("PYTHONPATH", str(pytester.path / "site-packages"), prepend=os.pathsep)
    outcome = run("-p", "no:cacheprovider")
    assert (outcome.status, outcome.outcomes) == (pytest.ExitCode.TESTS_FAILED, {"passed": 1})
    outcome.result.stdout.fnmatch_lines(["the run fails: requests was imported, and nothing of it could be watched: *"])
    assert run("--connleak=warn").status == 0


def test_a_module_of_the_program_with_the_name_of_a_library(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(
        responses="class NotFound(Exception): ...",
        httplib2="class Http: ...",
        test_it="import httplib2\nimport responses\n\ndef test_it(): responses.NotFound(), httplib2.Http()",
    )
    outcome = run("-p", "no:cacheprovider")
    assert outcome.status == 0
    assert "responses" not in "\n".join(outcome.section)


def test_what_a_test_puts_in_the_place_of_a_library_is_none(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(
        """
        import sys
        from unittest import mock


        def test_it():
            sys.modules["requests"] = sys.modules["requests.sessions"] = mock.MagicMock()
        """
    )
    assert run().status == 0
