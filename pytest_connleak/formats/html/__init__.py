"""HTML, for people: one file that needs nothing else, reads without scripts, and is better with them.

``page.html.jinja`` is the page, ``page.css`` and ``page.js`` stand within it.  All text is escaped by Jinja2, and
nothing of a report gets into a script, a style or a link.  The page's own policy (Content-Security-Policy) allows that
one style and that one script, by their hashes, and no network at all: https://www.w3.org/TR/CSP3/
"""

from __future__ import annotations

import ast
import base64
import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from importlib import resources
from typing import NamedTuple

from ... import hygiene
from ...errors import SettingError
from ...report import Entry, Line, Report, Site, Step, Tests, level, safe, sites, title
from .chart import Chart, draw
from .excerpt import Excerpt, Sources

try:
    import jinja2
    from markupsafe import Markup
except ModuleNotFoundError:
    raise SettingError("an HTML report needs Jinja2: pip install 'pytest-connleak[html]'") from None

# So many of each are shown; the rest is counted.
MOST_TESTS, MOST_AT_A_GLANCE, MOST = 5000, 6, 8
# Of the tests of a site so many are shown at once, and so many in all.
FEW, MANY = 8, 100

# The outcome of a file whose tests are not known.
NOT_COLLECTED = "not collected"

# What becomes of a run for a finding, as its card says it.
FATES = {
    "fail": "fails",
    "warn": "warns",
    "shared": "shared",
    "library": "library's habit",
    "ignored": "ignored",
    "baseline": "in the baseline",
    "test-failed": "test failed anyway",
}
REASONS = {
    "shared": "kept for the whole process, so it is listed and fails nothing",
    "library": "a known habit of a library, so it is listed and fails nothing",
    "ignored": "ignored by a setting or a marker",
    "baseline": "in the baseline of known findings",
    "test-failed": "its test failed anyway, and may not have come to where it closes",
}


class Some(NamedTuple):
    """Those of many things that are shown, and how many more there are."""

    shown: list[tuple[str, ...]]
    more: int


class Fix(NamedTuple):
    """What to write instead; ``code`` tells whether it is code, ``argument`` whether it goes into the call."""

    text: str
    code: bool
    argument: bool


class Card(NamedTuple):
    """A site, as it is shown."""

    id: str
    site: Site
    fate: str
    excerpt: Excerpt
    fix: Fix
    chains: Some
    connections: Some
    tests: list[str]
    share: float
    """How much of the tests that the most frequent site hit it hit, in percent."""

    @property
    def entry(self) -> Entry:
        return self.site.first

    @property
    def way(self) -> list[tuple[Line, str]]:
        """From the test in to the site's line and on into the library; and what each line is, unless a caller."""
        entry = self.entry
        if len(entry.stack) < 2 and not entry.library_stack:
            return []  # the site's line alone says nothing new
        callers = [(line, "") for line in reversed(entry.stack[1:])]
        return [*callers, *((line, "here") for line in entry.stack[:1]), *self._into_library]

    @property
    def _into_library(self) -> list[tuple[Line, str]]:
        return [(line, "library") for line in reversed(self.entry.library_stack)]


class Row(NamedTuple):
    """A test in the table of tests."""

    nodeid: str
    outcome: str
    step: Step | None
    cards: list[Card]


def render(report: Report) -> str:
    """The report as one page."""
    cards = _cards(report)
    rows = _rows(report, cards)
    return _PAGE.render(
        report=report,
        cards=cards,
        kinds=Counter(card.entry.kind for card in cards).most_common(),
        fates=[(fate, FATES.get(fate, fate), number) for fate, number in _in_order(card.fate for card in cards)],
        called=FATES,
        reasons=REASONS,
        titles={kind.name: kind.title for kind in report.kinds},
        failing=[card for card in cards if card.site.level == "fail"],
        warning=[card for card in cards if card.site.level == "warn"],
        warnings=[entry for entry in report.entries if level(entry) == "warn"],
        glance=MOST_AT_A_GLANCE,
        rows=rows[:MOST_TESTS],
        tests=len(rows),
        some_ran=any(row.outcome != NOT_COLLECTED for row in rows),
        left_out=len(report.tests.left_out - {row.nodeid for row in rows}),
        outcomes=Counter(row.outcome for row in rows).most_common(),
        span=_span(report.timeline),
        chart=_chart(report, cards),
        hosts=hygiene.table(report.hosts),
        advice=hygiene.all_advice(report.hosts),
        sentences=hygiene.MAX_SENTENCES,
        project=report.root.replace("\\", "/").rstrip("/").rpartition("/")[2],
        css=_CSS,
        js=_JS,
        css_hash=_hash(_CSS),
        js_hash=_hash(_JS),
    )


# --- the sites --------------------------------------------------------------------------------------------


