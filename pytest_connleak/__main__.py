# PYTHON_ARGCOMPLETE_OK
"""Commands on reports, what the kinds are, and a self-test."""

from __future__ import annotations

import argparse
import difflib
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from . import baseline, doctor, formats, gate, rules
from .errors import SettingError
from .files import must_be_writable
from .formats import json, terminal
from .progress import Progress
from .report import Report
from .traffic import total

# As pytest's exit statuses.
PASSED, FAILED, USAGE = 0, 1, 4


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit status is the one that a pytest run with the same findings has."""
    parser = _Parser(prog="python -m pytest_connleak", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    merging = commands.add_parser("merge", help="join the JSON reports of shards, and decide as if they were one run")
    merging.add_argument("reports", nargs="+", metavar="REPORT.json")
    merging.add_argument("--report", action="append", default=[], metavar="PATH", help="as --connleak-report")
    merging.add_argument("--baseline", metavar="FILE", help="as --connleak-baseline")
    merging.add_argument(
        "--rootdir", metavar="DIR", default=".", help="where the tests ran; as pytest's (default: here)"
    )
    merging.add_argument("--strict-baseline", action="store_true", help="as connleak_strict_baseline = true")
    showing = commands.add_parser("show", help="print the report of a run again")
    showing.add_argument("report", metavar="REPORT.json")
    showing.add_argument("-v", "--verbose", action="store_true", help="also what is ignored or in the baseline")
    explaining = commands.add_parser("explain", help="tell what a kind of finding is, and what to write instead")
    explaining.add_argument("kind", nargs="?", metavar="KIND", help="without it, the kinds are listed")
    commands.add_parser("doctor", help="plant one leak of each kind, and see that each is found")
    if "_ARGCOMPLETE" in os.environ:  # a shell asks what could stand next; argcomplete answers it and exits
        import argcomplete

        argcomplete.autocomplete(parser)
    options = parser.parse_args(arguments)
    try:
        if options.command == "doctor":
            return doctor.main()
        if options.command == "explain":
            print(_explained(options.kind))
            return PASSED
        if options.command == "show":
            with Progress(f"reading {options.report}"):
                text = terminal.text(_read(options.report), verbose=options.verbose)
            print(text)
            return PASSED
        return _merge(options)
    except (OSError, ValueError, SettingError) as error:
        text = str(error)
        if isinstance(error, FileNotFoundError):
            text = f"{error.filename}: there is no such file"
        elif isinstance(error, OSError) and error.filename is not None:
            text = f"{error.filename}: {error.strerror}"
        print(f"{parser.prog} {options.command}: {text}", file=sys.stderr)
        return USAGE


class _Parser(argparse.ArgumentParser):
    """It exits as pytest does, also for its commands."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: error: {message}\n")


def _merge(options: argparse.Namespace) -> int:
    root, kinds = os.path.abspath(options.rootdir), rules.described()
    if not os.path.isdir(root):
        raise SettingError(f"--rootdir: there is no directory {root}; name that in which the tests ran")
    chosen = [formats.chosen(path) for path in options.report]
    for file in chosen:
        must_be_writable(file.path)
        formats.named(file.format).load()
    known = baseline.load(options.baseline, root, [kind.name for kind in kinds]) if options.baseline else None
    with Progress("reading reports", len(options.reports)) as progress:
        reports = [_read(path) for path in progress.through(options.reports)]
    with Progress("merging"):
        report = gate.join(reports, known, strict=options.strict_baseline, root=root)
        report.kinds = kinds
        report.hosts = total(host for each in reports for host in each.hosts)
        text = terminal.text(report)
    print(text)
    with Progress("writing reports", len(chosen)) as progress:
        for file in chosen:
            progress.step(file.path)
            try:
                formats.named(file.format).write(report, file.path)
            except OSError as error:
                raise OSError(f"{file.path}: cannot be written ({error.strerror or error})") from None
    return FAILED if report.fails else PASSED


def _explained(name: str | None) -> str:
    kinds = {kind.name: kind for kind in rules.described()}
    if name is None:
        width = max(map(len, kinds))
        return "\n".join(f"{kind.name:<{width}}  {kind.title}" for kind in kinds.values())
    if name not in kinds:
        close = difflib.get_close_matches(name, kinds, n=1)
        meant = f"did you mean {close[0]}?" if close else f"the kinds are {', '.join(kinds)}"
        raise SettingError(f"{name!r} is not a kind of finding; {meant}")
    return kinds[name].page.rstrip()


def _read(path: str) -> Report:
    with open(path, encoding="utf-8") as file:
        try:
            return json.parse(file.read())
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None


if __name__ == "__main__":
    sys.exit(main())
