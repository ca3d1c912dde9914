"""The wrapper around a watched method: it tells an observer, and does to the program what the method does.

It is compiled for each method, with the very parameters of that: one with ``*args`` and ``**kwargs`` costs three
times as much, and a request passes half a dozen of them.  So a call with wrong arguments also fails where it did.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Generator
from contextlib import suppress
from types import CodeType, FunctionType
from typing import Any, NamedTuple

from .origin import WRAPPER
from .recorder import Recorder as Probe


class Call(NamedTuple):
    """A call of a watched method, as an observer sees it."""

    library: str
    """The package that the method is of: the library, or the copy of it that another package brings along."""
    instance: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    result: Any = None

    def argument(self, position: int, name: str, default: Any = None) -> Any:
        """An argument by its name, or by its position after ``self``."""
        args = self.args
        return args[position] if position < len(args) else self.kwargs.get(name, default)


class Outcome(NamedTuple):
    """How a call ended, sent into the ``yield`` of an observer that is around it."""

    result: Any
    error: BaseException | None


_BEFORE = """
{define} told({declared}):
    ended = None
    try:
        if patch.told{condition} and {first}:
            ended = observe(probe, library, {instance}, {asked})
    except BaseException as error:
        if ends_the_call(error, {instance}):
            raise
    if ended is None:
        return {wait}original({passed})
    try:
        result = {wait}original({passed})
    except BaseException as error:
        try:
            ended(None, error)
        except BaseException as another:
            if ends_the_call(another, {instance}):
                raise
        raise
    try:
        ended(result, None)
    except BaseException as error:
        if ends_the_call(error, {instance}):
            raise
    return result
"""

_AFTER = """
{define} told({declared}):
    result = {wait}original({passed})
    if patch.told{condition}:
        call = None
        try:
            if {first}:
                call = new(Call, (library, {instance}, ({positional}), {keywords}, result))
                observe(probe, call)
        except Exception as error:
            if is_the_programs(error, call):
                raise
    return result
"""

_AROUND = """
{define} told({declared}):
    observation = None
    try:
        if patch.told{condition} and {first}:
            observation = observe(probe, new(Call, (library, {instance}, ({positional}), {keywords}, None)))
            next(observation)
    except Exception as error:
        if is_the_programs(error):
            raise
        observation = None
    if observation is None:
        return {wait}original({passed})
    try:
        result = {wait}original({passed})
    except BaseException as error:
        end(observation, new(Outcome, (None, error)), is_the_programs)
        raise
    end(observation, new(Outcome, (result, None)), is_the_programs)
    return result
"""

_WAYS = {"before": _BEFORE, "after": _AFTER, "around": _AROUND}


def wrap(
    original: Any, observer: Any, patch: object, probe: Probe, disable: Callable[[Any, Exception], None]
) -> Callable[..., Any]:
    """Wrap a method, or a function.

    Args:
        original: what is called.
        observer: what is told of the calls.
        patch: its attribute ``told`` says whether to tell; it may change at any time.
        probe: what the observer is given.
        disable: called with the observer, and its error, if it raises.
    """
    parameters = _parameters(original)
    asynchronous = inspect.iscoroutinefunction(original)
    source = _WAYS[observer.way].format(
        define="async def" if asynchronous else "def",
        wait="await " if asynchronous else "",
        first=_first(observer, parameters),
        asked=", ".join(
            parameters.argument(argument.name, argument.position, f"default_{i}")
            for i, argument in enumerate(observer.asks)
        ),
        **parameters._asdict(),
    )

    def is_the_programs(error: Exception, call: Call | None = None) -> bool:
        if not _is_the_programs(error):
            disable(observer, error)
            return False
        if call is not None:  # it was not told to the end
            with suppress(Exception):
                observer.function(probe, call)
        return True

    def ends_the_call(error: BaseException, instance: object) -> bool:
        """Whether what struck while the observer was told is the program's; nobody will be told of the end."""
        probe.abandon(instance)
        return not isinstance(error, Exception) or is_the_programs(error)

    wrapper: Any = FunctionType(
        _compiled(source),
        {
            # pytest leaves frames out of its tracebacks whose globals say so; their variables may have been cleared.
            "__tracebackhide__": True,
            "__name__": __name__,
            "original": original,
            "patch": patch,
            "when": observer.when,
            "observe": observer.function,
            "end": _end,
            "is_the_programs": is_the_programs,
            "ends_the_call": ends_the_call,
            "probe": probe,
            "library": observer.library,
            "Call": Call,
            "Outcome": Outcome,
            "new": tuple.__new__,  # to make a NamedTuple by its name costs five times as much
            **{f"default_{i}": argument.default for i, argument in enumerate(observer.asks)},
        },
    )
    functools.update_wrapper(wrapper, original)
    if parameters is not _ANY:
        wrapper.__defaults__, wrapper.__kwdefaults__ = original.__defaults__, original.__kwdefaults__
    code = getattr(original, "__code__", None)
    if parameters is _ANY and (code is None or code.co_argcount):
        with suppress(TypeError, ValueError):  # some methods written in C have no signature
            # For inspect.getfullargspec(), which does not follow __wrapped__.
            wrapper.__signature__ = inspect.signature(original)
    return wrapper  # type: ignore[no-any-return]


