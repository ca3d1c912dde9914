"""Programs on which the short cuts of what every request passes could give another answer than the long way."""

from __future__ import annotations

import asyncio
import copy
import gc
import http.client
import signal
import sys
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import FrameType
from typing import Any, NamedTuple

import aiohttp
import httpx
import pluggy
import pytest
import requests
import urllib3

from pytest_connleak.model import Closed, Finding, Opened, Sent
from pytest_connleak.monitor import Monitor
from pytest_connleak.origin import source_line
from pytest_connleak.recorder import Recorder
from servers import Server
from watching import TEST, kinds, verdict

# --- who answers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["manager", "pool"])
def test_a_pool_that_sends_on_after_its_session_is_gone(kind: str, server: Server, monitor: Monitor) -> None:
    """It sent before that, too, and nothing was closed in between."""
    session = requests.Session()
    pool: Any = session.get_adapter(server.url).poolmanager
    if kind == "pool":
        pool = pool.connection_from_url(server.url)
    session.close()
    for _ in range(2):
        pool.request("GET", server.url, timeout=5)
    del session
    pool.request("GET", server.url, timeout=5)
    assert kinds(verdict(monitor)) == ["unclosed-pool"]


def test_a_connection_that_is_returned_after_its_response_was_dropped(server: Server, monitor: Monitor) -> None:
    with urllib3.PoolManager() as manager:
        pool = manager.connection_from_url(server.url)
        response = pool.urlopen("GET", "/size/50000", preload_content=False, timeout=5)
        connection = response._connection  # type: ignore[attr-defined]  # the base class does not declare it
        del response
        pool._put_conn(connection)  # type: ignore[arg-type]  # as above
    del manager, pool, connection
    assert kinds(verdict(monitor)) == ["unclosed-response"]


def test_a_connector_that_is_a_fake(monitor: Monitor) -> None:
    """Nobody sees it being closed."""

    class Fake:
        closed, force_close, allowed_protocol_schema_set = False, True, frozenset({"http"})

        def __init__(self, loop: object) -> None:
            self._loop = loop

        async def connect(self, *_: object, **__: object) -> None:
            raise aiohttp.ClientConnectionError

    async def main() -> None:
        fake: Any = Fake(asyncio.get_running_loop())
        async with aiohttp.ClientSession(connector=fake, connector_owner=False) as session:
            with pytest.raises(aiohttp.ClientConnectionError):
                await session.get("http://a.test/")

    asyncio.run(main())
    assert kinds(verdict(monitor)) == []


def test_an_adapter_put_in_the_place_of_another(server: Server, monitor: Monitor) -> None:
    """Without ``mount()``; what it replaces closes nothing more, as if it had been mounted."""
    first, second = requests.adapters.HTTPAdapter(), requests.adapters.HTTPAdapter()
    session = requests.Session()
    session.mount("http://", first)
    session.get(server.url, timeout=5)
    session.adapters["http://"] = second
    session.close()
    assert kinds(verdict(monitor)) == []
    first.close()


def test_a_copy_answers_for_what_was_mounted_before_it_was_seen(server: Server, monitor: Monitor) -> None:
    """It is seen at its first request; the adapter that it sends through closes nothing."""

    class Stays(requests.adapters.HTTPAdapter):
        def close(self) -> None:
            pass

    with requests.Session() as session:
        copied = copy.deepcopy(session)
    copied.mount("http://", Stays())
    copied.get(server.url, timeout=5)
    copied.close()
    assert [line_of(finding) for finding in verdict(monitor)] == ["copied.get(server.url, timeout=5)"]


# --- where it was made ------------------------------------------------------------------------------------


def line_of(finding: Finding) -> str:
    assert finding.origin.place is not None
    return source_line(finding.origin.place)


