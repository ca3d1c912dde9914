"""Exceptions and warnings of pytest-connleak."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .report import Entry


class ConnleakError(Exception):
    """Base class of the errors that pytest-connleak raises for its own users."""


class SettingError(ConnleakError):
    """A setting has a value that is not allowed; the message says where and what is."""


class ConnectionLeakError(ConnleakError, AssertionError):
    """Something was left open, or sent without a limit, where ``connleak.check()`` judged it; the message says what.

    Attributes:
        findings: what was found, as in the report.
    """

    def __init__(self, message: str, findings: Sequence[Entry] = ()) -> None:
        super().__init__(message)
        self.findings = tuple(findings)


class PytestConnectionLeakWarning(UserWarning):
    """A connection resource was left open; emitted at the place that made it with ``--connleak=warn``."""
