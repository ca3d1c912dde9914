"""The modules of a package, found by being there."""

from __future__ import annotations

import os
from collections.abc import Iterable


def modules(path: Iterable[str]) -> list[str]:
    """The names of the modules in a package's ``__path__``, in alphabetical order.

    As :func:`pkgutil.iter_modules` has them, which takes ten times as long, a fifteenth of what the plugin adds to the
    start of a run.
    """
    names = set()
    try:
        for directory in path:
            for file in os.listdir(directory):
                name, dot, ending = file.rpartition(".")
                if ending in ("py", "pyc") if dot else os.path.exists(os.path.join(directory, file, "__init__.py")):
                    names.add(name if dot else file)
    except OSError:  # it lies in a zip file
        import pkgutil

        return sorted(module.name for module in pkgutil.iter_modules([*path]))
    return sorted(name for name in names if name.isidentifier() and name != "__init__")
