"""Why synchronous is FULL: what a power cut costs with it, and without.

    python -m experiments.power_cut [CUTS] [SEED]

A random history of creates, appends, snapshots, renames and deletes runs through SqlStore on a simulated disk
(``tests/store/disk.py``), the power is cut at random points, and what is left is opened and compared. NORMAL is what
``durability="process"`` means: it survives kill -9, not this. Either way the store is whole, only older: it is always
in the state after one of the operations, or the experiment stops with an error.

Measured (SQLite 3.54.1 wrote, 3.40.1 opened what was left; seed 7):

| durability | cuts | cuts that lost acknowledged operations | operations lost |
|---|---|---|---|
| disk (FULL) | 2000 | 0 | 0 |
| process (NORMAL) | 2000 | 1484 | 23760 |
"""

from __future__ import annotations

import sys
import time
from random import Random

from bokeh_server.store import Durability
from bokeh_server.store.sqlite import SYNCHRONOUS
from tests.store.power_cut import lost_operations


def row(durability: Durability, number: int, seed: int) -> str:
    begin = time.perf_counter()
    lost = list(lost_operations(number, durability, seed))
    each = 1_000 * (time.perf_counter() - begin) / number
    losing = sum(one > 0 for one in lost)
    return f"| {durability} ({SYNCHRONOUS[durability]}) | {number} | {losing} | {sum(lost)} | {each:.0f} |"


def main() -> None:
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else Random().randrange(2**32)
    print(f"seed {seed}\n")
    print("| durability | cuts | cuts that lost acknowledged operations | operations lost | ms a cut |")
    print("|---|---|---|---|---|")
    for durability in SYNCHRONOUS:
        print(row(durability, number, seed), flush=True)


if __name__ == "__main__":
    main()
