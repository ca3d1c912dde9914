"""The SDKs as their users drive them: labelled cases in ``sdks``, one file each, named as its distribution."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest

from labels import expected, failures, leaking, observed
from servers import Server

SDKS = Path(__file__).parent / "sdks"
CASES = sorted(SDKS.glob("test_*.py"))
# What the cases of an SDK need besides.
ALSO = {"boto3": ("moto", "flask"), "elasticsearch": ("aiohttp",)}


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    """Where the services are."""
    with tempfile.TemporaryDirectory(prefix="sdks-") as directory:  # the path of a Unix socket has to be short
        path = f"{directory}/docker.sock"
        with Server("api", path) as services:
            yield {"CONNLEAK_TEST_SERVICES": services.url, "CONNLEAK_TEST_DOCKER": path}


@pytest.mark.parametrize("file", CASES, ids=lambda file: file.stem.removeprefix("test_"))
def test_sdk(file: Path, tmp_path: Path, environment: dict[str, str]) -> None:
    name = file.stem.removeprefix("test_").replace("_", "-")
    for needed in (name, *ALSO.get(name, ())):
        try:
            distribution(needed)
        except PackageNotFoundError:
            pytest.skip(f"{needed} is not installed")
    sites, output = observed(SDKS, tmp_path / "report.json", environment, file.name)
    want = expected([file])
    assert sites - want == Counter(), f"wrongly reported\n{output}"
    assert want - sites == Counter(), f"missed\n{output}"
    assert failures(output) == leaking(want), output
