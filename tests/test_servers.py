"""The servers are good witnesses: they see each connection, each close, and each that nobody closed."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest
import requests
import urllib3

import servers
from servers import Counts, Server, client, http_server
from servers.checking import LARGE, TIMEOUT, ask, assert_seen_open, connected, read_to_end

SERVERS = [
    servers.http_server,
    servers.tls_server,
    servers.proxy_server,
    servers.h2_server,
    servers.ws_server,
    servers.ftp_server,
    servers.smtp_server,
    servers.xmlrpc_server,
]
"""What listens on 127.0.0.1 and is there wherever the tests are."""
FIXTURES = [
    ("url", "server", "url", "CONNLEAK_TEST_URL"),
    ("unix_path", "unix_server", "path", "CONNLEAK_TEST_UNIX_PATH"),
    ("tls_url", "tls_server", "url", "CONNLEAK_TEST_TLS_URL"),
    ("ca", "tls_server", "ca", "CONNLEAK_TEST_CA"),
    ("h2_url", "h2_server", "url", "CONNLEAK_TEST_H2_URL"),
    ("h2_ca", "h2_server", "ca", "CONNLEAK_TEST_H2_CA"),
    ("proxy_url", "proxy", "url", "CONNLEAK_TEST_PROXY_URL"),
    ("ws_url", "ws_server", "url", "CONNLEAK_TEST_WS_URL"),
    ("ftp_url", "ftp_server", "url", "CONNLEAK_TEST_FTP_URL"),
    ("smtp_url", "smtp_server", "url", "CONNLEAK_TEST_SMTP_URL"),
    ("xmlrpc_url", "xmlrpc_server", "url", "CONNLEAK_TEST_XMLRPC_URL"),
]
"""The address, of which server it is and which attribute, and the variable that tells it to runs inside a test."""
MAYBE_THERE = [
    ("server6", "url6", "CONNLEAK_TEST_URL6"),
    ("moto_server", "moto_url", "CONNLEAK_TEST_MOTO_URL"),
]
ENFORCES_LENGTH = pytest.mark.skipif(urllib3.__version__ < "2", reason="urllib3 2 looks whether the answer is complete")


@pytest.fixture
def before(server: Server) -> Counts:
    """What the HTTP server saw before the test."""
    return server.counts()


# --- the paths ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("", 200, b"hello"),
        ("?query", 200, b"hello"),
        ("size/0", 200, b""),
        ("size/3", 200, b"xxx"),
        ("code/204", 204, b""),
        ("code/304", 304, b""),
        ("code/404", 404, b"404"),
        ("code/503", 503, b"503"),
        ("parts/3", 200, b"hellohellohello"),
        ("until-eof/3", 200, b"xxx"),
        ("zipped/1000", 200, b"x" * 1000),
        ("last", 200, b"hello"),
        ("no-such-path", 404, b"no such path"),
    ],
)
def test_bodies(server: Server, before: Counts, path: str, status: int, body: bytes) -> None:
    with requests.get(f"{server.url}/{path}", timeout=TIMEOUT) as answer:
        assert (answer.status_code, answer.content) == (status, body)
    del answer  # it keeps the pool of its session, and the pool its connections
    server.wait_until(since=before, opened=1, open=0, requests=1)


@pytest.mark.parametrize("path", ["size/3", "parts/3", "until-eof/3", "zipped/3", "drip/3/0", "endless"])
def test_head_gets_no_body(server: Server, before: Counts, path: str) -> None:
    with requests.Session() as session:
        for _ in range(2):
            assert session.head(f"{server.url}/{path}", timeout=TIMEOUT).content == b""
    server.wait_until(since=before, open=0, requests=2)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_methods_and_their_bodies(server: Server, before: Counts, method: str) -> None:
    with requests.Session() as session:
        for body in (b"12345", iter([b"123", b"45"])):  # of known length, and in chunks
            answer = session.request(method, f"{server.url}/echo", data=body, timeout=TIMEOUT).json()
            assert (answer["method"], answer["path"], answer["length"]) == (method, "/echo", 5)
    server.wait_until(since=before, opened=1, open=0, requests=2)
    assert server.peers()[-1] == (answer["port"], False, 2)


def test_redirects(server: Server, before: Counts) -> None:
    with requests.Session() as session:
        answer = session.get(f"{server.url}/hops/3", timeout=TIMEOUT)
        assert (answer.content, len(answer.history)) == (b"hello", 3)
        server.wait_until(since=before, opened=1, open=1, requests=4)


@pytest.mark.parametrize("path", ["wait/0.1", "drip/5/0.1"])
def test_slow_answers(server: Server, path: str) -> None:
    start = time.monotonic()
    assert len(requests.get(f"{server.url}/{path}", timeout=TIMEOUT).content) == 5
    assert time.monotonic() - start > 0.09


@pytest.mark.parametrize("path", ["wait/60", "drip/2/120"])
def test_a_client_that_does_not_wait_is_noticed(server: Server, before: Counts, path: str) -> None:
    with pytest.raises(requests.RequestException, match="Read timed out"):
        requests.get(f"{server.url}/{path}", timeout=(TIMEOUT, 0.05))
    server.wait_until(since=before, opened=1, open=0)


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("hang-up", "closed connection without response"),
        ("reset", "reset by peer"),
        pytest.param("cut/10", "IncompleteRead", marks=ENFORCES_LENGTH),
    ],
)
def test_broken_answers(server: Server, before: Counts, path: str, error: str) -> None:
    with pytest.raises(requests.RequestException, match=error):
        requests.get(f"{server.url}/{path}", timeout=TIMEOUT)
    server.wait_until(since=before, opened=1, open=0, requests=1)


# --- the counts ---------------------------------------------------------------------------------------


def test_reuse_of_a_connection(server: Server, before: Counts) -> None:
    with requests.Session() as session:
        for path in ("size/3", "parts/3", "code/404"):
            session.get(f"{server.url}/{path}", timeout=TIMEOUT)
        server.wait_until(since=before, opened=1, open=1, closed=0, requests=3)
    server.wait_until(since=before, opened=1, open=0, closed=1, requests=3)


def test_a_connection_for_each_request(server: Server, before: Counts) -> None:
    for _ in range(3):
        requests.get(server.url, timeout=TIMEOUT)
    server.wait_until(since=before, opened=3, open=0, closed=3, requests=3)


def test_connection_close(server: Server, before: Counts) -> None:
    with requests.Session() as session:
        for _ in range(3):
            session.get(f"{server.url}/last", timeout=TIMEOUT)
        server.wait_until(since=before, opened=3, open=0)


def test_connections_by_port(server: Server, before: Counts) -> None:
    with connected(server.port) as first, connected(server.port) as second:
        server.wait_until(since=before, opened=2, open=2, requests=0)
        ports = {connection.getsockname()[1] for connection in (first, second)}
        assert {peer.port for peer in server.peers() if peer.open} == ports
    server.wait_until(since=before, open=0)


@pytest.mark.parametrize("path", [f"size/{LARGE}", "endless", "drip/2/120", "size/10"])
def test_an_unread_stream(server: Server, before: Counts, path: str) -> None:
    with urllib3.PoolManager() as pool:
        answer = pool.request("GET", f"{server.url}/{path}", preload_content=False, timeout=TIMEOUT)
        server.wait_until(since=before, opened=1, open=1)
        answer.close()
        server.wait_until(since=before, opened=1, open=0)


def test_many_at_once(server: Server, before: Counts) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(100):
            ask(stack.enter_context(connected(server.port)), "/size/10")
        server.wait_until(since=before, opened=100, open=100, requests=100)
    server.wait_until(since=before, opened=100, open=0)


# --- what nobody closed -------------------------------------------------------------------------------


def test_a_silent_connection_is_open(server: Server, before: Counts) -> None:
    with connected(server.port) as connection:
        assert_seen_open(server, before)
        with pytest.raises(AssertionError, match=rf"open: \[{connection.getsockname()[1]}\]"):
            server.wait_until(open=0, timeout=0)
    server.wait_until(since=before, open=0)


def test_a_session_is_open(server: Server, before: Counts) -> None:
    with requests.Session() as session:
        session.get(server.url, timeout=TIMEOUT)
        assert_seen_open(server, before)


@pytest.mark.parametrize("path", ["/last", "/hang-up", "/until-eof/3", "/cut/10"])
def test_what_the_server_closed_first_is_open_until_the_client_closes(
    server: Server, before: Counts, path: str
) -> None:
    with connected(server.port) as connection:
        ask(connection, path)
        read_to_end(connection)
        assert_seen_open(server, before)
    server.wait_until(since=before, open=0)


def test_other_expectations_fail_too(server: Server, before: Counts) -> None:
    requests.get(server.url, timeout=TIMEOUT)
    server.wait_until(since=before, opened=1, open=0, closed=1, requests=1)
    for name in ("opened", "closed", "requests"):
        with pytest.raises(AssertionError, match=f"no {name}=2 within 0 s"):
            server.wait_until(since=before, timeout=0, **{name: 2})


# --- TLS and proxies ----------------------------------------------------------------------------------


def test_tls(tls_server: Server) -> None:
    before = tls_server.counts()
    with requests.Session() as session:
        for path in ("echo", "parts/3", f"size/{LARGE}"):
            assert session.get(f"{tls_server.url}/{path}", verify=tls_server.ca, timeout=TIMEOUT).ok
        assert_seen_open(tls_server, before)
    tls_server.wait_until(since=before, opened=1, open=0, requests=3)


@pytest.mark.parametrize("path", ["last", "until-eof/5"])
def test_tls_closed_by_the_server(tls_server: Server, path: str) -> None:
    before = tls_server.counts()
    assert len(requests.get(f"{tls_server.url}/{path}", verify=tls_server.ca, timeout=TIMEOUT).content) == 5
    tls_server.wait_until(since=before, opened=1, open=0, requests=1)


def test_tls_that_is_not_trusted(tls_server: Server) -> None:
    before = tls_server.counts()
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(tls_server.url, timeout=TIMEOUT)
    tls_server.wait_until(since=before, opened=1, open=0, requests=0)


def test_forwarding(server: Server, proxy: Server, before: Counts) -> None:
    before_proxy = proxy.counts()
    with urllib3.ProxyManager(proxy.url) as pool:
        for path, length in (("size/3", 3), ("parts/3", 15), ("drip/3/0.01", 3), ("until-eof/3", 3)):
            assert len(pool.request("GET", f"{server.url}/{path}", timeout=TIMEOUT).data) == length
        posted = json.loads(pool.request("POST", f"{server.url}/echo?query", body=b"12345", timeout=TIMEOUT).data)
        assert (posted["path"], posted["length"]) == ("/echo?query", 5)
        assert pool.request("HEAD", f"{server.url}/size/3", timeout=TIMEOUT).headers["Content-Length"] == "3"
        assert_seen_open(proxy, before_proxy)
    proxy.wait_until(since=before_proxy, opened=1, open=0, requests=6)
    server.wait_until(since=before, opened=6, open=0, requests=6)


@ENFORCES_LENGTH
def test_forwarding_what_breaks(server: Server, proxy: Server, before: Counts) -> None:
    before_proxy = proxy.counts()
    proxies = {"http": proxy.url}
    with pytest.raises(requests.RequestException, match="IncompleteRead"):
        requests.get(f"{server.url}/cut/10", proxies=proxies, timeout=TIMEOUT)
    assert requests.get(f"{server.url}/hang-up", proxies=proxies, timeout=TIMEOUT).status_code == 502
    with requests.get(f"{server.url}/endless", proxies=proxies, stream=True, timeout=TIMEOUT):
        server.wait_until(since=before, opened=3, open=1)
    proxy.wait_until(since=before_proxy, opened=3, open=0, requests=3)
    server.wait_until(since=before, opened=3, open=0, requests=3)


def test_tunnel(tls_server: Server, proxy: Server) -> None:
    before = tls_server.counts()
    before_proxy = proxy.counts()
    with urllib3.ProxyManager(proxy.url, ca_certs=tls_server.ca) as pool:
        for path, length in (("size/3", 3), ("parts/3", 15), (f"size/{LARGE}", LARGE)):
            assert len(pool.request("GET", f"{tls_server.url}/{path}", timeout=TIMEOUT).data) == length
        assert_seen_open(proxy, before_proxy)
        assert_seen_open(tls_server, before)
    proxy.wait_until(since=before_proxy, opened=1, open=0, requests=1)
    tls_server.wait_until(since=before, opened=1, open=0, requests=3)


@pytest.mark.parametrize("path", ["endless", "wait/60", "last"])
def test_a_tunnel_ends_with_the_client(server: Server, proxy: Server, before: Counts, path: str) -> None:
    before_proxy = proxy.counts()
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=TIMEOUT)
    with contextlib.closing(connection):
        connection.set_tunnel("127.0.0.1", server.port)
        connection.request("GET", f"/{path}")
        server.wait_until(since=before, opened=1, open=1, requests=1)
        proxy.wait_until(since=before_proxy, opened=1, open=1, requests=1)
    server.wait_until(since=before, opened=1, open=0)
    proxy.wait_until(since=before_proxy, opened=1, open=0)


def test_a_tunnel_to_nowhere(proxy: Server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    before = proxy.counts()
    with pytest.raises(requests.exceptions.ProxyError, match="502"):
        requests.get(f"https://127.0.0.1:{port}", proxies={"https": proxy.url}, timeout=TIMEOUT)
    proxy.wait_until(since=before, opened=1, open=0, requests=1)


# --- nginx --------------------------------------------------------------------------------------------


def test_nginx_closes_idle_connections(nginx: Callable[[float], Server]) -> None:
    server = nginx(0.2)
    before = server.counts()
    with requests.Session() as session:
        for _ in range(2):
            assert session.get(server.url, timeout=TIMEOUT).content == b"hello"
        server.wait_until(since=before, opened=1, open=1, requests=2)
        start = time.monotonic()
        server.wait_until(since=before, opened=1, open=0)
        assert time.monotonic() - start > 0.1
        session.get(server.url, timeout=TIMEOUT)
        server.wait_until(since=before, opened=2, open=1, requests=3)
    server.wait_until(since=before, opened=2, open=0)


def test_nginx_closes_each_connection(nginx: Callable[[float], Server]) -> None:
    server = nginx(0)
    before = server.counts()
    with requests.Session() as session:
        for _ in range(3):
            assert session.get(server.url, timeout=TIMEOUT).headers["Connection"] == "close"
        server.wait_until(since=before, opened=3, open=0, closed=3, requests=3)


def test_nginx_sees_an_unread_stream(nginx: Callable[[float], Server]) -> None:
    server = nginx(0)
    before = server.counts()
    with requests.get(f"{server.url}/large", stream=True, timeout=TIMEOUT):
        assert_seen_open(server, before)
    server.wait_until(since=before, opened=1, open=0)


# --- the processes ------------------------------------------------------------------------------------


def test_asking_opens_no_socket(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "socket")
    assert server.counts() == server.wait_until()


def test_a_run_inside_a_test_uses_the_same_servers(
    pytester: pytest.Pytester, request: pytest.FixtureRequest, server: Server, before: Counts
) -> None:
    addresses = {}
    for fixture, of_server, attribute, variable in FIXTURES:
        addresses[fixture] = getattr(request.getfixturevalue(of_server), attribute), variable
    pytester.makepyfile(
        f"""
        import os

        import pytest
        import requests

        @pytest.mark.parametrize(("fixture", "address", "variable"), {[(f, *a) for f, a in addresses.items()]!r})
        def test_address(request, fixture, address, variable):
            assert request.getfixturevalue(fixture) == os.environ[variable] == address

        def test_request(url):
            requests.get(url, timeout=5)
        """
    )
    inner = pytester.runpytest_subprocess("-p", "servers.plugin", "-p", "no:connleak", timeout=60)
    inner.assert_outcomes(passed=len(FIXTURES) + 1)
    server.wait_until(since=before, opened=1, open=0, requests=1)


@pytest.mark.parametrize(("server_of", "fixture", "variable"), MAYBE_THERE)
def test_the_environment_names_what_may_not_be_there(
    request: pytest.FixtureRequest, server_of: str, fixture: str, variable: str
) -> None:
    running = request.getfixturevalue(server_of)
    assert request.getfixturevalue(fixture) == os.environ[variable] == running.url


def test_close_ends_it(capfd: pytest.CaptureFixture[str]) -> None:
    with http_server() as server:
        assert requests.get(server.url, timeout=TIMEOUT).ok
    server.close()  # again does nothing
    assert_refused(server.port)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("start", SERVERS)
def test_a_server_says_nothing_of_its_own(start: Callable[[], Server], capfd: pytest.CaptureFixture[str]) -> None:
    with start() as server:
        with connected(server.port) as connection:
            connection.sendall(b"QUIT\r\n\r\n")  # which only some of them understand
            server.wait_until(opened=1, open=1)
        server.wait_until(opened=1, open=0)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("start", SERVERS)
def test_no_server_outlives_who_started_it(start: Callable[[], Server]) -> None:
    assert_ends_with_its_starter(f"{start.__name__}()")


def test_no_relay_outlives_who_started_it(server: Server) -> None:
    assert_ends_with_its_starter(f"relay_server('127.0.0.1', {server.port})")


def test_nginx_does_not_outlive_who_started_it(nginx: Callable[[float], Server]) -> None:
    assert_ends_with_its_starter("nginx_server(1)")


def test_moto_does_not_outlive_who_started_it(moto_server: Server) -> None:
    assert_ends_with_its_starter("moto_server()")


def test_no_server_on_a_unix_socket_outlives_who_started_it() -> None:
    with starter("unix_server()", "path") as (path, process), socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        deadline = time.monotonic() + TIMEOUT
        while os.path.exists(os.path.dirname(path)):  # it takes its directory with it
            assert time.monotonic() < deadline, path
            time.sleep(0.01)


@contextlib.contextmanager
def starter(start: str, attribute: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A process that has started a server, which has this attribute."""
    program = f"from servers import *; server = {start}; print(server.{attribute}, flush=True); input()"
    command = [sys.executable, "-c", program]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=client.ROOT) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip(), process


def assert_ends_with_its_starter(start: str) -> None:
    with starter(start, "port") as (port, process), connected(int(port)):
        os.kill(process.pid, signal.SIGKILL)
    assert_refused(int(port))


def test_a_server_that_cannot_start_says_so(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError, match="ended by itself"):
        Server("nginx", "not a number", "1")
    assert "ValueError" in capfd.readouterr().err


def assert_refused(port: int) -> None:
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        try:
            with connected(port):
                time.sleep(0.01)
        except OSError:
            return
    pytest.fail(f"something still serves port {port}")
