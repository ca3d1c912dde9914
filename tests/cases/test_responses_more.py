"""Streamed responses."""

import shutil
import io

import pytest
import requests
import urllib3

KEPT = []


def test_copied_to_a_file(url):
    with requests.get(f"{url}/size/50000", stream=True, timeout=5) as response:
        shutil.copyfileobj(response.raw, io.BytesIO())


def test_copied_without_close(url):
    with requests.Session() as session:
        response = session.get(f"{url}/size/50000", stream=True, timeout=5)
        shutil.copyfileobj(response.raw, io.BytesIO())


def test_stream_is_the_default_of_the_session(url):
    with requests.Session() as session:
        session.stream = True
        session.get(f"{url}/size/50000", timeout=5)  # finds: unclosed-response


def test_in_a_helper(url):
    def head(url):
        return requests.get(url, stream=True, timeout=5).headers  # finds: unclosed-response in test_in_a_helper

    assert head(f"{url}/size/50000")


def test_twice_on_one_line(url):
    with requests.Session() as session:
        for _ in range(2):
            KEPT.append(session.get(f"{url}/size/50000", stream=True, timeout=5))  # finds: unclosed-response x2


def test_exception_while_reading(url):
    with pytest.raises(RuntimeError), requests.get(f"{url}/size/50000", stream=True, timeout=5) as response:
        for _ in response.iter_content(100):
            raise RuntimeError


def test_pool_read_to_the_end(url):
    with urllib3.PoolManager() as pool:
        response = pool.request("GET", f"{url}/size/50000", preload_content=False, timeout=5)
        for _ in response.stream(1000):
            pass


def test_pool_closed(url):
    with urllib3.PoolManager() as pool:
        response = pool.request("GET", f"{url}/size/50000", preload_content=False, timeout=5)
        response.close()


def test_single_host_pool(address):
    with urllib3.HTTPConnectionPool(*address, timeout=5) as pool:
        KEPT.append(pool.urlopen("GET", "/size/50000", preload_content=False))  # finds: unclosed-response


def test_moved_and_streamed(url):
    with requests.Session() as session:
        session.get(f"{url}/hops/2", stream=True, timeout=5).close()
