"""What stays as it is, whatever version comes: the JSON of version 1, the baseline, the exit statuses, the names.

The samples are kept by hand.  Once a version is released, nothing in them may be changed; something may be added.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import pytest_connleak
from conftest import RunTests
from pytest_connleak import baseline, rules
from pytest_connleak.baseline import Known

SAMPLES = Path(__file__).parent / "samples"
REPORT = SAMPLES / "report-1.json"
BASELINE = SAMPLES / "baseline.txt"
EXAMPLES = Path(__file__).parent.parent / "examples"
KINDS = ("missing-timeout", "unclosed-pool", "unclosed-response", "unclosed-session", "unclosed-socket")


def command(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest_connleak", *arguments]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)


def shapes(value: object, where: str = "") -> dict[str, set[str]]:
    """The types that there are at each place of a JSON document; the items of a list are one place."""
    found = {where: {type(value).__name__}}
    inner: list[tuple[str, object]] = []
    if isinstance(value, dict):
        inner = [(f"{where}.{key}", item) for key, item in value.items()]
    elif isinstance(value, list):
        inner = [(f"{where}[]", item) for item in value]
    for place, item in inner:
        for each, types in shapes(item, place).items():
            found.setdefault(each, set()).update(types)
    return found


@pytest.fixture
def example(pytester: pytest.Pytester) -> None:
    shutil.copytree(EXAMPLES, pytester.path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))


def test_a_stored_report_is_shown(tmp_path: Path) -> None:
    shown = command(tmp_path, "show", "-v", str(REPORT))
    assert (shown.returncode, shown.stderr) == (0, "")
    findings: list[dict[str, Any]] = json.loads(REPORT.read_text())["findings"]
    assert {finding["kind"] for finding in findings} == {*KINDS}
    assert {finding["status"] for finding in findings} == {
        "leak", "ignored", "baseline", "shared", "library", "test-failed",
    }  # fmt: skip
    for finding in findings:
        assert (f"{finding['path']}:{finding['line']}" if finding["path"] else finding["message"]) in shown.stdout


def test_a_stored_report_is_merged_and_nothing_of_it_is_lost(tmp_path: Path) -> None:
    merged = command(tmp_path, "merge", str(REPORT), "--report", "again.json")
    assert (merged.returncode, merged.stderr) == (1, "")
    stored, again = json.loads(REPORT.read_text()), json.loads((tmp_path / "again.json").read_text())
    stored["unused_ignores"] = []  # what one shard did not need another may have needed
    assert [*lost(stored, again)] == []


def lost(before: object, now: object, where: str = "") -> Iterator[str]:
    """The places at which a JSON document has something else than one of before; more keys are nothing else."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key, value in before.items():
            yield from lost(value, now.get(key, "nothing"), f"{where}.{key}")
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        for number, value in enumerate(before):
            yield from lost(value, now[number], f"{where}[{number}]")
    elif before != now:
        yield f"{where}: {before!r} became {now!r}"


def test_a_report_of_today_has_all_that_the_stored_one_has(example: None, run: RunTests) -> None:
    ran = run()
    assert ran.status == 1
    stored, now = json.loads(REPORT.read_text()), json.loads((ran.directory / "report.json").read_text())
    assert all(finding.keys() >= stored["findings"][0].keys() for finding in now["findings"])
    before, today = shapes(stored), shapes(now)
    del before[".faults.urllib3:HTTPConnectionPool.urlopen"]  # the one key that is no name of ours
    empty = {f"{place}[]" for place in (".unused_ignores", ".gaps", ".fixed", ".failures", ".unchecked")}
    empty |= {".tests.others[]", ".tests.left_out[]"}
    assert before.keys() - today.keys() <= empty
    assert [place for place in today if not today[place] <= before.get(place, today[place])] == []


def test_a_stored_baseline_is_read(tmp_path: Path) -> None:
    known = baseline.load(str(BASELINE), "", KINDS)
    assert known.known["unclosed-session requests.Session shop.py::Basket.__init__"] == Known(
        3, ("test_orders.py::TestBasket::test_a", "test_orders.py::test_b[...]", "test_orders.py::test_c", "...")
    )
    assert len(known.known) == 7
    assert entries(known.render()) == entries(BASELINE.read_text())


def entries(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.startswith("#")]


def test_a_stored_baseline_covers_what_it_covered(example: None, run: RunTests) -> None:
    ran = run(f"--connleak-baseline={BASELINE}")
    assert ran.status == 0, ran.output
    assert sorted(finding["status"] for finding in ran.findings) == ["baseline"] * 4 + ["shared"]


def test_public_names_and_kinds_stay() -> None:
    names = {
        "ConnectionLeakError", "Connleak", "ConnleakError", "Entry", "Leaks", "PytestConnectionLeakWarning",
        "SettingError", "watch",
    }  # fmt: skip
    assert names <= {*pytest_connleak.__all__}
    assert all(hasattr(pytest_connleak, name) for name in pytest_connleak.__all__)
    assert {*KINDS} <= {rule.kind for rule in rules.discover()}
