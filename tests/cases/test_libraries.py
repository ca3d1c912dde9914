"""What an installed library opens for its user."""

import pathlib
import sys
import threading

import requests
import urllib3
from requests.adapters import HTTPAdapter

try:
    from urllib3._request_methods import RequestMethods
except ImportError:  # urllib3 1.26
    from urllib3.request import RequestMethods

sys.path.append(str(pathlib.Path(__file__).with_name("site-packages")))

import weather  # noqa: E402


def test_used(url):
    weather.Station(url).temperature
    station = weather.Station(url)  # finds: unclosed-session
    station.temperature()


def test_never_used(url):
    weather.Station(url)


def test_closed(url):
    station = weather.Station(url)
    station.temperature()
    station.close()


def test_without_a_timeout(url):
    station = weather.Station(url)
    station.forever()  # finds: missing-timeout
    station.close()


def test_in_a_thread_of_the_library(url):
    station = weather.Station(url)
    station.refresh().join()  # finds: missing-timeout
    station.close()


def test_in_a_thread_without_a_line_of_its_own(url):
    thread = threading.Thread(target=requests.get, args=(url,))
    thread.start()  # finds: missing-timeout
    thread.join()


def test_subclass_of_a_library(url):
    weather.Session(url)  # finds: unclosed-session


def test_stream(url):
    weather.stream(f"{url}/size/50000")  # finds: unclosed-response


def test_socket(address):
    weather.knock(address)  # finds: unclosed-socket


def test_session_of_the_library_itself(url):
    weather.with_default(url)


def test_adapter_without_a_session(url):
    HTTPAdapter()
    adapter = HTTPAdapter()  # finds: unclosed-pool
    assert adapter.send(requests.Request("GET", url).prepare(), timeout=5).content


def test_adapter_closed(url):
    adapter = HTTPAdapter()
    assert adapter.send(requests.Request("GET", url).prepare(), timeout=5).content
    adapter.close()


# --- a client that wraps a pool ---------------------------------------------------------------------------


class Authorized(RequestMethods):
    """As google-auth's: it answers for its pool."""

    def __init__(self, pool):
        super().__init__()
        self.pool_of_mine = pool

    def urlopen(self, method, url, **kwargs):
        return self.pool_of_mine.urlopen(method, url, **kwargs)

    def __del__(self):
        self.pool_of_mine.clear()


def test_wrapped_pool(url):
    assert Authorized(urllib3.PoolManager(timeout=5)).request("GET", url).data


def test_wrapped_pool_that_is_used_again(url):
    pool = urllib3.PoolManager(timeout=5)  # finds: unclosed-pool
    assert Authorized(pool).request("GET", url).data
    assert pool.request("GET", url).data
