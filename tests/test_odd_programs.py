"""Programs of every kind: code from anywhere, patched standard libraries, a collector that is switched off."""

from __future__ import annotations

import os
import re
import sys
import zipfile
from pathlib import Path

import pytest
import requests

from conftest import Run, RunTests


def found(run: Run) -> list[tuple[str, str]]:
    """The test and the source line of each finding that fails."""
    return [(f["nodeid"].rpartition("::")[2], f["source"]) for f in run.findings if f["status"] == "leak"]


def labelled(source: str) -> list[tuple[str, str]]:
    """The tests of a source and their lines that end in ``# leaks``."""
    lines, test = [], ""
    for line in source.splitlines():
        named = re.match(r"\s*def (test_\w+)", line)
        test = named[1] if named else test
        lines += [(test, line.strip())] * line.endswith("# leaks")
    return lines


# --- where a session may be made --------------------------------------------------------------------------


PLACES = """
    import copy
    import gc
    import pickle
    import signal
    import threading
    import weakref

    import requests

    KEPT = []


    class It:
        pass


    def test_finalizer():
        class Old:
            def __del__(self):
                requests.Session()  # leaks

        Old()


    def test_finalizer_that_the_collector_calls():
        class Old:
            def __del__(self):
                KEPT.append(requests.Session())  # leaks

        old = Old()
        old.me = old
        del old
        gc.collect()


    def test_finalizer_that_the_verdict_calls():
        class Old:
            def __del__(self):
                requests.Session()  # leaks

        old = Old()
        old.me = old
        KEPT.append(requests.Session())  # leaks


    def test_finalizer_that_closes():
        class Owner:
            def __init__(self):
                self.session, self.me = requests.Session(), self

            def __del__(self):
                self.session.close()

        Owner()


    def test_metaclass():
        class Meta(type):
            def __new__(meta, name, bases, namespace):
                cls = super().__new__(meta, name, bases, namespace)
                cls.session = requests.Session()  # leaks
                return cls

            def __call__(cls):
                made = super().__call__()
                made.session = requests.Session()  # leaks
                return made

        class Made(metaclass=Meta):
            pass

        Made()


    def test_weakref_callback():
        it = It()
        reference = weakref.ref(it, lambda _: requests.Session())  # leaks
        del it


    def test_weakref_finalize():
        it = It()
        weakref.finalize(it, requests.Session)
        del it  # leaks


    def test_signal_handler():
        before = signal.signal(signal.SIGALRM, lambda *_: requests.Session())  # leaks
        signal.raise_signal(signal.SIGALRM)
        signal.signal(signal.SIGALRM, before)


    def test_timer():
        timer = threading.Timer(0.01, lambda: requests.Session())  # leaks
        timer.start()
        timer.join()


    def test_timer_calls_it_directly():
        timer = threading.Timer(0.01, requests.Session)
        timer.start()  # leaks
        timer.join()


    def test_attribute_that_is_not_there():
        class Lazy:
            def __getattr__(self, name):
                made = requests.Session()  # leaks
                setattr(self, name, made)
                return made

        Lazy().session


    def test_descriptor():
        class Lazy:
            def __get__(self, instance, owner):
                return requests.Session()  # leaks

        class Owner:
            session = Lazy()

        Owner.session


    def test_pickle():
        with requests.Session() as session:
            text = pickle.dumps(session)
        pickle.loads(text)


    def test_pickle_used(url):
        with requests.Session() as session:
            text = pickle.dumps(session)
        other = pickle.loads(text)
        other.get(url, timeout=5)  # leaks


    def test_deep_copy_used(url):
        with requests.Session() as session:
            other = copy.deepcopy(session)
            other.get(url, timeout=5)  # leaks


    def test_copy_shares_what_is_closed(url):
        with requests.Session() as session:
            copy.copy(session).get(url, timeout=5)


    def test_generated_code():
        exec("KEPT.append(requests.Session())", globals())  # leaks


    def test_generated_code_without_a_name():
        exec(compile("KEPT.append(requests.Session())", "", "exec"), globals())  # leaks


    def test_generated_code_of_a_strange_module():
        exec("requests.Session()", {"__name__": 3, "requests": requests})  # leaks


    def test_generator_that_is_never_ended():
        def generate():
            with requests.Session() as session:  # leaks
                yield session

        KEPT.append(generate())
        next(KEPT[-1])


    def test_generator_that_is_dropped():
        def generate():
            with requests.Session() as session:
                yield session

        next(generate())


    def test_reference_that_raises():
        class Proxy:
            __slots__ = ("session",)

            def __getattribute__(self, name):
                raise LookupError

            def __eq__(self, other):
                raise LookupError

            __hash__ = None

        proxy = Proxy()
        Proxy.session.__set__(proxy, requests.Session())  # leaks
        KEPT.append(proxy)
"""


