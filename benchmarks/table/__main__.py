"""`python -m benchmarks.table`: the whole table, made anew or from where it stopped."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.common import facts
from benchmarks.table import build
from benchmarks.table.contexts import Planned, planned, prepare_data
from trainers.replay.world import TABLES
from trainers.run import Roots

CACHE = Path(__file__).parents[1] / ".cache" / "table"


def main(arguments: Sequence[str] | None = None) -> int:
    """Trains what is missing of the contexts asked for, and writes a parquet file for each that is complete."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.table", description=main.__doc__)
    parser.add_argument("--only", help="names of contexts, with commas between them")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="that train at once, a thread each")
    parser.add_argument("--cache", type=Path, default=CACHE, help="where data, teachers and shards lie")
    parser.add_argument("--into", type=Path, default=TABLES, help="where the tables go")
    parser.add_argument("--tiny", action="store_true", help="two small contexts, for a look")
    given = parser.parse_args(arguments)
    chosen = [one for one in planned(given.tiny) if not given.only or one.name in given.only.split(",")]
    roots, shards = Roots(given.cache / "data", given.cache / "store"), given.cache / "shards"
    about = facts.gather()
    print(facts.in_words(about))
    prepare_data(roots, chosen)
    made = {}
    for one in chosen:
        begun = time.perf_counter()
        print(
            f"{one.name}: {len(one.grid.cells())} cells x {one.seeds} seeds, {len(build.work(one))} shards", flush=True
        )
        _together(one, roots, shards, given.processes)
        runs = build.assemble(one, roots, shards, about)
        path = build.write(runs, given.into)
        made[one.name] = {"seconds": round(time.perf_counter() - begun, 1), "bytes": path.stat().st_size}
        print(
            f"  {made[one.name]['seconds']:.0f} s; {path.stat().st_size / 2**20:.2f} MiB; "
            f"best raw mean {runs.accuracy.mean(1)[:, -1].max():.4f}, teacher {runs.context.teacher_accuracy:.4f}",
            flush=True,
        )
    print(json.dumps({"table": made, **about}))
    return 0


def _together(one: Planned, roots: Roots, shards: Path, processes: int) -> None:
    """Several processes at the same context, which is complete afterwards. RuntimeError where one fails."""
    context = multiprocessing.get_context("spawn")
    children = [
        context.Process(target=build.train_alone, args=(one, roots, shards), daemon=True) for _ in range(processes)
    ]
    for child in children:
        child.start()
    for child in children:
        child.join()
    if not build.complete(one, shards):
        raise RuntimeError(f"{one.name} is not complete: a process ended with {[child.exitcode for child in children]}")


if __name__ == "__main__":
    sys.exit(main())
