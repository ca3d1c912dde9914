"""``python -m pytest_connleak``: merge, show and doctor."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import RunTests

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
        (("merge", "nowhere.json"), "nowhere.json"),
        (("merge", "broken.json"), "broken.json: Expecting value"),
        (("merge", "other.json"), "other.json: not a report of version 1 (version: 2)"),
        (("merge", "half.json"), "half.json: not a whole report"),
        (("merge", "report.json", "--baseline", "nowhere.txt"), "nowhere.txt"),
        (("merge", "report.json", "--report", "all.docx"), "all.docx: the ending chooses the format"),
        (("show", "nowhere.json"), "nowhere.json"),
    ],
)
def test_what_cannot_be_is_said(
    arguments: tuple[str, ...], message: str, pytester: pytest.Pytester, run: RunTests
) -> None:
    pytester.makepyfile("def test_clean(): pass")
    run(here=True)
    for name, text in {"broken": "", "other": '{"version": 2}', "half": '{"version": 1}'}.items():
        (pytester.path / f"{name}.json").write_text(text)
    done = command(pytester.path, *arguments)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert message in done.stderr


def test_show_prints_the_report_of_the_run_again(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(**SUITE)
    outcome = run()
    shown = command(pytester.path, "show", "report.json")
    assert shown.returncode == 0
    assert shown.stdout.splitlines() == outcome.section


def test_doctor_finds_what_it_plants(tmp_path: Path) -> None:
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
