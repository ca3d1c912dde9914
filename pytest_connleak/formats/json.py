"""JSON, version 1: keys may be added, none is ever changed or removed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import UnionType
from typing import Any, TypeVar, get_origin, get_type_hints

from ..report import Entry, Line, Report, Step, Tests, safe
from ..traffic import Traffic

VERSION = 1


def render(report: Report) -> str:
    """The report as JSON text."""
    document = {
        "version": VERSION,
        "findings": [entry.plain() for entry in report.entries],
        "faults": report.faults,
        "unused_ignores": report.unused_ignores,
        "gaps": report.gaps,
        "fixed": report.fixed,
        "failures": report.failures,
        "unchecked": report.unchecked,
        "hosts": [host.plain() for host in report.hosts],
        "tests": {
            "complete": report.tests.complete,
            "passed": sorted(report.tests.passed),
            "others": sorted(report.tests.others),
            "left_out": sorted(report.tests.left_out),
        },
        "mode": report.mode,
        "versions": report.versions,
        "timeline": [step._asdict() for step in report.timeline],
    }
    return "{" + ",\n ".join(f"{_encode(key)}: {_lines(value)}" for key, value in document.items()) + "}\n"


def parse(text: str) -> Report:
    """The report that :func:`render` made this text of, or somebody else: nothing in it is taken for what it should be.

    Raises:
        ValueError: if the text is no report, or one of another version.
    """
    try:
        document = _shown_as_text(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not a JSON report, as --connleak-report=FILE.json writes it ({error})") from None
    version = document.get("version") if isinstance(document, dict) else None
    if version is None:
        raise ValueError("JSON, but not a report, as --connleak-report=FILE.json writes it")
    if version != VERSION:
        raise ValueError(
            f"not a report of version {VERSION} (version: {version!r}); write it with this pytest-connleak"
        )
    try:
        tests = document["tests"]
        return Report(
            entries=[_entry(plain) for plain in document["findings"]],
            faults=_texts_by_name(document["faults"]),
            unused_ignores=_texts(document["unused_ignores"]),
            gaps=_texts(document["gaps"]),
            fixed=_texts(document["fixed"]),
            failures=_texts(document["failures"]),
            unchecked=_texts(document["unchecked"]),
            hosts=tuple(_checked(Traffic.from_plain(host)) for host in document.get("hosts", ())),
            tests=Tests(
                passed={*_texts(tests["passed"])},
                others={*_texts(tests["others"])},
                collected={*_texts(tests["left_out"])},
                complete=bool(tests["complete"]),
            ),
            mode=str(document.get("mode", "")),
            versions=_texts_by_name(document.get("versions", {})),
            timeline=[_step(step) for step in document.get("timeline", ())],
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a whole report ({type(error).__name__}: {error})") from None


def _lines(value: object) -> str:
    """Each item of a list on a line of its own; an ``indent`` would be slower, since then Python encodes, and not C."""
    if isinstance(value, list) and value:
        return "[\n  " + ",\n  ".join(map(_encode, value)) + "]"
    return _encode(value)


_encode = json.JSONEncoder(ensure_ascii=True).encode


def _shown_as_text(value: Any, *, lines: bool = False) -> Any:
    """A value of JSON with nothing in it that a terminal would obey; a help alone has lines."""
    if isinstance(value, str):
        return "\n".join(map(safe, value.split("\n"))) if lines else safe(value)
    if isinstance(value, list):
        return [*map(_shown_as_text, value)]
    if isinstance(value, dict):
        return {safe(key): _shown_as_text(each, lines=key == "help") for key, each in value.items()}
    return value


def _entry(plain: Mapping[str, Any]) -> Entry:
    entry = _checked(Entry.from_plain(plain))
    for line in (*entry.stack, *entry.library_stack):
        _checked(line)
    for connection in entry.connections:
        _texts([connection[name] for name in ("local", "remote", "status")])
        if not isinstance(connection["fd"], int | None):
            raise TypeError(f"fd: {connection['fd']!r}")
    _texts([*entry.held_path])
    return entry


def _step(values: Mapping[str, Any]) -> Step:
    return _checked(Step(**{name: values[name] for name in Step._fields}))  # a newer version may have added some


_Record = TypeVar("_Record", Entry, Line, Step, Traffic)


def _checked(record: _Record) -> _Record:
    """The record, if what is text, a number or None in it is so."""
    for name, types in _TYPES[type(record)].items():
        value = getattr(record, name)
        if not isinstance(value, types):
            raise TypeError(f"{name}: {value!r}")
    return record


def _plain_types(cls: type) -> dict[str, Any]:
    types = {name: each for name, each in get_type_hints(cls).items() if get_origin(each) in (None, UnionType)}
    return {name: each | int if each in (float, float | None) else each for name, each in types.items()}


_TYPES = {cls: _plain_types(cls) for cls in (Entry, Line, Step, Traffic)}


def _texts_by_name(values: Mapping[str, Any]) -> dict[str, str]:
    return dict(zip(values, _texts([*values.values()]), strict=True))


def _texts(values: object) -> list[str]:
    if not (isinstance(values, list) and all(isinstance(value, str) for value in values)):
        raise TypeError(f"{values!r} is not a list of strings")
    return values
