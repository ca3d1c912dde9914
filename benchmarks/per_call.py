"""A request over a connection to loopback: the instructions that the plugin adds to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from .measure import Row, Suite, instructions_of_one_more
from .server import serving


class _Call(NamedTuple):
    name: str
    target: float
    reached: float | None
    """What comes of it where the target is out of reach."""
    test: str
    """A test that calls ``n`` times."""


CALLS = [
    _Call(
        "requests.Session.get, kept alive",
        1.015,
        1.017,
        """
import requests
def test_calls(url):
    with requests.Session() as session:
        for _ in range({n}):
            session.get(url, timeout=9)
""",
    ),
    _Call(
        "requests.get",
        1.02,
        1.08,
        """
import requests
def test_calls(url):
    for _ in range({n}):
        requests.get(url, timeout=9)
""",
    ),
    _Call(
        "urllib3.PoolManager.request",
        1.03,
        1.08,
        """
import urllib3
def test_calls(url):
    with urllib3.PoolManager(timeout=9) as pool:
        for _ in range({n}):
            pool.request("GET", url)
""",
    ),
    _Call(
        "httpx.Client.get",
        1.02,
        None,
        """
import httpx
def test_calls(url):
    with httpx.Client(timeout=9, trust_env=False) as client:
        for _ in range({n}):
            client.get(url)
""",
    ),
    _Call(
        "aiohttp.ClientSession.get",
        1.03,
        1.145,
        """
import asyncio
import aiohttp
def test_calls(url):
    async def calls():
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(9)) as session:
            for _ in range({n}):
                async with session.get(url) as response:
                    await response.read()
    asyncio.run(calls())
""",
    ),
]

_CONFTEST = """
import pytest
@pytest.fixture
def url(): return {url!r}
"""


def counted() -> Iterator[Row]:
    """The rows that are instructions."""
    with serving() as url:
        conftest = _CONFTEST.format(url=url)
        for call in CALLS:
            suite = Suite(
                lambda n, test=call.test: {  # type: ignore[misc]  # the default binds the loop's variable
                    "test_calls.py": test.replace("{n}", str(n)),
                    "conftest.py": conftest,
                },
                (50, 250),
            )
            yield instructions_of_one_more(call.name, suite, call.target, call.reached)
