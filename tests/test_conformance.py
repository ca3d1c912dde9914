"""The same promises for every library: each check runs for each description in ``conformance/``.

A check is a coroutine function, also for libraries that do not wait for anything: ``run`` drives it to its end.
What is found must be right by kind, object and line, and by the server's own count of its connections.
"""

from __future__ import annotations

import gc
import importlib
import inspect
import socket
import sys
import threading
import time
import warnings
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import anyio
import pytest

from conformance import Library, discover
from pytest_connleak.model import Finding
from pytest_connleak.monitor import Monitor
from pytest_connleak.traffic import Traffic
from servers import Server
from watching import kinds, verdict


class Way(NamedTuple):
    """A library, and the event loop that it runs on."""

    library: Library
    backend: str


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each check runs for each library that has what it ``needs``."""
    mark = metafunc.definition.get_closest_marker("needs")
    ways = [
        pytest.param(Way(library, backend), id=f"{library!r}-{backend}" if backend else repr(library))
        for library in discover()
        if not mark or all(map(library.has, mark.args))
        for backend in library.backends or ("",)
    ]
    metafunc.parametrize("way", ways, indirect=True)


Run = Callable[[Callable[[], Coroutine[Any, Any, Any]]], Any]
Nginx = Callable[..., Server]


@pytest.fixture
def way(request: pytest.FixtureRequest) -> Way:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def library(way: Way) -> Library:
    return way.library


@pytest.fixture
def peer(library: Library, request: pytest.FixtureRequest) -> Server:
    """The server that the library talks to."""
    other: Server = request.getfixturevalue(library.server)
    return other


@pytest.fixture
def run(way: Way) -> Run:
    """Runs a coroutine function to its end."""

    def run(check: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        if way.backend:
            return anyio.run(check, backend=way.backend)
        coroutine = check()
        try:
            coroutine.send(None)
        except StopIteration as end:
            return end.value
        raise AssertionError("it waits for something")

    return run


async def done(value: Any) -> Any:
    """The value, awaited where it has to be."""
    return await value if isinstance(value, Awaitable) else value


def within(library: Library, peer: Server) -> AbstractAsyncContextManager[Any]:
    """The library's ``with`` block, whatever its kind."""
    block = library.block(peer)
    if isinstance(block, AbstractAsyncContextManager):
        return block

    @asynccontextmanager
    async def entered() -> Any:
        with block as client:
            yield client

    return entered()


