"""Async tests and fixtures, with pytest-asyncio and with anyio."""

import asyncio

import pytest
import requests

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestDeprecationWarning")


@pytest.fixture
def anyio_backend():
    return "asyncio"


async def test_asyncio(url):
    await asyncio.to_thread(requests.Session().get, url, timeout=5)  # finds: unclosed-session


async def test_asyncio_closed(url):
    with requests.Session() as session:
        await asyncio.to_thread(session.get, url, timeout=5)


@pytest.mark.anyio
async def test_anyio(url):
    requests.Session().get(url, timeout=5)  # finds: unclosed-session


async def helper(url):
    await asyncio.sleep(0)
    return requests.get(url)  # finds: missing-timeout in test_in_a_task


async def test_in_a_task(url):
    await asyncio.create_task(helper(url))


async def test_streams(address):
    reader, writer = await asyncio.open_connection(*address)
    writer.close()
    await writer.wait_closed()


async def test_server():
    async def serve(reader, writer):
        writer.write(await reader.read(10))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"0123456789")
    assert await reader.read(10) == b"0123456789"
    writer.close()
    server.close()
    await server.wait_closed()
