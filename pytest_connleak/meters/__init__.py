"""The libraries whose connections are counted: one file each, found by being here.

As below ``instrumentation``, but for ``--connleak-stats`` alone: nothing here is imported, and nothing that it names is
patched, in a run that did not ask for it; and what fails here is named, and fails no run.
"""

from __future__ import annotations

import importlib

from ..instrumentation import Instrumentation
from ..packages import modules

__all__ = ["discover"]


def discover() -> tuple[Instrumentation, ...]:
    """The meter of every file of this package, in alphabetical order."""
    return tuple(importlib.import_module(f"{__name__}.{name}").meter for name in modules(__path__))
