"""What the labelled cases need: the address of a server that the outer test started."""

import os

import pytest


@pytest.fixture(scope="session")
def url() -> str:
    return os.environ["CONNLEAK_TEST_URL"]


@pytest.fixture(scope="session")
def address(url: str) -> tuple[str, int]:
    host, _, port = url.removeprefix("http://").partition(":")
    return host, int(port)


@pytest.fixture(scope="session")
def tls_address() -> tuple[str, int]:
    host, _, port = os.environ["CONNLEAK_TEST_TLS_URL"].removeprefix("https://").partition(":")
    return host, int(port)


@pytest.fixture(scope="session")
def ca() -> str:
    return os.environ["CONNLEAK_TEST_CA"]
