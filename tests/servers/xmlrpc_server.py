"""An XML-RPC server: ``python -m servers.xmlrpc_server``.

    hello()         "hello"
    add(a, b)       their sum
    size(n)         n bytes
    wait(seconds)   "hello", later
    fail()          a fault

It knows ``system.listMethods`` too, and listens at every path.
"""

from __future__ import annotations

from xmlrpc.client import Binary
from xmlrpc.server import SimpleXMLRPCDispatcher

from .counting import CountingServer, Handler
from .http_server import GREETING, pause


class CallHandler(Handler):
    """Calls the functions that its requests name."""

    def respond(self) -> None:
        dispatcher = SimpleXMLRPCDispatcher(allow_none=True)
        dispatcher.register_introspection_functions()
        for function in (self.hello, self.add, self.size, self.wait, self.fail):
            dispatcher.register_function(function)
        self.answer(dispatcher._marshaled_dispatch(self.read_body()), Content_Type="text/xml")

    def hello(self) -> str:
        return GREETING.decode()

    def add(self, a: float, b: float) -> float:
        return a + b

    def size(self, n: int) -> Binary:
        return Binary(b"x" * n)

    def wait(self, seconds: float) -> str:
        pause(self, seconds)
        return self.hello()

    def fail(self) -> None:
        raise ValueError("this fails")


if __name__ == "__main__":
    CountingServer(CallHandler).run(scheme="http")
