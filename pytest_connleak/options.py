"""From pytest's command line, ini file and markers to :class:`~pytest_connleak.settings.Settings`."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from typing import Any, cast

import pytest

from . import settings
from .errors import SettingError
from .settings import Ignore, LibraryPolicy, Local, Mode, Require, Settings, SharedPolicy

MARKER = (
    'connleak(mode=None, *, ignore=(), reason=None): mode is "fail", "warn" or "off"; ignore lists kinds of finding '
    "that are wanted here, and reason says why."
)


def add_options(parser: pytest.Parser) -> None:
    """Declare the options and ini options."""
    group = parser.getgroup("connleak", "connection leaks (pytest-connleak)")
    group.addoption(
        "--connleak",
        metavar="MODE",
        default=None,
        help="what a connection leak does to its test: fail (the default), warn, or off (nothing is watched)",
    )
    group.addoption(
        "--connleak-report",
        metavar="PATH",
        action="append",
        default=[],
        help="write the findings to a file; the ending chooses the format (.json); may be repeated",
    )
    parser.addini("connleak", "fail (the default), warn or off", default="fail")
    parser.addini(
        "connleak_ignore",
        "findings to ignore, one a line: KIND PATTERN  # reason. KIND or PATTERN may be *; the pattern is held "
        "against path::function and module.function of every frame of the finding",
        type="linelist",
    )
    parser.addini(
        "connleak_require",
        "when an unclosed session or pool counts: always, used or connected (default: always if your code made it, "
        "used if a library did)",
        default="",
    )
    parser.addini(
        "connleak_shared",
        "what a module of the application keeps for the process: first (the default: the first of a line is listed, "
        "a second one fails), fail or allow",
        default="first",
    )
    parser.addini("connleak_library", "known habits of libraries: list (the default) or fail", default="list")
    parser.addini(
        "connleak_grace", "seconds that other threads get to close what is still open (default: 0.5)", default="0.5"
    )


def read_mode(config: pytest.Config) -> Mode:
    """The mode of the run, also before the command line was read to its end.

    Raises:
        SettingError: if it is none of the three.
    """
    given = getattr(config.option, "connleak", None) or getattr(config.known_args_namespace, "connleak", None)
    if given is not None:
        return cast("Mode", settings.choice(given, Mode, "--connleak"))
    return cast("Mode", settings.choice(config.getini("connleak"), Mode, "ini option connleak"))


def read(config: pytest.Config, kinds: tuple[str, ...], endings: Iterable[str]) -> Settings:
    """All settings of the run.

    Raises:
        SettingError: naming the option and what it may be.
    """
    require = config.getini("connleak_require")
    return Settings(
        mode=read_mode(config),
        ignores=tuple(
            settings.ignore(line, kinds, "ini option connleak_ignore") for line in config.getini("connleak_ignore")
        ),
        require=cast("Require", settings.choice(require, Require, "ini option connleak_require")) if require else None,
        shared=cast(
            "SharedPolicy",
            settings.choice(config.getini("connleak_shared"), SharedPolicy, "ini option connleak_shared"),
        ),
        library=cast(
            "LibraryPolicy",
            settings.choice(config.getini("connleak_library"), LibraryPolicy, "ini option connleak_library"),
        ),
        grace=settings.seconds(config.getini("connleak_grace"), "ini option connleak_grace"),
        reports=tuple(_report_path(path, config, tuple(endings)) for path in config.getoption("connleak_report")),
    )


def _report_path(path: str, config: pytest.Config, endings: tuple[str, ...]) -> str:
    where = f"--connleak-report={path}"
    full = os.path.join(config.invocation_params.dir, os.path.expanduser(path))
    if os.path.splitext(path)[1] not in endings:
        raise SettingError(f"{where}: the ending chooses the format; it may be {', '.join(endings)}")
    try:
        if os.path.isdir(full):
            raise IsADirectoryError("is a directory")
        with tempfile.TemporaryFile(dir=os.path.dirname(full)):  # asking for permission tells root a lie
            return full
    except OSError as error:
        raise SettingError(f"{where}: cannot be written ({error}); give a file in a directory that exists") from None


def read_markers(node: pytest.Item | pytest.Collector, run: Settings, kinds: tuple[str, ...]) -> Local:
    """What the markers of a node, and of what it stands in, say; the nearest mode wins.

    Raises:
        SettingError: naming the test and what is wrong with its marker.
    """
    mode: Mode | None = None
    ignores: list[Ignore] = []
    for owner, mark in node.iter_markers_with_node("connleak"):
        where = f"{node.nodeid}: marker connleak"
        given, ignored, reason = _arguments(where, *mark.args, **mark.kwargs)
        if given is not None:
            checked = cast("Mode", settings.choice(given, Mode, where))
            mode = mode or checked
        source = f"marker connleak at {owner.nodeid}"
        ignores.extend(Ignore(settings.kind(k, kinds, where), "*", reason, source) for k in ignored)
    return Local(mode or run.mode, (*ignores, *run.ignores))


def _arguments(where: str, *args: Any, **kwargs: Any) -> tuple[str | None, tuple[str, ...], str | None]:
    unknown = kwargs.keys() - {"mode", "ignore", "reason"}
    if unknown or len(args) > 1 or (args and "mode" in kwargs):
        raise SettingError(f"{where} does not take these arguments; it is {MARKER}")
    mode, ignore, reason = (args[0] if args else kwargs.get("mode")), kwargs.get("ignore", ()), kwargs.get("reason")
    kinds = (ignore,) if isinstance(ignore, str) else ignore
    fits = (
        isinstance(mode, (str, type(None)))
        and isinstance(reason, (str, type(None)))
        and isinstance(kinds, (tuple, list, set, frozenset))
        and all(isinstance(kind, str) for kind in kinds)
    )
    if not fits:
        raise SettingError(f"{where} does not take these arguments; it is {MARKER}")
    return mode, tuple(kinds), reason
