"""SARIF 2.1.0, for code scanners: one result per site.

The specification is OASIS, https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/sarif-v2.1.0-errata01-os-complete.html
(the sections are named below).  What GitHub needs beyond it:
https://docs.github.com/en/code-security/reference/code-scanning/sarif-support-for-code-scanning.  Two things stand in
neither page but in github/codeql-action:

* issue 1738: GitHub rejects the whole file if one result has no ``artifactLocation``.  So the file of the test stands
  for a finding that has no line, and the repository for one that has no test either.
* ``src/fingerprints.ts``: the upload action computes ``primaryLocationLineHash`` from the text of the line, and warns
  of each one that differs from its own.  So ours has another name, for all other readers.
"""

from __future__ import annotations

import json
import os
from importlib import metadata
from typing import Any
from urllib.parse import quote

from ..report import Kind, Line, Report, Site, checkout, in_repository, sites

Json = dict[str, Any]

ROOT = "%SRCROOT%"
LEVELS = {"fail": "error", "warn": "warning", "note": "note"}
# What is "suppressed" (3.27.23) was wished away by somebody; the rest that fails nothing is only of a lower level.
SUPPRESSED = {"ignored": "ignored by a setting or a marker", "baseline": "in the baseline"}


def render(report: Report) -> str:
    """The report as SARIF."""
    known = {kind.name: kind for kind in report.kinds}
    for entry in report.entries:
        known.setdefault(entry.kind, Kind(entry.kind, entry.kind.replace("-", " ")))
    top = checkout(report.root)
    run: Json = {
        "tool": {"driver": {"name": "connleak", **_version(), "rules": [_rule(kind) for kind in known.values()]}},
        "originalUriBaseIds": {ROOT: {"uri": _file_uri(os.path.join(top, ""))}} if top else {},
        "columnKind": "unicodeCodePoints",
        "invocations": [_invocation(report)],
        "results": [_result(site, [*known].index(site.first.kind), report.root) for site in sites(report)],
    }
    document = {
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [run],
    }
    return json.dumps(document, indent=1, ensure_ascii=True) + "\n"


def _rule(kind: Kind) -> Json:
    text = kind.text
    what = text.partition("\n\n")[0]
    return {
        "id": kind.name,
        "shortDescription": {"text": kind.title},
        "fullDescription": {"text": " ".join(what.replace("`", "").split()), "markdown": what},
        "help": {"text": text, "markdown": text},
        "defaultConfiguration": {"level": "error"},
    }


def _result(site: Site, rule: int, root: str) -> Json:
    first = site.first
    result: Json = {
        "ruleId": first.kind,
        "ruleIndex": rule,
        "level": LEVELS[site.level],
        "message": _message(site.headline),
        "locations": [_location(site, root)],
        "partialFingerprints": {"connleak/v1": site.identity},
        "occurrenceCount": max(site.count, 1),
        "properties": {
            "status": first.status,
            "object": first.object,
            "help": first.help,
            "heldBy": [*dict.fromkeys(entry.held_by for entry in site.entries if entry.held_by)],
            "tests": site.tests,
        },
    }
    if first.status in SUPPRESSED:
        why = first.reason or SUPPRESSED[first.status]
        result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": why}]
    if first.stack:
        stack = [*first.library_stack, *first.stack]  # innermost first, as SARIF has it (3.44.3)
        frames = [{"location": _named(line, root)} for line in stack]
        flow = [{"location": _named(line, root)} for line in reversed(stack)]  # in the order of the run (3.37.6)
        result["stacks"] = [{"message": {"text": "where it was made or sent"}, "frames": frames}]
        result["codeFlows"] = [{"threadFlows": [{"locations": flow}]}]
    return result


def _location(site: Site, root: str) -> Json:
    first = site.first
    if first.path is None:
        artifact = _artifact(site.test_path, root) if site.test_path else {"uri": ".", "uriBaseId": ROOT}
        location: Json = {"physicalLocation": {"artifactLocation": artifact}}
        logical = [{"fullyQualifiedName": nodeid, "kind": "function"} for nodeid in site.tests]
    else:
        location = {"physicalLocation": _physical(first.path, first.line, root, first.source)}
        logical = [{"fullyQualifiedName": first.function, "kind": "function"}] if first.function else []
    return {**location, "logicalLocations": logical}


def _named(line: Line, root: str) -> Json:
    physical = _physical(line.path, line.line, root)
    return {"physicalLocation": physical, "message": _message(line.function or "?")}


def _physical(path: str, line: int | None, root: str, source: str = "") -> Json:
    region: Json = {"startLine": max(line or 1, 1), "startColumn": 1}
    if source:
        region["snippet"] = {"text": source}
    return {"artifactLocation": _artifact(path, root), "region": region}


def _artifact(path: str, root: str) -> Json:
    local = in_repository(path, root)
    if os.path.isabs(local):
        return {"uri": _file_uri(local)}
    return {"uri": _quoted(local), "uriBaseId": ROOT}


def _file_uri(path: str) -> str:
    return "file://" + _quoted(path)


def _quoted(path: str) -> str:
    return quote(path, errors="backslashreplace")


def _message(text: str) -> Json:
    """What is no link must not be taken for one (3.11.6)."""
    if "](" in text:
        text = text.replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]")
    return {"text": text or "?"}


def _invocation(report: Report) -> Json:
    """How the tool itself fared: where a part of it failed, a finding that is missing need not be fixed."""
    broken = [f"{part} failed with {error}" for part, error in report.faults.items()]
    hints = [
        *(f"a line of connleak_ignore matched nothing, remove it: {ignore}" for ignore in report.unused_ignores),
        *(f"fixed, --connleak-prune-baseline removes it: {fixed}" for fixed in report.fixed),
    ]
    return {
        "executionSuccessful": not report.faults,
        "toolExecutionNotifications": [
            *({"level": "error", "message": _message(text)} for text in broken),
            *({"level": "warning", "message": _message(f"the run fails: {text}")} for text in report.failures),
        ],
        "toolConfigurationNotifications": [{"level": "note", "message": _message(text)} for text in hints],
    }


def _version() -> Json:
    try:
        return {"version": metadata.version("pytest-connleak")}
    except metadata.PackageNotFoundError:
        return {}
