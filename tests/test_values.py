"""The pure parts: timeouts, settings, triage, text."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
import urllib3
from hypothesis import given
from hypothesis import strategies as st

from pytest_connleak import settings
from pytest_connleak.errors import SettingError
from pytest_connleak.habits import HABITS
from pytest_connleak.in_flight import public_url
from pytest_connleak.model import PROCESS, Finding, Frame, Limits, Origin, Owner
from pytest_connleak.report import Entry, safe
from pytest_connleak.settings import Ignore, Local, Settings
from pytest_connleak.timeouts import limits
from pytest_connleak.triage import triage

TEST = Owner("test_a.py::test_a", "function")
BOTH, NEITHER = Limits(True, True), Limits(False, False)

# --- timeouts -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("timeout", "expected"),
    [
        (5, BOTH),
        (0.5, BOTH),
        (None, NEITHER),
        ((3, 5), BOTH),
        ((3, None), Limits(True, False)),
        ((None, 5), Limits(False, True)),
        (urllib3.Timeout(total=5), BOTH),
        (urllib3.Timeout(total=5, connect=None, read=None), BOTH),
        (urllib3.Timeout(connect=5, read=None), Limits(True, False)),
        (urllib3.Timeout(connect=None, read=5), Limits(False, True)),
        (urllib3.Timeout(), NEITHER),
        (urllib3.Timeout(connect=5), Limits(True, False)),
    ],
)
def test_limits(timeout: object, expected: Limits) -> None:
    assert limits(timeout) == expected


@pytest.fixture
def socket_default() -> Iterator[None]:
    socket.setdefaulttimeout(5)
    yield
    socket.setdefaulttimeout(None)


@pytest.mark.usefixtures("socket_default")
def test_the_default_of_the_socket_module_limits_what_urllib3_leaves_to_it() -> None:
    assert limits(urllib3.Timeout()) == BOTH
    assert limits(urllib3.Timeout(connect=5)) == BOTH
    assert limits(None) == NEITHER


# --- settings -------------------------------------------------------------------------------------------

KINDS = ("missing-timeout", "unclosed-session")


def test_an_ignore_line() -> None:
    assert settings.ignore("missing-timeout tests/*  # old", KINDS, "x") == Ignore(
        "missing-timeout", "tests/*", "old", "x"
    )


@pytest.mark.parametrize("line", ["", "missing-timeout", "a b c", "no-such-kind *", "# only a reason"])
def test_a_bad_ignore_line_is_an_error_that_says_where(line: str) -> None:
    with pytest.raises(SettingError, match="the ini"):
        settings.ignore(line, KINDS, "the ini")


@pytest.mark.parametrize("value", ["", "soon", "-1", "nan", "inf", "1e9"])
def test_bad_seconds(value: str) -> None:
    with pytest.raises(SettingError, match="0 to 3600"):
        settings.seconds(value, "grace")


def test_bad_choice_names_what_is_allowed() -> None:
    with pytest.raises(SettingError, match="fail, warn, off"):
        settings.choice("loud", settings.Mode, "--connleak")


# --- triage ---------------------------------------------------------------------------------------------

PLACE = Frame("/project/tests/test_a.py", 7, "TestA.test_a", "tests.test_a", user=True)
INNER = Frame("/site-packages/lib/client.py", 3, "Client.__init__", "lib.client", user=False)
LEAK = Finding("unclosed-session", "requests.Session", "m", "h", Origin(PLACE, (PLACE,), (INNER,)), TEST, TEST.nodeid)


def status_of(finding: Finding, *ignores: Ignore, run: Settings | None = None) -> str:
    (judged,), _ = triage([finding], {TEST: Local("fail", ignores)}, run or Settings(), "/project")
    return judged.status


@pytest.mark.parametrize(
    ("kind", "pattern", "status"),
    [
        ("*", "*", "ignored"),
        ("unclosed-session", "*", "ignored"),
        ("missing-timeout", "*", "leak"),
        ("*", "tests/test_a.py::TestA.test_a", "ignored"),
        ("*", "tests/*", "ignored"),
        ("*", "lib.client.*", "ignored"),
        ("*", "lib.CLIENT.*", "leak"),
        ("*", "test_a", "leak"),
    ],
)
def test_ignores_are_held_against_every_frame(kind: str, pattern: str, status: str) -> None:
    assert status_of(LEAK, Ignore(kind, pattern)) == status


def test_used_ignores_are_known() -> None:
    used, unused = Ignore("*", "tests/*"), Ignore("*", "elsewhere/*")
    _, of_use = triage([LEAK], {TEST: Local("fail", (used, unused))}, Settings(), "/project")
    assert of_use == {used}


def test_habits_of_libraries() -> None:
    frame = INNER._replace(module="urllib3", function="<module>")
    pool = LEAK._replace(kind="unclosed-pool", origin=Origin(PLACE, (PLACE,), (frame,)))
    assert status_of(pool) == "library"
    assert status_of(pool, run=Settings(library="fail")) == "leak"
    assert status_of(pool._replace(kind="unclosed-session")) == "leak"


def test_every_habit_has_its_reason_and_its_link() -> None:
    assert all(habit.reason and habit.link.startswith("https://") for habit in HABITS)


def test_what_the_process_holds_fails_nothing() -> None:
    assert status_of(LEAK._replace(owner=PROCESS)) == "shared"


def test_what_the_tools_open_for_themselves_is_not_listed() -> None:
    own = LEAK._replace(owner=PROCESS, origin=Origin(INNER, (INNER,), (INNER,)))
    assert triage([own], {}, Settings(), "/project")[0] == ()


def test_off_means_nothing_is_said() -> None:
    assert triage([LEAK], {TEST: Local("off")}, Settings(), "/project") == ((), frozenset())


# --- text -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "public"),
    [
        ("http://user:secret@host:80/path?token=1#part", "http://host:80/path"),
        ("https://host", "https://host"),
        ("/path?x=1", "/path"),
        ("http://[::1", "(malformed URL)"),
    ],
)
def test_urls_lose_what_is_secret(url: str, public: str) -> None:
    assert public_url(url) == public


@given(st.text())
def test_safe_text_can_be_printed_anywhere(text: str) -> None:
    result = safe(text)
    result.encode("utf-8")
    assert not set(result) & {chr(n) for n in (*range(9), *range(10, 32), 127)}
    assert safe(result) == result


def test_an_entry_survives_the_way_from_a_worker() -> None:
    entry = Entry.of(LEAK, "/project")
    assert Entry.from_plain(entry.plain()) == entry
    assert entry.path == "tests/test_a.py"
