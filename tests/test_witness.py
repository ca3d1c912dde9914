"""Every verdict beside a second witness: the server's own count of its open connections."""

from __future__ import annotations

import copy
import gc
import os
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import requests
import urllib3
from requests.adapters import HTTPAdapter

from pytest_connleak.model import Owner
from pytest_connleak.monitor import Monitor
from pytest_connleak.untouched import System
from servers import Server
from watching import kinds, verdict


@dataclass
class Wire:
    """How to get to a server: directly, over TLS, through a proxy."""

    server: Server
    """The witness: who is at the other end of the connection."""
    url: str
    options: dict[str, Any] = field(default_factory=dict)
    """Of a request with requests."""
    pool: Callable[[], urllib3.PoolManager] = urllib3.PoolManager


@pytest.fixture(params=["http", "tls", "proxy", "tunnel"])
def wire(request: pytest.FixtureRequest) -> Wire:
    kind: str = request.param
    server: Server = request.getfixturevalue("server" if kind in ("http", "proxy") else "tls_server")
    options: dict[str, Any] = {"timeout": 5}
    if server.ca is not None:
        options["verify"] = server.ca
    if kind in ("http", "tls"):
        return Wire(server, server.url, options, lambda: urllib3.PoolManager(ca_certs=server.ca))
    proxy: Server = request.getfixturevalue("proxy")
    options["proxies"] = {"http": proxy.url, "https": proxy.url}
    witness = proxy if kind == "proxy" else server
    return Wire(witness, server.url, options, lambda: urllib3.ProxyManager(proxy.url, ca_certs=server.ca))


def test_session_left_open(monitor: Monitor, wire: Wire) -> None:
    before = wire.server.counts()
    session = requests.Session()
    session.get(wire.url, **wire.options)
    wire.server.wait_until(since=before, opened=1, open=1)
    (finding,) = verdict(monitor)
    assert finding.kind == "unclosed-session"
    (connection,) = finding.connections
    assert (connection.status, connection.fd is not None) == ("ESTABLISHED", True)
    session.close()
    wire.server.wait_until(since=before, open=0)


def test_session_dropped(monitor: Monitor, wire: Wire) -> None:
    before = wire.server.counts()
    requests.Session().get(wire.url, **wire.options)
    wire.server.wait_until(since=before, opened=1, open=0)  # urllib3 closed it, silently
    (finding,) = verdict(monitor)
    assert finding.kind == "unclosed-session"
    assert [(c.status, c.fd) for c in finding.connections] == [("CLOSED", None)]


def test_session_closed(monitor: Monitor, wire: Wire) -> None:
    before = wire.server.counts()
    with requests.Session() as session:
        session.get(wire.url, **wire.options)
        session.get(wire.url, **wire.options)
    wire.server.wait_until(since=before, opened=1, open=0)
    assert verdict(monitor) == []


def test_session_used_again(monitor: Monitor, wire: Wire) -> None:
    before = wire.server.counts()
    with requests.Session() as session:
        session.get(wire.url, **wire.options)
    session.get(wire.url, **wire.options)
    wire.server.wait_until(since=before, opened=2, open=1)
    assert kinds(verdict(monitor)) == ["unclosed-session"]
    session.close()


def test_response_pins_the_connection_of_a_closed_session(monitor: Monitor, wire: Wire) -> None:
    before = wire.server.counts()
    with requests.Session() as session:
        response = session.get(wire.url, **wire.options)
    wire.server.wait_until(since=before, opened=1)
    assert verdict(monitor) == []
    del response, session


def test_stream_left_unread(monitor: Monitor, wire: Wire) -> None:
    before = wire.server.counts()
    with requests.Session() as session:
        response = session.get(f"{wire.url}/size/1000000", stream=True, **wire.options)
    wire.server.wait_until(since=before, opened=1, open=1)
    (finding,) = verdict(monitor)
    assert finding.kind == "unclosed-response"
    assert [c.status for c in finding.connections] == ["ESTABLISHED"]
    response.close()
    wire.server.wait_until(since=before, open=0)


