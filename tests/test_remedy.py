"""The help is code for the line that it is about: it has the names that stand there."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_connleak.instrumentation import aiohttp, httpx, requests, socket, urllib3
from pytest_connleak.model import Evidence, Frame, Limits, Origin, Owner, Request, ResourceKind, State, Tracked
from pytest_connleak.rules import discover
from pytest_connleak.settings import Settings

ADVICE = {
    name: advice
    for watched in (aiohttp, httpx, requests, socket, urllib3)
    for name, advice in watched.instrumentation.advice.items()
}
TEST = Owner("test_a.py::test_a", "function")
LATE = "  # before the test ends: in a teardown, or after the yield of a fixture"


def help_about(evidence: Evidence) -> str:
    (finding,) = (f for rule in discover() for f in rule.run(evidence, Settings()))
    return finding.help


def tracked(
    directory: Path, kind: ResourceKind, name: str, line: str, function: str = "test_a", **values: object
) -> Tracked:
    """Something that was made in this line, the only one of its file."""
    source = directory / "test_a.py"
    source.write_text(f"{line}\n", encoding="utf-8")
    place = Frame(str(source), 1, function, "test_a", user=True)
    base = Tracked(
        1, kind, name, name.partition(".")[0], Origin(place, (place,)), TEST, TEST.nodeid, State.OPEN, requests=1
    )
    return base._replace(**values)  # type: ignore[arg-type]  # the fields of Tracked


@pytest.mark.parametrize(
    ("line", "name", "values", "help"),
    [
        ("http = requests.Session()", "requests.Session", {}, "with requests.Session(...) as http:\n    ..."),
        ("use(requests.Session())", "requests.Session", {}, "with requests.Session(...) as session:\n    ..."),
        ("make = lambda: httpx.Client()", "httpx.Client", {}, "with httpx.Client(...) as client:\n    ..."),
        ("self.api = Api(httpx.Client())", "httpx.Client", {}, "with httpx.Client(...) as client:\n    ..."),
        ("return httpx.Client()", "httpx.Client", {}, "with httpx.Client(...) as client:\n    yield client"),
        (
            "api = httpx.Client()",
            "httpx.Client",
            {"owner": Owner("test_a.py", "module")},
            "with httpx.Client(...) as api:\n    yield api",
        ),
        ("api = Api()", "test_a.Api", {"library": "requests"}, "with Api(...) as api:\n    ..."),
        ("self.http = requests.Session()", "requests.Session", {}, f"self.http.close(){LATE}"),
        (
            "self.http = aiohttp.ClientSession()",
            "aiohttp.ClientSession",
            {"traits": frozenset({"async"})},
            f"await self.http.close(){LATE}",
        ),
        (
            "clients[name] = requests.Session()",
            "requests.Session",
            {"held_by": "app.clients['shop']"},
            f"app.clients['shop'].close(){LATE}",
        ),
        (
            "http = requests.Session()",
            "requests.Session",
            {"held_by": "fixture 'api'"},
            "with requests.Session(...) as http:\n    ...",
        ),
    ],
)
def test_a_session(tmp_path: Path, line: str, name: str, values: dict[str, object], help: str) -> None:
    assert help_about(Evidence((tracked(tmp_path, "session", name, line, **values),), advice=ADVICE)) == help


def test_a_factory_is_closed_where_it_is_called(tmp_path: Path) -> None:
    made = tracked(tmp_path, "session", "httpx.Client", "return httpx.Client()", "Shop.client")
    twice = Origin(made.origin.place, (*made.origin.stack, *made.origin.stack))
    advised = help_about(Evidence((made._replace(origin=twice),), advice=ADVICE))
    assert advised == "with client(...) as client:  # where it is called\n    ..."


@pytest.mark.parametrize(
    ("line", "close"),
    [
        ("self.http = requests.Session()", "self.http.close()"),
        ("self._http: Session | None = http or Session()", "self._http.close()"),
        ("self.api = Api(requests.Session())", "...  # close the requests.Session"),
    ],
)
def test_what_a_class_makes_for_itself(tmp_path: Path, line: str, close: str) -> None:
    made = tracked(tmp_path, "session", "requests.Session", line, "test_a._Shop.__init__")
    assert help_about(Evidence((made,), advice=ADVICE)) == (
        f"def close(self):\n    {close}\nwith contextlib.closing(_Shop(...)) as shop:  # wherever one is made\n    ..."
    )


def test_what_a_class_makes_for_itself_and_closes_with_await(tmp_path: Path) -> None:
    line, traits = "self.http = httpx.AsyncClient()", frozenset({"async"})
    made = tracked(tmp_path, "session", "httpx.AsyncClient", line, "Shop.__init__", traits=traits)
    assert help_about(Evidence((made,), advice=ADVICE)) == (
        "async def aclose(self):\n    await self.http.aclose()\n"
        "async with contextlib.aclosing(Shop(...)) as shop:  # wherever one is made\n    ..."
    )


def test_a_manager_of_pools_has_no_close(tmp_path: Path) -> None:
    manager = tracked(tmp_path, "pool", "urllib3.PoolManager", "self.http = urllib3.PoolManager()")
    assert help_about(Evidence((manager,), advice=ADVICE)) == f"self.http.clear(){LATE}"


def test_a_single_pool_has_one(tmp_path: Path) -> None:
    pool = tracked(tmp_path, "pool", "urllib3.HTTPConnectionPool", "self.http = urllib3.HTTPConnectionPool(host)")
    assert help_about(Evidence((pool,), advice=ADVICE)) == f"self.http.close(){LATE}"


@pytest.mark.parametrize(
    ("line", "help"),
    [
        ("answer = requests.get(url, stream=True)", "with requests.get(..., stream=True) as answer:\n    ..."),
        ("assert api.post(url, stream=True).ok", "with api.post(..., stream=True) as response:\n    ..."),
        ("fetch(url)", "with session.get(..., stream=True) as response:\n    ..."),
    ],
)
def test_a_response(tmp_path: Path, line: str, help: str) -> None:
    response = tracked(tmp_path, "response", "requests.Response", line)
    assert help_about(Evidence((response,), advice=ADVICE)) == help


@pytest.mark.parametrize(
    ("line", "call"),
    [
        ('answer = http.request("POST", url, preload_content=False)', "http.request"),
        ('answer = http.urlopen("GET", url, preload_content=False)', "http.urlopen"),
        ("answer = fetch(url)", "pool.request"),
    ],
)
def test_a_response_of_urllib3(tmp_path: Path, line: str, call: str) -> None:
    response = tracked(tmp_path, "response", "urllib3.HTTPResponse", line)
    assert help_about(Evidence((response,), advice=ADVICE)).startswith(
        f"answer = {call}(..., preload_content=False)\ntry:\n    ...\nfinally:\n    answer.drain_conn()"
    )


def test_a_socket_that_a_module_keeps(tmp_path: Path) -> None:
    held = tracked(tmp_path, "socket", "socket.socket", "_conn = socket.socket()", held_by="app._conn")
    assert help_about(Evidence((held,), advice=ADVICE)) == f"app._conn.close(){LATE}"
    assert help_about(Evidence((held._replace(held_by=None),), advice=ADVICE)).startswith("with socket.socket(...)")


def test_what_a_library_makes_while_it_is_imported(tmp_path: Path) -> None:
    imported = Frame("<frozen importlib._bootstrap>", 1, "_call", "importlib._bootstrap", user=False)
    made = tracked(tmp_path, "pool", "urllib3.PoolManager", "import urllib3", by_library=True)
    made = made._replace(origin=made.origin._replace(called=imported))
    assert help_about(Evidence((made,), advice=ADVICE)) == "close what this import made"


def test_a_line_of_any_length_takes_no_time(tmp_path: Path) -> None:
    response = tracked(tmp_path, "response", "requests.Response", f"send('{'x' * 200_000}')")
    assert help_about(Evidence((response,), advice=ADVICE)).startswith("with session.get(")


@pytest.mark.parametrize(
    ("module", "function", "help"),
    [
        ("requests.api", "get", "timeout=10  # seconds; give it to this call; or (connect, read)"),
        ("concurrent.futures.thread", "submit", "timeout=10  # seconds; give it to this call; or (connect, read)"),
        (
            "paysdk._client",
            "Client.charge",
            "set a timeout for paysdk.Client.charge(), or for the client that it uses; the documentation of paysdk "
            "says how",
        ),
    ],
)
def test_a_request_of_a_library_has_its_timeout_there(module: str, function: str, help: str) -> None:
    place = Frame("/project/test_a.py", 7, "test_a", "test_a", user=True)
    origin = Origin(place, (place,), (), Frame("/x.py", 1, function, module, user=False))
    none = Limits(False, False)
    sent = Request("requests.Session", "requests", "GET", "http://x/", none, origin, TEST, TEST.nodeid)
    assert help_about(Evidence((), (sent,), ADVICE)) == help
