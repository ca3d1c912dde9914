"""Options, ini options and markers: what each value does, and what is said to a wrong one."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Run, RunTests

INI_OPTIONS = (
    "connleak",
    "connleak_ignore",
    "connleak_require",
    "connleak_shared",
    "connleak_library",
    "connleak_grace",
    "connleak_levels",
    "connleak_baseline",
    "connleak_strict_baseline",
)
KINDS = ("unclosed-session", "unclosed-pool", "unclosed-response", "unclosed-socket", "missing-timeout")

LEAK = """
    import requests

    def test_leaks():
        requests.Session()
"""

# A transport without a network: it answers 200 to everything.
TRANSPORT = """
    import requests

    class Transport(requests.adapters.BaseAdapter):
        def send(self, request, **kwargs):
            response = requests.Response()
            response.status_code, response.url = 200, request.url
            return response

        def close(self):
            pass

    def used_session():
        session = requests.Session()
        session.mount("mock://", Transport())
        session.get("mock://somewhere/", timeout=5)
        return session
"""


def ini(*lines: str) -> str:
    """The text of a pytest.ini."""
    return "\n".join(["[pytest]", *lines])


# --- what is listed ---------------------------------------------------------------------------------------


def test_help_lists_the_options(run: RunTests) -> None:
    """That the documentation has them too, ``test_docs`` sees."""
    text = run("--help", here=True).output
    assert len(set(re.findall(r"^  (--connleak\S*)", text, re.MULTILINE))) == 9
    assert set(re.findall(r"^  (connleak\w*) \(", text, re.MULTILINE)) == set(INI_OPTIONS)
    absent = run("--help", plugins=(), report=False, here=True).output
    assert "connleak" not in absent


def test_markers_lists_the_marker(run: RunTests) -> None:
    shown = run("--markers", here=True).result.stdout
    shown.fnmatch_lines(["@pytest.mark.connleak(*mode*ignore*reason*"])


# --- usage errors -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "settings", "named"),
    [
        pytest.param(["--connleak=maybe"], [], ["--connleak", "maybe", "fail, warn, off"], id="mode"),
        pytest.param([], ["connleak = maybe"], ["connleak", "maybe", "fail, warn, off"], id="mode in ini"),
        pytest.param(
            [],
            ["connleak_ignore = ", "    unclosed-door *"],
            ["connleak_ignore", "unclosed-door", ", ".join(sorted(KINDS))],
            id="kind",
        ),
        pytest.param(
            [], ["connleak_ignore = unclosed-session"], ["connleak_ignore", "KIND PATTERN  # reason"], id="no pattern"
        ),
        pytest.param(
            [], ["connleak_ignore = * a b"], ["connleak_ignore", "* a b", "KIND PATTERN  # reason"], id="two patterns"
        ),
        pytest.param([], ["connleak_grace = soon"], ["connleak_grace", "soon", "seconds"], id="grace"),
        pytest.param([], ["connleak_grace = -1"], ["connleak_grace", "-1", "seconds"], id="negative grace"),
        pytest.param([], ["connleak_grace = nan"], ["connleak_grace", "nan", "seconds"], id="grace is nan"),
        pytest.param(
            [], ["connleak_require = once"], ["connleak_require", "once", "always, used, connected"], id="require"
        ),
        pytest.param([], ["connleak_shared = last"], ["connleak_shared", "last", "first, fail, allow"], id="shared"),
        pytest.param(
            [], ["connleak_strict_baseline = 2"], ["connleak_strict_baseline", "'2'", "true or false"], id="strict"
        ),
        pytest.param([], ["connleak_library = hide"], ["connleak_library", "hide", "list, fail"], id="library"),
        pytest.param(["--connleak-report=it.pdf"], [], ["--connleak-report=it.pdf", ".json"], id="ending"),
        pytest.param(["--connleak-report=it"], [], ["--connleak-report=it", ".json"], id="no ending"),
        pytest.param(["--connleak-report="], [], ["--connleak-report=: no file is named"], id="no report"),
        pytest.param(
            ["--connleak-report=same.json", "--connleak-report=html:same.json"],
            [],
            ["same.json is to be both json and html"],
            id="one file for two reports",
        ),
        pytest.param(["--connleak-report=gitlab:"], [], ["gitlab:: no file is named"], id="no path"),
        pytest.param(
            ["--connleak-report=gitlb:it.json"], [], ["'gitlb' is not a format", "github, gitlab, html"], id="format"
        ),
        pytest.param(["--connleak-report=no/it.json"], [], ["--connleak-report=no/it.json"], id="no such directory"),
        pytest.param(["--connleak-report=dir.json"], [], ["--connleak-report=dir.json"], id="a directory"),
        pytest.param(
            ["--connleak-report=test_it.py/it.json"], [], ["--connleak-report=test_it.py/it.json"], id="below a file"
        ),
        pytest.param(["--connleak-report=/proc/it.json"], [], ["--connleak-report=/proc/it.json"], id="not writable"),
    ],
)
def test_a_wrong_value_is_a_usage_error(
    arguments: list[str], settings: list[str], named: list[str], pytester: pytest.Pytester, run: RunTests
) -> None:
    pytester.makeini(ini(*settings))
    pytester.makepyfile(test_it="def test_it():\n    open('ran', 'w').close()\n")
    pytester.mkdir("dir.json")
    wrong = run(*arguments, report=False, here=True)
    assert wrong.status == pytest.ExitCode.USAGE_ERROR
    assert not (pytester.path / "ran").exists(), "it is said before the first test"
    [line] = [line for line in wrong.result.errlines if line.startswith("ERROR: ")]
    for part in named:
        assert part in line
    assert "Traceback" not in wrong.output
    assert "INTERNALERROR" not in wrong.output


BAD_MARKERS = [
    pytest.param('"maybe"', ["'maybe'", "fail, warn, off"], id="mode"),
    pytest.param('ignore=["unclosed-door"]', ["'unclosed-door'", "missing-timeout"], id="kind"),
    pytest.param('"off", "warn"', ["mode", "ignore", "reason"], id="two modes"),
    pytest.param('ignored=["missing-timeout"]', ["mode", "ignore", "reason"], id="keyword"),
    pytest.param("ignore=3", ["mode", "ignore", "reason"], id="no list"),
    pytest.param('ignore=["missing-timeout"], reason=3', ["mode", "ignore", "reason"], id="reason"),
    pytest.param("7", ["mode", "ignore", "reason"], id="a number"),
]


@pytest.mark.parametrize(("arguments", "named"), BAD_MARKERS)
def test_a_wrong_marker_is_a_usage_error(
    arguments: str, named: list[str], pytester: pytest.Pytester, run: RunTests
) -> None:
    pytester.makepyfile(
        test_it=f"""
        import pytest

        def test_first():
            open("ran", "w").close()

        @pytest.mark.connleak({arguments})
        def test_marked():
            pass
        """
    )
    wrong = run(report=False, here=True)
    assert wrong.status == pytest.ExitCode.USAGE_ERROR
    assert not (pytester.path / "ran").exists()
    [line] = [line for line in wrong.result.errlines if line.startswith("ERROR: ")]
    for part in ("test_it.py::test_marked", "connleak", *named):
        assert part in line
    assert "Traceback" not in wrong.output


def test_a_wrong_marker_is_a_usage_error_under_xdist(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(test_it="import pytest\n\n@pytest.mark.connleak('maybe')\ndef test_marked():\n    pass\n")
    wrong = run("-n1", plugins=("xdist", "connleak"))
    assert wrong.status != pytest.ExitCode.OK
    assert "'maybe' is not one of fail, warn, off" in wrong.output
    assert "INTERNALERROR" not in wrong.output


# --- modes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "settings", "outcomes", "findings"),
    [
        ([], ["connleak = warn"], {"passed": 1, "warnings": 1}, 1),
        ([], ["connleak = off"], {"passed": 1}, None),
        (["--connleak=fail"], ["connleak = off"], {"failed": 1}, 1),
        (["-o", "connleak=off", "--connleak=warn"], [], {"passed": 1, "warnings": 1}, 1),
    ],
)
def test_the_command_line_is_stronger_than_the_ini_file(
    arguments: list[str],
    settings: list[str],
    outcomes: dict[str, int],
    findings: int | None,
    pytester: pytest.Pytester,
    run: RunTests,
) -> None:
    pytester.makeini(ini(*settings))
    pytester.makepyfile(LEAK)
    ran = run(*arguments)
    assert ran.outcomes == outcomes
    assert ran.status == (pytest.ExitCode.TESTS_FAILED if "failed" in outcomes else pytest.ExitCode.OK)
    if findings is not None:
        assert len(ran.findings) == findings


def test_pyproject_toml(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyprojecttoml("""
        [tool.pytest.ini_options]
        connleak = "fail"
        connleak_grace = "0.1"
        connleak_ignore = ["unclosed-session *::test_leaks  # as agreed with C# people", "unclosed-pool *"]
    """)
    pytester.makepyfile(LEAK)
    ran = run("-v", here=True)
    assert ran.outcomes == {"passed": 1}
    [finding] = ran.findings
    assert finding["status"] == "ignored"
    assert "as agreed with C# people" in "\n".join(ran.section)


@pytest.mark.parametrize("name", ["connleak", "connleak_levels", "connleak_baseline"])
def test_a_list_in_toml_where_a_string_belongs(name: str, pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyprojecttoml(f'[tool.pytest.ini_options]\n{name} = ["warn"]\n')
    wrong = run(report=False)
    assert wrong.status == pytest.ExitCode.USAGE_ERROR
    assert f"ERROR: ini option {name}: ['warn'] is a list; write it as one string" in wrong.result.errlines


def test_that_nothing_is_checked_is_said(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile("def test_it(): pass")
    one = "missing-timeout"
    said = run(f"--connleak-select={one}", f"--connleak-ignore={one}", report=False, here=True).result.outlines
    assert "connleak: fail; checks nothing" in said


# --- markers ----------------------------------------------------------------------------------------------


MARKED = """
    import pytest
    import requests
    import responses

    {pytestmark}

    def leak():
        requests.Session()

    @responses.activate
    def no_timeout():
        responses.get("http://example.test/", body="fine")
        with requests.Session() as session:
            session.get("http://example.test/")

    def test_plain():
        leak()

    @pytest.mark.connleak("off")
    def test_off():
        leak()
        no_timeout()

    @pytest.mark.connleak("warn")
    def test_warn():
        leak()

    @pytest.mark.connleak(mode="fail")
    def test_fail():
        leak()

    @pytest.mark.connleak(ignore=["missing-timeout"], reason="it is a mock")
    def test_ignore():
        no_timeout()

    @pytest.mark.connleak(ignore="missing-timeout")
    def test_ignore_other():
        leak()

    @pytest.mark.connleak("warn")
    @pytest.mark.connleak(ignore=["missing-timeout"])
    class TestMarked:
        def test_of_class(self):
            leak()

        @pytest.mark.connleak("fail")
        def test_nearest(self):
            leak()

        @pytest.mark.connleak(ignore=["unclosed-session"])
        def test_both(self):
            leak()
            no_timeout()

    @pytest.mark.parametrize("number", [1, pytest.param(2, marks=pytest.mark.connleak("off"))])
    def test_parameter(number):
        leak()
