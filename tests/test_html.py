"""The HTML report as text, and what the run notes for it; ``test_html_in_browser`` looks at the page."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pages import entry, page, report, step
from pytest_connleak import formats
from pytest_connleak import report as its
from pytest_connleak.formats import html
from pytest_connleak.formats import json as json_format
from pytest_connleak.formats.html import chart
from pytest_connleak.formats.html.chart import draw
from pytest_connleak.hygiene import MAX_SENTENCES
from pytest_connleak.model import PROCESS, Finding, Frame, Origin
from pytest_connleak.report import Entry, Line, Report, Step, safe
from pytest_connleak.traffic import Made, Traffic

if TYPE_CHECKING:
    from conftest import Run, RunTests

# What has no end tag: https://html.spec.whatwg.org/multipage/syntax.html#void-elements
VOID = frozenset({"meta", "link", "input", "br"})


class Parsed(HTMLParser):
    """A page: its elements in their order, and all of its text but scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == [], "every element ends"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(f"{tag} {' '.join(name for name, _ in attrs)}")
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] not in ("script", "style"):
            self.texts.append(data)


# --- text stays text --------------------------------------------------------------------------------------


def report_of(text: str) -> Report:
    """A report with this text in every place that code, tests or settings fill."""
    line = Line(f"{text}.py", 3, text)
    changes: dict[str, Any] = {
        "kind": "unclosed-session",
        "nodeid": text,
        "owner": text,
        "function": text,
        "message": text,
        "object": text,
        "held_by": text,
        "held_path": (text, text),
        "source": f"! {text}",
        "help": f"! {text}",  # no code
        "reason": text,
        "stack": (line, line),
        "library_stack": (line,),
        "connections": ({"local": text, "remote": f"- {text}", "status": "CLOSED", "fd": None},),
    }
    shown = entry()._replace(**changes)
    return report(
        shown,
        shown._replace(line=12),
        faults={text: text},
        failures=[text],
        fixed=[text],
        unused_ignores=[text],
        timeline=[step(text, process=text)],
        versions={"requests": text},
        mode=text,
    )


@functools.cache
def usual_page() -> Parsed:
    return Parsed(html.render(report_of("usual")))


@settings(deadline=None, max_examples=30)
@given(st.text(st.characters(exclude_characters="\n"), min_size=1, max_size=20).filter(str.strip))
def test_no_text_changes_the_page(text: str) -> None:
    usual, found = usual_page(), Parsed(html.render(report_of(text)))
    assert found.elements == usual.elements
    assert "".join(found.texts).count(safe(text)) >= "".join(usual.texts).count("usual")


def test_nothing_is_loaded_or_run() -> None:
    parsed = Parsed(html.render(report_of("javascript:alert(1)")))
    names = {name for name, _ in parsed.attributes}
    assert not {name for name in names if name.startswith("on") or name in ("src", "style", "srcset", "action")}
    for name, value in parsed.attributes:
        if name == "href":
            assert value.startswith(("#", "data:image/svg+xml,"))
    [policy] = [value for _, value in parsed.attributes if "default-src" in value]
    assert "unsafe" not in policy


# --- what it says -----------------------------------------------------------------------------------------


def texts_of(it: Report) -> str:
    return "".join(Parsed(html.render(it)).texts)


def test_the_verdict() -> None:
    assert "1 leak at 1 place in 1 test" in " ".join(texts_of(report(entry())).split())
    both = texts_of(report(entry(), entry(line=12, level="warn")))
    assert "1 leak at 1 place" in " ".join(both.split())
    assert "1 more place with a warning" in both
    warns = [entry(nodeid=f"test_a.py::test_{n}", level="warn") for n in range(3)]
    assert "3 warnings at 1 place in 3 tests Leak check passed" in " ".join(texts_of(report(*warns)).split())
    assert "1 leak at 1 place Leak check failed" in " ".join(texts_of(report(entry(nodeid=None))).split())
    assert "No leaks" in texts_of(report(entry(status="shared")))
    assert "No leaks, but the run fails" in " ".join(texts_of(report(failures=["it could not look"])).split())


def words_of(it: Report) -> str:
    return " ".join(texts_of(it).split())


def test_a_run_without_tests_is_not_called_clean() -> None:
    assert "No tests ran Nothing was checked" in words_of(report())
    broken = report(tests=its.Tests(others={"test_broken.py"}, collected={"test_a.py::test_a"}))
    assert "No tests ran Nothing was checked" in words_of(broken)
    assert "test_broken.pynot collected" in texts_of(broken)
    assert "No leaks Leak check passed" in words_of(report(tests=its.Tests(passed={"test_a.py::test_a"})))


