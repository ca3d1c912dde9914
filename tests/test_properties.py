"""Programs that nobody thought of: against an independent model, and beside the server's own count.

``python -m pytest tests/test_properties.py`` runs the same few each time; ``CONNLEAK_EXAMPLES=10000`` runs so many new
ones.  At the end, the plugin is broken on purpose, to see that it would be noticed.
"""

from __future__ import annotations

import copy
import gc
import os
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import requests
import urllib3
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from requests.adapters import HTTPAdapter

from heap import small_heap
from programs import PROGRAMS, Program, difference, run
from pytest_connleak import garbage, ledger
from pytest_connleak.holders import Search
from pytest_connleak.ledger import Ledger
from pytest_connleak.model import Closed, Finding, Released, Sent, State
from pytest_connleak.monitor import Monitor
from pytest_connleak.recorder import Recorder
from servers import Server
from watching import TEST

# Dropped sockets are what it is about.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

MANY = int(os.environ.get("CONNLEAK_EXAMPLES", "0"))


def examples(number: int, **options: Any) -> settings:
    """The same examples each time, or many new ones; how long one takes is for the machine to say."""
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    few = {"max_examples": MANY or number, "derandomize": not MANY, "database": None, "deadline": None}
    return settings(**{**few, "suppress_health_check": slow, **options})


@pytest.fixture(autouse=True, scope="module")
def heap() -> Iterator[None]:
    """What dies in an example is of that example, and a search for holders looks at nothing else."""
    gc.collect()
    gc.disable()
    with small_heap():
        yield
    gc.enable()


# --- against the model ----------------------------------------------------------------------------------------


def check_programs(
    server: Server, number: int = 150, error: type[BaseException] = AssertionError, **options: Any
) -> None:
    """What is found for a program is what the model says: kind, line, scope, test, status and count."""

    @examples(number, **options)
    @given(PROGRAMS)
    def check(program: Program) -> None:
        found = run(program, server.url)
        if found != program.expected:
            raise error(difference(program, found))

    check()


def test_any_program(server: Server) -> None:
    check_programs(server)


# --- beside the server ----------------------------------------------------------------------------------------

OPEN: dict[str, Callable[[Server], Any]] = {
    "session": lambda server: requests.Session(),
    "manager": lambda server: urllib3.PoolManager(),
    "pool": lambda server: urllib3.HTTPConnectionPool("127.0.0.1", server.port, maxsize=3),
    "client": lambda server: httpx.Client(verify=False, trust_env=False),
    "socket": lambda server: socket.create_connection(("127.0.0.1", server.port)),
}


def send(client: Any, url: str, *, stream: bool = False) -> Any:
    """A request with a limit, in the words of each library; None from what is closed for good."""
    if isinstance(client, requests.Session):
        return client.get(url, stream=stream, timeout=5)
    if isinstance(client, httpx.Client):
        return None if client.is_closed else client.send(client.build_request("GET", url), stream=stream)
    if isinstance(client, urllib3.PoolManager):
        return client.request("GET", url, preload_content=not stream, timeout=5)
    if isinstance(client, urllib3.HTTPConnectionPool) and client.pool is not None:
        return client.request("GET", "/", preload_content=not stream, timeout=5)
    return None


def close(client: Any) -> None:
    (client.clear if isinstance(client, urllib3.PoolManager) else client.close)()


