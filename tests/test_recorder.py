"""What the recorder counts of requests in a row."""

from __future__ import annotations

import gc
import weakref

import pytest

from pytest_connleak import recorder
from pytest_connleak.ledger import Ledger
from pytest_connleak.model import Closed, Opened, Sent
from pytest_connleak.recorder import Known, Recorder
from watching import TEST


class Client:
    pass


@pytest.fixture
def events() -> Recorder:
    made = Recorder()
    made.owner = TEST
    return made


@pytest.fixture
def clients() -> list[Client]:
    """They live as long as the test."""
    return [Client() for _ in range(5)]


def opened(events: Recorder, clients: list[Client]) -> list[Known]:
    known = [events.opened(client, "session", "library") for client in clients]
    return [each for each in known if each is not None]


def kinds(events: Recorder) -> list[object]:
    return [event.requests if isinstance(event, Sent) else type(event) for event in events.hand_over()]


def test_requests_in_a_row_are_one_event_of_each_client(events: Recorder, clients: list[Client]) -> None:
    one, other = opened(events, clients[:2])
    for _ in range(3):
        events.sent(one, None)
        events.sent(other, None)
    assert kinds(events) == [Opened, Opened, 3, 3]


def test_what_happens_in_between_ends_the_row(events: Recorder, clients: list[Client]) -> None:
    one, other = opened(events, clients[:2])
    events.sent(one, None)
    events.sent(other, None)
    events.closed(clients[0])
    events.sent(other, None)
    events.sent(one, None)
    events.sent(other, None)
    assert kinds(events) == [Opened, Opened, 1, 1, Closed, 2, 1]


def test_what_was_handed_over_is_counted_no_more(events: Recorder, clients: list[Client]) -> None:
    (one,) = opened(events, clients[:1])
    events.sent(one, None)
    assert kinds(events) == [Opened, 1]
    events.sent(one, None)
    events.sent(one, None)
    assert kinds(events) == [2]


def test_another_owner_ends_the_row(events: Recorder, clients: list[Client]) -> None:
    (one,) = opened(events, clients[:1])
    events.sent(one, None)
    events.owner = TEST._replace(nodeid="another")
    events.sent(one, None)
    assert kinds(events) == [Opened, 1, 1]


def test_none_is_lost_where_events_are_handed_over_early(
    events: Recorder, clients: list[Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "MAX_WAITING", 3)
    ledger = Ledger()
    events.on_full = lambda: ledger.apply(events.hand_over())
    known = opened(events, clients)
    for _ in range(7):
        for client in known:
            events.sent(client, None)
    ledger.apply(events.hand_over())
    assert [resource.requests for resource in ledger.evidence([TEST]).resources] == [7] * 5


def test_a_million_requests_are_no_million_events(events: Recorder, clients: list[Client]) -> None:
    (one,) = opened(events, clients[:1])
    for _ in range(10_000):
        events.sent(one, None)
    assert len(events.events) == 2


def test_the_name_of_a_class_keeps_no_class_alive(events: Recorder) -> None:
    class Client: ...

    assert [events.name_of(Client) for _ in range(2)] == [f"{__name__}.{Client.__qualname__}"] * 2
    reference = weakref.ref(Client)
    del Client
    gc.collect()
    assert reference() is None
    assert events._class_names == {}
