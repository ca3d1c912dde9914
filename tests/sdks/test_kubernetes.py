"""kubernetes: every API object without a client makes one; ``ApiClient`` has ``close()`` and ``with``; no limits."""

import pytest
from kubernetes import client, config, watch
from kubernetes.stream import stream


@pytest.fixture(scope="session")
def kubeconfig(services):
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
        "clusters": [{"name": "here", "cluster": {"server": f"{services}/kubernetes"}}],
        "users": [{"name": "me", "user": {"token": "secret"}}],
    }


@pytest.fixture(autouse=True, scope="session")
def configured(kubeconfig):
    config.load_kube_config_from_dict(kubeconfig)
    yield
    client.Configuration.set_default(None)


@pytest.fixture
def api():
    with client.ApiClient() as connection:
        yield client.CoreV1Api(connection)


@pytest.fixture(scope="session")
def session_api(configured):
    return client.CoreV1Api()  # finds: unclosed-pool in test_the_end


_global: dict = {}


def test_dropped():
    api = client.CoreV1Api()  # finds: unclosed-pool
    assert api.list_namespace(_request_timeout=5).items


def test_never_used():
    client.CoreV1Api()


def test_closed():
    api = client.CoreV1Api()
    api.list_namespace(_request_timeout=5)
    api.api_client.close()


def test_in_a_block():
    with client.ApiClient() as connection:
        client.CoreV1Api(connection).list_namespace(_request_timeout=5)
        client.AppsV1Api(connection).list_namespaced_deployment("default", _request_timeout=5)


def test_of_a_config_dropped(kubeconfig):
    connection = config.new_client_from_config_dict(kubeconfig)  # finds: unclosed-pool
    client.CoreV1Api(connection).list_namespace(_request_timeout=5)


def test_of_a_config_in_a_block(kubeconfig):
    with config.new_client_from_config_dict(kubeconfig) as connection:
        client.CoreV1Api(connection).list_namespace(_request_timeout=5)


def test_in_the_test_module():
    _global["api"] = client.CoreV1Api()  # finds: unclosed-pool
    _global["api"].list_namespace(_request_timeout=5)


def test_in_a_session_fixture(session_api):
    session_api.list_namespace(_request_timeout=5)


def test_in_another_thread(api):
    assert api.list_namespace(async_req=True, _request_timeout=5).get().items


# --- time ---------------------------------------------------------------------------------------------------


def test_without_a_limit(api):
    api.list_namespace()  # finds: missing-timeout


def test_limit_of_the_server_alone(api):
    api.list_namespace(timeout_seconds=5)  # finds: missing-timeout


def test_limit_on_connecting_and_reading(api):
    api.list_namespace(_request_timeout=(1, 5))


# --- streams ------------------------------------------------------------------------------------------------


def test_watched_to_the_end(api):
    events = watch.Watch().stream(api.list_namespace, timeout_seconds=1, _request_timeout=5)
    assert [event["object"].metadata.name for event in events] == ["default", "kube-system"]


def test_watch_stopped(api):
    watcher = watch.Watch()
    for event in watcher.stream(api.list_namespace, _request_timeout=5):
        assert event["type"] == "ADDED"
        watcher.stop()


def test_watch_left(api):
    """The generator closes the response, also when it is dropped."""
    for _ in watch.Watch().stream(api.list_namespace, _request_timeout=5):
        break


def test_watch_stopped_and_left(api):
    watcher = watch.Watch()
    for _ in watcher.stream(api.list_namespace, _request_timeout=5):
        watcher.stop()
        break


def test_watch_kept(api):
    watcher = watch.Watch()
    _global["events"] = watcher.stream(api.list_namespace, _request_timeout=5)
    next(_global["events"])  # finds: unclosed-response


def test_watch_without_a_limit(api):
    watcher = watch.Watch()
    for _ in watcher.stream(api.list_namespace):  # finds: missing-timeout
        watcher.stop()


def test_log_followed(api):
    watcher = watch.Watch()
    for line in watcher.stream(api.read_namespaced_pod_log, "web", "default", _request_timeout=5):
        assert line == "one"
        watcher.stop()


def test_log_read(api):
    assert api.read_namespaced_pod_log("web", "default", _request_timeout=5) == "one\ntwo\n"


def test_raw_answer_unread(api):
    api.read_namespaced_pod_log(  # finds: unclosed-response
        "web", "default", follow=True, _preload_content=False, _request_timeout=5
    )


def test_raw_answer_closed(api):
    answer = api.read_namespaced_pod_log("web", "default", _preload_content=False, _request_timeout=5)
    answer.close()
    answer.release_conn()


# --- commands -----------------------------------------------------------------------------------------------


RUN = {"name": "web", "namespace": "default", "command": ["true"], "stdout": True}


def test_executed(api):
    assert stream(api.connect_get_namespaced_pod_exec, **RUN) == "one\n"  # habit: unclosed-socket


def test_executed_step_by_step(api):
    channels = stream(api.connect_get_namespaced_pod_exec, **RUN, stdin=True, _preload_content=False)
    assert channels.readline_stdout(timeout=5) == "one"
    channels.close()


def test_executed_step_by_step_and_left(api):
    """Here the user could close it, but it is made by the same functions."""
    executed = api.connect_get_namespaced_pod_exec
    channels = stream(executed, **RUN, stdin=True, _preload_content=False)  # habit: unclosed-socket
    assert channels.readline_stdout(timeout=5) == "one"


def test_the_default_of_the_process():
    """From here on, API objects share its client."""
    client.ApiClient.set_default(client.ApiClient())  # lists: unclosed-pool
    client.CoreV1Api().list_namespace(_request_timeout=5)
    client.AppsV1Api().list_namespaced_deployment("default", _request_timeout=5)


def test_the_end(session_api):
    _global.clear()
