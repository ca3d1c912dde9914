"""``python -m pytest_connleak``: merge, show, explain and doctor."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import RunTests
from pytest_connleak import rules

SUITE = {
    "test_a": """
        import pytest
        import requests

        @pytest.fixture(scope="session")
        def wide():
            return requests.Session()

        def test_leaks(wide):
            requests.Session()

        def test_clean():
            pass
    """,
    "test_b": """
        import requests

        def test_pool():
            import urllib3
            urllib3.PoolManager()
    """,
}


def command(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "pytest_connleak", *arguments],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture
def shards(pytester: pytest.Pytester, run: RunTests) -> tuple[str, ...]:
    pytester.makepyfile(**SUITE)
    for name in SUITE:
        run(f"{name}.py", f"--connleak-report={name}.json", report=False, here=True)
    return tuple(f"{name}.json" for name in SUITE)


def findings(file: Path) -> list[tuple[str, str, int]]:
    return [(f["kind"], f["path"], f["line"]) for f in json.loads(file.read_text())["findings"]]


def test_merged_shards_are_as_one_run(shards: tuple[str, ...], pytester: pytest.Pytester, run: RunTests) -> None:
    whole = run(here=True)
    merged = command(pytester.path, "merge", *shards, "--report", "all.json", "--report", "all.sarif")
    assert merged.returncode == whole.status == 1
    assert sorted(findings(pytester.path / "all.json")) == sorted(findings(pytester.path / "report.json"))
    assert merged.stdout.endswith("connleak: 1 unclosed-pool, 2 unclosed-session\n")
    rules = [r["ruleId"] for r in json.loads((pytester.path / "all.sarif").read_text())["runs"][0]["results"]]
    assert sorted(rules) == ["unclosed-pool", "unclosed-session", "unclosed-session"]


def test_a_merged_report_can_be_merged_again(shards: tuple[str, ...], pytester: pytest.Pytester) -> None:
    command(pytester.path, "merge", *shards, "--report", "once.json")
    assert command(pytester.path, "merge", "once.json", "--report", "twice.json").returncode == 1
    assert (pytester.path / "once.json").read_text() == (pytester.path / "twice.json").read_text()


def test_a_clean_merge_passes(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile("def test_clean(): pass")
    run(here=True)
    merged = command(pytester.path, "merge", "report.json")
    assert (merged.returncode, merged.stdout) == (0, "connleak: no leaks\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("merge", "nowhere.json"), "nowhere.json: there is no such file"),
        (("merge", "broken.json"), "broken.json: not a JSON report"),
        (("merge", "other.json"), "other.json: not a report of version 1 (version: 2)"),
        (("merge", "half.json"), "half.json: not a whole report"),
        (("merge", "report.json", "--baseline", "nowhere.txt"), "nowhere.txt: there is no such file"),
        (("merge", "odd.json"), "odd.json: not a whole report"),
        (("merge", "report.json", "--report", "all.docx"), "all.docx: its ending names no format"),
        (("merge", "report.json", "--report", "gitlb:all.json"), "gitlb:all.json: 'gitlb' is not a format"),
        (("merge", "report.json", "--rootdir", "no"), "/no; name that in which the tests ran"),
        (("merge", "report.json", "."), ".: Is a directory"),
        (("merge",), "merge: error: the following arguments are required: REPORT.json"),
        (("show", "report.json", "other.json"), "unrecognized arguments: other.json"),
        (("mrge", "report.json"), "invalid choice: 'mrge'"),
        ((), "arguments are required"),
        (("merge", "report.json", "--report", "no/all.json"), "there is no directory no; make it"),
        (("merge", "report.json", "--report", "json:/dev/full"), "/dev/full: cannot be written (No space"),
        (("show", "report.txt"), "report.txt: JSON, but not a report"),
        (("show", "nowhere.json"), "nowhere.json: there is no such file"),
    ],
)
def test_what_cannot_be_is_said(
    arguments: tuple[str, ...], message: str, pytester: pytest.Pytester, run: RunTests
) -> None:
    pytester.makepyfile("def test_clean(): pass")
    run(here=True)
    odd = (pytester.path / "report.json").read_text().replace('"faults": {}', '"faults": []')
    for name, text in {"broken": "", "other": '{"version": 2}', "half": '{"version": 1}', "odd": odd}.items():
        (pytester.path / f"{name}.json").write_text(text)
    (pytester.path / "report.txt").write_text("{}")
    done = command(pytester.path, *arguments)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert message in done.stderr


def test_a_fixture_of_many_files_is_one_mistake_in_all_shards(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makeconftest("""
        import pytest
        import requests

        @pytest.fixture(scope="session")
        def wide():
            return requests.Session()
    """)
    pytester.makepyfile(test_a="def test_a(wide): ...", test_b="def test_b(wide): ...")
    for name in ("test_a", "test_b"):
        run(f"{name}.py", f"--connleak-report={name}.json", report=False, here=True)
    assert command(pytester.path, "merge", "test_a.json", "test_b.json", "--report", "all.json").returncode == 1
    assert [f["count"] for f in json.loads((pytester.path / "all.json").read_text())["findings"]] == [1]


def test_shards_are_merged_elsewhere(pytester: pytest.Pytester, run: RunTests, monkeypatch: pytest.MonkeyPatch) -> None:
    """That a test was renamed since can only be seen where the tests are."""
    monkeypatch.delenv("CI", raising=False)
    file = pytester.makepyfile(test_it="import requests\n\ndef test_old():\n    requests.Session()\n")
    known = ("--connleak-baseline=known.txt",)
    assert run(*known, "--connleak-update-baseline").status == 0
    file.write_text(file.read_text().replace("test_old", "test_new"))
    assert run(*known).status == 0
    elsewhere = pytester.mkdir("elsewhere")
    arguments = ("merge", "../report.json", "--baseline", "../known.txt")
    assert command(elsewhere, *arguments).returncode == 1
    assert command(elsewhere, *arguments, "--rootdir", "..").returncode == 0


def test_show_prints_the_report_of_the_run_again(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(**SUITE)
    outcome = run()
    shown = command(pytester.path, "show", "report.json")
    assert shown.returncode == 0
    assert shown.stdout.splitlines() == outcome.section


@pytest.mark.parametrize("kind", [rule.kind for rule in rules.discover()])
def test_explain_prints_the_page_that_a_finding_names(kind: str, tmp_path: Path) -> None:
    """Each begins with what it is, and goes on with what to write instead."""
    done = command(tmp_path, "explain", kind)
    assert done.returncode == 0
    assert done.stdout.startswith(f"# {kind}\n\nA ")
    for heading in ("Why it is bad", "Before and after", "How it knows", "When to ignore it"):
        assert f"\n## {heading}\n" in done.stdout


def test_explain_lists_the_kinds(tmp_path: Path) -> None:
    done = command(tmp_path, "explain")
    assert done.returncode == 0
    assert [line.split("  ")[0] for line in done.stdout.splitlines()] == [rule.kind for rule in rules.discover()]


@pytest.mark.parametrize(
    ("name", "meant"),
    [("unclosed-sesion", "did you mean unclosed-session?"), ("x", "the kinds are missing-timeout, unclosed-pool")],
)
def test_explain_does_not_know_every_word(name: str, meant: str, tmp_path: Path) -> None:
    done = command(tmp_path, "explain", name)
    assert (done.returncode, done.stdout) == (pytest.ExitCode.USAGE_ERROR, "")
    assert f"{name!r} is not a kind of finding; {meant}" in done.stderr


def test_doctor_finds_what_it_plants(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever plugins the environment asks for, and be it this one by another name."""
    monkeypatch.setenv("PYTEST_PLUGINS", "pytest_connleak")
    done = command(tmp_path, "doctor")
    assert done.returncode == 0, done.stdout
    for kind in ("unclosed-session", "unclosed-pool", "unclosed-response", "unclosed-socket", "missing-timeout"):
        assert f"found  {kind} of " in done.stdout
    assert "NOT FOUND" not in done.stdout
    assert "\nrequests " in done.stdout, "the versions"


def test_doctor_says_what_it_does_not_find(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here, since sitecustomize breaks the plugin's sight of sessions in every Python that is started."""
    (tmp_path / "sitecustomize.py").write_text(
        "import pytest_connleak.rules.unclosed_session as broken\nbroken.rule.run = lambda *_: iter(())\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    done = command(tmp_path, "doctor")
    assert done.returncode == 1
    assert "NOT FOUND  unclosed-session of requests" in done.stdout
    assert "    found  unclosed-pool of urllib3" in done.stdout
