"""aiohttp: sessions, connectors that the test owns, WebSockets, a server and its client in one loop."""

import asyncio

import aiohttp
import pytest
from aiohttp import ClientTimeout, web

KEPT = []


def session():
    return aiohttp.ClientSession()  # finds: unclosed-session in test_helper


@pytest.fixture
async def site():
    """A server in the test's own loop."""

    async def hello(request):
        return web.Response(text="hello")

    async def echo(request):
        connection = web.WebSocketResponse()
        await connection.prepare(request)
        async for message in connection:
            if message.data == "bye":
                break
            await connection.send_str(message.data)
        return connection

    app = web.Application()
    app.add_routes([web.get("/", hello), web.get("/echo", echo)])
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_helper(url):
    async with session().get(url) as response:
        await response.read()


async def test_connector(url):
    connector = aiohttp.TCPConnector()  # finds: unclosed-pool
    async with aiohttp.ClientSession(connector=connector, connector_owner=False) as session:
        async with session.get(url) as response:
            await response.read()


async def test_connector_closed(url):
    async with aiohttp.TCPConnector() as connector:
        async with aiohttp.ClientSession(connector=connector, connector_owner=False) as session:
            async with session.get(url) as response:
                await response.read()


async def test_connector_of_the_session(url):
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as session:
        async with session.get(url) as response:
            await response.read()


async def test_session_without_its_connector(url):
    connector = aiohttp.TCPConnector()
    session = aiohttp.ClientSession(connector=connector, connector_owner=False)  # finds: unclosed-session
    async with session.get(url) as response:
        await response.read()
    await connector.close()


async def test_session_detached(url):
    session = aiohttp.ClientSession()
    connector = session.connector
    async with session.get(url) as response:
        await response.read()
    session.detach()
    await connector.close()


async def test_detached_and_left(url):
    session = aiohttp.ClientSession()  # finds: unclosed-pool
    async with session.get(url) as response:
        await response.read()
    session.detach()


async def test_top_level(url):
    async with aiohttp.request("GET", url) as response:
        await response.read()


async def test_gathered(url):
    async with aiohttp.ClientSession() as session:
        responses = await asyncio.gather(*(session.get(url, timeout=None) for _ in range(3)))  # finds: missing-timeout
        for response in responses:
            await response.read()


async def test_session_without_limits(url):
    async with aiohttp.ClientSession(timeout=ClientTimeout(sock_connect=5)) as session:
        async with session.get(f"{url}/hops/2") as response:  # finds: missing-timeout
            await response.read()
        async with session.get(url, timeout=ClientTimeout(total=5)) as response:
            await response.read()


async def test_timed_out(url):
    async with aiohttp.ClientSession() as session:
        with pytest.raises(asyncio.TimeoutError):
            await session.get(f"{url}/wait/5", timeout=ClientTimeout(total=0.05))


async def test_nobody_listens():
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectionError):
            await session.get("http://127.0.0.1:1/")


async def test_small_answer_unread(url):
    async with aiohttp.ClientSession() as session:
        response = await session.get(f"{url}/code/204")  # there is nothing to read
        KEPT.append(response)


async def test_server_and_client(site):
    async with aiohttp.ClientSession() as session, session.get(site) as response:
        assert await response.text() == "hello"


async def test_server_and_client_left(site):
    session = aiohttp.ClientSession()  # finds: unclosed-session
    async with session.get(site) as response:
        assert await response.text() == "hello"


async def test_websocket(site):
    async with aiohttp.ClientSession() as session, session.ws_connect(f"{site}/echo") as connection:
        await connection.send_str("a")
        assert await connection.receive_str() == "a"


async def test_websocket_closed_by_the_server(site):
    async with aiohttp.ClientSession() as session:
        connection = await session.ws_connect(f"{site}/echo")
        await connection.send_str("bye")
        assert (await connection.receive()).type is aiohttp.WSMsgType.CLOSE


async def test_websocket_left_open(site):
    async with aiohttp.ClientSession() as session:
        KEPT.append(await session.ws_connect(f"{site}/echo"))  # finds: unclosed-response


async def test_websocket_dropped(site):
    async with aiohttp.ClientSession() as session:
        connection = await session.ws_connect(f"{site}/echo")  # finds: unclosed-response
        await connection.send_str("a")