@pytest.mark.parametrize("path", ["/size/100000", "/parts/5", "/until-eof/1000", "/zipped/1000", "/code/204"])
@pytest.mark.parametrize("end", ["read", "closed", "iterated"])
def test_stream_ended(monitor: Monitor, server: Server, path: str, end: str) -> None:
    before = server.counts()
    with requests.Session() as session:
        response = session.get(server.url + path, stream=True, timeout=5)
        if end == "read":
            assert response.content is not None
        elif end == "closed":
            response.close()
        else:
            list(response.iter_content(100))
    del response, session
    server.wait_until(since=before, opened=1, open=0)
    assert verdict(monitor) == []


@pytest.mark.parametrize("path", ["/size/100000", "/parts/5", "/until-eof/1000", "/zipped/1000", "/code/204"])
def test_stream_dropped(monitor: Monitor, server: Server, path: str) -> None:
    with requests.Session() as session:
        session.get(server.url + path, stream=True, timeout=5)
    assert kinds(verdict(monitor)) == ["unclosed-response"]


def test_pool_left_open(monitor: Monitor, wire: Wire) -> None:
    before = wire.server.counts()
    pool = wire.pool()
    pool.request("GET", wire.url, timeout=5)
    wire.server.wait_until(since=before, opened=1, open=1)
    assert kinds(verdict(monitor)) == ["unclosed-pool"]
    pool.clear()
    wire.server.wait_until(since=before, open=0)


def test_pool_closed(monitor: Monitor, wire: Wire) -> None:
    before = wire.server.counts()
    with wire.pool() as pool:
        pool.request("GET", wire.url, timeout=5)
    wire.server.wait_until(since=before, opened=1, open=0)
    assert verdict(monitor) == []


# Before urllib3 2 nobody looks whether the answer is complete.
CUT = pytest.param("/cut/1000", marks=pytest.mark.skipif(urllib3.__version__ < "2", reason="urllib3 2 and newer"))


@pytest.mark.parametrize("path", ["/hang-up", "/reset", CUT])
def test_broken_answers_are_no_leak(monitor: Monitor, server: Server, path: str) -> None:
    before = server.counts()
    with requests.Session() as session, pytest.raises(requests.RequestException) as caught:
        session.get(server.url + path, timeout=5)
    assert verdict(monitor) == []
    del caught, session
    server.wait_until(since=before, opened=1, open=0)


def test_time_out_is_no_leak(monitor: Monitor, server: Server) -> None:
    with requests.Session() as session, pytest.raises(requests.ReadTimeout):
        session.get(f"{server.url}/wait/2", timeout=0.05)
    assert verdict(monitor) == []


@pytest.mark.parametrize("path", ["/hops/3", "/code/500", "/wait/0"])
def test_one_call_is_one_request(monitor: Monitor, server: Server, path: str) -> None:
    with requests.Session() as session:
        session.get(server.url + path)
    (finding,) = verdict(monitor)
    assert (finding.kind, finding.count) == ("missing-timeout", 1)


# --- nginx ----------------------------------------------------------------------------------------------


def test_the_server_closed_but_the_program_forgot(monitor: Monitor, nginx: Callable[[float], Server]) -> None:
    server = nginx(0.2)
    before = server.counts()
    session = requests.Session()
    session.get(server.url, timeout=5)
    server.wait_until(since=before, opened=1, open=0)  # idle for longer than keepalive_timeout
    assert kinds(verdict(monitor)) == ["unclosed-session"]
    session.close()


def test_a_connection_that_the_server_dropped_is_replaced(monitor: Monitor, nginx: Callable[[float], Server]) -> None:
    server = nginx(0.2)
    before = server.counts()
    with requests.Session() as session:
        session.get(server.url, timeout=5)
        server.wait_until(since=before, opened=1, open=0)
        session.get(server.url, timeout=5)
        server.wait_until(since=before, opened=2)
    assert verdict(monitor) == []


