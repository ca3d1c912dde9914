"""The file of known findings: what an entry is, what it covers, when it is fixed; and a suite that adopts it."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from conftest import Run, RunTests
from pytest_connleak import baseline
from pytest_connleak.baseline import Baseline, Known, Ran
from pytest_connleak.errors import SettingError

KINDS = ("missing-timeout", "unclosed-session", "unclosed-socket")
SESSION = "unclosed-session requests.Session shop/client.py::Client.__init__"
TIMEOUT = "missing-timeout requests.Session shop/client.py::Client.get"
RENAMED = "unclosed-session requests.Session test_shop.py::test_new_name"
OLD_NAME = "unclosed-session requests.Session test_shop.py::test_old_name"


def known(*fingerprints: str, root: str = "", tests: tuple[str, ...] = (), lines: int = 1) -> Baseline:
    return Baseline({fingerprint: Known(lines, tests) for fingerprint in fingerprints}, root)


# --- the file -----------------------------------------------------------------------------------------------


def test_what_is_written_is_read(tmp_path: Path) -> None:
    made = Baseline(
        {
            TIMEOUT: Known(2, ("test_a.py::test_b", "test_a.py::test_c", "test_a.py::test_d", "...")),
            SESSION: Known(1, ()),
            "unclosed-socket socket.socket a dir/x # y.py::f.<lambda>": Known(1, ("test a.py::TestA::test_x[...]",)),
        }
    )
    file = tmp_path / "known.txt"
    file.write_text(made.render())
    assert baseline.load(str(file), "", KINDS).known == made.known


def test_one_entry_a_line_sorted() -> None:
    rows = known(SESSION, TIMEOUT, OLD_NAME).render().splitlines()
    assert rows == sorted(rows)
    assert rows[-3:] == [TIMEOUT, SESSION, OLD_NAME]


def test_a_merged_file_may_have_an_entry_twice(tmp_path: Path) -> None:
    file = tmp_path / "known.txt"
    file.write_text(f"{SESSION} x2  # test_a.py::test_a\n\n# a remark\n{SESSION}  # test_b.py::test_b\r\n")
    assert baseline.load(str(file), "", KINDS).known == {SESSION: Known(2, ("test_a.py::test_a", "test_b.py::test_b"))}


@pytest.mark.parametrize("line", ["unclosed-session", "<<<<<<< HEAD", "unclosed-session requests.Session nowhere"])
def test_a_line_that_is_no_entry_is_named(tmp_path: Path, line: str) -> None:
    file = tmp_path / "known.txt"
    file.write_text(f"{SESSION}\n{line}\n")
    with pytest.raises(SettingError, match=r"known\.txt:2: .*KIND OBJECT PATH::FUNCTION"):
        baseline.load(str(file), "", KINDS)


# --- what it covers -----------------------------------------------------------------------------------------


def test_it_covers_its_entries_and_nothing_else() -> None:
    assert known(SESSION).covers(SESSION)
    assert not known(SESSION).covers(TIMEOUT)
    assert not known(SESSION).covers(SESSION.replace("client.py", "server.py"))
    assert not known(SESSION).covers(SESSION.replace("__init__", "get"))


def test_a_test_may_be_renamed_but_not_joined_by_another(tmp_path: Path) -> None:
    (tmp_path / "test_shop.py").write_text("def test_new_name(): ...\ndef test_another(): ...\n")
    before = known(OLD_NAME, root=str(tmp_path))
    another = RENAMED.replace("new_name", "another")
    assert before.covers(RENAMED)
    assert before.excess({RENAMED: Known()}) == []
    assert before.fixed([RENAMED], Ran(whole=True)) == []
    assert len(before.excess({RENAMED: Known(), another: Known()})) == 1
    assert before.updated({RENAMED: Known()}, Ran(whole=True)).known.keys() == {RENAMED}


def test_a_new_leak_in_a_test_is_new_while_the_old_test_is_there(tmp_path: Path) -> None:
    (tmp_path / "test_shop.py").write_text("def test_old_name(): ...\ndef test_new_name(): ...\n")
    assert not known(OLD_NAME, root=str(tmp_path)).covers(RENAMED)


def test_another_function_of_the_application_is_another_mistake(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "client.py").write_text("class Client:\n    def new(self): ...\n")
    assert not known(SESSION, root=str(tmp_path)).covers(SESSION.replace("__init__", "new"))


def test_more_lines_of_one_function_than_before_are_too_many() -> None:
    assert known(SESSION).excess({SESSION: Known(2)}) == [SESSION]
    assert known(SESSION, lines=2).excess({SESSION: Known(2)}) == []


# --- what is fixed ------------------------------------------------------------------------------------------

CAUSE, OTHER = "test_shop.py::test_a", "test_shop.py::test_b"


@pytest.mark.parametrize(
    ("tests", "ran", "fixed"),
    [
        ((CAUSE,), Ran(frozenset({CAUSE})), True),
        ((CAUSE,), Ran(frozenset({OTHER})), False),
        ((CAUSE, OTHER), Ran(frozenset({CAUSE})), False),
        ((CAUSE, OTHER), Ran(frozenset({CAUSE, OTHER})), True),
        ((CAUSE, "..."), Ran(frozenset({CAUSE})), False),
        ((f"{CAUSE}[...]",), Ran(frozenset({CAUSE})), False),
        (("test_shop.py",), Ran(frozenset({CAUSE, OTHER})), False),
        ((), Ran(frozenset({CAUSE})), False),
        ((CAUSE,), Ran(frozenset({CAUSE}), whole=True), True),
        ((CAUSE,), Ran(frozenset({OTHER}), whole=True), True),
        ((CAUSE,), Ran(frozenset({OTHER}), frozenset({CAUSE}), whole=True), False),
        ((f"{CAUSE}[...]",), Ran(frozenset(), frozenset({CAUSE}), whole=True), False),
        (("test_shop.py",), Ran(frozenset({CAUSE}), frozenset({OTHER}), whole=True), False),
        ((), Ran(whole=True), True),
    ],
)
def test_fixed_is_what_did_not_occur_although_all_that_had_caused_it_ran(
    tests: tuple[str, ...], ran: Ran, fixed: bool
) -> None:
    assert (known(SESSION, tests=tests).fixed([], ran) == [SESSION]) is fixed
    assert known(SESSION, tests=tests).fixed([SESSION], ran) == []


def test_an_update_keeps_what_did_not_run() -> None:
    before = known(SESSION, TIMEOUT, tests=(CAUSE,))
    assert before.updated({SESSION: Known()}, Ran(frozenset({OTHER}))).known.keys() == {SESSION, TIMEOUT}
    assert before.updated({SESSION: Known()}, Ran(frozenset({CAUSE}))).known.keys() == {SESSION}


def test_pruning_only_removes() -> None:
    before = known(SESSION, TIMEOUT, tests=(CAUSE,), lines=2)
    after = before.pruned({SESSION: Known(1), RENAMED: Known(1)}, Ran(frozenset({CAUSE}), whole=True))
    assert after.known == {SESSION: Known(1, (CAUSE,))}


# --- a suite with 300 old leaks over 40 sites ---------------------------------------------------------------

SITES, LEAKS = 40, 300
ADOPT = ("--connleak-baseline=known.txt", "--connleak-update-baseline")
GATE = ("--connleak-baseline=known.txt",)


class Story:
    """A project of helpers that leak, and of tests that use them; what its people do to it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.fixed: set[int] = set()
        self.prefix = "test_use"
        self.more = ""
        self.write()

    def write(self, *, blank_lines: int = 1) -> None:
        gap = "\n" * blank_lines
        helpers = ["import requests", gap]
        for site in range(SITES):
            close = ".close()" if site in self.fixed else ""
            helpers += [f"def helper_{site}():{gap}    return requests.Session({gap}    ){close}", gap]
        (self.directory / "shop.py").write_text("\n".join(helpers) + self.more)
        for module in range(4):
            rows = ["import shop", gap]
            for number in range(module, LEAKS, 4):
                rows += [f"def {self.prefix}_{number}():\n    shop.helper_{number % SITES}()", gap]
            (self.directory / f"test_part_{module}.py").write_text("\n".join(rows))

    def baseline(self) -> list[str]:
        return [row for row in (self.directory / "known.txt").read_text().splitlines() if not row.startswith("#")]


