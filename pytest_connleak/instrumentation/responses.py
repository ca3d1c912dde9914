"""responses: a mock that stands in for ``HTTPAdapter.send``, and so is given the timeout in effect.

Without it, the limit that an adapter of the user's own adds would be missed where responses is active.
Followed source: ``responses/__init__.py`` (``RequestsMock._on_request(adapter, request, **kwargs)``).
"""

from __future__ import annotations

from ..in_flight import CONNECTION
from ..timeouts import limits
from .interface import Argument, Instrumentation, Probe

instrumentation = Instrumentation("responses", "responses")


@instrumentation.before("responses:RequestsMock._on_request", Argument("timeout"))
def mocked(probe: Probe, library: str, mock: object, timeout: object) -> None:
    request = probe.in_flight()
    if request is not None:
        request.reached(CONNECTION, limits(timeout))
