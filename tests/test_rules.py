"""The rules on evidence made by hand: no library, no socket, no pytest run."""

from __future__ import annotations

import pytest

from pytest_connleak import rules
from pytest_connleak.model import (
    Connection,
    Evidence,
    Finding,
    Frame,
    Limits,
    Origin,
    Owner,
    Request,
    ResourceKind,
    State,
    Tracked,
)
from pytest_connleak.settings import Require, Settings

TEST = Owner("test_a.py::test_a", "function")
OTHER = Owner("test_a.py::test_b", "function")
PLACE = Frame("/project/test_a.py", 7, "test_a", "test_a", user=True)
ORIGIN = Origin(PLACE, (PLACE,))
RULES = {rule.kind: rule for rule in rules.discover()}


def tracked(kind: ResourceKind, **values: object) -> Tracked:
    base = Tracked(1, kind, f"some.{kind.title()}", "some", ORIGIN, TEST, TEST.nodeid, State.OPEN)
    return base._replace(**values)  # type: ignore[arg-type]  # the fields of Tracked


def findings(*resources: Tracked, requests: tuple[Request, ...] = (), require: Require | None = None) -> list[Finding]:
    evidence = Evidence(resources, requests)
    return [f for rule in RULES.values() for f in rule.run(evidence, Settings(require=require))]


def request(limits: Limits, *, line: int = 7, owner: Owner = TEST) -> Request:
    place = PLACE._replace(line=line)
    return Request(
        "requests.Session", "requests", "GET", "http://x/", limits, Origin(place, (place,)), owner, owner.nodeid
    )


def test_the_kinds_are_those_of_the_contract() -> None:
    assert sorted(RULES) == [
        "missing-timeout",
        "unclosed-pool",
        "unclosed-response",
        "unclosed-session",
        "unclosed-socket",
    ]


@pytest.mark.parametrize("kind", ["session", "pool", "response", "socket"])
def test_each_kind_of_resource_has_one_rule(kind: ResourceKind) -> None:
    (finding,) = findings(tracked(kind))
    assert finding.kind == f"unclosed-{kind}"
    assert finding.object == f"some.{kind.title()}"
    assert finding.help


def test_nothing_is_found_in_no_evidence() -> None:
    assert findings() == []


@pytest.mark.parametrize("kind", ["session", "pool"])
@pytest.mark.parametrize(
    ("require", "by_library", "requests", "connected", "counts"),
    [
        (None, False, 0, 0, True),
        (None, True, 0, 0, False),
        (None, True, 1, 0, True),
        ("always", True, 0, 0, True),
        ("used", False, 0, 0, False),
        ("used", False, 1, 0, True),
        ("connected", False, 1, 0, False),
        ("connected", True, 1, 1, True),
    ],
)
def test_used_or_not(
    kind: ResourceKind, require: Require | None, by_library: bool, requests: int, connected: int, counts: bool
) -> None:
    resource = tracked(kind, by_library=by_library, requests=requests, connected=connected)
    assert bool(findings(resource, require=require)) is counts


def test_the_message_says_how_much_it_was_used() -> None:
    (finding,) = findings(tracked("session", state=State.COLLECTED, requests=3, connected=1))
    assert finding.message == "some.Session dropped without being closed; it sent 3 requests over 1 connection"


@pytest.mark.parametrize(
    ("traits", "state", "found"),
    [
        (set(), State.OPEN, True),
        (set(), State.COLLECTED, True),
        ({"accepted"}, State.OPEN, True),
        ({"accepted"}, State.COLLECTED, False),
        ({"accepted", "far-end"}, State.OPEN, False),
    ],
)
def test_sockets(traits: set[str], state: State, found: bool) -> None:
    assert bool(findings(tracked("socket", traits=frozenset(traits), state=state))) is found


def test_a_socket_without_a_line_says_so_and_names_its_peer() -> None:
    connection = Connection("127.0.0.1:5", "127.0.0.1:80", "ESTABLISHED", 9)
    (finding,) = findings(tracked("socket", origin=Origin(None), connections=(connection,)))
    assert "no call in Python was seen" in finding.message
    assert "127.0.0.1:80" in finding.message


@pytest.mark.parametrize(
    ("limits", "missing"),
    [
        (Limits(False, False), "connecting or reading the answer"),
        (Limits(False, True), "connecting"),
        (Limits(True, False), "reading the answer"),
    ],
)
def test_the_message_names_the_missing_limit(limits: Limits, missing: str) -> None:
    (finding,) = findings(requests=(request(limits),))
    assert finding.message == f"GET http://x/ was sent without a timeout for {missing}"


def test_one_finding_for_each_call_site_and_test() -> None:
    none = Limits(False, False)
    found = findings(
        requests=(request(none), request(none), request(none, line=8), request(none, owner=OTHER), request(none))
    )
    assert [(f.owner, f.origin.place and f.origin.place.line, f.count) for f in found] == [
        (TEST, 7, 3),
        (TEST, 8, 1),
        (OTHER, 7, 1),
    ]


def test_what_is_shared_has_that_status() -> None:
    (finding,) = findings(tracked("session", shared=True, held_by="app._session"))
    assert (finding.status, finding.held_by) == ("shared", "app._session")
