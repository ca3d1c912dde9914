"""From pytest's command line, ini file and markers to :class:`~pytest_connleak.settings.Settings`."""

from __future__ import annotations

import argparse
import os
from contextlib import suppress
from typing import Any, cast, get_args

import pytest

from . import formats, rules, settings
from .errors import SettingError
from .settings import Ignore, LibraryPolicy, Local, Mode, ReportFile, Require, Settings, SharedPolicy

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
        action=_Mode,
        default=None,
        help="what a connection leak does to its test: fail (the default), warn, or off (nothing is watched)",
    )
    group.addoption(
        "--connleak-report",
        metavar="PATH",
        action=_Reports,
        default=[],
        help="write the findings to a file; the ending chooses the format, or its name before the path "
        f"(gitlab:codequality.json): {', '.join(formats.NAMES)}; may be repeated",
    )
    group.addoption(
        "--connleak-select",
        metavar="KINDS",
        action=_KindLists,
        default=[],
        help="check only these kinds of finding, with commas between them; may be repeated",
    )
    group.addoption(
        "--connleak-ignore",
        metavar="KINDS",
        action=_KindLists,
        default=[],
        help="do not check these kinds of finding, with commas between them; may be repeated",
    )
    group.addoption(
        "--connleak-baseline",
        metavar="FILE",
        default=None,
        help="a file of known findings: they fail nothing, new ones do",
    )
    group.addoption(
        "--connleak-update-baseline",
        action="store_true",
        help="write what is found to the baseline, and fail nothing; refused where CI is set",
    )
    group.addoption(
        "--connleak-prune-baseline",
        action="store_true",
        help="remove from the baseline what is fixed, and add nothing",
    )
    group.addoption(
        "--connleak-force",
        action="store_true",
        help="let --connleak-update-baseline do its work also where CI is set",
    )
    group.addoption(
        "--connleak-stats",
        action="store_true",
        help="show for each host how its connections were opened, reused, dropped, discarded and waited for, and what "
        "to change; fails nothing",
    )
    parser.addini("connleak", "fail (the default), warn or off", default="fail")
    parser.addini(
        "connleak_levels",
        "kinds of finding with a mode of their own: KIND=MODE, KIND=MODE",
        default="",
    )
    parser.addini("connleak_baseline", "a file of known findings, relative to the root directory", default="")
    parser.addini(
        "connleak_strict_baseline",
        "whether the run fails while the baseline has entries that are fixed (default: false)",
        type="bool",
        default=False,
    )
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


class _Mode(argparse.Action):
    """As ``store``; a shell that completes through argcomplete is offered the modes."""

    def __call__(
        self, parser: object, namespace: argparse.Namespace, values: Any, option_string: object = None
    ) -> None:
        setattr(namespace, self.dest, values)

    @staticmethod
    def completer(**_: object) -> tuple[str, ...]:
        return get_args(Mode)


class _Append(argparse.Action):
    """As ``append``, to which argparse lets nobody add what a shell is offered."""

    def __call__(
        self, parser: object, namespace: argparse.Namespace, values: Any, option_string: object = None
    ) -> None:
        setattr(namespace, self.dest, [*getattr(namespace, self.dest), values])


class _Reports(_Append):
    """A shell that completes through argcomplete is offered files, also after the name of a format."""

    @staticmethod
    def completer(prefix: str, **_: object) -> list[str]:
        from argcomplete.completers import FilesCompleter

        name, colon, path = prefix.rpartition(":")
        return [f"{name}{colon}{file}" for file in FilesCompleter()(path)]


class _KindLists(_Append):
    """A shell that completes through argcomplete is offered the kinds, also after a comma."""

    @staticmethod
    def completer(prefix: str, **_: object) -> list[str]:
        before, comma, _last = prefix.rpartition(",")
        chosen = before.split(",")
        return [f"{before}{comma}{kind}" for kind in rules.KINDS if kind not in chosen]


def read_mode(config: pytest.Config) -> Mode:
    """The mode of the run, also before the command line was read to its end.

    Raises:
        SettingError: if it is none of the three.
    """
    given = _given(config, "connleak")
    if given is not None:
        return cast("Mode", settings.choice(given, Mode, "--connleak"))
    return cast("Mode", _choice_in_file(config, "connleak", Mode))


def wants_statistics(config: pytest.Config) -> bool:
    """Whether it is to be counted how connections are used, also before the command line was read to its end.

    That is so where it is shown, or a report has a page for it.
    """
    if _given(config, "connleak_stats"):
        return True
    for text in _given(config, "connleak_report") or ():
        with suppress(SettingError):  # ``read`` will complain
            if formats.chosen(text).format in settings.WITH_STATISTICS:
                return True
    return False


def _given(config: pytest.Config, name: str) -> Any:
    """An option, also before the command line was read to its end."""
    return getattr(config.option, name, None) or getattr(config.known_args_namespace, name, None)


