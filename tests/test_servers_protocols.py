"""The servers of other protocols are good witnesses too."""

from __future__ import annotations

import asyncio
import contextlib
import ftplib
import http.client
import io
import smtplib
import socket
import ssl
import xmlrpc.client
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import requests
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from servers import Server, h2_server
from servers.checking import TIMEOUT, assert_seen_open, connected, read_to_end

# --- IPv6 ---------------------------------------------------------------------------------------------


def test_ipv6(server6: Server) -> None:
    assert server6.url == f"http://[::1]:{server6.port}"
    before = server6.counts()
    with requests.Session() as session:
        for path in ("size/3", "parts/3"):
            assert session.get(f"{server6.url}/{path}", timeout=TIMEOUT).ok
        assert_seen_open(server6, before)
        assert session.get(f"{server6.url}/echo", timeout=TIMEOUT).json()["port"] == server6.peers()[-1].port
    server6.wait_until(since=before, opened=1, open=0, requests=3)


# --- Unix sockets -------------------------------------------------------------------------------------


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str | None):
        super().__init__("localhost", timeout=TIMEOUT)
        self._path = path or ""

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/", 200, b"hello"),
        ("/size/3", 200, b"xxx"),
        ("/parts/2", 200, b"hellohello"),
        ("/code/404", 404, b"404"),
        ("/no-such-path", 404, b"no such path"),
        ("/_ping", 200, b"OK"),
        ("/v1.44/_ping", 200, b"OK"),
        ("/containers/web/no-such-path", 404, b"no such path"),
    ],
)
def test_unix_socket(unix_server: Server, path: str, status: int, body: bytes) -> None:
    assert unix_server.path is not None
    assert len(unix_server.path) < 100
    before = unix_server.counts()
    with contextlib.closing(UnixConnection(unix_server.path)) as connection:
        for _ in range(2):
            connection.request("GET", path)
            answer = connection.getresponse()
            assert (answer.status, answer.read()) == (status, body)
        assert_seen_open(unix_server, before)
    unix_server.wait_until(since=before, opened=1, open=0, closed=1, requests=2)


@pytest.mark.parametrize("path", ["/endless", "/wait/60", "/events", "/containers/web/logs?follow=1"])
def test_unix_socket_and_a_client_that_does_not_wait(unix_server: Server, path: str) -> None:
    before = unix_server.counts()
    with contextlib.closing(UnixConnection(unix_server.path)) as connection:
        connection.request("GET", path)
        unix_server.wait_until(since=before, opened=1, requests=1)
        assert_seen_open(unix_server, before)
    unix_server.wait_until(since=before, opened=1, open=0)


@pytest.mark.parametrize(
    ("path", "ends"),
    [
        ("/events", False),
        ("/containers/web/logs?follow=1", False),
        ("/containers/web/logs?follow=0", True),
        ("/containers/job/logs?follow=1", True),
    ],
)
def test_docker_streams_end_or_not(unix_server: Server, path: str, ends: bool) -> None:
    before = unix_server.counts()
    with contextlib.closing(UnixConnection(unix_server.path)) as connection:
        connection.request("GET", path)
        with connection.getresponse() as answer:
            connection.sock.settimeout(TIMEOUT if ends else 0.1)
            with contextlib.nullcontext() if ends else pytest.raises(TimeoutError):
                assert answer.read().endswith(b"second line\n")
    unix_server.wait_until(since=before, opened=1, open=0)


def docker_client(server: Server) -> contextlib.closing[Any]:
    """A client, to be used in a ``with`` block."""
    docker = pytest.importorskip("docker")
    return contextlib.closing(docker.DockerClient(base_url=server.url, timeout=TIMEOUT))


def test_docker(unix_server: Server) -> None:
    before = unix_server.counts()
    with docker_client(unix_server) as engine:
        assert engine.ping()
        assert engine.version()["ApiVersion"] == engine.api.api_version == "1.44"
        assert [container.name for container in engine.containers.list(all=True)] == ["web", "job"]
        assert [container.status for container in engine.containers.list(all=True)] == ["running", "exited"]
        assert engine.containers.get("job").id == "b" * 64
        with pytest.raises(requests.HTTPError, match="No such container: none"):
            engine.containers.get("none")
        assert engine.containers.get("web").logs() == b"first line\nsecond line\n"
        assert_seen_open(unix_server, before, number=10)  # the SDK has a pool for each URL
    unix_server.wait_until(since=before, opened=10, open=0, requests=14)


