"""The libraries that are watched: one file each, found by being here."""

from __future__ import annotations

import importlib
import pkgutil

from .interface import Installation, Instrumentation, Probe

__all__ = ["Installation", "Instrumentation", "Probe", "discover"]


def discover() -> tuple[Instrumentation, ...]:
    """The instrumentation of every file of this package, in alphabetical order."""
    names = sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name != "interface")
    return tuple(importlib.import_module(f"{__name__}.{name}").instrumentation for name in names)
