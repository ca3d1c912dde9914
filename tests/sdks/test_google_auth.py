"""google-auth: ``Request`` closes its session when it is dropped; an ``AuthorizedSession`` is a session like others."""

import google.auth.transport.requests
import google.auth.transport.urllib3
import pytest
import requests
import urllib3
from google.oauth2.credentials import Credentials


@pytest.fixture(scope="session")
def address(services):
    return f"{services}/google"


@pytest.fixture
def credentials(address):
    return fresh(address)


def fresh(address):
    token_uri = f"{address}/token"
    return Credentials(None, refresh_token="r", token_uri=token_uri, client_id="me", client_secret="secret")


@pytest.fixture(scope="session")
def session_request():
    return google.auth.transport.requests.Request()


@pytest.fixture(scope="session")
def authorized(address):
    return google.auth.transport.requests.AuthorizedSession(fresh(address))  # finds: unclosed-session in test_the_end


at_import = google.auth.transport.requests.Request()  # lists: unclosed-session in the process


def test_refreshed(credentials):
    credentials.refresh(google.auth.transport.requests.Request())
    assert credentials.token == "secret"


def test_refreshed_with_a_session(credentials):
    with requests.Session() as session:
        credentials.refresh(google.auth.transport.requests.Request(session))


def test_request_of_a_session_fixture(credentials, session_request):
    credentials.refresh(session_request)


def test_request_of_the_module(credentials):
    credentials.refresh(at_import)


def test_request_in_an_object(credentials):
    class Tokens:
        def __init__(self):
            self.request = google.auth.transport.requests.Request()

        def token(self):
            credentials.refresh(self.request)
            return credentials.token

    assert Tokens().token()


# --- sessions -----------------------------------------------------------------------------------------------


def test_authorized_dropped(credentials, address):
    session = google.auth.transport.requests.AuthorizedSession(credentials)  # finds: unclosed-session
    assert session.get(f"{address}/storage").ok


def test_authorized_never_used(credentials):
    google.auth.transport.requests.AuthorizedSession(credentials)  # finds: unclosed-session


def test_authorized_closed(credentials, address):
    session = google.auth.transport.requests.AuthorizedSession(credentials)
    session.get(f"{address}/storage")
    session.close()


def test_authorized_in_a_block(credentials, address):
    with google.auth.transport.requests.AuthorizedSession(credentials) as session:
        session.get(f"{address}/storage")


def test_authorized_in_a_session_fixture(authorized, address):
    authorized.get(f"{address}/storage")


def test_authorized_with_a_stream(credentials, services, address):
    with google.auth.transport.requests.AuthorizedSession(credentials) as session:
        session.get(f"{address}/storage", stream=True)  # finds: unclosed-response
        with session.get(f"{address}/storage", stream=True) as response:
            assert response.json()


def test_authorized_without_a_limit(credentials, address):
    with google.auth.transport.requests.AuthorizedSession(credentials) as session:
        session.get(f"{address}/storage", timeout=None)  # finds: missing-timeout


# --- over urllib3 -------------------------------------------------------------------------------------------


def test_http_dropped(credentials, address):
    """It closes its pools when it is dropped."""
    http = google.auth.transport.urllib3.AuthorizedHttp(credentials, urllib3.PoolManager(timeout=5))
    assert http.request("GET", f"{address}/storage").json()


def test_http_refreshes_without_a_limit(credentials, address):
    http = google.auth.transport.urllib3.AuthorizedHttp(credentials)
    http.request("GET", f"{address}/storage", timeout=5)  # finds: missing-timeout


def test_http_in_a_block(credentials, address):
    """Its block is that of the pool in it, which knows of no credentials."""
    with google.auth.transport.urllib3.AuthorizedHttp(credentials) as http:
        http.request("GET", f"{address}/storage", timeout=5)


def test_http_without_a_limit(credentials, address):
    with google.auth.transport.urllib3.AuthorizedHttp(credentials) as http:
        http.request("GET", f"{address}/storage")  # finds: missing-timeout


def test_http_of_the_user(credentials, address):
    pool = urllib3.PoolManager(timeout=5)  # finds: unclosed-pool
    credentials.refresh(google.auth.transport.urllib3.Request(pool))


def test_http_of_the_user_closed(credentials, address):
    with urllib3.PoolManager(timeout=5) as pool:
        credentials.refresh(google.auth.transport.urllib3.Request(pool))


def test_the_end(session_request, authorized):
    pass
