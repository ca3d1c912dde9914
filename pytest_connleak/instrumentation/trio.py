"""trio: who made a task, and who handed work to a thread.

Followed source: ``trio/_core/_run.py`` (a task copies the context in which it is made).
"""

from __future__ import annotations

from collections.abc import Generator

from .. import origin
from .interface import Call, Instrumentation, Outcome, Probe

instrumentation = Instrumentation("trio", "trio")


@instrumentation.around("trio._core._run:Nursery.start_soon")
def task_made(probe: Probe, call: Call) -> Generator[None, Outcome, None]:
    """``nursery.start_soon(client.get, url)`` leaves no line of the user's on the stack of the task."""
    code = getattr(call.argument(0, "async_fn"), "__code__", None)
    if code is not None and origin.classify(code.co_filename) == "user":
        yield
    else:
        with probe.making_a_task():
            yield


@instrumentation.around("trio.to_thread:run_sync")
def handed_to_thread(probe: Probe, call: Call) -> Generator[None, Outcome, None]:
    """The threads are kept for other work; the context is that of the caller."""
    with probe.making_a_task():
        yield
