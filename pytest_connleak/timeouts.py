"""Which waits a timeout limits, for requests and urllib3 alike; neither is imported.

Followed source: ``urllib3/util/timeout.py``.
"""

from __future__ import annotations

import socket

from .model import LIMITED, Limits

# What nearly all timeouts are.
_NUMBERS = frozenset({int, float})


def limits(timeout: object) -> Limits:
    """What a timeout limits: a number, None, ``(connect, read)``, a ``urllib3.Timeout``, or urllib3's default.

    What urllib3 leaves to the default is limited by :func:`socket.setdefaulttimeout`.
    """
    if type(timeout) in _NUMBERS:
        return LIMITED
    if isinstance(timeout, tuple):
        # Of another length it is refused by requests before anything is sent.
        return Limits.of(*map(_is_limit, timeout)) if len(timeout) == 2 else LIMITED
    if not is_timeout_object(timeout):
        return Limits.of(_is_limit(timeout), _is_limit(timeout))
    # Not the public properties: ``read_timeout`` raises before the connection is started.
    connect, read = timeout._connect, timeout._read  # type: ignore[attr-defined]  # urllib3.Timeout is not imported here
    if (type(connect) in _NUMBERS and type(read) in _NUMBERS) or _is_number(timeout.total):  # type: ignore[attr-defined]  # as above
        return LIMITED
    return Limits.of(_is_limit(connect), _is_limit(read))


def is_given(timeout: object) -> bool:
    """Whether a value is a timeout, and not one of urllib3's marks for "the default of the pool"."""
    return timeout is None or is_timeout_object(timeout) or _is_number(timeout)


def is_timeout_object(timeout: object) -> bool:
    """Whether it is a ``urllib3.Timeout``, of whichever copy of urllib3."""
    return hasattr(timeout, "total") and hasattr(type(timeout), "connect_timeout")


def _is_limit(seconds: object) -> bool:
    if seconds is None:
        return False
    return _is_number(seconds) or socket.getdefaulttimeout() is not None


def _is_number(value: object) -> bool:
    return hasattr(value, "__float__")
