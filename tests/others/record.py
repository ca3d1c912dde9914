"""A pytest plugin that writes down what became of each test, in the file in OTHERS_RECORD."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Generator
from typing import Any

import pytest

OUTCOMES: dict[str, dict[str, Any]] = {}
TIMES: list[float] = []


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtestloop() -> Generator[None, object, object]:
    """Note how long all tests took: what happens between them belongs to no phase of any."""
    began = time.perf_counter()
    try:
        return (yield)
    finally:
        TIMES.append(time.perf_counter() - began)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note a phase of a test: its outcome, whether that was expected, and why it failed."""
    outcome = report.outcome + (" (xfail)" if hasattr(report, "wasxfail") else "")
    phases = OUTCOMES.setdefault(report.nodeid, {})
    phases.setdefault(report.when, []).append([outcome, report.longreprtext])


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Note what could not be collected."""
    if report.failed:
        OUTCOMES[f"collection of {report.nodeid}"] = {"collect": [[report.outcome, report.longreprtext]]}


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Write all that; only the process that has the whole of it."""
    if not hasattr(session.config, "workerinput"):
        with open(os.environ["OTHERS_RECORD"], "w", encoding="utf-8") as file:
            json.dump({"status": int(exitstatus), "seconds": sum(TIMES), "tests": OUTCOMES}, file)
