"""The kinds of finding: one file each, named as the kind, found by being here."""

from __future__ import annotations

import importlib
import pkgutil

from ..report import Kind
from .interface import Rule

__all__ = ["Rule", "discover", "kinds"]


def discover() -> tuple[Rule, ...]:
    """The rule of every file of this package, in alphabetical order."""
    names = sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name != "interface")
    return tuple(importlib.import_module(f"{__name__}.{name}").rule for name in names)


def kinds() -> tuple[Kind, ...]:
    """What there is to say of the kinds, for a report."""
    return tuple(Kind(rule.kind, rule.title, rule.text) for rule in discover())
