"""Mocks that stand in for methods of a library, and that not every version of it can be used with."""

from __future__ import annotations

import pytest

from conftest import RunTests
from servers import Server


def test_aioresponses(pytester: pytest.Pytester, run: RunTests) -> None:
    pytest.importorskip("aioresponses")
    pytester.makepyfile(
        """
        import asyncio

        import aiohttp
        from aioresponses import aioresponses


        async def get(session, **options):
            with aioresponses() as mocked:
                mocked.get("https://a.test/", body="hello")
                async with session.get("https://a.test/", **options) as response:
                    assert await response.text() == "hello"


        def test_closed():
            async def main():
                async with aiohttp.ClientSession() as session:
                    await get(session)

            asyncio.run(main())


        def test_left():
            async def main():
                await get(aiohttp.ClientSession(), timeout=None)

            asyncio.run(main())
        """
    )
    outcome = run("-Wignore")
    assert outcome.outcomes == {"failed": 1, "passed": 1}
    session, timeout = outcome.findings
    assert (session["kind"], timeout["kind"]) == ("unclosed-session", "missing-timeout")
    assert "it sent 1 request over 0 connections" in session["message"]


def test_client_of_an_asgi_application(pytester: pytest.Pytester, run: RunTests) -> None:
    """FastAPI's and Starlette's, used as their tutorials do."""
    pytester.makepyfile(
        """
        import pytest
        from starlette.applications import Starlette
        from starlette.responses import PlainTextResponse
        from starlette.routing import Route
        from starlette.testclient import TestClient


        async def hello(request):
            return PlainTextResponse("hello")


        app = Starlette(routes=[Route("/", hello)])
        at_import = TestClient(app)


        @pytest.fixture
        def client():
            return TestClient(app)


        def test_at_import():
            assert at_import.get("/").text == "hello"


        def test_fixture(client):
            assert client.get("/").text == "hello"


        def test_closed():
            with TestClient(app) as client:
                assert client.get("/").text == "hello"
        """
    )
    outcome = run("-Wignore")
    assert outcome.outcomes == {"passed": 3}
    assert [(f["status"], f["object"]) for f in outcome.findings] == [
        ("library", "starlette.testclient.TestClient"),
        ("library", "starlette.testclient.TestClient"),
    ]


def test_stand_ins_for_responses_are_nobodys_leak(pytester: pytest.Pytester, run: RunTests, server: Server) -> None:
    """vcrpy plays back with a class of its own, of which it is not seen what becomes of it."""
    pytester.makepyfile(
        """
        import os

        import pytest
        import urllib3
        import vcr

        URL = os.environ["CONNLEAK_TEST_URL"]


        @pytest.fixture
        def tape(tmp_path):
            path = str(tmp_path / "tape.yaml")
            with vcr.use_cassette(path), urllib3.PoolManager(timeout=5) as pool:
                pool.request("GET", URL)
            return path


        @pytest.mark.parametrize("end", ["close", "read", "drain_conn"])
        def test_ended_after_the_cassette(tape, end):
            with urllib3.PoolManager(timeout=5) as pool:
                with vcr.use_cassette(tape):
                    response = pool.request("GET", URL, preload_content=False)
                getattr(response, end)()


        def test_pool_left(tape):
            with vcr.use_cassette(tape):
                urllib3.PoolManager(timeout=5).request("GET", URL)
        """
    )
    outcome = run("-Wignore")
    assert outcome.outcomes == {"passed": 3, "failed": 1}
    assert [f["kind"] for f in outcome.findings] == ["unclosed-pool"]
