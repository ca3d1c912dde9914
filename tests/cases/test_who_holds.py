"""Who holds a resource decides whose it is."""

import gc
import threading

import pytest
import requests
import service

KEPT = {}


def test_three_helpers_deep(url):
    service.Api(url).get()


def test_thread_local(url):
    service.of_this_thread().get(url, timeout=5)


def test_context_variable(url):
    service.of_this_context().get(url, timeout=5)


def test_cached_function(url):
    service.cached("a").get(url, timeout=5)


def test_class_attribute(url):
    service.Holder.get().get(url, timeout=5)


def test_growing_registry(url):
    for _ in range(3):
        service.registered().get(url, timeout=5)


def test_closure(url):
    service.from_closure().get(url, timeout=5)


def test_held_by_this_module(url):
    KEPT["it"] = requests.Session()  # finds: unclosed-session
    KEPT["it"].get(url, timeout=5)


@pytest.fixture(scope="module")
def api(url):
    api = service.Api(url)
    yield api
    api.close()


@pytest.fixture(scope="session")
def api_in_a_frame(url):
    api = service.Api(url)
    yield api.get
    api.close()


@pytest.fixture(scope="class")
def api_in_a_list(url):
    apis = []

    def new():
        apis.append(service.Api(url))
        return apis[-1]

    yield new
    for api in apis:
        api.close()


def test_opened_lazily_by_a_module_fixture(api):
    assert api.get() == 200


def test_opened_lazily_by_a_session_fixture(api_in_a_frame):
    assert api_in_a_frame() == 200


class TestFactoryOfTheClass:
    def test_first(self, api_in_a_list):
        api_in_a_list().get()

    def test_second(self, api_in_a_list):
        api_in_a_list().get()


@pytest.fixture(scope="module")
def forgetful_api(url):
    class Forgetful(service.Api):
        def connect(self):
            return requests.Session()  # finds: unclosed-session in test_last

    return Forgetful(url)


def test_a_module_fixture_that_forgets(forgetful_api):
    forgetful_api.get()


def test_held_by_a_fixture_and_by_this_module(api):
    KEPT["api"] = api
    api._session.close()
    api._session = None
    api.get()


def test_cycle_with_a_finalizer(url):
    class Careful:
        def __init__(self):
            self.session = requests.Session()
            self.me = self

        def __del__(self):
            self.session.close()

    Careful().session.get(url, timeout=5)


def test_cycle_without_finalizer(url):
    class Careless:
        def __init__(self):
            self.session = requests.Session()  # finds: unclosed-session
            self.me = self

    Careless().session.get(url, timeout=5)


def test_collector_switched_off(url):
    gc.disable()
    try:
        me = []
        me.append((me, requests.Session()))  # finds: unclosed-session
    finally:
        gc.enable()


def test_closed_by_a_thread(url):
    session = requests.Session()
    session.get(url, timeout=5)
    timer = threading.Timer(0.05, session.close)
    timer.start()


def test_made_in_a_thread(url):
    def work():
        requests.Session().get(url, timeout=5)  # finds: unclosed-session in test_made_in_a_thread

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


class Lazy:
    """Opens a session for its class when a test first asks for it."""

    session = None

    def get(self, url):
        if self.session is None:
            type(self).session = requests.Session()  # finds: unclosed-session in TestForgottenByTheClass::test_second
        return self.session.get(url, timeout=5)

    def test_first(self, url):
        assert self.get(url).ok

    def test_second(self, url):
        assert self.get(url).ok


class TestClosedByTheTeardownOfTheClass(Lazy):
    @classmethod
    def teardown_class(cls):
        cls.session.close()


class TestClosedByAFixtureOfTheClass(Lazy):
    @pytest.fixture(scope="class", autouse=True)
    def closing(self, request):
        yield
        request.cls.session.close()


class TestForgottenByTheClass(Lazy):
    @classmethod
    def teardown_class(cls):
        cls.session = None


class TestWithoutATeardown:
    def test_it(self, url):
        type(self).session = requests.Session()  # finds: unclosed-session in TestWithoutATeardown::test_it
        self.session.get(url, timeout=5)


@pytest.fixture(scope="module")
def poller(url):
    """Its thread opens a session when a test asks for it, and keeps it in a variable."""
    go, made, stop = (threading.Event() for _ in range(3))

    def run():
        go.wait(10)
        with requests.Session() as session:
            session.get(url, timeout=5)
            made.set()
            stop.wait(10)

    thread = threading.Thread(target=run)
    thread.start()
    yield lambda: go.set() or made.wait(10)
    stop.set()
    thread.join()


def test_opened_in_a_thread_of_a_fixture(poller):
    assert poller()


def test_after_that(poller):
    assert poller()


def test_last():
    """The module's fixtures are torn down with this one."""
