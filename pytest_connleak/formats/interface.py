"""What a format is: a function that turns a report into text.

A format's file has one function ``render(report) -> str``; its module's name is the ending of the
files that it writes.  It is imported when the first report of its kind is written.
"""

from __future__ import annotations

import importlib
import os
import tempfile
from dataclasses import dataclass

from ..report import Report


@dataclass(frozen=True, slots=True)
class Format:
    """A format, by the name of the module that renders it."""

    module: str

    def render(self, report: Report) -> str:
        """The report as text."""
        text: str = importlib.import_module(self.module).render(report)
        return text

    def write(self, report: Report, path: str) -> None:
        """Write the report, all of it or nothing.

        Raises:
            OSError: if the directory cannot be written to, or is full.
        """
        text = self.render(report)
        handle, temporary = tempfile.mkstemp(dir=os.path.dirname(path) or ".", prefix=".connleak-")
        try:
            with open(handle, "w", encoding="utf-8", newline="\n") as file:
                file.write(text)
            os.chmod(temporary, 0o666 & ~_umask())
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