@contextmanager
def dropped() -> Iterator[None]:
    """What is unreachable afterwards is collected within; nobody is told of its warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()


def made_in(library: Library, method: str, finding: Finding) -> bool:
    """Whether the place of a finding is the one line of a method of the description."""
    function = getattr(type(library), method)
    place = finding.origin.place
    assert place is not None
    return (place.path, place.function) == (inspect.getfile(function), function.__qualname__)


def opening(library: Library) -> str:
    """Where a client came to be: a socket is made when it is connected."""
    return "send" if library.kind == "socket" and not library.connects else "open"


# --- clients ------------------------------------------------------------------------------------------------


def test_left_open(library: Library, peer: Server, monitor: Monitor, run: Run) -> None:
    async def check() -> None:
        before = peer.counts()
        client = await done(library.open(peer))
        await done(library.send(client, peer.url))
        peer.wait_until(since=before, opened=1, open=1)
        (finding,) = verdict(monitor)
        assert finding.kind == f"unclosed-{library.kind}"
        assert finding.object == library.object
        assert made_in(library, opening(library), finding)
        (connection,) = finding.connections
        assert connection.status == "ESTABLISHED"
        assert [int(connection.local.rpartition(":")[2])] == [peer.port for peer in peer.peers(before)]
        await done(library.close(client))
        del client
        peer.wait_until(since=before, open=0)

    run(check)


@pytest.mark.needs("dropping")
def test_dropped(library: Library, peer: Server, monitor: Monitor, run: Run) -> None:
    async def check() -> None:
        client = await done(library.open(peer))
        await done(library.send(client, peer.url))

    before = peer.counts()
    with dropped():
        run(check)
    peer.wait_until(since=before, opened=1, open=0)
    (finding,) = verdict(monitor)
    assert (finding.kind, finding.object) == (f"unclosed-{library.kind}", library.object)
    assert made_in(library, opening(library), finding)
    assert "dropped" in finding.message


def test_closed(library: Library, peer: Server, monitor: Monitor, run: Run) -> None:
    async def check() -> None:
        client = await done(library.open(peer))
        await done(library.send(client, peer.url))
        await done(library.close(client))
        await done(library.close(client))

    before = peer.counts()
    run(check)
    assert verdict(monitor) == []
    peer.wait_until(since=before, opened=1, open=0)


@pytest.mark.needs("block")
def test_closed_by_its_block(library: Library, peer: Server, monitor: Monitor, run: Run) -> None:
    async def check() -> None:
        async with within(library, peer) as client:
            await done(library.send(client, peer.url))
            await done(library.send(client, peer.url))

    before = peer.counts()
    run(check)
    assert verdict(monitor) == []
    peer.wait_until(since=before, opened=1, open=0)


@pytest.mark.needs("block")
def test_closed_by_a_failing_block(library: Library, peer: Server, monitor: Monitor, run: Run) -> None:
    async def check() -> None:
        async with within(library, peer) as client:
            await done(library.send(client, peer.url))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(check)
    assert verdict(monitor) == []


@pytest.mark.parametrize("closed", [True, False])
def test_never_used(library: Library, peer: Server, monitor: Monitor, run: Run, closed: bool) -> None:
    async def check() -> None:
        client = await done(library.open(peer))
        if closed:
            await done(library.close(client))
        expected = [] if closed or opening(library) == "send" else [f"unclosed-{library.kind}"]
        assert kinds(verdict(monitor)) == expected
        await done(library.close(client))

    run(check)


def test_used_after_it_was_closed(library: Library, peer: Server, monitor: Monitor, run: Run) -> None:
    async def check() -> None:
        client = await done(library.open(peer))
        await done(library.send(client, peer.url))
        await done(library.close(client))
        with suppress(Exception):  # most refuse
            await done(library.send(client, peer.url))
        assert kinds(verdict(monitor)) == [f"unclosed-{library.kind}"] * library.reopens
        await done(library.close(client))

    run(check)


@pytest.mark.needs("threads")
def test_closed_by_another_thread(library: Library, peer: Server, monitor: Monitor, run: Run) -> None:
    client = library.open(peer)
    library.send(client, peer.url)

    def close_soon() -> None:
        time.sleep(0.05)
        library.close(client)

    thread = threading.Thread(target=close_soon)
    thread.start()
    assert verdict(monitor) == []
    thread.join()


def test_closed_in_its_thread(library: Library, peer: Server, monitor: Monitor, run: Run) -> None:
    async def check() -> None:
        client = await done(library.open(peer))
        await done(library.send(client, peer.url))
        await done(library.close(client))

    thread = threading.Thread(target=run, args=(check,))
    thread.start()
    thread.join()
    assert verdict(monitor) == []


@pytest.mark.needs("dropping")
def test_dropped_in_its_thread(library: Library, peer: Server, monitor: Monitor, run: Run) -> None:
    async def check() -> None:
        client = await done(library.open(peer))
        await done(library.send(client, peer.url))

    with dropped():
        thread = threading.Thread(target=run, args=(check,))
        thread.start()
        thread.join()
    (finding,) = verdict(monitor)
    assert finding.kind == f"unclosed-{library.kind}"
    assert made_in(library, opening(library), finding)


@pytest.mark.needs("refused")
def test_nobody_listens(library: Library, peer: Server, monitor: Monitor, run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

    async def check() -> None:
        client = await done(library.open(peer))
        if library.object == "urllib3.HTTPConnectionPool":
            client.port = port
        with pytest.raises(library.refused):
            await done(library.send(client, f"http://127.0.0.1:{port}/"))
        await done(library.close(client))

    run(check)
    assert verdict(monitor) == []


# --- responses ----------------------------------------------------------------------------------------------


@pytest.mark.needs("stream")
def test_stream_left_unread(library: Library, peer: Server, monitor: Monitor, run: Run) -> None:
    async def check() -> None:
        client = await done(library.open(peer))
        response = await done(library.stream(client, f"{peer.url}/size/3000000"))
        await done(library.close(client))
        (finding,) = verdict(monitor)
        assert (finding.kind, finding.object) == ("unclosed-response", library.response)
        assert made_in(library, "stream", finding)
        assert len(finding.connections) == 1
        await done(library.close_response(response))

    before = peer.counts()
    with dropped():
        run(check)
    peer.wait_until(since=before, opened=1, open=0)


@pytest.mark.needs("stream")
def test_stream_dropped(library: Library, peer: Server, monitor: Monitor, run: Run) -> None:
    async def check() -> None:
        client = await done(library.open(peer))
        await done(library.stream(client, f"{peer.url}/size/3000000"))
        await done(library.close(client))

    with dropped():
        run(check)
    (finding,) = verdict(monitor)
    assert finding.kind == "unclosed-response"
    assert made_in(library, "stream", finding)


@pytest.mark.needs("stream")
@pytest.mark.parametrize("path", ["size/100000", "parts/5", "until-eof/1000", "zipped/1000", "code/204", "hops/2"])
@pytest.mark.parametrize("end", ["read", "close_response"])
def test_stream_ended(library: Library, peer: Server, monitor: Monitor, run: Run, path: str, end: str) -> None:
    async def check() -> None:
        client = await done(library.open(peer))
        response = await done(library.stream(client, f"{peer.url}/{path}"))
        await done(getattr(library, end)(response))
        await done(library.close(client))

    before = peer.counts()
    with dropped():
        run(check)
    assert verdict(monitor) == []
    peer.wait_until(since=before, open=0)


@pytest.mark.needs("stream")
def test_client_and_stream_are_two_mistakes(library: Library, peer: Server, monitor: Monitor, run: Run) -> None:
    async def check() -> None:
        client = await done(library.open(peer))
        response = await done(library.stream(client, f"{peer.url}/size/3000000"))
        assert kinds(verdict(monitor)) == [f"unclosed-{library.kind}", "unclosed-response"]
        await done(library.close_response(response))
        await done(library.close(client))

    run(check)


# --- time ---------------------------------------------------------------------------------------------------


@pytest.mark.needs("send_within")
def test_limited(library: Library, peer: Server, monitor: Monitor, run: Run) -> None:
    async def check() -> None:
        client = await done(library.open(peer))
        for limit in library.limits:
            await done(library.send_within(client, peer.url, limit))
        await done(library.close(client))

    run(check)
    assert verdict(monitor) == []


@pytest.mark.needs("send_within")
def test_unlimited(library: Library, peer: Server, monitor: Monitor, run: Run) -> None:
    async def check() -> None:
        client = await done(library.open(peer))
        for limit in library.no_limits:
            await done(library.send_within(client, peer.url, limit))
        await done(library.close(client))

    run(check)
    (finding,) = verdict(monitor)
    assert (finding.kind, finding.count) == ("missing-timeout", len(library.no_limits))
    assert made_in(library, "send_within", finding)


@pytest.mark.needs("send_within")
@pytest.mark.parametrize("path", ["hops/3", "code/500", "last"])
def test_one_call_is_one_request(library: Library, peer: Server, monitor: Monitor, run: Run, path: str) -> None:
    async def check() -> None:
        client = await done(library.open(peer))
        await done(library.send_within(client, f"{peer.url}/{path}", library.no_limits[0]))
        await done(library.close(client))

    run(check)
    (finding,) = verdict(monitor)
    assert (finding.kind, finding.count) == ("missing-timeout", 1)


@pytest.mark.needs("sending")
def test_in_tasks_the_line_is_where_they_were_made(
    library: Library, peer: Server, monitor: Monitor, way: Way, run: Run
) -> None:
    line = sys.maxsize

    async def check() -> None:
        nonlocal line
        client = await done(library.open(peer))
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                line = inspect.currentframe().f_lineno + 1  # type: ignore[union-attr]  # CPython has frames
                tasks.start_soon(library.sending, client, peer.url)
        await done(library.close(client))

    run(check)
    (finding,) = verdict(monitor)
    assert finding.origin.place is not None
    assert (finding.kind, finding.count) == ("missing-timeout", 3)
    assert (finding.origin.place.path, finding.origin.place.line) == (__file__, line)


# --- nothing is left of it ----------------------------------------------------------------------------------


def test_it_looks_as_ever_and_is_put_back(library: Library) -> None:
    watched = importlib.import_module(f"pytest_connleak.instrumentation.{library.instrumentation}").instrumentation
    targets = []
    for observer in watched.observers:
        if not observer.optional and observer.module in sys.modules:
            owner, name = observer.find(sys.modules[observer.module])
            targets.append((owner, name, vars(owner).get(name)))
    assert targets or not watched.observers
    before = [_looks(owner, name) for owner, name, _ in targets]
    monitor = Monitor(".")
    monitor.start()
    try:
        assert [_looks(owner, name) for owner, name, _ in targets] == before
        assert all(vars(owner)[name] is not original for owner, name, original in targets)
    finally:
        monitor.stop()
    assert all(vars(owner).get(name) is original for owner, name, original in targets)


def _looks(owner: Any, name: str) -> tuple[object, ...]:
    """What a program could ask about a method."""
    method = getattr(owner, name)
    signature = None
    with suppress(ValueError):  # written in C
        signature = inspect.signature(method)
    return (
        signature,
        inspect.iscoroutinefunction(method),
        inspect.isgeneratorfunction(method),
        method.__name__,
        method.__qualname__,
        method.__module__,
        method.__doc__,
    )


# --- what is counted ----------------------------------------------------------------------------------------


def row(counting: Monitor, peer: Server) -> Traffic:
    """What was counted for a server, by one library; no part may have failed over it."""
    (row,) = (row for row in counting.traffic if row.host == peer.url)
    assert counting.faults == {}
    return row


@pytest.mark.needs("counted", "send", "close")
def test_what_is_counted_is_what_the_server_saw(library: Library, peer: Server, counting: Monitor, run: Run) -> None:
    async def check() -> None:
        for requests in (3, 1, 1):
            client = await done(library.open(peer))
            for _ in range(requests):
                await done(library.send(client, peer.url))
            await done(library.close(client))

    before = peer.counts()
    run(check)
    saw, counted = peer.counts(before), row(counting, peer)
    assert (counted.requests, counted.opened) == (saw.requests, saw.opened) == (5, 3)
    assert (counted.sessions, counted.reused) == (3, 2)
    assert (counted.ended, counted.dropped, counted.discarded, counted.waits) == (0, 0, 0, 0)
    assert counted.versions == ("HTTP/2" if peer.ca else "HTTP/1.1",)
    assert counted.library == library.object.partition(".")[0]
    assert sum(made.sessions for made in counted.made) == 3
    path = Path(inspect.getfile(type(library).open)).relative_to(Path(__file__).parents[1]).as_posix()
    assert {made.place.rpartition(":")[0] for made in counted.made} == {path}
    assert {made.object for made in counted.made} == {library.object}


@pytest.mark.needs("counted", "plain", "send", "close")
def test_what_nginx_drops(library: Library, counting: Monitor, nginx: Nginx, run: Run, way: Way) -> None:
    server = nginx(0.1)
    server.wait_until(open=0)

    async def check() -> None:
        client = await done(library.open(server))
        await done(library.send(client, server.url))
        await blocking(way, lambda: server.wait_until(since=before, opened=1, open=0))  # idle for too long
        await done(library.send(client, server.url))
        await done(library.close(client))

    before = server.counts()
    run(check)
    counted = row(counting, server)
    assert counted.opened == server.counts(before).opened == 2
    assert (counted.dropped, counted.reused, counted.ended, counted.discarded) == (1, 0, 0, 0)
    assert counted.dropped_after is not None
    assert 0.09 < counted.dropped_after < 5
    assert counted.kept_for is None


@pytest.mark.needs("counted", "plain", "send", "close")
def test_what_nginx_ends_with_its_answer(library: Library, counting: Monitor, nginx: Nginx, run: Run) -> None:
    server = nginx(5, 2)
    assert server.log is not None
    log = Path(server.log)
    before = len(log.read_text().splitlines()) if log.exists() else 0

    async def check() -> None:
        client = await done(library.open(server))
        for _ in range(5):
            await done(library.send(client, server.url))
        await done(library.close(client))

    run(check)
    counted = row(counting, server)
    while len(log.read_text().splitlines()) < before + 5:  # it logs what it has answered
        time.sleep(0.001)
    requests = [line.split() for line in log.read_text().splitlines()[before:]]
    assert [how_manyth for _, how_manyth in requests] == ["1", "2", "1", "2", "1"]
    assert counted.opened == len({connection for connection, _ in requests}) == 3
    assert (counted.requests, counted.reused, counted.ended, counted.dropped) == (5, 2, 2, 0)
    assert counted.kept_for is not None


async def blocking(way: Way, wait: Callable[[], Any]) -> None:
    """Wait for a server, while the event loop turns."""
    if not way.backend:
        wait()
        return
    with ThreadPoolExecutor(1) as thread:  # anyio's own threads need a newer trio than the oldest that is supported
        waiting = thread.submit(wait)
        while not waiting.done():
            await anyio.sleep(0.001)
        waiting.result()
