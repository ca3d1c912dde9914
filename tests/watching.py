"""A monitor without pytest around it: what a test does is done, what is kept is kept, and the scope is settled."""

from __future__ import annotations

from pytest_connleak.model import Finding, Owner
from pytest_connleak.monitor import Monitor

TEST = Owner("test_here.py::test_here", "function")


def verdict(monitor: Monitor) -> list[Finding]:
    """What is found for the test; no part may have failed over it."""
    findings = list(monitor.settle([TEST]).findings)
    assert monitor.faults == {}
    return findings


def kinds(findings: list[Finding]) -> list[str]:
    """The kinds, in the order of the findings."""
    return [finding.kind for finding in findings]
