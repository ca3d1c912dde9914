"""Labelled cases: test files whose comments say what is to be found in them, and a run that shows whether it is.

A label is a comment at the line that a finding must name::

    session = requests.Session()  # finds: unclosed-session x2 in test_a, TestB::test_b[c]

``lists`` instead of ``finds`` is for what is listed as shared and fails nothing, ``habit`` for what is listed as a
library's habit.  Without ``in``, the test is the function around the line; ``in the process`` stands for none.
``xN`` is the number of findings in each test.
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

LABEL = re.compile(r"#\s*(finds|lists|habit):\s*([a-z-]+)(?:\s+x(\d+))?(?:\s+in\s+([^#]+))?")
STATUS = {"finds": "leak", "lists": "shared", "habit": "library"}

Site = tuple[str, str, int, str, str]
"""test, file, line, kind, status"""


def expected(files: Iterable[Path]) -> Counter[Site]:
    """What the labels say."""
    found: Counter[Site] = Counter()
    for file in sorted(files):
        text = file.read_text(encoding="utf-8")
        tests = list(_tests(ast.parse(text)))
        for number, line in enumerate(text.splitlines(), 1):
            for verb, kind, times, names in LABEL.findall(line):
                around = [name for name, first, last in tests if first <= number <= last]
                owners = [name.strip() for name in names.split(",")] if names else around
                assert owners, f"{file.name}:{number}: no test around this label"
                for owner in owners:
                    test = "" if owner == "the process" else owner
                    found[test, file.name, number, kind, STATUS[verb]] += int(times or 1)
    return found


def _tests(node: ast.AST, prefix: str = "") -> list[tuple[str, int, int]]:
    found = []
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef) and not prefix:
            found += _tests(child, f"{child.name}::")
        elif isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)) and child.name.startswith("test"):
            found.append((prefix + child.name, child.lineno, child.end_lineno or 0))
    return found


def observed(
    directory: Path, report: Path, environment: Mapping[str, str], *arguments: str
) -> tuple[Counter[Site], str]:
    """What the plugin says of the cases in a directory, and all that the run printed."""
    command = [sys.executable, "-m", "pytest", "-p", "connleak", f"--connleak-report={report}", *arguments]
    # The cases do not change, so that what is compiled may be kept: for the plugin's own modules, too, which pytest
    # compiles in its own way where it finds a plugin by itself.
    # A path that is set already says which checkout of the plugin these tests are about.
    path = os.pathsep.join(filter(None, [str(directory), os.environ.get("PYTHONPATH")]))
    around = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "", **environment}
    run = subprocess.run(command, cwd=directory, env=around, capture_output=True, text=True, timeout=120)
    assert report.exists(), run.stdout + run.stderr
    findings = json.loads(report.read_text())["findings"]
    sites = Counter(
        ((f["nodeid"] or "").partition("::")[2], f["path"] or "", f["line"] or 0, f["kind"], f["status"])
        for f in findings
    )
    return sites, run.stdout


def failures(output: str) -> int:
    """How many tests failed, as the last line of a run says; none may be an error."""
    last = output.splitlines()[-1]
    assert " error" not in last, output
    counted = re.search(r"(\d+) failed", last)
    return int(counted[1]) if counted else 0


def leaking(sites: Iterable[Site]) -> int:
    """How many tests fail for these findings: each counts once."""
    return len({test for test, _, _, _, status in sites if status == "leak"})