@pytest.fixture
def story(pytester: pytest.Pytester) -> Story:
    return Story(pytester.path)


@pytest.fixture(autouse=True)
def no_compiled_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is written twice within a second would be taken for the one that was compiled."""
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setattr(sys, "dont_write_bytecode", True)


def test_a_suite_with_many_old_leaks(
    story: Story, pytester: pytest.Pytester, run: RunTests, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CI", raising=False)
    before = run("-q", "--tb=no", here=True)
    assert before.outcomes == {"failed": LEAKS}

    adopted = run("-q", *ADOPT, here=True)
    assert (adopted.status, adopted.outcomes) == (0, {"passed": LEAKS})
    entries = story.baseline()
    assert len(entries) == SITES
    assert entries == sorted(entries)
    assert not re.search(r":\d+\b|0x|/tmp|\d\d:\d\d", "\n".join(entries)), "no line, address, path of here, or time"

    def gate(*arguments: str, **options: Any) -> Run:
        outcome = run("-q", "--tb=no", *GATE, *arguments, **{"here": True, **options})
        assert f"{LEAKS - 7 * len(story.fixed)} in the baseline" in outcome.output or story.fixed or arguments
        return outcome

    def passes(*arguments: str, **options: Any) -> None:
        outcome = gate("-oconnleak_strict_baseline=true", *arguments, **options)
        assert outcome.status == 0, outcome.output

    passes()

    # A 301st, in a place of its own: it fails, and is named.
    story.more = "\n\ndef new():\n    requests.Session()\n"
    story.write()
    pytester.makepyfile(test_new="import shop\n\ndef test_new():\n    shop.new()\n")
    outcome = gate()
    assert (outcome.status, outcome.outcomes) == (1, {"failed": 1, "passed": LEAKS})
    assert [f["function"] for f in outcome.findings if f["status"] == "leak"] == ["new"]
    (story.directory / "test_new.py").unlink()

    # A swap: one is fixed, another one comes; as many as before.
    story.fixed, story.more = {0}, "\n\ndef helper_0_again():\n    requests.Session()\n"
    story.write()
    pytester.makepyfile(test_new="import shop\n\ndef test_new():\n    shop.helper_0_again()\n")
    assert gate().status == 1
    (story.directory / "test_new.py").unlink()
    story.more = ""

    # Ten sites are fixed: they are named, fail where that is asked for, and are pruned.
    story.fixed = set(range(10))
    story.write()
    outcome = gate()
    assert outcome.status == 0
    assert outcome.output.count("fixed, --connleak-prune-baseline removes it: ") == 10
    assert gate("-oconnleak_strict_baseline=true").status == 1
    assert gate("-k", "test_use_11", "-oconnleak_strict_baseline=true").status == 0, "a part of it says nothing"
    assert gate("--connleak-prune-baseline").status == 0
    assert story.baseline() == [entry for entry in entries if int(re.findall(r"helper_(\d+)", entry)[0]) >= 10]
    passes()

    # It is reformatted, and its tests are renamed.
    story.prefix = "test_works"
    story.write(blank_lines=3)
    passes()
    passes("-n2", plugins=("connleak", "xdist"), here=False)

    # In four shards, and merged.
    for shard in range(4):
        outcome = run(f"test_part_{shard}.py", "-q", *GATE, f"--connleak-report=shard{shard}.json", here=True)
        assert outcome.status == 0
    shards = [f"shard{shard}.json" for shard in range(4)]
    merged = merge(story.directory, *shards, "--baseline=known.txt", "--strict-baseline", "--report=all.json")
    assert merged.returncode == 0, merged.stdout
    together = json.loads((story.directory / "all.json").read_text())
    assert {f["status"] for f in together["findings"]} == {"baseline"}
    assert len(together["findings"]) == sum(number % SITES >= 10 for number in range(LEAKS))
    assert merge(story.directory, *shards).returncode == 0
    (story.directory / "empty.txt").write_text("")
    assert merge(story.directory, *shards, "--baseline=empty.txt").returncode == 1, "each of them is new"


def merge(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest_connleak", "merge", *arguments]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)


# --- the options --------------------------------------------------------------------------------------------

LEAK = """
    import requests


    def test_leaks():
        requests.Session()
