"""Threads: who started one in which nothing of the user's runs.

``Thread(target=requests.get, args=(url,))`` leaves no line of the user's on the stack of the thread, nor do the
threads that libraries start.  Followed sources: ``Lib/threading.py`` (``_bootstrap_inner`` is the outermost call in a
thread, which subclasses do not override), ``Lib/multiprocessing/pool.py``.
"""

from __future__ import annotations

from collections.abc import Generator

from .interface import Call, Instrumentation, Outcome, Probe

instrumentation = Instrumentation("threading")


@instrumentation.around("threading:Thread.start")
def started(probe: Probe, call: Call) -> Generator[None, Outcome, None]:
    # Who made a pool has not sent what its threads send, and who did is not to be seen in them.
    if getattr(getattr(call.instance, "_target", None), "__module__", "") != "multiprocessing.pool":
        probe.started(call.instance)
    yield


@instrumentation.around("threading:Thread._bootstrap_inner")
def runs(probe: Probe, call: Call) -> Generator[None, Outcome, None]:
    with probe.running(call.instance):
        yield
