"""What a type checker must refuse: were a name of type Any, the comment on its line would be reported as needless."""

from __future__ import annotations

import pytest_connleak
from pytest_connleak import ConnectionLeakError, Connleak, Entry, PytestConnectionLeakWarning, watch

print(pytest_connleak.no_such_name)  # type: ignore[attr-defined]  # pyright: ignore

with watch() as leaks:
    pass
first: int = leaks[0]  # type: ignore[assignment]  # pyright: ignore
leaks.append(first)  # type: ignore[attr-defined]  # pyright: ignore
watch(1)  # type: ignore[call-arg]  # pyright: ignore


def uses(connleak: Connleak, entry: Entry, error: ConnectionLeakError, warning: PytestConnectionLeakWarning) -> None:
    connleak.ignore("unclosed-pool")  # type: ignore[call-arg]  # pyright: ignore
    connleak.ignore(1, reason="")  # type: ignore[arg-type]  # pyright: ignore
    line: int = entry.line  # type: ignore[assignment]  # pyright: ignore
    entry.line = line  # type: ignore[misc]  # pyright: ignore
    print(error.findings[0].kinds)  # type: ignore[attr-defined]  # pyright: ignore
    print(warning.findings)  # type: ignore[attr-defined]  # pyright: ignore
