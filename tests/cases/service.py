"""An application that keeps clients in all the ways that applications do."""

from __future__ import annotations

import contextvars
import functools
import threading

import requests


class Api:
    """A client that opens its session when it is first used."""

    default: Api | None = None

    def __init__(self, url: str) -> None:
        self.url = url
        self._session: requests.Session | None = None

    @property
    def session(self) -> requests.Session:
        if self._session is None:
            self._session = self.connect()
        return self._session

    def connect(self) -> requests.Session:
        return new_session()

    def get(self) -> int:
        return self.session.get(self.url, timeout=5).status_code

    def close(self) -> None:
        if self._session is not None:
            self._session.close()


def new_session() -> requests.Session:
    return configured(requests.Session())  # finds: unclosed-session in test_three_helpers_deep


def configured(session: requests.Session) -> requests.Session:
    session.headers["X-App"] = "yes"
    return session


_local = threading.local()
_current: contextvars.ContextVar[requests.Session] = contextvars.ContextVar("current")
_registry: dict[str, list[requests.Session]] = {"made": []}


def of_this_thread() -> requests.Session:
    if not hasattr(_local, "session"):
        _local.session = requests.Session()  # lists: unclosed-session in test_thread_local
    return _local.session


def of_this_context() -> requests.Session:
    if _current.get(None) is None:
        _current.set(requests.Session())  # lists: unclosed-session in test_context_variable
    return _current.get()


@functools.lru_cache(maxsize=8)
def cached(name: str) -> requests.Session:
    return requests.Session()  # lists: unclosed-session in test_cached_function


class Holder:
    session: requests.Session | None = None

    @classmethod
    def get(cls) -> requests.Session:
        if cls.session is None:
            cls.session = requests.Session()  # lists: unclosed-session in test_class_attribute
        return cls.session


def registered() -> requests.Session:
    # the first is kept for the process, every further one makes the registry grow
    session = requests.Session()  # lists: unclosed-session in test_growing_registry  # finds: unclosed-session x2 in test_growing_registry
    _registry["made"].append(session)
    return session


def _counter():
    session = None

    def get() -> requests.Session:
        nonlocal session
        if session is None:
            session = requests.Session()  # lists: unclosed-session in test_closure
        return session

    return get


from_closure = _counter()
