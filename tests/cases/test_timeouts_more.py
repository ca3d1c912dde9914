"""Limits as they take effect."""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from unittest import mock

import httpx
import pytest
import requests
import requests_mock
import responses
import urllib3
import vcr
from requests.adapters import HTTPAdapter


class Default(HTTPAdapter):
    """Supplies a timeout where the caller gave none."""

    def send(self, request, stream=False, timeout=None, **kwargs):
        return super().send(request, stream=stream, timeout=timeout or (3, 5), **kwargs)


class DefaultAtTheSession(requests.Session):
    def request(self, method, url, **kwargs):
        kwargs.setdefault("timeout", 5)
        return super().request(method, url, **kwargs)  # finds: missing-timeout in test_default_of_the_session


def test_default_of_the_session(url):
    with DefaultAtTheSession() as session:
        session.get(url)
        session.get(url, timeout=None)  # our nearest line is in request(), above


def test_default_of_the_adapter_where_responses_answers():
    with requests.Session() as session, responses.RequestsMock() as mocked:
        session.mount("http://", Default())
        mocked.get("http://example.invalid/")
        session.get("http://example.invalid/")


def test_no_default_where_responses_answers():
    with requests.Session() as session, responses.RequestsMock() as mocked:
        session.mount("http://", HTTPAdapter(max_retries=1))
        mocked.get("http://example.invalid/")
        session.get("http://example.invalid/")  # finds: missing-timeout


def test_requests_mock_raises():
    with requests_mock.Mocker() as mocked, pytest.raises(requests.ConnectTimeout):
        mocked.get("http://example.invalid/", exc=requests.ConnectTimeout)
        requests.get("http://example.invalid/")  # finds: missing-timeout


def test_send_is_mocked():
    with mock.patch.object(HTTPAdapter, "send", autospec=True) as send:
        send.return_value = requests.Response()
        send.return_value.status_code = 200
        send.return_value.raw = mock.Mock(_original_response=None)
        send.return_value._content = b""
        requests.get("http://example.invalid/", allow_redirects=False)  # finds: missing-timeout


def test_get_is_mocked():
    with mock.patch("requests.get", autospec=True) as get:
        requests.get("http://example.invalid/")
    get.assert_called_once()


def test_socket_default_does_not_serve_requests(url):
    socket.setdefaulttimeout(5)
    try:
        requests.get(url)  # finds: missing-timeout
    finally:
        socket.setdefaulttimeout(None)


def test_timeout_object(url):
    requests.get(url, timeout=urllib3.Timeout(connect=3, read=None))  # finds: missing-timeout
    requests.get(url, timeout=urllib3.Timeout(total=3))


def test_malformed_url_is_never_sent():
    with pytest.raises(requests.exceptions.InvalidURL):
        requests.get("http://")
    with pytest.raises(requests.exceptions.InvalidSchema):
        requests.get("gopher://example.invalid/")


def test_refused_connection_counts():
    with pytest.raises(requests.ConnectionError):
        requests.get("http://127.0.0.1:9/")  # finds: missing-timeout


def test_hook_that_sends_a_request_of_its_own(url):
    def refresh(response, *args, **kwargs):
        requests.get(url)  # finds: missing-timeout in test_hook_that_sends_a_request_of_its_own

    with requests.Session() as session:
        session.get(url, timeout=5, hooks={"response": refresh})


def test_pool_without_a_limit(address):
    with urllib3.HTTPConnectionPool(*address) as pool:
        pool.request("GET", "/")  # finds: missing-timeout
        pool.request("GET", "/", timeout=3)


def test_manager_none(url):
    with urllib3.PoolManager(timeout=None) as pool:
        pool.request("GET", url)  # finds: missing-timeout
        pool.urlopen("GET", url, timeout=urllib3.Timeout(total=2))


def test_generator_that_sends(url):
    def pages():
        with requests.Session() as session:
            for _ in range(2):
                yield session.get(url).status_code  # finds: missing-timeout in test_generator_that_sends

    assert list(pages()) == [200, 200]


@pytest.mark.parametrize("timeout", [None, 5], ids=["none", "five"])
def test_parameter(url, timeout):
    requests.get(url, timeout=timeout)  # finds: missing-timeout in test_parameter[none]


def test_submitted_to_a_thread_pool(url):
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(requests.get, [url, url]))  # finds: missing-timeout
        pool.submit(requests.get, url, timeout=5).result()


async def test_run_in_an_executor(url):
    await asyncio.get_running_loop().run_in_executor(None, requests.get, url)  # finds: missing-timeout
    await asyncio.to_thread(requests.get, url)  # finds: missing-timeout


def test_recorded_and_replayed(url, tmp_path):
    for _ in range(2):
        with vcr.use_cassette(tmp_path / "cassette.yaml"):
            requests.get(url)  # finds: missing-timeout
            requests.get(url, timeout=5)


class Logging(requests.Session):
    def send(self, request, **kwargs):
        return super().send(request, **kwargs)


def test_redirects_through_a_method_of_our_own(url):
    with Logging() as session:
        session.get(f"{url}/hops/2")  # finds: missing-timeout
        session.get(f"{url}/hops/2", timeout=5)


def test_what_was_refused_was_not_sent(address):
    with urllib3.HTTPConnectionPool(*address, maxsize=1, block=True, timeout=None) as pool:
        connection = pool._get_conn()
        with pytest.raises(urllib3.exceptions.EmptyPoolError):
            pool.request("GET", "/", pool_timeout=0.01)
        pool._put_conn(connection)
        with pytest.raises(urllib3.exceptions.HostChangedError):
            pool.request("GET", "http://example.invalid/")
    with pytest.raises(urllib3.exceptions.ClosedPoolError):
        pool.request("GET", "/")
    with httpx.Client(timeout=None) as client, pytest.raises(httpx.UnsupportedProtocol):
        client.get("gopher://example.invalid/")
    with pytest.raises(RuntimeError):
        client.get("http://example.invalid/")


def test_an_error_of_our_own_hook(url):
    def sign(request):
        raise KeyError("no token")

    with requests.Session() as session, pytest.raises(KeyError):
        session.get(url, auth=sign)
