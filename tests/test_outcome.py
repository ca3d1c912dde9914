"""A leaking test counts as one failure, for everything in and around pytest that reads reports."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Run, RunTests

LEAKY = """
    import requests

    def test_before():
        pass

    def test_leaks():
        print("said before")
        requests.Session()

    def test_after():
        pass
"""

CLEAN = """
    import requests

    def test_before():
        pass

    def test_closes():
        with requests.Session():
            pass
"""

# Notes every report that another plugin would be given.
RECORDER = """
    import pytest

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(report):
        with open("reports.txt", "a") as file:
            wasxfail = "xfail" if hasattr(report, "wasxfail") else ""
            print(report.nodeid.rpartition("::")[2], report.when, report.outcome, wasxfail, file=file)
"""


def recorded(run: Run) -> list[str]:
    """What ``RECORDER`` noted."""
    file = run.directory / "reports.txt"
    lines = file.read_text().splitlines()
    file.unlink()
    return [line.strip() for line in lines]


# --- one failure ------------------------------------------------------------------------------------------


def test_a_leaking_test_counts_once_as_failed(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(test_it=LEAKY)
    leaky = run("--junit-xml=junit.xml")
    assert leaky.status == pytest.ExitCode.TESTS_FAILED
    assert leaky.outcomes == {"failed": 1, "passed": 2}
    leaky.result.stdout.fnmatch_lines(["test_it.py .F. *"])
    leaky.result.stdout.fnmatch_lines(["FAILED test_it.py::test_leaks - *unclosed-session at test_it.py:8"])
    leaky.result.stdout.no_fnmatch_line("ERROR*")
    assert {name: leaky.junit.get(name) for name in ("tests", "failures", "errors", "skipped")} == {
        "tests": "3",
        "failures": "1",
        "errors": "0",
        "skipped": "0",
    }
    assert [(case.get("name"), [child.tag for child in case]) for case in leaky.junit.iter("testcase")] == [
        ("test_before", []),
        ("test_leaks", ["properties", "failure"]),
        ("test_after", []),
    ]
    assert leaky.statuses == {"test_leaks": "leak"}


def test_a_clean_suite_passes_and_nothing_is_added(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(test_it=CLEAN)
    clean = run("--junit-xml=junit.xml", here=True)
    assert clean.status == pytest.ExitCode.OK
    assert clean.outcomes == {"passed": 2}
    assert (clean.junit.get("failures"), clean.junit.get("errors")) == ("0", "0")
    assert clean.findings == []
    assert not [
        line for line in clean.result.outlines if "leak" in line and not line.startswith(("connleak: fail", "plugins:"))
    ]


def test_what_the_test_printed_is_shown_with_its_leak(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(test_it=LEAKY)
    leaky = run("--junit-xml=junit.xml", "-o", "junit_logging=all", here=True)
    leaky.result.stdout.fnmatch_lines(["*FAILURES*", "* test_leaks *", "*Captured stdout call*", "said before"])


def test_other_plugins_see_the_usual_reports_in_the_usual_order(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(test_it=LEAKY)
    pytester.makeconftest(RECORDER)
    without = recorded(run("--connleak=off"))
    assert len(without) == 9
    with_connleak = recorded(run(here=True))
    assert with_connleak == [line.replace("test_leaks call passed", "test_leaks call failed") for line in without]
    assert with_connleak != without


# --- what stops and repeats a run -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argument", "outcomes"),
    [("-x", {"failed": 1, "passed": 1}), ("--maxfail=2", {"failed": 2, "passed": 2})],
)
def test_the_run_stops_after_so_many_leaks(
    argument: str, outcomes: dict[str, int], pytester: pytest.Pytester, run: RunTests
) -> None:
    pytester.makepyfile("""
        import pytest
        import requests

        @pytest.mark.parametrize("number", range(3))
        @pytest.mark.parametrize("leak", [False, True])
        def test_it(number, leak):
            if leak:
                requests.Session()
    """)
    pytester.makeconftest("""
        def pytest_collection_modifyitems(items):
            items.sort(key=lambda item: (item.callspec.params["number"], item.callspec.params["leak"]))
    """)
    stopped = run(argument, here=True)
    assert stopped.outcomes == outcomes
    assert stopped.status == pytest.ExitCode.TESTS_FAILED
    assert len(stopped.findings) == outcomes["failed"]


def test_last_failed_runs_exactly_the_leaking_test_again(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(test_it=LEAKY)
    run(here=True)
    again = run("--lf", "-v", here=True)
    assert again.outcomes == {"failed": 1}
    again.result.stdout.fnmatch_lines(["test_it.py::test_leaks FAILED*"])
    pytester.makepyfile(test_it=LEAKY.replace("requests.Session()", "requests.Session().close()"))
    assert run("--lf", here=True).outcomes == {"passed": 1}


def test_stepwise_stops_at_the_leak_and_goes_on_from_there(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(test_it=LEAKY)
    first = run("--sw", here=True)
    assert first.outcomes == {"failed": 1, "passed": 1}
    assert first.status == pytest.ExitCode.INTERRUPTED
    assert run("--sw", here=True).outcomes == {"failed": 1, "deselected": 1}
    pytester.makepyfile(test_it=LEAKY.replace("requests.Session()", "requests.Session().close()"))
    assert run("--sw", here=True).outcomes == {"passed": 2, "deselected": 1}


# --- pytest-xdist -----------------------------------------------------------------------------------------


MANY = """
    import pytest
    import requests

    @pytest.fixture(scope="module")
    def session():
        return requests.Session()

    @pytest.mark.parametrize("number", range(6))
    def test_maybe(number):
        if number % 2:
            requests.Session()

    def test_of_module(session):
        pass
