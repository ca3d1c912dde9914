"""TLS, and a forward proxy between."""

import os

import pytest
import requests
import urllib3

KEPT = []


@pytest.fixture(scope="session")
def tls_url():
    return os.environ["CONNLEAK_TEST_TLS_URL"]


@pytest.fixture(scope="session")
def proxies():
    address = os.environ["CONNLEAK_TEST_PROXY_URL"]
    return {"http": address, "https": address}


def test_tls(tls_url, ca):
    with requests.Session() as session:
        session.get(tls_url, verify=ca, timeout=5)


def test_tls_left_open(tls_url, ca):
    session = requests.Session()  # finds: unclosed-session
    session.get(tls_url, verify=ca, timeout=5)
    KEPT.append(session)


def test_tls_streamed(tls_url, ca):
    with urllib3.PoolManager(ca_certs=ca) as pool:
        KEPT.append(pool.request("GET", f"{tls_url}/size/100000", preload_content=False, timeout=5))  # finds: unclosed-response


def test_proxy(url, proxies):
    with requests.Session() as session:
        session.get(url, proxies=proxies, timeout=5)


def test_proxy_left_open(url, proxies):
    session = requests.Session()  # finds: unclosed-session
    session.get(url, proxies=proxies, timeout=5)
    KEPT.append(session)


def test_tunnel(tls_url, ca, proxies):
    with requests.Session() as session:
        session.get(tls_url, proxies=proxies, verify=ca, timeout=5)
        session.get(tls_url, proxies=proxies, verify=ca)  # finds: missing-timeout


def test_tunnel_left_open(tls_url, ca, proxies):
    session = requests.Session()  # finds: unclosed-session
    session.get(tls_url, proxies=proxies, verify=ca, timeout=5)


def test_proxy_manager(url, proxies):
    with urllib3.ProxyManager(proxies["http"]) as pool:
        pool.request("GET", url, timeout=5)


def test_proxy_manager_left_open(url, proxies):
    pool = urllib3.proxy_from_url(proxies["http"])  # finds: unclosed-pool
    pool.request("GET", url, timeout=5)
