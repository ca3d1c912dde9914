"""The same mistakes for everybody to find; and at the end, what is right and should be found by nobody.

The docstring of a test is its row in the table.
"""

import asyncio
import contextlib
import socket
import threading
import urllib.request

import aiohttp
import httpx
import pytest
import requests
import urllib3
from requests.adapters import HTTPAdapter

KEPT = []


# --- what is left open --------------------------------------------------------------------------------


def test_session_dropped(url):
    """a `requests.Session` that is forgotten after use"""
    session = requests.Session()
    session.get(url, timeout=5)


def test_session_kept(url):
    """a `requests.Session` that stays in a list"""
    session = requests.Session()
    session.get(url, timeout=5)
    KEPT.append(session)


class Client:
    def __init__(self, url):
        self.url = url
        self.session = requests.Session()
        self.again = self.get  # a cycle: only the garbage collector can take it

    def get(self):
        return self.session.get(self.url, timeout=5)


def test_session_in_a_cycle(url):
    """a `requests.Session` within an object of ours, in a reference cycle"""
    Client(url).get()


def test_httpx_client_dropped(url):
    """an `httpx.Client` that is forgotten after use"""
    client = httpx.Client()
    client.get(url)


def test_aiohttp_session_dropped(url):
    """an `aiohttp.ClientSession` that is forgotten after use"""

    async def main():
        session = aiohttp.ClientSession()
        async with session.get(url) as response:
            await response.read()

    asyncio.run(main())


def test_pool_dropped(url):
    """a `urllib3.PoolManager` that is forgotten after use"""
    pool = urllib3.PoolManager()
    pool.request("GET", url, timeout=5)


def test_response_unread(url):
    """`stream=True`, and the answer is not read; the session is closed"""
    with requests.Session() as session:
        session.get(f"{url}/large", stream=True, timeout=5)


def test_response_unread_and_kept(url):
    """the same, and the response stays in a list"""
    with requests.Session() as session:
        KEPT.append(session.get(f"{url}/large", stream=True, timeout=5))


def test_response_of_urllib3(url):
    """`preload_content=False`, and the answer is not read; the pool is closed"""
    with urllib3.PoolManager() as pool:
        pool.request("GET", f"{url}/large", preload_content=False, timeout=5)


def test_socket_dropped(address):
    """a socket that is forgotten"""
    sock = socket.create_connection(address, timeout=5)
    sock.send(b"x")


def test_socket_kept(address):
    """a socket that stays in a list"""
    KEPT.append(socket.create_connection(address, timeout=5))


def test_urlopen(url):
    """`urllib.request.urlopen()` without `with`, and the answer is not read"""
    urllib.request.urlopen(f"{url}/large", timeout=5)


def test_asyncio_streams(address):
    """`asyncio.open_connection()`, and the writer is forgotten"""

    async def main():
        await asyncio.open_connection(*address)

    asyncio.run(main())


# --- without a timeout --------------------------------------------------------------------------------


def test_get_without_timeout(url):
    """`requests.get(url)`"""
    requests.get(url)


def test_session_without_timeout(url):
    """`session.get(url)`"""
    with requests.Session() as session:
        session.get(url)


def test_timeout_of_none(url):
    """`requests.get(url, timeout=None)`"""
    requests.get(url, timeout=None)


def test_half_a_timeout(url):
    """`requests.get(url, timeout=(3, None))`, which may read for ever"""
    requests.get(url, timeout=(3, None))


def test_httpx_without_timeout(url):
    """`httpx.Client(timeout=None)`"""
    with httpx.Client(timeout=None) as client:
        client.get(url)


def test_pool_without_timeout(url):
    """`pool.request("GET", url)` of urllib3"""
    with urllib3.PoolManager() as pool:
        pool.request("GET", url)


# --- what is not for pytest-connleak to find ----------------------------------------------------------


def test_file_dropped(tmp_path):
    """a file that is forgotten"""
    file = (tmp_path / "it").open("w")
    file.write("x")


def test_thread():
    """a thread that goes on"""
    threading.Thread(target=threading.Event().wait, args=(1,)).start()


def test_file_kept(tmp_path):
    """a file that stays in a list"""
    KEPT.append((tmp_path / "it").open("w"))


@pytest.mark.skip
def test_not_run(url):
    """`requests.get(url)` in code that no test runs"""
    requests.get(url)


# --- what is right ------------------------------------------------------------------------------------


def test_right_with_blocks(url):
    """right: everything in `with` blocks, with timeouts"""
    with requests.Session() as session:
        session.get(url, timeout=5)


def test_right_kept_response(url):
    """right: a response is kept that was read, of a session that is closed"""
    with requests.Session() as session:
        KEPT.append(session.get(url, timeout=5))


@pytest.fixture(scope="module")
def module_client(url_of_module):
    with requests.Session() as session:
        yield session


@pytest.fixture(scope="module")
def url_of_module(address):
    return "http://{}:{}".format(*address)


def test_right_of_the_module(module_client, url):
    """right: a session of a module's fixture connects in the first test and is closed after the last"""
    module_client.get(url, timeout=5)


class Limited(HTTPAdapter):
    def send(self, *args, timeout=None, **kwargs):
        return super().send(*args, timeout=timeout or 5, **kwargs)


def test_right_default_timeout(url):
    """right: the adapter of the session adds a timeout"""
    with requests.Session() as session:
        session.mount("http://", Limited())
        session.get(url)


def test_right_closed_by_contextlib(url):
    """right: `contextlib.closing()` around a session"""
    with contextlib.closing(requests.Session()) as session:
        session.get(url, timeout=5)


def test_right_module_client_again(module_client, url):
    """right: the last test that uses the module's session"""
    module_client.get(url, timeout=5)
