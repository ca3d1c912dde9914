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


def must_be_writable(path: str) -> None:
    """See that :func:`write` can write a file there, before there is anything to write.

    Raises:
        OSError: saying what is in the way, and what to do.
    """
    directory = os.path.dirname(path) or "."
    if os.path.isdir(path):
        raise IsADirectoryError(f"cannot be written: {path} is a directory; name a file in it")
    if not os.path.isdir(directory):
        raise NotADirectoryError(f"cannot be written: there is no directory {directory}; make it, or name another")
    try:
        with tempfile.TemporaryFile(dir=directory):  # asking for permission tells root a lie
            return
    except OSError as error:
        reason = error.strerror or error
        raise type(error)(f"cannot be written to {directory} ({reason}); name another directory") from None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
