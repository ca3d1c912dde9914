"""``requests.get()`` makes a session for one call, which is not followed; what may be left of the call is."""

from __future__ import annotations

import socket
import sysconfig
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import requests
import urllib3
from requests.adapters import HTTPAdapter

from pytest_connleak.model import Finding, Opened
from pytest_connleak.monitor import Monitor
from pytest_connleak.origin import source_line
from pytest_connleak.recorder import Recorder
from servers import Server
from watching import kinds, verdict


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The kinds of all that is followed from now on."""
    noted: list[str] = []
    append = Recorder._append

    def note(self: Recorder, event: Any) -> None:
        if isinstance(event, Opened):
            noted.append(event.kind)
        append(self, event)

    monkeypatch.setattr(Recorder, "_append", note)
    return noted


def lines(findings: list[Finding]) -> list[str]:
    return [source_line(finding.origin.place) if finding.origin.place else "" for finding in findings]


# --- what is not followed ---------------------------------------------------------------------------------


def test_only_its_socket_is_followed(server: Server, monitor: Monitor, opened: list[str]) -> None:
    requests.get(server.url, timeout=5)
    requests.post(server.url, timeout=5)
    assert opened == ["socket", "socket"]
    assert verdict(monitor) == []
    server.wait_until(open=0)


def test_in_another_thread_it_is_followed(server: Server, monitor: Monitor, opened: list[str]) -> None:
    thread = threading.Thread(target=requests.get, args=(server.url,), kwargs={"timeout": 5})
    thread.start()
    thread.join()
    assert "session" in opened
    assert verdict(monitor) == []


def test_every_other_session_is(server: Server, monitor: Monitor, opened: list[str]) -> None:
    class Own(requests.Session):
        pass

    requests.Session().get(server.url, timeout=5)
    Own().get(server.url, timeout=5)
    assert opened.count("session") == 2
    assert kinds(verdict(monitor)) == ["unclosed-session"] * 2


# --- what is left -----------------------------------------------------------------------------------------

KEPT: list[Any] = []


@pytest.mark.parametrize("kept", [True, False])
def test_a_response_that_is_not_read(kept: bool, server: Server, monitor: Monitor) -> None:
    response: Any = requests.get(f"{server.url}/size/500000", stream=True, timeout=5)
    if not kept:
        del response
    (finding,) = verdict(monitor)
    assert finding.kind == "unclosed-response"
    assert [connection.remote for connection in finding.connections] == [server.url.removeprefix("http://")]
    assert lines([finding]) == ['response: Any = requests.get(f"{server.url}/size/500000", stream=True, timeout=5)']
    if kept:
        response.close()


def test_a_response_that_is_kept(server: Server, monitor: Monitor) -> None:
    """Since urllib3 1.26.16 its pool, and so the idle connection, lives as long as it; that is no leak."""
    KEPT.append(requests.get(server.url, timeout=5))
    assert verdict(monitor) == []
    KEPT.clear()
    assert verdict(monitor) == []
    server.wait_until(open=0)


def test_a_response_that_is_read(server: Server, monitor: Monitor) -> None:
    assert len(requests.get(f"{server.url}/size/500000", stream=True, timeout=5).content) == 500_000
    assert verdict(monitor) == []


def test_a_request_without_a_timeout(server: Server, monitor: Monitor) -> None:
    """It is said as it was sent first, and is one with those to which it was redirected."""
    requests.get(f"{server.url}/hops/2")
    (finding,) = verdict(monitor)
    assert (finding.kind, finding.count) == ("missing-timeout", 1)
    assert f"GET {server.url}/hops/2" in finding.message
    assert lines([finding]) == ['requests.get(f"{server.url}/hops/2")']


def test_a_request_that_fails(monitor: Monitor) -> None:
    with pytest.raises(requests.ConnectionError):
        requests.get("http://127.0.0.1:9")
    assert kinds(verdict(monitor)) == ["missing-timeout"]


# --- what the user's code makes meanwhile -----------------------------------------------------------------

MADE: dict[str, Callable[[Server], Any]] = {
    "unclosed-session": lambda server: requests.Session(),
    "unclosed-pool": lambda server: urllib3.PoolManager(),
    "unclosed-socket": lambda server: socket.create_connection(("127.0.0.1", server.port), 5),
}


@pytest.mark.parametrize("where", ["auth", "response hook"])
@pytest.mark.parametrize("kind", MADE)
def test_by_a_hook(kind: str, where: str, server: Server, monitor: Monitor) -> None:
    def hook(passed: Any, *_: object, **__: object) -> Any:
        KEPT.append(MADE[kind](server))
        return passed

    hooks: dict[str, Any] = {"auth": hook} if where == "auth" else {"hooks": {"response": hook}}
    requests.get(server.url, timeout=5, **hooks)
    assert kinds(verdict(monitor)) == [kind]
    for made in KEPT:
        (made.clear if kind == "unclosed-pool" else made.close)()
    KEPT.clear()


def test_a_request_of_a_hook(server: Server, monitor: Monitor) -> None:
    def auth(prepared: requests.PreparedRequest) -> requests.PreparedRequest:
        requests.get(f"{server.url}/size/1")
        return prepared

    requests.get(server.url, auth=auth, timeout=5)
    assert lines(verdict(monitor)) == ['requests.get(f"{server.url}/size/1")']


def test_a_request_of_a_librarys_hook(server: Server, monitor: Monitor) -> None:
    """No code of the user's is between the two calls."""
    source = "import requests\nclass Auth:\n    def __call__(self, prepared):\n" + (
        "        self.answer = requests.get(self.url, timeout=5)\n        return prepared"
    )
    library: dict[str, Any] = {"__name__": "library"}
    exec(compile(source, f"{sysconfig.get_path('purelib')}/library.py", "exec"), library)
    auth = library["Auth"]()
    auth.url = f"{server.url}/size/1"
    requests.get(server.url, auth=auth, timeout=5)
    with requests.Session() as session:
        session.get(server.url, auth=auth, timeout=5)
    assert auth.answer.ok
    assert verdict(monitor) == []