def _first(observer: Any, parameters: _Parameters) -> str:
    """What is asked before it is told."""
    if observer.when is None:
        return "True"
    if isinstance(observer.when, str):
        return f"probe.{observer.when}"
    return f"when(probe, {parameters.instance}{', result' * (observer.way == 'after')})"


class _Parameters(NamedTuple):
    """The parameters of a method, as pieces of a program."""

    declared: str
    passed: str
    instance: str
    positional: str
    """What is passed by position, after the instance, each with a comma."""
    keywords: str
    condition: str = ""
    names: tuple[str, ...] = ()
    """Those that are passed by position, after the instance."""
    keyword_only: tuple[str, ...] = ()
    stars: str = "args[1:]"
    rest: str = "kwargs"

    def argument(self, name: str, position: int | None, default: str) -> str:
        """An expression for the argument of this name, or, where that has another name, at this position."""
        if name in self.names or name in self.keyword_only:
            return name
        if position is not None and position < len(self.names):
            return self.names[position]
        by_name = f"{self.rest}.get({name!r}, {default})" if self.rest else default
        if position is None or not self.stars:
            return by_name
        position -= len(self.names)
        return f"{self.stars}[{position}] if len({self.stars}) > {position} else {by_name}"


# To pass on so many keywords costs more than to pass on the few that a call has.
MANY = 3
# No observer asks for more arguments.
MOST_ASKED = 9

_ANY = _Parameters(
    "*args, **kwargs", "*args, **kwargs", "(args[0] if args else None)", "*args[1:],", "kwargs", " and args"
)


def _parameters(function: Any) -> _Parameters:
    """Those of a function in Python; of any other callable nothing is known."""
    if type(function) is not FunctionType:
        return _ANY
    code = function.__code__
    names = list(code.co_varnames)
    positional, names = names[: code.co_argcount], names[code.co_argcount :]
    keyword_only, names = names[: code.co_kwonlyargcount], names[code.co_kwonlyargcount :]
    stars = [f"*{names.pop(0)}"] if code.co_flags & inspect.CO_VARARGS else []
    rest = [f"**{names.pop(0)}"] if code.co_flags & inspect.CO_VARKEYWORDS else []
    parameters = code.co_varnames[: len(positional) + len(keyword_only) + len(stars) + len(rest)]
    if not positional or len(keyword_only) > MANY or not _taken().isdisjoint(parameters):
        return _ANY
    only = code.co_posonlyargcount
    return _Parameters(
        declared=", ".join(
            [
                *positional[:only],
                *(["/"] if only else []),
                *positional[only:],
                *(stars or (["*"] if keyword_only else [])),
                *keyword_only,
                *rest,
            ]
        ),
        passed=", ".join([*positional, *stars, *(f"{name}={name}" for name in keyword_only), *rest]),
        instance=positional[0],
        positional="".join(f"{name}," for name in (*positional[1:], *stars)),
        keywords="{" + ", ".join([*rest, *(f"{name!r}: {name}" for name in keyword_only)]) + "}"
        if keyword_only or not rest
        else rest[0][2:],
        names=tuple(positional[1:]),
        keyword_only=tuple(keyword_only),
        stars="".join(stars)[1:],
        rest="".join(rest)[2:],
    )


@functools.cache
def _compiled(source: str) -> CodeType:
    names: dict[str, Any] = {}
    exec(compile(source, WRAPPER, "exec", dont_inherit=True), names)  # noqa: S102  # made above, of nothing but names
    code: CodeType = names["told"].__code__
    return code


@functools.cache
def _taken() -> frozenset[str]:
    """The names that the wrappers use themselves."""
    own = "when len get " + " ".join(f"default_{i}" for i in range(MOST_ASKED))
    return frozenset(name for text in (*_WAYS.values(), own) for name in re.findall(r"\w+", text))


def _end(
    observation: Generator[None, Outcome, None] | None, outcome: Outcome, is_the_programs: Callable[[Exception], bool]
) -> None:
    if observation is not None:
        try:
            observation.send(outcome)
        except StopIteration:
            return
        except Exception as error:
            if is_the_programs(error):
                raise


def _is_the_programs(error: Exception) -> bool:
    """Whether the handler of a signal raised it, which runs wherever the signal strikes: a program's own time-out.

    Such a handler is known by having been given the frame that it interrupted.
    """
    step = error.__traceback__
    while step is not None and step.tb_next is not None:
        for value in step.tb_next.tb_frame.f_locals.values():
            if value is step.tb_frame or (type(value) is tuple and any(item is step.tb_frame for item in value)):
                return True
        step = step.tb_next
    return False
