"""Workflow commands of GitHub Actions: an annotation at each line that fails or warns.

What they are: https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands.  How they are
escaped: ``escapeData`` and ``escapeProperty`` in actions/toolkit, ``packages/core/src/command.ts``; how they are read:
``TryParseV2`` in actions/runner, ``src/Runner.Common/ActionCommand.cs``.  Of each level GitHub shows the first ten of a
step (``docs/problem-matchers.md`` in actions/toolkit), so the lines that hit the most tests come first.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..report import Report, Site, in_repository, safe, sites

COMMANDS = {"fail": "error", "warn": "warning"}


def wanted(environment: Mapping[str, str]) -> bool:
    """Whether the run is a step of GitHub Actions, which reads what is printed."""
    return environment.get("GITHUB_ACTIONS") == "true"


def render(report: Report) -> str:
    """The commands, one a line."""
    lines = [_command(site, report.root) for site in sites(report) if site.level in COMMANDS]
    return "".join(f"{line}\n" for line in lines)


def _command(site: Site, root: str) -> str:
    first = site.first
    properties: dict[str, str] = {}
    path = first.path or site.test_path
    if path:
        properties["file"] = in_repository(path, root)
    if first.path and first.line:
        properties["line"] = str(first.line)
    properties["title"] = f"connleak: {first.kind}"
    message = "\n".join(map(safe, [site.headline, *first.help.split("\n")]))
    listed = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    return f"::{COMMANDS[site.level]} {listed}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(safe(text)).replace(":", "%3A").replace(",", "%2C")