def test_docker_logs_that_end(unix_server: Server) -> None:
    before = unix_server.counts()
    with docker_client(unix_server) as engine:
        logs = engine.containers.get("job").logs(stream=True)
        assert list(logs) == [b"first line\n", b"second line\n"]
    unix_server.wait_until(since=before, open=0)


def test_docker_streams_that_do_not_end(unix_server: Server) -> None:
    before = unix_server.counts()
    with docker_client(unix_server) as engine:
        events = engine.events(decode=True)
        assert next(events)["Action"] == "start"
        logs = engine.containers.get("web").logs(stream=True)
        assert [next(logs), next(logs)] == [b"first line\n", b"second line\n"]
        assert_seen_open(unix_server, before, number=5)  # the streams, the version, "web" by its name and by its ID
        for stream, still_open in ((events, 4), (logs, 3)):
            stream.close()
            unix_server.wait_until(since=before, opened=5, open=still_open)
            stream._response.close()  # close() shuts the socket down, but leaves its descriptor open
    unix_server.wait_until(since=before, opened=5, open=0)


# --- HTTP/2 -------------------------------------------------------------------------------------------


def trusting(server: Server) -> ssl.SSLContext:
    """What trusts the server."""
    return ssl.create_default_context(cafile=server.ca)


@pytest.mark.parametrize(("http2", "version"), [(True, "HTTP/2"), (False, "HTTP/1.1")])
def test_http2_and_its_fallback(h2_server: Server, http2: bool, version: str) -> None:
    before = h2_server.counts()
    with httpx.Client(http2=http2, verify=trusting(h2_server), timeout=TIMEOUT) as client:
        for path, length in (("", 5), ("size/0", 0), ("size/1000000", 1_000_000), ("drip/3", 3000), ("wait/0.01", 5)):
            answer = client.get(f"{h2_server.url}/{path}")
            assert (answer.status_code, answer.http_version, len(answer.content)) == (200, version, length)
        assert client.get(f"{h2_server.url}/no-such-path").status_code == 404
        assert_seen_open(h2_server, before)
        assert h2_server.peers(before)[0].requests == 6
    h2_server.wait_until(since=before, opened=1, open=0, closed=1, requests=6)


def test_http2_requests_share_a_connection(h2_server: Server) -> None:
    async def ask_at_once() -> None:
        async with httpx.AsyncClient(http2=True, verify=trusting(h2_server), timeout=TIMEOUT) as client:
            await client.get(h2_server.url)  # before that the client does not know that this is HTTP/2
            await asyncio.gather(*(client.get(f"{h2_server.url}/wait/0.05") for _ in range(10)))
            h2_server.wait_until(since=before, opened=1, open=1, requests=11)

    before = h2_server.counts()
    asyncio.run(ask_at_once())
    h2_server.wait_until(since=before, opened=1, open=0, requests=11)


@pytest.mark.parametrize("http2", [True, False])
def test_http2_unread_stream(h2_server: Server, http2: bool) -> None:
    before = h2_server.counts()
    with httpx.Client(http2=http2, verify=trusting(h2_server), timeout=TIMEOUT) as client:
        with client.stream("GET", f"{h2_server.url}/drip/10000"):
            assert_seen_open(h2_server, before)
        if http2:  # the stream has ended, the connection has not
            assert_seen_open(h2_server, before)
        else:
            h2_server.wait_until(since=before, opened=1, open=0)
    h2_server.wait_until(since=before, opened=1, open=0)


@pytest.mark.parametrize("http2", [True, False])
def test_http2_and_a_client_that_does_not_wait(h2_server: Server, http2: bool) -> None:
    before = h2_server.counts()
    with (
        httpx.Client(http2=http2, verify=trusting(h2_server), timeout=0.5) as client,
        pytest.raises(httpx.ReadTimeout),
    ):
        client.get(f"{h2_server.url}/wait/60")
    h2_server.wait_until(since=before, opened=1, open=0, requests=1)


def test_http2_server_does_not_talk_to_who_has_gone(capfd: pytest.CaptureFixture[str]) -> None:
    with h2_server() as server, httpx.Client(verify=trusting(server), timeout=TIMEOUT) as client:
        with client.stream("GET", f"{server.url}/drip/10000"):
            server.wait_until(opened=1, open=1, requests=1)
        server.wait_until(opened=1, open=0)
        client.get(f"{server.url}/drip/20")  # meanwhile asyncio would complain
    assert capfd.readouterr() == ("", "")


