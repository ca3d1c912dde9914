"""docker against a daemon on a Unix socket; ``close()`` is documented, of clients and of most streams."""

import contextlib
import threading

import docker
import pytest


@pytest.fixture(scope="session")
def address(docker_socket):
    return f"unix://{docker_socket}"


@pytest.fixture
def client(address):
    with contextlib.closing(docker.DockerClient(address)) as client:
        yield client


@pytest.fixture
def container(client):
    return client.containers.get("web")


@pytest.fixture(scope="session")
def session_client(address):
    return docker.DockerClient(address)  # finds: unclosed-session in test_the_end


_global: list = []


def test_dropped(address):
    client = docker.DockerClient(address)  # finds: unclosed-session
    assert client.containers.list()


def test_of_the_environment(address, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", address)
    client = docker.from_env()  # finds: unclosed-session
    assert client.version()["ApiVersion"] == "1.44"


def test_of_the_environment_closed(address, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", address)
    client = docker.from_env()
    client.version()
    client.close()


def test_never_used(address):
    """It asks for the version of the daemon when it is made."""
    docker.DockerClient(address)  # finds: unclosed-session


def test_never_used_of_a_known_version(address):
    docker.DockerClient(address, version="1.44")


def test_low_level(address):
    client = docker.APIClient(address)  # finds: unclosed-session
    client.containers()


def test_low_level_in_a_block(address):
    with docker.APIClient(address) as client:
        client.containers()


def test_in_the_test_module(address):
    _global.append(docker.DockerClient(address))  # finds: unclosed-session


def test_in_a_session_fixture(session_client):
    session_client.containers.list()


# --- streams ------------------------------------------------------------------------------------------------


def test_logs(container):
    assert container.logs() == b"one\ntwo\n"


def test_logs_streamed(container):
    assert list(container.logs(stream=True, follow=False)) == [b"one\n", b"two\n"]


def test_logs_streamed_in_part(container):
    for line in container.logs(stream=True):  # finds: unclosed-response
        assert line == b"one\n"
        break


def test_logs_unread(container):
    container.logs(stream=True)  # finds: unclosed-response


def test_logs_closed(container):
    stream = container.logs(stream=True)
    next(stream)
    stream.close()


def test_attached(container):
    """Its output is read from the socket beneath the response, which is told nothing."""
    assert list(container.attach(stream=True)) == [b"one\n", b"two\n"]  # habit: unclosed-response


def test_attached_and_closed(container):
    with contextlib.closing(container.attach(stream=True)) as stream:
        next(stream)


def test_attached_to_a_socket(container):
    sock = container.attach_socket()  # habit: unclosed-response  # habit: missing-timeout
    sock.close()


def test_events_until_now(client):
    assert len(list(client.events(until=1))) == 2  # habit: missing-timeout


def test_events_in_part(client):
    next(client.events(decode=True))  # finds: unclosed-response  # habit: missing-timeout


def test_events_closed(client):
    events = client.events(decode=True)  # habit: missing-timeout
    next(events)
    events.close()


def test_events_closed_by_another_thread(client):
    events = client.events(decode=True)  # habit: missing-timeout
    threading.Timer(0.05, events.close).start()
    assert [event["Action"] for event in events] == ["start", "die"]


def test_stats(container):
    container.stats(stream=False)


def test_stats_streamed(container):
    """Its generator has no way to close the answer."""
    next(container.stats(decode=True))  # habit: unclosed-response


def test_pulled(client):
    list(client.api.pull("busybox", stream=True, decode=True))  # habit: missing-timeout


def test_executed(container):
    assert container.exec_run("true").output == b"one\ntwo\n"


def test_executed_as_a_stream(container):
    assert list(container.exec_run("true", stream=True).output) == [b"one\n", b"two\n"]  # habit: unclosed-response


def test_executed_as_a_stream_that_is_closed(container):
    stream = container.exec_run("true", stream=True).output
    next(stream)
    stream.close()


def test_executed_in_the_background(container):
    container.exec_run("true", detach=True)


def test_socket(container):
    sock = container.exec_run("cat", socket=True).output  # habit: unclosed-response
    assert sock.read(8)
    sock.close()


# --- time ---------------------------------------------------------------------------------------------------


def test_waited_for(container):
    container.wait()  # finds: missing-timeout


def test_waited_for_within(container):
    container.wait(timeout=5)


def test_client_without_a_limit(address):
    with contextlib.closing(docker.DockerClient(address, version="1.44", timeout=None)) as client:
        client.containers.list()  # finds: missing-timeout


def test_the_end(session_client):
    _global.clear()