def read(config: pytest.Config, kinds: tuple[str, ...]) -> Settings:
    """All settings of the run.

    Raises:
        SettingError: naming the option and what it may be.
    """
    mode, require = read_mode(config), _in_file(config, "connleak_require")
    baseline = _baseline_path(config, mode) if _runs_tests(config) else None
    return Settings(
        mode=mode,
        mode_given=config.option.connleak is not None,
        levels=settings.levels(_in_file(config, "connleak_levels"), kinds, "ini option connleak_levels"),
        selected=_kinds(config, "--connleak-select", kinds),
        deselected=_kinds(config, "--connleak-ignore", kinds),
        ignores=tuple(
            settings.ignore(line, kinds, "ini option connleak_ignore") for line in config.getini("connleak_ignore")
        ),
        require=cast("Require", _choice_in_file(config, "connleak_require", Require)) if require else None,
        shared=cast("SharedPolicy", _choice_in_file(config, "connleak_shared", SharedPolicy)),
        library=cast("LibraryPolicy", _choice_in_file(config, "connleak_library", LibraryPolicy)),
        grace=settings.seconds(_in_file(config, "connleak_grace"), "ini option connleak_grace"),
        reports=_report_files(config),
        baseline=baseline,
        update_baseline=baseline is not None and config.getoption("connleak_update_baseline"),
        prune_baseline=baseline is not None and config.getoption("connleak_prune_baseline"),
        strict_baseline=_switch_in_file(config, "connleak_strict_baseline"),
        statistics=config.getoption("connleak_stats"),
    )


def _in_file(config: pytest.Config, name: str) -> str:
    """An ini option that is one text; in TOML somebody may have written a list."""
    value = config.getini(name)
    if not isinstance(value, str):
        raise SettingError(f"ini option {name}: {value!r} is a list; write it as one string")
    return value


def _choice_in_file(config: pytest.Config, name: str, allowed: object) -> str:
    return settings.choice(_in_file(config, name), allowed, f"ini option {name}")


def _switch_in_file(config: pytest.Config, name: str) -> bool:
    try:
        return bool(config.getini(name))
    except (ValueError, pytest.UsageError) as error:  # which pytest raises depends on its version; neither has the name
        raise SettingError(f"ini option {name}: {error}; write true or false") from None


def _kinds(config: pytest.Config, option: str, kinds: tuple[str, ...]) -> frozenset[str]:
    lists = config.getoption(option)
    return frozenset().union(*(settings.kind_list(text, kinds, option) for text in lists))


def _runs_tests(config: pytest.Config) -> bool:
    """Whether pytest is asked for more than to tell what there is."""
    tells = ("help", "version", "markers", "showfixtures", "show_fixtures_per_test", "collectonly", "cacheshow")
    return not any(getattr(config.option, name, False) for name in tells)


def _baseline_path(config: pytest.Config, mode: Mode) -> str | None:
    """Where the baseline is.

    Raises:
        SettingError: if it must not, or cannot, be written here.
    """
    given, in_file = config.getoption("connleak_baseline"), _in_file(config, "connleak_baseline")
    update, prune = config.getoption("connleak_update_baseline"), config.getoption("connleak_prune_baseline")
    if update and prune:
        raise SettingError(
            "--connleak-update-baseline and --connleak-prune-baseline exclude each other; give one of them"
        )
    if mode == "off":
        if update or prune:
            raise SettingError(
                "with connleak off nothing is watched, so there is nothing to write to a baseline; set fail or warn"
            )
        return None
    if not given and not in_file:
        if update or prune:
            raise SettingError("there is no baseline to write; name it with --connleak-baseline=FILE")
        return None
    path = _from_here(given, config) if given else os.path.join(config.rootpath, os.path.expanduser(in_file))
    if update and _in_ci() and not config.getoption("connleak_force"):
        raise SettingError(
            "--connleak-update-baseline: CI is set, and a baseline that CI writes hides new leaks; "
            "update it on your own machine and commit it, or give --connleak-force"
        )
    if update or prune:
        _must_be_writable(path, f"baseline {path}")
    return path


def _in_ci() -> bool:
    return os.environ.get("CI", "").lower() not in ("", "0", "false", "no", "off")


def _report_files(config: pytest.Config) -> tuple[ReportFile, ...]:
    files = tuple(_report_file(text, config) for text in config.getoption("connleak_report"))
    formats_of: dict[str, str] = {}
    for file in files:
        path = os.path.realpath(file.path)
        is_file = os.path.isfile(path) or not os.path.exists(path)  # else it is the terminal, or a pipe
        if is_file and formats_of.setdefault(path, file.format) != file.format:
            raise SettingError(
                f"--connleak-report: {path} is to be both {formats_of[path]} and {file.format}; "
                "the one would overwrite the other"
            )
    return files


def _report_file(text: str, config: pytest.Config) -> ReportFile:
    where = f"--connleak-report={text}"
    try:
        file = formats.chosen(text)
    except SettingError as error:
        raise SettingError(f"--connleak-report={error}") from None
    path = _from_here(file.path, config)
    _must_be_writable(path, where)
    return ReportFile(file.format, path)


def _from_here(path: str, config: pytest.Config) -> str:
    return os.path.join(config.invocation_params.dir, os.path.expanduser(path))


def _must_be_writable(path: str, where: str) -> None:
    from .files import must_be_writable  # most runs write nothing

    try:
        must_be_writable(path)
    except OSError as error:
        raise SettingError(f"{where}: {error}") from None


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
    return Local(mode, (*ignores, *run.ignores))


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
