"""By what a finding is known again in another run, on another machine, after its file was edited.

``KIND OBJECT PATH::FUNCTION``: no line, address, time or absolute path.  The path is relative to the root directory
or, where the code lies elsewhere, to the entry of ``sys.path`` that it is imported from.
"""

from __future__ import annotations

import os
import re
import sys

from . import origin
from .model import Finding

# Before Python 3.12 these are functions of their own.
_COMPREHENSION = r"(?:^|\.)<(?:list|dict|set)comp>(?=$|\.)"
_PARAMETERS = r"(?s)\[.*"


def of(finding: Finding, root: str) -> str:
    """The fingerprint of a finding; where no line of Python made the object, the test stands for it."""
    place = finding.origin.place
    if place is None:
        path, function = _of_test(finding.nodeid or "")
    else:
        path = _portable(place.path, root)
        function = re.sub(_COMPREHENSION, "", place.function).lstrip(".") or "<module>"
    return f"{finding.kind} {finding.object} {path}::{function}"


def plain_nodeid(nodeid: str) -> str:
    """A nodeid without its parameters, which may hold anything."""
    path, separator, name = nodeid.partition("::")
    return path + separator + re.sub(_PARAMETERS, "", name)


def _of_test(nodeid: str) -> tuple[str, str]:
    path, _, name = plain_nodeid(nodeid).partition("::")
    return path, name.replace("::", ".")


def _portable(path: str, root: str) -> str:
    below = origin.relative(path, root)
    if not os.path.isabs(below):
        return below
    shortest = min(
        (origin.relative(path, os.path.abspath(entry)) for entry in sys.path if entry), key=len, default=path
    )
    return os.path.basename(path) if os.path.isabs(shortest) else shortest
