"""What comes and goes between two looks: the books are the same whether it is entered or not."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from pytest_connleak.ledger import Ledger
from pytest_connleak.model import (
    Abandoned,
    Adopted,
    Closed,
    ClosedWith,
    Collected,
    Connected,
    Connection,
    Disowned,
    Event,
    Opened,
    Released,
    ResourceKind,
    Sent,
    Tracked,
)
from pytest_connleak.transients import lasting
from watching import TEST

KINDS: dict[int, ResourceKind] = {1: "session", 2: "pool", 3: "pool", 4: "socket", 5: "response", 6: "session"}
MAY_ADOPT = [(1, 2), (1, 3), (6, 2), (2, 3), (2, 4), (3, 4), (5, 4)]
NEAR, FAR = "127.0.0.1:5000", "127.0.0.1:80"


def opened(number: int) -> Opened:
    return Opened(number, KINDS[number], KINDS[number], "library", (), TEST, TEST.nodeid, frozenset())


def one_request() -> list[Event]:
    """What ``requests.get`` comes to."""
    return [
        *map(opened, (1, 2)),
        Adopted(1, (2,)),
        Sent(1, TEST, 1),
        opened(3),
        Adopted(2, (3,)),
        Sent(3, TEST, 0),
        opened(4),
        Adopted(3, (4,)),
        Connected(4, Connection(NEAR, FAR), True),
        *map(Closed, (4, 3, 2, 1)),
        *map(Collected, (1, 2, 3, 4)),
    ]


def books(events: Sequence[Event]) -> list[Tracked]:
    ledger = Ledger()
    ledger.apply(events)
    return list(ledger.evidence([TEST]).resources)


def test_a_request_that_left_nothing_leaves_no_event_but_its_address() -> None:
    assert lasting(one_request()) == [Connected(4, Connection(NEAR, FAR), True)]


def test_the_other_end_of_what_is_gone_is_known_as_such() -> None:
    accepted = [opened(4)._replace(id=9), Connected(9, Connection(FAR, NEAR), False)]
    (resource,) = books(lasting([*one_request(), *accepted]))
    assert resource.traits == {"far-end"}


def at(events: list[Event], kind: type[Event], number: int) -> int:
    """Where that is; events of two kinds may be equal."""
    return next(i for i, e in enumerate(events) if type(e) is kind and getattr(e, "id", None) == number)


@pytest.mark.parametrize(
    ("kind", "number"), [(Closed, 1), (Closed, 2), *((Collected, number) for number in (1, 2, 3, 4))]
)
def test_what_is_not_closed_or_not_gone_is_entered_with_all_that_belongs_to_it(kind: type[Event], number: int) -> None:
    events = one_request()
    del events[at(events, kind, number)]
    assert lasting(events) == events


@pytest.mark.parametrize("what", [Sent(3, TEST, 1), Sent(1, TEST, 1)], ids=["pool", "session"])
def test_what_is_used_again_after_it_was_closed_is_entered(what: Event) -> None:
    events = one_request()
    events.insert(at(events, Collected, 1), what)
    assert lasting(events) == events


def test_what_belongs_to_a_pool_is_closed_with_it() -> None:
    events = one_request()
    for number in (3, 4):
        del events[at(events, Closed, number)]
    assert lasting(events) == [Connected(4, Connection(NEAR, FAR), True)]


def test_a_manager_whose_pool_is_used_after_it_was_closed_is_entered() -> None:
    events = one_request()
    closed = events.pop(at(events, Closed, 2))
    events.insert(at(events, Sent, 3), closed)
    assert lasting(events) == events


def test_a_pool_that_sends_when_its_manager_is_gone_is_entered() -> None:
    """It answers for itself then, though a finalizer closes the manager yet."""
    events = [*map(opened, (2, 3)), Adopted(2, (3,)), Collected(2), Sent(3, TEST, 1), Collected(3), Closed(2)]
    assert lasting(events) == events


def test_two_that_answer_for_each_other_come_to_an_end() -> None:
    """As sessions do whose adapters have each other for their pools."""
    events = [*map(opened, (1, 6)), Adopted(1, (6,)), Adopted(6, (1,)), Sent(1, TEST, 1), *map(Collected, (1, 6))]
    assert lasting(events) == events


@pytest.mark.parametrize("what", [Abandoned(1), Disowned(3)], ids=["abandoned", "disowned"])
def test_what_has_another_life_is_entered(what: Event) -> None:
    events = one_request()
    events.insert(at(events, Closed, 4), what)
    assert lasting(events) == events


def test_what_belongs_to_something_older_is_entered() -> None:
    events = [e for e in one_request() if e != opened(1)]
    assert lasting(events) == events


@st.composite
def lives(draw: st.DrawFn) -> list[Event]:
    """A few objects, each opened once and collected at most once; what is gone sends and adopts no more."""
    events: list[Event] = []
    alive: set[int] = set()
    ever: set[int] = set()
    for _ in range(draw(st.integers(4, 40))):
        here = sorted(alive)
        choices: list[Event] = [opened(n) for n in KINDS if n not in ever]
        choices += [Adopted(p, (c,)) for p, c in MAY_ADOPT if {p, c} <= alive]
        choices += [Adopted(1, tuple(n for n in (2, 3) if n in alive))] * (1 in alive)
        for n in here:
            choices += [Closed(n)] * 2 + [Collected(n)] * 2
            choices += [Sent(n, TEST, draw(st.integers(0, 1)))] * (KINDS[n] in ("session", "pool"))
            choices += [Released(n)] * (KINDS[n] == "response") + [Disowned(n)] * (n == 2)
            if n == 4:
                connection = Connection(*draw(st.permutations([NEAR, FAR])))
                choices += [Connected(4, connection, draw(st.booleans())), ClosedWith(4), Abandoned(4)]
        choices += [Closed(n) for n in sorted(ever - alive)]  # by a finalizer
        choices += [Released(n) for n in sorted(ever - alive) if KINDS[n] == "response"]  # its connection is returned
        chosen = draw(st.sampled_from(choices))
        if isinstance(chosen, Opened):
            alive.add(chosen.id)
            ever.add(chosen.id)
        elif isinstance(chosen, Collected):
            alive.discard(chosen.id)
        events.append(chosen)
    return events


@settings(max_examples=200)
@given(lives(), st.data())
def test_the_books_are_the_same(events: list[Event], data: st.DataObject) -> None:
    """However often it is looked."""
    cut = data.draw(st.integers(0, len(events)))
    entered, left_out = Ledger(), Ledger()
    for part in (events[:cut], events[cut:]):
        lasts = lasting(part)
        event("something passes" if len(lasts) < len(part) else "nothing passes")
        entered.apply(part)
        left_out.apply(lasts)
    assert left_out.evidence([TEST]) == entered.evidence([TEST])
