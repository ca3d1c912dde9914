"""Files are written whole or not at all."""

from __future__ import annotations

import os
import tempfile


def write(path: str, text: str) -> None:
    """Write a file; whoever reads it meanwhile sees the old one.

    Raises:
        OSError: if the directory cannot be written to, or is full; nothing is left behind then.
    """
    path = os.path.realpath(path)
    if os.path.exists(path) and not os.path.isfile(path):  # a device or a pipe is written to, never replaced
        with open(path, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        return
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
