"""The self-test: one leak of each kind is planted in a throw-away run, against a server of its own.

Each kind is planted with the libraries that are installed; what cannot be planted is said, and is no failure.
"""

from __future__ import annotations

import http.server
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from importlib.util import find_spec
from typing import Any, NamedTuple

from . import instrumentation
from .progress import Progress


class Plant(NamedTuple):
    """A test that leaks: the kind of finding that it must give, the library it needs, and its body."""

    kind: str
    library: str
    body: str

    @property
    def name(self) -> str:
        return f"test_{self.kind.replace('-', '_')}_of_{self.library or 'python'}"

    @property
    def code(self) -> str:
        """The test; its last line is the one to be named."""
        return f"def {self.name}():\n    import {self.library or 'socket'}\n    {self.body}\n"


PLANTS = (
    Plant("unclosed-session", "requests", "KEPT.append(requests.Session())"),
    Plant("unclosed-session", "httpx", "KEPT.append(httpx.Client())"),
    Plant("unclosed-pool", "urllib3", "KEPT.append(urllib3.PoolManager())"),
    Plant(
        "unclosed-response",
        "requests",
        "with requests.Session() as session: KEPT.append(session.get(URL, stream=True, timeout=5))",
    ),
    Plant(
        "unclosed-response",
        "urllib3",
        "with urllib3.PoolManager() as pool: KEPT.append(pool.request('GET', URL, preload_content=False, timeout=5))",
    ),
    Plant("unclosed-socket", "", "KEPT.append(socket.create_connection(ADDRESS, timeout=5))"),
    Plant("missing-timeout", "requests", "requests.get(URL)"),
    Plant("missing-timeout", "httpx", "with httpx.Client(timeout=None) as client: client.get(URL)"),
)


def main() -> int:
    """Plant, run, and say what was found; 0 if all that was planted was found, and nothing else."""
    planted = [plant for plant in PLANTS if not plant.library or find_spec(plant.library)]
    print(f"python {platform.python_version()}")
    for name in _distributions():
        print(f"{name} {metadata.version(name)}")
    progress = Progress("planting leaks, and looking for them")
    with progress, _server() as url, tempfile.TemporaryDirectory(prefix="connleak-doctor-") as directory:
        findings, output = _run(planted, url, directory)
    passed = True
    for plant, line in zip(planted, _lines(planted), strict=True):
        found = [(f["kind"], f["line"]) for f in findings if f["nodeid"].endswith(f"::{plant.name}")]
        right = found == [(plant.kind, line)]
        passed = passed and right
        print(f"{'found' if right else 'NOT FOUND':>9}  {plant.kind} of {plant.library or 'a plain socket'}")
    for kind in sorted({plant.kind for plant in PLANTS} - {plant.kind for plant in planted}):
        print(f"  skipped  {kind}: no library to plant it with is installed")
    if not passed:
        print(output)
    wrong = "something is wrong: what was planted was not found, or not as it should be; please report all of this"
    print("all is well" if passed else wrong)
    return 0 if passed else 1


HEAD = ("KEPT = []", "URL = {url!r}", "ADDRESS = {address!r}", "")


def _lines(planted: list[Plant]) -> Iterator[int]:
    """The lines that are to be named."""
    line = len(HEAD)
    for plant in planted:
        line += plant.code.count("\n")
        yield line


def _run(planted: list[Plant], url: str, directory: str) -> tuple[list[dict[str, Any]], str]:
    host, _, port = url.removeprefix("http://").partition(":")
    head = "\n".join(HEAD).format(url=url, address=(host, int(port)))
    files = {"test_planted.py": f"{head}\n{''.join(plant.code for plant in planted)}", "pytest.ini": "[pytest]\n"}
    for name, text in files.items():
        with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
            file.write(text)
    # Nobody's other plugins, options, proxies or paths.
    others = ("_PROXY", "_ADDOPTS", "_PLUGINS")
    environment = {key: value for key, value in os.environ.items() if not key.upper().endswith(others)}
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    report = os.path.join(directory, "report.json")
    command = [sys.executable, "-m", "pytest", "-p", "pytest_connleak.plugin", f"--connleak-report={report}"]
    done = subprocess.run(  # noqa: S603  # this Python, and files that were just written
        command, cwd=directory, env=environment, capture_output=True, text=True, timeout=120
    )
    output = done.stdout + done.stderr
    if not os.path.exists(report):
        return [], output
    with open(report, encoding="utf-8") as file:
        return json.load(file)["findings"], output


def _distributions() -> Iterator[str]:
    names = ["pytest-connleak", "pytest", "psutil", *(i.distribution for i in instrumentation.discover())]
    installed = {distribution.name.lower().replace("_", "-") for distribution in metadata.distributions()}
    return (name for name in dict.fromkeys(filter(None, names)) if name.lower() in installed)


class _Hello(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "100000")
        self.end_headers()
        self.wfile.write(bytes(100_000))

    def log_message(self, *_: object) -> None:
        """It has nothing to say."""


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Who leaks ends its connections anyhow."""


@contextmanager
def _server() -> Iterator[str]:
    with _Server(("127.0.0.1", 0), _Hello) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