"""


def test_xdist_finds_the_same_and_one_process_says_it_once(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(test_it=MANY)
    pytester.makeconftest("""
        import os
        from pytest_connleak.formats.interface import Format

        def write(self, report, path, original=Format.write):
            with open("written.txt", "a") as file:
                print(os.environ.get("PYTEST_XDIST_WORKER", "controller"), file=file)
            original(self, report, path)

        Format.write = write
    """)
    alone = run()
    findings = alone.findings
    distributed = run("-n2", "--junit-xml=junit.xml", plugins=("xdist", "connleak"))
    assert alone.outcomes == {"failed": 4, "passed": 3}
    assert len(findings) == 4
    assert distributed.outcomes == alone.outcomes
    assert distributed.status == pytest.ExitCode.TESTS_FAILED
    assert (distributed.junit.get("failures"), distributed.junit.get("errors")) == ("4", "0")
    assert distributed.output.count("= connection leaks =") == 1
    assert distributed.output.count("connleak: 4 unclosed-session") == 1
    assert (distributed.directory / "written.txt").read_text().split() == ["controller"] * 2
    assert distributed.section == alone.section
    assert distributed.findings == findings


@pytest.mark.parametrize("mode", ["loadscope", "loadfile", "worksteal", "each"])
def test_however_xdist_distributes_the_tests(mode: str, pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(test_it=MANY, test_more=MANY)
    alone = run()
    distributed = run("-n2", f"--dist={mode}", plugins=("xdist", "connleak"))
    assert distributed.status == alone.status == pytest.ExitCode.TESTS_FAILED
    assert distributed.findings == alone.findings
    assert distributed.section == alone.section


def test_xdist_keeps_what_a_crashed_worker_had_found(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(
        LEAKY.replace(
            "def test_after():\n        pass",
            "def test_crashes():\n        import os, time\n        time.sleep(0.2)\n        os._exit(3)",
        )
    )
    crashed = run("-n1", plugins=("connleak", "xdist"))
    assert "crashed while running" in crashed.output
    assert crashed.statuses == {"test_leaks": "leak"}
    assert crashed.outcomes["failed"] == 2


# --- pytest-rerunfailures ---------------------------------------------------------------------------------


RERUN = """
    import requests

    ATTEMPTS = []

    def test_leaks_once():
        ATTEMPTS.append(1)
        if len(ATTEMPTS) == 1:
            requests.Session()

    def test_fine():
        pass