class Witnessed(RuleBasedStateMachine):
    """A test that opens, sends, copies, closes and forgets; at its end plugin and server are asked what is open.

    What is read or closed is let go at once, since a response that is kept pins its connection, which is no finding.
    """

    forgets = True

    def __init__(self, server: Server):
        super().__init__()
        gc.collect()
        gc.freeze()
        self.server, self.before = server, server.counts()
        self.clients: list[Any] = []
        self.streams: list[tuple[Any, Any]] = []
        """Each response, with the client of httpx that it is from."""
        self.monitor = Monitor("/somewhere")
        self.monitor.start()
        self.monitor.tests_begin()
        self.owned = self.monitor.owned_by(TEST, TEST.nodeid)
        self.owned.__enter__()

    @rule(kind=st.sampled_from(sorted(OPEN)))
    def open(self, kind: str) -> None:
        self.clients.append(OPEN[kind](self.server))

    @precondition(lambda self: self.clients)
    @rule(which=st.integers(0, 3), stream=st.booleans(), thread=st.booleans())
    def send(self, which: int, stream: bool, thread: bool) -> None:
        client = self.clients[which % len(self.clients)]
        got: list[Any] = []
        sending = threading.Thread(target=lambda: got.append(send(client, self.server.url, stream=stream)))
        sending.start() if thread else sending.run()
        if thread:
            sending.join()
        if stream and got[0] is not None:
            self.streams.append((client if isinstance(client, httpx.Client) else None, got[0]))

    @precondition(lambda self: self.streams)
    @rule(which=st.integers(0, 3), read=st.booleans())
    def finish(self, which: int, read: bool) -> None:
        _, response = self.streams.pop(which % len(self.streams))
        if not read:
            response.close()
        elif isinstance(response, requests.Response):
            assert response.content == b"hello"
        else:
            assert response.read() == b"hello"

    @precondition(lambda self: self.clients)
    @rule(which=st.integers(0, 3))
    def close(self, which: int) -> None:
        client = self.clients[which % len(self.clients)]
        self._close(client)

    @precondition(lambda self: self.clients)
    @rule(which=st.integers(0, 3))
    def copy(self, which: int) -> None:
        client = self.clients[which % len(self.clients)]
        if isinstance(client, requests.Session):
            self.clients.append(copy.copy(client))

    @precondition(lambda self: self.clients)
    @rule(which=st.integers(0, 3))
    def mount(self, which: int) -> None:
        """It closes what it displaces, for that is what nobody else does."""
        client = self.clients[which % len(self.clients)]
        if isinstance(client, requests.Session):
            client.get_adapter("http://").close()
            client.mount("http://", HTTPAdapter())

    @precondition(lambda self: self.clients)
    @rule(which=st.integers(0, 3))
    def forget(self, which: int) -> None:
        client = self.clients.pop(which % len(self.clients))
        if not self.forgets:
            self._close(client)

    @precondition(lambda self: self.forgets and self.streams)
    @rule(which=st.integers(0, 3))
    def forget_response(self, which: int) -> None:
        self.streams.pop(which % len(self.streams))

    def _close(self, client: Any) -> None:
        """What a client of httpx leaves of its streams cannot be read any more.

        An unread response of urllib3 pins its pool, and so the idle connections in it, which are no finding; copies of
        a session share theirs.
        """
        for of, response in self.streams:
            if of is None if not isinstance(client, httpx.Client) else (of is client and not self.forgets):
                response.close()
        ended = client if isinstance(client, httpx.Client) else None
        self.streams = [(of, response) for of, response in self.streams if of is not ended]
        close(client)

    def teardown(self) -> None:
        try:
            if not self.forgets:
                for thing in [response for _, response in self.streams] + self.clients:
                    close(thing)
                self.streams.clear()
            gc.collect()
            findings = self.monitor.settle([TEST]).findings
            assert self.monitor.faults == {}
            self.compare(findings)
        finally:
            self.owned.__exit__(None, None, None)
            self.monitor.stop()
            self.clients.clear()
            self.streams.clear()

    def compare(self, findings: tuple[Finding, ...]) -> None:
        """Every connection that the server counts as open is listed, none else as open, and none that it never saw."""
        listed = {(port(c.local), c.fd is not None) for finding in findings for c in finding.connections}
        self.server.wait_until(since=self.before, open=sum(is_open for _, is_open in listed))
        seen = {(peer.port, peer.open) for peer in self.server.peers(self.before)}
        assert listed <= seen
        assert {p for p, is_open in listed if is_open} == {p for p, is_open in seen if is_open}
        if not self.forgets:
            assert findings == ()


