"""It never changes what the code under test does.

The same observations are made in a run with the plugin and in one without; they must be equal.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import RunTests

# A test module whose functions each observe something, and whose test notes what they saw.
OBSERVATIONS = '''
"""What a program can see of requests, urllib3 and socket."""

import copy
import gc
import inspect
import io
import json
import pickle
import socket
import sys
import threading
import traceback
import types
import warnings
import weakref
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from unittest import mock

import pytest
import requests
import urllib3

REFUSED = "http://127.0.0.1:9/"  # nobody listens at the discard port


def _targets():
    names = {
        requests.Session: ["__init__", "send", "close", "request", "get", "__enter__", "__exit__"],
        requests.adapters.HTTPAdapter: ["__init__", "send", "close"],
        urllib3.PoolManager: ["__init__", "urlopen", "clear", "connection_from_pool_key"],
        urllib3.HTTPConnectionPool: ["__init__", "urlopen", "close"],
        urllib3.HTTPResponse: ["__init__", "release_conn", "close", "read", "drain_conn"],
        socket.socket: ["__init__", "close", "_real_close", "accept", "dup"],  # the others are written in C
    }
    return {f"{cls.__name__}.{name}": getattr(cls, name) for cls, ns in names.items() for name in ns}


def _each(function):
    return {name: _result(function, target) for name, target in _targets().items()}


def _result(function, *args):
    try:
        return function(*args)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


class _Transport(requests.adapters.BaseAdapter):
    def send(self, request, **kwargs):
        response = requests.Response()
        response.status_code, response.url, response.raw = 200, request.url, io.BytesIO(b"body")
        return response

    def close(self):
        pass


def _session(cls=requests.Session):
    session = cls()
    session.mount("mock://", _Transport())
    return session


class _Server:
    """A server in a thread."""

    def __enter__(self):
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Length", "5")
                self.end_headers()
                self.wfile.write(b"hello")

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        return f"http://127.0.0.1:{self.server.server_port}/"

    def __exit__(self, *exception):
        self.server.shutdown()
        self.server.server_close()


def _chain(error):
    """The types and texts of an exception and of all behind it."""
    found = []
    while error is not None:
        text = str(error).partition("0x")[0]
        found.append([type(error).__name__, text, error.__suppress_context__])
        error = error.__cause__ or error.__context__
    return found


def _raised(function, *args, **kwargs):
    try:
        function(*args, **kwargs)
    except BaseException as error:
        return _chain(error)
    return None


# --- how it looks ---


def _without_addresses(text):
    return re.sub("0x[0-9a-f]+", "0x", text)


def signatures():
    return _each(lambda target: _without_addresses(str(inspect.signature(target))))


def argument_specifications():
    return _each(lambda target: _without_addresses(repr(inspect.getfullargspec(target))))


def names_and_documentation():
    return _each(lambda t: [t.__name__, t.__qualname__, t.__module__, t.__doc__])


def kinds_of_callables():
    return _each(lambda t: [inspect.isfunction(t), inspect.ismethod(t), inspect.isgeneratorfunction(t)])


def annotations():
    return _each(lambda t: repr(getattr(t, "__annotations__", None)))


def sources():
    return _each(lambda t: inspect.getsource(t))


def attributes_of_classes():
    return {
        cls.__name__: [[c.__name__ for c in cls.__mro__], dir(cls), list(vars(cls)) if cls is not socket.socket else 0]
        for cls in (requests.Session, urllib3.PoolManager, urllib3.HTTPConnectionPool, socket.socket)
    }


def bound_methods():
    with requests.Session() as session:
        return [session.send == session.send, session.send.__self__ is session, session.close.__name__]


# --- subclasses, copies, pickles ---


def subclasses():
    calls = []

    class Own(requests.Session):
        def __init__(self, name, *, flag=False):
            super().__init__()
            self.name, self.flag = name, flag

        def send(self, request, **kwargs):
            calls.append("send")
            return super().send(request, **kwargs)

        def close(self):
            calls.append("close")
            return super().close()

    class Unfinished(requests.Session):
        def __init__(self):
            pass

    with Own("a", flag=True) as own:
        own.mount("mock://", _Transport())
        status = own.get("mock://x/").status_code
    return [
        calls, status, own.name, own.flag, isinstance(own, requests.Session), issubclass(Own, requests.Session),
        isinstance(own, Own), type(own) is Own, _raised(Own), _raised(Unfinished().close),
    ]


def pickles():
    with requests.Session() as session:
        session.headers["X-Own"] = "1"
        again = pickle.loads(pickle.dumps(session))
        found = [type(again).__name__, again.headers["X-Own"], sorted(vars(again)), sorted(again.adapters)]
        again.close()
    found += [pickle.loads(pickle.dumps(t)) is t for t in (requests.Session, urllib3.PoolManager, socket.socket)]
    found += [pickle.loads(pickle.dumps(t)) is t for t in (requests.Session.send, requests.Session.close)]
    found += [pickle.dumps(requests.Session.send).hex(), pickle.dumps(requests.Session.close).hex()]
    with socket.socket() as sock:
        found.append(_raised(pickle.dumps, sock))
    return found


def copies():
    with requests.Session() as session:
        shallow, deep = copy.copy(session), copy.deepcopy(session)
        found = [
            type(shallow).__name__, type(deep).__name__, shallow.adapters is session.adapters, sorted(vars(shallow)),
            deep.adapters is session.adapters, copy.copy(requests.Session.send) is requests.Session.send,
        ]
        deep.close()
    with socket.socket() as sock:
        found.append(_raised(copy.copy, sock))
    return found


# --- mocks ---


def autospecs():
    found = []
    for cls in (requests.Session, urllib3.PoolManager, urllib3.HTTPConnectionPool, socket.socket):
        spec = mock.create_autospec(cls)
        found += [sorted(dir(spec)), isinstance(mock.create_autospec(cls, instance=True), cls)]
    session = mock.create_autospec(requests.Session, instance=True)
    session.get.return_value.status_code = 201
    found += [session.get("http://x/").status_code, _raised(session.send), _raised(session.send, 1, 2, 3)]
    pool = mock.create_autospec(urllib3.PoolManager, instance=True)
    return [*found, _raised(getattr, session, "nothing"), _raised(pool.clear, 1)]


def patches():
    found = []
    before = requests.Session.send
    with mock.patch.object(requests.Session, "send", autospec=True) as send, requests.Session() as session:
        send.return_value = requests.Response()
        session.get("http://x/")
        found += [send.call_count, send.call_args[0][0] is session, sorted(send.call_args[1])]
    found.append(requests.Session.send is before)
    with mock.patch("requests.Session.close") as close, requests.Session():
        pass
    found += [close.call_count, close.call_args == mock.call()]
    with mock.patch("requests.Session") as cls:
        found.append(requests.Session() is cls.return_value)
    with mock.patch.object(requests.Session, "send", wraps=None, side_effect=OSError("no")) as send:
        with requests.Session() as session:
            found.append(_raised(session.get, "http://x/"))
    with mock.patch("socket.socket.connect", side_effect=OSError("no")), requests.Session() as session:
        found.append(_raised(session.get, REFUSED, timeout=1))
    return found


def monkeypatches():
    found = []
    before = vars(requests.Session)["send"], socket.socket.connect
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(requests.Session, "send", lambda self, request, **kwargs: "own")
        patch.setattr("socket.socket.connect", lambda self, address: "own")
        with requests.Session() as session, socket.socket() as sock:
            found += [session.send(None), sock.connect(None)]
        found.append(vars(requests.Session)["send"] is before[0])
    found += [vars(requests.Session)["send"] is before[0], socket.socket.connect is before[1]]
    with pytest.MonkeyPatch.context() as patch:
        patch.delattr(requests.Session, "close")
        found.append(_raised(getattr, requests.Session, "close"))
    with requests.Session() as session:
        session.send = lambda request, **kwargs: "of the instance"
        found.append(session.send(None))
    return found


def wrapped_by_somebody_else():
    original, calls = requests.Session.send, []

    def send(self, request, **kwargs):
        calls.append(request.method)
        return original(self, request, **kwargs)

    with pytest.MonkeyPatch.context() as patch, _session() as session:
        patch.setattr(requests.Session, "send", send)
        return [session.get("mock://x/").status_code, calls, requests.Session.send is send]


# --- what comes back ---


def results():
    with _Server() as url, requests.Session() as session, urllib3.PoolManager() as pool:
        response = session.get(url, timeout=5)
        raw = pool.request("GET", url, preload_content=False, timeout=5)
        found = [response.text, response.status_code, type(response).__name__, raw.read(), raw.status, raw.closed]
        found = [value.decode() if isinstance(value, bytes) else value for value in found]
        found += [session.close(), pool.clear(), raw.close(), session.__enter__() is session, raw.release_conn()]
        single = pool.connection_from_url(url)
        found += [type(single).__name__, pool.connection_from_url(url) is single, single.close()]
        found.append(requests.Session.close(self=session))
        for form in ({}, {"method": "GET", "url": url}):
            found.append(session.request(*([] if form else ["GET", url]), **form, timeout=5).status_code)
    with socket.socket() as server, socket.socket() as near:
        server.bind(("127.0.0.1", 0))
        server.listen()
        found += [near.connect(server.getsockname()), near.connect_ex(server.getsockname()) > 0]
        far, address = server.accept()
        found += [address == near.getsockname(), type(far).__name__, near.sendall(b"x"), far.recv(1).decode()]
        file = far.makefile("rb")
        found += [far.close(), far.fileno() > 0, file.close(), far.fileno(), repr(far)[:21]]
        twin = near.dup()
        number = twin.fileno()
        found += [twin.detach() == number, twin.fileno()]
        socket.close(number)
    one, other = socket.socketpair()
    found += [one.close(), other.close(), one.fileno()]
    return found


def exceptions():
    with requests.Session() as session, urllib3.PoolManager() as pool, socket.socket() as sock:
        single = urllib3.HTTPConnectionPool("127.0.0.1", 9, retries=False)
        found = [
            _raised(requests.Session, 1),
            _raised(session.send),
            _raised(session.send, "no request"),
            _raised(session.send, requests.Request("GET", "http://x/")),
            _raised(session.get),
            _raised(session.get, "no scheme"),
            _raised(session.get, "nope://x/"),
            _raised(session.get, "http://"),
            _raised(session.get, REFUSED, timeout="soon"),
            _raised(session.get, REFUSED, timeout=(1, 2, 3)),
            _raised(session.get, REFUSED, timeout=1),
            _raised(session.close, 1),
            _raised(requests.Session.close),
            _raised(pool.request, "GET", REFUSED, retries=False),
            _raised(pool.request, "GET", REFUSED, retries=1),
            _raised(pool.request, "GET", "http://[broken"),
            _raised(pool.urlopen),
            _raised(urllib3.PoolManager, nothing=1),
            _raised(single.request, "GET", "/"),
            _raised(sock.connect, ("127.0.0.1", 9)),
            _raised(sock.connect),
            _raised(sock.connect, "nowhere"),
            _raised(socket.socket, "family"),
            _raised(socket.socket.__init__),
        ]
        single.close()
        found.append(_raised(single.request, "GET", "/"))
    sock.close()
    return [*found, _raised(sock.connect, ("127.0.0.1", 9))]


def places_of_warnings():
    """A library's warning with a stacklevel names the same file."""
    with warnings.catch_warnings(record=True) as caught, urllib3.PoolManager() as pool:
        warnings.simplefilter("always")
        _raised(pool.urlopen, "GET", "127.0.0.1:9/", retries=False)
        _raised(pool.request, "GET", "127.0.0.1:9/", retries=False)
    return [urllib3.__version__, *([w.category.__name__, w.filename, w.lineno] for w in caught)]


