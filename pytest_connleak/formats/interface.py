"""What a format is: a function that turns a report into text.

A format's file has one function ``render(report) -> str``.  It is imported when the first report of its
kind is written.
"""

from __future__ import annotations

import importlib
from typing import NamedTuple

from .. import files
from ..report import Report


class Format(NamedTuple):
    """A format, by the name of the module that renders it."""

    module: str

    def load(self) -> None:
        """Import the module: when the report is to be written, the program may have changed ``sys.path``.

        Raises:
            SettingError: if the format needs a package that is missing.
        """
        importlib.import_module(self.module)

    def render(self, report: Report) -> str:
        """The report as text."""
        text: str = importlib.import_module(self.module).render(report)
        return text

    def write(self, report: Report, path: str) -> None:
        """Write the report, all of it or nothing.

        Raises:
            OSError: if the directory cannot be written to, or is full.
        """
        files.write(path, self.render(report))
