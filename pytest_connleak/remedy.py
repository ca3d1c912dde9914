"""What to write instead, as code that fits the line which it is about."""

from __future__ import annotations

import re
import sys

from .model import Advice, Frame, Request, Tracked
from .origin import source_line

# ``client = ...``, ``self.client: Client = ...``, ``clients[name] = ...``: what a line assigns to, and what it assigns.
_ASSIGNMENT = re.compile(r"([\w.]+(?:\[[^\]=]*\])?)(?:\s*:\s*[^=]+)?\s*=(?!=)\s*(.*)")
# ``app.clients['shop']``: what can be written as it stands; a fixture, a cache or a variable has other words around it.
_EXPRESSION = re.compile(r"\w+(?:\.\w+|\[[^\[\]]+\])+")
_SENT = re.compile(r"([\w.]+\.(?:get|post|put|patch|delete|head|options|request|urlopen|ws_connect))\(")
# So many characters of a line are looked at: the time that the patterns take grows with the square of it.
LONGEST = 500
_WIDE = ("class", "module", "package", "session")


def close_session(tracked: Tracked, template: str, advice: Advice) -> str:
    """How to close a session or a pool where it was made; ``template`` is for the usual case."""
    place = tracked.origin.place
    if tracked.by_library and tracked.origin.called is not None:
        return _close_what_a_library_made(tracked.origin.called)
    if place is None:
        return _block(tracked, template, tracked.name, "...")
    cls, text = tracked.name.rpartition(".")[2], source_line(place)[:LONGEST]
    target, value = _assigned(text)
    close = f"await {{}}.{advice.aclose}()" if "async" in tracked.traits else f"{{}}.{advice.close}()"
    if not re.match(rf"(?:.*\b(?:or|else)\s+)?(?:\w+\.)*{re.escape(cls)}\(", value, re.IGNORECASE):
        target = ""  # something else is assigned, in which this is a part
    if place.function.endswith(".__init__") and "super()" not in text:
        kept = close.format(target) if target.startswith("self.") else f"...  # close the {tracked.name}"
        return _class_that_closes(place, kept, asynchronous="async" in tracked.traits)
    kept = where_kept(tracked)
    if kept or (target and not target.isidentifier()):
        return f"{close.format(kept or target)}  # {_deadline(tracked)}"
    returns = text.startswith("return ") and tracked.owner.scope == "function"
    if returns and len(tracked.origin.stack) > 1 and "async" not in tracked.traits:
        return _block(tracked, template, place.function.rpartition(".")[2], "...", "  # where it is called")
    body = "yield {}" if returns or tracked.owner.scope in _WIDE else "..."
    name = tracked.name if tracked.name.count(".") == 1 and tracked.name != f"{place.module}.{cls}" else cls
    return _block(tracked, template, name, body, variable=target)


def close_response(tracked: Tracked, template: str) -> str:
    """How to close a streamed response where its request was sent."""
    if tracked.by_library and tracked.origin.called is not None:
        return f"read to its end, or close, what {public_name(tracked.origin.called)}() gave you"
    text = source_line(tracked.origin.place)[:LONGEST] if tracked.origin.place else ""
    target, sent = _assigned(text)[0], _SENT.search(text)
    usual = "pool.request" if tracked.library.startswith("urllib3") else "session.get"
    call, variable = sent[1] if sent else usual, target if target.isidentifier() else "response"
    return _awaited(template.format(call=call, variable=variable), tracked)


def close_socket(tracked: Tracked, template: str) -> str:
    """How to close a socket, or what opened it."""
    called = tracked.origin.called
    kept = where_kept(tracked) if called is None or called.module == "socket" else ""
    return f"{kept}.close()  # {_deadline(tracked)}" if kept else template


def limit(request: Request, argument: str) -> str:
    """How to give a request a timeout: this ``argument``, if the user's code sends it and no library for it."""
    called = request.origin.called
    package = called.module.partition(".")[0] if called else ""
    if called is None or package in sys.stdlib_module_names or package == request.library.partition(".")[0]:
        return argument
    name = f"{public_name(called)}()"
    return f"set a timeout for {name}, or for the client that it uses; the documentation of {package} says how"


def where_kept(tracked: Tracked) -> str:
    """The global variable that keeps it alive, as an expression; empty if something else does, or nothing.

    A script's own variable is none: what it assigns can stand in a block, as in a function.
    """
    held = (tracked.held_by or "").removeprefix("__main__.")
    return held if _EXPRESSION.fullmatch(held) else ""


def public_name(frame: Frame) -> str:
    """``asyncio.open_connection`` for ``asyncio.streams.open_connection``; ``ftplib.FTP`` for its constructor."""
    function = frame.function.removesuffix(".__init__")
    packages = frame.module.split(".")
    for length in range(1, len(packages)):
        package = ".".join(packages[:length])
        public = vars(sys.modules.get(package, object)).get(function.partition(".")[0])
        if getattr(public, "__module__", None) == frame.module:
            return f"{package}.{function}"
    return ".".join(part for part in [*packages, *function.split(".")] if not part.startswith("_"))


def _close_what_a_library_made(called: Frame) -> str:
    if called.module.partition(".")[0] == "importlib":
        return "close what this import made"
    name = public_name(called)
    what = f"the {name}" if called.function.endswith(".__init__") else f"what {name}() gave you"
    return f"close {what}, or use it in a with block"


def _class_that_closes(init: Frame, close: str, *, asynchronous: bool) -> str:
    """A method for the class whose ``__init__`` made it, and how to make use of that."""
    cls = init.function.split(".")[-2]
    method = f"def close(self):\n    {close}\n"
    use = f"with contextlib.closing({cls}(...)) as {cls.lstrip('_').lower()}:  # wherever one is made\n    ..."
    if asynchronous:
        return f"async {method}async {use}".replace("def close", "def aclose").replace(".closing", ".aclosing")
    return method + use


def _block(tracked: Tracked, template: str, name: str, body: str, where: str = "", variable: str = "") -> str:
    variable = variable or _short(tracked.name)
    code = template.format(name=name, variable=variable, body=body.format(variable))
    return _awaited(code.replace("\n", f"{where}\n", 1), tracked)


def _awaited(code: str, tracked: Tracked) -> str:
    """``async with`` where the object is of that kind."""
    return f"async {code}" if "async" in tracked.traits and code.startswith("with ") else code


def _assigned(text: str) -> tuple[str, str]:
    """What a line assigns to, and the value; both are empty if it does neither."""
    match = _ASSIGNMENT.match(text)
    return (match[1], match[2]) if match else ("", "")


def _short(name: str) -> str:
    """A variable for an object of a class: ``client`` for ``httpx.AsyncClient``."""
    words = re.findall("[A-Z]?[a-z0-9]+", name.rpartition(".")[2])
    return words[-1].lower() if words else "it"


def _deadline(tracked: Tracked) -> str:
    scope = {"function": "test", "process": "program"}.get(tracked.owner.scope, tracked.owner.scope)
    return f"before the {scope} ends: in a teardown, or after the yield of a fixture"
