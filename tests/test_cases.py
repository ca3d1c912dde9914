"""The labelled cases: every finding is there, at its line and its test, and no other."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from labels import expected, failures, leaking, observed
from servers import Server

CASES = Path(__file__).parent / "cases"


# By files, or each process has its own fixtures of a module, and its own singletons.
@pytest.mark.parametrize("arguments", [(), ("-n", "2", "--dist", "loadfile")], ids=["plain", "xdist"])
@pytest.mark.usefixtures("tls_server", "proxy")
def test_cases(arguments: tuple[str, ...], tmp_path: Path, server: Server) -> None:
    sites, output = observed(CASES, tmp_path / "report.json", {"CONNLEAK_TEST_URL": server.url}, *arguments)
    want = expected(CASES.glob("*.py"))
    assert sites - want == Counter(), f"wrongly reported\n{output}"
    assert want - sites == Counter(), f"missed\n{output}"
    if not arguments:
        assert failures(output) == leaking(want)