def tracebacks():
    """The frames of an exception, but for the plugin's own."""
    with requests.Session() as session:
        try:
            session.get(REFUSED, timeout=1)
        except requests.ConnectionError as error:
            found = []
            for part in (error, error.__context__, error.__context__.__context__):
                frames = traceback.extract_tb(part.__traceback__)
                found.append([f"{f.name}:{f.lineno}" for f in frames if "pytest_connleak" not in f.filename])
            return found


def exceptions_out_of_user_code():
    """A hook of the user raises what it likes, also what is no Exception."""
    found = []
    for error in (SystemExit(3), KeyboardInterrupt(), GeneratorExit(), StopIteration(1), ZeroDivisionError()):

        def hook(response, *args, error=error, **kwargs):
            raise error

        with _session() as session:
            try:
                session.get("mock://x/", hooks={"response": hook})
            except BaseException as caught:
                found.append([caught is error, type(caught).__name__])
    return found


# --- how long it lives ---


def _dies(make, use=lambda obj: None, end=lambda obj: None):
    obj = make()
    use(obj)
    reference = weakref.ref(obj)
    end(obj)
    del obj
    return reference() is None


def _fail(function, *args, **kwargs):
    try:
        function(*args, **kwargs)
    except Exception:
        pass


def lifetimes():
    gc.collect()
    gc.disable()
    try:
        with _Server() as url, requests.Session() as other, urllib3.PoolManager() as pool:
            return {
                "session": _dies(requests.Session),
                "closed session": _dies(requests.Session, end=lambda s: s.close()),
                "session that was used": _dies(_session, lambda s: s.get("mock://x/")),
                "session that was connected": _dies(requests.Session, lambda s: s.get(url, timeout=5)),
                "session without a timeout": _dies(requests.Session, lambda s: s.get(url)),
                "session that raised": _dies(requests.Session, lambda s: _fail(s.get, "nope://x/")),
                "session that was refused": _dies(requests.Session, lambda s: _fail(s.get, REFUSED, timeout=1)),
                "session with wrong arguments": _dies(requests.Session, lambda s: _fail(s.send)),
                "response": _dies(lambda: other.get(url, timeout=5)),
                "streamed response": _dies(lambda: other.get(url, stream=True, timeout=5)),
                "closed response": _dies(lambda: other.get(url, stream=True, timeout=5), end=lambda r: r.close()),
                "manager": _dies(urllib3.PoolManager),
                "manager that was used": _dies(urllib3.PoolManager, lambda p: p.request("GET", url, timeout=5)),
                "manager that raised": _dies(
                    urllib3.PoolManager, lambda p: _fail(p.request, "GET", REFUSED, retries=False)
                ),
                "pool": _dies(lambda: urllib3.HTTPConnectionPool("127.0.0.1", 9)),
                "pool that raised": _dies(
                    lambda: urllib3.HTTPConnectionPool("127.0.0.1", 9, retries=False),
                    lambda p: _fail(p.request, "GET", "/"),
                ),
                "response of urllib3": _dies(lambda: pool.request("GET", url, preload_content=False, timeout=5)),
                "socket": _dies(socket.socket),
                "closed socket": _dies(socket.socket, end=lambda s: s.close()),
                "socket that raised": _dies(socket.socket, lambda s: _fail(s.connect, ("127.0.0.1", 9))),
            }
    finally:
        gc.enable()


