"""Images trained per second, all students together: one loop, loops, banks, and the peers.

    python -m benchmarks.engines.throughput [--quick | --tiny] [--only mlp,cnn8,...] [--keep NAME]

The last line is one JSON object with the ratios; the file that is kept has every turn beside.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import facts, needs, output
from benchmarks.common.peers import PeerMissing
from benchmarks.common.preparation import prepare
from benchmarks.engines import forms, job, limits, memory, problems
from benchmarks.engines.forms import Form
from benchmarks.engines.turns import Racer, SideFailed, race, started
from trainers import run

GOALS = {
    "mlp_vs_loop": 25.0,
    "mlp_vs_processes": 12.0,
    "cnn8_vs_loop": 4.0,
    "cnn28_vs_loop": 4.0,
    "resnet8x4_vs_torchdistill": 6.5,
}


@dataclass(frozen=True, slots=True)
class Scale:
    """How long and how much is measured: rounds, seconds of a turn, training images (0: all) of each problem."""

    name: str
    rounds: int
    seconds: float
    images: dict[str, int]


FULL = Scale("full", 5, 2.0, {"mlp": 0, "cnn8": 0, "cnn28": 1024, "resnet8x4": 128})
QUICK = Scale("quick", 3, 1.0, {"mlp": 0, "cnn8": 0, "cnn28": 512, "resnet8x4": 64})
TINY = Scale("tiny", 2, 0.01, {"mlp": 128})


def measure(name: str, scale: Scale, root: Path) -> dict[str, Any]:
    """One problem in all its forms: each form's turns, the ratios, and, if a goal is missed, a profile of the best."""
    images = scale.images[name]
    chosen = forms.tiny(name) if scale is TINY else forms.of(name, scale is QUICK, torch.cuda.is_available())
    roots = run.Roots(root / "data", root / "store")
    measured = problems.make(name, images, roots)
    begun = time.perf_counter()
    teaching = prepare(measured.problem, roots)  # so that no side trains the teacher within its own time
    prepare_s = time.perf_counter() - begun
    racers: list[tuple[Form, Racer]] = []
    failed: list[dict[str, str]] = []
    with contextlib.ExitStack() as running:
        log = functools.partial(tempfile.TemporaryFile, "w+")
        for form in chosen:
            try:
                racers.append((form, running.enter_context(started(forms.side(form, name, images, root), log))))
            except (SideFailed, PeerMissing) as error:
                failed.append({"side": form.name, "reason": str(error)})
        race([racer for _, racer in racers], scale.rounds, scale.seconds)
        rows = [{"kind": form.kind, "lanes": form.lanes, **racer.summary()} for form, racer in racers]
        ratios = compare(name, rows)
        missed = any(value is not None and value < GOALS.get(key, 0.0) for key, value in ratios.items())
        profiles = {racer.side.name: racer.profile() for racer in best_of(racers, rows)} if missed else {}
    price = limits.cost(
        measured.problem.student,
        teaching.channels,
        teaching.size,
        teaching.classes,
        measured.problem.training.batch_size,
    )
    return {
        "problem": name,
        "words": measured.words,
        "train_images": len(teaching.train_labels),
        "views": measured.problem.views,
        "prepare_s": prepare_s,
        "sides": rows,
        "failed": failed,
        "ratios": ratios,
        "best": max((row for row in rows if row["kind"] != "peer"), key=_rate)["side"],
        "cost": dataclasses.asdict(price),
        "profiles": profiles,
    }


def best_of(racers: Sequence[tuple[Form, Racer]], rows: Sequence[dict[str, Any]]) -> list[Racer]:
    """The fastest form of ours, and the fastest bank where that is another; not the engine that has children, whose
    work is not done in the process that can be looked at.
    """
    ours = [
        (_rate(row), form, racer)
        for (form, racer), row in zip(racers, rows, strict=True)
        if form.kind != "peer" and form.engine != "processes"
    ]
    ours.sort(key=lambda one: -one[0])
    banks = [racer for _, form, racer in ours if form.engine == "bank"]
    return list(dict.fromkeys([racer for _, _, racer in ours[:1]] + banks[:1]))


def _rate(row: dict[str, Any]) -> float:
    return float(row["images_per_s"])


