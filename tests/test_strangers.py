"""Sockets that no Python code opened: ``_socket.socket`` stands for what a C extension does."""

from __future__ import annotations

import pytest

from conftest import RunTests
from servers import Server

HEAD = """
    import _socket
    import os

    import pytest

    KEPT = []


    def connect():
        sock = _socket.socket()
        sock.connect((HOST, PORT))
        return sock


    def connect_unseen():
        '''As C code does: the descriptor is all that there is.'''
        return connect().detach()


    HOST, _, PORT = os.environ["CONNLEAK_TEST_URL"].removeprefix("http://").partition(":")
    PORT = int(PORT)
"""


def test_the_test_and_the_peer_are_named(pytester: pytest.Pytester, run: RunTests, server: Server) -> None:
    pytester.makepyfile(
        HEAD
        + """

    def test_left():
        KEPT.append(connect_unseen())


    def test_closed():
        os.close(connect_unseen())


    def test_nothing_new():
        pass


    def test_one_number_and_another_socket():
        os.close(KEPT.pop())
        KEPT.append(connect_unseen())
    """
    )
    outcome = run()
    assert outcome.outcomes == {"failed": 2, "passed": 2}
    assert outcome.statuses == {"test_left": "leak", "test_one_number_and_another_socket": "leak"}
    finding = outcome.findings[0]
    assert (finding["kind"], finding["path"], finding["line"]) == ("unclosed-socket", None, None)
    assert [(c["remote"], c["status"]) for c in finding["connections"]] == [
        (server.url.removeprefix("http://"), "ESTABLISHED")
    ]
    assert "no call in Python was seen to open it" in outcome.output


@pytest.mark.usefixtures("server")
def test_what_a_wider_fixture_opened_is_its_own(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(
        HEAD
        + """

    @pytest.fixture(scope="module")
    def closed():
        number = connect_unseen()
        yield
        os.close(number)


    @pytest.fixture(scope="module")
    def left():
        KEPT.append(connect_unseen())


    def test_first(closed, left):
        pass


    def test_last():
        pass
    """
    )
    assert run().statuses == {"test_last": "leak"}


def test_curl(pytester: pytest.Pytester, run: RunTests, server: Server) -> None:
    """A real C extension: libcurl keeps the connection for the next request."""
    pytest.importorskip("pycurl")
    pytester.makepyfile(
        """
        import os

        import pycurl
        import pytest

        KEPT = []


        def get():
            curl = pycurl.Curl()
            curl.setopt(pycurl.URL, os.environ["CONNLEAK_TEST_URL"])
            curl.setopt(pycurl.WRITEFUNCTION, lambda data: None)
            curl.perform()
            return curl


        def test_left():
            KEPT.append(get())


        def test_closed():
            get().close()


        @pytest.fixture(scope="module")
        def of_the_module():
            KEPT.append(get())


        def test_first(of_the_module):
            pass


        def test_last():
            pass
        """
    )
    before = server.counts()
    outcome = run()
    assert outcome.statuses == {"test_left": "leak", "test_last": "leak"}
    first = outcome.findings[0]
    assert (first["kind"], first["line"], first["scope"]) == ("unclosed-socket", None, "function")
    (connection,) = first["connections"]
    assert (connection["remote"], connection["status"]) == (server.url.removeprefix("http://"), "ESTABLISHED")
    assert int(connection["local"].rpartition(":")[2]) == server.peers(before)[0].port


def test_what_is_no_network_connection_is_not_reported(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(
        """
        import os
        import _socket

        KEPT = []


        def test_unix():
            KEPT.append([sock.detach() for sock in _socket.socketpair()])


        def test_pipe():
            KEPT.append(os.pipe())
        """
    )
    assert run().outcomes == {"passed": 2}


def test_both_ends_are_one_mistake(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makepyfile(
        """
        import _socket
        import socket

        KEPT = []


        def test_both():
            with socket.create_server(("127.0.0.1", 0)) as listening:
                near = _socket.socket()
                near.connect(listening.getsockname())
                KEPT.append((near.detach(), listening.accept()))
        """
    )
    (finding,) = run().findings
    assert finding["line"] is None  # the near end


@pytest.mark.usefixtures("server")
def test_without_psutil_the_findings_of_python_stand(pytester: pytest.Pytester, run: RunTests) -> None:
    pytester.makeconftest(
        """
        import psutil


        def refuse(*args, **kwargs):
            raise psutil.AccessDenied(1)


        psutil.Process.net_connections = psutil.Process.connections = refuse
        """
    )
    pytester.makepyfile(
        HEAD
        + """
    import socket


    def test_python():
        KEPT.append(socket.create_connection((HOST, PORT), timeout=5))


    def test_other():
        KEPT.append(connect_unseen())
    """
    )
    outcome = run()
    assert outcome.statuses == {"test_python": "leak"}
    assert "psutil failed with AccessDenied" in outcome.output


def test_what_never_closes_is_waited_for_a_few_times(pytester: pytest.Pytester, run: RunTests, server: Server) -> None:
    pytester.makepyfile(
        HEAD
        + """

    @pytest.fixture(scope="module", autouse=True)
    def thread():
        import threading

        stop = threading.Event()
        thread = threading.Thread(target=stop.wait)
        thread.start()
        yield
        stop.set()
        thread.join()


    @pytest.mark.parametrize("number", range(10))
    def test_left(number):
        KEPT.append(connect_unseen())
    """
    )
    pytester.makeini("[pytest]\nconnleak_grace = 1")
    outcome = run()
    assert outcome.outcomes == {"failed": 10}
    assert outcome.result.duration < 8, "three times the whole of it, and seven times a tenth"
