"""What the recorder counts of requests in a row."""

from __future__ import annotations

import pytest

from pytest_connleak import recorder
from pytest_connleak.ledger import Ledger
from pytest_connleak.model import Closed, Opened, Sent
from pytest_connleak.recorder import Recorder
from watching import TEST


class Client:
    pass


@pytest.fixture
def events() -> Recorder:
    made = Recorder()
    made.owner = TEST
    return made


def opened(events: Recorder, number: int) -> list[Client]:
    clients = [Client() for _ in range(number)]
    for client in clients:
        events.opened(client, "session", "library")
    return clients


def kinds(events: Recorder) -> list[object]:
    return [event.requests if isinstance(event, Sent) else type(event) for event in events.hand_over()]


def test_requests_in_a_row_are_one_event_of_each_client(events: Recorder) -> None:
    one, other = opened(events, 2)
    for _ in range(3):
        events.sent(one)
        events.sent(other)
    assert kinds(events) == [Opened, Opened, 3, 3]


def test_what_happens_in_between_ends_the_row(events: Recorder) -> None:
    one, other = opened(events, 2)
    events.sent(one)
    events.sent(other)
    events.closed(one)
    events.sent(other)
    events.sent(one)
    events.sent(other)
    assert kinds(events) == [Opened, Opened, 1, 1, Closed, 2, 1]


def test_what_was_handed_over_is_counted_no_more(events: Recorder) -> None:
    (one,) = opened(events, 1)
    events.sent(one)
    assert kinds(events) == [Opened, 1]
    events.sent(one)
    events.sent(one)
    assert kinds(events) == [2]


def test_another_owner_ends_the_row(events: Recorder) -> None:
    (one,) = opened(events, 1)
    events.sent(one)
    events.owner = TEST._replace(nodeid="another")
    events.sent(one)
    assert kinds(events) == [Opened, 1, 1]


def test_none_is_lost_where_events_are_handed_over_early(events: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "MAX_WAITING", 3)
    ledger = Ledger()
    events.on_full = lambda: ledger.apply(events.hand_over())
    clients = opened(events, 5)
    for _ in range(7):
        for client in clients:
            events.sent(client)
    ledger.apply(events.hand_over())
    assert [resource.requests for resource in ledger.evidence([TEST]).resources] == [7] * 5


def test_a_million_requests_are_no_million_events(events: Recorder) -> None:
    (one,) = opened(events, 1)
    for _ in range(10_000):
        events.sent(one)
    assert len(events.events) == 2
