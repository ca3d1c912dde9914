"""Code Quality of GitLab: what fails or warns, one item per site.

The format: https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format.  GitLab keeps one item of each
fingerprint (``lib/gitlab/ci/reports/codequality_reports.rb`` in gitlab-org/gitlab), and compares two branches by them.
"""

from __future__ import annotations

import json
import os
from typing import Any

from ..report import Report, Site, in_repository, sites

SEVERITIES = {"fail": "major", "warn": "minor"}


def render(report: Report) -> str:
    """The report as a JSON array."""
    items = [_item(site, report.root) for site in sites(report) if site.level in SEVERITIES]
    return json.dumps(items, indent=1, ensure_ascii=True) + "\n"


def _item(site: Site, root: str) -> dict[str, Any]:
    path, line = _location(site, root)
    return {
        "description": f"{site.first.kind}: {site.headline}",
        "check_name": site.first.kind,
        "fingerprint": site.identity,
        "severity": SEVERITIES[site.level],
        "location": {"path": path, "lines": {"begin": line}},
    }


def _location(site: Site, root: str) -> tuple[str, int]:
    """The nearest line within the repository, for there is no other that GitLab could show; else the test's file."""
    first = site.first
    lines = [(first.path, first.line), *((line.path, line.line) for line in first.stack), (site.test_path, 1)]
    for path, line in lines:
        if path and not os.path.isabs(local := in_repository(path, root)):
            return local, max(line or 1, 1)
    return ".", 1
