"""The modules of a package are those that ``pkgutil`` finds, in a directory as in a zip file."""

from __future__ import annotations

import pkgutil
import shutil
from pathlib import Path
from types import ModuleType

import pytest

from pytest_connleak import formats, instrumentation, meters, rules
from pytest_connleak.packages import modules


def found_by_pkgutil(path: list[str]) -> list[str]:
    return sorted(module.name for module in pkgutil.iter_modules(path))


@pytest.mark.parametrize("package", [formats, instrumentation, meters, rules], ids=lambda package: package.__name__)
def test_the_modules_of_a_package(package: ModuleType) -> None:
    assert modules(package.__path__) == found_by_pkgutil([*package.__path__]) != []


def test_what_else_lies_there_is_none(tmp_path: Path) -> None:
    for name in ("__init__.py", "one.py", "two.pyc", "page.md", ".#one.py", "one.bak.py", "one.cpython-311.pyc"):
        (tmp_path / name).touch()
    for name in ("__pycache__", "empty", "package"):
        (tmp_path / name).mkdir()
    (tmp_path / "package" / "__init__.py").touch()
    assert modules([str(tmp_path)]) == found_by_pkgutil([str(tmp_path)]) == ["one", "package", "two"]


def test_a_package_in_a_zip_file(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    for name in ("__init__.py", "one.py", "two.py"):
        (package / name).touch()
    path = [f"{shutil.make_archive(str(tmp_path / 'packed'), 'zip', tmp_path, 'package')}/package"]
    assert modules(path) == found_by_pkgutil(path) == ["one", "two"]
