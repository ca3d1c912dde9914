"""The labelled cases: every finding is there, at its line and its test, and no other."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from labels import expected, failures, leaking, observed
from servers import Server

CASES = Path(__file__).parent / "cases"


@pytest.mark.parametrize(
    "arguments", [(), ("-n", "2"), ("-n", "2", "--dist", "loadfile")], ids=["plain", "xdist", "loadfile"]
)
@pytest.mark.usefixtures("tls_server", "proxy")
def test_cases(arguments: tuple[str, ...], tmp_path: Path, server: Server) -> None:
    sites, output = observed(CASES, tmp_path / "report.json", {"CONNLEAK_TEST_URL": server.url}, *arguments)
    want = expected(CASES.glob("*.py"))
    if "loadfile" not in arguments and arguments:
        # The tests of a module are spread over two processes: each has its own module fixtures and singletons.
        of_tests = {site for site in want if site[4] == "leak"}
        sites, want = (Counter({s: n for s, n in c.items() if s in of_tests}) for c in (sites, want))
    assert sites - want == Counter(), f"wrongly reported\n{output}"
    assert want - sites == Counter(), f"missed\n{output}"
    if not arguments:
        assert failures(output) == leaking(want)
