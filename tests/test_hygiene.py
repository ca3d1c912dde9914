"""What is said about how connections were used: the sentences and the table, from counts made by hand."""

from __future__ import annotations

import inspect
import re
from html import unescape
from itertools import pairwise
from json import dumps, loads
from pathlib import Path
from typing import Any

import aiohttp
import httpcore
import httpx
import pytest
import urllib3
from markdown_it import MarkdownIt
from requests.adapters import HTTPAdapter

from pytest_connleak import __main__ as commands
from pytest_connleak.formats import json, md, terminal
from pytest_connleak.hygiene import KNOBS, advice, table
from pytest_connleak.model import PROCESS, Collected, Opened
from pytest_connleak.report import Report
from pytest_connleak.traffic import MAX_PLACES, Book, Counted, Made, Traffic, total

HOST = "http://127.0.0.1:8000"


def row(library: str = "requests", **counts: Any) -> Traffic:
    """Counts of a host; of the requests, those that reused no connection opened one."""
    if "requests" in counts:
        counts.setdefault("opened", counts["requests"] - counts.get("reused", 0))
    return Traffic(HOST, library, **counts)


# --- sentences ----------------------------------------------------------------------------------------------


def test_a_session_for_each_request() -> None:
    made = (Made("requests.Session", "tests/test_api.py:12", 90), Made("requests.Session", "app.py:3", 30))
    assert [*advice(row(sessions=120, requests=120, most_in_use=1, made=made))] == [
        f"120 connections for 120 requests to {HOST}: reuse one Session (90 of 120 are made at tests/test_api.py:12)"
    ]


def test_a_place_that_made_one_session_is_none_to_begin_with() -> None:
    made = tuple(Made("requests.Session", f"tests/test_api.py:{n}", 1) for n in range(10))
    (sentence,) = advice(row(sessions=20, requests=20, made=made))
    assert sentence == f"20 connections for 20 requests to {HOST}: reuse one Session"


def test_sessions_without_a_known_place() -> None:
    made = (Made("myapp.Client", "", 20),)
    (sentence,) = advice(row(sessions=20, requests=20, made=made))
    assert sentence == f"20 connections for 20 requests to {HOST}: reuse one Client"


@pytest.mark.parametrize(
    "counts",
    [
        pytest.param({"sessions": 3, "requests": 3}, id="too few requests"),
        pytest.param({"sessions": 1, "requests": 100, "reused": 99}, id="one session"),
        pytest.param({"sessions": 20, "requests": 100, "reused": 80}, id="sessions that were reused"),
        pytest.param({"sessions": 1, "requests": 100, "most_in_use": 1}, id="unread answers, but no other session"),
        pytest.param({"sessions": 30, "requests": 30, "most_in_use": 20}, id="many were needed at once"),
        pytest.param({"sessions": 1, "requests": 90, "reused": 86, "discarded": 4}, id="a few discarded"),
        pytest.param({"sessions": 1, "requests": 90, "reused": 89, "waits": 40, "waited": 0.4}, id="short waits"),
        pytest.param({"sessions": 1, "requests": 90, "reused": 88, "dropped": 2, "dropped_after": 5.0}, id="few drops"),
        pytest.param({"sessions": 1, "requests": 9, "ended": 9}, id="few ended"),
        pytest.param({"sessions": 1, "requests": 900, "reused": 880, "ended": 20}, id="keepalive_requests of a server"),
        pytest.param({}, id="nothing at all"),
    ],
)
def test_nothing_is_said_where_there_is_nothing_to_say(counts: dict[str, Any]) -> None:
    assert [*advice(row(**counts))] == []


def test_what_a_server_drops_is_not_for_the_sessions_to_reuse() -> None:
    (sentence,) = advice(row(sessions=20, requests=20, dropped=12))
    assert sentence.startswith(f"12 idle connections to {HOST} found closed by the server")


