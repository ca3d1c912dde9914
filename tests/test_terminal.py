"""What is printed: a header, a block for each place, the counts; nothing that hurts a terminal or tells a secret."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest

from pages import entry
from pytest_connleak.formats import terminal
from pytest_connleak.report import Report
from servers import Server

if TYPE_CHECKING:
    from conftest import Run, RunTests

# What a terminal obeys, what turns the direction of a line, and what no encoder takes.
HOSTILE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")

MANY = """
    import pytest
    import requests
    import urllib3

    def make():
        return requests.Session()

    @pytest.mark.parametrize("number", range(7))
    def test_many(number):
        make()

    def test_two_at_one_place():
        for _ in range(2):
            urllib3.PoolManager()

    @pytest.mark.connleak(ignore=["unclosed-session"], reason="it is known")
    def test_ignored():
        make()
"""


def labels(lines: list[str]) -> list[str]:
    """The labels of the remarks of a block, in their order."""
    return [match[1] for line in lines if (match := re.match(r" +=? ?= ([a-z ]+): ", line))]


def blocks(run: Run) -> list[list[str]]:
    """The blocks of the plugin's section: the lines between empty ones."""
    return [block.splitlines() for block in "\n".join(run.section).split("\n\n") if " --> " in block]


# --- the header -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [(), ("-n2",), ("--connleak=warn",), ("-v",)], ids=str)
def test_the_header_says_what_is_watched(arguments: tuple[str, ...], pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile("def test_it(): pass")
    ran = run(*arguments, plugins=("connleak", "xdist"), here="-n2" not in arguments)
    [header] = [line for line in ran.result.outlines if line.startswith("connleak: ")]
    assert header.startswith("connleak: warn; " if "--connleak=warn" in arguments else "connleak: fail; ")
    assert bool(re.search(r"\brequests \d+\.\d+", header)) == ("-v" in arguments)
    assert bool(re.search(r"\burllib3 \d+\.\d+", header)) == ("-v" in arguments)
    for kind in ("unclosed-session", "unclosed-pool", "unclosed-response", "unclosed-socket", "missing-timeout"):
        assert kind in header


@pytest.mark.parametrize("argument", ["-q", "--no-header", "--connleak=off"])
def test_there_is_no_header_where_none_is_wanted(argument: str, pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile("def test_it(): pass")
    ran = run(argument, here=True)
    assert ran.status == pytest.ExitCode.OK
    assert not [line for line in ran.result.outlines if line.startswith("connleak: ")]


# --- what fails and what warns ------------------------------------------------------------------------------


def test_what_only_warns_is_told_from_what_fails() -> None:
    fails, warns = entry(line=1), entry(line=2, level="warn", kind="missing-timeout")
    listed = entry(line=3, status="shared")
    text = terminal.text(Report(entries=[fails, warns, listed]))
    order = [f"shop.py:{line} in load" for line in (3, 2, 1)]
    assert sorted(order, key=text.index) == order, "what fails is nearest to the end"
    assert text.count("= status: a warning, fails nothing") == 1
    last = "connleak: 1 unclosed-session; warnings: 1 missing-timeout; not failing: 1 kept for the process"
    assert text.splitlines()[-1] == last
    assert terminal.counts(Report(entries=[warns])) == "connleak: warnings: 1 missing-timeout"


# --- blocks -----------------------------------------------------------------------------------------------


def test_the_shape_of_a_block(pytester: pytest.Pytester, run: RunTests, server: Server) -> None:
    pytester.makepyfile(
        **{
            "site-packages/fancylib": """
                import requests

                def connect():
                    return requests.Session()
            """,
            "helpers": """
                import fancylib

                class Client:
                    def __init__(self, url):
                        self.session = fancylib.connect()
                        self.session.get(url, timeout=5)
            """,
            "test_it": """
                import os
                from helpers import Client

                KEPT = []

                def test_it():
                    KEPT.append(Client(os.environ["CONNLEAK_TEST_URL"] + "/size/10"))
            """,
        }
    )
    pytester.makeini("[pytest]\npythonpath = . site-packages")
    ran = run()
    [block] = blocks(ran)
    assert block[:5] == [
        "unclosed-session: requests.Session still open; it sent 1 request over 1 connection",
        "  --> helpers.py:5 in Client.__init__",
        "   |",
        " 5 | self.session = fancylib.connect()",
        "   |",
    ]
    assert labels(block) == ["in the library", "called from", "tests", "connection", "kept alive by", "help", "more"]
    remarks = "\n".join(block[5:])
    assert "site-packages/fancylib.py:4 in connect" in remarks
    assert "called from: test_it.py:7 in test_it" in remarks
    assert "tests: test_it.py::test_it" in remarks
    assert re.search(rf"connection: 127\.0\.0\.1:\d+ -> 127\.0\.0\.1:{server.port} \(\w+, fd \d+\)", remarks)
    assert "kept alive by: test_it.KEPT" in remarks
    assert re.search(r"help: .*close", remarks, re.DOTALL)
    assert "unclosed-session" in block[-1]
    [connection] = ran.findings[0]["connections"]
    assert connection["remote"] == f"127.0.0.1:{server.port}"


def test_one_block_for_each_place_with_its_tests(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(test_it=MANY)
    ran = run(here=True)
    sessions, pools = blocks(ran)
    assert sessions[1] == "  --> test_it.py:6 in make"
    [tests] = [line for line in sessions if line.startswith("   = tests: ")]
    assert "test_it.py::test_many[0], test_it.py::test_many[1]" in tests
    assert tests.count("test_it.py::") == 5
    assert "and 2 more" in tests
    assert pools[1] == "  --> test_it.py:14 in test_two_at_one_place"
    assert "   = tests: test_it.py::test_two_at_one_place (2 times)" in pools
    assert len(ran.findings) == 10


def test_the_last_line_counts(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(test_it=MANY)
    counts = "connleak: 2 unclosed-pool, 7 unclosed-session; not failing: 1 ignored"
    alone = run(here=True)
    assert alone.section[-1] == counts
    assert run("-n2", plugins=("connleak", "xdist")).section == alone.section


def test_what_is_ignored_is_shown_if_asked_for(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(test_it=MANY)
    ran = run("-v", "-k", "ignored", here=True)
    [block] = blocks(ran)
    assert labels(block)[-3:] == ["status", "help", "more"]
    assert "   = status: ignored (it is known)" in block
    assert ran.section[-1] == "connleak: no leaks; not failing: 1 ignored"
    assert not blocks(run("-k", "ignored", here=True))


def test_what_fails_the_run_comes_last(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(test_it=MANY + "\n    def test_failed():\n        make()\n        assert False\n")
    ran = run("-v", "-k", "0 or two or ignored or failed", here=True)
    statuses = [next((line for line in block if "= status: " in line), "leak") for block in blocks(ran)]
    assert len(statuses) == 4
    assert [status == "leak" for status in statuses] == [False, False, True, True]


def test_nothing_is_printed_without_findings(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile("import requests\n\ndef test_it():\n    requests.Session().close()\n")
    ran = run("-v", here=True)
    assert ran.section == []
    assert ran.findings == []


# --- colours ----------------------------------------------------------------------------------------------


def test_colours_only_if_asked_for(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(test_it=MANY)
    plain = run(here=True)
    assert "\x1b" not in plain.output
    coloured = run("--color=yes", here=True)
    start = next(n for n, line in enumerate(coloured.result.outlines, 1) if "= connection leaks =" in line)
    lines = coloured.result.outlines[start : start + len(plain.section)]
    assert [COLOUR.sub("", line) for line in lines] == plain.section
    assert COLOUR.search("\n".join(lines))
    assert "\x1b" not in run("--color=no", here=True).output


# --- hostile texts ----------------------------------------------------------------------------------------


EVIL = "\x1b[31m\x07\x9b1m\u202e\u2066\u200f"


def test_hostile_texts_are_escaped(pytester: pytest.Pytester, run: RunTests) -> None:
    setting = "disable_test_id_escaping_and_forfeit_all_rights_to_community_support = true"
    pytester.makeini(f"[pytest]\n{setting}\nconnleak_ignore = unclosed-pool \x1b[31m*")
    pytester.makepyfile(
        test_it=f"""
        import pytest
        import requests

        EVIL = {EVIL!r}

        @pytest.mark.parametrize("number", [1], ids=[EVIL])
        def test_id(number):
            requests.Session()

        def test_source_line():
            requests.Session()  # {EVIL}

        def test_class():
            type("Evil" + EVIL, (requests.Session,), {{}})()

        def test_path():
            code = "import requests\\ndef evil():\\n    requests.Session()\\nevil()"
            exec(compile(code, f"evil{{EVIL}}.py", "exec"), {{}})

        def test_holder():
            globals()["KEPT" + EVIL] = requests.Session()

        @pytest.mark.connleak(ignore=["unclosed-session"], reason="as " + EVIL)
        def test_reason():
            requests.Session()
        """
    )
    ran = run("-v", "--junit-xml=junit.xml")
    assert len(ran.findings) == 6
    assert ran.junit.get("failures") == "5"
    assert len(blocks(ran)) == 6
    assert not [line for line in ran.section if HOSTILE.search(line)]
    assert "\n".join(ran.section).count("[31m") >= 6, "what was escaped can be read"
    failures = [line for line in ran.result.outlines if line.startswith(("unclosed-", "  --> ", "      "))]
    assert len(failures) >= 10
    assert not [line for line in failures if HOSTILE.search(line)]


@pytest.mark.parametrize("arguments", [(), ("-n2",)], ids=str)
def test_names_that_cannot_be_encoded(arguments: tuple[str, ...], pytester: pytest.Pytester, run: RunTests) -> None:
    directory = os.fsencode(pytester.path) + b"/lib\xff"
    os.mkdir(directory)
    with open(directory + b"/lone.py", "w") as file:
        file.write("import requests\n\ndef make():\n    return requests.Session()\n")
    pytester.makepyfile(
        test_it="""
        import os
        import sys

        import requests

        sys.path.insert(0, os.fsdecode(os.fsencode(os.path.dirname(__file__)) + b"/lib\\xff"))

        def test_path():
            import lone
            lone.make()

        def test_class():
            own = type("Own", (requests.Session,), {})
            own.__qualname__ = "Lone\\ud800"
            own()
        """
    )
    ran = run(*arguments, "--junit-xml=junit.xml", plugins=("connleak", "xdist"))
    assert ran.outcomes == {"failed": 2}
    assert ran.junit.get("failures") == "2"
    first, second = ran.findings
    assert first["path"] == "lib\\udcff/lone.py"
    assert "Lone\\ud800" in second["object"]
    assert "  --> lib\\udcff/lone.py:4 in make" in ran.section
    assert "INTERNALERROR" not in ran.output


@pytest.mark.parametrize(
    ("name", "arguments"), [("\\x1b[31m\\u202e", ()), ("\\ud800", ()), ("\\ud800", ("-n1",))], ids=str
)
def test_hostile_names_in_a_warning(
    name: str, arguments: tuple[str, ...], pytester: pytest.Pytester, run: RunTests
) -> None:
    pytester.makepyfile(f"""
        import requests

        def test_it():
            own = type("Own", (requests.Session,), {{}})
            own.__qualname__ = "Own{name}"
            own()
    """)
    ran = run("--connleak=warn", *arguments, plugins=("xdist", "connleak"))
    assert ran.outcomes == {"passed": 1, "warnings": 1}
    [warning] = [line for line in ran.result.outlines if "PytestConnectionLeakWarning" in line]
    assert f"Own{name}" in warning
    assert not HOSTILE.search(warning)


@pytest.mark.parametrize("arguments", [(), ("-n1",)], ids=str)
def test_an_error_of_the_plugin_cannot_hurt_the_terminal(
    arguments: tuple[str, ...], pytester: pytest.Pytester, run: RunTests
) -> None:
    pytester.makeconftest("""
        import pytest

        def broken(*args, **kwargs):
            raise LookupError("broken \\x1b[31m \\ud800")

        def pytest_collection_finish():
            import pytest_connleak.descriptors
            pytest.MonkeyPatch().setattr(pytest_connleak.descriptors.Descriptors, "sockets", broken)
    """)
    pytester.makepyfile(
        "import requests, urllib3\ndef test_it():\n    requests.Session().close()\n    urllib3.PoolManager()\n"
    )
    ran = run(*arguments, plugins=("connleak", "xdist"))
    assert ran.outcomes == {"failed": 1}
    assert [finding["kind"] for finding in ran.findings] == ["unclosed-pool"]
    assert [line for line in ran.section if "broken" in line]
    assert not [line for line in ran.section if HOSTILE.search(line)]


# --- secrets ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["fail", "warn"])
def test_urls_are_shown_without_query_credentials_and_fragment(
    mode: str, pytester: pytest.Pytester, run: RunTests, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_URL", "http://user:hunter2@127.0.0.1:9/path/x;hunter2=1?token=hunter2#hunter2")
    pytester.makepyfile(
        test_it="""
        import os
        import warnings

        import requests
        import responses
        import urllib3

        URL = os.environ["SECRET_URL"].replace(";hunter2=1", "")

        def attempt(function, *args, **kwargs):
            try:
                function(*args, **kwargs)
            except (OSError, urllib3.exceptions.HTTPError):
                pass

        def test_session():
            with requests.Session() as session:
                attempt(session.get, URL)

        def test_function():
            attempt(requests.get, URL, params={"more": URL})

        @responses.activate
        def test_mocked():
            attempt(requests.get, URL)

        def test_manager():
            with urllib3.PoolManager() as pool:
                attempt(pool.request, "GET", URL, retries=False)

        def test_pool():
            with urllib3.HTTPConnectionPool("127.0.0.1", 9, retries=False) as pool:
                attempt(pool.request, "GET", URL.partition(":9")[2])

        def test_without_scheme():
            with urllib3.PoolManager() as pool, warnings.catch_warnings():
                warnings.simplefilter("ignore")
                attempt(pool.request, "GET", URL.rpartition("user:hunter2@")[2], retries=False)

        def test_slashes_only():
            with urllib3.PoolManager() as pool, warnings.catch_warnings():
                warnings.simplefilter("ignore")
                attempt(pool.request, "GET", URL.partition(":")[2], retries=False)
        """
    )
    ran = run(f"--connleak={mode}", "--junit-xml=junit.xml", "-vv", "-rA")
    assert [finding["kind"] for finding in ran.findings] == ["missing-timeout"] * 7
    told = {
        "terminal": ran.output,
        "json": (pytester.path / "report.json").read_text(),
        "junit": (pytester.path / "junit.xml").read_text(),
    }
    assert {name: [line for line in text.splitlines() if "hunter2" in line] for name, text in told.items()} == {
        "terminal": [],
        "json": [],
        "junit": [],
    }
    assert "GET http://127.0.0.1:9/path/x was sent" in told["terminal"]
    assert told["json"].count("127.0.0.1:9/path/x") >= 5
    if mode == "warn":
        assert ran.outcomes == {"passed": 7, "warnings": 7}


def test_the_failure_of_a_test_says_that_its_module_made_it() -> None:
    assert "made for the" not in terminal.short([entry()])
    assert "      made for the module, and still there when its last test had ended" in terminal.short(
        [entry(scope="module")]
    )
