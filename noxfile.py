"""The corners of what is supported; ``nox`` runs them all, ``nox -l`` lists them."""

from __future__ import annotations

import nox

nox.options.default_venv_backend = "venv"
nox.options.reuse_existing_virtualenvs = True

NEWEST = ["3.10", "3.11", "3.12", "3.13"]

# urllib3 flips at 1.26.16 (pools close themselves in a finalizer) and at 2.0; 2.0.2 is the first that was not yanked.
# pytest 9 has subtests of its own; before that they are a plugin.
STACKS = {
    "oldest": ["pytest==8.0.0", "requests==2.28.0", "urllib3==1.26.16", "psutil==5.9.0", "pytest-subtests"],
    "urllib3-1.26-last": ["pytest<9", "requests==2.31.0", "urllib3<2", "pytest-subtests"],
    "urllib3-2.0": ["pytest==8.4.*", "requests==2.30.0", "urllib3==2.0.2", "pytest-subtests"],
}


@nox.session(python=NEWEST)
def newest(session: nox.Session) -> None:
    """The newest of everything."""
    session.install(".[test]")
    session.run("pytest", *session.posargs)


@nox.session(python="3.11")
@nox.parametrize("stack", [nox.param(name, id=name) for name in STACKS])
def older(session: nox.Session, stack: str) -> None:
    """Older pytest, requests and urllib3."""
    session.install(".[test]", *STACKS[stack])
    session.run("pytest", *session.posargs)


@nox.session(python="3.11")
def lint(session: nox.Session) -> None:
    """Style, types, import layers."""
    session.install("-e", ".[test,lint]")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")
    session.run("lint-imports")
