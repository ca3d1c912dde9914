"""anyio: who handed work to a thread.

Followed source: ``anyio/_backends/_asyncio.py`` (the threads are kept for other work, and the context is that of the
caller).
"""

from __future__ import annotations

from collections.abc import Generator

from .interface import Call, Instrumentation, Outcome, Probe

instrumentation = Instrumentation("anyio", "anyio")


@instrumentation.around("anyio.to_thread:run_sync")
def handed_to_thread(probe: Probe, call: Call) -> Generator[None, Outcome, None]:
    with probe.making_a_task():
        yield
