"""The outputs: one file each, named as the format, found by being here.

The ending of a report's path is the name of its format, or the name stands before the path: ``gitlab:report.json``.
"""

from __future__ import annotations

import os
import pkgutil
from typing import TYPE_CHECKING

from ..errors import SettingError
from ..settings import ReportFile

if TYPE_CHECKING:
    from .interface import Format

# What is here and writes no file of its own.
_NO_FILES = ("interface", "junit", "terminal")

NAMES = tuple(sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name not in _NO_FILES))
"""The formats that can be written to a file; none is imported yet."""


def named(name: str) -> Format:
    """The format of this name."""
    from .interface import Format

    return Format(f"{__name__}.{name}")


def chosen(text: str) -> ReportFile:
    """The format and the path that ``PATH`` or ``FORMAT:PATH`` stand for.

    Raises:
        SettingError: if there is no such format.
    """
    name, colon, path = text.partition(":")
    if not (colon and name.isidentifier() and len(name) > 1):  # no prefix, or the drive of a path on Windows
        name, path = os.path.splitext(text)[1].removeprefix("."), text
    if name not in NAMES:
        endings = ", ".join(f".{each}" for each in NAMES)
        raise SettingError(
            f"{text}: its ending names no format; it may be {endings}; or put a format before it: json:{path}"
        )
    return ReportFile(name, path)