"""


def levels(run: Run) -> dict[str, list[str]]:
    """By test: fail, warn, or the status of a finding that does neither; nothing for a test without findings."""
    found: dict[str, list[str]] = {}
    for finding in run.findings:
        level = finding["level"] if finding["status"] == "leak" else finding["status"]
        found.setdefault(finding["nodeid"].rpartition("::")[2], []).append(level)
    return found


def test_markers_hold_for_a_test_and_a_class_and_the_nearest_wins(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(test_it=MARKED.format(pytestmark=""))
    marked = run("--strict-markers", "-v")
    assert levels(marked) == {
        "test_plain": ["fail"],
        "test_warn": ["warn"],
        "test_fail": ["fail"],
        "test_ignore": ["ignored"],
        "test_ignore_other": ["fail"],
        "test_of_class": ["warn"],
        "test_nearest": ["fail"],
        "test_both": ["ignored", "ignored"],
        "test_parameter[1]": ["fail"],
    }
    assert (marked.outcomes["failed"], marked.outcomes["passed"]) == (5, 6)
    assert marked.outcomes["warnings"] == 2
    assert "it is a mock" in "\n".join(marked.section)


@pytest.mark.parametrize(
    ("mark", "plain", "both"),
    [('"off"', None, ["ignored", "ignored"]), ('"warn"', ["warn"], ["ignored", "ignored"])],
)
def test_markers_hold_for_a_module(
    mark: str, plain: list[str] | None, both: list[str], pytester: pytest.Pytester, run: RunTests
) -> None:
    pytester.makepyfile(
        test_it=MARKED.format(pytestmark=f"pytestmark = pytest.mark.connleak({mark})"), test_unmarked=LEAK
    )
    found = levels(run())
    assert found.get("test_plain") == plain
    assert found.get("test_fail") == ["fail"]
    assert found.get("test_both") == both, "what is said nearer does not turn the watch on again"
    assert found.get("test_leaks") == ["fail"], "another module is not marked"


MODULE_FIXTURE = """
    import pytest
    import requests

    pytestmark = pytest.mark.connleak({mark})

    @pytest.fixture(scope="module", autouse=True)
    def session():
        session = requests.Session()
        yield session

    def test_fails():
        assert False

    @pytest.mark.connleak("off")
    def test_last():
        pass