class Tidy(Witnessed):
    """The same with all that is opened being closed: nothing is found, and the server counts nothing open."""

    forgets = False


class Noticed(BaseException):
    """The one failure that is asked for; it is no ``Exception``, which hypothesis would run again, twice."""


class Both(Witnessed):
    """The one or the other, until something is noticed."""

    @initialize(forgets=st.booleans())
    def choose(self, forgets: bool) -> None:
        self.forgets = forgets

    def compare(self, findings: tuple[Finding, ...]) -> None:
        try:
            super().compare(findings)
        except AssertionError as error:
            raise Noticed from error


def port(address: str) -> int:
    return int(address.rpartition(":")[2])


def check_machine(machine: type[Witnessed], server: Server, number: int = 40, **options: Any) -> None:
    run_state_machine_as_test(lambda: machine(server), settings=examples(number, stateful_step_count=15, **options))


@pytest.mark.parametrize("machine", [Witnessed, Tidy])
def test_what_is_open_is_what_the_server_counts(machine: type[Witnessed], server: Server) -> None:
    check_machine(machine, server)


# --- and with the plugin broken ---------------------------------------------------------------------------------


def nothing(*_: Any, **__: Any) -> Any:
    """What a part does that is left out."""


def without(*transition: Any) -> tuple[str, Callable[[pytest.MonkeyPatch], None]]:
    """The ledger forgets what an event means."""
    state, event = transition
    return f"{state.value}, {event.__name__}", lambda patch: patch.delitem(ledger.TRANSITIONS, transition)


def broken(owner: Any, name: str, part: Any = nothing) -> tuple[str, Callable[[pytest.MonkeyPatch], None]]:
    """A part does nothing, or something else."""
    return f"{owner.__name__.rpartition('.')[2]}.{name}", lambda patch: patch.setattr(owner, name, part)


# Not among them: (OPEN, Collected), since what is dropped is as unclosed as before and only the wording differs;
# (RELEASED, Closed), which leads from one state that is no finding to another; and Abandoned, which is said of
# finalizers in asyncio and others that no program here uses.
BREAKS_PROGRAMS = dict(
    [
        without(State.OPEN, Released),
        without(State.OPEN, Closed),
        without(State.CLOSED, Sent),
        without(State.COLLECTED, Closed),
        broken(Recorder, "closed"),
        broken(Recorder, "sent"),
        broken(Recorder, "adopted"),
        broken(Recorder, "adopted_one"),
        broken(Recorder, "_living_or_dying", Recorder.known),
        broken(Recorder, "passes"),
        broken(Ledger, "move"),
        broken(Ledger, "settled"),
        broken(Ledger, "_parents", lambda *_: iter(())),
        broken(Ledger, "_open_children", lambda *_: []),
        broken(Ledger, "is_unclosed"),
        broken(Search, "holder"),
        broken(garbage, "collect", lambda *_, **__: True),
    ]
)
BREAKS_COUNTS = dict(
    [
        without(State.OPEN, Released),
        without(State.OPEN, Closed),
        broken(Recorder, "closed"),
        broken(Recorder, "connected"),
        broken(Monitor, "_seen", lambda *_: {}),
    ]
)
ONCE: dict[str, Any] = {"phases": [Phase.generate], "max_examples": 1000}


@pytest.mark.parametrize("breaks", BREAKS_PROGRAMS.values(), ids=BREAKS_PROGRAMS)
def test_a_broken_part_is_noticed_by_a_program(breaks: Any, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    breaks(monkeypatch)
    with pytest.raises(Noticed):
        check_programs(server, error=Noticed, **ONCE)


@pytest.mark.parametrize("breaks", BREAKS_COUNTS.values(), ids=BREAKS_COUNTS)
def test_a_broken_part_is_noticed_by_the_count(breaks: Any, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    breaks(monkeypatch)
    with pytest.raises(Noticed):
        check_machine(Both, server, **ONCE)
