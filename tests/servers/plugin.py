"""The servers as pytest fixtures, one of each for a whole run.

``tests/conftest.py`` loads it; pytest puts that file's directory on the import path.

**A run inside a test** (``pytester.runpytest_subprocess``) uses the servers of the run around it.  These
fixtures set the environment: ``server`` sets ``CONNLEAK_TEST_URL``, ``tls_server`` ``CONNLEAK_TEST_TLS_URL``
and ``CONNLEAK_TEST_CA``, ``proxy`` ``CONNLEAK_TEST_PROXY_URL``.  The inner run reads ``os.environ``, or takes
the fixtures ``url``, ``tls_url``, ``ca`` and ``proxy_url`` of this plugin, which it can import because
``PYTHONPATH`` is set too.  The outer run asks the witness:

    def test_it(pytester, server):
        pytester.makepyfile("import requests\n\n\ndef test(url):\n    requests.get(url, timeout=5)\n")
        before = server.counts()
        pytester.runpytest_subprocess("-p", "servers.plugin").assert_outcomes(passed=1)
        server.wait_until(since=before, opened=1, open=0)
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from . import client
from . import nginx as nginx_program
from .client import Server


@pytest.fixture(scope="session")
def environment() -> Iterator[pytest.MonkeyPatch]:
    """The environment of the runs inside tests: this plugin can be imported there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(client.ROOT), prepend=os.pathsep)
        yield patch


@pytest.fixture(scope="session")
def server(environment: pytest.MonkeyPatch) -> Iterator[Server]:
    """The HTTP server."""
    with client.http_server() as running:
        environment.setenv("CONNLEAK_TEST_URL", running.url)
        yield running


@pytest.fixture(scope="session")
def tls_server(environment: pytest.MonkeyPatch) -> Iterator[Server]:
    """The HTTPS server; ``tls_server.ca`` is what to trust."""
    with client.tls_server() as running:
        assert running.ca is not None
        environment.setenv("CONNLEAK_TEST_TLS_URL", running.url)
        environment.setenv("CONNLEAK_TEST_CA", running.ca)
        yield running


@pytest.fixture(scope="session")
def proxy(environment: pytest.MonkeyPatch) -> Iterator[Server]:
    """The forward proxy."""
    with client.proxy_server() as running:
        environment.setenv("CONNLEAK_TEST_PROXY_URL", running.url)
        yield running


@pytest.fixture(scope="session")
def nginx() -> Iterator[Callable[[float], Server]]:
    """``nginx(keepalive_timeout)`` is an nginx with this timeout; skips where there is no nginx."""
    if nginx_program.find() is None:
        pytest.skip("there is no nginx with stub_status")
    started: dict[float, Server] = {}
    with ExitStack() as stack:

        def start(keepalive_timeout: float) -> Server:
            if keepalive_timeout not in started:
                started[keepalive_timeout] = stack.enter_context(client.nginx_server(keepalive_timeout))
            return started[keepalive_timeout]

        yield start


def _address(variable: str, fixture: str, attribute: str) -> Callable[..., str]:
    """A fixture with what the environment says, or else what this run's own server has."""

    def address(request: pytest.FixtureRequest) -> str:
        return os.environ.get(variable) or str(getattr(request.getfixturevalue(fixture), attribute))

    return pytest.fixture(scope="session")(address)


url = _address("CONNLEAK_TEST_URL", "server", "url")
tls_url = _address("CONNLEAK_TEST_TLS_URL", "tls_server", "url")
ca = _address("CONNLEAK_TEST_CA", "tls_server", "ca")
proxy_url = _address("CONNLEAK_TEST_PROXY_URL", "proxy", "url")