@pytest.mark.usefixtures("server")
def test_wherever_a_session_is_made_its_line_is_named(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(PLACES)
    ran = run("-Wignore", plugins=("connleak", "servers.plugin"))
    assert sorted(found(ran)) == sorted(labelled(PLACES))
    assert "could not do" not in ran.output


def test_outside_of_any_test(pytester: pytest.Pytester, run: RunTests) -> None:
    """At import and in hooks it is listed; after the run nobody looks any more, and nothing is in the way."""
    pytester.makeconftest("""
        import atexit

        import requests

        AT_IMPORT = requests.Session()


        def at_exit():
            requests.Session()
            print("at the end:", requests.Session.send.__module__, hasattr(requests.Session.send, "__wrapped__"))


        atexit.register(at_exit)


        def pytest_collection_finish():
            global IN_HOOK
            IN_HOOK = requests.Session()
    """)
    pytester.makepyfile("def test():\n    pass\n")
    ran = run()
    assert ran.outcomes == {"passed": 1}
    assert [(f["source"], f["scope"], f["status"]) for f in ran.findings] == [
        ("AT_IMPORT = requests.Session()", "process", "shared"),
        ("IN_HOOK = requests.Session()", "process", "shared"),
    ]
    ran.result.stdout.fnmatch_lines(["at the end: requests.sessions False"])


# --- files and names --------------------------------------------------------------------------------------


def test_files_that_are_no_utf_8(pytester: pytest.Pytester, run: RunTests) -> None:
    """A source in Latin-1, in a directory whose name cannot be decoded, and one whose coding is wrong."""
    directory = os.fsencode(pytester.path) + b"/caf\xe9"
    os.mkdir(directory)
    source = "# coding: latin-1\nimport requests\ndef make():\n    return requests.Session(), 'é'  # é\n"
    for name in (directory + b"/old.py", os.fsencode(pytester.path) + b"/plain.py"):
        with open(name, "wb") as file:
            file.write(source.encode("latin-1"))
    pytester.makeconftest(f"import os, sys\nsys.path.append(os.fsdecode({directory!r}))\n")
    pytester.makepyfile("""
        import io
        import sys

        import old
        import plain


        def test_undecodable():
            old.make()


        def test_latin_1():
            plain.make()


        def test_lies_about_its_coding(tmp_path):
            code = compile("import requests\\nrequests.Session()\\n", str(tmp_path / "lies.py"), "exec")
            (tmp_path / "lies.py").write_bytes(b"# coding: ascii\\n\\xe9\\n")
            exec(code, {})
    """)
    ran = run("-v", "--junit-xml=junit.xml")
    assert [(f["path"], f["source"]) for f in ran.findings if "lies" not in f["path"]] == [
        ("caf\\udce9/old.py", "return requests.Session(), 'é'  # é"),
        ("plain.py", "return requests.Session(), 'é'  # é"),
    ]
    assert ran.outcomes == {"failed": 3}
    assert "could not do" not in ran.output
    assert ran.junit.get("failures") == "3"


def test_code_in_a_zip_file(pytester: pytest.Pytester, run: RunTests) -> None:
    with zipfile.ZipFile(pytester.path / "app.zip", "w") as archive:
        archive.writestr("app/__init__.py", "")
        archive.writestr("app/client.py", "import requests\n\ndef make():\n    return requests.Session()\n")
    pytester.makepyfile("""
        import sys

        sys.path.insert(0, "app.zip")

        from app import client


        def test_leaks():
            client.make()
    """)
    [finding] = run(here=True).findings
    assert (finding["path"], finding["line"], finding["function"]) == ("app.zip/app/client.py", 4, "make")
    assert finding["source"] == "return requests.Session()"


def test_where_there_is_no_working_directory(pytester: pytest.Pytester, run: RunTests) -> None:
    """Code with a relative file name has no place then, but what follows is seen as ever."""
    pytester.makepyfile("""
        import os

        import requests

        HERE = os.getcwd()
        CODE = compile("import requests\\nrequests.Session()\\n", "relative.py", "exec")


        def test_deleted(tmp_path):
            os.chdir(tmp_path)
            tmp_path.rmdir()
            requests.Session()
            exec(CODE, {})


        def test_after():
            requests.Session()


        def test_back_again():
            os.chdir(HERE)
            requests.Session()
    """)
    ran = run()
    assert "could not do" not in ran.output
    assert [f["nodeid"].rpartition("_")[2] for f in ran.findings] == ["deleted", "deleted", "after", "again"]
    assert ran.outcomes == {"failed": 3}


def test_a_relative_report_is_written_where_the_run_began(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile("""
        import os
        import shutil

        import requests


        def test_goes_away(tmp_path):
            os.chdir(tmp_path)
            shutil.rmtree(tmp_path)
            requests.Session()
    """)
    ran = run("--rootdir=.")
    assert ran.statuses == {"test_goes_away": "leak"}


# --- reload -----------------------------------------------------------------------------------------------


def test_libraries_that_are_imported_again(pytester: pytest.Pytester, run: RunTests) -> None:
    source = """
        import importlib
        import socket
        import sys

        import requests
        import urllib3


        def test_reloaded():
            importlib.reload(requests)
            requests.Session()  # leaks
            requests.Session().close()


        def test_submodule_reloaded():
            old = requests.sessions.Session
            importlib.reload(sys.modules["requests.sessions"])
            assert requests.sessions.Session is not old
            requests.sessions.Session()  # leaks
            old()  # leaks
            requests.sessions.Session().close()
            old().close()


        def test_removed_and_imported_again():
            for name in [name for name in sys.modules if name.partition(".")[0] in ("requests", "urllib3")]:
                del sys.modules[name]
            import requests as new

            assert new is not requests
            new.Session()  # leaks
            requests.Session()  # leaks
            new.Session().close()
            requests.Session().close()


        def test_socket_reloaded():
            importlib.reload(socket)
            socket.socket()  # leaks
            socket.socket().close()


        def test_many_times():
            for _ in range(20):
                importlib.reload(sys.modules["requests.sessions"])
            sys.modules["requests.sessions"].Session()  # leaks
    """
    pytester.makepyfile(source)
    ran = run("-Wignore")
    assert found(ran) == labelled(source)
    assert "could not do" not in ran.output


def test_a_program_that_hides_libraries(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile("""
        import sys

        import pytest


        def test_missing(monkeypatch):
            monkeypatch.setitem(sys.modules, "requests", None)
            with pytest.raises(ImportError):
                import requests


        def test_strange_modules(monkeypatch):
            for stranger in (3, object(), type(sys)("requests")):
                monkeypatch.setitem(sys.modules, "requests", stranger)
                monkeypatch.setitem(sys.modules, "gevent._hub_local", stranger)


        def test_leaks():
            import requests

            requests.Session()
    """)
    ran = run("-Wignore")
    assert ran.statuses == {"test_leaks": "leak"}
    assert "could not do" not in ran.output


# --- the collector ----------------------------------------------------------------------------------------


def test_the_collector_is_left_as_it_was(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile("""
        import gc

        import pytest
        import requests

        SEEN, CALLBACK = [], lambda phase, info: SEEN.append(phase)


        @pytest.fixture(scope="module", autouse=True)
        def settings():
            gc.collect()
            gc.disable()
            gc.set_threshold(701, 11, 12)
            gc.callbacks.append(CALLBACK)
            before = list(gc.callbacks)
            yield
            assert not gc.isenabled()
            assert gc.get_threshold() == (701, 11, 12)
            assert gc.get_debug() == 0
            assert gc.callbacks == before
            assert gc.garbage == []
            gc.callbacks.remove(CALLBACK)
            gc.enable()


        class Owner:
            def __init__(self):
                self.session, self.me = requests.Session(), self


        def test_dropped():
            Owner()


        def test_closed_by_the_collector():
            class Closes(Owner):
                def __del__(self):
                    self.session.close()

            Closes()


        def test_nothing():
            assert not gc.isenabled()
    """)
    ran = run(here=True)
    assert ran.outcomes == {"failed": 1, "passed": 2}
    assert ran.statuses == {"test_dropped": "leak"}


def test_debugging_the_collector(pytester: pytest.Pytester, run: RunTests) -> None:
    """With ``DEBUG_SAVEALL`` the collector frees nothing: what it would have freed is as unclosed as ever."""
    pytester.makepyfile("""
        import gc

        import pytest
        import requests


        @pytest.fixture(scope="module", autouse=True)
        def saves_all():
            gc.set_debug(gc.DEBUG_SAVEALL)
            yield
            assert gc.get_debug() == gc.DEBUG_SAVEALL
            gc.set_debug(0)
            gc.garbage.clear()


        def test_dropped():
            it = [requests.Session()]
            it.append(it)


        def test_closed():
            it = [requests.Session()]
            it.append(it)
            it[0].close()


        def test_after():
            pass
    """)
    ran = run(here=True)
    assert ran.statuses == {"test_dropped": "leak"}


def test_frozen_objects(pytester: pytest.Pytester, run: RunTests) -> None:
    """``gc.freeze()`` after the collection of tests makes a big suite faster, and hides all that is there by then."""
    pytester.makeconftest("""
        import gc


        def pytest_collection_finish():
            gc.freeze()


        def pytest_unconfigure():
            assert gc.get_freeze_count()
            gc.unfreeze()
    """)
    pytester.makepyfile(
        app="""
        import requests

        session, registry = None, {}


        class Client:
            def __init__(self):
                self.session = requests.Session()


        def get():
            global session
            session = session or requests.Session()


        def register():
            registry["it"] = Client()
        """,
        test_it="""
        import gc

        import pytest
        import requests

        import app

        KEPT = []


        def test_leaks():
            it = [requests.Session()]
            it.append(it)


        def test_keeps():
            KEPT.append(requests.Session())


        def test_closes():
            requests.Session().close()


        def test_shared():
            app.get()


        def test_registry():
            app.register()


        @pytest.fixture(scope="module")
        def lazy():
            made = []
            yield lambda: made.append(requests.Session())
            made[0].close()


        def test_fixture(lazy):
            lazy()


        def test_after(lazy):
            pass
        """,
    )
    ran = run()
    assert ran.statuses == {
        "test_leaks": "leak",
        "test_keeps": "leak",
        "test_shared": "shared",
        "test_registry": "shared",
    }
    held = {f["nodeid"].rpartition("::")[2]: f["held_by"] for f in ran.findings}
    assert held["test_shared"] == "app.session"
    assert held["test_registry"] == "app.registry['it'].session"


# --- ways to start Python, and what is patched ------------------------------------------------------------


STRICT = """
    import os
    import socket

    import requests
    import urllib3

    KEPT = []


    def test_leaks():
        KEPT.append(requests.Session())  # leaks
        KEPT.append(urllib3.PoolManager())  # leaks
        KEPT.append(socket.socket())  # leaks


    def test_closes():
        with requests.Session() as session:
            session.get(os.environ["CONNLEAK_TEST_URL"], timeout=5)


    def test_drops():
        requests.Session()  # leaks


    def test_after():
        pass
"""


@pytest.mark.parametrize(
    "started",
    ["-W error", "-X dev -W error", "-bb", "PYTHONASYNCIODEBUG=1 PYTHONMALLOC=debug", "PYTHONUTF8=0 LC_ALL=C"],
)
@pytest.mark.usefixtures("server")
def test_however_python_is_started(
    started: str, pytester: pytest.Pytester, run: RunTests, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytester.makepyfile(STRICT)
    variables = [word.split("=") for word in started.split() if "=" in word]
    for name, value in variables:
        monkeypatch.setenv(name, value)
    options = [] if variables else started.split()
    command = [sys.executable, *options, "-mpytest", "-pconnleak", "--connleak-report=report.json"]
    ran = Run(pytester.run(*command), pytester.path)
    assert found(ran) == labelled(STRICT)
    assert ran.outcomes == {"failed": 2, "passed": 2}
    assert "could not do" not in ran.output


PATCHED = """
    import socket
    import threading
    from unittest import mock

    import pytest
    import requests


    @pytest.fixture(scope="module", autouse=True)
    def patched():
        with mock.patch({target!r}{value}):
            yield


    def test_leaks():
        requests.Session()


    def test_keeps():
        global KEPT
        KEPT = requests.Session(), socket.socket()


    def test_closed_by_a_thread():
        session = requests.Session()
        threading.Timer(0.1, session.close).start()


    def test_closes():
        requests.Session().close()


    def test_generated_code():
        exec(compile("import requests\\nrequests.Session()", {path!r}, "exec"), {{}})
"""


@pytest.mark.parametrize(
    ("target", "value"),
    [
        ("time.sleep", ""),
        ("time.monotonic", ", return_value=0.0"),
        ("time.thread_time", ", return_value=0.0"),
        ("builtins.open", ""),
        ("io.open", ""),
        ("os.listdir", ", return_value=[]"),
        ("os.path.abspath", ""),
        ("os.getcwd", ", side_effect=OSError"),
        ("linecache.getline", ", side_effect=LookupError"),
        ("gc.collect", ""),
        ("gc.collect", ", side_effect=LookupError"),
        ("threading.enumerate", ", return_value=[]"),
        ("threading.active_count", ", side_effect=LookupError"),
        ("json.dumps", ", side_effect=LookupError"),
    ],
)
def test_a_standard_library_that_is_patched_while_the_verdict_comes(
    target: str, value: str, pytester: pytest.Pytester, run: RunTests
) -> None:
    """By a fixture that lives longer than its tests, or a patch that nobody stops."""
    library = str(Path(requests.__file__).parent / "not_seen_before.py")
    pytester.makepyfile(test_it=PATCHED.format(target=target, value=value, path=library))
    ran = run("-pno:cacheprovider", "-pno:faulthandler", here=True)
    assert [(name, f["kind"]) for f in ran.findings for name in [f["nodeid"].partition("::")[2]]] == [
        ("test_leaks", "unclosed-session"),
        ("test_keeps", "unclosed-session"),
        ("test_keeps", "unclosed-socket"),
    ]
    assert ran.outcomes == {"failed": 2, "passed": 3}
    assert "could not do" not in ran.output


# --- what one line makes, in several places ---------------------------------------------------------------

KEEPS_ALL = """
    import requests

    made = []


    def make():
        made.append(requests.Session())
        return made[-1]


    class Client:
        def __init__(self):
            self.session = make()
            self.me = self

        def __del__(self):
            self.session.close()
"""


def test_a_fixture_holds_what_a_module_holds_too(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(myapp=KEEPS_ALL)
    pytester.makepyfile("""
        import myapp
        import pytest


        class Lazy:
            session = None

            def get(self):
                self.session = self.session or myapp.make()


        @pytest.fixture(scope="module")
        def lazy():
            lazy = Lazy()
            yield lazy
            lazy.session.close()


        def test_shared():
            myapp.make()


        def test_of_the_fixture(lazy):
            lazy.get()


        def test_of_the_fixture_again(lazy):
            lazy.get()
    """)
    ran = run()
    assert ran.outcomes == {"passed": 3}
    assert [(f["nodeid"].rpartition("::")[2], f["status"]) for f in ran.findings] == [("test_shared", "shared")]


@pytest.mark.parametrize(("letting_go", "scope"), [("", "session"), ("wide.clear()", "module")])
def test_two_fixtures_hold_it(letting_go: str, scope: str, pytester: pytest.Pytester, run: RunTests) -> None:
    """The narrower is asked first; what it does not leave alone goes on to the wider."""
    fixtures = f"""
        import pytest


        @pytest.fixture(scope="session")
        def wide():
            return []


        @pytest.fixture(scope="module")
        def narrow(wide):
            yield []
            {letting_go}
        """
    holds = """
        import requests


        def test_holds(wide, narrow):
            session = requests.Session()
            narrow.append(session)
            wide.append(session)


        def test_next(narrow):
            pass
        """
    pytester.makeconftest(fixtures)
    pytester.makepyfile(test_one=holds, test_two="def test_other(wide): pass")
    assert [finding["scope"] for finding in run().findings] == [scope]


def test_what_closes_it_is_garbage(pytester: pytest.Pytester, run: RunTests) -> None:
    """It is alive itself, as was what the same line made before; the collector has to run for what would close it."""
    pytester.makepyfile(myapp=KEEPS_ALL)
    pytester.makepyfile("""
        import myapp

        KEPT = []


        def test_keeps():
            KEPT.append(myapp.Client())


        def test_drops():
            myapp.Client()


        def test_drops_another():
            myapp.Client()
    """)
    ran = run()
    assert ran.outcomes == {"passed": 3}
    assert [f["nodeid"].rpartition("::")[2] for f in ran.findings] == ["test_keeps"]


def test_what_closes_it_is_old_garbage(pytester: pytest.Pytester, run: RunTests) -> None:
    """A young generation does not have it any more; so what else refers to a session that is held as ever counts."""
    pytester.makepyfile(myapp=KEEPS_ALL)
    pytester.makepyfile("""
        import gc

        import myapp


        def drop_an_old_one():
            client = myapp.Client()
            for _ in range(3):
                gc.collect()
            assert not any(it is client for young in (0, 1) for it in gc.get_objects(generation=young))


        def test_keeps():
            myapp.make()


        def test_drops():
            drop_an_old_one()


        def test_drops_another():
            drop_an_old_one()
    """)
    ran = run()
    assert ran.outcomes == {"passed": 3}
    assert [f["nodeid"].rpartition("::")[2] for f in ran.findings] == ["test_keeps"]


@pytest.mark.parametrize("keep", ["myapp.make()", "KEPT.append(myapp.requests.Session())"], ids=["module", "test"])
def test_what_is_held_as_ever_costs_no_full_collection(keep: str, pytester: pytest.Pytester, run: RunTests) -> None:
    """Also where a fixture is alive, which might hold it, too: that is asked, and is another question."""
    pytester.makepyfile(myapp=KEEPS_ALL)
    pytester.makeconftest("""
        import gc

        FULL = []


        def note(phase, info):
            FULL.append(phase) if info["generation"] == 2 else None


        def pytest_sessionstart():
            gc.callbacks.append(note)


        def pytest_runtest_logreport(report):
            if report.when == "call":
                print("full:", FULL.count("start"))
                FULL.clear()


        def pytest_unconfigure():
            gc.callbacks.remove(note)
    """)
    pytester.makepyfile(f"""
        import gc

        import myapp
        import pytest

        KEPT = []
        gc.disable()


        @pytest.fixture(scope="session", autouse=True)
        def lives():
            yield [1, 2]


        @pytest.mark.parametrize("n", range(4))
        def test_keeps(n):
            {keep}
    """)
    ran = run("--connleak=warn", "-s")
    assert len(ran.findings) == 4
    assert [int(line.rpartition(" ")[2]) for line in ran.result.outlines if "full:" in line] == [1, 0, 0, 0]
