"""How connections are counted, where nginx, or a server that speaks HTTP/1.0, does what the counts are of.

What holds for every library is in ``test_conformance.py``.
"""

from __future__ import annotations

import asyncio
import json
import queue
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any
from unittest import mock

import aiohttp
import httpcore
import httpx
import pytest
import requests
import urllib3
from requests.adapters import HTTPAdapter

from pytest_connleak import meters
from pytest_connleak.hygiene import advice
from pytest_connleak.monitor import Monitor
from pytest_connleak.traffic import Traffic, at
from servers import Server

if TYPE_CHECKING:
    from conftest import RunTests

Nginx = Callable[..., Server]

TIMEOUT = 5


def idle(server: Server) -> Server:
    """The server, when it has seen that the connections of other tests are closed."""
    server.wait_until(open=0)
    return server


def row(counting: Monitor, server: Server) -> Traffic:
    """What was counted for a server, by one library; no part may have failed over it."""
    (row,) = (row for row in counting.traffic if row.host == server.url)
    assert counting.faults == {}
    return row


# --- a pool that is full ------------------------------------------------------------------------------------


def at_once(number: int, ask: Callable[[], Any], read: Callable[[Any], Any]) -> None:
    """So many requests, none of which is read to its end before the last one was answered."""
    all_are_answered = threading.Barrier(number, timeout=TIMEOUT)

    def one() -> None:
        response = ask()
        all_are_answered.wait()
        read(response)

    with ThreadPoolExecutor(number) as threads:
        for future in [threads.submit(one) for _ in range(number)]:
            future.result()


def test_what_finds_no_room_in_a_pool_is_discarded(counting: Monitor, nginx: Nginx) -> None:
    server = idle(nginx(5))
    before = server.counts()
    with requests.Session() as session:
        session.mount("http://", HTTPAdapter(pool_maxsize=2))
        at_once(7, lambda: session.get(server.url, stream=True, timeout=TIMEOUT), lambda response: response.content)
        server.wait_until(since=before, opened=7, open=2)  # the others are closed
    counted = row(counting, server)
    assert (counted.requests, counted.opened, counted.discarded, counted.most_in_use) == (7, 7, 5, 7)
    assert (counted.ended, counted.dropped, counted.waits) == (0, 0, 0)
    assert [*advice(counted)] == [
        f"5 connections to {server.url} discarded, the pool being full: raise pool_maxsize to 7: "
        "HTTPAdapter(pool_maxsize=7)"
    ]


def test_a_pool_that_has_room_discards_nothing(counting: Monitor, nginx: Nginx) -> None:
    server = idle(nginx(5))
    before = server.counts()
    with urllib3.PoolManager(maxsize=7) as pool:
        for _ in range(2):
            at_once(
                7,
                lambda: pool.request("GET", server.url, preload_content=False, timeout=TIMEOUT),
                lambda response: response.drain_conn(),
            )
    counted = row(counting, server)
    assert (counted.requests, counted.opened, counted.reused) == (14, server.counts(before).opened, 7)
    assert (counted.discarded, counted.most_in_use, [*advice(counted)]) == (0, 7, [])


def test_what_httpx_does_not_keep_is_discarded(counting: Monitor, nginx: Nginx) -> None:
    server = idle(nginx(5))
    before = server.counts()
    limits = httpx.Limits(max_keepalive_connections=2)
    with httpx.Client(limits=limits, verify=False) as client:
        at_once(
            7,
            lambda: client.send(client.build_request("GET", server.url, timeout=TIMEOUT), stream=True),
            lambda response: (response.read(), response.close()),
        )
        server.wait_until(since=before, opened=7, open=2)
    counted = row(counting, server)
    assert (counted.requests, counted.opened, counted.discarded, counted.most_in_use) == (7, 7, 5, 7)


def test_what_lies_in_the_pool_is_not_in_use(counting: Monitor, nginx: Nginx) -> None:
    server = idle(nginx(5))
    with urllib3.HTTPConnectionPool("127.0.0.1", server.port, maxsize=3, timeout=TIMEOUT) as pool:
        pool.pool = queue.Queue(3)  # which gives what lies there longest, and first there are empty places
        for _ in range(3):
            pool.pool.put(None)
        for _ in range(3):
            pool.request("GET", "/")
    counted = row(counting, server)
    assert (counted.requests, counted.opened, counted.most_in_use) == (3, 3, 1)


