"""The libraries that are watched: one file each, found by being here."""

from __future__ import annotations

import importlib
import pkgutil
from importlib import metadata

from .interface import Installation, Instrumentation, Probe

__all__ = ["Installation", "Instrumentation", "Probe", "discover", "watched"]


def discover() -> tuple[Instrumentation, ...]:
    """The instrumentation of every file of this package, in alphabetical order."""
    names = sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name != "interface")
    return tuple(importlib.import_module(f"{__name__}.{name}").instrumentation for name in names)


def watched() -> list[str]:
    """The libraries that are watched, and the versions of those that are installed."""
    return [
        f"{library.name} {version}".strip()
        for library in discover()
        if (version := _version(library.distribution)) or not library.distribution
    ]


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution) if distribution else ""
    except metadata.PackageNotFoundError:
        return ""
