"""The labelled cases: every finding is there, at its line and its test, and no other.

A label is a comment at the line that a finding must name::

    session = requests.Session()  # finds: unclosed-session x2 in test_a, TestB::test_b[c]

``lists`` instead of ``finds`` is for what is listed as shared and fails nothing.  Without ``in``, the
test is the function around the line; ``xN`` is the number of findings in each test.
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from servers import Server

CASES = Path(__file__).parent / "cases"
LABEL = re.compile(r"#\s*(finds|lists):\s*([a-z-]+)(?:\s+x(\d+))?(?:\s+in\s+([^#]+))?")
STATUS = {"finds": "leak", "lists": "shared"}

Site = tuple[str, str, int, str, str]
"""test, file, line, kind, status"""


def expected() -> Counter[Site]:
    """What the labels say."""
    found: Counter[Site] = Counter()
    for file in sorted(CASES.glob("*.py")):
        text = file.read_text(encoding="utf-8")
        tests = list(_tests(ast.parse(text)))
        for number, line in enumerate(text.splitlines(), 1):
            for verb, kind, times, names in LABEL.findall(line):
                around = [name for name, first, last in tests if first <= number <= last]
                owners = [name.strip() for name in names.split(",")] if names else around
                assert owners, f"{file.name}:{number}: no test around this label"
                for owner in owners:
                    found[owner, file.name, number, kind, STATUS[verb]] += int(times or 1)
    return found


def _tests(node: ast.AST, prefix: str = "") -> list[tuple[str, int, int]]:
    found = []
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef) and not prefix:
            found += _tests(child, f"{child.name}::")
        elif isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)) and child.name.startswith("test"):
            found.append((prefix + child.name, child.lineno, child.end_lineno or 0))
    return found


def observed(report: Path, url: str, *arguments: str) -> tuple[Counter[Site], str]:
    """What the plugin says."""
    command = [sys.executable, "-m", "pytest", "-p", "connleak", f"--connleak-report={report}", *arguments]
    environment = {**os.environ, "CONNLEAK_TEST_URL": url, "PYTHONPATH": str(CASES)}
    run = subprocess.run(command, cwd=CASES, env=environment, capture_output=True, text=True, timeout=120)
    assert report.exists(), run.stdout + run.stderr
    findings = json.loads(report.read_text())["findings"]
    sites = Counter(
        ((f["nodeid"] or "").partition("::")[2], f["path"] or "", f["line"] or 0, f["kind"], f["status"])
        for f in findings
    )
    return sites, run.stdout


@pytest.mark.parametrize(
    "arguments", [(), ("-n", "2"), ("-n", "2", "--dist", "loadfile")], ids=["plain", "xdist", "loadfile"]
)
@pytest.mark.usefixtures("tls_server", "proxy")
def test_cases(arguments: tuple[str, ...], tmp_path: Path, server: Server) -> None:
    sites, output = observed(tmp_path / "report.json", server.url, *arguments)
    want = expected()
    if "loadfile" not in arguments and arguments:
        # The tests of a module are spread over two processes: each has its own module fixtures and singletons.
        of_tests = {site for site in want if site[4] == "leak"}
        sites, want = (Counter({s: n for s, n in c.items() if s in of_tests}) for c in (sites, want))
    assert sites - want == Counter(), f"wrongly reported\n{output}"
    assert want - sites == Counter(), f"missed\n{output}"
    failed = {test for test, _, _, _, status in want if status == "leak"}
    passed_or_failed = re.search(r"(\d+) failed", output)
    assert passed_or_failed is not None
    if not arguments:
        assert int(passed_or_failed[1]) == len(failed), "each leaking test counts once"
        assert " error" not in output.splitlines()[-1]
