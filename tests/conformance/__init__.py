"""The libraries as their users drive them: one file each, found by being here; ``test_conformance.py`` tries them all.

A description says how a client is opened, used and closed, and what a finding about it must say; ``interface.Library``
lists what there is to describe.  What a library does not have, its description leaves out, and the suite skips.
"""

from __future__ import annotations

import importlib
import pkgutil

from .interface import Library

__all__ = ["Library", "discover"]


def discover() -> list[Library]:
    """A description of every class, of every file whose library is installed."""
    found = []
    for module in pkgutil.iter_modules(__path__):
        if module.name != "interface":
            try:
                imported = importlib.import_module(f"{__name__}.{module.name}")
            except ModuleNotFoundError as error:
                if (error.name or "").startswith(__name__):
                    raise
                continue
            found += [item for item in vars(imported).values() if _describes(item, imported.__name__)]
    return [description() for description in found]


def _describes(item: object, module: str) -> bool:
    return isinstance(item, type) and issubclass(item, Library) and item.__module__ == module