def test_the_pools_that_a_session_makes_were_made_where_it_was(server: Server, monitor: Monitor) -> None:
    session = requests.Session()
    manager: Any = session.get_adapter(server.url).poolmanager
    session.close()
    pool = manager.connection_from_url(server.url)
    for client in (manager, pool):
        client.request("GET", server.url, timeout=5)
    del session
    for client in (manager, pool):
        client.request("GET", server.url, timeout=5)
    (finding,) = verdict(monitor)
    assert (finding.object, line_of(finding)) == ("urllib3.PoolManager", "session = requests.Session()")


def test_a_pool_that_the_users_code_makes_while_a_session_is_made(monitor: Monitor) -> None:
    class Keeps(requests.Session):
        def mount(self, prefix: Any, adapter: Any) -> None:
            super().mount(prefix, adapter)
            kept.append(urllib3.PoolManager())

    kept: list[urllib3.PoolManager] = []
    Keeps().close()
    assert [line_of(finding) for finding in verdict(monitor)] == ["kept.append(urllib3.PoolManager())"] * 2


def test_a_session_that_could_not_be_made(monitor: Monitor) -> None:
    """Its first pool was made by the library, and sent nothing; what is made after that is no part of it."""

    class Fails(requests.Session):
        def mount(self, prefix: Any, adapter: Any) -> None:
            raise KeyError(prefix)

    with pytest.raises(KeyError):
        Fails()
    manager = urllib3.PoolManager()
    assert [line_of(finding) for finding in verdict(monitor)] == ["manager = urllib3.PoolManager()"]
    manager.clear()


def test_a_pool_that_the_users_code_makes_by_what_makes_a_managers(server: Server, monitor: Monitor) -> None:
    """The manager is not said to answer for it."""

    class Makes(urllib3.PoolManager):
        def connection_from_pool_key(self, pool_key: Any, request_context: Any = None) -> Any:
            return self._new_pool(*(request_context[name] for name in ("scheme", "host", "port")))

    class Keeps(urllib3.PoolManager):
        def _new_pool(self, *args: Any, **kwargs: Any) -> Any:
            self.kept = super()._new_pool(*args, **kwargs)
            return super()._new_pool(*args, **kwargs)

    for cls in (Makes, Keeps):
        with cls() as manager:
            manager.connection_from_url(server.url)
    assert [line_of(finding) for finding in verdict(monitor)] == [
        'return self._new_pool(*(request_context[name] for name in ("scheme", "host", "port")))',
        "self.kept = super()._new_pool(*args, **kwargs)",
    ]


def test_a_pool_of_a_copy_of_a_manager(server: Server, monitor: Monitor) -> None:
    with urllib3.PoolManager() as manager:
        copied = copy.copy(manager)
    copied.connection_from_url(server.url)
    assert [line_of(finding) for finding in verdict(monitor)] == ["copied.connection_from_url(server.url)"]


def test_code_whose_module_has_no_name(monitor: Monitor) -> None:
    exec("import requests; requests.Session()", {"__name__": []})
    assert kinds(verdict(monitor)) == ["unclosed-session"]


# --- what is said -----------------------------------------------------------------------------------------


def test_the_url_of_a_pool_that_was_closed_meanwhile(server: Server, monitor: Monitor) -> None:
    class Closes(urllib3.HTTPConnectionPool):
        def _make_request(self, *args: Any, **kwargs: Any) -> Any:
            response = super()._make_request(*args, **kwargs)
            self.close()
            return response

    host, _, port = server.url.removeprefix("http://").partition(":")
    Closes(host, int(port)).request("GET", "/size/5", timeout=None)
    (finding,) = verdict(monitor)
    assert f"{server.url}/size/5" in finding.message


# Python's own finalizer of it looks for the file, too, since 3.13, and says that there is none.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_response_that_could_not_be_made(monitor: Monitor) -> None:
    """It has no file yet when the collector finalizes it."""
    with pytest.raises(AttributeError):
        http.client.HTTPResponse(None)  # type: ignore[arg-type]  # on purpose
    gc.collect()
    verdict(monitor)  # nothing failed over it


