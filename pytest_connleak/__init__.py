"""Fails tests that leave sessions, streamed responses or sockets open, and names the line that did it.

A conftest may load the plugin with ``pytest_plugins = ["pytest_connleak"]``; where the package is
installed, pytest finds it under the name ``connleak``.  (Either may come first, and nothing here
asserts, so pytest need not warn that it comes too late for its assertions: PYTEST_DONT_REWRITE.)
"""

from __future__ import annotations

import pytest

from .errors import ConnectionLeakError, ConnleakError, PytestConnectionLeakWarning, SettingError
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


def pytest_addoption(pluginmanager: pytest.PytestPluginManager) -> None:
    """Load the plugin, if it is not loaded already and ``-p no:connleak`` does not forbid it."""
    pluginmanager.import_plugin("connleak", consider_entry_points=True)
