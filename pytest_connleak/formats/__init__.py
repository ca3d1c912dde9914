"""The outputs: one file each, named as the format, found by being here.

The ending of a report's path is the name of its format, or the name stands before the path: ``gitlab:report.json``.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..errors import SettingError
from ..packages import modules
from ..settings import ReportFile

if TYPE_CHECKING:
    from .interface import Format

# What is here and writes no file of its own.
_NO_FILES = ("interface", "junit", "terminal")

NAMES = tuple(name for name in modules(__path__) if name not in _NO_FILES)
"""The formats that can be written to a file; none is imported yet."""


def named(name: str) -> Format:
    """The format of this name."""
    from .interface import Format

    return Format(f"{__name__}.{name}")


def chosen(text: str) -> ReportFile:
    """The format and the path that ``PATH`` or ``FORMAT:PATH`` stand for.

    Raises:
        SettingError: if there is no such format, or no path.
    """
    name, colon, path = text.partition(":")
    prefixed = colon and name.isidentifier() and len(name) > 1  # else it may be the drive of a path on Windows
    if not prefixed:
        name, path = os.path.splitext(text)[1].removeprefix("."), text
    if not path:
        raise SettingError(f"{text}: no file is named; it is PATH, or FORMAT:PATH as in json:leaks")
    if prefixed and name not in NAMES:
        raise SettingError(f"{text}: {name!r} is not a format; the formats are {', '.join(NAMES)}")
    if name not in NAMES:
        endings = ", ".join(f".{each}" for each in NAMES)
        raise SettingError(
            f"{text}: its ending names no format; it may be {endings}; or put a format before it: json:{path}"
        )
    return ReportFile(name, path)
