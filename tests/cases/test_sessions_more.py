"""Sessions that come to be, and are closed, in unusual ways."""

import copy
import pickle
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest
import requests
import urllib3
from requests.adapters import BaseAdapter, HTTPAdapter

KEPT = []


class WithoutInit(requests.Session):
    def __init__(self):
        other = requests.Session()
        self.__dict__.update(other.__dict__)
        other.close()


def test_subclass_that_skips_init(url):
    WithoutInit().get(url, timeout=5)  # finds: unclosed-session


def test_unpickled_and_left_open(url):
    with requests.Session() as session:
        twin = pickle.loads(pickle.dumps(session))
    twin.get(url, timeout=5)  # finds: unclosed-session


def test_unpickled_and_never_used():
    with requests.Session() as session:
        pickle.loads(pickle.dumps(session))


def test_shallow_copy_shares_what_was_closed(url):
    with requests.Session() as session:
        twin = copy.copy(session)
        twin.get(url, timeout=5)


def test_deep_copy_left_open(url):
    with requests.Session() as session:
        twin = copy.deepcopy(session)
        twin.get(url, timeout=5)  # finds: unclosed-session


class Lies(requests.Session):
    def close(self):
        pass


def test_close_that_closes_nothing(url):
    with Lies() as session:  # finds: unclosed-session
        session.get(url, timeout=5)


class Honest(requests.Session):
    def close(self):
        for adapter in self.adapters.values():
            adapter.close()


def test_close_by_its_adapters(url):
    with Honest() as session:
        session.get(url, timeout=5)


def test_adapters_closed_one_by_one(url):
    session = requests.Session()
    session.get(url, timeout=5)
    for adapter in session.adapters.values():
        adapter.close()


def test_one_of_two_adapters_closed(url):
    session = requests.Session()  # finds: unclosed-session
    session.get(url, timeout=5)
    session.get_adapter(url).close()


class Stays(HTTPAdapter):
    def close(self):
        pass


def test_adapter_that_closes_nothing(url):
    with requests.Session() as session:  # finds: unclosed-session
        session.mount("http://", Stays())
        session.get(url, timeout=5)


class Canned(BaseAdapter):
    def send(self, request, **kwargs):
        response = requests.Response()
        response.status_code, response.request, response._content = 200, request, b""
        return response

    def close(self):
        pass


def test_adapter_without_a_pool(url):
    with requests.Session() as session:
        session.mount("canned://", Canned())
        session.get("canned://x", timeout=5)


def test_retry_adapter_mounted_late(url):
    with requests.Session() as session:
        session.get(url, timeout=5)
        session.mount("http://", HTTPAdapter(max_retries=2))
        session.get(url, timeout=5)


def test_adapter_shared_by_two_sessions(url):
    shared = HTTPAdapter()
    for _ in range(2):
        with requests.Session() as session:
            session.mount("http://", shared)
            session.get(url, timeout=5)


@dataclass
class Settings:
    session: requests.Session = field(default_factory=requests.Session)


def test_default_factory():
    Settings()  # finds: unclosed-session


def test_in_a_pool_of_threads(url):
    with ThreadPoolExecutor(2) as pool:
        sessions = list(pool.map(lambda _: requests.Session(), range(2)))  # finds: unclosed-session x2
    del sessions


def test_closed_by_weakref_finalize(url):
    class Client:
        pass

    client, session = Client(), requests.Session()
    weakref.finalize(client, session.close)
    session.get(url, timeout=5)


def test_reference_cycle_closed_by_hand(url):
    session = requests.Session()
    session.me = session
    session.get(url, timeout=5)
    session.close()


def test_closed_twice(url):
    session = requests.Session()
    session.close()
    session.close()


def test_init_that_raises():
    class Broken(requests.Session):
        def __init__(self):
            raise ValueError

    with pytest.raises(ValueError):
        Broken()


def test_kept_and_used_by_the_next_test(url):
    with requests.Session() as session:
        session.get(url, timeout=5)
    KEPT.append(session)


def test_uses_the_session_of_the_test_before(url):
    KEPT[-1].get(url, timeout=5)
    KEPT[-1].close()


def test_exec():
    namespace = {}
    exec("import requests\ndef make():\n    return requests.Session()\n", namespace)
    namespace["make"]()  # finds: unclosed-session


def test_ten_thousand_are_too_many_to_list():
    for _ in range(50):
        requests.Session().close()


class OwnPool(HTTPAdapter):
    """Makes its pools by a line of our own."""

    def init_poolmanager(self, connections, maxsize, block=False, **kwargs):
        self.poolmanager = urllib3.PoolManager(num_pools=connections, maxsize=maxsize, block=block)


def test_mounted_and_never_used():
    session = requests.Session()  # finds: unclosed-session
    session.mount("https://", OwnPool())


def test_adapters_set_aside_as_mocks_do(url):
    with requests.Session() as session:
        session.mount("https://", OwnPool())
        aside = session.adapters.copy()
        session.adapters.clear()
        session.mount("http://", HTTPAdapter())
        session.get(url, timeout=5)
        session.adapters["http://"].close()
        session.adapters = aside
