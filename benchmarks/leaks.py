"""A suite in which every test leaves a session unclosed, made in one of ten places."""

from __future__ import annotations

from collections.abc import Iterator

from .measure import ON, Files, Row, Suite, paired, seconds

TESTS = 1000


def leaking(*, kept: bool) -> Suite:
    """Sessions that are dropped with their function, or kept by a module."""
    rest = "KEPT.append(session)" if kept else "session.headers"
    places = [f"def make_{i}():\n    session = requests.Session()\n    {rest}" for i in range(10)]

    def files(n: int) -> Files:
        tests = [f"def test_{i}(): places.make_{i % 10}()" for i in range(n)]
        return {
            "places.py": "\n".join(["import requests", "KEPT = []", *places]),
            "test_leaks.py": "\n".join(["import places", *tests]),
        }

    return Suite(files, (0, TESTS))


def timed() -> Iterator[Row]:
    """Both kinds."""
    for kept in (False, True):
        suite = leaking(kept=kept)
        off, on, ratio = paired(lambda: seconds(suite, TESTS), lambda: seconds(suite, TESTS, *ON), 5)  # noqa: B023  # called here
        yield Row(f"1,000 leaks, {'kept' if kept else 'dropped'}", off, on, "s", ratio, 1.3, 2.9 if kept else 1.7)