@pytest.mark.parametrize("closed", [True, False])
def test_connection_close(monitor: Monitor, nginx: Callable[[float], Server], closed: bool) -> None:
    server = nginx(0)
    before = server.counts()
    session = requests.Session()
    session.get(server.url, timeout=5)
    server.wait_until(since=before, opened=1, open=0)
    if closed:
        session.close()
    assert kinds(verdict(monitor)) == ([] if closed else ["unclosed-session"])
    session.close()


def test_large_answer_left_unread(monitor: Monitor, nginx: Callable[[float], Server]) -> None:
    server = nginx(0)
    with urllib3.PoolManager() as pool:
        response = pool.request("GET", f"{server.url}/large", preload_content=False, timeout=5)
        response.read(10)
    assert kinds(verdict(monitor)) == ["unclosed-response"]
    response.close()


# --- HTTP/2, and what speaks only HTTP/1.1 -------------------------------------------------------------------


def test_one_unread_stream_of_several_on_one_connection(monitor: Monitor, h2_server: Server) -> None:
    before = h2_server.counts()
    with httpx.Client(http2=True, verify=trusting(h2_server)) as client:
        streams = [client.send(client.build_request("GET", f"{h2_server.url}/drip/3"), stream=True) for _ in range(3)]
        assert {stream.http_version for stream in streams} == {"HTTP/2"}
        streams[0].read()
        streams[2].close()
        h2_server.wait_until(since=before, opened=1, open=1)
    (finding,) = verdict(monitor)
    assert (finding.kind, finding.object, len(finding.connections)) == ("unclosed-response", "httpx.Response", 1)
    streams[1].close()
    h2_server.wait_until(since=before, open=0)


def test_all_streams_read(monitor: Monitor, h2_server: Server) -> None:
    before = h2_server.counts()
    with httpx.Client(http2=True, verify=trusting(h2_server)) as client:
        for stream in [client.send(client.build_request("GET", h2_server.url), stream=True) for _ in range(5)]:
            stream.read()
    h2_server.wait_until(since=before, opened=1, open=0)
    assert verdict(monitor) == []


@pytest.mark.parametrize("closed", [True, False])
def test_fall_back_to_the_older_protocol(monitor: Monitor, tls_server: Server, closed: bool) -> None:
    before = tls_server.counts()
    client = httpx.Client(http2=True, verify=trusting(tls_server))
    assert client.get(tls_server.url).http_version == "HTTP/1.1"
    tls_server.wait_until(since=before, opened=1, open=1)
    if closed:
        client.close()
        assert verdict(monitor) == []
    else:
        (finding,) = verdict(monitor)
        assert finding.kind == "unclosed-session"
        assert [int(c.local.rpartition(":")[2]) for c in finding.connections] == [tls_server.peers(before)[0].port]
        client.close()
    tls_server.wait_until(since=before, open=0)


def trusting(server: Server) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=server.ca)


# --- Unix sockets -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["closed", "left", "stream left"])
def test_over_a_unix_socket(monitor: Monitor, unix_server: Server, end: str) -> None:
    before = unix_server.counts()
    client = httpx.Client(transport=httpx.HTTPTransport(uds=unix_server.path))
    request = client.build_request("GET", "http://docker/size/3000000")
    response = client.send(request, stream=end == "stream left")
    unix_server.wait_until(since=before, opened=1, open=1)
    if end != "left":
        client.close()
    findings = verdict(monitor)
    assert kinds(findings) == {"closed": [], "left": ["unclosed-session"], "stream left": ["unclosed-response"]}[end]
    assert [c.remote for f in findings for c in f.connections] == [unix_server.path] * len(findings)
    response.close()
    client.close()
    unix_server.wait_until(since=before, open=0)


# --- time -----------------------------------------------------------------------------------------------


