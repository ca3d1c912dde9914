"""gevent: its sockets are seen as those of the standard library are, whenever the program was patched."""

from __future__ import annotations

import pytest

from conftest import RunTests

pytest.importorskip("gevent")

PATCH = "from gevent import monkey\n\nmonkey.patch_all()\n"
TESTS = """
    import os
    import socket

    import gevent
    import requests

    KEPT = []
    URL = os.environ["CONNLEAK_TEST_URL"]
    HOST, _, PORT = URL.removeprefix("http://").partition(":")


    def test_session():
        session = requests.Session()
        session.get(URL, timeout=5)
        KEPT.append(session)


    def test_session_closed():
        with requests.Session() as session:
            session.get(URL, timeout=5)


    def test_session_closed_by_a_greenlet():
        session = requests.Session()
        session.get(URL, timeout=5)
        gevent.spawn_later(0.05, session.close)


    def test_stream():
        with requests.Session() as session:
            KEPT.append(session.get(f"{URL}/size/3000000", timeout=5, stream=True))


    def test_socket():
        KEPT.append(socket.create_connection((HOST, int(PORT)), timeout=5))


    def test_socket_dropped():
        socket.create_connection((HOST, int(PORT)), timeout=5)


    def test_socket_closed():
        with socket.create_connection((HOST, int(PORT)), timeout=5):
            pass
"""


@pytest.mark.parametrize("patched", ["before the plugin is there", "in the conftest"])
@pytest.mark.usefixtures("server")
def test_each_mistake_is_found_once(pytester: pytest.Pytester, run: RunTests, patched: str) -> None:
    pytester.makepyfile(TESTS)
    early = patched.startswith("before")
    pytester.makepyfile(**{"early" if early else "conftest": PATCH})
    outcome = run("-Wignore", *["-pearly"] * early, plugins=["early", "connleak"] if early else ["connleak"])
    found = [(f["nodeid"].partition("::")[2], f["kind"], f["line"]) for f in outcome.findings]
    assert found == [
        ("test_session", "unclosed-session", 13),
        ("test_stream", "unclosed-response", 31),
        ("test_socket", "unclosed-socket", 35),
        ("test_socket_dropped", "unclosed-socket", 39),
    ]
