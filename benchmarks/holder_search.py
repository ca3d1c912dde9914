"""The search for who keeps an object alive, in a large heap."""

from __future__ import annotations

import time
from collections.abc import Iterator

from pytest_connleak.holders import Search

from .measure import Row

OBJECTS = 5_000_000


class _Suspect:
    pass


def timed() -> Iterator[Row]:
    """One suspect, which nobody that has a name holds: the search goes on as long as it may."""
    heap: list[list[object]] = [[] for _ in range(OBJECTS)]
    holders = [_Suspect()]
    search = Search(fixtures={}, test_modules=[__name__])
    start = time.perf_counter()
    search.holder(holders[0])
    took = time.perf_counter() - start
    yield Row(f"a search among {len(heap):,} objects", 0, took, "s", took, 1.0)
