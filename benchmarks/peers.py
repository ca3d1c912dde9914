"""What others add to each test, for comparison: tests that have one socket open."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from typing import NamedTuple

from .measure import ON, PYTEST, Files, Row, Suite, seconds_of_one_more

SIZES = (50, 250)


class _Peer(NamedTuple):
    name: str
    options: tuple[str, ...] = ()
    python: tuple[str, ...] = ()
    conftest: str = ""
    needs: str = ""


_FIXTURE = """
import psutil, pytest
@pytest.fixture(autouse=True)
def no_new_connections():
    before = psutil.Process().net_connections("inet")
    yield
    assert len(psutil.Process().net_connections("inet")) == len(before)
"""
_MARK = """
import pytest
def pytest_collection_modifyitems(items):
    for item in items: item.add_marker(pytest.mark.no_leaks("all"))
"""

PEERS = [
    _Peer("pytest-connleak", ON),
    _Peer("python -W error::ResourceWarning", python=("-W", "error::ResourceWarning")),
    _Peer("tracemalloc, 10 frames", python=("-X", "tracemalloc=10")),
    _Peer("a fixture with psutil before and after", conftest=_FIXTURE),
    _Peer("pytest-openfiles", ("-p", "pytest_openfiles.plugin", "--open-files"), needs="pytest_openfiles"),
    _Peer("pyleak", ("-p", "pyleak.pytest_plugin"), conftest=_MARK, needs="pyleak"),
]


def with_a_socket(n: int) -> Files:
    """Tests in which nothing happens while one socket is open."""
    start = "import socket\nLISTENING = socket.create_server(('127.0.0.1', 0))\n"
    return {"test_listening.py": start + "\n".join(f"def test_{i}(): pass" for i in range(n))}


def timed() -> Iterator[Row]:
    """Those that are installed."""
    plain = seconds_of_one_more(Suite(with_a_socket, SIZES))
    for peer in PEERS:
        if peer.needs and importlib.util.find_spec(peer.needs) is None:
            continue
        suite = Suite(lambda n, text=peer.conftest: {**with_a_socket(n), "conftest.py": text}, SIZES)  # type: ignore[misc]
        each = seconds_of_one_more(suite, *peer.options, python=(*peer.python, *PYTEST))
        yield Row(peer.name, plain * 1000, each * 1000, "ms a test", each / plain)