def compare(name: str, rows: Sequence[dict[str, Any]]) -> dict[str, float | None]:
    """The best form of ours over the faster of the eager loops in one process, over the loops, and over each peer."""
    ours = max(row["images_per_s"] for row in rows if row["kind"] != "peer")

    def over(kind: str, side: str = "") -> float | None:
        against = [row["images_per_s"] for row in rows if row["kind"] == kind and row["side"].startswith(side)]
        return ours / max(against) if against else None

    ratios = {f"{name}_vs_loop": over("loop"), f"{name}_vs_processes": over("loops")}
    for peer in ("torchdistill", "mdistiller", "repdistiller") if name == "resnet8x4" else ():
        # as they ship: one process; a process for each core is in the table
        single = [r for r in rows if r["kind"] == "peer" and r["side"].startswith(peer) and "procs" not in r["side"]]
        ratios[f"{name}_vs_{peer}"] = ours / single[0]["images_per_s"] if single else None
    return ratios


def show(result: dict[str, Any], machine: limits.Limits) -> None:
    """One problem's tables."""
    rows = output.race(result, machine.product, machine.copy)
    title = f"{result['words']}: student images trained per second, {result['train_images']} images"
    output.table(title, ["side", "images/s", "spread", "/loop", "compile", "flops", "bytes"], rows)
    for one in result["failed"]:
        print(f"{one['side']}: did not run: {one['reason'].strip().splitlines()[-1][:60]}")
    for side, operators in result["profiles"].items():
        rows = [[one["operator"][:50], f"{100 * one['share']:.0f} %", str(one["calls"])] for one in operators]
        output.table(f"A goal is missed; where an epoch's time goes: {side}", ["operator", "share", "calls"], rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures everything that is asked for; prints tables and one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engines.throughput")
    parser.add_argument("--quick", action="store_true", help="under 5 minutes instead of under 30")
    parser.add_argument("--tiny", action="store_true", help="a try that ends within seconds")
    parser.add_argument("--only", help="names of problems, with commas between them; also `memory` and `search`")
    parser.add_argument("--keep", metavar="NAME", help="write results/NAME.json too")
    given = parser.parse_args(arguments)
    scale = TINY if given.tiny else QUICK if given.quick else FULL
    wanted = given.only.split(",") if given.only else [*scale.images, "memory", "search"]
    started_at = time.perf_counter()
    about = facts.gather()
    print(facts.in_words(about))
    ratios: dict[str, float | None] = {}
    with tempfile.TemporaryDirectory(prefix="thermowell-bench-") as folder:
        for name in ("data", "store"):
            (Path(folder) / name).mkdir()
        needs.data_sets((problems.DATA[name] for name in wanted if name in scale.images), Path(folder) / "data")
        machine = limits.measure(0.05 if scale is TINY else 1.0)
        show_limits(machine)
        details: dict[str, Any] = {"limits": dataclasses.asdict(machine), "problems": []}
        for name in [name for name in wanted if name in scale.images]:
            result = measure(name, scale, Path(folder))
            show(result, machine)
            details["problems"].append(result)
            ratios |= result["ratios"]
    if "memory" in wanted:
        details["memory"] = memory.measure(scale.name)
        memory.show(details["memory"])
        ratios |= memory.headline(details["memory"])
    if "search" in wanted:
        details["search"] = job.measure(scale.name)
        job.show(details["search"])
        ratios |= {name: details["search"][name] for name in ("search_vs_loop", "search_vs_loop_warm")}
    show_goals(ratios)
    headline = {
        "benchmark": "throughput",
        "scale": scale.name,
        **{key: None if value is None else round(value, 3) for key, value in ratios.items()},
        **about,
        "minutes": round((time.perf_counter() - started_at) / 60, 1),
    }
    output.conclude(given.keep, headline, details)
    return 0


def show_limits(machine: limits.Limits) -> None:
    """What the machine can do at most."""
    rows = [
        ["one large product, fp32", f"{machine.product / 1e9:.1f} GFLOP/s"],
        ["64 products of 64 x 64 x 64", f"{machine.small_products / 1e9:.1f} GFLOP/s"],
        ["3x3 convolution, 64 to 64 channels, 32x32", f"{machine.convolution / 1e9:.1f} GFLOP/s"],
        ["copy beyond the caches", f"{machine.copy / 1e9:.1f} GB/s"],
    ]
    output.table(f"This machine's limits, {torch.get_num_threads()} threads", ["", "measured"], rows)


def show_goals(ratios: dict[str, float | None]) -> None:
    """The ratios and what was hoped for."""
    rows = [
        [key, output.times(value), output.times(GOALS.get(key)), _verdict(value, GOALS.get(key))]
        for key, value in ratios.items()
    ]
    output.table("The best form of ours over what it is compared with", ["", "measured", "goal", ""], rows)


def _verdict(value: float | None, goal: float | None) -> str:
    if value is None or goal is None:
        return ""
    return "reached" if value >= goal else "missed"


if __name__ == "__main__":
    raise SystemExit(main())
