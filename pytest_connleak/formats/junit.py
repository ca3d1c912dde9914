"""Properties for pytest's own JUnit XML: the testcase of a leaking test has one for each site.

They travel as the ``user_properties`` of a report, as those of pytest's ``record_property`` do;
``LogXML.finalize`` in pytest's ``src/_pytest/junitxml.py`` takes them from the report of the teardown.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..report import Entry, level, title

NAMES = {"fail": "connleak", "warn": "connleak-warning"}


def properties(entries: Iterable[Entry]) -> list[tuple[str, str]]:
    """What one test leaked: ``("connleak", "unclosed-session at shop.py:11")``; nothing of what is merely listed."""
    named = [(NAMES[level(entry)], title(entry)) for entry in entries if level(entry) in NAMES]
    return [*dict.fromkeys(named)]
