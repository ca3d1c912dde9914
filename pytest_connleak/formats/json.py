"""JSON, version 1: keys may be added, none is ever changed or removed."""

from __future__ import annotations

import json

from ..report import Entry, Report, Tests

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
        "tests": {
            "complete": report.tests.complete,
            "passed": sorted(report.tests.passed),
            "others": sorted(report.tests.others),
            "left_out": sorted(report.tests.left_out),
        },
    }
    return json.dumps(document, indent=1, ensure_ascii=True) + "\n"


def parse(text: str) -> Report:
    """The report that :func:`render` made this text of.

    Raises:
        ValueError: if the text is no report, or one of another version.
    """
    document = json.loads(text)
    version = document.get("version") if isinstance(document, dict) else None
    if version != VERSION:
        raise ValueError(f"not a report of version {VERSION} (version: {version!r})")
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
            tests=Tests(
                passed={*_texts(tests["passed"])},
                others={*_texts(tests["others"])},
                collected={*_texts(tests["left_out"])},
                complete=bool(tests["complete"]),
            ),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a whole report ({type(error).__name__}: {error})") from None


def _texts(values: object) -> list[str]:
    if not (isinstance(values, list) and all(isinstance(value, str) for value in values)):
        raise TypeError(f"{values!r} is not a list of strings")
    return values
