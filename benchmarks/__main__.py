"""Prints a table of what the plugin costs: ``python -m benchmarks [instructions | times | memory | peers]``."""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Callable, Iterator

from . import crowds, holder_search, leaks, memory, peers, per_call, per_test
from .measure import Row

GROUPS: dict[str, list[Callable[[], Iterator[Row]]]] = {
    "instructions": [per_test.counted, per_call.counted],
    "times": [per_test.timed, leaks.timed, crowds.timed, holder_search.timed],
    "memory": [memory.measured],
    "peers": [peers.timed],
}


def main() -> int:
    """Print the rows as they come; with ``--check`` fail if one is a quarter worse than it should be."""
    parser = argparse.ArgumentParser("benchmarks", description=__doc__)
    parser.add_argument("groups", nargs="*", choices=[*GROUPS, []], default=[], help="all of them if none is named")
    parser.add_argument("--check", action="store_true", help="fail if something costs a quarter more than it should")
    arguments = parser.parse_args()
    worse = []
    print("| what | without | with | | times | at most |\n|---|---|---|---|---|---|")
    for measured in itertools.chain.from_iterable(GROUPS[name] for name in arguments.groups or GROUPS):
        for row in measured():
            target = f"{row.target:.3f}{'' if row.met else ': missed'}" if row.target else ""
            print(
                f"| {row.what} | {row.off:,.2f} | {row.on:,.2f} | {row.unit} | {row.ratio:.3f} | {target} |", flush=True
            )
            if row.has_worsened:
                worse.append(row.what)
    if arguments.check and worse:
        print(f"worse than before: {', '.join(worse)}", file=sys.stderr)
        return 1
    return 0


sys.exit(main())
