"""The libraries that are watched: one file each, found by being here."""

from __future__ import annotations

import importlib
from importlib import metadata

from ..packages import modules
from .interface import Installation, Instrumentation, Probe

__all__ = ["Installation", "Instrumentation", "Probe", "discover", "version_of", "watched"]


def discover() -> tuple[Instrumentation, ...]:
    """The instrumentation of every file of this package, in alphabetical order."""
    names = [name for name in modules(__path__) if name != "interface"]
    return tuple(importlib.import_module(f"{__name__}.{name}").instrumentation for name in names)


def watched() -> dict[str, str]:
    """The libraries that are watched and installed, and their versions; what is Python's own has none."""
    return {
        library.name: version
        for library in discover()
        if (version := version_of(library.distribution)) or not library.distribution
    }


def version_of(distribution: str) -> str:
    """The version of what is installed under this name; empty if there is none."""
    try:
        return metadata.version(distribution) if distribution else ""
    except metadata.PackageNotFoundError:
        return ""
