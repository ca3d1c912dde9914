"""JSON, version 1: keys may be added, none is ever changed or removed."""

from __future__ import annotations

import json

from ..report import Report

VERSION = 1


def render(report: Report) -> str:
    """The report as JSON text."""
    document = {
        "version": VERSION,
        "findings": [entry.plain() for entry in report.entries],
        "faults": report.faults,
        "unused_ignores": report.unused_ignores,
    }
    return json.dumps(document, indent=1, ensure_ascii=True) + "\n"