def test_what_a_client_lets_go_is_not_dropped_by_the_server(counting: Monitor, nginx: Nginx) -> None:
    server = idle(nginx(5))
    with httpx.Client(limits=httpx.Limits(keepalive_expiry=0), verify=False) as client:
        for _ in range(3):
            client.get(server.url)
    counted = row(counting, server)
    assert (counted.requests, counted.opened, counted.dropped, counted.discarded) == (3, 3, 0, 0)


def test_a_connection_that_is_taken_by_another_request_has_not_sent_this_one(counting: Monitor, server: Server) -> None:
    with httpx.Client(verify=False) as client, client.stream("GET", server.url) as response:
        (connection,) = client._transport._pool.connections  # type: ignore[attr-defined]
        with pytest.raises(httpcore.ConnectionNotAvailable):
            connection.handle_request(httpcore.Request("GET", server.url))
        response.read()
    assert row(counting, server).requests == 1


def unread_by_requests(url: str) -> None:
    with requests.Session() as session:
        for _ in range(3):
            session.get(url, stream=True, timeout=TIMEOUT).close()


def unread_by_httpx(url: str) -> None:
    with httpx.Client(verify=False, timeout=TIMEOUT) as client:
        for _ in range(3):
            client.send(client.build_request("GET", url), stream=True).close()


def unread_by_aiohttp(url: str) -> None:
    async def main() -> None:
        async with aiohttp.ClientSession() as session:
            for _ in range(3):
                (await session.get(url)).close()

    asyncio.run(main())


@pytest.mark.parametrize("send", [unread_by_requests, unread_by_httpx, unread_by_aiohttp])
def test_what_is_closed_unread_is_no_fault_of_the_pool_or_the_server(
    send: Callable[[str], None], counting: Monitor, nginx: Nginx
) -> None:
    server = nginx(5)
    send(f"{server.url}/large")
    counted = row(counting, server)
    assert (counted.requests, counted.opened, counted.reused) == (3, 3, 0)
    assert (counted.ended, counted.dropped, counted.discarded) == (0, 0, 0)


def test_each_host_knows_how_many_were_in_use(counting: Monitor, nginx: Nginx, server: Server) -> None:
    with httpx.Client(verify=False, timeout=TIMEOUT) as client:
        for url in (server.url, nginx(5).url):
            at_once(
                2,
                lambda url=url: client.send(client.build_request("GET", url), stream=True),  # type: ignore[misc]
                lambda response: response.close(),
            )
    assert (row(counting, server).most_in_use, row(counting, nginx(5)).most_in_use) == (2, 2)


# --- a pool with a limit ------------------------------------------------------------------------------------


def test_a_pool_that_blocks_makes_wait(counting: Monitor, nginx: Nginx) -> None:
    server = idle(nginx(5))
    before = server.counts()
    with urllib3.HTTPConnectionPool("127.0.0.1", server.port, block=True, timeout=TIMEOUT) as pool:
        held = pool.urlopen("GET", "/", preload_content=False)
        with ThreadPoolExecutor(1) as thread:
            future = thread.submit(pool.urlopen, "GET", "/")
            assert pool.pool is not None
            while not pool.pool.not_empty._waiters:  # type: ignore[attr-defined]
                time.sleep(0.001)
            began = time.monotonic()
            time.sleep(0.02)
            held.drain_conn()
            waited = time.monotonic() - began
            assert future.result().data == b"hello"
    assert server.counts(before)[:1] == (1,)
    assert_waited(row(counting, server), waited)


def test_a_limit_of_httpx_makes_wait(counting: Monitor, nginx: Nginx) -> None:
    server = idle(nginx(5))

    async def main() -> float:
        async with httpx.AsyncClient(limits=httpx.Limits(max_connections=1), verify=False, timeout=TIMEOUT) as client:
            held = await client.send(client.build_request("GET", server.url), stream=True)
            task = asyncio.create_task(client.get(server.url))
            waited = await hold(lambda: len(client._transport._pool._requests) == 2)  # type: ignore[attr-defined]
            await held.aclose()
            await task
            return waited

    waited = asyncio.run(main())
    assert_waited(row(counting, server), waited)