"""


@pytest.mark.parametrize(
    ("plugins", "conftest"),
    [
        (("connleak", "rerunfailures"), ""),
        (("rerunfailures", "connleak"), ""),
        (("rerunfailures",), 'pytest_plugins = ["pytest_connleak"]'),
        ((), 'pytest_plugins = ["pytest_connleak", "pytest_rerunfailures"]'),
    ],
)
def test_each_attempt_is_judged_by_itself(
    plugins: tuple[str, ...], conftest: str, pytester: pytest.Pytester, run: RunTests
) -> None:
    pytester.makepyfile(RERUN)
    pytester.makeconftest(conftest)
    rerun = run("--reruns=2", plugins=plugins, report=not conftest)
    assert rerun.outcomes == {"passed": 2, "rerun": 1}
    assert rerun.status == pytest.ExitCode.OK
    if not conftest:
        assert rerun.statuses.keys() == {"test_leaks_once"}
        assert "leak" not in rerun.statuses.values(), "it fails nothing: the second attempt passed"


def test_a_test_that_leaks_at_each_attempt_fails(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(RERUN.replace("== 1", "> 0"))
    rerun = run("--reruns=2", plugins=("connleak", "rerunfailures"))
    assert rerun.outcomes == {"passed": 1, "rerun": 2, "failed": 1}
    assert rerun.status == pytest.ExitCode.TESTS_FAILED
    assert [finding["status"] for finding in rerun.findings].count("leak") == 1


def test_reruns_with_everything_that_is_installed(
    pytester: pytest.Pytester, run: RunTests, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    pytester.makepyfile(RERUN)
    rerun = run("--reruns=2", "-pno:asyncio", plugins=())
    assert rerun.outcomes == {"passed": 2, "rerun": 1}
    assert rerun.status == pytest.ExitCode.OK


def test_reruns_under_xdist(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(RERUN)
    rerun = run("--reruns=2", "-n1", plugins=("xdist", "rerunfailures", "connleak"))
    assert rerun.outcomes == {"passed": 2, "rerun": 1}
    assert "leak" not in rerun.statuses.values()


# --- skipped, expected to fail, failed already ------------------------------------------------------------


AFTERWARDS = """
    import unittest

    import pytest
    import requests

    @pytest.fixture(autouse=True)
    def afterwards():
        yield
        {afterwards}

    @pytest.mark.skip
    def test_skip_mark():
        pass

    def test_skip():
        pytest.skip("not here")

    @pytest.mark.xfail
    def test_xfail():
        assert False

    @pytest.mark.xfail(run=False)
    def test_xfail_not_run():
        assert False

    @pytest.mark.xfail(raises=ZeroDivisionError)
    def test_xfail_raises():
        1 / 0

    @pytest.mark.xfail(strict=True)
    def test_xfail_strict():
        assert False

    def test_xfail_imperative():
        pytest.xfail("as expected")

    @pytest.mark.xfail
    def test_xpass():
        pass

    class TestOld(unittest.TestCase):
        @unittest.expectedFailure
        def test_expected_failure(self):
            assert False

        @unittest.skip("not here")
        def test_unittest_skip(self):
            pass

        def test_unittest_skip_within(self):
            self.skipTest("not here")
