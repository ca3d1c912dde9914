"""The kinds of finding: one file each, named as the kind, found by being here."""

from __future__ import annotations

import importlib
import pkgutil

from .interface import Rule

__all__ = ["Rule", "discover"]


def discover() -> tuple[Rule, ...]:
    """The rule of every file of this package, in alphabetical order."""
    names = sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name != "interface")
    return tuple(importlib.import_module(f"{__name__}.{name}").rule for name in names)