"""


def test_tests_that_leak_themselves_may_be_renamed(
    pytester: pytest.Pytester, run: RunTests, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CI", raising=False)
    file = pytester.makepyfile(LEAK)
    assert run(*ADOPT, here=True).status == 0
    file.write_text(file.read_text().replace("test_leaks", "test_has_another_name"))
    assert run(*GATE, "-oconnleak_strict_baseline=true", here=True).outcomes == {"passed": 1}
    file.write_text(file.read_text() + "\n\ndef test_new():\n    requests.Session()\n")
    outcome = run(*GATE, here=True)
    assert outcome.status == 1, "one of the two is new, though nobody can say which"


def test_one_more_in_the_same_function(
    pytester: pytest.Pytester, run: RunTests, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CI", raising=False)
    file = pytester.makepyfile(LEAK)
    assert run(*ADOPT, here=True).status == 0
    file.write_text(file.read_text() + "\n    requests.Session()\n")
    outcome = run(*GATE, here=True)
    assert outcome.status == 1
    assert {f["status"] for f in outcome.findings} == {"leak"}
    outcome.result.stdout.fnmatch_lines(["*it is in 2 lines of this function; the baseline knows 1*"])
    assert run(*GATE, "--connleak=warn").status == 0, "it only warns where leaks do"


def test_the_order_of_the_tests_changes_nothing(story: Story, run: RunTests, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    run("-q", *ADOPT, here=True)
    first = (story.directory / "known.txt").read_text()
    names = [f"test_part_{n % 4}.py::test_use_{n}" for n in range(LEAKS)]
    random.Random(7).shuffle(names)
    assert run("-q", *GATE, *names[:150], here=True).status == 0
    assert run("-q", *ADOPT, *names, here=True).status == 0
    assert (story.directory / "known.txt").read_text() == first


def test_ci_writes_no_baseline(pytester: pytest.Pytester, run: RunTests, monkeypatch: pytest.MonkeyPatch) -> None:
    pytester.makepyfile(LEAK)
    monkeypatch.setenv("CI", "true")
    refused = run(*ADOPT, here=True)
    assert refused.status == pytest.ExitCode.USAGE_ERROR
    refused.result.stderr.fnmatch_lines(["ERROR: --connleak-update-baseline: CI is set, *--connleak-force*"])
    assert not (pytester.path / "known.txt").exists()
    assert run(*ADOPT, "--connleak-force", here=True).status == 0
    assert (pytester.path / "known.txt").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--connleak-update-baseline",), "*there is no baseline to write; name it with --connleak-baseline=FILE*"),
        (GATE, "*known.txt: there is no such file; --connleak-update-baseline writes it*"),
        ((*ADOPT, "--connleak-prune-baseline"), "*exclude each other*"),
        (("--connleak-baseline=no/where.txt", "--connleak-update-baseline"), "*no/where.txt: cannot be written*"),
        ((*ADOPT, "--connleak=off"), "*with connleak off nothing is watched, so there is nothing to write*"),
        (("--connleak-baseline=broken.txt",), "*broken.txt:1: 'what is this' is not of the form*"),
    ],
)
def test_what_cannot_be_is_a_usage_error(
    arguments: tuple[str, ...],
    message: str,
    pytester: pytest.Pytester,
    run: RunTests,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CI", raising=False)
    pytester.makepyfile(LEAK)
    (pytester.path / "broken.txt").write_text("what is this\n")
    outcome = run(*arguments, here=True)
    assert outcome.status == pytest.ExitCode.USAGE_ERROR
    outcome.result.stderr.fnmatch_lines([message])


def test_named_in_the_ini_file_it_is_relative_to_the_root(
    pytester: pytest.Pytester, run: RunTests, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CI", raising=False)
    pytester.makeini("[pytest]\nconnleak_baseline = known.txt")
    pytester.makepyfile(**{"sub/test_it": LEAK})
    monkeypatch.chdir(pytester.path / "sub")
    assert run("--connleak-update-baseline", report=False, here=True).status == 0
    assert "unclosed-session requests.Session sub/test_it.py::test_leaks" in (pytester.path / "known.txt").read_text()
    assert run(report=False, here=True).outcomes == {"passed": 1}


def test_what_is_written_is_counted(pytester: pytest.Pytester, run: RunTests, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    leaks = "import requests\n\ndef test_a():\n    requests.Session()\n\ndef test_b():\n    requests.Session()\n"
    file = pytester.makepyfile(leaks)

    def said(*arguments: str) -> str:
        outcome = run("--connleak-baseline=known.txt", *arguments, report=False, here=True)
        assert outcome.status == 0
        return next((row for row in outcome.section if row.startswith("baseline ")), "")

    where = f"baseline {pytester.path / 'known.txt'}"
    assert said("--connleak-update-baseline") == f"{where}: 2 entries, 2 added, 0 removed"
    file.write_text(leaks.replace("Session()", "Session().close()", 1))
    assert said("--connleak-prune-baseline") == f"{where}: 1 entry, 0 added, 1 removed"
    assert said() == ""


# --- what did not run is not fixed ----------------------------------------------------------------------------

OLD_SUITE = {
    "test_old": """
        import pytest
        import requests


        @pytest.mark.parametrize("leaks", [True, False])
        def test_variants(leaks):
            session = requests.Session()
            if not leaks:
                session.close()


        def test_clean():
            pass
    """,
    "test_timeouts": """
        import requests
        import requests_mock


        def test_waits():
            with requests_mock.Mocker() as mock, requests.Session() as session:
                mock.get("http://shop.example/")
                session.get("http://shop.example/")
    """,
}
WITHOUT_ITS_CAUSE: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "one variant": (("-k", "not True"), {}),
    "one variant, by its name": (("test_old.py::test_variants[False]", "test_timeouts.py"), {}),
    "a kind is not looked for": (("--connleak-ignore=missing-timeout,unclosed-session",), {}),
    "other kinds are": (("--connleak-select=unclosed-socket",), {}),
    "levels": (("-oconnleak_levels=missing-timeout=off, unclosed-session=off",), {}),
    "a conftest drops tests": (
        (),
        {"conftest": "def pytest_collection_modifyitems(items): items[:] = [i for i in items if 'clean' in i.name]\n"},
    ),
    "a file is skipped": ((), {"test_old": "import pytest\npytest.importorskip('no_such_module')\n"}),
    "a file is broken": (("--continue-on-collection-errors",), {"test_old": "raise LookupError\n"}),
    "only the fixtures are set up": (("--setup-only",), {}),
    "the run ends early": ((), {"test_old": "import pytest\n\ndef test_variants():\n    pytest.exit('enough', 0)\n"}),
    "a part is asked for": (("--ignore=test_old.py",), {}),
    "only what failed": (("--deselect=test_old.py",), {}),
    "the test fails": ((), {"test_old": "def test_variants():\n    assert False\n"}),
    "the test is skipped": (
        (),
        {"test_old": "import pytest\n\n@pytest.mark.skip\ndef test_variants(): ...\n"},
    ),
}


@pytest.fixture
def adopted(pytester: pytest.Pytester, run: RunTests, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The entries of a suite that was adopted."""
    monkeypatch.delenv("CI", raising=False)
    pytester.makepyfile(**OLD_SUITE)
    assert run(*ADOPT, here=True).status == 0
    entries = (pytester.path / "known.txt").read_text().splitlines()[2:]
    assert [entry.partition(" ")[0] for entry in entries] == ["missing-timeout", "unclosed-session"]
    return entries


