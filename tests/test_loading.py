"""How the plugin comes in, when it patches what, and that it leaves without a trace."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import RunTests

LEAK = """
    import requests

    def test_leaks():
        requests.Session()

    def test_closes():
        requests.Session().close()
"""

ROOT_CONFTEST = 'pytest_plugins = ["pytest_connleak"]'

# --- ways in ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("plugins", "conftest", "environment"),
    [
        pytest.param(["connleak"], "", {}, id="-p connleak"),
        pytest.param(["pytest_connleak"], "", {}, id="-p pytest_connleak"),
        pytest.param([], ROOT_CONFTEST, {}, id="conftest"),
        pytest.param(["connleak"], ROOT_CONFTEST, {}, id="-p and conftest"),
        pytest.param([], "", {"PYTEST_PLUGINS": "pytest_connleak"}, id="PYTEST_PLUGINS"),
        pytest.param([], "", {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": ""}, id="entry point"),
        pytest.param([], ROOT_CONFTEST, {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": ""}, id="entry point and conftest"),
    ],
)
def test_each_way_in_leads_to_the_same(
    plugins: list[str],
    conftest: str,
    environment: dict[str, str],
    pytester: pytest.Pytester,
    run: RunTests,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    pytester.makepyfile(test_it=LEAK)
    pytester.makeconftest(conftest)
    ran = run("--connleak-report=it.json", "-pno:asyncio", plugins=plugins, report=False)
    assert ran.outcomes == {"failed": 1, "passed": 1}
    assert ran.output.count("connleak: fail; checks missing-timeout") == 1
    assert ran.section.count("connleak: 1 unclosed-session") == 1
    assert len(json.loads((pytester.path / "it.json").read_text())["findings"]) == 1


@pytest.mark.parametrize("conftest", ["", ROOT_CONFTEST], ids=["entry point", "conftest"])
def test_no_connleak_removes_it(
    conftest: str, pytester: pytest.Pytester, run: RunTests, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not conftest:
        monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    pytester.makepyfile(test_it=LEAK)
    pytester.makeconftest(conftest)
    ran = run("-pno:connleak", "-pno:asyncio", plugins=[], report=False)
    assert ran.outcomes == {"passed": 2}
    assert "connleak:" not in ran.output
    if conftest:
        ran = run("-pno:connleak", "--connleak=fail", plugins=[], report=False)
        assert ran.status == pytest.ExitCode.USAGE_ERROR, "its options are gone, too"


def test_a_run_within_a_run_is_judged_by_itself(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(
        test_it="""
        import requests

        def inner(pytester, body):
            pytester.makepyfile(f"import requests\\ndef test_inner():\\n    {body}\\n")
            return pytester.runpytest_inprocess("-pconnleak")

        def test_leak_within(pytester):
            inner(pytester, "requests.Session()").assert_outcomes(failed=1)

        def test_leak_after(pytester):
            inner(pytester, "pass").assert_outcomes(passed=1)
            requests.Session()
    """
    )
    ran = run(plugins=("pytester", "connleak"))
    assert ran.outcomes == {"failed": 1, "passed": 1}
    assert ran.statuses == {"test_leak_after": "leak"}


def test_an_importer_of_pytest_that_keeps_no_list_of_what_it_rewrites(pytester: pytest.Pytester, run: RunTests) -> None:
    """The list is private, so the next pytest may have none."""
    pytester.makepyfile(
        test_it=LEAK,
        another_pytest="""
        import sys

        class Importer(type(sys.meta_path[0])):
            def __getattribute__(self, name):
                if name == "_must_rewrite" and sys._getframe(1).f_globals["__name__"] == "pytest_connleak":
                    open("asked", "w").close()
                    raise AttributeError(name)
                return super().__getattribute__(name)

        sys.meta_path[0].__class__ = Importer
        """,
    )
    assert run(plugins=["another_pytest", "connleak"], report=False).outcomes == {"failed": 1, "passed": 1}
    assert (pytester.path / "asked").exists()


# --- what is imported -------------------------------------------------------------------------------------

NOTE_MODULES = """
    import sys

    def pytest_unconfigure():
        with open("modules.txt", "w") as file:
            file.write("\\n".join(sys.modules))