def test_it_says_how_many_tests_did_not_run() -> None:
    collected = {f"test_a.py::test_{n}" for n in range(7)}
    stopped = report(timeline=[step("test_a.py::test_0")], tests=its.Tests({"test_a.py::test_0"}, set(), collected))
    assert "6 more tests did not run" in texts_of(stopped)
    interrupted = report(entry(nodeid="test_a.py::test_1"), tests=its.Tests(set(), set(), collected))
    assert "6 more tests did not run" in texts_of(interrupted)  # of this one it is known that it began
    assert "did not run" not in texts_of(report(timeline=[step("test_a.py::test_0")]))


def test_sites_are_ranked_by_the_tests_that_they_hit() -> None:
    many = [entry("b.py", nodeid=f"test_b.py::test_{n}") for n in range(3)]
    text = html.render(report(entry("a.py"), *many, entry("c.py", status="ignored")))
    ids = [text.index(f'aria-label="Source of {name}.py:11"') for name in "bac"]
    assert ids == sorted(ids)


def test_all_tests_of_a_site_are_counted() -> None:
    many = [entry(nodeid=f"test_b.py::test_{n}") for n in range(html.MANY + 5)]
    assert "and 5 more in the table of tests" in texts_of(report(*many))


def test_a_table_of_very_many_tests_has_those_that_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(html, "MOST_TESTS", 3)
    steps = [step(f"test_{n}") for n in range(9)]
    text = texts_of(report(entry(nodeid="test_8"), timeline=steps))
    assert "3 tests of 9" in text
    table = text.partition("Outcome")[2]
    assert [n for n in range(9) if f"test_{n}" in table] == [0, 1, 8]


@pytest.mark.parametrize(
    ("help", "heading"),
    [
        ("with requests.Session() as session:\n    ...", "Instead"),
        ("timeout=10", "Add to the call"),
        ("close what boto3.client() made for you, or use it in a with block", "Instead"),
    ],
)
def test_the_fix_is_code_or_a_sentence(help: str, heading: str) -> None:
    text = html.render(report(entry(help=help)))
    section = text.partition('<section class="instead">')[2].partition("</section>")[0]
    assert f"<h4>{heading}</h4>" in section
    assert ("<pre>" in section) == ("boto3" not in help)


def test_the_holder_is_a_path() -> None:
    held = entry(held_by="fixture 'api'", held_path=("fixture 'api'", ".client"), status="shared")
    chain = "<li>fixture &#39;api&#39;</li><li>.client</li><li>requests.Session</li>"
    assert chain in html.render(report(held))
    unnamed = entry(held_by="an instance of shop.Cart")
    assert "<li>an instance of shop.Cart</li><li>requests.Session</li>" in html.render(report(unnamed))


def test_of_many_holders_and_connections_the_rest_is_counted() -> None:
    many = [
        entry(
            nodeid=f"test_{n}",
            held_by=f"K[{n}]",
            held_path=("K", f"[{n}]"),
            connections=({"local": f"127.0.0.1:{n}", "remote": "", "status": "CLOSED", "fd": None},),
        )
        for n in range(html.MOST + 5)
    ]
    text = texts_of(report(*many))
    assert f"[{html.MOST - 1}]requests.Session\nand 5 more" in text
    assert f"127.0.0.1:{html.MOST - 1} CLOSEDand 5 more" in text
    assert "5 more" not in texts_of(report(*many[: html.MOST]))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0001, "< 1 ms"), (0.0123, "12 ms"), (1.26, "1.3 s"), (59.9, "59.9 s"), (90, "1 min 30 s"), (7260, "2 h 1 min")],
)
def test_durations(seconds: float, text: str) -> None:
    assert f'<td data-n="{seconds:.6f}">{escape(text)}</td>' in html.render(report(timeline=[step(seconds=seconds)]))


@pytest.mark.parametrize("moved", [-1e15, 1e15])
def test_a_clock_that_a_program_moved_is_not_shown(moved: float) -> None:
    assert "<time" not in html.render(report(timeline=[step(ended=moved)]))


# --- the lines around -------------------------------------------------------------------------------------

SOURCE = """\
import requests


class Client:
    def __init__(self):

        self.url = "ü"
        self.session = requests.Session()
        self.more = 1

    def other(self):
        pass
"""


def excerpt(root: Path, source: str, line: int = 8) -> str:
    text = html.render(replace_root(report(entry("shop.py", line, source=source)), root))
    return text.partition("<pre")[2].partition("<code>")[2].partition("</code>")[0]