@pytest.mark.parametrize("kept", [None, 0.0004])
def test_a_server_that_keeps_nothing(kept: float | None) -> None:
    (sentence,) = advice(row("httpx", sessions=1, requests=20, dropped=12, dropped_after=0.0005, kept_for=kept))
    assert sentence == f"{HOST} closes connections as soon as they are idle (12 found closed)"


def test_what_a_server_ends_is_not_for_the_sessions_to_reuse() -> None:
    (sentence,) = advice(row(sessions=40, requests=40, ended=40, versions=("HTTP/1.0",)))
    assert sentence.startswith(f"40 of 40 connections to {HOST} ended with an answer, which said so (HTTP/1.0")


@pytest.mark.parametrize(
    ("library", "remedy"),
    [
        ("requests", "raise pool_maxsize to 20: HTTPAdapter(pool_maxsize=20)"),
        ("urllib3", "raise maxsize to 20: PoolManager(maxsize=20)"),
        ("httpx", "raise max_keepalive_connections to 20: httpx.Limits(max_keepalive_connections=20)"),
        ("httpcore", "raise max_keepalive_connections to 20: httpcore.ConnectionPool(max_keepalive_connections=20)"),
    ],
)
def test_discarded_connections(library: str, remedy: str) -> None:
    (sentence,) = advice(row(library, sessions=1, requests=90, reused=40, discarded=34, most_in_use=18))
    assert sentence == f"34 connections to {HOST} discarded, the pool being full: {remedy}"


@pytest.mark.parametrize(
    ("library", "remedy"),
    [
        ("requests", "raise pool_maxsize to 3: HTTPAdapter(pool_maxsize=3, pool_block=True)"),
        ("urllib3", "raise maxsize to 3: PoolManager(maxsize=3, block=True)"),
        ("httpx", "raise max_connections to 3: httpx.Limits(max_connections=3)"),
        ("httpcore", "raise max_connections to 3: httpcore.ConnectionPool(max_connections=3)"),
        ("aiohttp", "raise limit to 3: aiohttp.TCPConnector(limit=3)"),
    ],
)
def test_waits(library: str, remedy: str) -> None:
    (sentence,) = advice(
        row(library, sessions=1, requests=90, reused=88, waits=12, waited=3.42, longest_wait=0.914, most_in_use=3)
    )
    assert sentence == (
        f"12 requests to {HOST} waited 3.4 s in all for a free connection, 0.91 s at the longest: {remedy}"
    )


def test_a_library_whose_knobs_are_not_known_has_the_numbers_alone() -> None:
    counted = row("other", sessions=1, requests=90, reused=70, discarded=20, dropped=5, dropped_after=5.1, kept_for=4.9)
    assert [*advice(counted)] == [
        f"20 connections to {HOST} discarded, the pool being full",
        f"{HOST} closes idle connections after about 5 s (5 found closed)",
    ]


@pytest.mark.parametrize(
    ("kept", "dropped", "said"),
    [
        (4.8, 5.2, "closes idle connections after about 5 s (7 found closed)"),
        (4.1, 5.01, "closes idle connections after about 5 s (7 found closed)"),
        (61.0, 75.4, "closes idle connections after about 70 s (7 found closed)"),
        (0.97, 1.02, "closes idle connections after about 1 s (7 found closed)"),
        (0.19, 0.21, "closes idle connections after about 0.2 s (7 found closed)"),
        (5.11, 5.13, "closes idle connections after about 5.1 s (7 found closed)"),
        (1.0, 7.31, "closes idle connections after 7.3 s or sooner (7 found closed)"),
        (None, 0.1, "closes idle connections after 0.10 s or sooner (7 found closed)"),
    ],
)
def test_what_is_known_of_the_servers_limit(kept: float | None, dropped: float, said: str) -> None:
    (sentence,) = advice(row(sessions=1, requests=90, reused=80, dropped=7, kept_for=kept, dropped_after=dropped))
    assert sentence == (
        f"{HOST} {said}: a request that is sent just then fails; "
        "HTTPAdapter(max_retries=urllib3.Retry(1)) sends it again"
    )