def test_what_the_adapter_makes(server: Server, monitor: Monitor, monkeypatch: pytest.MonkeyPatch) -> None:
    def init_poolmanager(self: HTTPAdapter, *_: object, **__: object) -> None:
        KEPT.append(urllib3.PoolManager())
        self.poolmanager = urllib3.PoolManager()

    monkeypatch.setattr(HTTPAdapter, "init_poolmanager", init_poolmanager)
    requests.get(server.url, timeout=5)
    assert set(lines(verdict(monitor))) == {"KEPT.append(urllib3.PoolManager())"}
    KEPT.clear()


def test_a_pool_that_is_used_on(server: Server, monitor: Monitor) -> None:
    """What the call made is open again, and somebody else's now."""
    response: Any = requests.get(server.url, timeout=5)
    adapter = response.connection
    adapter.send(requests.Request("GET", server.url).prepare(), timeout=5).content  # noqa: B018  # it reads
    assert kinds(verdict(monitor)) == ["unclosed-pool"]
    adapter.close()


# --- where the library's own closing does not happen ------------------------------------------------------


class Lies(requests.Session):
    def close(self) -> None:
        pass


def lies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests.sessions, "Session", Lies)


def patched(cls: type, name: str) -> Callable[[pytest.MonkeyPatch], None]:
    return lambda monkeypatch: monkeypatch.setattr(cls, name, lambda *_: None)


class Stays(HTTPAdapter):
    def close(self) -> None:
        pass


def stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests.sessions, "HTTPAdapter", Stays)


@pytest.mark.parametrize(
    "change",
    [
        lies,
        stays,
        patched(requests.Session, "close"),
        patched(requests.Session, "__exit__"),
        patched(HTTPAdapter, "close"),
        patched(urllib3.PoolManager, "clear"),
    ],
)
def test_it_is_followed_where_it_may_not_be_closed(
    change: Any, server: Server, monitor: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(monkeypatch)
    requests.get(server.url, timeout=5)
    assert kinds(verdict(monitor)) == ["unclosed-session"]


def test_it_cannot_be_made(monitor: Monitor, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise KeyError

    monkeypatch.setattr(HTTPAdapter, "__init__", fails)
    with pytest.raises(KeyError):
        requests.get("http://a.test/", timeout=5)
    monkeypatch.undo()
    urllib3.PoolManager()
    assert kinds(verdict(monitor)) == ["unclosed-pool"]


def test_a_verdict_in_the_middle_of_it(server: Server, monitor: Monitor) -> None:
    """A thread of a test is in the middle of a call when the test ends."""
    begun, go_on = threading.Event(), threading.Event()

    def auth(prepared: requests.PreparedRequest) -> requests.PreparedRequest:
        begun.set()
        assert go_on.wait(10)
        return prepared

    def send() -> None:
        requests.get(server.url, auth=auth, timeout=5)

    thread = threading.Thread(target=send)
    thread.start()
    assert begun.wait(10)
    assert lines(verdict(monitor)) == ["requests.get(server.url, auth=auth, timeout=5)"]
    go_on.set()
    thread.join()
    assert verdict(monitor) == []


# --- of what is made ---------------------------------------------------------------------------------------


def test_nothing_is_kept(server: Server, monitor: Monitor) -> None:
    response = requests.get(server.url, timeout=5)
    adapter = weakref.ref(response.connection)  # type: ignore[attr-defined]  # requests declares no attributes
    del response
    assert adapter() is None


def test_statistics_count_it(server: Server) -> None:
    watching = Monitor("/somewhere", statistics=True)
    watching.start()
    try:
        requests.get(server.url, timeout=5)
        requests.get(server.url, timeout=5)
        (row,) = watching.traffic
    finally:
        watching.stop()
    assert (row.library, row.sessions, row.requests) == ("requests", 2, 2)
