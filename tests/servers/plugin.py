"""The servers as pytest fixtures, one of each for a whole run.

``tests/conftest.py`` loads it; pytest puts that file's directory on the import path.

**A run inside a test** (``pytester.runpytest_subprocess``) uses the servers of the run around it.  These
fixtures set the environment, and the inner run reads ``os.environ``, or takes the last column's fixtures of
this plugin, which it can import because ``PYTHONPATH`` is set too:

    server          CONNLEAK_TEST_URL           url
    server6         CONNLEAK_TEST_URL6          url6
    unix_server     CONNLEAK_TEST_UNIX_PATH     unix_path
    tls_server      CONNLEAK_TEST_TLS_URL       tls_url
                    CONNLEAK_TEST_CA            ca
    h2_server       CONNLEAK_TEST_H2_URL        h2_url
                    CONNLEAK_TEST_H2_CA         h2_ca
    proxy           CONNLEAK_TEST_PROXY_URL     proxy_url
    ws_server       CONNLEAK_TEST_WS_URL        ws_url
    ftp_server      CONNLEAK_TEST_FTP_URL       ftp_url
    smtp_server     CONNLEAK_TEST_SMTP_URL      smtp_url
    xmlrpc_server   CONNLEAK_TEST_XMLRPC_URL    xmlrpc_url
    moto_server     CONNLEAK_TEST_MOTO_URL      moto_url

The outer run asks the witness:

    def test_it(pytester, server):
        pytester.makepyfile("import requests\n\n\ndef test(url):\n    requests.get(url, timeout=5)\n")
        before = server.counts()
        pytester.runpytest_subprocess("-p", "servers.plugin").assert_outcomes(passed=1)
        server.wait_until(since=before, opened=1, open=0)
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib.util import find_spec

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
def server6(environment: pytest.MonkeyPatch) -> Iterator[Server]:
    """The HTTP server on ::1; skips where there is no such address."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as error:
        pytest.skip(f"there is no IPv6 loopback: {error}")
    with client.server6() as running:
        environment.setenv("CONNLEAK_TEST_URL6", running.url)
        yield running


@pytest.fixture(scope="session")
def unix_server(environment: pytest.MonkeyPatch) -> Iterator[Server]:
    """The HTTP server on a Unix socket, ``unix_server.path``, and a Docker engine at ``unix_server.url``."""
    with client.unix_server() as running:
        assert running.path is not None
        environment.setenv("CONNLEAK_TEST_UNIX_PATH", running.path)
        yield running


@pytest.fixture(scope="session")
def h2_server(environment: pytest.MonkeyPatch) -> Iterator[Server]:
    """The server for HTTP/2; ``h2_server.ca`` is what to trust."""
    with client.h2_server() as running:
        assert running.ca is not None
        environment.setenv("CONNLEAK_TEST_H2_URL", running.url)
        environment.setenv("CONNLEAK_TEST_H2_CA", running.ca)
        yield running


@pytest.fixture(scope="session")
def ws_server(environment: pytest.MonkeyPatch) -> Iterator[Server]:
    """The WebSocket server."""
    with client.ws_server() as running:
        environment.setenv("CONNLEAK_TEST_WS_URL", running.url)
        yield running


@pytest.fixture(scope="session")
def ftp_server(environment: pytest.MonkeyPatch) -> Iterator[Server]:
    """The FTP server."""
    with client.ftp_server() as running:
        environment.setenv("CONNLEAK_TEST_FTP_URL", running.url)
        yield running


@pytest.fixture(scope="session")
def smtp_server(environment: pytest.MonkeyPatch) -> Iterator[Server]:
    """The SMTP server."""
    with client.smtp_server() as running:
        environment.setenv("CONNLEAK_TEST_SMTP_URL", running.url)
        yield running


@pytest.fixture(scope="session")
def xmlrpc_server(environment: pytest.MonkeyPatch) -> Iterator[Server]:
    """The XML-RPC server."""
    with client.xmlrpc_server() as running:
        environment.setenv("CONNLEAK_TEST_XMLRPC_URL", running.url)
        yield running


@pytest.fixture(scope="session")
def moto_server(environment: pytest.MonkeyPatch) -> Iterator[Server]:
    """The stand-in for AWS; skips where there is no moto."""
    if find_spec("moto") is None:
        pytest.skip("there is no moto")
    with client.moto_server() as running:
        environment.setenv("CONNLEAK_TEST_MOTO_URL", running.url)
        yield running


@pytest.fixture(scope="session")
def relay() -> Iterator[Callable[..., Server]]:
    """``relay(host, port)`` and ``relay(path)`` are a relay in front of what listens there."""
    started: dict[tuple[str | int, ...], Server] = {}
    with ExitStack() as stack:

        def start(*address: str | int) -> Server:
            if address not in started:
                started[address] = stack.enter_context(client.relay_server(*address))
            return started[address]

        yield start


@pytest.fixture(scope="session")
def proxy(environment: pytest.MonkeyPatch) -> Iterator[Server]:
    """The forward proxy."""
    with client.proxy_server() as running:
        environment.setenv("CONNLEAK_TEST_PROXY_URL", running.url)
        yield running


@pytest.fixture(scope="session")
def nginx() -> Iterator[Callable[..., Server]]:
    """``nginx(keepalive_timeout, keepalive_requests)`` is an nginx with these; skips where there is no nginx."""
    if nginx_program.find() is None:
        pytest.skip("there is no nginx with stub_status")
    started: dict[tuple[float, int], Server] = {}
    with ExitStack() as stack:

        def start(keepalive_timeout: float, keepalive_requests: int = 1000) -> Server:
            limits = (keepalive_timeout, keepalive_requests)
            if limits not in started:
                started[limits] = stack.enter_context(client.nginx_server(*limits))
            return started[limits]

        yield start


def _address(variable: str, fixture: str, attribute: str) -> Callable[..., str]:
    """A fixture with what the environment says, or else what this run's own server has."""

    def address(request: pytest.FixtureRequest) -> str:
        return os.environ.get(variable) or str(getattr(request.getfixturevalue(fixture), attribute))

    return pytest.fixture(scope="session")(address)


url = _address("CONNLEAK_TEST_URL", "server", "url")
url6 = _address("CONNLEAK_TEST_URL6", "server6", "url")
unix_path = _address("CONNLEAK_TEST_UNIX_PATH", "unix_server", "path")
tls_url = _address("CONNLEAK_TEST_TLS_URL", "tls_server", "url")
ca = _address("CONNLEAK_TEST_CA", "tls_server", "ca")
h2_url = _address("CONNLEAK_TEST_H2_URL", "h2_server", "url")
h2_ca = _address("CONNLEAK_TEST_H2_CA", "h2_server", "ca")
proxy_url = _address("CONNLEAK_TEST_PROXY_URL", "proxy", "url")
ws_url = _address("CONNLEAK_TEST_WS_URL", "ws_server", "url")
ftp_url = _address("CONNLEAK_TEST_FTP_URL", "ftp_server", "url")
smtp_url = _address("CONNLEAK_TEST_SMTP_URL", "smtp_server", "url")
xmlrpc_url = _address("CONNLEAK_TEST_XMLRPC_URL", "xmlrpc_server", "url")
moto_url = _address("CONNLEAK_TEST_MOTO_URL", "moto_server", "url")