def test_who_waits_for_a_connection_to_a_proxy_waits_for_the_proxy(
    counting: Monitor, proxy: Server, server: Server
) -> None:
    with httpcore.HTTPProxy(proxy.url, max_connections=1) as pool, ThreadPoolExecutor(1) as thread:
        with pool.stream("GET", server.url):
            future = thread.submit(pool.request, "GET", server.url)
            while len(pool._requests) < 2:
                time.sleep(0.001)
        future.result()
    (counted,) = counting.traffic
    assert (counted.host, counted.requests, counted.waits, counted.most_in_use) == (proxy.url, 2, 1, 2)


def test_a_limit_of_aiohttp_makes_wait(counting: Monitor, nginx: Nginx) -> None:
    if not hasattr(aiohttp.BaseConnector, "_wait_for_available_connection"):
        pytest.skip("this version waits where it cannot be seen")
    server = idle(nginx(5))

    async def main() -> float:
        connector = aiohttp.TCPConnector(limit=1)
        async with aiohttp.ClientSession(connector=connector) as session:
            held = await session.get(f"{server.url}/large")
            task = asyncio.create_task(session.get(server.url))
            waited = await hold(lambda: bool(connector._waiters))
            held.close()
            (await task).release()
            return waited

    waited = asyncio.run(main())
    counted = row(counting, server)
    assert_waited(counted, waited)
    assert [*advice(counted._replace(waited=2.0))] == [
        f"1 request to {server.url} waited 2.0 s in all for a free connection, "
        f"{counted.longest_wait:.2f} s at the longest: raise limit to 2: aiohttp.TCPConnector(limit=2)"
    ]


async def hold(it_waits: Callable[[], bool]) -> float:
    """From the moment when a request waits let it wait, so many seconds."""
    while not it_waits():
        await asyncio.sleep(0)
    began = time.monotonic()
    await asyncio.sleep(0.02)
    return time.monotonic() - began


def assert_waited(counted: Traffic, seconds: float) -> None:
    assert (counted.requests, counted.waits, counted.most_in_use) == (2, 1, 2)
    assert counted.waited == counted.longest_wait
    assert seconds <= counted.waited < seconds + 1


# --- a server that ends its connections ---------------------------------------------------------------------