# --- what is judged ---------------------------------------------------------------------------------------


class Pair(NamedTuple):
    """A timeout of the program's own, which requests takes for the tuple that it is."""

    connect_timeout: float | None
    read_timeout: float | None


@pytest.mark.parametrize(("timeout", "found"), [(Pair(5, 5), []), (Pair(5, None), ["missing-timeout"])])
def test_a_timeout_with_the_names_of_urllib3s(timeout: Any, found: list[str], server: Server, monitor: Monitor) -> None:
    with requests.Session() as session:
        session.get(server.url, timeout=timeout)
    assert kinds(verdict(monitor)) == found


def test_a_request_within_one_of_the_same_manager(server: Server, monitor: Monitor) -> None:
    def body() -> Iterator[bytes]:
        manager.urlopen("GET", f"{server.url}/size/5", timeout=None)
        yield b"x"

    with urllib3.PoolManager() as manager:
        manager.request("POST", server.url, body=body(), timeout=5)  # type: ignore[arg-type]  # 1.26 takes it, too
    (finding,) = verdict(monitor)
    assert line_of(finding) == 'manager.urlopen("GET", f"{server.url}/size/5", timeout=None)'


def test_a_manager_that_sends_something_else_first(server: Server, monitor: Monitor) -> None:
    class Asks(urllib3.PoolManager):
        def urlopen(self, *args: Any, **kwargs: Any) -> Any:
            super().urlopen("GET", f"{server.url}/size/5", timeout=None)
            return super().urlopen(*args, **kwargs)

    with Asks() as manager:
        manager.request("GET", server.url, timeout=5)
    (finding,) = verdict(monitor)
    assert "/size/5" in finding.message


def test_a_redirect_of_a_manager_of_the_users(server: Server, monitor: Monitor) -> None:
    """It is one request with what was redirected."""

    class Overrides(urllib3.PoolManager):
        def urlopen(self, *args: Any, **kwargs: Any) -> Any:
            return super().urlopen(*args, **kwargs)

    with Overrides() as manager:
        manager.request("GET", f"{server.url}/hops/2", timeout=None)
    (finding,) = verdict(monitor)
    assert (finding.count, line_of(finding)) == (
        1,
        'manager.request("GET", f"{server.url}/hops/2", timeout=None)',
    )


class Token(httpx.Auth):
    """It asks for a token first, with a request of its own."""

    def __init__(self, timeout: dict[str, float]) -> None:
        self.timeout = timeout

    def auth_flow(self, request: httpx.Request) -> Any:
        yield httpx.Request("GET", "http://a.test/token", extensions={"timeout": self.timeout})
        yield request


def unlimited_by_a_hook(request: httpx.Request) -> None:
    request.extensions["timeout"] = {}


def refuses(error: BaseException) -> Any:
    """A hook, of requests or of responses."""

    def hook(_: object) -> None:
        raise error

    return hook


class Refuses(httpx.Auth):
    """It asks for a token first, and does not like it."""

    def auth_flow(self, request: httpx.Request) -> Any:
        yield httpx.Request("GET", "http://a.test/token")
        raise httpx.HTTPError("no token")


def answered(request: httpx.Request) -> httpx.Response:
    if request.url.path == "/redirect":
        return httpx.Response(302, headers={"Location": "/"})
    if request.url.path == "/fails":
        raise httpx.ReadTimeout("too late")
    return httpx.Response(200)


