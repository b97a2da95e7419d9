"""Runs of several methods, paired by context and seed, in the benchmarks' world and on recorded students: made one by
one into a log that is gone on with, and compared with the first method's.
"""

from __future__ import annotations

import argparse
import functools
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path
from typing import Any

from benchmarks.common.repetitions import paired
from benchmarks.searching.cost.ground import TRY, Ground, open_ground
from trainers.replay.world import World, load

WORLDS = ("shared", "real")
"""The benchmarks' world; and recorded students, of which methods see two seeds and the truth is made of the others."""
Key = tuple[str, str, str, int]
"""A world, a context, a method and a run."""
Rows = dict[Key, dict[str, float]]
"""Measures of a world's context's run of a method."""
Compared = dict[str, dict[str, dict[str, Any]]]
"""By measure, method and context, what `compared` finds."""


def parser_of(description: str | None, runs: int, methods: str | None = None) -> argparse.ArgumentParser:
    """The options of such a benchmark: so many `runs` and all `methods` unless others are asked for."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0, help="begin nothing new after that")
    parser.add_argument("--runs", type=int, default=runs)
    parser.add_argument("--only", help="contexts that are searched, by commas")
    parser.add_argument("--methods", default=methods, help="by commas")
    parser.add_argument("--worlds", default=",".join(WORLDS), help="by commas")
    parser.add_argument("--log", type=Path, help="a file of rows, which is gone on with")
    parser.add_argument("--tiny", action="store_true", help="two short runs on a world from a formula")
    parser.add_argument("--keep", metavar="NAME", help="write results/NAME.json")
    return parser


@contextmanager
def log_of(path: Path | None) -> Iterator[Path]:
    """The log that was asked for, or one that is gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        yield path or Path(folder) / "rows.jsonl"


def split(name: str, run: int) -> Ground:
    """Recorded students of two seeds, judged by the others: another pair of them in each run."""
    if name == TRY:
        return Ground(World(open_ground(TRY).world.runs, held_out=(0, 1)), real=(0, 1))
    count = load(name).runs.seeds
    return _split(name, list(combinations(range(count), 2))[run % (count * (count - 1) // 2)])


@functools.lru_cache(64)
def _split(name: str, seen: tuple[int, int]) -> Ground:
    return Ground(load(name, held_out=seen), real=seen)


def read(log: Path) -> Rows:
    """The rows of a log; none where there is no file."""
    if not log.is_file():
        return {}
    rows = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    return {(row["world"], row["context"], row["method"], row["run"]): row["measures"] for row in rows}


def make(
    keys: Iterable[Key], measure: Callable[[Ground, str, str, int], dict[str, float]], minutes: float, log: Path
) -> Rows:
    """All rows of the log, with those of `keys` that it lacked, until the time is up. `measure` is given a ground, its
    context, the method and the run.
    """
    end, made = time.monotonic() + 60 * minutes, read(log)
    with log.open("a", encoding="utf-8") as file:
        for key in keys:
            world, name, method, run = key
            if time.monotonic() > end:
                break
            if key not in made:
                ground = split(name, run) if world == "real" else open_ground(name)
                made[key] = measure(ground, name, method, run)
                row = {"world": world, "context": name, "method": method, "run": run, "measures": made[key]}
                file.write(json.dumps(row) + "\n")
                file.flush()
    return made


def compared(rows: Rows, world: str, context: str, method: str, measure: str, beside: str) -> dict[str, float] | None:
    """The mean of a measure, by how much it is more than that of the method `beside` in the same runs, with a 95 % t
    interval and a standard error; None with fewer than two pairs.
    """
    runs = sorted(run for (*where, run) in rows if where == [world, context, method])
    pairs = [(rows[world, context, method, run], rows.get((world, context, beside, run), {})) for run in runs]
    both = [(own[measure], base[measure]) for own, base in pairs if measure in own and measure in base]
    if len(both) < 2:
        return None
    own, base = zip(*both, strict=True)
    off = paired(own, base)
    ends = {"low": off.low, "high": off.high}
    return {
        "mean": statistics.fmean(own),
        "off": off.mean,
        **ends,
        "error": off.deviation / off.pairs**0.5,
        "pairs": off.pairs,
    }


def summarised(rows: Rows, world: str, contexts: Sequence[str], methods: Sequence[str]) -> Compared:
    """Of one world all comparisons with the first of the methods; nothing where there are none."""
    found: Compared = {}
    for measure in dict.fromkeys(name for row in rows.values() for name in row):
        for method in methods:
            parts = {name: compared(rows, world, name, method, measure, methods[0]) for name in contexts}
            if any(parts.values()):
                found.setdefault(measure, {})[method] = {name: part for name, part in parts.items() if part}
    return found


def over_contexts(by_context: Compared) -> dict[str, dict[str, dict[str, float] | None]]:
    """By measure and method, what `pool` makes of the contexts."""
    return {
        measure: {name: pool([*parts.values()]) for name, parts in of.items()} for measure, of in by_context.items()
    }


def pool(found: Sequence[Mapping[str, float] | None]) -> dict[str, float] | None:
    """Over contexts, each as much as another: the mean, by how much it is more, and two standard errors around that."""
    parts = [part for part in found if part is not None]
    if not parts:
        return None
    error = sum(part["error"] ** 2 for part in parts) ** 0.5 / len(parts)
    means = {key: statistics.fmean(part[key] for part in parts) for key in ("mean", "off")}
    pairs = sum(part["pairs"] for part in parts)
    return {**means, "low": means["off"] - 2 * error, "high": means["off"] + 2 * error, "pairs": pairs}


def words(part: Mapping[str, Any] | None) -> str:
    """A mean, and by how much it is more, from and to."""
    return "-" if part is None else f"{part['mean']:.2f} {part['off']:+.2f} ({part['low']:+.2f} {part['high']:+.2f})"
