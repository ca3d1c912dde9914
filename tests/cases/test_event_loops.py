"""asyncio's own connections, and anyio on two event loops."""

import asyncio
import functools
import multiprocessing.pool
import socket
import threading

import anyio
import httpx
import pytest
import requests


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    return request.param


async def test_streams_left(address):
    reader, writer = await asyncio.open_connection(*address)  # finds: unclosed-socket
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert await reader.readline()


async def test_streams_closing(address):
    _, writer = await asyncio.open_connection(*address)
    writer.close()  # the loop ends before it does it


async def test_streams_aborted(address):
    _, writer = await asyncio.open_connection(*address)
    writer.transport.abort()


async def test_endpoint_left(address):
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=address)  # finds: unclosed-socket


async def test_endpoint(address):
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=address)
    transport.close()


async def test_server_left():
    await asyncio.start_server(lambda *streams: None, "127.0.0.1", 0)  # finds: unclosed-socket


async def test_subprocess():
    process = await asyncio.create_subprocess_exec("true", stdin=asyncio.subprocess.PIPE)
    await process.wait()


async def test_own_socket(address):
    connected = socket.create_connection(address)
    connected.setblocking(False)
    _, writer = await asyncio.open_connection(sock=connected)
    writer.close()
    await writer.wait_closed()


def test_loop_in_a_thread(url):
    async def get():
        async with httpx.AsyncClient() as client:
            await client.get(url)

    thread = threading.Thread(target=asyncio.run, args=(get(),))
    thread.start()
    thread.join()


def test_loop_in_a_thread_left(url):
    async def get():
        await httpx.AsyncClient().get(url)  # finds: unclosed-session

    thread = threading.Thread(target=asyncio.run, args=(get(),))
    thread.start()
    thread.join()


@pytest.mark.anyio
class TestAnyio:
    async def test_client(self, url):
        async with httpx.AsyncClient() as client:
            await client.get(url)

    async def test_client_left(self, url):
        client = httpx.AsyncClient()  # finds: unclosed-session in TestAnyio::test_client_left[asyncio], TestAnyio::test_client_left[trio]
        await client.get(url)

    async def test_stream(self, address):
        async with await anyio.connect_tcp(*address):
            pass

    async def test_stream_left(self, address):
        await anyio.connect_tcp(*address)  # finds: unclosed-socket in TestAnyio::test_stream_left[asyncio], TestAnyio::test_stream_left[trio]

    async def test_tasks(self, url):
        async with httpx.AsyncClient() as client, anyio.create_task_group() as tasks:
            tasks.start_soon(client.get, url)

    async def test_worker_thread(self, url):
        await anyio.to_thread.run_sync(functools.partial(requests.get, url, timeout=5))

    async def test_worker_thread_without_a_limit(self, url):
        """The thread is kept, and was started by the test before."""
        await anyio.to_thread.run_sync(requests.get, url)  # finds: missing-timeout in TestAnyio::test_worker_thread_without_a_limit[asyncio], TestAnyio::test_worker_thread_without_a_limit[trio]


def test_threads_of_a_pool_are_kept(url, workers):
    workers.map(requests.get, [])
    assert workers.apply(functools.partial(requests.get, url, timeout=5)).ok


def test_threads_of_a_pool_without_a_limit(url, workers):  # finds: missing-timeout
    workers.map(requests.get, [url])


@pytest.fixture(scope="module")
def workers():
    with multiprocessing.pool.ThreadPool(1) as pool:
        yield pool