MISSING = ["missing-timeout"]
MOCKED: dict[str, tuple[dict[str, Any], str, dict[str, Any], list[str]]] = {
    "limited": ({}, "", {}, []),
    "by nothing": ({"timeout": None}, "", {}, MISSING),
    "for reading only": ({"timeout": httpx.Timeout(5, connect=None)}, "", {}, MISSING),
    "not in this call": ({}, "", {"timeout": None}, MISSING),
    "redirected": ({"timeout": None}, "redirect", {"follow_redirects": True}, MISSING),
    "that fails": ({"timeout": None}, "fails", {}, MISSING),
    "the token's": ({}, "", {"auth": Token({})}, MISSING),
    "the token's, limited": ({}, "", {"auth": Token({"connect": 5, "read": 5})}, []),
    "changed by a hook": ({"event_hooks": {"request": [unlimited_by_a_hook]}}, "", {}, MISSING),
    "the token's, and not liked": ({}, "", {"auth": Refuses()}, MISSING),
    "the token's, and the rest fails": ({}, "fails", {"auth": Token({})}, MISSING),
    "whose answer is refused": (
        {"timeout": None, "event_hooks": {"response": [refuses(httpx.HTTPError("bad"))]}},
        "",
        {},
        MISSING,
    ),
    **{
        f"never sent, {type(error).__name__}": (
            {"timeout": None, "event_hooks": {"request": [refuses(error)]}},
            "",
            {},
            [],
        )
        for error in (httpx.ConnectError("x"), TimeoutError(), ValueError(), pytest.fail.Exception("x"))
    },
}


@pytest.mark.parametrize("case", MOCKED)
def test_a_request_to_a_mock(case: str, monitor: Monitor) -> None:
    """What does not come to httpcore is looked at when all is over."""
    client_options, path, options, found = MOCKED[case]
    errors = (httpx.HTTPError, TimeoutError, ValueError, pytest.fail.Exception)
    with httpx.Client(transport=httpx.MockTransport(answered), **client_options) as client, suppress(*errors):
        client.get(f"http://a.test/{path}", **options)
    assert kinds(verdict(monitor)) == found


def test_a_copy_of_a_closed_client(monitor: Monitor) -> None:
    with httpx.Client(timeout=5) as client:
        copied = copy.copy(client)
    copied.close()
    with pytest.raises(RuntimeError):
        copied.get("http://a.test/")
    (finding,) = verdict(monitor)
    assert "it sent no request" in finding.message


@pytest.mark.parametrize(("inner", "outer", "found"), [(None, 5, MISSING), (5, None, []), (5, 5, [])])
def test_a_mocked_client_within_another(
    inner: float | None, outer: float | None, found: list[str], monitor: Monitor
) -> None:
    """It is the inner one that sends."""
    within = httpx.Client(transport=httpx.MockTransport(answered), timeout=inner)

    class Passes(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            return within.send(within.build_request("GET", "http://a.test/"))

    with within, httpx.Client(transport=Passes(), timeout=outer) as client:
        client.get("http://b.test/")
    assert kinds(verdict(monitor)) == found


@pytest.mark.parametrize("answer", ["the second", "another"])
def test_a_transport_that_drops_a_response(answer: str, server: Server, monitor: Monitor) -> None:
    """What the client reads is not all that was sent for it."""

    class Drops(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            super().handle_request(request)
            return super().handle_request(request) if answer == "the second" else httpx.Response(200, text="cached")

    with httpx.Client(transport=Drops()) as client:
        client.get(f"{server.url}/size/50000")
    assert kinds(verdict(monitor)) == ["unclosed-response"]


def test_what_is_over_keeps_nothing(server: Server, monitor: Monitor) -> None:
    """The context has the last request still."""

    class Session(requests.Session):
        pass

    session = Session()
    prepared = requests.Request("GET", server.url).prepare()
    response = session.send(prepared, timeout=5)
    session.close()
    kept = [weakref.ref(session), weakref.ref(prepared), weakref.ref(response)]
    del session, prepared, response
    assert [ref() for ref in kept] == [None] * 3
    assert verdict(monitor) == []


# --- interruptions ----------------------------------------------------------------------------------------


class Rings(requests.Session):
    """A handler of signals raises while the plugin asks for an attribute."""

    rings: tuple[str, str] | None = None
    """In which function, for which one."""

    def __getattribute__(self, name: str) -> Any:
        if type(self).rings == (sys._getframe(1).f_code.co_name, name):
            type(self).rings = None
            signal.raise_signal(signal.SIGALRM)
        return super().__getattribute__(name)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, pytest.fail.Exception])
