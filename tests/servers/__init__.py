"""Real servers for the tests, each in a process of its own, that count their connections as second witnesses.

    with http_server() as server:
        before = server.counts()
        requests.get(f"{server.url}/size/10", timeout=5)
        server.wait_until(since=before, opened=1, open=0)

``client`` starts the servers and asks them, ``plugin`` makes fixtures of them, also for runs inside a test.
``counting``, ``relay`` and ``certificate`` are what the programs share, the other modules are the programs.
``relay`` is also a program: what cannot count by itself is counted by a relay in front of it.

The question and the answer are lines on the child's stdin and stdout, so asking opens no socket: neither
the server's counts nor the asking process's list of connections changes by it.
"""

from .client import (
    Counts,
    Peer,
    Server,
    ftp_server,
    h2_server,
    http_server,
    moto_server,
    nginx_server,
    proxy_server,
    relay_server,
    server6,
    smtp_server,
    tls_server,
    unix_server,
    ws_server,
    xmlrpc_server,
)

__all__ = [
    "Counts",
    "Peer",
    "Server",
    "ftp_server",
    "h2_server",
    "http_server",
    "moto_server",
    "nginx_server",
    "proxy_server",
    "relay_server",
    "server6",
    "smtp_server",
    "tls_server",
    "unix_server",
    "ws_server",
    "xmlrpc_server",
]
