"""A test while many sockets are open, in its own process and elsewhere on the machine: the seconds with the plugin."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from .measure import ON, Files, Row, Suite, paired, seconds_of_one_more

_CONFTEST = """
import resource, socket
import pytest
@pytest.fixture(scope="session", autouse=True)
def held():
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    held = [socket.socket() for _ in range({sockets})]
    yield
    for one in held:
        one.close()
"""

# Keeps a socket, so that there is something to describe.
_LEAKING = """
def test_{i}():
    KEPT.append(socket.create_connection(LISTENING.getsockname()))
"""

_ELSEWHERE = """
import resource, socket, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
listening = socket.create_server(("127.0.0.1", 0), backlog=128)
held = []
for _ in range({sockets} // 2):
    held.append(socket.create_connection(listening.getsockname()))
    held.append(listening.accept()[0])
print(flush=True)
sys.stdin.read()
"""


def holding(sockets: int) -> Suite:
    """Tests in which nothing happens while a fixture holds so many sockets."""

    def files(n: int) -> Files:
        tests = "\n".join(f"def test_{i}(): pass" for i in range(n))
        return {"conftest.py": _CONFTEST.format(sockets=sockets), "test_held.py": tests}

    return Suite(files, (200, 1200))


def leaking(n: int) -> Files:
    """Tests that each keep a connection."""
    start = "import socket\nLISTENING = socket.create_server(('127.0.0.1', 0), backlog=512)\nKEPT = []\n"
    return {"test_leaking.py": start + "".join(_LEAKING.format(i=i) for i in range(n))}


@contextmanager
def elsewhere(sockets: int) -> Iterator[None]:
    """Another process has so many connections open."""
    command = [sys.executable, "-c", _ELSEWHERE.format(sockets=sockets)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        if not process.stdout.readline():
            raise RuntimeError(f"{sockets} sockets are more than this machine lets a process have")
        yield
        process.stdin.close()


def timed() -> Iterator[Row]:
    """Both crowds."""
    few, many, ratio = paired(
        lambda: seconds_of_one_more(holding(5), *ON), lambda: seconds_of_one_more(holding(5000), *ON), 5
    )
    yield Row("5,000 sockets held, not 5", few * 1000, many * 1000, "ms a test", ratio, 1.2)
    suite = Suite(leaking, (20, 220))

    def beside(sockets: int) -> float:
        with elsewhere(sockets):
            return seconds_of_one_more(suite, *ON)

    few, many, ratio = paired(lambda: beside(100), lambda: beside(18_000), 3)
    yield Row("18,000 sockets elsewhere, not 100", few * 1000, many * 1000, "ms a leaking test", ratio, 1.05)
