"""The relay changes nothing of what is said, and sees each connection, each close, and each that nobody closed."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator

import pytest
import requests

from servers import Server, relay_server
from servers.checking import LARGE, TIMEOUT, ask, assert_seen_open, connected, read_to_end

HOST = "127.0.0.1"


@contextlib.contextmanager
def through() -> Iterator[tuple[Server, socket.socket, socket.socket]]:
    """A relay, a connection to it, and what the server behind has of that connection."""
    with socket.create_server((HOST, 0)) as listener, relay_server(*listener.getsockname()) as relay:
        listener.settimeout(TIMEOUT)
        with connected(relay.port) as near:
            far = listener.accept()[0]
            far.settimeout(TIMEOUT)
            with far:
                yield relay, near, far


def reset(connection: socket.socket) -> None:
    """Close a connection without a goodbye."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def test_both_count_the_same(relay: Callable[..., Server], server: Server) -> None:
    relayed = relay(HOST, server.port)
    before, before_behind = relayed.counts(), server.counts()
    with requests.Session() as session:
        for path, length in (("size/3", 3), ("parts/3", 15), (f"size/{LARGE}", LARGE)):
            assert len(session.get(f"http://{HOST}:{relayed.port}/{path}", timeout=TIMEOUT).content) == length
        assert_seen_open(relayed, before)
        assert_seen_open(server, before_behind)
    relayed.wait_until(since=before, opened=1, open=0, closed=1, requests=0)
    server.wait_until(since=before_behind, opened=1, open=0, closed=1, requests=3)


def test_connections_by_port(relay: Callable[..., Server], server: Server) -> None:
    relayed = relay(HOST, server.port)
    before = relayed.counts()
    with connected(relayed.port) as first, connected(relayed.port) as second:
        relayed.wait_until(since=before, opened=2, open=2)
        ports = {connection.getsockname()[1] for connection in (first, second)}
        assert {peer.port for peer in relayed.peers() if peer.open} == ports
    relayed.wait_until(since=before, open=0)


def test_many_at_once(relay: Callable[..., Server], server: Server) -> None:
    relayed = relay(HOST, server.port)
    before = relayed.counts()
    with contextlib.ExitStack() as stack:
        for _ in range(50):
            ask(stack.enter_context(connected(relayed.port)), "/size/10")
        relayed.wait_until(since=before, opened=50, open=50)
    relayed.wait_until(since=before, opened=50, open=0)


@pytest.mark.parametrize("path", ["endless", "wait/60", "drip/2/120", f"size/{LARGE}"])
def test_a_client_that_does_not_wait(relay: Callable[..., Server], server: Server, path: str) -> None:
    relayed = relay(HOST, server.port)
    before, before_behind = relayed.counts(), server.counts()
    with connected(relayed.port) as connection:
        ask(connection, f"/{path}")
        server.wait_until(since=before_behind, opened=1, open=1, requests=1)
        assert_seen_open(relayed, before)
    relayed.wait_until(since=before, opened=1, open=0)
    server.wait_until(since=before_behind, opened=1, open=0)


@pytest.mark.parametrize("path", ["/last", "/hang-up", "/until-eof/3", "/cut/10", "/reset"])
def test_what_the_server_closed_first_is_open_until_the_client_closes(
    relay: Callable[..., Server], server: Server, path: str
) -> None:
    relayed = relay(HOST, server.port)
    before = relayed.counts()
    with connected(relayed.port) as connection:
        ask(connection, path)
        read_to_end(connection)
        assert_seen_open(relayed, before)
    relayed.wait_until(since=before, open=0)


def test_a_client_that_has_said_all_is_still_answered() -> None:
    with through() as (relay, near, far):
        near.sendall(b"question")
        near.shutdown(socket.SHUT_WR)
        assert read_to_end(far) == b"question"
        relay.wait_until(opened=1, open=0)
        far.sendall(b"answer")
        assert near.recv(6) == b"answer"
        far.close()
        assert read_to_end(near) == b""


def test_a_server_that_has_said_all_still_listens() -> None:
    with through() as (relay, near, far):
        far.sendall(b"greeting")
        far.shutdown(socket.SHUT_WR)
        assert read_to_end(near) == b"greeting"
        assert_seen_open(relay)
        near.sendall(b"late")
        assert far.recv(4) == b"late"
        near.close()
        assert read_to_end(far) == b""
        relay.wait_until(opened=1, open=0)


def test_a_client_that_resets_has_closed() -> None:
    with through() as (relay, near, far):
        assert_seen_open(relay)
        reset(near)
        assert read_to_end(far) == b""
        relay.wait_until(opened=1, open=0)


def test_a_client_that_talks_to_a_server_that_has_gone_is_open() -> None:
    with through() as (relay, near, far):
        reset(far)
        assert read_to_end(near) == b""
        for _ in range(3):
            near.sendall(b"is anybody there?")
        assert_seen_open(relay)
        near.close()
        relay.wait_until(opened=1, open=0)


def test_nothing_behind_it() -> None:
    with socket.create_server((HOST, 0)) as unused:
        port = unused.getsockname()[1]
    with relay_server(HOST, port) as relay:
        with connected(relay.port) as connection:
            assert read_to_end(connection) == b""
            assert_seen_open(relay)
        relay.wait_until(opened=1, open=0)


def test_much_in_both_directions_at_once() -> None:
    """Neither direction waits for the other: each end says all it has before it listens."""
    with through() as (relay, near, far):
        data = b"x" * LARGE

        def say_all(speaker: socket.socket) -> None:
            speaker.sendall(data)
            speaker.shutdown(socket.SHUT_WR)

        speakers = [threading.Thread(target=say_all, args=(end,), daemon=True) for end in (near, far)]
        for speaker in speakers:
            speaker.start()
        assert len(read_to_end(near)) == LARGE  # which does not wait for the other to read
        assert len(read_to_end(far)) == LARGE
        for speaker in speakers:
            speaker.join(TIMEOUT)
        relay.wait_until(opened=1, open=0)


def test_in_front_of_a_unix_socket(relay: Callable[..., Server], unix_server: Server) -> None:
    relayed = relay(unix_server.path)
    before, before_behind = relayed.counts(), unix_server.counts()
    with requests.Session() as session:
        assert session.get(f"http://{HOST}:{relayed.port}/size/3", timeout=TIMEOUT).content == b"xxx"
        assert_seen_open(relayed, before)
    relayed.wait_until(since=before, opened=1, open=0)
    unix_server.wait_until(since=before_behind, opened=1, open=0, requests=1)
