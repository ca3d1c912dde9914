"""Sockets of all makes."""

import contextlib
import http.client
import http.server
import socket
import ssl
import threading
import urllib.request
import xmlrpc.client
from xmlrpc.server import SimpleXMLRPCServer

import pytest

KEPT = []


def test_never_connected():
    socket.socket()  # finds: unclosed-socket


def test_datagrams():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", 9))


def test_datagrams_left():
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)  # finds: unclosed-socket
    sock.connect(("127.0.0.1", 9))


def test_pair_of_sockets():
    one, other = socket.socketpair()
    one.close()
    other.close()


def test_pair_left():
    KEPT.append(socket.socketpair())  # finds: unclosed-socket x2


def test_file_of_a_socket(address):
    sock = socket.create_connection(address, timeout=5)
    file = sock.makefile("rb")
    sock.close()
    file.close()


def test_file_of_a_socket_left(address):
    sock = socket.create_connection(address, timeout=5)  # finds: unclosed-socket
    KEPT.append(sock.makefile("rb"))
    sock.close()


def test_duplicate(address):
    with socket.create_connection(address, timeout=5) as sock:
        KEPT.append(sock.dup())  # finds: unclosed-socket


def test_refused():
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", 9), timeout=5)


def test_detached(address):
    sock = socket.create_connection(address, timeout=5)
    socket.close(sock.detach())


def test_http_client_closed(address):
    connection = http.client.HTTPConnection(*address, timeout=5)
    connection.request("GET", "/")
    connection.getresponse().read()
    connection.close()


def test_http_client_dropped(address):
    connection = http.client.HTTPConnection(*address, timeout=5)
    connection.request("GET", "/")  # finds: unclosed-socket
    connection.getresponse().read()


def test_urlopen(url):
    with urllib.request.urlopen(url, timeout=5) as response:
        response.read()


class Greeter(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"hi")

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def local():
    """A server in a thread of this process."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Greeter)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address
    server.shutdown()
    server.server_close()
    thread.join()


def test_both_ends_in_this_process(local):
    connection = http.client.HTTPConnection(*local, timeout=5)
    connection.request("GET", "/")
    assert connection.getresponse().read() == b"hi"
    connection.close()


def test_both_ends_left_open_are_one_mistake(local):
    connection = http.client.HTTPConnection(*local, timeout=5)
    connection.request("GET", "/")  # finds: unclosed-socket
    assert connection.getresponse().read() == b"hi"
    KEPT.append(connection)


def test_server_that_is_never_closed():
    server = http.server.HTTPServer(("127.0.0.1", 0), Greeter)  # finds: unclosed-socket
    KEPT.append(server)


def test_rpc():
    with SimpleXMLRPCServer(("127.0.0.1", 0), logRequests=False) as server:
        server.register_function(lambda: "pong", "ping")
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        with xmlrpc.client.ServerProxy("http://%s:%d" % server.server_address) as proxy:
            assert proxy.ping() == "pong"
        thread.join()


def test_wrapped(local):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with pytest.raises(OSError), socket.create_connection(local, timeout=2) as plain:
        context.wrap_socket(plain)


def test_connection_closed_after_a_last_answer(address):
    """The response keeps the socket; who closes the connection has done their part."""
    connection = http.client.HTTPConnection(*address, timeout=5)
    connection.request("GET", "/until-eof/5")
    response = connection.getresponse()
    connection.close()
    assert response.status == 200


def test_connection_closed_after_a_last_answer_was_dropped(address):
    with contextlib.closing(http.client.HTTPConnection(*address, timeout=5)) as connection:
        connection.request("GET", "/until-eof/5")
        assert connection.getresponse().status == 200


def test_connection_left_after_a_last_answer(address):
    connection = http.client.HTTPConnection(*address, timeout=5)
    connection.request("GET", "/until-eof/5")  # finds: unclosed-socket
    assert connection.getresponse().status == 200
