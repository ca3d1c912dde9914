"""Fails tests that leave sessions, streamed responses or sockets open, and names the line that did it.

Where the package is installed, pytest finds the plugin under the name ``connleak``: it begins in the module ``plugin``.
A conftest may load it with ``pytest_plugins = ["pytest_connleak"]``.  (Either may come first, and nothing here asserts,
so pytest need not warn that it comes too late for its assertions: PYTEST_DONT_REWRITE.)
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

import pytest

# pytest rewrites the assertions of its plugins.  There are none here that a test would fail by, and to import a file
# takes pytest's importer twice as long as Python's.
for _finder in sys.meta_path:
    getattr(_finder, "_must_rewrite", set()).discard(__name__)

from .errors import (  # noqa: E402  # by Python's importer already
    ConnectionLeakError,
    ConnleakError,
    PytestConnectionLeakWarning,
    SettingError,
)

if TYPE_CHECKING:
    from .fixture import Connleak
    from .report import Entry
    from .standalone import Leaks, watch

__all__ = [
    "ConnectionLeakError",
    "Connleak",
    "ConnleakError",
    "Entry",
    "Leaks",
    "PytestConnectionLeakWarning",
    "SettingError",
    "watch",
]

# What a run of pytest may do without is imported when it is asked for.
_WHERE = {"Connleak": "fixture", "Entry": "report", "Leaks": "standalone", "watch": "standalone"}

if not TYPE_CHECKING:  # or type checkers would take any name for one of these

    def __getattr__(name: str) -> Any:
        if name not in _WHERE:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f".{_WHERE[name]}", __name__), name)


def pytest_addoption(pluginmanager: pytest.PytestPluginManager) -> None:
    """Load the plugin, if it is not loaded already and ``-p no:connleak`` does not forbid it."""
    pluginmanager.import_plugin("connleak", consider_entry_points=True)
