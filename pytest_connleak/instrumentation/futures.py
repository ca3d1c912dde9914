"""Thread pools: who submitted the work that now runs in a thread.

``executor.map(requests.get, urls)`` leaves no line of the user's on the stack of the thread; the line that
handed the work over is the one to name.  Followed source: ``Lib/concurrent/futures/thread.py``.
"""

from __future__ import annotations

from collections.abc import Generator

from .interface import Call, Instrumentation, Outcome, Probe

instrumentation = Instrumentation("concurrent.futures")


@instrumentation.after("concurrent.futures.thread:_WorkItem.__init__")
def submitted(probe: Probe, call: Call) -> None:
    probe.submitted(call.instance)


@instrumentation.around("concurrent.futures.thread:_WorkItem.run")
def runs(probe: Probe, call: Call) -> Generator[None, Outcome, None]:
    with probe.working_on(call.instance):
        yield
