"""What the system says of descriptors: whether a socket may have come, without a list."""

from __future__ import annotations

import os
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator

import pytest

from pytest_connleak.descriptors import Descriptors

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.stat("/proc/self/fd").st_size == 0, reason="the system does not count descriptors"
)


@pytest.fixture
def stranger() -> Iterator[int]:
    """A socket that no object of Python has."""
    descriptor = socket.socket().detach()
    yield descriptor
    os.close(descriptor)


def a_file() -> int:
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def a_pipe() -> int:
    reading, writing = os.pipe()
    os.close(writing)
    return reading


def a_terminal() -> int:
    controlling, descriptor = os.openpty()
    os.close(controlling)
    return descriptor


def a_socket() -> int:
    return socket.socket().detach()


OTHERS = pytest.mark.parametrize("open_one", [a_file, a_pipe, a_terminal, a_socket])


@OTHERS
def test_as_long_as_nothing_comes_or_goes_nothing_has_changed(open_one: Callable[[], int]) -> None:
    descriptor = open_one()
    try:
        descriptors = Descriptors()
        descriptors.sockets((), 0)
        assert descriptors.unchanged(0)
        assert descriptors.unchanged(0)
    finally:
        os.close(descriptor)


@OTHERS
def test_a_socket_in_the_place_of_another_descriptor_is_seen(open_one: Callable[[], int], stranger: int) -> None:
    descriptor = open_one()
    try:
        descriptors = Descriptors()
        descriptors.sockets((), 0)
        os.dup2(stranger, descriptor)
        assert not descriptors.unchanged(0)
    finally:
        os.close(descriptor)


@OTHERS
def test_a_socket_instead_of_another_descriptor_is_seen(open_one: Callable[[], int], stranger: int) -> None:
    descriptor = open_one()
    descriptors = Descriptors()
    descriptors.sockets((), 0)
    os.close(descriptor)
    another = os.dup(stranger)
    try:
        assert not descriptors.unchanged(0)
    finally:
        os.close(another)


def test_what_is_tracked_is_somebody_elses_to_count(stranger: int) -> None:
    descriptors = Descriptors()
    descriptors.sockets({stranger}, 1)
    another = os.dup(stranger)
    try:
        assert descriptors.unchanged(2)
        assert not descriptors.unchanged(1)
    finally:
        os.close(another)
