"""The outputs: one file each, named as the format, found by being here.

The ending of a report's path is the name of its format, or the name stands before the path: ``gitlab:report.json``.
"""

from __future__ import annotations

import os
import pkgutil

from ..errors import SettingError
from ..settings import ReportFile
from .interface import Format

__all__ = ["Format", "chosen", "discover"]

# What is here and writes no file of its own.
_NO_FILES = ("interface", "junit", "terminal")


def discover() -> dict[str, Format]:
    """The formats that can be written to a file, by their names; none is imported yet."""
    names = sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name not in _NO_FILES)
    return {name: Format(f"{__name__}.{name}") for name in names}


def chosen(text: str) -> ReportFile:
    """The format and the path that ``PATH`` or ``FORMAT:PATH`` stand for.

    Raises:
        SettingError: if there is no such format.
    """
    known = discover()
    name, colon, path = text.partition(":")
    if not (colon and name.isidentifier() and len(name) > 1):  # no prefix, or the drive of a path on Windows
        name, path = os.path.splitext(text)[1].removeprefix("."), text
    if name not in known:
        endings = ", ".join(f".{each}" for each in known)
        raise SettingError(f"{text}: the ending chooses the format; it may be {endings}; or say FORMAT:PATH")
    return ReportFile(name, path)
