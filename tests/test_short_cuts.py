"""Programs on which the short cuts of what every request passes could give another answer than the long way."""

from __future__ import annotations

import asyncio
import gc
import http.client
import signal
import sys
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
import requests
import urllib3

from pytest_connleak.model import Closed, Opened, Sent
from pytest_connleak.monitor import Monitor
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


# --- interruptions ----------------------------------------------------------------------------------------


class Rings(requests.Session):
    """A handler of signals raises while the plugin asks for the adapters: for the ``after``-th time."""

    rings = 0

    def __getattribute__(self, name: str) -> Any:
        if name == "adapters" and sys._getframe(1).f_code.co_name == "_managers" and self.rings:
            self.rings -= 1
            if not self.rings:
                signal.raise_signal(signal.SIGALRM)
        return super().__getattribute__(name)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, pytest.fail.Exception])
@pytest.mark.parametrize("when", [1, 2], ids=["before", "after"])
def test_a_request_whose_observer_is_interrupted(
    when: int, error: type[BaseException], server: Server, monitor: Monitor
) -> None:
    """It is over, and nothing of it is kept."""

    def ring(*_: object) -> None:
        raise error

    session, prepared = Rings(), requests.Request("GET", server.url).prepare()
    kept = weakref.ref(prepared)
    urllib3.PoolManager().clear()  # something was opened, so the session is asked again what it answers for
    session.rings = when
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
    recorder.sent(known)
    return [event.requests if isinstance(event, Sent) else type(event) for event in recorder.hand_over()]


def test_a_request_while_its_client_is_being_closed(monitor: Monitor) -> None:
    """What follows opens it again."""

    def closed(recorder: Recorder, client: Client, events: Interrupted) -> None:
        recorder.sent(recorder.known(client))
        events.meanwhile = lambda: recorder.sent(recorder.known(client))
        recorder.closed(client)

    assert recorded(closed) == [Opened, 2, Closed, 1]


def test_a_request_while_the_events_are_handed_over(monitor: Monitor) -> None:
    """It may be handed over with them; what follows may not be added to it."""

    def handed_over(recorder: Recorder, client: Client, events: Interrupted) -> None:
        once = iter([lambda: recorder.sent(recorder.known(client))])
        events.meanwhile = lambda: next(once, lambda: None)()
        recorder.hand_over()

    assert recorded(handed_over) == [1]