@pytest.mark.parametrize(
    ("why", "workers"),
    [
        *((why, ()) for why in WITHOUT_ITS_CAUSE),
        *((why, ("-n1",)) for why in ("a conftest drops tests", "a file is broken", "the run ends early")),
    ],
)
def test_what_did_not_run_is_not_fixed(
    why: str,
    workers: tuple[str, ...],
    adopted: list[str],
    pytester: pytest.Pytester,
    run: RunTests,
) -> None:
    arguments, files = WITHOUT_ITS_CAUSE[why]
    for name, source in files.items():
        pytester.makepyfile(**{name: source})
    plugins = ("connleak", "xdist") if workers else ("connleak",)
    run("--connleak-prune-baseline", *GATE, *arguments, *workers, plugins=plugins, here=not workers)
    session = [entry for entry in adopted if entry.startswith("unclosed-session")]
    assert (pytester.path / "known.txt").read_text().splitlines()[-1:] == session


def test_what_ran_is_fixed(adopted: list[str], pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(test_old="def test_variants(): ...")
    assert run(*GATE, "-oconnleak_strict_baseline=true", here=True).status == 1
    assert run("--connleak-prune-baseline", *GATE, here=True).status == 0
    assert (pytester.path / "known.txt").read_text().splitlines()[2:] == adopted[:1]


def test_what_a_failed_test_left_is_known_and_not_adopted(
    adopted: list[str], pytester: pytest.Pytester, run: RunTests
) -> None:
    """It may not have come to where it closes."""
    pytester.makepyfile(
        test_old="import requests\n\ndef test_variants():\n    session = requests.Session()\n    assert False\n",
        test_new="import requests\n\ndef test_new():\n    session = requests.Session()\n    assert False\n",
    )
    assert "fixed, but" not in run(*GATE, here=True).output
    run(*ADOPT, here=True)
    assert (pytester.path / "known.txt").read_text().splitlines()[2:] == adopted


def test_what_is_shared_is_not_fixed(pytester: pytest.Pytester, run: RunTests, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    pytester.makepyfile(
        shop="import requests\n\nkept = []\n\ndef use():\n    kept.append(requests.Session())\n",
        test_it="import shop\n\ndef test_one():\n    shop.use()\n\ndef test_two():\n    shop.use()\n",
    )
    assert run(*ADOPT, here=True).status == 0
    outcome = run(*GATE, "-oconnleak_strict_baseline=true", "-oconnleak_shared=allow", here=True)
    assert outcome.status == 0, outcome.output


def test_a_check_within_a_test_knows_the_baseline(
    pytester: pytest.Pytester, run: RunTests, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CI", raising=False)
    pytester.makepyfile(
        """
        import requests


        def forget():
            requests.Session()


        def test_it(connleak):
            forget()
            connleak.check()
            with connleak.check():
                forget()
        """
    )
    assert run(*ADOPT).outcomes == {"passed": 1}
    outcome = run(*GATE, "-oconnleak_strict_baseline=true")
    assert (outcome.status, outcome.outcomes, outcome.statuses) == (0, {"passed": 1}, {"test_it": "baseline"})
    (pytester.path / "known.txt").write_text("")
    assert run(*GATE).outcomes == {"failed": 1}
    assert run(*GATE, "--connleak=warn").outcomes == {"passed": 1, "warnings": 2}


# --- who only asks what there is ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "asked", ["--help", "--version", "--markers", "--fixtures", "--collect-only", "--connleak=off"]
)
def test_a_missing_baseline_hinders_no_one_who_runs_no_tests(
    asked: str, pytester: pytest.Pytester, run: RunTests
) -> None:
    pytester.makeini("[pytest]\nconnleak_baseline = missing.txt")
    pytester.makepyfile(LEAK)
    watched = asked != "--connleak=off"  # or the plugin around this test would find the leak
    assert run(asked, report=False, here=watched).status == 0
    assert run(report=False, here=True).status == pytest.ExitCode.USAGE_ERROR


def test_an_unknown_kind_in_the_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "known.txt"
    file.write_text(SESSION.replace("session", "sesion", 1))
    said = r"known\.txt:1: 'unclosed-sesion' is not one of the kinds missing-timeout,.*; remove the line, or use"
    with pytest.raises(SettingError, match=said):
        baseline.load(str(file), "", KINDS)


def test_an_entry_is_shown_as_text(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(test_it="def test_it(): pass")
    active = SESSION.replace("client", "\x1b[2J")
    (pytester.path / "known.txt").write_text(f"{active}  # test_it.py::test_it\n")
    shown = run(*GATE, report=False, here=True).section
    assert f"fixed, --connleak-prune-baseline removes it: {active}".replace("\x1b", "\\x1b") in shown


def test_a_file_that_cannot_be_read_renames_no_test(tmp_path: Path) -> None:
    assert not known(OLD_NAME, root=str(tmp_path)).covers(RENAMED)
