"""Exceptions and warnings of pytest-connleak."""


class ConnleakError(Exception):
    """Base class of the errors that pytest-connleak raises for its own users."""


class SettingError(ConnleakError):
    """A setting has a value that is not allowed; the message says where and what is."""


class PytestConnectionLeakWarning(UserWarning):
    """A connection resource was left open; emitted at the place that made it with ``--connleak=warn``."""
