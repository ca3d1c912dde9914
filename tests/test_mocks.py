"""Mocks that stand in for methods of a library, and that not every version of it can be used with."""

from __future__ import annotations

import pytest

from conftest import RunTests


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
