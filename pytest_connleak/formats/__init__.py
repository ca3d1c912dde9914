"""The outputs: one file each, named as the format, found by being here."""

from __future__ import annotations

import pkgutil

from .interface import Format

__all__ = ["Format", "discover"]


def discover() -> dict[str, Format]:
    """The formats that can be written to a file, by the ending that chooses them; none is imported yet."""
    names = sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name not in ("interface", "terminal"))
    return {f".{name}": Format(f"{__name__}.{name}") for name in names}