def _cards(report: Report) -> list[Card]:
    sources = Sources(report.root)
    found = sites(report)
    most = max((len(site.tests) for site in found), default=0) or 1
    return [
        Card(
            id=f"s-{site.identity[:16]}",
            site=site,
            fate=_fate(site.first),
            excerpt=sources.around(site.first),
            fix=_fix(site.first.help),
            chains=_chains(site.entries),
            connections=_connections(site.entries),
            tests=site.tests,
            share=100 * len(site.tests) / most,
        )
        for site in found
    ]


def _fate(entry: Entry) -> str:
    return level(entry) if entry.status == "leak" else entry.status


def _in_order(fates: Iterable[str]) -> list[tuple[str, int]]:
    counted = Counter(fates)
    return [(fate, counted[fate]) for fate in dict.fromkeys([*FATES, *counted]) if counted[fate]]


def _fix(help: str) -> Fix:
    try:
        body = ast.parse(help).body
    except (SyntaxError, ValueError, Warning):  # a sentence, not code
        return Fix(help, code=False, argument=False)
    return Fix(help, code=True, argument=len(body) == 1 and isinstance(body[0], ast.Assign))


def _chains(entries: Iterable[Entry]) -> Some:
    """Who keeps the objects alive: from there down to the object, each once."""
    chains = ((*(entry.held_path or (entry.held_by,)), entry.object) for entry in entries if entry.held_by)
    return _some(chains)


def _connections(entries: Iterable[Entry]) -> Some:
    """Local address, remote address, and what the system says of the connection."""
    found = (
        (c["local"], c["remote"], c["status"] + ("" if c["fd"] is None else f", fd {c['fd']}"))
        for entry in entries
        for c in entry.connections
    )
    return _some(found)


def _some(many: Iterable[tuple[str, ...]]) -> Some:
    """The first of them, each once."""
    each = [*dict.fromkeys(many)]
    return Some(each[:MOST], max(0, len(each) - MOST))


# --- the tests --------------------------------------------------------------------------------------------


def _rows(report: Report, cards: Sequence[Card]) -> list[Row]:
    """All tests of the run: those with findings and those that did not pass first, if not all can be shown."""
    cards_of = _by_test(cards)
    steps = {step.nodeid: step for step in report.timeline}
    outcomes = {step.nodeid: step.outcome for step in report.timeline}
    for nodeid in sorted(report.tests.others | report.tests.passed):
        outcomes.setdefault(nodeid, _outcome(nodeid, report.tests))
    for nodeid in cards_of:
        outcomes.setdefault(nodeid, "not known")
    rows = [Row(nodeid, outcome, steps.get(nodeid), cards_of.get(nodeid, [])) for nodeid, outcome in outcomes.items()]
    if len(rows) > MOST_TESTS:
        rows.sort(key=lambda row: (not row.cards, row.outcome == "passed"))
    return rows


def _outcome(nodeid: str, tests: Tests) -> str:
    """What is known of a test that is not in the timeline, or of a file that could not be collected."""
    if nodeid in tests.others:
        return "not passed" if "::" in nodeid else NOT_COLLECTED
    return "passed"


def _by_test(cards: Iterable[Card]) -> dict[str, list[Card]]:
    """The sites that each test hit."""
    found: dict[str, list[Card]] = {}
    for card in cards:
        for nodeid in card.tests:
            found.setdefault(nodeid, []).append(card)
    return found


def _chart(report: Report, cards: Sequence[Card]) -> Chart | None:
    leaking = _by_test(card for card in cards if card.site.level != "note")
    hits = {nodeid: [(card.id, title(card.entry)) for card in hit] for nodeid, hit in leaking.items()}
    return draw(report.timeline, hits) if report.timeline else None


def _span(steps: Sequence[Step]) -> tuple[datetime, float] | None:
    """When the first test began, and how many seconds later the last one was over."""
    if not steps:
        return None
    began, ended = min(step.ended - step.seconds for step in steps), max(step.ended for step in steps)
    try:
        return datetime.fromtimestamp(began).astimezone(), ended - began
    except (ValueError, OverflowError, OSError):  # a program stopped or moved the clock
        return None


# --- the page ---------------------------------------------------------------------------------------------


def _read(name: str) -> str:
    return resources.files(__name__).joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _shown(value: object) -> object:
    """What an expression of the template comes to: one line, with nothing in it that cannot be shown or encoded."""
    return safe(value) if type(value) is str else value


def _seconds(seconds: float) -> str:
    """A duration as people say it."""
    if seconds < 0.001:
        return "< 1 ms"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min {rest} s"


def _brief(path: str) -> str:
    """The path of a library's file from its package on."""
    return path.rpartition("/site-packages/")[2]


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'s' * (count != 1)}"


_CSS, _JS = _read("page.css"), _read("page.js")
_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.FunctionLoader(_read),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    finalize=_shown,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters.update(brief=_brief, number=_number, seconds=_seconds)
_ENVIRONMENT.globals.update(few=FEW, many=MANY, newline=Markup("\n"))
_PAGE = _ENVIRONMENT.get_template("page.html.jinja")
