"""Whose a resource is, for every way to set up and clean up."""

import pytest
import requests


def setup_module(module):
    module.made_by_setup_module = requests.Session()


def teardown_module(module):
    module.made_by_setup_module.close()


def test_uses_it(url):
    made_by_setup_module.get(url, timeout=5)  # noqa: F821


@pytest.fixture(params=["closed", "left"])
def parametrised(request):
    session = requests.Session()  # finds: unclosed-session in test_param[left]
    yield session
    if request.param == "closed":
        session.close()


def test_param(parametrised, url):
    parametrised.get(url, timeout=5)


@pytest.fixture
def asked_for_later(url):
    with requests.Session() as session:
        yield session


def test_getfixturevalue(request, url):
    request.getfixturevalue("asked_for_later").get(url, timeout=5)


@pytest.fixture(scope="class")
def of_the_class():
    session = requests.Session()
    yield session
    session.close()


@pytest.fixture(scope="class")
def forgotten_by_the_class():
    return requests.Session()  # finds: unclosed-session in TestClass::test_second


class TestClass:
    @pytest.fixture
    def of_the_class(self, of_the_class):
        """Overrides the fixture of the module, and makes use of it."""
        return of_the_class

    def test_first(self, of_the_class, forgotten_by_the_class, url):
        of_the_class.get(url, timeout=5)

    def test_second(self, of_the_class, url):
        of_the_class.get(url, timeout=5)


class TestXunit:
    @classmethod
    def setup_class(cls):
        cls.session = requests.Session()

    @classmethod
    def teardown_class(cls):
        cls.session.close()

    def setup_method(self, method):
        self.mine = requests.Session()  # finds: unclosed-session in TestXunit::test_forgets

    def teardown_method(self, method):
        if "closes" in method.__name__:
            self.mine.close()

    def test_closes(self, url):
        self.session.get(url, timeout=5)

    def test_forgets(self, url):
        self.session.get(url, timeout=5)


@pytest.fixture
def made_in_teardown():
    yield
    requests.Session()  # finds: unclosed-session in test_made_in_teardown


def test_made_in_teardown(made_in_teardown):
    pass


def test_finalizer(request):
    session = requests.Session()
    request.addfinalizer(session.close)


def test_builtin_subtests(subtests, url):
    for n in range(2):
        with subtests.test(n=n):
            requests.Session().get(url, timeout=5)  # finds: unclosed-session x2


@pytest.fixture(scope="session")
def of_the_session(url):
    return requests.get(url).status_code  # finds: missing-timeout in test_the_end


def test_session_fixture_without_timeout(of_the_session):
    assert of_the_session == 200


def test_the_last():
    pass