def test_a_limit_for_clients_that_let_go_themselves() -> None:
    counts: dict[str, Any] = {"sessions": 1, "requests": 90, "reused": 80, "dropped": 7, "dropped_after": 5.2}
    (known,) = advice(row("httpx", **counts, kept_for=4.8))
    assert known.endswith(
        "a request that is sent just then fails; httpx.Limits(keepalive_expiry=4.0) closes them first"
    )
    (unknown,) = advice(row("httpx", **counts))
    assert unknown == f"{HOST} closes idle connections after 5.2 s or sooner (7 found closed)"


def test_drops_that_keep_no_time() -> None:
    counted = row(sessions=1, requests=90, reused=80, dropped=7, dropped_after=0.2, kept_for=30.0)
    (sentence,) = advice(counted)
    assert sentence.startswith(f"7 idle connections to {HOST} found closed by the server: ")


@pytest.mark.parametrize(("in_use", "room"), [(1, 1), (9, 9), (10, 10), (11, 15), (20, 20), (21, 25), (101, 150)])
def test_room_for_all(in_use: int, room: int) -> None:
    (sentence,) = advice(row(requests=900, reused=800, discarded=100, most_in_use=in_use))
    assert sentence.endswith(f"HTTPAdapter(pool_maxsize={room})")


def test_the_knobs_exist() -> None:
    """What is advised is what the libraries take."""
    takes = {
        "HTTPAdapter": HTTPAdapter,
        "PoolManager": urllib3.HTTPConnectionPool,  # to which it hands its keywords on
        "httpx.Limits": httpx.Limits,
        "httpcore.ConnectionPool": httpcore.ConnectionPool,
        "aiohttp.TCPConnector": aiohttp.TCPConnector,
    }
    text = "\n".join("\n".join(knob) for library, knob in KNOBS.items() if not library.endswith("2"))
    found = re.findall(r"([\w.]+)\(([^()]*)", text)
    assert {name for name, _ in found} == takes.keys()
    for name, arguments in found:
        for keyword in re.findall(r"(\w+)=", arguments):
            assert keyword in inspect.signature(takes[name]).parameters


# --- the table ----------------------------------------------------------------------------------------------


def test_columns_of_zeros_are_left_out() -> None:
    assert table([row(sessions=1, requests=3, reused=2, versions=("HTTP/1.1",))]) == [
        ("host", "sessions", "requests", "opened", "reused", "HTTP"),
        (HOST, "1", "3", "1", "2", "1.1"),
    ]


def test_all_columns() -> None:
    full = row(sessions=1, requests=9, ended=1, dropped=2, discarded=3, waits=4, versions=("HTTP/1.0", "HTTP/1.1"))
    assert table([full]) == [
        ("host", "sessions", "requests", "opened", "reused", "ended", "dropped", "discarded", "waits", "HTTP"),
        (HOST, "1", "9", "9", "0", "1", "2", "3", "4", "1.0+1.1"),
    ]


def test_hosts_without_a_request_are_no_rows() -> None:
    assert table([row(most_in_use=1)]) == []
    assert terminal.text(Report(hosts=(row(most_in_use=1),))).startswith("no request was sent")


def test_two_libraries_at_one_host_are_told_apart() -> None:
    hosts = [line[0] for line in table([row(requests=1), row("httpx", requests=2)])]
    assert hosts == ["host", f"{HOST} (httpx)", f"{HOST} (requests)"]