def test_a_thread_that_closes_while_it_is_asked_who_holds(monitor: Monitor, monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread is gone when the grace would begin; what it did counts all the same."""
    session, asked = requests.Session(), threading.Event()

    def close_when_asked() -> None:
        asked.wait(5)
        session.close()

    thread = threading.Thread(target=close_when_asked)
    thread.start()
    search = monitor._holders

    def search_slowly(*arguments: Any) -> dict[int, str]:
        held = search(*arguments)
        asked.set()
        thread.join()
        return held

    monkeypatch.setattr(monitor, "_holders", search_slowly)
    assert verdict(monitor) == []


def test_a_thread_that_closes_nothing_does_not_help(monitor: Monitor) -> None:
    session, over = requests.Session(), threading.Event()
    thread = threading.Thread(target=over.wait, args=(5,))
    thread.start()
    try:
        assert kinds(verdict(monitor)) == ["unclosed-session"]
    finally:
        over.set()
        thread.join()
        session.close()


def test_what_the_collector_frees_for_the_verdict_bothers_nobody(
    monitor: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    noticed: list[object] = []
    monkeypatch.setattr("sys.unraisablehook", noticed.append)

    class Careless:
        def __init__(self) -> None:
            self.me = self
            self.session = requests.Session()
            self.socket = socket.socket()

        def __del__(self) -> None:
            raise LookupError

    gc.disable()  # so that it is the verdict's collection that frees it, and no other
    try:
        Careless()
        assert sorted(kinds(verdict(monitor))) == ["unclosed-session", "unclosed-socket"]
    finally:
        gc.enable()
    assert noticed == []


# --- where the collector strikes ----------------------------------------------------------------------------


class ClosesItself:
    """Its finalizer closes; in a cycle, so that the collector decides when."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.me = self

    def __del__(self) -> None:
        (self.client.clear if isinstance(self.client, urllib3.PoolManager) else self.client.close)()


def collects(request: Any) -> Any:
    """What a busy process does at any time, and here while a request is prepared."""
    gc.collect()
    return request


class Late(requests.adapters.HTTPAdapter):
    """Collects when the request is on its way, before there is a pool."""

    def request_url(self, request: requests.PreparedRequest, proxies: Any) -> str:
        gc.collect()
        return super().request_url(request, proxies)

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        gc.collect()
        return super().get_connection_with_tls_context(*args, **kwargs)


def late_session() -> requests.Session:
    session = requests.Session()
    session.mount("http://", Late())
    return session


def test_closed_by_a_finalizer_while_a_request_is_prepared(monitor: Monitor, server: Server) -> None:
    ClosesItself(requests.Session()).client.get(server.url, auth=collects, timeout=5)
    assert verdict(monitor) == []


def test_closed_by_a_finalizer_while_a_request_is_sent(monitor: Monitor, server: Server) -> None:
    ClosesItself(late_session()).client.get(server.url, timeout=5)
    assert verdict(monitor) == []


def test_closed_by_a_finalizer_between_redirects(monitor: Monitor, server: Server) -> None:
    hooks = {"response": lambda response, **_: collects(None)}
    ClosesItself(requests.Session()).client.get(f"{server.url}/hops/2", hooks=hooks, timeout=5)
    assert verdict(monitor) == []


class CollectsAsText:
    def __str__(self) -> str:
        gc.collect()
        return "a"


class LatePool(urllib3.PoolManager):
    def connection_from_host(self, *args: Any, **kwargs: Any) -> Any:
        gc.collect()
        return super().connection_from_host(*args, **kwargs)


def test_pool_cleared_by_a_finalizer_while_a_request_is_prepared(monitor: Monitor, server: Server) -> None:
    ClosesItself(urllib3.PoolManager()).client.request("GET", server.url, fields={"a": CollectsAsText()}, timeout=5)
    assert verdict(monitor) == []


def test_pool_cleared_by_a_finalizer_while_a_request_is_sent(monitor: Monitor, server: Server) -> None:
    ClosesItself(LatePool()).client.request("GET", server.url, timeout=5)
    assert verdict(monitor) == []


def test_sent_after_a_close_within_a_hook(monitor: Monitor, server: Server) -> None:
    """The hook's own call begins after the close, though the outer one began before."""
    session = requests.Session()

    def hook(response: requests.Response, **_: Any) -> None:
        session.close()
        session.get(server.url, timeout=5)

    session.get(server.url, hooks={"response": hook}, timeout=5)
    assert kinds(verdict(monitor)) == ["unclosed-session"]


def test_pool_used_after_a_clear_within_a_hook(monitor: Monitor, server: Server) -> None:
    pool = urllib3.PoolManager()

    def hook(response: requests.Response, **_: Any) -> None:
        pool.clear()
        pool.urlopen("GET", server.url, timeout=5)

    with requests.Session() as session:
        session.get(server.url, hooks={"response": hook}, timeout=5)
    assert kinds(verdict(monitor)) == ["unclosed-pool"]


def test_another_thread_is_collecting(monitor: Monitor) -> None:
    """It is in the midst of a finalizer, which will close what is unreachable already."""
    entered, released = threading.Event(), threading.Event()

    class Slow(ClosesItself):
        def __del__(self) -> None:
            entered.set()
            released.wait(5)
            super().__del__()

    gc.disable()  # so that it is that thread's collection which takes it
    try:
        Slow(requests.Session())
        thread = threading.Thread(target=gc.collect)
        thread.start()
        assert entered.wait(5)
        timer = threading.Timer(0.1, released.set)
        timer.start()
        assert verdict(monitor) == []
        thread.join()
        timer.join()
    finally:
        gc.enable()


# --- lives that cross each other ----------------------------------------------------------------------------


def test_one_of_two_sessions_that_share_an_adapter(monitor: Monitor, server: Server) -> None:
    dropped, closed = requests.Session(), requests.Session()
    closed.mount("http://", dropped.get_adapter("http://"))
    for session in (dropped, closed):
        session.get(server.url, timeout=5)
    del dropped, session
    closed.close()
    assert kinds(verdict(monitor)) == ["unclosed-session"]


class AdapterByAdapter(requests.Session):
    def close(self) -> None:
        for adapter in self.adapters.values():
            adapter.close()


class Guard:
    """In a cycle, so that the collector finds it together with what it closes."""

    def __init__(self, guarded: requests.Session):
        self.guarded, self.me = guarded, self

    def __del__(self) -> None:
        self.guarded.close()


@pytest.mark.parametrize("sends", [True, False])
@pytest.mark.parametrize("cls", [requests.Session, AdapterByAdapter])
def test_closed_in_a_finalizer(monitor: Monitor, server: Server, cls: type[requests.Session], sends: bool) -> None:
    guard = Guard(cls())
    if sends:
        guard.guarded.get(server.url, timeout=5)
    del guard
    gc.collect()
    assert verdict(monitor) == []


def test_closed_at_the_address_of_one_that_was_dropped(monitor: Monitor) -> None:
    """A copy is not known before it sends, and may be where the other was."""
    dropped, other = [requests.Session() for _ in range(100)], requests.Session()
    addresses = {*map(id, dropped)}
    dropped.clear()
    copies = []
    while id(other) not in addresses and len(copies) < 10_000:
        copies.append(other)
        other = copy.copy(other)
    assert id(other) in addresses, "none was given again"
    for each in (*copies, other):
        each.close()
    assert kinds(verdict(monitor)) == ["unclosed-session"] * 100


def test_closed_in_a_finalizer_by_what_closes_nothing(monitor: Monitor, server: Server) -> None:
    class Stays(HTTPAdapter):
        def close(self) -> None:
            pass

    guard = Guard(requests.Session())
    guard.guarded.mount("http://", Stays())
    guard.guarded.get(server.url, timeout=5)
    del guard
    gc.collect()
    assert kinds(verdict(monitor)) == ["unclosed-session"]


def test_pool_that_outlives_its_manager(monitor: Monitor, server: Server) -> None:
    with urllib3.PoolManager() as manager:
        pool = manager.connection_from_url(server.url)
    del manager
    pool.request("GET", "/", timeout=5)
    assert kinds(verdict(monitor)) == ["unclosed-pool"]


def test_used_again_by_a_test_after_one_that_left_nothing(monitor: Monitor, server: Server) -> None:
    first, second = (Owner(f"test_here.py::test_{name}", "function") for name in ("first", "second"))
    with monitor.owned_by(first, first.nodeid), requests.Session() as session:
        session.get(server.url, timeout=5)
    assert monitor.settle([first]).findings == ()
    with monitor.owned_by(second, second.nodeid):
        session.get(server.url, timeout=5)
    assert kinds(list(monitor.settle([second]).findings)) == ["unclosed-session"]


# --- a test in which nothing happened -----------------------------------------------------------------------

NEXT = Owner("test_next", "function")
counts = pytest.mark.skipif(
    not (os.path.isdir("/proc/self/fd") and os.stat("/proc/self/fd").st_size),
    reason="Linux says since 6.2 how many descriptors there are",
)


@counts
def test_nothing_happened(monitor: Monitor) -> None:
    monitor.settle([NEXT])
    assert monitor.has_nothing_of(NEXT)
    with monitor.owned_by(NEXT, NEXT.nodeid), socket.socket():
        assert not monitor.has_nothing_of(NEXT)
    assert not monitor.has_nothing_of(NEXT), "a verdict has to note that it was closed"
    monitor.settle([NEXT])
    assert monitor.has_nothing_of(NEXT)


@counts
def test_a_descriptor_takes_the_place_of_another(monitor: Monitor) -> None:
    """There are as many as before: only who looks at each sees that C code has opened one."""
    file, (one, other) = os.open(os.devnull, os.O_RDONLY), socket.socketpair()
    with one, other, monitor.owned_by(NEXT, NEXT.nodeid):
        monitor.settle([])
        assert monitor.has_nothing_of(NEXT)
        os.close(file)
        taken = os.dup2(one.fileno(), file)
        try:
            assert not monitor.has_nothing_of(NEXT)
        finally:
            os.close(taken)


@counts
def test_many_sockets_of_a_wider_scope_are_not_looked_at(monitor: Monitor, monkeypatch: pytest.MonkeyPatch) -> None:
    held = [socket.socket() for _ in range(50)]
    monitor.settle([])
    asked: list[str] = []
    monkeypatch.setattr(System, "readlink", lambda link: asked.append(link) or os.readlink(link))
    assert monitor.has_nothing_of(NEXT)
    assert len(asked) < 50
    for sock in held:
        sock.close()


# --- a client that calls itself ---------------------------------------------------------------------------


class FetchesFirst(requests.Session):
    """Before the user's request is sent, it sends one of its own: that is the user's code, too."""

    first: requests.Response | None = None

    def __init__(self, url: str, **kwargs: Any) -> None:
        super().__init__()
        self.url, self.kwargs = url, kwargs

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        if self.first is None:
            self.first = requests.Response()
            self.first = self.get(self.url, **self.kwargs)
        return super().send(request, **kwargs)


def test_a_call_within_a_call_of_the_same_client_is_one_of_its_own(monitor: Monitor, server: Server) -> None:
    with FetchesFirst(f"{server.url}/stream", timeout=5, stream=True) as session:
        session.get(server.url, timeout=5)
    (unclosed,) = verdict(monitor)
    assert unclosed.kind == "unclosed-response"
    assert unclosed.origin.place is not None
    assert unclosed.origin.place.function == "FetchesFirst.send"
    del session


def test_a_call_within_a_call_is_charged_to_its_own_line(monitor: Monitor, server: Server) -> None:
    with FetchesFirst(server.url) as session:
        session.get(server.url, timeout=5)
    (missing,) = verdict(monitor)
    assert missing.kind == "missing-timeout"
    assert missing.origin.place is not None
    assert missing.origin.place.function == "FetchesFirst.send"
