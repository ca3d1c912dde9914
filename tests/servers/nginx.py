"""Debian's nginx as a server that closes idle connections itself: ``python -m servers.nginx SECONDS REQUESTS``.

SECONDS is its ``keepalive_timeout``; with 0 each answer says "Connection: close", and so does the last one of the
REQUESTS that a connection may bring (``keepalive_requests``).  This process starts nginx, asks it how many
connections it has (``stub_status``, over a Unix socket), and ends it.  nginx logs a line for each request: the number
of its connection, and which request of that connection it was.

    /        "hello"
    /large   16 MB, more than the buffers of a connection take
"""

from __future__ import annotations

import operator
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from .counting import HOST, converse

CONFIGURATION = """
daemon off;
master_process off;
pid nginx.pid;
lock_file nginx.lock;
error_log errors.log;
events {{ worker_connections 512; multi_accept on; }}
http {{
    log_format requests "$connection $connection_requests";
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    default_type text/plain;
    keepalive_timeout {milliseconds}ms;
    keepalive_requests {requests};
    server {{
        listen {host}:{port} backlog=128;
        access_log {prefix}/requests.log requests;
        location = / {{ return 200 hello; }}
        location = /large {{ root {prefix}; }}
    }}
    server {{
        listen unix:{prefix}/status;
        keepalive_timeout 0;
        location / {{ stub_status; }}
    }}
}}
"""
LARGE = 16 * 2**20
START_TIMEOUT = 5.0
STATUS = re.compile(rb"Active connections: (?P<active>\d+)[^\d]+(?P<accepted>\d+) \d+ (?P<requests>\d+)")


def find() -> str | None:
    """The path of an nginx that can be asked how many connections it has."""
    program = shutil.which("nginx", path=os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin"]))
    if program is None:
        return None
    about = subprocess.run([program, "-V"], stderr=subprocess.PIPE, text=True, check=False).stderr
    return program if "--with-http_stub_status_module" in about else None


class Nginx:
    """An nginx that runs below ``prefix``."""

    def __init__(self, program: str, prefix: Path, keepalive_timeout: float, keepalive_requests: int):
        with socket.create_server((HOST, 0)) as free:
            self.port: int = free.getsockname()[1]
        self._status = prefix / "status"
        self._asked = 0
        configuration = prefix / "nginx.conf"
        facts = {
            "port": self.port,
            "prefix": prefix,
            "milliseconds": round(keepalive_timeout * 1000),
            "requests": keepalive_requests,
        }
        configuration.write_text(CONFIGURATION.format(host=HOST, **facts), encoding="utf-8")
        (prefix / "large").touch()
        os.truncate(prefix / "large", LARGE)
        command = [program, "-p", str(prefix), "-c", str(configuration)]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    def is_up(self) -> bool:
        """Wait until it serves; false if it does not come to that."""
        deadline = time.monotonic() + START_TIMEOUT
        while self._process.poll() is None and time.monotonic() < deadline:
            try:
                self._totals()
            except OSError:
                time.sleep(0.005)
            else:
                return True
        return False

    def counts(self, *since: int) -> tuple[int, ...]:
        """How many connections came, are open, are closed; how many requests: each less what was before."""
        return tuple(map(operator.sub, self._totals(), since))

    def peers(self, *since: int) -> list[object]:
        """It does not tell."""
        return []

    def _totals(self) -> tuple[int, int, int, int]:
        """What nginx says, less the asking itself."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(START_TIMEOUT)
            connection.connect(str(self._status))
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            answer = b"".join(iter(lambda: connection.recv(4096), b""))
        self._asked += 1
        status = STATUS.search(answer)
        assert status is not None, answer
        opened, still_open = int(status["accepted"]) - self._asked, int(status["active"]) - 1
        return opened, still_open, opened - still_open, int(status["requests"]) - self._asked

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        try:
            self._process.wait(START_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def main(keepalive_timeout: float, keepalive_requests: int) -> None:
    """Serve until stdin ends."""
    program = find()
    if program is None:
        sys.exit("there is no nginx with stub_status, neither on PATH nor in /usr/sbin")
    for _attempt in range(3):  # between its choice and its use a port may be taken
        with tempfile.TemporaryDirectory(prefix="nginx-") as directory:
            nginx = Nginx(program, Path(directory), keepalive_timeout, keepalive_requests)
            try:
                if nginx.is_up():
                    converse(nginx, port=nginx.port, scheme="http", log=f"{directory}/requests.log")
                    return
            finally:
                nginx.close()
    sys.exit("nginx does not start; above it says why")


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]))
