"""Markdown, for the summary of a job or a comment.

GitHub's flavour: https://github.github.com/gfm/ (tables 4.10, HTML blocks 4.6, entities 6.2).  Whatever comes from the
user's code stands within ``<code>``, where GitHub and GitLab make no links of ``@name``, ``#1`` and ``:smile:``, and
with entities for what Markdown or HTML could obey: an entity stands for its character and never for structure.
A job summary may have 1 MiB (https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from .. import hygiene
from ..report import COUNTED, Level, Report, Site, safe, sites

# So many sites are shown, and of each so many tests, lines of a stack and connections; the rest is counted.
MOST_SITES = 100
MOST = 10

WORDS = {"fail": "fails", "warn": "warns"}
VERDICTS: dict[Level, str] = {"fail": "failing", "warn": "with a warning"}

# All punctuation but what is harmless within a line; and the dot and the colon of a bare link.
_ACTIVE = re.compile(r"[!-+;-@\[-`{-~]|(?<=www)\.|:(?=//)", re.IGNORECASE)


def render(report: Report) -> str:
    """The report as Markdown."""
    found = sites(report)
    shown = [site for site in found if site.level in WORDS]
    blocks = [f"## Connection leaks: {_verdict(report, shown)}"]
    if shown:
        rows = [_row(site) for site in shown[:MOST_SITES]]
        blocks.append("\n".join(["| | kind | place | tests | what to do |", "|---|---|---|---|---|", *rows]))
        blocks += [_details(site) for site in shown[:MOST_SITES]]
    if len(shown) > MOST_SITES:
        blocks.append(f"... and {_number(len(shown) - MOST_SITES, 'more place')}")
    blocks += _statistics(report)
    others = Counter(site.first.status for site in found if site.level not in WORDS)
    if others:
        counted = ", ".join(f"{number} {COUNTED.get(status, status)}" for status, number in sorted(others.items()))
        blocks.append(f"Listed, and failing nothing: {_code(counted)}")
    faults = [f"{part} failed with {error}" for part, error in report.faults.items()]
    blocks += [
        *_list("connleak could not do all of its work", faults),
        *_list("The run fails", report.failures),
        *_list("Fixed, but still in the baseline", report.fixed),
        *_list("Lines of connleak_ignore that matched nothing", report.unused_ignores),
    ]
    return "\n\n".join(blocks) + "\n"


def _statistics(report: Report) -> list[str]:
    head, *rows = hygiene.table(report.hosts) or [()]
    if not rows:
        return []
    lines = [
        f"| {' | '.join(head)} |",
        f"|---|{'---:|' * (len(head) - 1)}",
        *(f"| {_code(host)} | {' | '.join(cells)} |" for host, *cells in rows),
    ]
    return ["### Connections", "\n".join(lines), *_list("What to change", hygiene.all_advice(report.hosts)[:MOST])]


def _verdict(report: Report, shown: list[Site]) -> str:
    levels = Counter(site.level for site in shown)
    parts = [f"{_number(levels[level], 'place')} {verb}" for level, verb in VERDICTS.items() if levels[level]]
    passed = not (report.failing or report.failures)
    return f"{'passed' if passed else 'failed'}" + (f" ({', '.join(parts)})" if parts else "")


def _row(site: Site) -> str:
    first = site.first
    cells = [
        WORDS[site.level],
        _code(first.kind),
        _code(site.place) if site.place else "no line",
        str(len(site.tests)),
        _lines(first.help),
    ]
    return f"| {' | '.join(cells)} |"


def _details(site: Site) -> str:
    summary = _code(first.kind) if not (first := site.first).path else f"{_code(first.kind)} at {_code(site.place)}"
    # The blank lines end the HTML, so that the list is Markdown again.
    return "\n".join(
        [f"<details><summary>{summary}</summary>", "", *(f"* {row}" for row in _remarks(site)), "", "</details>"]
    )


def _remarks(site: Site) -> Iterator[str]:
    first = site.first
    yield _code(first.message) + (f", {site.count} times" if site.count > 1 else "")
    if first.source:
        yield f"line: {_code(first.source)} in {_code(first.function or '?')}"
    if first.library_stack:
        library = first.library_stack[-1]
        yield f"in the library: {_code(f'{library.path}:{library.line}')} in {_code(library.function)}"
    for line in first.stack[1 : 1 + MOST]:
        yield f"called from: {_code(f'{line.path}:{line.line}')} in {_code(line.function)}"
    more = f" and {len(site.tests) - MOST} more" if len(site.tests) > MOST else ""
    yield "tests: " + (", ".join(map(_code, site.tests[:MOST])) or "none") + more
    for connection in first.connections[:MOST]:
        yield f"connection: {_code(' '.join(filter(None, (connection['local'], connection['remote']))))}"
    for holder in dict.fromkeys(entry.held_by for entry in site.entries if entry.held_by):
        yield f"kept alive by: {_code(holder)}"
    yield f"what to do: {_lines(first.help)}"


def _list(title: str, items: Iterable[str]) -> list[str]:
    rows = [f"* {_code(item)}" for item in items]
    return ["\n".join([f"{title}:", "", *rows])] if rows else []


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"


def _lines(text: str) -> str:
    return "<br>".join(_code(line) for line in text.split("\n"))


def _code(text: str) -> str:
    """Text from the user's code as one line of Markdown, which nothing in it can change."""
    escaped = _ACTIVE.sub(lambda found: f"&#{ord(found[0])};", safe(text))
    indent = len(escaped) - len(escaped.lstrip(" "))
    return f"<code>{'&#160;' * indent}{escaped[indent:]}</code>"