"""


def test_skipped_and_expected_failures_behave_as_with_an_error_in_the_teardown(
    pytester: pytest.Pytester, run: RunTests
) -> None:
    pytester.makeconftest(RECORDER)
    pytester.makepyfile(test_it=AFTERWARDS.format(afterwards="raise RuntimeError"))
    error = run("--connleak=off", here=True)
    expected = recorded(error)
    pytester.makepyfile(test_it=AFTERWARDS.format(afterwards="requests.Session()"))
    leak = run(here=True)
    assert recorded(leak) == expected
    assert leak.outcomes == error.outcomes
    assert leak.status == error.status == pytest.ExitCode.TESTS_FAILED
    assert {"errors", "xfailed", "xpassed", "skipped"} <= leak.outcomes.keys()
    pytester.makepyfile(test_it=AFTERWARDS.format(afterwards="requests.Session().close()"))
    assert "errors" not in run(here=True).outcomes


@pytest.mark.parametrize("runner", [(), ("--setup-show",)], ids=["here", "elsewhere"])
def test_what_an_expected_failure_leaves_fails_nothing(
    runner: tuple[str, ...], pytester: pytest.Pytester, run: RunTests
) -> None:
    """pytest takes an error in its teardown for expected, so the run passes, and the report says so."""
    pytester.makepyfile("""
        import pytest
        import requests

        @pytest.mark.xfail
        def test_does_not_come_to_its_close():
            requests.Session()
            assert False

        @pytest.mark.xfail
        def test_passes():
            requests.Session()
    """)
    ran = run(*runner, here=True)
    assert ran.status == pytest.ExitCode.OK
    assert ran.statuses == dict.fromkeys(["test_does_not_come_to_its_close", "test_passes"], "test-failed")
    assert ran.section[-1] == "connleak: no leaks; not failing: 2 in a test that failed anyway"


def test_an_unexpected_pass_that_is_a_failure_is_not_failed_again(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile("""
        import pytest
        import requests

        @pytest.mark.xfail(strict=True)
        def test_xpass_strict():
            requests.Session()
    """)
    xpass = run(here=True)
    assert xpass.outcomes == {"failed": 1}
    assert "XPASS(strict)" in xpass.output
    assert xpass.statuses == {"test_xpass_strict": "test-failed"}


FAILED_ALREADY = """
    import pytest
    import requests

    def leak():
        requests.Session()

    @pytest.fixture
    def fails_in_setup():
        leak()
        raise RuntimeError("in setup")

    @pytest.fixture
    def fails_in_teardown():
        yield
        raise RuntimeError("in teardown")

    def test_first():
        pass

    def test_fails():
        leak()
        assert 1 == 2

    def test_between():
        pass

    def test_setup(fails_in_setup):
        pass

    def test_teardown(fails_in_teardown):
        leak()

    def test_last():
        pass
"""


def test_a_test_that_failed_is_not_failed_again(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makeconftest(RECORDER)
    pytester.makepyfile(test_it=FAILED_ALREADY)
    without = run("--connleak=off")
    expected = recorded(without)
    failed = run("--junit-xml=junit.xml", here=True)
    assert recorded(failed) == expected
    assert failed.outcomes == without.outcomes == {"failed": 1, "passed": 4, "errors": 2}
    assert (failed.junit.get("failures"), failed.junit.get("errors")) == ("1", "2")
    assert failed.statuses == dict.fromkeys(["test_fails", "test_setup", "test_teardown"], "test-failed")


def test_the_findings_are_shown_with_the_failure(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(test_it=FAILED_ALREADY)
    failed = run(here=True)
    failed.result.stdout.fnmatch_lines(
        ["* test_fails *", "*assert 1 == 2", "*unclosed-session: requests.Session*", "*--> test_it.py:5 in leak"]
    )
    failed.result.stdout.fnmatch_lines(
        ["* ERROR at teardown of test_teardown *", "*in teardown*", "*unclosed-session*", "*--> test_it.py:5 in leak"]
    )
    shown = "\n".join(failed.section)
    assert all(name in shown for name in ("test_it.py::test_fails", "test_it.py::test_setup", "failed anyway"))


def test_the_tests_beside_a_leak_are_unaffected(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(test_it=LEAKY, test_clean=CLEAN)
    shown = run("-rA", here=True).result.stdout
    for name in ("test_it.py::test_before", "test_it.py::test_after", "test_clean.py::test_closes"):
        shown.fnmatch_lines([f"PASSED {name}"])
    shown.no_fnmatch_line("PASSED *test_leaks")


def test_subtests(pytester: pytest.Pytester, run: RunTests) -> None:
    if not hasattr(pytest, "Subtests"):
        pytest.skip("this pytest has no subtests")
    pytester.makepyfile("""
        import requests

        def test_leaks(subtests):
            with subtests.test("one"):
                requests.Session()

        def test_fine(subtests):
            with subtests.test("two"):
                pass
    """)
    subtests = run(here=True)
    assert (subtests.outcomes["failed"], subtests.outcomes["passed"]) == (1, 1)
    assert subtests.statuses == {"test_leaks": "leak"}


def test_unittest_counts_once(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile("""
        import unittest
        import requests

        class TestOld(unittest.TestCase):
            def setUp(self):
                self.session = requests.Session()

            def test_leaks(self):
                pass

            def test_closes(self):
                self.addCleanup(self.session.close)
    """)
    old = run("--junit-xml=junit.xml", here=True)
    assert old.outcomes == {"failed": 1, "passed": 1}
    assert (old.junit.get("tests"), old.junit.get("failures"), old.junit.get("errors")) == ("2", "1", "0")
    assert old.statuses == {"test_leaks": "leak"}


# --- wider fixtures ---------------------------------------------------------------------------------------


FIXTURE = """
    import pytest
    import requests

    @pytest.fixture(scope="{scope}")
    def session():
        session = requests.Session()
        yield session
        {teardown}
