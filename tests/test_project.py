"""What is around the code: the installed package, the changelog, what runs in CI, the forms for those who report."""

from __future__ import annotations

import ast
import json
import re
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

import pytest_connleak
from conftest import RunTests
from pytest_connleak import formats, rules

ROOT = Path(__file__).parent.parent
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
GITHUB = ROOT / ".github"


def test_what_is_tested_is_what_is_installed() -> None:
    """A wheel in CI, the checkout for who works on it; never the one beside the other."""
    distribution = metadata.distribution("pytest-connleak")
    origin = json.loads(distribution.read_text("direct_url.json") or "{}")
    editable = origin.get("dir_info", {}).get("editable", False)
    expected = ROOT / "pytest_connleak" if editable else Path(str(distribution.locate_file("pytest_connleak")))
    assert Path(pytest_connleak.__file__).parent.resolve() == expected.resolve()
    assert (expected / "py.typed").is_file()


# --- the changelog ----------------------------------------------------------------------------------------


def releases() -> dict[str, str]:
    """The text of each version, the newest first."""
    parts = re.split(r"^## (\d+\.\d+\.\d+) \((\d{4}-\d\d-\d\d|not yet released)\)$", CHANGELOG, flags=re.MULTILINE)
    return dict(zip(parts[1::3], parts[3::3], strict=True))


def test_the_version_is_the_newest_in_the_changelog() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert [next(iter(releases()))] == re.findall(r'^version = "(.+)"$', project, re.MULTILINE)


def test_a_kind_comes_with_no_patch_release() -> None:
    for rule in rules.discover():
        since = [version for version, text in releases().items() if f"`{rule.kind}`" in text]
        assert since, f"{rule.kind} is not in the changelog"
        assert since[-1].endswith(".0")


def test_all_that_can_be_said_on_the_command_line_or_in_a_file_is_in_the_changelog(run: RunTests) -> None:
    text = run("--help", here=True).output
    names = {*re.findall(r"^  (--connleak[\w-]*)", text, re.M), *re.findall(r"^  (connleak\w*) \(", text, re.M)}
    assert len(names) >= 17
    assert {name for name in (*names, *formats.NAMES) if f"`{name}`" not in CHANGELOG} == set()


# --- CI ---------------------------------------------------------------------------------------------------


def test_the_workflow_runs_what_ci_runs() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    in_script = {name for names in re.findall(r" -s ([a-z ]+)", script) for name in names.split()}
    workflow = read(GITHUB / "workflows" / "ci.yml")
    matrix = workflow["jobs"]["nox"]["strategy"]["matrix"]
    rows = [
        *({"session": session, "python": python} for session in matrix["session"] for python in matrix["python"]),
        *matrix["include"],
    ]
    assert {row["session"].partition("-")[0] for row in rows} == in_script
    # Its Python is the one that the session is for, or nox would have nothing to run it with.
    newest = {row["session"].partition("-")[2]: row["python"] for row in rows if row["session"].startswith("newest")}
    assert newest == {python: python for python in pythons()}
    commands = [step.get("run", "") for job in workflow["jobs"].values() for step in job["steps"]]
    for command in (".ci/readme python", 'python -m nox -s "$SESSION" -- -q -n 2'):
        assert command in commands
    packages = {name for names in re.findall(r"missing\+=\(([^)]+)\)", script) for name in names.split()}
    assert packages
    # Ubuntu has these as snaps: what needs them uses the runner's own browser, or skips.
    assert packages - {"chromium", "chromium-driver"} <= set(" ".join(commands).split())


def test_the_workflow_may_only_read() -> None:
    workflow = read(GITHUB / "workflows" / "ci.yml")
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert "permissions" not in job
        for step in job["steps"]:
            assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", step.get("uses", f"actions/checkout@{'0' * 40}"))
            assert "${{" not in step.get("run", ""), "what others may choose is no part of a command"


def read(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return document


def pythons() -> list[str]:
    """The Pythons of the session ``newest``."""
    for node in ast.parse((ROOT / "noxfile.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "NEWEST":
            found: list[str] = ast.literal_eval(node.value)
            return found
    raise AssertionError("noxfile.py has no NEWEST")


def test_the_pythons_are_those_that_are_promised() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert re.findall(r'"Programming Language :: Python :: (3\.\d+)"', project) == pythons()


# --- forms ------------------------------------------------------------------------------------------------


def test_there_is_a_form_for_each_trouble() -> None:
    forms = {path.stem: read(path) for path in (GITHUB / "ISSUE_TEMPLATE").glob("[0-9]*.yml")}
    assert sorted(forms) == ["1-false-finding", "2-missed-leak", "3-harm", "4-idea"]
    assert all(form["name"] and form["body"] for form in forms.values())
    assert read(GITHUB / "ISSUE_TEMPLATE" / "config.yml") == {"blank_issues_enabled": False}
