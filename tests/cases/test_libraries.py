"""What an installed library opens for its user."""

import pathlib
import sys
import threading

import requests
from requests.adapters import HTTPAdapter

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