def lifetime_of_an_exception():
    class Marked(Exception):
        pass

    def hook(response, *args, **kwargs):
        raise Marked

    gc.disable()
    try:
        with _session() as session:
            try:
                session.get("mock://x/", hooks={"response": hook})
            except Marked as error:
                reference = weakref.ref(error)
            return [reference() is None, sys.exc_info()[0] is None]
    finally:
        gc.enable()


def references():
    session, sock = requests.Session(), socket.socket()
    try:
        return [sys.getrefcount(session), sys.getrefcount(sock), len(gc.get_referrers(sock))]
    finally:
        session.close()
        sock.close()


# --- threads ---


def threads():
    results = []

    def work():
        for _ in range(20):
            with _session() as session:
                results.append(session.get("mock://x/").status_code)
            results.append(_raised(session.get, "nope://x/")[0][0])

    workers = [threading.Thread(target=work) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sorted(map(str, results))


def test_observe():
    functions = [f for n, f in globals().items() if isinstance(f, types.FunctionType) and f.__module__ == __name__]
    seen = {f.__name__: _result(f) for f in functions if not f.__name__.startswith(("_", "test"))}
    seen["_is_watched"] = hasattr(requests.Session.send, "__wrapped__")
    with open("seen.json", "w") as file:
        json.dump(seen, file)
'''

OBSERVED = re.findall(r"^def ([a-z]\w*)\(\):", OBSERVATIONS.partition("def test_observe")[0], re.MULTILINE)


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What was observed ``with`` the plugin and ``without`` it."""
    found = {}
    directory: Path = tmp_path_factory.mktemp("observed")
    (directory / "test_it.py").write_text(OBSERVATIONS)
    for name, plugin in (("with", "connleak"), ("without", "no:connleak")):
        (directory / "seen.json").unlink(missing_ok=True)
        run = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", plugin, "--tb=short", "--show-capture=no"],
            cwd=directory,
            env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
            capture_output=True,
            text=True,
            timeout=60,
        )
        file = directory / "seen.json"
        assert file.exists(), run.stdout + run.stderr
        found[name] = json.loads(file.read_text())
    return found


def test_the_observations_were_made_with_and_without(seen: dict[str, dict[str, Any]]) -> None:
    assert (seen["with"].pop("_is_watched"), seen["without"].pop("_is_watched")) == (True, False)
    assert list(seen["with"]) == list(seen["without"]) == OBSERVED
    assert not [name for name, value in seen["without"].items() if not isinstance(value, (list, dict)) or not value]
    assert seen["without"]["lifetimes"]["session"] is True
    assert "Max retries exceeded" in str(seen["without"]["exceptions"])


@pytest.mark.parametrize("observation", OBSERVED)
def test_a_program_sees_the_same(observation: str, seen: dict[str, dict[str, Any]]) -> None:
    assert seen["with"][observation] == seen["without"][observation]


# --- tracebacks as pytest shows them ----------------------------------------------------------------------


def test_tracebacks_look_the_same(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile("""
        import requests
        import socket
        import unittest
        import urllib3

        def test_refused():
            with requests.Session() as session:
                session.get("http://127.0.0.1:9/", timeout=1)

        def test_wrong_arguments():
            with requests.Session() as session:
                session.get()

        def test_pool():
            with urllib3.PoolManager() as pool:
                pool.request("GET", "http://127.0.0.1:9/", retries=False, timeout=1)

        def test_socket():
            with socket.socket() as sock:
                sock.connect(("127.0.0.1", 9))

        class TestUnittest(unittest.TestCase):
            def test_the_variables_of_the_frames_are_cleared(self):
                with requests.Session() as session, self.assertRaises(KeyError):
                    session.get("gopher://127.0.0.1:9/", timeout=1)
    """)

    def shown(*arguments: str) -> list[str]:
        lines = run(*arguments, report=False).result.outlines
        start = next(n for n, line in enumerate(lines) if "= FAILURES =" in line)
        return [re.sub("0x[0-9a-f]+", "0x", line) for line in lines[start:-1]]

    with_connleak = shown()
    assert with_connleak == shown("--connleak=off")
    assert len(with_connleak) > 40
    assert not [line for line in with_connleak if "connleak" in line]


# --- when the plugin itself fails -------------------------------------------------------------------------

SUITE = """
    import requests
    import urllib3

    def test_leaks_pool():
        urllib3.PoolManager()

    def test_leaks_both():
        requests.Session()
        urllib3.PoolManager()

    def test_closes():
        with requests.Session(), urllib3.PoolManager():
            pass

    def test_leaks_and_keeps():
        global KEPT
        KEPT = urllib3.PoolManager()

    def test_plain():
        pass
"""

# A conftest in which a part of the plugin raises from the first test on.
BREAK = """
    import pytest

    def broken(*args, **kwargs):
        raise LookupError("it is broken")

    def pytest_collection_finish():
        pytest.MonkeyPatch().setattr("{target}", broken)
"""

POOLS = [
    ("test_leaks_pool", "unclosed-pool"),
    ("test_leaks_both", "unclosed-pool"),
    ("test_leaks_and_keeps", "unclosed-pool"),
]
ALL = [*POOLS, ("test_leaks_both", "unclosed-session")]


@pytest.mark.parametrize(
    ("target", "kept"),
    [
        pytest.param("pytest_connleak.instrumentation.requests._managers", POOLS, id="an observer"),
        pytest.param("pytest_connleak.rules.unclosed_session.counts", POOLS, id="a rule"),
        pytest.param("pytest_connleak.holders.Search.holder", ALL, id="the search for holders"),
        pytest.param("pytest_connleak.descriptors.Descriptors.sockets", ALL, id="the list of sockets"),
        pytest.param("pytest_connleak.origin.source_line", [], id="the report of a finding"),
        pytest.param("pytest_connleak.triage.habit", [], id="triage"),
        pytest.param("pytest_connleak.options.read_markers", [], id="markers"),
    ],
)
def test_a_part_that_fails_is_named_and_hurts_nobody(
    target: str, kept: list[tuple[str, str]], pytester: pytest.Pytester, run: RunTests
) -> None:
    pytester.makepyfile(test_it=SUITE)
    pytester.makeconftest(BREAK.format(target=target))
    ran = run("-rA")
    assert "INTERNALERROR" not in ran.output
    for test in ("test_closes", "test_plain"):
        ran.result.stdout.fnmatch_lines([f"PASSED test_it.py::{test}"])
    assert ran.outcomes.get("errors", 0) == 0, "outcomes are as they would be, but for what it can no longer see"
    said = [line for line in ran.section if "it is broken" in line]
    assert said, "the run says so"
    assert len(said) == len(set(said)), "and says it once"
    found = [(finding["function"], finding["kind"]) for finding in ran.findings]
    assert set(kept) <= set(found)
    assert [finding["nodeid"] for finding in ran.findings] == [f"test_it.py::{test}" for test, _ in found]


def test_a_close_that_was_not_seen_accuses_nobody(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(SUITE)
    pytester.makeconftest("""
        import pytest

        def broken(*args, **kwargs):
            raise LookupError("it is broken")

        def pytest_collection_finish():
            pytest.MonkeyPatch().setattr("pytest_connleak.recorder.Recorder.closed", broken)
    """)
    ran = run("-rA")
    ran.result.stdout.fnmatch_lines(["PASSED *::test_closes", "PASSED *::test_plain"])
    assert "it is broken" in "\n".join(ran.section)


def test_the_end_of_a_request_that_was_not_seen_hides_no_other(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile("""
        import requests
        import urllib3

        def no_answer(function, *args, **kwargs):
            try:
                function(*args, **kwargs)
            except (OSError, urllib3.exceptions.HTTPError):
                pass

        def test_session():
            with requests.Session() as session:
                no_answer(session.get, "http://127.0.0.1:9/", timeout=1)

        def test_pool_without_timeout():
            with urllib3.PoolManager() as pool:
                no_answer(pool.request, "GET", "http://127.0.0.1:9/", retries=False)
    """)
    pytester.makeconftest("""
        import pytest

        def broken(session):
            if session.verify == "broken":
                raise LookupError("it is broken")
            session.verify = "broken"
            return ()

        @pytest.fixture(autouse=True)
        def break_it(monkeypatch):
            monkeypatch.setattr("pytest_connleak.instrumentation.requests._managers", broken)
    """)
    ran = run()
    assert "it is broken" in "\n".join(ran.section)
    assert ran.statuses.get("test_pool_without_timeout") == "leak"


@pytest.mark.parametrize("target", ["pytest_connleak.formats.json.render", "pytest_connleak.formats.terminal.summary"])
def test_an_output_that_fails_is_named_and_the_run_goes_on(
    target: str, pytester: pytest.Pytester, run: RunTests
) -> None:
    pytester.makepyfile(test_it=SUITE)
    pytester.makeconftest(BREAK.format(target=target))
    ran = run()
    assert ran.status == pytest.ExitCode.TESTS_FAILED
    assert ran.outcomes == {"failed": 3, "passed": 2}
    assert "it is broken" in ran.output
    assert "Traceback" not in ran.output
    if "json" in target:
        assert ran.section[-1] == "connleak: 3 unclosed-pool, 1 unclosed-session"
    else:
        assert len(ran.findings) == 4


def test_a_recursion_without_end_switches_nothing_off(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile("""
        import pytest
        import requests
        import urllib3

        def recurse():
            with requests.Session(), urllib3.PoolManager():
                recurse()

        def test_recursion():
            with pytest.raises(RecursionError):
                recurse()

        def test_leaks():
            urllib3.PoolManager()
            requests.Session()
    """)
    ran = run()
    # Whether close() itself ran out of stack, so that the innermost session stays open, depends on the Python.
    findings = [(f["function"], f["kind"]) for f in ran.findings if f["function"] != "recurse"]
    assert findings == [("test_leaks", "unclosed-pool"), ("test_leaks", "unclosed-session")]
    assert "RecursionError" not in ran.output
    assert "switched off" not in ran.output


def test_a_call_that_sent_nothing_is_no_request(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile("""
        import pytest
        import requests
        import urllib3

        @pytest.mark.parametrize("arguments", [(), ("no request",), (None,), (requests.Request("GET", "http://x/"),)])
        def test_session(arguments):
            with requests.Session() as session, pytest.raises((TypeError, AttributeError, ValueError)):
                session.send(*arguments)

        @pytest.mark.parametrize("arguments", [(), ("GET",)])
        def test_pool(arguments):
            with urllib3.PoolManager() as pool, pytest.raises((TypeError, AttributeError, ValueError)):
                pool.urlopen(*arguments)

        def test_without_timeout():
            with requests.Session() as session, pytest.raises(OSError):
                session.get("http://127.0.0.1:9/")
    """)
    ran = run()
    assert [finding["function"] for finding in ran.findings] == ["test_without_timeout"]
    assert ran.outcomes == {"failed": 1, "passed": 6}


# --- threads ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("end", "expected"), [("pass", 80), ("session.close()", 0)])
def test_threads(end: str, expected: int, pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(f"""
        import threading
        import requests

        def work():
            for _ in range(10):
                session = requests.Session()
                {end}

        def test_threads():
            threads = [threading.Thread(target=work) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        def test_after():
            pass
    """)
    findings = run(here=True).findings
    assert len(findings) == expected
    assert {finding["nodeid"].rpartition("::")[2] for finding in findings} <= {"test_threads"}


def test_in_debug_mode_a_task_notes_the_same_as_ever(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(
        """
        import asyncio


        async def work():
            await asyncio.sleep(0)


        def test_it():
            async def main():
                made = asyncio.create_task(work()), asyncio.ensure_future(asyncio.sleep(0))
                assert all(task._source_traceback[-1].filename == asyncio.tasks.__file__ for task in made)
                await asyncio.gather(*made)

            asyncio.run(main(), debug=True)
        """
    )
    expected = {"passed": 1}
    assert run(plugins=(), report=False).outcomes == expected
    assert run().outcomes == expected


def test_in_debug_mode_aiohttp_notes_the_same_as_ever(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(
        """
        import asyncio

        import aiohttp


        def test_it():
            async def main():
                async with aiohttp.ClientSession() as session:
                    assert session._source_traceback[-1].filename == __file__
                    assert session.connector._source_traceback[-1].filename == aiohttp.connector.__file__

            asyncio.run(main(), debug=True)
        """
    )
    expected = {"passed": 1}
    assert run(plugins=(), report=False).outcomes == expected
    assert run().outcomes == expected


def test_what_a_test_forbids_or_replaces_is_not_asked_for(pytester: pytest.Pytester, run: RunTests) -> None:
    """blockbuster forbids these in an event loop, and pyfakefs replaces them."""
    pytester.makepyfile(
        """
        import os
        import socket

        import pytest
        import requests


        @pytest.fixture(scope="module", autouse=True)
        def forbidden():
            def refuse(*args, **kwargs):
                raise OSError("not here")

            with pytest.MonkeyPatch.context() as patch:
                for name in ("getcwd", "listdir", "stat"):
                    patch.setattr(os, name, refuse)
                patch.setattr(os.path, "abspath", refuse)
                yield


        def test_leaks():
            requests.Session()
            socket.socket()
        """
    )
    outcome = run("-Wignore")
    assert [(f["kind"], f["line"]) for f in outcome.findings] == [("unclosed-session", 21), ("unclosed-socket", 22)]
    assert "could not do all of its work" not in outcome.output
