"""Four leaks on purpose, and next to each how it is done."""

import contextlib
import socket
from urllib.parse import urlsplit

import shop


def test_products(url):
    client = shop.Client(url)
    assert client.products() == ["tea", "cups"]


def test_products_closed(url):
    with contextlib.closing(shop.Client(url)) as client:
        assert client.products() == ["tea", "cups"]


def test_catalogue(url):
    with contextlib.closing(shop.Client(url)) as client:
        assert client.size_of_catalogue() == 100_000


def test_open(url):
    assert shop.is_open(url)


def test_port(url):
    parts = urlsplit(url)
    sock = socket.create_connection((parts.hostname, parts.port), timeout=5)
    assert sock.getpeername()[1] == parts.port


def test_port_closed(url):
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=5) as sock:
        assert sock.getpeername()[1] == parts.port


def test_shared(url):
    assert shop.shared_client(url).products() == ["tea", "cups"]