def replace_root(it: Report, root: Path) -> Report:
    it.root = str(root)
    return it


def test_the_lines_around_are_those_of_the_function(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(SOURCE, encoding="utf-8")
    assert excerpt(tmp_path, "self.session = requests.Session()").split("\n") == [
        "<i>5</i>def __init__(self):",
        "<i>6</i>",
        "<i>7</i>    self.url = &#34;ü&#34;",
        "<mark><i>8</i>    self.session = requests.Session()</mark><i>9</i>    self.more = 1",
        "",
    ]


def test_tabs_within_a_line_are_no_change(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text("def f():\n\ta = 1\n\ts\t=\tSession()\t# new\n", encoding="utf-8")
    assert excerpt(tmp_path, "s\t=\tSession()\t# new", 3).split("\n") == [
        "<i>1</i>def f():",
        "<i>2</i>        a = 1",
        "<mark><i>3</i>        s       =       Session()       # new</mark>",
    ]


def test_of_a_line_of_any_length_a_part_is_shown(tmp_path: Path) -> None:
    long = f"s = Session(); {'x' * 100_000}"
    (tmp_path / "shop.py").write_text(f"def f():\n    {long}\n", encoding="utf-8")
    place = Frame(str(tmp_path / "shop.py"), 2, "f", "shop", user=True)
    finding = Finding("unclosed-session", "Session", "unclosed", "close it", Origin(place), PROCESS, None)
    found = Entry.of(finding, str(tmp_path))
    assert len(found.source) < 300
    shown = excerpt(tmp_path, found.source, 2)
    assert shown.startswith("<i>1</i>def f():\n<mark><i>2</i>    s = Session(); xxx")
    assert shown.endswith("xxx ...</mark>")
    assert len(shown) < 400
    assert len(excerpt(tmp_path, long, 2)) < 400, "as versions before reported it"


@pytest.mark.parametrize("content", [None, SOURCE.replace("Session", "Other"), "x = 1\n", "# coding: nonsense\n"])
def test_a_file_that_has_changed_since_is_not_shown(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "shop.py").write_text(content, encoding="utf-8")
    shown = excerpt(tmp_path, "self.session = requests.Session()")
    assert shown == "<mark><i>8</i>self.session = requests.Session()</mark>"


def test_a_file_in_another_encoding(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_bytes(b"# coding: latin-1\nx = '\xfc'\nsession()\n")
    assert "x = &#39;ü&#39;" in excerpt(tmp_path, "session()", 3)


# --- the timeline -----------------------------------------------------------------------------------------


def test_processes_are_added_up_until_they_end() -> None:
    steps = [
        step("a", sockets=2, process="gw0"),
        step("b", sockets=3, process="gw1"),
        step("c", sockets=1, sessions=4, process="gw0"),  # gw0's last
        step("d", sockets=3, process="gw1"),
    ]
    drawn = draw(steps, {})
    assert [c.sockets for c in drawn.columns] == [2, 5, 4, 3]
    assert drawn.processes == 2
    assert drawn.ended == (3, 0)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 9), st.booleans()), min_size=1, max_size=30))
def test_no_peak_and_no_leak_is_lost_in_a_column(tests: list[tuple[int, int, bool]]) -> None:
    steps = [step(f"t{n}", sockets=a, sessions=b) for n, (a, b, _) in enumerate(tests)]
    hits = {f"t{n}": [(f"s-{n}", "a leak")] for n, (_, _, leaks) in enumerate(tests) if leaks}
    with mock.patch.object(chart, "COLUMNS", 7):
        drawn = draw(steps, hits)
    assert [c.first for c in drawn.columns[1:]] == [c.last + 1 for c in drawn.columns[:-1]]
    assert (drawn.columns[0].first, drawn.columns[-1].last) == (1, len(tests))
    for column in drawn.columns:
        of_column = tests[column.first - 1 : column.last]
        assert column.sockets == max(a for a, _, _ in of_column)
        assert column.sessions == max(b for _, b, _ in of_column)
    leaking = {n for n, column in enumerate(drawn.columns) if any(t[2] for t in tests[column.first - 1 : column.last])}
    assert [int(mark.x * len(drawn.columns) / 100) for mark in drawn.marks] == sorted(leaking)
    most = max(max(a, b) for a, b, _ in tests)
    assert drawn.ticks[0] == (100, 0)
    assert drawn.ticks[-1] == (0, drawn.top)
    assert most <= drawn.top
    assert 2 <= len(drawn.ticks) <= 5