@contextmanager
def answering(answer: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """A server that answers each request with this and closes the connection; its URL, and the requests that it got."""
    seen = []

    def serve() -> None:
        while True:
            connection, _ = listening.accept()
            with connection:
                if not (request := connection.recv(65536)):
                    return
                seen.append(request)
                connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor(1) as thread:
        future = thread.submit(serve)
        port = listening.getsockname()[1]
        yield f"http://127.0.0.1:{port}", seen
        with socket.create_connection(("127.0.0.1", port)):
            pass
        future.result()


def by_requests(url: str) -> None:
    with requests.Session() as session:
        for _ in range(10):
            session.get(url, timeout=TIMEOUT)


def by_httpx(url: str) -> None:
    with httpx.Client(verify=False) as client:
        for _ in range(10):
            client.get(url)


def by_aiohttp(url: str) -> None:
    async def main() -> None:
        async with aiohttp.ClientSession() as session:
            for _ in range(10):
                async with session.get(url) as response:
                    await response.read()

    asyncio.run(main())


@pytest.mark.parametrize("send", [by_requests, by_httpx, by_aiohttp])
def test_a_server_of_http_1_0_leaves_nothing_to_reuse(send: Callable[[str], None], counting: Monitor) -> None:
    # As http.server answers if it is not told otherwise.
    with answering(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello") as (url, _):
        send(url)
    (counted,) = counting.traffic
    assert (counted.requests, counted.opened, counted.ended, counted.versions) == (10, 10, 10, ("HTTP/1.0",))
    (sentence,) = advice(counted)
    assert sentence.startswith(f"10 of 10 connections to {url} ended with an answer")


@pytest.mark.parametrize(
    ("send", "error"),
    [
        (by_requests, requests.ConnectionError),
        (by_httpx, httpx.RemoteProtocolError),
        (by_aiohttp, aiohttp.ServerDisconnectedError),
    ],
)
def test_a_server_that_does_not_answer_has_not_ended_a_connection_with_an_answer(
    send: Callable[[str], None], error: type[Exception], counting: Monitor
) -> None:
    errors = []  # a traceback keeps the connection that failed
    with answering(b"") as (url, seen):
        for _ in range(3):
            with pytest.raises(error) as raised:
                send(url)
            errors.append(raised)
    (counted,) = counting.traffic
    assert counting.faults == {}
    assert (counted.requests, counted.opened, counted.reused) == (len(seen), len(seen), 0)
    assert (counted.ended, counted.dropped, counted.discarded, counted.most_in_use) == (0, 0, 0, 1)


# --- HTTP/2 --------------------------------------------------------------------------------------------------


def test_requests_that_share_a_connection(counting: Monitor, h2_server: Server) -> None:
    before = h2_server.counts()
    trusted = ssl.create_default_context(cafile=h2_server.ca)

    async def main() -> None:
        async with httpx.AsyncClient(http2=True, verify=trusted, timeout=TIMEOUT) as client:
            await asyncio.gather(*(client.get(h2_server.url) for _ in range(6)))

    asyncio.run(main())
    counted = row(counting, h2_server)
    assert (counted.requests, counted.opened, counted.reused) == (6, h2_server.counts(before).opened, 5)


# --- what is no connection ----------------------------------------------------------------------------------


def test_who_is_refused_opened_nothing(counting: Monitor) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=TIMEOUT)
    with pytest.raises(httpx.ConnectError):
        httpx.get(url, timeout=TIMEOUT, verify=False)
    assert [row.host for row in counting.traffic if row.requests or row.opened] == []


def test_mocks_send_nothing_and_break_nothing(counting: Monitor, server: Server) -> None:
    with urllib3.HTTPConnectionPool("127.0.0.1", server.port, timeout=TIMEOUT) as pool:
        with mock.patch.object(pool, "ConnectionCls"), suppress(TypeError):
            pool.urlopen("GET", "/", retries=False)
        with mock.patch.object(pool.ConnectionCls, "getresponse"), suppress(TypeError):
            pool.urlopen("GET", "/", retries=False)

    async def main() -> None:
        answer = (mock.MagicMock(code=200), mock.Mock())
        protocol = mock.Mock(["close", "is_connected", "read", "should_close", "transport"])
        protocol.read = mock.AsyncMock(return_value=answer)
        async with aiohttp.TCPConnector() as connector:
            with mock.patch.object(connector, "_create_connection", return_value=protocol):
                connection = await connector.connect(mock.Mock(), [], aiohttp.ClientTimeout())
            for each in (connection, mock.Mock(protocol=protocol)):
                await aiohttp.ClientResponse.start(mock.MagicMock(), each)
            connection.close()

    asyncio.run(main())
    assert [row.host for row in counting.traffic if row.requests and row.host != server.url] == []
    requests.get(server.url, timeout=TIMEOUT)
    assert "requests" in {row.library for row in counting.traffic}
    assert counting.faults == {}


def test_what_no_pool_can_send_is_not_counted(counting: Monitor) -> None:
    with httpcore.ConnectionPool() as pool:
        for url in ("invalid://localhost/", "/"):
            with pytest.raises(httpcore.UnsupportedProtocol):
                pool.request("GET", url)
    assert (counting.traffic, counting.faults) == ((), {})


def test_a_certificate_that_is_refused_stops_the_request(counting: Monitor, tls_server: Server) -> None:
    before = tls_server.counts()
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(tls_server.url, timeout=TIMEOUT)
    requests.get(tls_server.url, timeout=TIMEOUT, verify=tls_server.ca)
    assert row(counting, tls_server).requests == tls_server.counts(before).requests == 1


def test_a_redirect_is_a_request(counting: Monitor, server: Server) -> None:
    before = server.counts()
    requests.get(f"{server.url}/hops/3", timeout=TIMEOUT)
    counted, saw = row(counting, server), server.counts(before)
    assert (counted.requests, counted.opened, counted.sessions) == (saw.requests, saw.opened, 1) == (4, 1, 1)


def test_what_is_sent_through_a_tunnel(counting: Monitor, proxy: Server, tls_server: Server) -> None:
    with requests.Session() as session:
        session.proxies["https"] = proxy.url
        for _ in range(3):
            session.get(tls_server.url, timeout=TIMEOUT, verify=tls_server.ca)
    counted = row(counting, tls_server)
    assert (counted.requests, counted.opened, counted.reused) == (3, 1, 2)


# --- a whole run --------------------------------------------------------------------------------------------

MANY_SESSIONS = """
    import requests

    def test_many(url):
        for _ in range(6):
            requests.get(url, timeout=5), requests.get(url, timeout=5)

    def test_one(url):
        with requests.Session() as session:
            session.get(url, timeout=5)
"""


def test_the_section_of_a_run(pytester: pytest.Pytester, run: RunTests, server: Server) -> None:
    pytester.makepyfile(test_it=MANY_SESSIONS)
    result = run("--connleak-stats", plugins=["connleak", "servers.plugin"])
    assert result.status == 0
    lines = result.result.outlines
    start = next(number for number, line in enumerate(lines) if "connection statistics" in line)
    assert [line.split() for line in lines[start + 1 : start + 3]] == [
        ["host", "sessions", "requests", "opened", "reused", "HTTP"],
        [server.url, "13", "13", "13", "0", "1.1"],
    ]
    assert lines[start + 3 : start + 5] == [
        f"help: 13 connections for 13 requests to {server.url}: reuse one",
        "      Session (12 of 13 are made at test_it.py:5)",
    ]
    (host,) = json.loads((pytester.path / "report.json").read_text())["hosts"]
    assert (host["host"], host["library"], host["sessions"]) == (server.url, "requests", 13)


def test_who_does_not_ask_gets_nothing(pytester: pytest.Pytester, run: RunTests, server: Server) -> None:
    pytester.makepyfile(test_it=MANY_SESSIONS)
    pytester.makeconftest(
        """
        import sys

        def pytest_unconfigure():
            print(*[name for name in sys.modules if name.startswith("pytest_connleak")])
        """
    )
    result = run("-s", plugins=["connleak", "servers.plugin"], report=False)
    assert result.status == 0
    assert "connection statistics" not in result.output
    assert "pytest_connleak.monitor" in result.output
    assert not re.findall(r"pytest_connleak\.(meters\S*|traffic|hygiene|progress)", result.output)
    run(plugins=["connleak", "servers.plugin"])
    assert json.loads((pytester.path / "report.json").read_text())["hosts"] == []


def test_workers_add_up(pytester: pytest.Pytester, run: RunTests, server: Server) -> None:
    pytester.makepyfile(test_it=MANY_SESSIONS)
    run("--connleak-stats", "-n2", "--dist=each", plugins=["connleak", "servers.plugin", "xdist.plugin"])
    (host,) = json.loads((pytester.path / "report.json").read_text())["hosts"]
    assert (host["sessions"], host["requests"]) == (26, 26)
    assert [made["sessions"] for made in host["made"]] == [24, 2]


def test_only_the_methods_that_are_counted_are_patched_for_it() -> None:
    def patched(*, statistics: bool) -> set[str]:
        monitor = Monitor(".", statistics=statistics)
        monitor.start()
        try:
            return {f"{patch.observer.target} {patch.observer.statistics}" for patch in monitor._installation._patches}
        finally:
            monitor.stop()

    without = patched(statistics=False)
    assert not [each for each in without if each.endswith("True")]
    counted = {each.removesuffix(" True") for each in patched(statistics=True) - without}
    known = {observer.target for meter in meters.discover() for observer in meter.observers}
    assert counted
    assert counted <= known


def test_a_meter_that_fails_fails_no_run(pytester: pytest.Pytester, run: RunTests, server: Server) -> None:
    pytester.makepyfile(test_it=MANY_SESSIONS)
    pytester.makeconftest("import pytest_connleak.meters.urllib3 as meter\n\nmeter.at = None\n")
    result = run("--connleak-stats", plugins=["connleak", "servers.plugin"])
    assert result.outcomes == {"passed": 2}
    assert result.status == 0
    assert "urllib3 (urllib3.connectionpool:HTTPConnectionPool._make_request) failed with" in result.output


@pytest.mark.parametrize(
    ("scheme", "host", "port", "expected"),
    [
        ("http", "example.com", 80, "http://example.com"),
        ("http", "example.com", None, "http://example.com"),
        ("https", "example.com", 443, "https://example.com"),
        ("https", "example.com", 80, "https://example.com:80"),
        ("http", "::1", 8000, "http://[::1]:8000"),
        ("http", "[::1]", 8000, "http://[::1]:8000"),
    ],
)
def test_a_host_is_named_as_in_a_url(scheme: str, host: str, port: int | None, expected: str) -> None:
    assert at(scheme, host, port) == expected