def test_http2_that_is_not_trusted(h2_server: Server) -> None:
    before = h2_server.counts()
    with httpx.Client(http2=True, timeout=TIMEOUT) as client, pytest.raises(httpx.ConnectError, match="CERTIFICATE"):
        client.get(h2_server.url)
    h2_server.wait_until(since=before, opened=1, open=0, requests=0)


def test_http2_of_a_client_that_says_nothing_is_open(h2_server: Server) -> None:
    before = h2_server.counts()
    with connected(h2_server.port):
        assert_seen_open(h2_server, before)
    h2_server.wait_until(since=before, opened=1, open=0)


# --- WebSockets ---------------------------------------------------------------------------------------


def test_websocket_echo(ws_server: Server) -> None:
    before = ws_server.counts()
    with connect(f"{ws_server.url}/echo") as websocket:
        for message in ("text", b"bytes", "x" * 100_000):
            websocket.send(message)
            assert websocket.recv(TIMEOUT) == message
        assert_seen_open(ws_server, before)
    ws_server.wait_until(since=before, opened=1, open=0, closed=1, requests=1)


def test_websocket_closed_by_the_server(ws_server: Server) -> None:
    before = ws_server.counts()
    with connect(f"{ws_server.url}/bye") as websocket:
        assert list(websocket) in (["bye"], [])  # websockets 13 may lose the message that comes with the close
    ws_server.wait_until(since=before, opened=1, open=0)


def test_websocket_messages(ws_server: Server) -> None:
    before = ws_server.counts()
    with connect(f"{ws_server.url}/count/3") as websocket:
        assert [websocket.recv(TIMEOUT) for _ in range(3)] == ["0", "1", "2"]
        assert_seen_open(ws_server, before)
    ws_server.wait_until(since=before, opened=1, open=0)


def test_websocket_of_no_such_path(ws_server: Server) -> None:
    before = ws_server.counts()
    with connect(f"{ws_server.url}/no-such-path") as websocket, pytest.raises(ConnectionClosed, match="no such path"):
        websocket.recv(TIMEOUT)
    ws_server.wait_until(since=before, opened=1, open=0)


@pytest.mark.parametrize(
    ("path", "said"),
    [("echo", b""), ("bye", b"\x81\x03bye\x88"), ("count/1000", b"\x81\x010\x81\x011\x81\x012")],
)
def test_websocket_that_nobody_closes(ws_server: Server, path: str, said: bytes) -> None:
    before = ws_server.counts()
    with connected(ws_server.port) as connection:
        connection.sendall(
            f"GET /{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        answer = b""
        while b"\r\n\r\n" + said not in answer:
            answer += connection.recv(4096) or pytest.fail(f"the server closed after {answer!r}")
        assert answer.startswith(b"HTTP/1.1 101 ")
        ws_server.wait_until(since=before, opened=1, open=1, requests=1)
        assert_seen_open(ws_server, before)
    ws_server.wait_until(since=before, opened=1, open=0)


# --- FTP ----------------------------------------------------------------------------------------------


def ftp(server: Server, *login: str) -> ftplib.FTP:
    """A client that has logged in."""
    client = ftplib.FTP(timeout=TIMEOUT)
    client.connect("127.0.0.1", server.port)
    client.login(*login)
    return client


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6], ids=["PASV", "EPSV"])
def test_ftp(ftp_server: Server, family: socket.AddressFamily) -> None:
    before = ftp_server.counts()
    received = io.BytesIO()
    with ftp(ftp_server) as client:
        client.af = family  # by which it chooses the command
        assert sorted(client.nlst()) == ["hello.txt", "large"]
        client.retrbinary("RETR hello.txt", received.write)
        assert received.getvalue() == b"hello"
        ftp_server.wait_until(since=before, opened=3, open=1)
        assert_seen_open(ftp_server, before)
    ftp_server.wait_until(since=before, opened=3, open=0, closed=3, requests=0)


def test_ftp_upload(ftp_server: Server) -> None:
    before = ftp_server.counts()
    with ftp(ftp_server, "user", "secret") as client:
        client.storbinary("STOR new", io.BytesIO(b"12345"))
        assert client.size("new") == 5
        client.delete("new")
    ftp_server.wait_until(since=before, opened=2, open=0)


def test_ftp_that_is_not_allowed(ftp_server: Server) -> None:
    before = ftp_server.counts()
    with ftp(ftp_server) as client, pytest.raises(ftplib.error_perm, match="550"):
        client.delete("hello.txt")
    ftp_server.wait_until(since=before, opened=1, open=0)


