"""Collects garbage so that nobody notices."""

from __future__ import annotations

import gc
import sys
import threading
import warnings

from .untouched import System

# What is set aside for a collection is put back in the reverse order; reentrant, since finalizers run in it.
_one_collects = threading.RLock()


def collect(generation: int = 2) -> bool:
    """Collect garbage, and let nobody notice; False if another thread is at it, for then nothing happens.

    What dies here would have died at some other time.  Its warnings, and the errors of its finalizers, would be
    charged by pytest to the next test, which has nothing to do with it.
    """
    collecting = threading.get_ident()
    began: list[int] = []

    def note(*_: object) -> None:
        began.append(threading.get_ident())

    with _one_collects:
        hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
        gc.callbacks.append(note)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ResourceWarning)
                System.collect(generation)
        finally:
            gc.callbacks.remove(note)
            sys.unraisablehook = hook
    return collecting in began