"""


def test_nothing_is_imported_that_the_program_does_not_import(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makeconftest(NOTE_MODULES)
    pytester.makepyfile("def test_it(): pass")

    def imported(*plugins: str) -> set[str]:
        run(plugins=plugins, report=False)
        return set((pytester.path / "modules.txt").read_text().split())

    added = {name.partition(".")[0] for name in imported("connleak") - imported()}
    assert "pytest_connleak" in added
    heavy = {"requests", "urllib3", "httpx", "aiohttp", "responses", "psutil", "json", "asyncio", "html", "http", "ssl"}
    heavy.add("jinja2")
    assert added.isdisjoint(heavy)
    pytester.makepyfile("import socket\n\ndef test_it():\n    socket.create_server(('', 0)).detach()\n")
    assert "psutil" in imported("connleak"), "where there is a suspect that is no object, it is looked at"


# --- imports in every order -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("plugins", "before", "within"),
    [
        pytest.param(["early", "connleak"], "from early import Session, get", "Session()", id="before the plugin"),
        pytest.param(["connleak", "early"], "from early import Session, get", "Session()", id="after the plugin"),
        pytest.param(["connleak"], "", "__import__('requests').Session()", id="in the test"),
        pytest.param(["connleak"], "import urllib3", "__import__('requests').Session()", id="urllib3 first"),
        pytest.param(
            ["connleak"],
            "import importlib, requests.sessions; importlib.reload(requests.sessions)",
            "requests.sessions.Session()",
            id="reloaded",
        ),
        pytest.param(
            ["early", "connleak"],
            "import importlib, requests.sessions; importlib.reload(requests.sessions)",
            "requests.Session()",
            id="the class from before a reload",
        ),
        pytest.param(
            ["connleak"],
            "import sys, requests; [sys.modules.pop(n) for n in list(sys.modules) if n.startswith('requests')]",
            "__import__('requests').Session()",
            id="imported anew",
        ),
    ],
)
def test_imports_in_every_order(
    plugins: list[str], before: str, within: str, pytester: pytest.Pytester, run: RunTests
) -> None:
    pytester.makepyfile(
        early="import requests\nfrom requests import Session, get\n",
        test_it=f"""
        def test_plain():
            {before or "pass"}

            def leak():
                {within}

            leak()

        def test_closes():
            {before or "pass"}
            with {within} as session:
                assert session.get("data:nothing") if False else True
        """,
    )
    ran = run(plugins=plugins)
    assert ran.outcomes == {"failed": 1, "passed": 1}
    assert [(f["kind"], f["function"], f["line"]) for f in ran.findings] == [("unclosed-session", "test_plain.leak", 5)]


# --- what is patched, and put back ------------------------------------------------------------------------

# Runs pytest again and again in one process, and notes what is patched while a test runs and afterwards.
WITNESS = """
    import importlib
    import json
    import sys

    import pytest

    from pytest_connleak import instrumentation
    from pytest_connleak.instrumentation import interface

    OBSERVERS = [o for i in instrumentation.discover() for o in i.observers]


    def owners():
        found = {}
        for observer in OBSERVERS:
            try:
                owner, name = observer.find(importlib.import_module(observer.module))
            except (ImportError, AttributeError):
                continue  # not installed, or not in this version
            found[observer.module + ":" + getattr(owner, "__qualname__", "")] = owner
        return found


    OWNERS = owners()


    def snapshot():
        finders = [f for f in sys.meta_path if "AssertionRewritingHook" not in repr(f)]  # pytest's own
        return {name: dict(vars(owner)) for name, owner in OWNERS.items()}, finders


    def changes(before, after):
        names = []
        for owner, old in before[0].items():
            new = after[0][owner]
            names += [f"{owner}.{n}" for n in {*old, *new} if old.get(n, owner) is not new.get(n, owner)]
        return sorted(names) + ["sys.meta_path"] * (before[1] != after[1])


    class Witness:
        during = ()

        def pytest_runtest_call(self):
            self.during = changes(BEFORE, snapshot())


    class Reloader:
        def pytest_runtest_call(self):
            importlib.reload(sys.modules["requests.sessions"])


    class Broken:
        def pytest_collection_finish(self):
            raise RuntimeError("a broken plugin")


    def patch_and_stay(original):
        def close(self):
            return original(self)
        return close


    class Patcher:
        def pytest_runtest_call(self):
            session = OWNERS["requests.sessions:Session"]
            session.close = patch_and_stay(session.close)


    BEFORE = snapshot()
    results = {}
    for case, arguments in json.loads(sys.argv[1]).items():
        witness = Witness()
        plugins = [witness]
        if case == "internal error":
            plugins.append(Broken())
        if case == "a patch that stays":
            plugins.append(Patcher())
        if case == "reload":
            plugins.append(Reloader())
        status = pytest.main(["-pconnleak", "-pno:cacheprovider", *arguments], plugins)
        after = changes(BEFORE, snapshot())
        results[case] = {"status": int(status), "during": list(witness.during), "after": after}
        if case == "a patch that stays":
            with OWNERS["requests.sessions:Session"]() as session:
                results[case]["name"] = type(session).close.__name__
            OWNERS["requests.sessions:Session"].close = BEFORE[0]["requests.sessions:Session"]["close"]
        if case == "reload":
            module = sys.modules["requests.sessions"]
            assert module.Session is not OWNERS["requests.sessions:Session"]
            methods = {**vars(module.Session), **vars(module.__spec__.loader)}
            results[case]["left"] = [n for n, m in methods.items() if n == "exec_module" or hasattr(m, "__wrapped__")]
    with open("results.json", "w") as file:
        json.dump(results, file)
