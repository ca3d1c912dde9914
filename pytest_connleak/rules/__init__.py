"""The kinds of finding: one file each, named as the kind, found by being here."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from ..packages import modules

if TYPE_CHECKING:
    from ..report import Kind
    from .interface import Rule

_NAMES = [name for name in modules(__path__) if name != "interface"]

KINDS = tuple(name.replace("_", "-") for name in _NAMES)
"""The kinds of finding; none of their rules is imported yet."""


def discover() -> tuple[Rule, ...]:
    """The rule of every file of this package, in alphabetical order."""
    return tuple(importlib.import_module(f"{__name__}.{name}").rule for name in _NAMES)


def described() -> tuple[Kind, ...]:
    """The kinds with what there is to say of them, for a report; this imports their rules."""
    from ..report import Kind

    return tuple(Kind(rule.kind, rule.title, rule.module) for rule in discover())
