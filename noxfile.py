"""The corners of what is supported; ``nox`` runs them all, ``nox -l`` lists them."""

from __future__ import annotations

import shutil
from pathlib import Path

import nox

nox.options.default_venv_backend = "venv"
nox.options.reuse_existing_virtualenvs = True

NEWEST = ["3.10", "3.11", "3.12", "3.13"]

# urllib3 flips at 1.26.16 (pools close themselves in a finalizer) and at 2.0; 2.0.2 is the first that was not yanked.
# pytest 9 has subtests of its own; before that they are a plugin.
STACKS = {
    "oldest": [
        "pytest==8.0.0",
        "psutil==5.9.0",
        "requests==2.28.0",
        "urllib3==1.26.16",
        "httpx==0.24.0",
        "httpcore==0.17.0",
        "respx==0.20.2",  # newer ones need a newer httpx
        "aiohttp==3.9.0",
        "aioresponses",  # does not work with the newest aiohttp
        "trio==0.22.0",
        "httplib2==0.22.0",
        "pyparsing<3.2",  # newer ones warn of what that httplib2 calls
        "websockets==13.0",
        "websocket-client==1.5.0",
        "jinja2==3.0.0",
        "selenium==4.10.0",  # newer ones need a newer trio
        "pytest-subtests",
    ],
    "urllib3-1.26-last": ["pytest<9", "requests==2.31.0", "urllib3<2", "pytest-subtests"],
    "urllib3-2.0": ["pytest==8.4.*", "requests==2.30.0", "urllib3==2.0.2", "pytest-subtests"],
}
# Not of the tests' requirements, since it needs an h11 that the oldest httpcore refuses.
HTTPX2 = "httpx2>=2; python_version >= '3.11'"
# Of each, ``tests/sdks`` has a file; elasticsearch's asyncio needs aiohttp.
SDKS = ["boto3", "moto[server]", "docker", "elasticsearch[async]", "google-auth", "kubernetes", "PyGithub"]

# What replaces the sockets or the clock, and plugins that meddle with the same hooks.
NEIGHBOURS = ["gevent", "eventlet", "freezegun", "time-machine", "flaky", "pytest-cov", "pytest-socket"]
# pytest-forked does not work with pytest 9.
FORKED = ["pytest-forked", "pytest<9"]


@nox.session(python=NEWEST)
def newest(session: nox.Session) -> None:
    """The newest of everything."""
    session.install(".[test]", HTTPX2)
    session.run("pytest", *session.posargs)


@nox.session(python="3.11")
@nox.parametrize("stack", [nox.param(name, id=name) for name in STACKS])
def older(session: nox.Session, stack: str) -> None:
    """Older pytest, requests and urllib3."""
    session.install(".[test]", *STACKS[stack])
    session.run("pytest", *session.posargs)


@nox.session(python="3.11")
def sdks(session: nox.Session) -> None:
    """The newest SDKs, which open connections for their users."""
    session.install(".[test]", *SDKS)
    session.run("pytest", "tests/test_sdks.py", *session.posargs)


@nox.session(python="3.11")
def forks(session: nox.Session) -> None:
    """niquests, whose urllib3-future takes the place of urllib3: the checks that every library must pass."""
    session.install(".[test]", "niquests")
    session.run(
        "pytest", "tests/test_conformance.py", "tests/test_instrumentation.py", "tests/test_cases.py", *session.posargs
    )
    session.run("pytest", "tests/test_docs.py", "-k", "examples", *session.posargs)


@nox.session(python="3.11")
def neighbours(session: nox.Session) -> None:
    """In the presence of other tools."""
    session.install(".[test]", *NEIGHBOURS, *FORKED)
    files = ("tests/test_greenlets.py", "tests/test_neighbours.py", "tests/test_processes.py")
    session.run("pytest", "-p", "no:flaky", *files, *session.posargs)  # it breaks each pytest that is run in a test


@nox.session(python="3.11")
def release(session: nox.Session) -> None:
    """What would be published, in ``.nox/release/tmp/dist``: built twice, installed where nothing else is, and used."""
    session.install("build", "hatchling>=1.26", "twine")
    work = Path(session.create_tmp()).resolve()
    shutil.rmtree(work)
    work.mkdir()
    session.run("python", ".ci/package.py", str(work / "dist"))
    [sdist], [wheel] = (work / "dist").glob("*.tar.gz"), (work / "dist").glob("*.whl")
    session.run("twine", "check", "--strict", str(sdist), str(wheel))

    session.run("python", "-m", "venv", str(work / "fresh"))
    python = str(work / "fresh" / "bin" / "python")
    pip = (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    session.run(*pip, str(wheel), "requests", external=True)
    shutil.copytree("examples", work / "examples")
    shutil.copytree("tests/typed", work / "typed")
    session.chdir(work / "examples")
    for autoload, options in (("", ()), ("1", ("-p", "connleak"))):
        found = session.run(
            *(python, "-m", "pytest", *options),
            env={"PYTEST_DISABLE_PLUGIN_AUTOLOAD": autoload},
            success_codes=[1],  # the example leaks on purpose
            silent=True,
            external=True,
        )
        if "connleak: 1 missing-timeout, 1 unclosed-response, 1 unclosed-session, 1 unclosed-socket" not in str(found):
            session.error(found)
    session.run(python, "-m", "pytest_connleak", "doctor", external=True)

    session.chdir(work / "typed")
    session.run(*pip, "mypy", "pyright[nodejs]", external=True)
    session.run(python, "-m", "mypy", "--strict", ".", external=True)
    session.run(python, "-m", "pyright", "--pythonpath", python, ".", external=True)
    session.run(python, "-m", "pytest", "-p", "no:cacheprovider", "-q", "public_use.py", external=True)


@nox.session(python="3.11")
def benchmarks(session: nox.Session) -> None:
    """What the plugin costs, in instructions; valgrind counts them, and must be installed."""
    session.install(".[test]")
    session.run("python", "-m", "benchmarks", "instructions", "--check")


@nox.session(python="3.11", default=False)
def others(session: nox.Session) -> None:
    """Suites that nobody here wrote, without and with the plugin: ``nox -s others -- requests``, or all of them."""
    session.install(".[test]")
    session.chdir("tests")
    session.run("python", "-m", "others", *session.posargs)


@nox.session(python="3.11")
def docs(session: nox.Session) -> None:
    """The documentation: built with warnings as errors, nothing in it from elsewhere, and who sees what still true."""
    session.install("-e", ".[test,docs]")
    site = f"{session.create_tmp()}/site"
    session.run("sphinx-build", "-W", "-n", "--keep-going", "-q", "-E", "docs", site)
    session.run("python", "docs/offline.py", site)
    session.run("python", "docs/measured/compare.py", "--check")
    session.run("pytest", "tests/test_docs.py", *session.posargs)


@nox.session(python="3.11")
def lint(session: nox.Session) -> None:
    """Style, types, import layers, what GitHub reads."""
    session.install("-e", ".[test,lint]")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")
    session.run("lint-imports")
    for schema, files in {
        "workflows": "workflows/*.yml",
        "issue-forms": "ISSUE_TEMPLATE/[0-9]*.yml",
        "issue-config": "ISSUE_TEMPLATE/config.yml",
    }.items():
        paths = map(str, Path(".github").glob(files))
        session.run("check-jsonschema", "--builtin-schema", f"vendor.github-{schema}", *paths)
