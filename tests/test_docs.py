"""The documentation is true: what it shows is run, and what there is has its page.

After a change, ``python tests/documents.py`` writes anew what the pages show.
"""

from __future__ import annotations

import importlib.util
import json
import pkgutil
import re
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import documents
import labels
import pytest_connleak
from conftest import RunTests
from pytest_connleak import formats, instrumentation, rules
from servers import Server

DOCS = documents.DOCS
PAGES = {documents.name(page): page.read_text(encoding="utf-8") for page in documents.pages()}
# Other versions of these print other lines around the plugin's own.
SHOWN_WITH = {"pytest": (9, 0), "requests": (2, 32), "urllib3": (2, 0)}


def version(distribution: str) -> tuple[int, ...]:
    return tuple(map(int, metadata.version(distribution).split(".")[:2]))


# --- what is shown ----------------------------------------------------------------------------------------


@pytest.mark.skipif(
    importlib.util.find_spec("sphinx") is None, reason="it takes long; nox -s docs runs it, where the pages are built"
)
@pytest.mark.skipif(
    any(version(name) < least for name, least in SHOWN_WITH.items()), reason="the pages show newer versions"
)
@pytest.mark.parametrize("page", [name for name, text in PAGES.items() if "```console\n" in text])
def test_what_a_page_shows_is_what_its_commands_print(page: str, tmp_path: Path) -> None:
    shell = documents.Shell(tmp_path)
    for step in documents.steps(PAGES[page]):
        if isinstance(step, documents.File):
            shell.write(step)
        else:
            assert documents.comparable(shell.run(step.command)) == documents.comparable(step.output), step.command


def test_examples_find_what_their_comments_say(tmp_path: Path) -> None:
    files = documents.write_tests(tmp_path)
    plugins = ("-p", "pytest_asyncio.plugin")
    alone = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    sites, output = labels.observed(tmp_path, tmp_path / "report.json", alone, *plugins)
    assert {site: times for site, times in sites.items() if site[-1] != "ignored"} == labels.expected(files)
    leaking = {(test, file) for test, file, _, _, status in sites if status == "leak"}
    assert labels.failures(output) == len(leaking), output


@pytest.mark.parametrize("page", [name for name, text in PAGES.items() if "<!-- from: " in text])
def test_what_is_made_of_the_program_is_up_to_date(page: str) -> None:
    assert documents.remade(PAGES[page]) == PAGES[page]


def test_the_picture_of_the_states_is_that_of_the_table() -> None:
    assert (DOCS / "states.svg").read_text(encoding="utf-8") == documents.picture()


# --- what there is has its page ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [rule.kind for rule in rules.discover()])
def test_every_kind_has_its_page(kind: str) -> None:
    file = f"pytest_connleak/rules/{kind.replace('-', '_')}.md"
    assert PAGES[f"docs/kinds/{kind}.md"].startswith(f"```{{include}} ../../{file}\n```\n")
    assert f"({kind}.md)" in PAGES["docs/kinds/index.md"]
    labelled = {found[1] for found in labels.LABEL.findall(PAGES[file])}
    assert labelled == {kind}, "the example of the mistake"


@pytest.mark.parametrize("format", [*formats.NAMES, "junit", "terminal"])
def test_every_format_has_its_page(format: str) -> None:
    assert PAGES[f"docs/formats/{format}.md"].startswith(f"# {format}\n")
    assert f"({format}.md)" in PAGES["docs/formats/index.md"]


def test_every_key_of_the_json_report_is_explained() -> None:
    """Of those that the page shows, which are what a run writes."""
    page = PAGES["docs/formats/json.md"]
    [shown] = [json.loads(step.output) for step in documents.steps(page) if "json.tool" in step[0]]
    keys = {*shown, *shown["findings"][0], *shown["findings"][0]["connections"][0]} - {"version", "findings"}
    assert keys <= {*re.findall(r"`(\w+)`", page)}


@pytest.mark.parametrize("watched", instrumentation.discover(), ids=lambda each: each.name)
def test_every_library_has_its_page(watched: instrumentation.Instrumentation) -> None:
    pages = "".join(text for name, text in PAGES.items() if name.startswith("docs/libraries/"))
    (module,) = {each.function.__module__ for each in watched.observers} or {f".{watched.name}"}
    assert f"`instrumentation/{module.rpartition('.')[2]}.py`" in pages
    assert not watched.observers or f"<!-- from: watched {watched.name} -->" in pages
    assert watched.distribution in pages


def test_no_page_is_of_what_there_is_not() -> None:
    folders = {name: {page.stem for page in (DOCS / name).glob("*.md")} - {"index"} for name in ("kinds", "formats")}
    assert folders["kinds"] == {rule.kind for rule in rules.discover()}
    assert folders["formats"] == {*formats.NAMES, "junit", "terminal"}


