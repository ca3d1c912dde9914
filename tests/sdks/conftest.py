"""What the labelled cases of the SDKs need: the addresses of the services that the outer test started."""

import os

import pytest


@pytest.fixture(scope="session")
def services() -> str:
    return os.environ["CONNLEAK_TEST_SERVICES"]


@pytest.fixture(scope="session")
def docker_socket() -> str:
    return os.environ["CONNLEAK_TEST_DOCKER"]