@pytest.mark.parametrize("when", [("session_send", "stream"), ("_managers", "adapters")], ids=["before", "after"])
def test_a_request_whose_observer_is_interrupted(
    when: tuple[str, str], error: type[BaseException], server: Server, monitor: Monitor
) -> None:
    """It is over, and nothing of it is kept."""

    def ring(*_: object) -> None:
        raise error

    session, prepared = Rings(), requests.Request("GET", server.url).prepare()
    kept = weakref.ref(prepared)
    urllib3.PoolManager().clear()  # something was opened, so the session is asked again what it answers for
    Rings.rings = when
    before = signal.signal(signal.SIGALRM, ring)
    try:
        session.send(prepared, timeout=5)
    except error:
        pass
    else:
        pytest.fail("not interrupted")
    finally:
        signal.signal(signal.SIGALRM, before)
    del prepared
    session.close()
    assert kept() is None
    with urllib3.connection_from_url(server.url, timeout=None) as pool:
        pool.urlopen("GET", "/size/5")
    assert kinds(verdict(monitor)) == ["missing-timeout"]


def test_a_session_whose_end_of_being_made_is_interrupted(monitor: Monitor) -> None:
    """What is made in another test is no part of it."""

    def strike(frame: FrameType, event: str, _: object) -> None:
        if (event, frame.f_code.co_name) == ("call", "made"):
            raise KeyboardInterrupt

    sys.setprofile(strike)
    try:
        requests.Session()
    except KeyboardInterrupt:
        pass
    else:
        pytest.fail("not interrupted")
    finally:
        sys.setprofile(None)
    verdict(monitor)
    pluggy.Result.from_call(urllib3.PoolManager)  # none of the user's code calls it directly
    assert kinds(verdict(monitor)) == ["unclosed-pool"]


# --- other threads ----------------------------------------------------------------------------------------


class Interrupted(deque[Any]):
    """Where another thread gets its turn just before something is noted, or handed over."""

    meanwhile: Callable[[], object] = staticmethod(lambda: None)

    def append(self, event: Any) -> None:
        if isinstance(event, Closed):
            self.meanwhile()
        super().append(event)

    def popleft(self) -> Any:
        event = super().popleft()
        self.meanwhile()
        return event


class Client:
    pass


def recorded(what: Callable[[Recorder, Client, Interrupted], object]) -> list[object]:
    recorder, client = Recorder(), Client()
    recorder.owner = TEST
    recorder.events = events = Interrupted()
    known = recorder.opened(client, "session", "library")
    what(recorder, client, events)
    events.meanwhile = lambda: None
    recorder.sent(known, None)
    return [event.requests if isinstance(event, Sent) else type(event) for event in recorder.hand_over()]


def test_a_request_while_its_client_is_being_closed(monitor: Monitor) -> None:
    """What follows opens it again."""

    def closed(recorder: Recorder, client: Client, events: Interrupted) -> None:
        recorder.sent(recorder.known(client), None)
        events.meanwhile = lambda: recorder.sent(recorder.known(client), None)
        recorder.closed(client)

    assert recorded(closed) == [Opened, 2, Closed, 1]


def test_a_request_while_the_events_are_handed_over(monitor: Monitor) -> None:
    """It may be handed over with them; what follows may not be added to it."""

    def handed_over(recorder: Recorder, client: Client, events: Interrupted) -> None:
        once = iter([lambda: recorder.sent(recorder.known(client), None)])
        events.meanwhile = lambda: next(once, lambda: None)()
        recorder.hand_over()

    assert recorded(handed_over) == [1]
