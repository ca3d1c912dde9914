"""Reports to make pages of: a small one, and as large ones as are wanted."""

from __future__ import annotations

from typing import Any

from pytest_connleak import rules
from pytest_connleak.report import Entry, Line, Report, Step

KINDS = ("unclosed-session", "unclosed-response", "missing-timeout", "unclosed-socket", "unclosed-pool")
# The last one for every tenth site; it is the first for most.
STATUSES = ("leak", "leak", "leak", "shared", "leak", "ignored", "leak", "leak", "baseline", "leak")


def entry(path: str | None = "shop.py", line: int | None = 11, **changes: Any) -> Entry:
    """A finding that fails its test, unless it is said otherwise; without a path, no line is known."""
    kind, function = changes.get("kind", "unclosed-session"), changes.get("function", "load")
    plain: dict[str, Any] = {
        "kind": kind,
        "nodeid": "tests/test_shop.py::test_load",
        "path": path,
        "line": line if path else None,
        "function": function if path else None,
        "scope": "function",
        "owner": "tests/test_shop.py::test_load",
        "count": 1,
        "status": "leak",
        "level": "fail",
        "object": "requests.Session",
        "message": "requests.Session dropped without being closed; it sent 1 request over 1 connection",
        "held_by": None,
        "connections": ({"local": "127.0.0.1:50396", "remote": "127.0.0.1:51399", "status": "CLOSED", "fd": None},),
        "stack": (Line(path, line or 1, function), Line("tests/test_shop.py", 5, "test_load")) if path else (),
        "library_stack": (),
        "source": "session = requests.Session()" if path else "",
        "help": "with requests.Session(...) as session:\n    ...",
        "reason": None,
        "fingerprint": f"{kind} requests.Session {path}::{function}",
    }
    return Entry(**{**plain, **changes})


def step(nodeid: str = "tests/test_shop.py::test_load", **changes: Any) -> Step:
    """A test that passed and left nothing open, unless it is said otherwise."""
    plain: dict[str, Any] = {"outcome": "passed", "seconds": 0.02, "ended": 1.8e9, "sockets": 0, "sessions": 0}
    return Step(nodeid, **{**plain, **changes})


def report(*entries: Entry, **changes: Any) -> Report:
    """A report of these findings."""
    return Report(entries=[*entries], root="/work/shop", kinds=rules.described(), **changes)


def page(*, findings: int, sites: int, tests: int) -> Report:
    """A run of so many tests with so many findings at so many sites, of all kinds and statuses."""
    names = [f"tests/test_{n % 40}.py::TestShop::test_{n}[{n % 7}-value]" for n in range(tests)]
    entries = [
        entry(
            f"shop/client_{n % sites % 40}.py",
            10 + n % sites,
            kind=KINDS[n % sites % len(KINDS)],
            function=f"Client.load_{n % sites % 30}",
            nodeid=names[n % tests],
            status=STATUSES[n % sites % len(STATUSES)],
            level="warn" if n % sites % 12 == 11 else "fail",
            held_by="fixture 'api'" if n % sites % 3 == 0 else None,
            held_path=("fixture 'api'", ".client", "['eu']") if n % sites % 3 == 0 else (),
        )
        for n in range(findings)
    ]
    leaking = {each.nodeid for each in entries if each.fails}
    timeline = [
        step(
            name,
            outcome="failed" if name in leaking else "passed",
            ended=1.8e9 + n / 50,
            sockets=2 + n * n % 11,
            sessions=n % 5,
            process=f"gw{n % 2}",
        )
        for n, name in enumerate(names)
    ]
    return report(*entries, timeline=timeline, mode="fail", versions={"Python": "3.11.7", "pytest": "9.0.0"})