# --- in a run ---------------------------------------------------------------------------------------------

SUITE = """
    import socket

    import pytest
    import requests

    @pytest.fixture(scope="module")
    def wide():
        with socket.socket() as sock, requests.Session():
            yield sock

    def test_nothing():
        pass

    def test_wide(wide):
        pass

    def test_leaks(wide):
        global kept
        kept = requests.Session()

    @pytest.mark.skip(reason="not now")
    def test_skipped():
        pass

    @pytest.mark.xfail(reason="not yet")
    def test_expected():
        assert False

    def test_fails():
        assert False

    def test_after(wide):
        pass
"""


def steps_of(ran: Run) -> dict[str, tuple[str, int, int]]:
    timeline = json.loads((ran.directory / "report.json").read_text())["timeline"]
    return {
        Step(**each).nodeid.partition("::")[2]: (each["outcome"], each["sockets"], each["sessions"])
        for each in timeline
    }


TIMELINE = {
    "test_nothing": ("passed", 0, 0),
    "test_wide": ("passed", 1, 1),
    "test_leaks": ("failed", 1, 2),
    "test_skipped": ("skipped", 1, 2),
    "test_expected": ("xfailed", 1, 2),
    "test_fails": ("failed", 1, 2),
    "test_after": ("passed", 0, 1),  # the fixture is torn down with the last test of the module
}