"""


@pytest.mark.parametrize(
    ("mark", "found"),
    [
        ('"off"', {}),
        ('ignore=["unclosed-session"]', {"test_last": ["ignored"]}),
        ('"fail"', {"test_last": ["fail"]}),
    ],
)
def test_a_fixture_of_a_module_is_judged_by_the_marker_of_the_module(
    mark: str, found: dict[str, list[str]], pytester: pytest.Pytester, run: RunTests
) -> None:
    pytester.makepyfile(test_it=MODULE_FIXTURE.format(mark=mark))
    assert levels(run(here=True)) == found


@pytest.mark.parametrize("stop", ["assert False", "raise KeyboardInterrupt"])
@pytest.mark.parametrize(("mark", "found"), [('"off"', []), ('ignore=["unclosed-session"]', ["ignored"])])
def test_markers_hold_in_a_run_that_is_stopped(
    stop: str, mark: str, found: list[str], pytester: pytest.Pytester, run: RunTests
) -> None:
    pytester.makepyfile(test_it=MODULE_FIXTURE.format(mark=mark).replace("assert False", stop))
    assert [finding["status"] for finding in run("-x").findings] == found


# --- warnings ---------------------------------------------------------------------------------------------


HELPED = {
    "helpers": """
        import requests

        def make():
            return requests.Session()
    """,
    "test_it": """
        from helpers import make

        def test_leaks():
            make()

        def test_fine():
            make().close()
    """,
}


def test_a_warning_names_the_line_that_made_it(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(**HELPED)
    warned = run("--connleak=warn")
    assert warned.outcomes == {"passed": 2, "warnings": 1}
    warned.result.stdout.fnmatch_lines(
        [
            "*warnings summary*",
            "test_it.py::test_leaks",
            "*helpers.py:4: PytestConnectionLeakWarning: unclosed-session*",
        ]
    )


@pytest.mark.parametrize(
    ("arguments", "outcomes"),
    [
        (["-Wignore::pytest_connleak.PytestConnectionLeakWarning"], {"passed": 2}),
        (["-ofilterwarnings=error::pytest_connleak.PytestConnectionLeakWarning"], {"failed": 1, "passed": 1}),
        (["-Werror"], {"failed": 1, "passed": 1}),
        (["-Wignore:unclosed-pool:UserWarning"], {"passed": 2, "warnings": 1}),
    ],
)
def test_the_warning_is_filtered_as_any_other(
    arguments: list[str], outcomes: dict[str, int], pytester: pytest.Pytester, run: RunTests
) -> None:
    pytester.makepyfile(**HELPED)
    assert run("--connleak=warn", *arguments).outcomes == outcomes


def test_one_warning_for_each_finding_also_under_xdist(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile("""
        import pytest
        import requests

        @pytest.mark.parametrize("number", range(3))
        def test_it(number):
            requests.Session()
    """)
    for arguments in ([], ["-n1"]):
        warned = run("--connleak=warn", *arguments, plugins=("connleak", "xdist"))
        assert warned.outcomes == {"passed": 3, "warnings": 3}
        assert warned.status == pytest.ExitCode.OK
        assert len(warned.findings) == 3


# --- ignores ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "statuses"),
    [
        ("unclosed-session *", {"test_leaks": "ignored"}),
        ("* *", {"test_leaks": "ignored"}),
        ("* helpers.py::make", {"test_leaks": "ignored"}),
        ("unclosed-session helpers.make", {"test_leaks": "ignored"}),
        ("unclosed-session test_it.py::test_leaks", {"test_leaks": "ignored"}),
        ("unclosed-session *.test_l*  # because", {"test_leaks": "ignored"}),
        ("unclosed-session *.test_fine", {"test_leaks": "leak"}),
        ("unclosed-session helpers", {"test_leaks": "leak"}),
        ("missing-timeout *", {"test_leaks": "leak"}),
    ],
)
def test_an_ignore_is_held_against_every_frame(
    line: str, statuses: dict[str, str], pytester: pytest.Pytester, run: RunTests
) -> None:
    pytester.makepyfile(**HELPED)
    pytester.makeini(ini("connleak_ignore =", f"    {line}"))
    ran = run("-v", here=True)
    assert ran.statuses == statuses
    assert ran.outcomes.get("failed", 0) == (statuses["test_leaks"] == "leak")
    assert ("ignored (because)" in "\n".join(ran.section)) is ("because" in line)


UNUSED = "a line of connleak_ignore matched nothing, remove it: unclosed-pool *.nowhere"


def named_as_unused(run: RunTests, *arguments: str, here: bool = True) -> bool:
    """Whether a run names the one ignore that matches nothing; it never names the other."""
    ran = run(*arguments, plugins=("connleak", "xdist"), here=here)
    assert "unclosed-session *.make" not in "\n".join(ran.section)
    return UNUSED in ran.result.outlines


@pytest.fixture
def project_with_ignores(pytester: pytest.Pytester) -> None:
    """Two test modules, one ignore that is of use in the first, and one that is of none."""
    pytester.makepyfile(**HELPED, test_more="def test_more(): pass", **{"sub/test_sub": "def test_sub(): pass"})
    pytester.makeini(ini("connleak_ignore =", "    unclosed-session *.make", "    unclosed-pool *.nowhere"))


@pytest.mark.usefixtures("project_with_ignores")
@pytest.mark.parametrize("arguments", [(), (".",), ("-n1",)], ids=str)
def test_an_ignore_that_matched_nothing_in_a_whole_run_is_named(
    arguments: tuple[str, ...], pytester: pytest.Pytester, run: RunTests
) -> None:
    assert named_as_unused(run, *arguments, here="-n1" not in arguments)


@pytest.mark.usefixtures("project_with_ignores")
@pytest.mark.parametrize(
    "arguments",
    [
        ("-k", "more"),
        ("-k", "more", "-n1"),
        ("test_it.py::test_fine",),
        ("test_more.py",),
        ("test_more.py", "-n1"),
        ("--ignore=test_it.py",),
        ("--deselect=test_it.py::test_leaks",),
        ("--collect-only",),
        ("--setup-only",),
    ],
    ids=" ".join,
)
def test_unused_ignores_are_not_named_after_a_part_of_the_tests(
    arguments: tuple[str, ...], pytester: pytest.Pytester, run: RunTests
) -> None:
    assert not named_as_unused(run, *arguments, here="-n1" not in arguments)


@pytest.mark.usefixtures("project_with_ignores")
@pytest.mark.parametrize(
    ("body", "arguments"),
    [
        ("assert False", ["-x"]),
        ("raise KeyboardInterrupt", []),
        ("import pytest; pytest.exit('enough')", []),
    ],
)
def test_unused_ignores_are_not_named_after_a_run_that_stopped(
    body: str, arguments: list[str], pytester: pytest.Pytester, run: RunTests
) -> None:
    pytester.makepyfile(test_aaa=f"def test_aaa():\n    {body}\n")
    assert not named_as_unused(run, *arguments, here=False)


@pytest.mark.usefixtures("project_with_ignores")
def test_unused_ignores_are_not_named_after_a_broken_collection(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(test_aaa="1 / 0")
    assert not named_as_unused(run)


@pytest.mark.usefixtures("project_with_ignores")
def test_unused_ignores_are_not_named_after_a_run_in_a_subdirectory(
    pytester: pytest.Pytester, run: RunTests, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(pytester.path / "sub")
    assert not named_as_unused(run)


# --- the other ini options --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("require", "found"),
    [
        ("", {"test_unused", "test_mocked"}),
        ("always", {"test_unused", "test_mocked"}),
        ("used", {"test_mocked"}),
        ("connected", set()),
    ],
)
def test_require(require: str, found: set[str], pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makeini(ini(f"connleak_require = {require}"))
    pytester.makepyfile(
        transport=TRANSPORT,
        test_it="""
            import requests
            from transport import used_session

            def test_unused():
                requests.Session()

            def test_mocked():
                used_session()

            def test_closed():
                used_session().close()
        """,
    )
    ran = run(here=True)
    assert {f["nodeid"] for f in ran.findings if f["kind"] == "unclosed-session"} == {f"test_it.py::{n}" for n in found}


@pytest.mark.parametrize(
    ("shared", "statuses", "failed"),
    [
        ("first", {"test_one": "shared", "test_two": "leak"}, 1),
        ("fail", {"test_one": "leak", "test_two": "leak"}, 2),
        ("allow", {"test_one": "shared", "test_two": "shared"}, 0),
    ],
)
def test_shared(shared: str, statuses: dict[str, str], failed: int, pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makeini(ini(f"connleak_shared = {shared}"))
    pytester.makepyfile(
        myapp="""
            import requests

            _sessions = {}

            def session(name):
                if name not in _sessions:
                    _sessions[name] = requests.Session()
                return _sessions[name]
        """,
        test_it="""
            import myapp

            def test_one():
                myapp.session("one")

            def test_two():
                myapp.session("two")

            def test_again():
                myapp.session("one")
        """,
    )
    ran = run(here=True)
    assert ran.statuses == statuses
    assert ran.outcomes.get("failed", 0) == failed
    assert "   = kept alive by: myapp._sessions" in "\n".join(ran.section)


@pytest.mark.parametrize(("library", "status", "failed"), [("list", "library", 0), ("fail", "leak", 1)])
def test_library(library: str, status: str, failed: int, pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makeini(ini(f"connleak_library = {library}"))
    pytester.makepyfile(
        **{
            "sentry_sdk/__init__": "",
            "sentry_sdk/transport": "import urllib3\ndef make():\n    return urllib3.PoolManager()\n",
            "test_it": """
                import urllib3
                from sentry_sdk.transport import make

                def test_habit():
                    make()

                def test_own():
                    urllib3.PoolManager()
            """,
        }
    )
    ran = run(here=True)
    assert ran.statuses == {"test_habit": status, "test_own": "leak"}
    assert ran.outcomes["failed"] == 1 + failed
    assert ("https://docs.sentry.io/" in ran.output) is (library == "list"), "the reason has its link"


@pytest.mark.parametrize(("grace", "outcomes"), [("0", {"failed": 1}), ("5", {"passed": 1})])
def test_grace(grace: str, outcomes: dict[str, int], pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makeini(ini(f"connleak_grace = {grace}"))
    pytester.makepyfile("""
        import threading
        import requests

        def test_closed_by_a_thread():
            session = requests.Session()
            threading.Timer(0.3, session.close).start()
    """)
    ran = run(here=True)
    assert ran.outcomes == outcomes
    assert ran.result.duration < 4, "it waits no longer than it must"


def test_a_report_that_cannot_be_written_after_all_is_said(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.mkdir("gone")
    pytester.makepyfile(LEAK + "\n    def test_gone():\n        import os\n        os.rmdir('gone')\n")
    ran = run("--connleak-report=gone/it.json")
    assert ran.outcomes == {"failed": 1, "passed": 1}
    assert len(ran.findings) == 1, "the other report is written"
    assert "gone/it.json" in "\n".join(ran.section)


def test_a_full_disk_is_no_fault_of_the_plugin(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(test_it="def test_it(): pass")
    result = run("--connleak-report=md:/dev/full")
    assert result.status == 1
    assert "the run fails: report /dev/full was not written: [Errno 28] No space left on device" in result.output
    assert "doctor" not in result.output


def test_a_report_to_a_pipe_or_through_a_link_goes_where_it_points(pytester: pytest.Pytester, run: RunTests) -> None:
    """A link stays one, and a pipe (``/dev/stdout``, ``>(...)``) is written to; neither is replaced by a file."""
    pytester.makepyfile(LEAK)
    pipe, link, target = (pytester.path / name for name in ("pipe.md", "link.md", "target.md"))
    os.mkfifo(pipe)
    link.symlink_to(target)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        run("--connleak-report=pipe.md", "--connleak-report=link.md")
        assert b"unclosed-session" in os.read(reader, 65536)
    finally:
        os.close(reader)
    assert pipe.is_fifo()
    assert link.is_symlink()
    assert "unclosed-session" in target.read_text()
