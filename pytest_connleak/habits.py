"""Known habits of libraries: what they leave open on purpose, or give their users no way to close.

Such findings have the status ``library``: they are listed and fail nothing, unless ``connleak_library = fail``.
Every entry has its reason and a link.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import NamedTuple


class Habit(NamedTuple):
    """A habit: findings of ``kind`` with a frame ``module.function``, or about an object, of this fnmatch pattern."""

    kind: str
    pattern: str
    reason: str
    link: str


HABITS = (
    Habit(
        "unclosed-pool",
        "urllib3.<module>",
        "urllib3.request() uses a pool of the module, which is made on import and never closed",
        "https://urllib3.readthedocs.io/en/stable/reference/urllib3.html#urllib3.request",
    ),
    Habit(
        "unclosed-pool",
        "urllib3.request",
        "the same pool, where urllib3 was imported before the plugin and it is first seen when it is used",
        "https://urllib3.readthedocs.io/en/stable/reference/urllib3.html#urllib3.request",
    ),
    Habit(
        "unclosed-pool",
        "botocore.httpsession.URLLib3Session.*",
        "clients of boto3 share their connections for the life of the process; close() came late and is optional",
        "https://github.com/boto/boto3/issues/454",
    ),
    Habit(
        "unclosed-pool",
        "sentry_sdk.transport.*",
        "the background worker keeps its pool until the process exits",
        "https://docs.sentry.io/platforms/python/configuration/draining/",
    ),
    Habit(
        "unclosed-session",
        "starlette.testclient.TestClient",
        "the documented use is client = TestClient(app); it has no connections, and a with block also starts the app",
        "https://fastapi.tiangolo.com/tutorial/testing/",
    ),
    Habit(
        "unclosed-session",
        "opentelemetry.exporter.*",
        "exporters send in the background until shutdown() of their provider",
        "https://opentelemetry-python.readthedocs.io/en/stable/exporter/otlp/otlp.html",
    ),
    Habit(
        "missing-timeout",
        "docker.api.daemon.DaemonApiMixin.events",
        "docker sets the timeout of its client aside where it waits for events, and takes none for it",
        "https://github.com/docker/docker-py/pull/1528",
    ),
    Habit(
        "missing-timeout",
        "docker.api.image.ImageApiMixin.pull",
        "docker sets the timeout of its client aside where it pulls an image, and takes none for it",
        "https://github.com/docker/docker-py/pull/625",
    ),
    Habit(
        "missing-timeout",
        "docker.api.container.ContainerApiMixin.attach_socket",
        "docker forgets the timeout of its client where it attaches to a socket, and takes none for it",
        "https://docker-py.readthedocs.io/en/stable/api.html#docker.api.container.ContainerApiMixin.attach_socket",
    ),
    Habit(
        "unclosed-response",
        "docker.api.container.ContainerApiMixin.stats",
        "a stream of statistics never ends, and docker hands out a generator that cannot close it",
        "https://github.com/docker/docker-py/pull/3412",
    ),
    Habit(
        "unclosed-response",
        "docker.api.exec_api.ExecApiMixin.exec_start",
        "docker reads the output from the socket beneath the response, and keeps that at the end of the output",
        "https://github.com/docker/docker-py/issues/1755",
    ),
    Habit(
        "unclosed-response",
        "docker.api.container.ContainerApiMixin.attach*",
        "as for exec_start(): the response is kept at the end of the output",
        "https://github.com/docker/docker-py/issues/3282",
    ),
    Habit(
        "unclosed-socket",
        "kubernetes.stream.ws_client.websocket_call",
        "stream() runs a command over a WebSocket, hands out its output, and closes nothing",
        "https://github.com/kubernetes-client/python/blob/master/examples/pod_exec.py",
    ),
)

_BY_KIND = {kind: [habit for habit in HABITS if habit.kind == kind] for kind in {habit.kind for habit in HABITS}}


def habit(kind: str, names: frozenset[str]) -> Habit | None:
    """The habit that a finding with these names of its object and of its frames belongs to."""
    matching = (h for h in _BY_KIND.get(kind, ()) if any(fnmatchcase(name, h.pattern) for name in names))
    return next(matching, None)
