"""Completion in a shell, through argcomplete: asked as its script for bash asks."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

KINDS = {"missing-timeout", "unclosed-pool", "unclosed-response", "unclosed-session", "unclosed-socket"}


def offered(line: str, *program: str) -> set[str]:
    """What a shell would offer at the end of this line, for a program that begins it."""
    reader, writer = os.pipe()
    environment = {
        **os.environ,
        "_ARGCOMPLETE": "1",  # the arguments begin after the first word
        "_ARGCOMPLETE_IFS": "\n",
        "_ARGCOMPLETE_COMP_WORDBREAKS": " \t\n\"'><=;|&(:",  # those of bash
        "_ARGCOMPLETE_SUPPRESS_SPACE": "1",
        "COMP_LINE": line,
        "COMP_POINT": str(len(line.encode())),
        "COMP_TYPE": "9",
    }
    with open(reader, encoding="utf-8") as answer:
        # argcomplete writes to descriptor 8, and its complaints to 9.
        redirected = ["bash", "-c", f'exec "$@" 8>&{writer} 9>&2', "bash", sys.executable, *program]
        try:
            done = subprocess.run(
                redirected, env=environment, pass_fds=[writer], capture_output=True, text=True, check=False
            )
        finally:
            os.close(writer)
        assert done.returncode == 0, done.stderr
        return {word.strip() for word in answer.read().split("\n")} - {""}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: os.PathLike[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """In a directory with files of its own, with this plugin and no other."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTEST_PLUGINS", "pytest_connleak")
    for name in ("leaks.json", "known.txt"):
        with open(name, "w"):
            pass


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param("pytest --connleak-u", {"--connleak-update-baseline"}, id="an option"),
        pytest.param("pytest --connleak=", {"fail", "warn", "off"}, id="modes"),
        pytest.param("pytest -q --connleak w", {"warn"}, id="a mode"),
        pytest.param("pytest --connleak-select=", KINDS, id="kinds"),
        pytest.param("pytest --connleak-ignore unclosed-s", {"unclosed-session", "unclosed-socket"}, id="some kinds"),
        pytest.param(
            "pytest --connleak-select=unclosed-session,unclosed-s",
            {"unclosed-session,unclosed-socket"},
            id="a kind after another",
        ),
        pytest.param("pytest --connleak-report=l", {"leaks.json"}, id="a report"),
        pytest.param("pytest --connleak-report gitlab:l", {"leaks.json"}, id="a report after its format"),
        pytest.param("pytest --connleak-baseline k", {"known.txt"}, id="a baseline"),
    ],
)
def test_pytest_completes_the_options_and_their_values(line: str, expected: set[str]) -> None:
    assert offered(line, "-m", "pytest") == expected


def test_so_it_does_if_the_plugin_is_found_as_an_installed_one_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    monkeypatch.delenv("PYTEST_PLUGINS")
    assert offered("pytest --connleak-select=m", "-m", "pytest") == {"missing-timeout"}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("pytest_connleak ", {"-h", "--help", "merge", "show", "doctor"}),
        ("pytest_connleak merge --str", {"--strict-baseline"}),
        ("pytest_connleak show l", {"leaks.json"}),
    ],
)
def test_the_commands_do_likewise(line: str, expected: set[str]) -> None:
    assert offered(line, "-m", "pytest_connleak") >= expected
    with open(sys.modules["pytest_connleak"].__path__[0] + "/__main__.py", encoding="utf-8") as file:
        assert "PYTHON_ARGCOMPLETE_OK" in file.read(1024), "argcomplete looks for it before it runs a program"