"""

USES_FIXTURE = """
    class TestIt:
        def test_one(self, session):
            {body}

        def test_two(self):
            {body}

    def test_three():
        {body}
"""


@pytest.mark.parametrize(
    ("scope", "charged"),
    [
        ("function", "pkg/test_it.py::TestIt::test_one"),
        ("class", "pkg/test_it.py::TestIt::test_two"),
        ("module", "pkg/test_it.py::test_three"),
        ("package", "pkg/test_more.py::test_four"),
        ("session", "test_outside.py::test_five"),
    ],
)
def test_what_a_fixture_leaves_open_is_charged_to_the_last_test_of_its_scope(
    scope: str, charged: str, pytester: pytest.Pytester, run: RunTests
) -> None:
    pytester.mkpydir("pkg")
    pytester.makepyfile(
        **{
            "pkg/conftest": FIXTURE.format(scope=scope, teardown=""),
            "pkg/test_it": USES_FIXTURE.format(body="pass"),
            "pkg/test_more": "def test_four(): pass",
            "test_outside": "def test_five(): pass",
        }
    )
    leaky = run(here=True)
    assert leaky.outcomes == {"failed": 1, "passed": 4}
    leaky.result.stdout.fnmatch_lines([f"FAILED {charged} - *unclosed-session at pkg/conftest.py:6"])
    [finding] = leaky.findings
    assert (finding["nodeid"], finding["scope"], finding["status"]) == (charged, scope, "leak")
    pytester.makepyfile(**{"pkg/conftest": FIXTURE.format(scope=scope, teardown="session.close()")})
    assert run(here=True).findings == []


# --- runs that end otherwise ------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["raise KeyboardInterrupt", "import pytest; pytest.exit('enough')"])
def test_an_interrupted_run_shows_and_writes_what_was_found(how: str, pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(
        test_it=LEAKY, test_stops=f"def test_stops():\n    {how}\ndef test_never():\n    assert False\n"
    )
    interrupted = run()
    assert interrupted.status == pytest.ExitCode.INTERRUPTED
    assert interrupted.outcomes == {"failed": 1, "passed": 2}
    assert interrupted.statuses == {"test_leaks": "leak"}
    assert "connleak: 1 unclosed-session" in interrupted.section


def test_an_interrupted_test_is_not_accused_as_one_that_passed(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile("""
        import requests

        def test_stopped():
            session = requests.Session()
            raise KeyboardInterrupt
    """)
    interrupted = run()
    assert interrupted.status == pytest.ExitCode.INTERRUPTED
    assert interrupted.outcomes == {}
    assert "leak" not in interrupted.statuses.values(), "it did not get as far as its own close()"


def test_what_a_stopped_run_tears_down_at_its_end_is_found(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makeconftest(FIXTURE.format(scope="module", teardown=""))
    pytester.makepyfile(USES_FIXTURE.format(body="assert False"))
    stopped = run("-x", here=True)
    assert stopped.outcomes == {"failed": 1}
    [finding] = stopped.findings
    assert (finding["kind"], finding["scope"]) == ("unclosed-session", "module")
    assert any("unclosed-session" in line for line in stopped.section)


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["-q"], True),
        (["-qq", "--tb=no"], True),
        (["--tb=line"], True),
        (["--tb=native", "-s"], True),
        (["--full-trace", "-p", "no:cacheprovider", "-p", "no:logging", "-p", "no:warnings"], True),
        (["--no-summary"], None),  # pytest itself has changed what other plugins show then
        (["-p", "no:terminal"], False),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_no_option_of_pytest_changes_the_verdict(
    arguments: list[str], shown: bool | None, pytester: pytest.Pytester, run: RunTests
) -> None:
    pytester.makepyfile(test_it=LEAKY)
    leaky = run(*arguments)
    assert leaky.status == pytest.ExitCode.TESTS_FAILED
    assert leaky.statuses == {"test_leaks": "leak"}
    if shown is not None:
        assert ("  --> test_it.py:8 in test_leaks" in leaky.section) is shown
    if "--tb=line" in arguments:
        leaky.result.stdout.fnmatch_lines(["*test_it.py:8: *unclosed-session*"])
    assert "Traceback" not in leaky.output
    assert "INTERNALERROR" not in leaky.output


def test_collect_only_runs_nothing(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(test_it=LEAKY + "\n    AT_IMPORT = requests.Session()\n")
    collected = run("--collect-only", "-q", here=True)
    assert collected.status == pytest.ExitCode.OK
    assert collected.result.outlines[:3] == [f"test_it.py::test_{name}" for name in ("before", "leaks", "after")]
    assert "leak" not in [finding["status"] for finding in collected.findings]


def test_setup_only_judges_the_fixtures(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makeconftest(FIXTURE.format(scope="function", teardown=""))
    pytester.makepyfile(USES_FIXTURE.format(body="assert False"))
    leaky = run("--setup-only", here=True)
    assert leaky.status == pytest.ExitCode.TESTS_FAILED
    assert leaky.statuses == {"test_one": "leak"}
    pytester.makeconftest(FIXTURE.format(scope="function", teardown="session.close()"))
    clean = run("--setup-only", here=True)
    assert (clean.status, clean.findings) == (pytest.ExitCode.OK, [])


def test_a_broken_collection_is_reported_as_ever(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(test_broken="import requests\nSESSION = requests.Session()\n1 / 0")
    broken = run(here=True)
    assert broken.status == pytest.ExitCode.INTERRUPTED
    assert broken.outcomes == {"errors": 1}
    assert "leak" not in [finding["status"] for finding in broken.findings]


# --- what a machine reads ---------------------------------------------------------------------------------


def test_the_report_has_the_promised_keys(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(
        helpers="""
            import requests

            class Client:
                def __init__(self):
                    self.session = requests.Session()
        """,
        test_it="""
            from helpers import Client

            def test_b():
                Client()

            def test_a():
                Client()
        """,
    )
    first, second = run(here=True).findings
    promised = {
        "kind": "unclosed-session",
        "nodeid": "test_it.py::test_b",
        "path": "helpers.py",
        "line": 5,
        "function": "Client.__init__",
        "scope": "function",
        "count": 1,
        "status": "leak",
        "object": "requests.Session",
        "held_by": None,
        "connections": [],
        "stack": [
            {"path": "helpers.py", "line": 5, "function": "Client.__init__"},
            {"path": "test_it.py", "line": 4, "function": "test_b"},
        ],
    }
    assert first | promised == first
    assert first["message"]
    assert second["nodeid"] == "test_it.py::test_a", "the order is that of the run"


def test_paths_outside_the_root_directory_are_absolute(
    pytester: pytest.Pytester, run: RunTests, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (outside / "elsewhere.py").write_text("import requests\ndef leak():\n    requests.Session()\n")
    pytester.syspathinsert(outside)
    pytester.makepyfile("from elsewhere import leak\ndef test_it():\n    leak()\n")
    [finding] = run(here=True).findings
    assert finding["path"] == str(outside / "elsewhere.py").replace(os.sep, "/")


def test_the_report_may_be_asked_for_twice_and_is_replaced(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(LEAKY)
    sub = pytester.mkdir("sub")
    (sub / "other.json").write_text("old")
    leaky = run("--connleak-report=sub/other.json", here=True)
    assert json.loads((sub / "other.json").read_text())["findings"] == leaky.findings
    assert [file.name for file in sub.iterdir()] == ["other.json"], "no temporary file is left"
    assert not list(Path(leaky.directory).glob(".connleak-*"))


def test_the_count_of_a_missing_timeout(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(
        test_it="""
        import requests
        import responses

        @responses.activate
        def test_it():
            responses.get("http://example.test/", body="fine")
            with requests.Session() as session:
                for _ in range(3):
                    session.get("http://example.test/")
                session.get("http://example.test/", timeout=5)
    """
    )
    [finding] = run(here=True).findings
    assert (finding["kind"], finding["line"], finding["count"]) == ("missing-timeout", 9, 3)
