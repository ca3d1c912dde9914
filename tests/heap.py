"""A collection of garbage costs as much as there is, and these tests run where a whole pytest is."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def small_heap() -> Iterator[None]:
    """Set aside all that is there: collections, and searches for holders, then cost next to nothing.

    What is made within is looked through as ever.  Of the rest nothing is, for the plugin is told that there is no
    such thing: what a program had set aside itself it would have to look through.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gc, "get_freeze_count", lambda: 0)
        gc.freeze()
        try:
            yield
        finally:
            gc.unfreeze()
