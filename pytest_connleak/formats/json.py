"""JSON, version 1: keys may be added, none is ever changed or removed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..report import Entry, Report, Step, Tests
from ..traffic import Traffic

VERSION = 1


def render(report: Report) -> str:
    """The report as JSON text."""
    document = {
        "version": VERSION,
        "findings": [entry.plain() for entry in report.entries],
        "faults": report.faults,
        "unused_ignores": report.unused_ignores,
        "gaps": report.gaps,
        "fixed": report.fixed,
        "failures": report.failures,
        "unchecked": report.unchecked,
        "hosts": [host.plain() for host in report.hosts],
        "tests": {
            "complete": report.tests.complete,
            "passed": sorted(report.tests.passed),
            "others": sorted(report.tests.others),
            "left_out": sorted(report.tests.left_out),
        },
        "mode": report.mode,
        "versions": report.versions,
        "timeline": [step._asdict() for step in report.timeline],
    }
    return "{" + ",\n ".join(f"{_encode(key)}: {_lines(value)}" for key, value in document.items()) + "}\n"


def parse(text: str) -> Report:
    """The report that :func:`render` made this text of.

    Raises:
        ValueError: if the text is no report, or one of another version.
    """
    try:
        document = json.loads(text)
    except ValueError as error:
        raise ValueError(f"not a JSON report, as --connleak-report=FILE.json writes it ({error})") from None
    version = document.get("version") if isinstance(document, dict) else None
    if version is None:
        raise ValueError("JSON, but not a report, as --connleak-report=FILE.json writes it")
    if version != VERSION:
        raise ValueError(
            f"not a report of version {VERSION} (version: {version!r}); write it with this pytest-connleak"
        )
    try:
        tests = document["tests"]
        return Report(
            entries=[Entry.from_plain(plain) for plain in document["findings"]],
            faults={**document["faults"]},
            unused_ignores=_texts(document["unused_ignores"]),
            gaps=_texts(document["gaps"]),
            fixed=_texts(document["fixed"]),
            failures=_texts(document["failures"]),
            unchecked=_texts(document["unchecked"]),
            hosts=tuple(map(Traffic.from_plain, document.get("hosts", ()))),
            tests=Tests(
                passed={*_texts(tests["passed"])},
                others={*_texts(tests["others"])},
                collected={*_texts(tests["left_out"])},
                complete=bool(tests["complete"]),
            ),
            mode=str(document.get("mode", "")),
            versions={**document.get("versions", {})},
            timeline=[_step(step) for step in document.get("timeline", ())],
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a whole report ({type(error).__name__}: {error})") from None


def _lines(value: object) -> str:
    """Each item of a list on a line of its own; an ``indent`` would be slower, since then Python encodes, and not C."""
    if isinstance(value, list) and value:
        return "[\n  " + ",\n  ".join(map(_encode, value)) + "]"
    return _encode(value)


_encode = json.JSONEncoder(ensure_ascii=True).encode


def _step(values: Mapping[str, Any]) -> Step:
    return Step(**{name: values[name] for name in Step._fields})  # a newer version may have added some


def _texts(values: object) -> list[str]:
    if not (isinstance(values, list) and all(isinstance(value, str) for value in values)):
        raise TypeError(f"{values!r} is not a list of strings")
    return values
