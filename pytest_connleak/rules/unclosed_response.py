"""A streamed response that was neither read to its end nor closed: its connection serves nobody else."""

from __future__ import annotations

from collections.abc import Iterator

from ..model import Evidence, Finding
from ..settings import Settings
from .interface import Rule, fate

rule = Rule(__name__, title="a streamed response that was neither read to its end nor closed")

_HELP = {
    "requests": "with session.get(url, stream=True, timeout=10) as response:\n    ...",
    "urllib3": 'response = pool.request("GET", url, preload_content=False)\n'
    "try:\n    ...\nfinally:\n    response.drain_conn()  # or .close() to give up the rest",
}


@rule.check
def check(evidence: Evidence, settings: Settings) -> Iterator[Finding]:
    for response in evidence.of("response"):
        message = f"{response.name} {fate(response)}: it was not read to its end and keeps its connection"
        yield rule.finding(response, message, _HELP.get(response.name.partition(".")[0], "with ... as response:"))