def test_the_options_are_those_of_help(run: RunTests) -> None:
    """Their words are compared with the rest that is made of the program."""
    shown = run("--help", here=True).output
    there_are = {*re.findall(r"^  (--connleak[-\w]*)", shown, re.MULTILINE)}
    there_are |= {*re.findall(r"^  (connleak\w*) \(", shown, re.MULTILINE)}
    page = PAGES["docs/configuration.md"]
    assert {*re.findall(r"^<!-- from: option (\S+) -->", page, re.MULTILINE)} == there_are == {*documents.declared()}
    assert {*re.findall(r"^### `([-\w]+)", page, re.MULTILINE)} == there_are


@pytest.mark.parametrize(("language", "file"), [("ini", "pytest.ini"), ("toml", "pyproject.toml")])
def test_the_settings_that_are_shown_are_taken(
    language: str, file: str, pytester: pytest.Pytester, run: RunTests
) -> None:
    [shown] = re.findall(rf"^```{language}\n(.*?)^```$", PAGES["docs/configuration.md"], re.MULTILINE | re.DOTALL)
    (pytester.path / file).write_text(shown, encoding="utf-8")
    pytester.makepyfile("def test_it(pytestconfig):\n    assert pytestconfig.getini('connleak_ignore')")
    assert run("--strict-config", report=False, here=True).outcomes == {"passed": 1}


@pytest.mark.parametrize("page", [name for name, text in PAGES.items() if "`ledger.py`" in text])
def test_the_parts_that_are_named_are_there(page: str) -> None:
    package = documents.ROOT / "pytest_connleak"
    names = {*re.findall(r"`(\w+\.py|\w+/)`", PAGES[page])} - {"interface.py"}
    assert names
    assert not [name for name in names if not (package / name).exists() and not (DOCS.parent / name).exists()]


def test_every_part_of_the_program_is_named() -> None:
    """In the table of the layers: what is added must get its place there."""
    _, _, rest = PAGES["CONTRIBUTING.md"].partition("<!-- layers -->")
    named = {*re.findall(r"`(\w+)(?:\.py|/)`", rest.partition("<!-- end of layers -->")[0])} - {"interface"}
    assert named == {module.name for module in pkgutil.iter_modules(pytest_connleak.__path__)} - {"__main__"}


def test_the_way_of_a_session_is_the_one_it_takes(pytester: pytest.Pytester, run: RunTests, server: Server) -> None:
    """Each call in the table comes after the one before it, in a run in which a session is left open."""
    _, _, rest = PAGES["CONTRIBUTING.md"].partition("<!-- way -->")
    steps = re.findall(r"`(\w+\.[\w.]+)`", rest.partition("<!-- end of way -->")[0])
    codes = {step: pkgutil.resolve_name(f"pytest_connleak.{step}").__code__ for step in steps}
    pytester.makeconftest(
        """
        import sys

        def note(frame, event, _):
            if event == "call" and "pytest_connleak" in frame.f_code.co_filename:
                print(frame.f_code.co_filename, frame.f_code.co_firstlineno, sep=":", file=CALLS)

        def pytest_unconfigure():
            sys.setprofile(None)
            CALLS.close()

        CALLS = open("calls.txt", "w", encoding="utf-8")
        sys.setprofile(note)
        """
    )
    pytester.makepyfile(
        """
        import os
        import requests

        KEPT = []

        def test_keeps():
            KEPT.append(requests.Session())
            KEPT[0].get(os.environ["CONNLEAK_TEST_URL"], timeout=5)
        """
    )
    assert run(report=False).outcomes == {"failed": 1}
    calls = iter((pytester.path / "calls.txt").read_text(encoding="utf-8").splitlines())
    for step, code in codes.items():
        assert f"{code.co_filename}:{code.co_firstlineno}" in calls, step  # looks on from where the last one was found


# --- the way to a page ------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    """Those between the pages; Sphinx sees to the headings."""
    text = re.sub(r"^```.*?^```$|`[^`\n]*`", "", PAGES[page], flags=re.MULTILINE | re.DOTALL)
    for link in re.findall(r"\]\(([^)]+)\)", text):
        if not urlsplit(link).scheme and not link.startswith("#"):
            assert ((documents.ROOT / page).parent / link.partition("#")[0]).exists(), link


def test_the_readme_leads_to_every_page() -> None:
    """To each that stands at the top; these lead on."""
    leads_to = {*re.findall(r"\]\((docs/[^)#]+)", PAGES["README.md"])}
    at_the_top = {documents.name(page) for page in [*DOCS.glob("*.md"), *DOCS.glob("*/index.md")]} - {"docs/index.md"}
    assert leads_to >= at_the_top
