"""Builds the sdist and the wheel of what is committed into a directory, and looks at them: ``package.py DIRECTORY``.

They are built twice, at other times and places and with other settings, and must be the same byte for byte.  In the
sdist is what git has, so that who packages it further can run the tests; in the wheel is the package alone.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "pytest_connleak"


def main() -> None:
    target = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as here, tempfile.TemporaryDirectory(suffix=" elsewhere") as elsewhere:
        build(
            Path(here, "checkout"), target, umask=0o022, mtime=1_000_000_000, TZ="UTC", LC_ALL="C", PYTHONHASHSEED="1"
        )
        again = Path(elsewhere, "dist")
        build(Path(elsewhere, PACKAGE), again, umask=0o077, mtime=1_700_000_000, TZ="Asia/Tokyo", PYTHONHASHSEED="2")
        [sdist] = target.glob("*.tar.gz")
        [wheel] = target.glob("*.whl")
        for file in (sdist, wheel):
            same(file, again / file.name)
        same(wheel, again / "of the tree" / wheel.name)
    committed = set(git("ls-files").splitlines())
    equal("the sdist", members_of_sdist(sdist), {*committed, "PKG-INFO"})
    code = {name for name in committed if name.startswith(f"{PACKAGE}/")}
    about = {"METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE"}
    release = wheel.name.removesuffix("-py3-none-any.whl")
    equal("the wheel", set(zipfile.ZipFile(wheel).namelist()), code | {f"{release}.dist-info/{name}" for name in about})
    assert f"{PACKAGE}/py.typed" in code
    print(f"{sdist.name} and {wheel.name}: the same twice, and complete")


def build(tree: Path, target: Path, *, umask: int, mtime: int, **environment: str) -> None:
    """An sdist and a wheel from that, and a wheel ``of the tree``; all that should not matter is to be given."""
    run("git", "clone", "--quiet", str(ROOT), str(tree), umask=umask)
    for path in tree.rglob("*"):
        os.utime(path, (mtime, mtime))
    # hatchling gives the files in an archive this time.
    variables = {**os.environ, **environment, "SOURCE_DATE_EPOCH": git("log", "-1", "--format=%ct").strip()}
    command = (sys.executable, "-m", "build", "--no-isolation", str(tree), "--outdir")
    run(*command, str(target), umask=umask, env=variables)
    run(*command, str(target / "of the tree"), "--wheel", umask=umask, env=variables)


def members_of_sdist(path: Path) -> set[str]:
    with tarfile.open(path) as archive:
        return {member.name.partition("/")[2] for member in archive.getmembers()}


def same(one: Path, other: Path) -> None:
    assert one.read_bytes() == other.read_bytes(), f"{one.name} is another one when it is built again"


def equal(what: str, found: set[str], expected: set[str]) -> None:
    assert found == expected, f"{what} lacks {sorted(expected - found)} and has {sorted(found - expected)} too much"


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout


def run(*command: str, umask: int, env: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, umask=umask, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


if __name__ == "__main__":
    main()
