"""Fails if a page of the built site would load anything from elsewhere: ``python docs/offline.py docs/_build``."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

# Where a browser asks for what it finds there by itself; a link is only followed by somebody who wants it.
LOADING = {"src", "srcset", "poster", "data", "action", "formaction", "background"}
ELSEWHERE = re.compile(r"^\s*(?:[a-z]+:)?//", re.IGNORECASE)
IN_STYLES = re.compile(r"""(?:url\(\s*|@import\s+)["']?(?:[a-z]+:)?//[^"')\s]+""", re.IGNORECASE)
IN_SCRIPTS = re.compile(r"""(?:fetch|importScripts|import|\.src\s*=|\.open)\s*\(?\s*["'`](?:https?:)?//[^"'`]+""")


class Loads(HTMLParser):
    """What a page loads from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            loads = name in LOADING or (tag == "link" and name == "href")
            if loads and value and ELSEWHERE.match(value):
                self.found.append(f"<{tag} {name}={value}>")


def loads(site: Path) -> Iterator[str]:
    """What the files of the site load from elsewhere."""
    for file in sorted(site.rglob("*")):
        if file.suffix not in (".html", ".css", ".js", ".svg"):
            continue
        text = file.read_text(encoding="utf-8")
        found = IN_SCRIPTS.findall(text) if file.suffix == ".js" else IN_STYLES.findall(text)
        if file.suffix == ".html":
            page = Loads()
            page.feed(text)
            found += page.found
        yield from (f"{file.relative_to(site)}: {each}" for each in found)


def main() -> int:
    """1 if there is anything."""
    site = Path(sys.argv[1])
    if not (site / "index.html").exists():
        print(f"{site} is no site", file=sys.stderr)
        return 2
    found = [*loads(site)]
    print("\n".join(found) or "nothing is loaded from elsewhere")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