def test_servers_of_single_tests_are_one_row() -> None:
    ports = [Traffic(f"http://127.0.0.1:{port}", "requests", 1, 2, 1, 1) for port in range(50000, 50300)]
    busy = Traffic("http://127.0.0.1:8000", "requests", 1, 500, 1, 499)
    other = Traffic("http://[::1]:8000", "requests", 1, 2, 1, 1)
    assert [line[:5] for line in table([*ports, busy, other])[1:]] == [
        ("http://127.0.0.1:* (300 ports)", "300", "600", "300", "300"),
        ("http://127.0.0.1:8000", "1", "500", "1", "499"),
        ("http://[::1]:8000", "1", "2", "1", "1"),
    ]
    assert len(table(ports[:4])) == 5, "a few are shown as they are"


def test_many_hosts_are_cut() -> None:
    lines = table([Traffic(f"http://{number}.example", "requests", 1, 10 + number) for number in range(50)])
    assert len(lines) == 21
    assert [line[0] for line in lines[1:3]] == ["http://49.example", "http://48.example"]
    assert lines[-1][:3] == ("31 more hosts", "31", str(sum(range(10, 41))))


@pytest.mark.parametrize("discarded", [0, 7])
def test_it_fits_a_narrow_terminal(discarded: int) -> None:
    host = Traffic("https://127.0.0.1:51399", "requests", 120, 1200, 120, 1080, dropped=7, discarded=discarded)
    (head, line) = ("".join(piece.text for piece in row) for row in [*terminal.statistics(Report(hosts=(host,)))][:2])
    assert len(head) == len(line) <= 80
    assert head.index("requests") + len("requests") == line.index("1200") + len("1200")


def test_sentences_are_wrapped_and_cut() -> None:
    made = (Made("requests.Session", "tests/test_api.py:12", 10),)
    hosts = [Traffic(f"http://{n}.example", "requests", 10 + n, 10 + n, 10 + n, made=made) for n in range(15)]
    rows = ["".join(piece.text for piece in row) for row in terminal.statistics(Report(hosts=tuple(hosts)))]
    sentences = rows[1 + len(hosts) :]
    assert max(map(len, rows)) <= 80
    assert sentences[:2] == [
        "help: 24 connections for 24 requests to http://14.example: reuse one Session (10",
        "      of 24 are made at tests/test_api.py:12)",
    ]
    assert len([line for line in sentences if line.startswith("help: ")]) == 11
    assert sentences[-1] == "help: ... and 5 more like these"


def test_markdown_has_them_too() -> None:
    made = (Made("requests.Session", "tests/test_api.py:12", 12),)
    text = md.render(Report(hosts=(row(sessions=12, requests=12, made=made, versions=("HTTP/1.1",)),)))
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(text)
    cells = [
        unescape(re.sub("<[^>]*>", "", inline.content))
        for tag, inline in pairwise(tokens)
        if tag.type in ("th_open", "td_open")
    ]
    assert cells[:6] == ["host", "sessions", "requests", "opened", "reused", "HTTP"]
    assert cells[6:] == [HOST, "12", "12", "12", "0", "1.1"]
    assert "12 connections for 12 requests" in unescape(text)
    assert "Connections" not in md.render(Report())


# --- sums ---------------------------------------------------------------------------------------------------


def test_a_sum() -> None:
    one = row(
        sessions=1,
        requests=3,
        reused=1,
        ended=1,
        dropped=1,
        discarded=1,
        waits=1,
        waited=0.5,
        longest_wait=0.5,
        most_in_use=2,
        kept_for=1.0,
        dropped_after=7.0,
        versions=("HTTP/1.1",),
        made=(Made("requests.Session", "a.py:1", 1),),
    )
    other = row(
        requests=2,
        waits=2,
        waited=0.75,
        longest_wait=0.25,
        most_in_use=7,
        kept_for=0.5,
        dropped_after=5.0,
        versions=("HTTP/1.0",),
        made=(Made("requests.Session", "b.py:1", 2), Made("requests.Session", "a.py:1", 2)),
    )
    assert one.plus(other) == Traffic(
        host=HOST,
        library="requests",
        sessions=1,
        requests=5,
        opened=4,
        reused=1,
        ended=1,
        dropped=1,
        discarded=1,
        waits=3,
        waited=1.25,
        longest_wait=0.5,
        most_in_use=7,
        kept_for=1.0,
        dropped_after=5.0,
        versions=("HTTP/1.0", "HTTP/1.1"),
        made=(Made("requests.Session", "a.py:1", 3), Made("requests.Session", "b.py:1", 2)),
    )
    assert Traffic.from_plain(one.plus(other).plain()) == one.plus(other)


