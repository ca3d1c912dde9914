"""Run the suites of others without and with the plugin, and compare test by test."""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from .suites import SUITES, Suite

PROJECT = Path(__file__).parents[2]
# A suite that takes longer is to be run in part.
TIME = 900
# How often a suite runs without the plugin again, once a test differs: what differs among those runs says nothing.
AGAIN = 2
SHOWN = 20
# What differs between any two runs: addresses, identifiers, numbers (ports, times), and names of temporary files.
VARIABLE = re.compile(r"0x[0-9a-f]+|\b(?=[a-f]*\d)[0-9a-f]{8,}\b|\d+(?:\.\d+)?|/tmp/\S+")

WITHOUT = ("-p", "no:connleak")
# Many suites turn warnings into errors, and these are none of theirs.
WITH = ("-p", "connleak", "--connleak=warn", "-W", "default::pytest_connleak.PytestConnectionLeakWarning")

# What a run recorded: the exit status, the seconds, and of each test its phases, each a list of outcome and reason.
Run = dict[str, Any]


class CannotRunError(Exception):
    """A suite cannot be run here; it says why."""


def pip(python: Path | str, *arguments: str | Path) -> None:
    """Run pip, which is quiet unless it fails."""
    done = subprocess.run([python, "-m", "pip", *arguments, "-q"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotRunError(f"pip {' '.join(map(str, arguments))}: {done.stderr.strip()[-500:]}")


def wheel(directory: Path) -> Path:
    """The plugin as it is now: what is edited while the suites run does not touch them."""
    pip(sys.executable, "wheel", "--no-deps", "--wheel-dir", directory, PROJECT)
    return next(directory.glob("*.whl"))


def prepare(suite: Suite, directory: Path, plugin: Path) -> tuple[Path, Path]:
    """The source of a suite, and the Python of an environment in which it can be run."""
    python, source = directory / "env" / "bin" / "python", directory / "source"
    if not source.exists():
        only_source = ("--no-deps", "--no-binary", suite.package.partition("==")[0])
        pip(sys.executable, "download", *only_source, "--dest", directory, suite.package)
        with tarfile.open(next(directory.glob("*.tar.gz"))) as archive:
            archive.extractall(source, filter="data")
    root = next(source.iterdir())
    missing = [test for test in suite.tests.split() if not (root / test).exists()]
    if missing:
        raise CannotRunError(f"the source distribution has no {', '.join(missing)}")
    if not (directory / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", directory / "env"], check=True)
        pip(python, "install", "pytest", suite.package, *suite.needs.split())
        (directory / "ready").touch()
    pip(python, "install", "--force-reinstall", "--no-deps", plugin)
    pip(python, "install", plugin)
    return root, python


def run(suite: Suite, source: Path, python: Path, record: Path, *arguments: str) -> Run:
    """One run of a suite; what it printed goes beside the record."""
    # The recorder alone is put in the way of imports: a suite may have a "servers" or a "cases" of its own.
    path = record.parent / "recorder"
    path.mkdir(exist_ok=True)
    shutil.copy(Path(__file__).with_name("record.py"), path / "others_record.py")
    command = [str(python), "-m", "pytest", "-p", "others_record", "-p", "no:cacheprovider", *arguments]
    environment = {**os.environ, "OTHERS_RECORD": str(record), "PYTHONPATH": str(path)}
    record.unlink(missing_ok=True)
    log = record.with_suffix(".log")
    with log.open("w") as output:
        try:
            subprocess.run(
                [*command, *suite.arguments, *suite.tests.split()],
                cwd=source,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=TIME,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise CannotRunError(f"not done after {TIME} s, see {log}") from None
    if not record.exists():
        raise CannotRunError(f"pytest did not come to its end, see {log}")
    recorded: Run = json.loads(record.read_text(encoding="utf-8"))
    if recorded["status"] not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):  # what could not be collected, say
        raise CannotRunError(f"pytest ended with status {recorded['status']}, see {log}")
    return recorded


def differences(before: Run, after: Run) -> dict[str, str]:
    """Each test that is not the same in both runs: its outcome, or what its failure says."""
    found = {}
    for nodeid in sorted({*before["tests"], *after["tests"]}):
        one, other = (run["tests"].get(nodeid, {}) for run in (before, after))
        if _outcomes(one) != _outcomes(other):
            found[nodeid] = f"{_outcomes(one)} -> {_outcomes(other)}"
        elif _reasons(one) != _reasons(other):
            found[nodeid] = "says something else"
    if before["status"] != after["status"]:
        found["exit status"] = f"{before['status']} -> {after['status']}"
    return found


def _outcomes(phases: dict[str, list[Any]]) -> dict[str, list[str]]:
    return {phase: [outcome for outcome, _ in reports] for phase, reports in phases.items()}


def _reasons(phases: dict[str, list[Any]]) -> list[str]:
    return [VARIABLE.sub("", text) for reports in phases.values() for _, text in reports]


def compare(suite: Suite, directory: Path, plugin: Path) -> tuple[str, dict[str, str], dict[str, str]]:
    """Run a suite both ways.

    Returns:
        A line about it, the tests that are different with the plugin, and those that are unstable without it.
    """
    directory.mkdir(parents=True, exist_ok=True)
    source, python = prepare(suite, directory, plugin)
    report = directory / "report.json"
    without = run(suite, source, python, directory / "without.json", *WITHOUT)
    with_it = run(suite, source, python, directory / "with.json", *WITH, f"--connleak-report={report}")
    different, unstable = differences(without, with_it), {}
    if different:
        for number in range(AGAIN):
            again = run(suite, source, python, directory / f"without-again-{number + 1}.json", *WITHOUT)
            unstable.update(differences(without, again))
        if unstable:  # the exit status follows from the tests
            different.pop("exit status", None)
        different = {nodeid: what for nodeid, what in different.items() if nodeid not in unstable}
    findings = json.loads(report.read_text(encoding="utf-8"))
    kinds = Counter(f"{finding['kind']} ({finding['status']})" for finding in findings["findings"])
    line = (
        f"{len(without['tests'])} tests, {len(different)} different, {len(unstable)} unstable without the plugin, "
        f"{without['seconds']:.1f} -> {with_it['seconds']:.1f} s; "
        + (", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items())) or "no findings")
        + "".join(f"; {part} failed: {error}" for part, error in findings["faults"].items())
    )
    return line, different, unstable


def show(title: str, tests: dict[str, str]) -> None:
    """Print the first of some tests."""
    for nodeid, what in list(tests.items())[:SHOWN]:
        print(f"    {title}: {nodeid}: {what}")
    if len(tests) > SHOWN:
        print(f"    {title}: and {len(tests) - SHOWN} more")


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare the suites that are named; 1 if any of them is not the same with the plugin, or could not be run."""
    parser = argparse.ArgumentParser(prog="python -m others", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(SUITES)}; all without a name")
    parser.add_argument("--directory", type=Path, default=PROJECT / ".others", help="where it is kept")
    options = parser.parse_args(arguments)
    unknown = set(options.names) - set(SUITES)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    directory = options.directory.resolve()
    good = True
    with tempfile.TemporaryDirectory() as wheels:
        plugin = wheel(Path(wheels))
        for name in options.names or SUITES:
            try:
                line, different, unstable = compare(SUITES[name], directory / name, plugin)
            except CannotRunError as error:
                print(f"{name}: cannot be run: {error}", flush=True)
                good = False
                continue
            print(f"{name}: {line}")
            show("different", different)
            show("unstable", unstable)
            sys.stdout.flush()
            good = good and not different
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
