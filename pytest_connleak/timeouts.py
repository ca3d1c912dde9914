"""Which waits a timeout limits, in the forms that several libraries share; none of them is imported.

Followed sources: ``urllib3/util/timeout.py``; ``httpx/_config.py``, for what it puts into a request's extensions.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from enum import Enum
from typing import Any

from .model import LIMITED, Limits

# What nearly all timeouts are.
_NUMBERS = frozenset({int, float})

# What a urllib3.Timeout has, of whichever copy; a program's own timeout, a pair with names, say, has not.
_MARK = "get_connect_duration"


def limits(timeout: object) -> Limits:
    """What a timeout of requests or urllib3 limits: a number, None, a pair, a ``urllib3.Timeout``, or its default.

    What urllib3 leaves to the default is limited by :func:`socket.setdefaulttimeout`.
    """
    if type(timeout) in _NUMBERS:
        return LIMITED
    if hasattr(type(timeout), _MARK):
        # Not the public properties: ``read_timeout`` raises before the connection is started.
        connect, read = timeout._connect, timeout._read  # type: ignore[attr-defined]  # urllib3 is not imported here
        if (type(connect) in _NUMBERS and type(read) in _NUMBERS) or _is_number(timeout.total):  # type: ignore[attr-defined]  # as above
            return LIMITED
        return Limits.of(_is_limit(connect), _is_limit(read))
    if isinstance(timeout, tuple):
        # Of another length it is refused by requests before anything is sent.
        return Limits.of(*map(_is_limit, timeout)) if len(timeout) == 2 else LIMITED
    return Limits.of(_is_limit(timeout), _is_limit(timeout))


def limits_by_kind(extensions: Mapping[str, Any]) -> Limits:
    """What a request of httpx or httpcore limits, whose extensions have a number, or None, for each kind of wait."""
    timeout = extensions.get("timeout", {})
    if "connect" in timeout and "read" in timeout and timeout["connect"] and timeout["read"]:
        return LIMITED  # nearly all
    return Limits.of(timeout.get("connect") is not None, timeout.get("read") is not None)


def is_given(timeout: object) -> bool:
    """Whether a value is a timeout, and not one of urllib3's marks for "the default of the pool"."""
    kind = type(timeout)
    if timeout is None or kind in _NUMBERS:
        return True
    # A mark is a member of an enumeration, whose class would go a long way to say that it has no such attribute.
    if (type(kind) is type or not isinstance(timeout, Enum)) and hasattr(kind, _MARK):
        return True
    return _is_number(timeout)


def _is_limit(seconds: object) -> bool:
    if seconds is None:
        return False
    return _is_number(seconds) or socket.getdefaulttimeout() is not None


def _is_number(value: object) -> bool:
    return hasattr(value, "__float__")
