"""PyGithub: the session is made by the first request; ``close()`` and ``with`` are documented."""

import pytest
from github import Auth, Github


@pytest.fixture(scope="session")
def address(services):
    return f"{services}/github"


@pytest.fixture(scope="session")
def session_client(address):
    return Github(base_url=address)


@pytest.fixture(scope="session")
def closed_session_client(address):
    with Github(base_url=address) as client:
        yield client


_global: list = []


def test_dropped(address):
    client = Github(base_url=address)
    assert client.get_repo("octocat/hello").full_name == "octocat/hello"  # finds: unclosed-session


def test_authenticated(address):
    client = Github(auth=Auth.Token("secret"), base_url=address)
    assert client.get_user().login == "octocat"  # finds: unclosed-session


def test_never_used(address):
    Github(base_url=address)


def test_closed(address):
    client = Github(base_url=address)
    client.get_repo("octocat/hello")
    client.close()


def test_in_a_block(address):
    with Github(base_url=address) as client:
        client.get_repo("octocat/hello")


def test_closed_and_used_again(address):
    client = Github(base_url=address)
    repository = client.get_repo("octocat/hello")
    client.close()
    repository.update()  # finds: unclosed-session


def test_object_outlives_its_client(address):
    _global.append(Github(base_url=address).get_repo("octocat/hello"))  # finds: unclosed-session


def test_in_a_session_fixture(session_client):
    session_client.get_repo("octocat/hello")  # finds: unclosed-session in test_the_end


def test_in_a_session_fixture_that_closes(closed_session_client):
    closed_session_client.get_repo("octocat/hello")


def test_limit(address):
    with Github(base_url=address, timeout=3) as client:
        client.get_repo("octocat/hello")


def test_the_end(session_client):
    _global.clear()