"""

CASES: dict[str, list[str]] = {
    "clean": ["clean"],
    "leaks": ["leaks"],
    "off": ["clean", "--connleak=off"],
    "off by ini": ["clean", "-oconnleak=off"],
    "warn": ["leaks", "--connleak=warn"],
    "KeyboardInterrupt": ["interrupted"],
    "pytest.exit": ["exits"],
    "wrong option": ["clean", "--connleak=maybe"],
    "unknown option": ["clean", "--no-such-option"],
    "broken conftest": ["broken"],
    "broken collection": ["uncollectable"],
    "internal error": ["clean"],
    "collect only": ["clean", "--collect-only"],
    "help": ["--help"],
    "nothing there": ["empty"],
    "a patch that stays": ["clean"],
    "reload": ["clean"],
}

FILES = {
    "clean": "def test_clean():\n    with requests.Session():\n        pass\n",
    "leaks": "def test_leaks():\n    requests.Session()\n",
    "interrupted": "def test_interrupted():\n    requests.Session()\n    raise KeyboardInterrupt\n",
    "exits": "def test_exits():\n    requests.Session()\n    pytest.exit('enough')\n",
    "uncollectable": "1 / 0\n",
    "broken": "def test_never():\n    pass\n",
    "empty": "",
}


@pytest.fixture(scope="module")
def witnessed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """By case: the exit status, and what was patched during and after the run."""
    directory = tmp_path_factory.mktemp("witness")
    for name, text in FILES.items():
        (directory / name).mkdir()
        (directory / name / f"test_{name}.py").write_text(f"import pytest\nimport requests\n\n{text}")
    (directory / "broken" / "conftest.py").write_text("1 / 0\n")
    (directory / "pytest.ini").write_text("[pytest]\n")
    script = directory / "witness.py"
    script.write_text("\n".join(line[4:] for line in WITNESS.splitlines()))
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    run = subprocess.run(
        [sys.executable, str(script), json.dumps(CASES)],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    results = Path(directory / "results.json")
    assert results.exists(), run.stdout + run.stderr
    found: dict[str, dict[str, Any]] = json.loads(results.read_text())
    return found


def test_a_run_patches_every_library(witnessed: dict[str, dict[str, Any]]) -> None:
    assert witnessed["clean"]["status"] == pytest.ExitCode.OK
    patched = set(witnessed["clean"]["during"])
    assert "sys.meta_path" in patched
    assert {
        "requests.sessions:Session.send",
        "requests.sessions:Session.close",
        "urllib3.poolmanager:PoolManager.__init__",
        "urllib3.connectionpool:HTTPConnectionPool.urlopen",
        "socket:socket.__init__",
    } <= patched


@pytest.mark.parametrize("case", ["off", "off by ini"])
def test_off_patches_nothing(case: str, witnessed: dict[str, dict[str, Any]]) -> None:
    assert witnessed[case] == {"status": pytest.ExitCode.OK, "during": [], "after": []}


@pytest.mark.parametrize(
    ("case", "status"),
    [
        ("clean", pytest.ExitCode.OK),
        ("leaks", pytest.ExitCode.TESTS_FAILED),
        ("warn", pytest.ExitCode.OK),
        ("KeyboardInterrupt", pytest.ExitCode.INTERRUPTED),
        ("pytest.exit", pytest.ExitCode.INTERRUPTED),
        ("wrong option", pytest.ExitCode.USAGE_ERROR),
        ("unknown option", pytest.ExitCode.USAGE_ERROR),
        ("broken conftest", pytest.ExitCode.USAGE_ERROR),
        ("broken collection", pytest.ExitCode.INTERRUPTED),
        ("internal error", pytest.ExitCode.INTERNAL_ERROR),
        ("collect only", pytest.ExitCode.OK),
        ("help", pytest.ExitCode.OK),
        ("nothing there", pytest.ExitCode.NO_TESTS_COLLECTED),
    ],
)
def test_everything_is_put_back(case: str, status: int, witnessed: dict[str, dict[str, Any]]) -> None:
    assert witnessed[case]["status"] == status
    assert witnessed[case]["after"] == []


def test_a_patch_of_somebody_else_on_top_stays(witnessed: dict[str, dict[str, Any]]) -> None:
    case = witnessed["a patch that stays"]
    assert case["after"] == ["requests.sessions:Session.close"]
    assert case["name"] == "close"


def test_a_reloaded_module_is_put_back_too(witnessed: dict[str, dict[str, Any]]) -> None:
    assert witnessed["reload"]["after"] == [], "the class from before"
    assert witnessed["reload"]["left"] == [], "the class from after"
