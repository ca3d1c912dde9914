"""pytest's nodes: whose scopes they are, and what of theirs a fixture reaches."""

from __future__ import annotations

import unittest
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from _pytest.fixtures import FixtureDef  # pytest.FixtureDef since 8.1

from .model import Frame, Owner, Scope

Node = pytest.Item | pytest.Collector


def definition(item: pytest.Item) -> Frame:
    """Where a test is defined."""
    _, line, name = item.location
    return Frame(str(item.path), (line or 0) + 1, name.partition("[")[0], "", user=True)


def chain(item: pytest.Item) -> list[Node]:
    """The nodes from the session down to a test."""
    return [node for node in item.listchain() if isinstance(node, (pytest.Item, pytest.Collector))]


def owner(node: Node) -> Owner:
    """The owner of what is made for a node."""
    scope: Scope
    if isinstance(node, pytest.Item):
        scope = "function"
    elif isinstance(node, pytest.Session):
        scope = "session"
    elif isinstance(node, pytest.Class):
        scope = "class"
    elif isinstance(node, (pytest.Package, pytest.Dir)):
        scope = "package"
    else:
        scope = "module"
    return Owner(node.nodeid, scope)


def in_reach(fixture: FixtureDef[Any], node: Node) -> Iterator[tuple[int, str]]:
    """What a live fixture holds by way of its request: the class, or the module, that its code sets up and tears down.

    pytest makes a fixture of ``setup_class`` and the like; for a module, only those are meant.
    """
    is_xunit = fixture.argname.startswith(("_xunit_", "_unittest_"))
    if isinstance(node, pytest.Class) and (is_xunit or "request" in fixture.argnames):
        cls = node.obj
        if is_xunit and issubclass(cls, unittest.TestCase) and not _overrides(cls, "setUpClass", "tearDownClass"):
            return  # pytest makes one for each of these classes
        for base in cls.__mro__:
            if base.__module__ == cls.__module__:
                yield id(base), f"class {base.__module__}.{base.__qualname__}"
    elif isinstance(node, pytest.Module) and is_xunit:
        yield id(vars(node.obj)), f"module {node.obj.__name__}"


def _overrides(cls: type[unittest.TestCase], *names: str) -> bool:
    return any(getattr(cls, name).__func__ is not getattr(unittest.TestCase, name).__func__ for name in names)


def collectors_of(items: Iterable[pytest.Item]) -> list[pytest.Collector]:
    """All that the items stand in, each once."""
    found: dict[int, Any] = {}  # by id(), as a node's hash is a function in Python
    for item in items:
        node: Any = item.parent
        while node is not None and id(node) not in found:
            found[id(node)] = node
            node = node.parent
    return list(found.values())


def ending(item: pytest.Item, nextitem: pytest.Item | None) -> list[Node]:
    """The nodes that end with a test, the widest first."""
    following = set(nextitem.listchain()) if nextitem is not None else ()
    return [node for node in chain(item) if node not in following]
