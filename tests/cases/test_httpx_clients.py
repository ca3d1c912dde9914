"""httpx: clients, transports of all sorts, streams, limits, and who holds them."""

import asyncio

import httpcore
import httpx
import pytest
import respx

KEPT = []
HTTPCORE = tuple(map(int, httpcore.__version__.split(".")))


def answer(request):
    return httpx.Response(200, content=b"x" * 1000)


async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


class Api:
    def __init__(self, url):
        self.client = httpx.Client(base_url=url)  # finds: unclosed-session in test_in_a_constructor

    def hello(self):
        return self.client.get("/").text

    def close(self):
        self.client.close()


class Sturdy(httpx.Client):
    def __init__(self):
        super().__init__(timeout=3)


class Careless(httpx.Client):
    def close(self):
        """Closes nothing."""


def test_in_a_constructor(url):
    assert Api(url).hello() == "hello"


def test_in_a_constructor_closed(url):
    api = Api(url)
    assert api.hello() == "hello"
    api.close()


def test_subclass(url):
    Sturdy().get(url)  # finds: unclosed-session


def test_client_that_closes_nothing(url):
    client = Careless()  # finds: unclosed-session
    client.get(url)
    client.close()


def test_mock_transport():
    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        assert client.get("http://a.test/").status_code == 200
        KEPT.append(client.send(client.build_request("GET", "http://a.test/"), stream=True))


def test_mock_transport_left():
    client = httpx.Client(transport=httpx.MockTransport(answer))  # finds: unclosed-session
    client.get("http://a.test/", timeout=None)  # finds: missing-timeout


def test_mount(url):
    with httpx.Client(mounts={"http://": httpx.HTTPTransport(retries=1)}) as client:
        client.get(url)


def test_mount_left(url):
    client = httpx.Client(mounts={"http://": httpx.HTTPTransport(retries=1)})  # finds: unclosed-session
    client.get(url)


@respx.mock
def test_mocked():
    respx.get("https://a.test/").mock(return_value=httpx.Response(200, text="hello"))
    with httpx.Client() as client:
        assert client.get("https://a.test/").text == "hello"
        KEPT.append(client.send(client.build_request("GET", "https://a.test/"), stream=True))


@respx.mock
async def test_mocked_and_left():
    respx.get("https://a.test/").mock(return_value=httpx.Response(200, text="hello"))
    client = httpx.AsyncClient()  # finds: unclosed-session
    await client.get("https://a.test/", timeout=httpx.Timeout(5, connect=None))  # finds: missing-timeout


def test_transport_alone(url):
    transport = httpx.HTTPTransport()  # finds: unclosed-pool
    request = httpx.Request("GET", url, extensions={"timeout": {"connect": 1, "read": 1}})
    transport.handle_request(request).read()


def test_transport_closed(url):
    with httpx.HTTPTransport() as transport:
        transport.handle_request(httpx.Request("GET", url)).read()  # finds: missing-timeout


def test_closed_by_its_transports(url):
    transport = httpx.HTTPTransport()
    client = httpx.Client(transport=transport)
    client.get(url)
    transport.close()


def test_client_in_a_hook(url):
    def log(request):
        httpx.get(url, timeout=None)  # finds: missing-timeout

    with httpx.Client(event_hooks={"request": [log]}) as client:
        client.get(url)


@pytest.mark.skipif(HTTPCORE < (1, 0, 4), reason="before, it did not close the stream")
def test_stream_that_is_left_early(url):
    with httpx.Client() as client:
        request = client.build_request("GET", f"{url}/size/3000000")
        for _ in client.send(request, stream=True).iter_bytes():
            break  # httpcore closes the stream of a generator that is dropped


def test_two_streams_one_read(url):
    with httpx.Client() as client:
        first = client.send(client.build_request("GET", f"{url}/size/3000000"), stream=True)
        KEPT.append(client.send(client.build_request("GET", f"{url}/size/3000000"), stream=True))  # finds: unclosed-response
        first.read()


def test_default_limit_taken_away(url):
    with httpx.Client(timeout=httpx.Timeout(5, read=None)) as client:
        client.get(url)  # finds: missing-timeout
        client.get(url, timeout=3)


async def test_asgi():
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://a.test") as client:
        assert (await client.get("/")).text == "hello"


async def test_client_gathered(url):
    async with httpx.AsyncClient() as client:
        await asyncio.gather(client.get(url, timeout=None), client.get(url))  # finds: missing-timeout


async def test_client_in_a_task(url):
    async with httpx.AsyncClient() as client:
        await asyncio.create_task(client.get(url, timeout=None))  # finds: missing-timeout


async def test_cancelled(url):
    async with httpx.AsyncClient() as client:
        task = asyncio.create_task(client.get(f"{url}/wait/5"))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_in_another_thread(url):
    await asyncio.to_thread(httpx.get, url, timeout=None)  # finds: missing-timeout


@pytest.fixture
async def client():
    async with httpx.AsyncClient() as client:
        yield client


@pytest.fixture
async def forgotten():
    yield httpx.AsyncClient()  # finds: unclosed-session in test_fixture_left


async def test_fixture(client, url):
    async with client.stream("GET", f"{url}/size/100000") as response:
        assert len(await response.aread()) == 100000


async def test_fixture_left(forgotten, url):
    await forgotten.get(url)