@pytest.mark.parametrize("file", ["hello.txt", "large"])
def test_ftp_data_that_nobody_closes(ftp_server: Server, file: str) -> None:
    before = ftp_server.counts()
    client = ftp(ftp_server)
    with contextlib.closing(client):
        data = client.transfercmd(f"RETR {file}")
        assert_seen_open(ftp_server, before, number=2)
        assert {peer.port for peer in ftp_server.peers(before) if peer.open} == {
            connection.getsockname()[1] for connection in (client.sock, data)
        }
        if file == "hello.txt":
            assert read_to_end(data) == b"hello"
            assert_seen_open(ftp_server, before, number=2)
        data.close()
        ftp_server.wait_until(since=before, opened=2, open=1)
    ftp_server.wait_until(since=before, opened=2, open=0)


def test_ftp_data_that_nobody_fetches(ftp_server: Server) -> None:
    before = ftp_server.counts()
    with ftp(ftp_server) as client:
        client.makepasv()
        ftp_server.wait_until(since=before, opened=1, open=1)
    ftp_server.wait_until(since=before, opened=1, open=0)


# --- SMTP ---------------------------------------------------------------------------------------------


def test_smtp(smtp_server: Server) -> None:
    before = smtp_server.counts()
    with smtplib.SMTP("127.0.0.1", smtp_server.port, timeout=TIMEOUT) as client:
        for _ in range(2):
            assert client.sendmail("from@example.org", ["to@example.org"], "Subject: hello\n\nhello\n") == {}
        assert_seen_open(smtp_server, before)
    smtp_server.wait_until(since=before, opened=1, open=0, closed=1, requests=2)


def test_smtp_that_quits_but_does_not_close(smtp_server: Server) -> None:
    before = smtp_server.counts()
    client = smtplib.SMTP("127.0.0.1", smtp_server.port, timeout=TIMEOUT)
    with contextlib.closing(client):
        client.docmd("QUIT")  # which quit() does, and closes
        assert_seen_open(smtp_server, before)
    smtp_server.wait_until(since=before, opened=1, open=0, requests=0)


# --- XML-RPC ------------------------------------------------------------------------------------------


def test_xmlrpc(xmlrpc_server: Server) -> None:
    before = xmlrpc_server.counts()
    with xmlrpc.client.ServerProxy(xmlrpc_server.url) as client:
        assert client.hello() == client.wait(0.01) == "hello"
        assert client.add(1, 2) == 3
        assert client.size(10).data == b"x" * 10
        assert client.system.listMethods()[:2] == ["add", "fail"]
        with pytest.raises(xmlrpc.client.Fault, match="this fails"):
            client.fail()
        assert_seen_open(xmlrpc_server, before)
    xmlrpc_server.wait_until(since=before, opened=1, open=0, closed=1, requests=6)


# --- moto ---------------------------------------------------------------------------------------------


@pytest.fixture
def aws(moto_server: Server) -> Callable[[str], contextlib.closing[Any]]:
    """``aws(service)`` is a client, to be used in a ``with`` block."""
    boto3 = pytest.importorskip("boto3")

    def client(service: str) -> contextlib.closing[Any]:
        secrets = {"aws_access_key_id": "id", "aws_secret_access_key": "key", "region_name": "us-east-1"}
        return contextlib.closing(boto3.client(service, endpoint_url=moto_server.url, **secrets))

    return client


def test_s3(moto_server: Server, aws: Callable[[str], contextlib.closing[Any]]) -> None:
    before = moto_server.counts()
    with aws("s3") as s3:
        s3.create_bucket(Bucket="bucket")
        s3.put_object(Bucket="bucket", Key="key", Body=b"x" * 100_000)
        with s3.get_object(Bucket="bucket", Key="key")["Body"] as body:
            assert_seen_open(moto_server, before)
            assert len(body.read()) == 100_000
        del body  # it keeps the pool of its client, and the pool its connections
        assert_seen_open(moto_server, before)
    moto_server.wait_until(since=before, opened=1, open=0, closed=1, requests=0)


def test_sqs(moto_server: Server, aws: Callable[[str], contextlib.closing[Any]]) -> None:
    before = moto_server.counts()
    with aws("sqs") as sqs:
        url = sqs.create_queue(QueueName="queue")["QueueUrl"]
        assert urlsplit(url).port == moto_server.port  # and not that of moto itself, whom nobody counts
        moto_server.wait_until(since=before, opened=1, open=1)
        sqs.send_message(QueueUrl=url, MessageBody="hello")
        assert [message["Body"] for message in sqs.receive_message(QueueUrl=url)["Messages"]] == ["hello"]
        assert_seen_open(moto_server, before)
    moto_server.wait_until(since=before, opened=1, open=0)
