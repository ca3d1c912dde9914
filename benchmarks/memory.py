"""What the plugin remembers: of what is closed nothing, and of what is open little."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

from .measure import OFF, ON, PYTEST, Row, run, written
from .server import serving

SESSIONS, REQUESTS, OPEN = 200_000, 1_000_000, 20_000

_TEST = """
import gc, os, psutil, requests, urllib3

def rss():
    gc.collect()
    return psutil.Process().memory_info().rss

def test_closed():
    for n in range({sessions}):
        requests.Session().close()
        if n == 1000:
            before = rss()
    print("SESSIONS", rss() - before)
    with urllib3.PoolManager(timeout=9) as pool:
        for n in range({requests}):
            pool.request("GET", {url!r})
            if n == 1000:
                before = rss()
    print("REQUESTS", rss() - before)

def test_open():
    before = rss()
    sessions = [requests.Session() for _ in range({open})]
    print("OPEN", (rss() - before) // {open})
    for session in sessions:
        session.close()
"""


def measured() -> Iterator[Row]:
    """Bytes; it takes ten minutes."""
    with serving() as url:
        text = _TEST.format(sessions=SESSIONS, requests=REQUESTS, open=OPEN, url=url)
        figures = []
        for options in (OFF, ON):
            with written({"test_memory.py": text}) as directory:
                out = run(directory, sys.executable, *PYTEST, "-s", *options).stdout
            figures.append({name: int(value) for name, value in re.findall(r"(SESSIONS|REQUESTS|OPEN) (-?\d+)", out)})
    off, on = figures
    for name, what in (("SESSIONS", f"{SESSIONS:,} sessions, closed"), ("REQUESTS", f"{REQUESTS:,} requests")):
        grown = max(0, on[name] - off[name])
        yield Row(what, off[name] / 1024, on[name] / 1024, "KiB more at the end than after 1,000", 1 + grown / 2**20, 2)
    more = on["OPEN"] - off["OPEN"]
    yield Row("an open session", off["OPEN"], on["OPEN"], "bytes each", more / 600, 1.0)
