"""Every constructor of a socket in Python, and what the standard library makes of them."""

import os
import socket
import ssl
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

import pytest

KEPT = []


def test_response_of_urlopen_dropped(url):
    urllib.request.urlopen(f"{url}/size/3000000", timeout=5)  # finds: unclosed-socket


def test_response_of_urlopen_kept(url):
    KEPT.append(urllib.request.urlopen(f"{url}/size/3000000", timeout=5))  # finds: unclosed-socket


def test_response_of_urlopen_read(url):
    response = urllib.request.urlopen(f"{url}/size/1000", timeout=5)
    assert len(response.read()) == 1000
    KEPT.append(response)


def test_error_of_urlopen(url):
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{url}/code/500", timeout=5)
    caught.value.close()


def test_from_a_descriptor(address):
    with socket.create_connection(address, timeout=5) as sock:
        socket.fromfd(sock.fileno(), sock.family, sock.type)  # finds: unclosed-socket


def test_from_a_detached_descriptor(address):
    detached = socket.create_connection(address, timeout=5).detach()
    KEPT.append(socket.socket(fileno=detached))  # finds: unclosed-socket


def test_from_a_detached_descriptor_closed(address):
    with socket.socket(fileno=socket.create_connection(address, timeout=5).detach()) as sock:
        assert sock.getpeername() == address


def test_descriptor_closed_by_the_system_call(address):
    os.close(socket.create_connection(address, timeout=5).detach())


def test_accepted_by_hand():
    with socket.create_server(("127.0.0.1", 0)) as server:
        with socket.create_connection(server.getsockname()) as client:
            accepted, _ = server.accept()
            accepted.close()
            assert client.recv(1) == b""


def test_listening_left():
    KEPT.append(socket.create_server(("127.0.0.1", 0)))  # finds: unclosed-socket


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no IPv6 here")
def test_version_6_left():
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        KEPT.append(socket.create_connection(server.getsockname()[:2]))  # finds: unclosed-socket


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no IPv6 here")
def test_version_6():
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        with socket.create_connection(server.getsockname()[:2]):
            pass


@pytest.fixture
def unix_path():
    with tempfile.TemporaryDirectory() as directory:
        yield str(Path(directory, "s"))


def test_unix(unix_path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(unix_path)
        server.listen()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(unix_path)


def test_unix_left(unix_path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(unix_path)
        server.listen()
        client = socket.socket(socket.AF_UNIX)  # finds: unclosed-socket
        client.connect(unix_path)
        KEPT.append(client)


def test_secured(tls_address, ca):
    context = ssl.create_default_context(cafile=ca)
    with socket.create_connection(tls_address, timeout=5) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as secured:
            assert secured.version()


def test_secured_left(tls_address, ca):
    context = ssl.create_default_context(cafile=ca)
    plain = socket.create_connection(tls_address, timeout=5)
    KEPT.append(context.wrap_socket(plain, server_hostname="localhost"))  # finds: unclosed-socket


def test_secured_dropped(tls_address, ca):
    context = ssl.create_default_context(cafile=ca)
    plain = socket.create_connection(tls_address, timeout=5)
    context.wrap_socket(plain, server_hostname="localhost").recv  # finds: unclosed-socket


def test_secured_and_unwrapped(tls_address, ca):
    context = ssl.create_default_context(cafile=ca)
    with socket.create_connection(tls_address, timeout=5) as plain:
        secured = context.wrap_socket(plain, server_hostname="localhost")
        secured.settimeout(5)
        secured.close()


def test_shut_down_but_not_closed(address):
    sock = socket.create_connection(address, timeout=5)  # finds: unclosed-socket
    sock.shutdown(socket.SHUT_RDWR)
    KEPT.append(sock)


class Line:
    """What a protocol's client often is: a socket and a file made from it."""

    def __init__(self, address):
        self.sock = socket.create_connection(address, timeout=5)  # finds: unclosed-socket in test_line_left
        self.file = self.sock.makefile("rwb")

    def close(self):
        self.file.close()
        self.sock.close()


def test_line(address):
    Line(address).close()


def test_line_left(address):
    Line(address)