def test_a_total_keeps_hosts_and_libraries_apart() -> None:
    rows = [row(requests=1), row("httpx", requests=2), row(requests=3), Traffic("http://b", "requests", requests=4)]
    assert [(each.host, each.library, each.requests) for each in total(rows)] == [
        (HOST, "requests", 4),
        (HOST, "httpx", 2),
        ("http://b", "requests", 4),
    ]


def test_shards_are_added_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = (Made("requests.Session", "a.py:1", 6),)
    paths = [str(tmp_path / name) for name in ("one.json", "two.json", "old.json")]
    for path in paths[:2]:
        Path(path).write_text(json.render(Report(hosts=(row(sessions=6, requests=6, made=made),))), encoding="utf-8")
    old = loads(json.render(Report()))
    del old["hosts"]
    Path(paths[2]).write_text(dumps(old), encoding="utf-8")
    assert commands.main(["merge", *paths, "--report", str(tmp_path / "all.json")]) == 0
    sentence = (
        f"\nhelp: 12 connections for 12 requests to {HOST}: reuse one Session\n      (12 of 12 are made at a.py:1)\n"
    )
    assert sentence in capsys.readouterr().out
    merged = json.parse((tmp_path / "all.json").read_text(encoding="utf-8"))
    assert merged.hosts == (row(sessions=12, requests=12, made=(Made("requests.Session", "a.py:1", 12),)),)
    assert commands.main(["show", str(tmp_path / "all.json")]) == 0
    assert sentence in capsys.readouterr().out


def opened(number: int, name: str = "requests.Session", library: str = "requests") -> Opened:
    return Opened(number, "session", name, library, (), PROCESS, "", frozenset())


def sent(client: int | None, pool: int = 9) -> Counted:
    return Counted(pool, client, Traffic(HOST, "urllib3", requests=1, opened=1))


def test_a_session_counts_once_for_a_host() -> None:
    book = Book()
    assert [*book.without_traffic([opened(1), opened(2), sent(1), sent(2, 8), sent(1), Collected(1)])] == [
        opened(1),
        opened(2),
        Collected(1),
    ]
    (counted,) = book.rows("")
    assert [*book.without_traffic([Collected(2), Collected(9), Collected(8)])]
    assert [book._opened, book._hosts_of, book._client_of] == [{}, {}, {}], "what is gone is forgotten"
    assert (counted.library, counted.sessions, counted.requests) == ("requests", 2, 3)
    assert counted.made == (Made("requests.Session", "", 2),)


def test_what_a_pool_does_later_is_the_clients() -> None:
    book = Book()
    later = Counted(9, None, Traffic(HOST, "urllib3", discarded=1))
    assert [*book.without_traffic([opened(1), sent(1), later])] == [opened(1)]
    (counted,) = book.rows("")
    assert (counted.library, counted.discarded) == ("requests", 1)


def test_a_pool_without_a_client_is_one() -> None:
    book = Book()
    assert [*book.without_traffic([opened(9, "urllib3.HTTPConnectionPool", "urllib3"), sent(None)])]
    (counted,) = book.rows("")
    assert (counted.library, counted.sessions) == ("urllib3", 1)
    assert counted.made == (Made("urllib3.HTTPConnectionPool", "", 1),)


def test_places_are_not_without_number() -> None:
    made = tuple(Made("requests.Session", f"a.py:{line}", 1) for line in range(100))
    assert len(row().plus(row(made=made)).made) == MAX_PLACES
