"""The ledger: its table, and any sequence of events against a small model that was made independently."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_connleak.ledger import MAX_CONNECTIONS, TRANSITIONS, Ledger
from pytest_connleak.model import (
    PROCESS,
    Abandoned,
    Adopted,
    Closed,
    Collected,
    Connected,
    Connection,
    Disowned,
    Event,
    Limits,
    Opened,
    Owner,
    Released,
    ResourceKind,
    Sent,
    State,
    Unlimited,
)

TEST = Owner("test_a.py::test_a", "function")
LATER = Owner("test_a.py::test_b", "function")


def opened(number: int, kind: ResourceKind = "session", *, owner: Owner = TEST, accepted: bool = False) -> Opened:
    traits = frozenset({"accepted"} if accepted else ())
    return Opened(number, kind, f"a {kind}", "requests", (), owner, owner.nodeid, traits)


def open_numbers(ledger: Ledger, *owners: Owner) -> list[int]:
    return [tracked.id for tracked in ledger.evidence(owners or (TEST,)).resources]


def ledger_after(*events: Event) -> Ledger:
    ledger = Ledger()
    ledger.apply(events)
    return ledger


PATHS_TO: dict[State, tuple[Event, ...]] = {
    State.OPEN: (),
    State.RELEASED: (Released(1),),
    State.CLOSED: (Closed(1),),
    State.COLLECTED: (Collected(1),),
    State.ABANDONED: (Abandoned(1),),
}
EVENTS: tuple[Event, ...] = (Sent(1, TEST, True), Released(1), Closed(1), Abandoned(1), Collected(1))


@pytest.mark.parametrize("event", EVENTS, ids=lambda e: type(e).__name__)
@pytest.mark.parametrize("state", PATHS_TO, ids=lambda s: s.value)
def test_the_table_is_what_the_ledger_does(state: State, event: Event) -> None:
    ledger = ledger_after(opened(1), *PATHS_TO[state], event)
    after = TRANSITIONS.get((state, type(event)), state)
    suspected = after in (State.OPEN, State.COLLECTED, State.ABANDONED)
    assert open_numbers(ledger) == ([1] if suspected else [])


# --- one session and its pools, against a model ---------------------------------------------------------


@dataclass
class Model:
    """A session with two adapters, told in words: it is open if something could still be closed."""

    closed: bool = False
    dirty: dict[int, bool] = field(default_factory=lambda: {2: False, 3: False})
    """Per pool, whether a connection may be in it."""
    shut: dict[int, bool] = field(default_factory=lambda: {2: False, 3: False})

    def send(self, pool: int) -> list[Event]:
        self.closed, self.dirty[pool], self.shut[pool] = False, True, False
        return [Sent(1, TEST, True), Sent(pool, TEST, True)]

    def shut_pool(self, pool: int) -> list[Event]:
        self.dirty[pool], self.shut[pool] = False, True
        self.closed = self.closed or all(self.shut.values())
        return [Closed(pool)]

    def close(self) -> list[Event]:
        events = [*self.shut_pool(2), *self.shut_pool(3), Closed(1)]
        self.closed = True
        return events

    def close_without_effect(self) -> list[Event]:
        self.closed = self.closed or not any(self.dirty.values())
        return [Closed(1)]


ACTIONS = {
    "send on 2": lambda m: m.send(2),
    "send on 3": lambda m: m.send(3),
    "shut 2": lambda m: m.shut_pool(2),
    "shut 3": lambda m: m.shut_pool(3),
    "close": lambda m: m.close(),
    "close without effect": lambda m: m.close_without_effect(),
}


@given(
    actions=st.lists(st.sampled_from(sorted(ACTIONS))),
    ending=st.sampled_from(["kept", "session first", "pools first", "closed by a finalizer"]),
)
def test_any_life_of_a_session(actions: list[str], ending: str) -> None:
    model = Model()
    events: list[Event] = [opened(1), opened(2, "pool"), opened(3, "pool"), Adopted(1, (2, 3))]
    for action in actions:
        events += ACTIONS[action](model)
    if ending == "session first":
        events += [Collected(1), Collected(2), Collected(3)]
    elif ending == "pools first":
        events += [Collected(2), Collected(3), Collected(1)]
    elif ending == "closed by a finalizer":
        events += [Collected(1), Collected(2), Collected(3), Closed(2), Closed(3), Closed(1)]
        model.closed = True
    assert open_numbers(ledger_after(*events)) == ([] if model.closed else [1])


@given(st.lists(st.sampled_from([Released(1), Closed(1), Collected(1)])))
def test_a_response_is_open_until_the_first_of_its_events_that_counts(events: list[Event]) -> None:
    gone = not events or isinstance(events[0], Collected)
    closed_after_all = bool(events) and isinstance(events[0], Collected) and any(isinstance(e, Closed) for e in events)
    expected = [1] if gone and not closed_after_all else []
    assert open_numbers(ledger_after(opened(1, "response"), *events)) == expected


@given(st.permutations([Collected(1), Collected(2), Collected(3)]))
def test_what_was_closed_and_collected_is_forgotten(collected: list[Event]) -> None:
    ledger = ledger_after(
        opened(1), opened(2, "pool"), opened(3, "pool"), Adopted(1, (2, 3)), Closed(2), Closed(3), Closed(1), *collected
    )
    assert ledger.owners() == ()


# --- who answers for what ---------------------------------------------------------------------------------


def test_one_mistake_is_one_suspect() -> None:
    ledger = ledger_after(
        opened(1),
        opened(2, "pool"),
        Adopted(1, (2,)),
        opened(3, "pool"),
        Adopted(2, (3,)),
        opened(4, "socket"),
        Adopted(3, (4,)),
        opened(5, "response"),
    )
    assert open_numbers(ledger) == [1, 5]


def test_a_request_through_a_pool_opens_its_manager_but_no_session() -> None:
    ledger = ledger_after(opened(1), opened(2, "pool"), Adopted(1, (2,)), opened(3, "pool"), Adopted(2, (3,)))
    ledger.apply([Closed(2), Closed(1), Sent(3, TEST, True)])
    assert open_numbers(ledger) == []
    manager = ledger_after(opened(2, "pool"), opened(3, "pool"), Adopted(2, (3,)), Closed(2), Sent(3, TEST, True))
    assert open_numbers(manager) == [2]


def test_connections_are_noted_at_all_that_answer_for_them() -> None:
    ledger = ledger_after(opened(1), opened(2, "pool"), opened(3, "socket"), Adopted(2, (3,)))
    ledger.apply([Connected(3, Connection("127.0.0.1:5", "127.0.0.1:80"), True), Adopted(1, (2,))])
    (session,) = ledger.evidence([TEST]).resources
    assert session.connected == 1
    assert session.connections == (Connection("127.0.0.1:5", "127.0.0.1:80"),)


def test_tls_makes_a_second_socket_of_the_same_connection() -> None:
    connection = Connection("127.0.0.1:5", "127.0.0.1:443")
    ledger = ledger_after(
        opened(1, "pool"), opened(2, "socket"), opened(3, "socket"), Adopted(1, (2,)), Adopted(1, (3,))
    )
    ledger.apply([Connected(2, connection, True), Connected(3, connection, False)])
    (pool,) = ledger.evidence(
        [TEST], seen={3: Connection(connection.local, connection.remote, "ESTABLISHED", 9)}
    ).resources
    assert pool.connected == 1
    assert [c.fd for c in pool.connections] == [9]


def test_many_connections_are_counted_and_few_are_kept() -> None:
    ledger = ledger_after(opened(1, "pool"))
    for number in range(2, 102):
        connection = Connection(f"127.0.0.1:{number}", "127.0.0.1:80")
        ledger.apply([opened(number, "socket"), Adopted(1, (number,)), Connected(number, connection, True)])
        ledger.apply([Closed(number), Collected(number)])
    (pool,) = ledger.evidence([TEST]).resources
    assert pool.connected == 100
    assert len(pool.connections) == MAX_CONNECTIONS


def test_the_far_end_of_an_own_connection_is_known_as_such() -> None:
    near, far = Connection("127.0.0.1:5000", "127.0.0.1:80"), Connection("127.0.0.1:80", "127.0.0.1:5000")
    ledger = ledger_after(
        opened(1, "socket"), Connected(1, near, True), opened(2, "socket", accepted=True), Connected(2, far, False)
    )
    near_end, far_end = ledger.evidence([TEST]).resources
    assert "far-end" not in near_end.traits
    assert "far-end" in far_end.traits


def test_sockets_without_an_address_are_not_each_others_far_ends() -> None:
    nowhere = Connection("", "")
    ledger = ledger_after(
        opened(1, "socket"), Connected(1, nowhere, True), opened(2, "socket"), Connected(2, nowhere, False)
    )
    assert all("far-end" not in tracked.traits for tracked in ledger.evidence([TEST]).resources)


def test_a_disowned_pool_is_its_own_again() -> None:
    ledger = ledger_after(opened(1), opened(2, "pool"), Adopted(1, (2,)), Disowned(2), Closed(1))
    assert open_numbers(ledger) == [2]
    ledger.apply([opened(3), Adopted(3, (2,))])
    assert open_numbers(ledger) == [3]


@given(st.lists(st.sampled_from([Abandoned(1), Collected(1), Closed(1)]), min_size=1))
def test_what_a_librarys_finalizer_closes_is_a_leak_unless_it_was_closed_before(events: list[Event]) -> None:
    kinds = [type(event) for event in events if type(event) is not Collected]
    closed = bool(kinds) and kinds[0] is Closed
    assert open_numbers(ledger_after(opened(1, "socket"), *events)) == ([] if closed else [1])


# --- when it is judged --------------------------------------------------------------------------------------


def test_what_was_judged_is_not_judged_again() -> None:
    ledger = ledger_after(opened(1), opened(2), Collected(2))
    ledger.settled([TEST])
    assert open_numbers(ledger) == []
    ledger.apply([Sent(1, LATER, True)])
    assert open_numbers(ledger, TEST, LATER) == []


def test_who_opens_a_closed_session_of_an_ended_scope_answers_for_it() -> None:
    ledger = ledger_after(opened(1), Closed(1))
    ledger.settled([TEST])
    ledger.apply([Sent(1, LATER, True)])
    assert open_numbers(ledger, TEST) == []
    assert open_numbers(ledger, LATER) == [1]


def test_a_moved_resource_is_judged_with_its_new_owner() -> None:
    ledger = ledger_after(opened(1))
    ledger.move(1, PROCESS)
    assert open_numbers(ledger, TEST) == []
    assert open_numbers(ledger, PROCESS) == [1]


def test_requests_without_limits_are_evidence_once() -> None:
    request = Unlimited("requests.Session", "requests", "GET", "http://x/", Limits(False, True), (), TEST, TEST.nodeid)
    ledger = ledger_after(request, request)
    assert ledger.has_suspects([TEST])
    assert len(ledger.evidence([TEST]).requests) == 2
    ledger.settled([TEST])
    assert not ledger.has_suspects([TEST])
