"""What the plugin asks the system for, taken before the program could replace or forbid it.

A program may patch a module for longer than a test: a ``time.sleep`` that returns at once would use up the grace, and
what another thread is about to close would be reported.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import ClassVar

if sys.platform == "linux":
    from fcntl import fcntl


class System:
    """A class, since pyfakefs and freezegun replace such functions in the namespaces of modules, too."""

    sleep = staticmethod(time.sleep)
    clock = staticmethod(time.thread_time)
    collect = staticmethod(gc.collect)
    threads = staticmethod(threading.enumerate)

    isabs = staticmethod(os.path.isabs)
    normpath: ClassVar[Callable[[str], str]] = staticmethod(os.path.normpath)  # type: ignore[assignment]  # it is overloaded
    abspath: ClassVar[Callable[[str], str]] = staticmethod(os.path.abspath)  # type: ignore[assignment]  # likewise

    listdir = staticmethod(os.listdir)
    stat = staticmethod(os.stat)
    fstat = staticmethod(os.fstat)
    lseek = staticmethod(os.lseek)
    readlink = staticmethod(os.readlink)
    if sys.platform == "linux":
        fcntl = staticmethod(fcntl)

    FROZEN_BY_PYTHON = gc.get_freeze_count()
    """How many objects Python 3.12 and later set aside as they start."""