def test_the_timeline_of_a_run(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(test_it=SUITE)
    ran = run("--connleak-report=leaks.html", here=True)
    assert steps_of(ran) == TIMELINE
    text = (ran.directory / "leaks.html").read_text(encoding="utf-8")
    assert "7 tests: 3 passed, 2 failed, 1 skipped, 1 xfailed" in text
    assert text.count("<circle cx=") == 1 + text.count('<circle cx="10" cy="10"')


def test_the_findings_of_a_run_have_the_path_to_what_is_kept(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(test_it=SUITE)
    [finding] = run(here=True).findings
    assert (finding["held_by"], finding["held_path"]) == ("test_it.kept", ["test_it", "kept"])


def test_a_run_that_breaks_what_tells_versions(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(test_it="from importlib import metadata\n\ndef test_it():\n    metadata.version = None\n")
    result = run("--connleak-report=leaks.html")
    assert (result.status, result.outcomes) == (0, {"passed": 1})
    assert "<b>0." in (pytester.path / "leaks.html").read_text(encoding="utf-8").partition("pytest-connleak ")[2][:20]


def test_the_timeline_where_pytest_runs_the_tests_itself(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(test_it=SUITE)
    outcomes = {**TIMELINE, "test_leaks": ("error", 1, 2)}  # then a leak is an error of the teardown
    assert steps_of(run("--setup-show", here=True)) == outcomes


def test_the_timeline_of_a_run_that_warns(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(test_it=SUITE)
    ran = run("--connleak-report=leaks.html", "--connleak=warn")
    assert steps_of(ran) == {**TIMELINE, "test_leaks": ("passed", 1, 2)}
    assert "1 warning" in (ran.directory / "leaks.html").read_text(encoding="utf-8")


def test_the_timeline_of_several_workers(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(test_a=SUITE, test_b=SUITE)
    ran = run("--connleak-report=leaks.html", "-n2", "--dist=loadfile", plugins=("connleak", "xdist"))
    timeline = [Step(**each) for each in json.loads((ran.directory / "report.json").read_text())["timeline"]]
    assert {each.process for each in timeline} == {"gw0", "gw1"}
    for process in ("gw0", "gw1"):
        [*mine] = [each for each in timeline if each.process == process]
        found = {each.nodeid.partition("::")[2]: (each.outcome, each.sockets, each.sessions) for each in mine}
        assert found == TIMELINE
    assert [each.ended for each in timeline] == sorted(each.ended for each in timeline)
    assert "in 2 processes together" in (ran.directory / "leaks.html").read_text(encoding="utf-8")


def test_the_timeline_of_an_interrupted_run(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(test_it=SUITE + "\n    def test_stops():\n        raise KeyboardInterrupt\n")
    ran = run("--connleak-report=leaks.html")
    assert ran.status == pytest.ExitCode.INTERRUPTED
    assert {**steps_of(ran), "test_after": ...} == {**TIMELINE, "test_after": ...}
    assert "1 leak" in (ran.directory / "leaks.html").read_text(encoding="utf-8")


def test_a_test_that_runs_again_passes_in_the_end(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile("tries = []\n\ndef test_it():\n    tries.append(1)\n    assert len(tries) > 1\n")
    ran = run("--reruns=2", "--connleak-report=leaks.html", plugins=("connleak", "rerunfailures"))
    timeline = json.loads((ran.directory / "report.json").read_text())["timeline"]
    assert [each["outcome"] for each in timeline] in (["passed"], ["rerun", "passed"])  # by the plugin's version


def test_no_timeline_is_kept_where_nobody_asks(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makeconftest("""
        def pytest_sessionfinish(session):
            print("keeps it:", session.config.pluginmanager.has_plugin("connleak-timeline"))
    """)
    pytester.makepyfile("def test_it(): pass")
    assert "keeps it: False" in run("--connleak-report=leaks.md", "-s", report=False, here=True).output
    assert "keeps it: True" in run("--connleak-report=leaks.html", "-s", report=False, here=True).output


def test_shards_have_one_timeline(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(test_a=SUITE, test_b=SUITE)
    for name in ("a", "b"):
        run(f"test_{name}.py", f"--connleak-report=shard-{name}.json", report=False, here=True)
    arguments = ["merge", "shard-a.json", "shard-b.json", "--report", "leaks.html", "--report", "report.json"]
    done = subprocess.run([sys.executable, "-m", "pytest_connleak", *arguments], cwd=pytester.path, check=False)
    assert done.returncode == 1
    text = (pytester.path / "leaks.html").read_text(encoding="utf-8")
    assert "2 leaks" in text
    assert "in 2 processes together" in text
    assert "kept = requests.Session()</mark>" in text
    merged = json.loads((pytester.path / "report.json").read_text())
    assert {each["process"] for each in merged["timeline"]} == {"shard 1", "shard 2"}
    assert merged["mode"] == "fail"


def test_reports_of_before_have_no_timeline() -> None:
    document = json.loads(json_format.render(report(entry())))
    for name in ("timeline", "mode", "versions"):
        del document[name]
    for finding in document["findings"]:
        del finding["held_path"]
    old = json_format.parse(json.dumps(document))
    assert "Timeline" not in texts_of(old)
    assert "test_load" in texts_of(old)


# --- where Jinja2 is missing ------------------------------------------------------------------------------


def test_without_jinja2_the_run_does_not_begin(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makeconftest("import sys\n\nsys.modules['jinja2'] = None\n")
    pytester.makepyfile("def test_it(): pass")
    ran = run("--connleak-report=leaks.html")
    assert ran.status == pytest.ExitCode.USAGE_ERROR
    assert "an HTML report needs Jinja2: pip install 'pytest-connleak[html]'" in ran.output
    assert run("--connleak-report=leaks.md").status == 0


def test_without_jinja2_shards_are_not_merged(tmp_path: Path) -> None:
    (tmp_path / "shard.json").write_text(json_format.render(report()))
    program = "import sys; sys.modules['jinja2'] = None; from pytest_connleak.__main__ import main; sys.exit(main())"
    arguments = ["merge", "shard.json", "--report", "leaks.html"]
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (4, "")
    assert "an HTML report needs Jinja2" in done.stderr


def test_it_is_chosen_by_its_ending() -> None:
    assert formats.chosen("leaks.html").format == "html"


def test_a_page_for_people_is_not_too_large() -> None:
    text = html.render(page(findings=5000, sites=1000, tests=5000))
    assert len(text) < 8e6


# --- hosts ------------------------------------------------------------------------------------------------


def test_how_the_hosts_were_used() -> None:
    made = (Made("requests.Session", "tests/api.py:12", 118),)
    wasteful = Traffic("http://127.0.0.1:8000", "requests", 121, 160, 124, 36, made=made, versions=("HTTP/1.1",))
    text = texts_of(report(hosts=(wasteful,)))
    assert "124 connections for 160 requests to http://127.0.0.1:8000: reuse one Session" in text
    assert "HostSessionsRequestsOpenedReusedHTTP" in text.replace("\n", "")
    assert "http://127.0.0.1:8000121160124361.1" in text.replace("\n", "")
    assert "Hosts" not in texts_of(report())


def test_of_hundreds_of_hosts_the_most_used_are_advised() -> None:
    hosts = tuple(Traffic(f"http://h{n}", "requests", 20 + n, 20 + n, 20 + n) for n in range(300))
    text = texts_of(report(hosts=hosts))
    assert text.count("connections for") == MAX_SENTENCES
    assert "319 connections for 319 requests to http://h299" in text
    assert f"and {300 - MAX_SENTENCES} more like these" in text
