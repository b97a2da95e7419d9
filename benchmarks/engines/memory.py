"""Memory of one more student, in a bank and in a single loop, each in a fresh process of its own.

    python -m benchmarks.engines.memory [--quick | --tiny] [--keep NAME]

The peak of resident memory while two epochs are trained, less what the process held once its problem was ready. The
kernel's high-water mark is set back in between, so that imports and the teacher do not count. `mib_per_lane` is all of
that by the number of lanes, what a bank takes however many they are included; `mib_of_one_more` is the slope between
two numbers of lanes, without it.
"""

from __future__ import annotations

import argparse
import ctypes
import dataclasses
import gc
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.common import facts, output
from benchmarks.common.facts import ROOT
from trainers.engines.forms import EngineName, Form

GOAL = 3.0
"""Times a loop's memory that a lane may take, at most."""


@dataclass(frozen=True, slots=True)
class Case:
    """A problem with so many training images (0: all there are), and the engine that trains it."""

    problem: str
    images: int
    engine: EngineName
    lanes: int
    batched: bool = False
    compiled: bool = False

    @property
    def form(self) -> Form:
        """The engine, on one thread."""
        return Form(self.engine, self.lanes, threads=1, compiled=self.compiled, batched=self.batched)


def _banks(problem: str, images: int, lanes: tuple[int, int], **kind: bool) -> tuple[Case, ...]:
    return tuple(Case(problem, images, "bank", count, **kind) for count in lanes)


_MLP = (
    Case("mlp", 0, "loop", 1),
    *_banks("mlp", 0, (16, 64)),
    *_banks("mlp", 0, (16, 64), batched=True),
)
CASES = {
    "tiny": (Case("mlp", 128, "loop", 1), *_banks("mlp", 128, (2, 4), batched=True)),
    "quick": (*_MLP, Case("cnn28", 512, "loop", 1), *_banks("cnn28", 512, (4, 16))),
    "full": (
        *_MLP,
        *_banks("mlp", 0, (16, 64), compiled=True),
        Case("cnn28", 1024, "loop", 1),
        *_banks("cnn28", 1024, (4, 16)),
        Case("resnet8x4", 128, "loop", 1),
        *_banks("resnet8x4", 128, (2, 4)),
    ),
}
"""Of each form the case with fewer lanes comes first, the largest student last."""


def measure(scale: str) -> dict[str, Any]:
    """MiB of each case, and what they come to (`compare`)."""
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="thermowell-bench-") as folder:
        for name in ("data", "store"):
            (Path(folder) / name).mkdir()
        for case in CASES[scale]:
            options = json.dumps({**dataclasses.asdict(case), "root": folder})
            process = subprocess.run(
                [sys.executable, "-m", "benchmarks.engines.memory", "--child", options],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT), "TORCHINDUCTOR_CACHE_DIR": f"{folder}/{case.lanes}"},
                check=True,
                capture_output=True,
                text=True,
            )
            rows.append({**dataclasses.asdict(case), **json.loads(process.stdout.splitlines()[-1])})
    return compare(rows)


def compare(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The cases, each with `mib_of_one_more` where one of fewer lanes came before; and for each student the bank's MiB
    over the loop's, of the form that takes most: `ratios` by all that lanes share, `one_more` by the slope. A bank that
    is compiled stands apart: the compiler takes the same however many lanes there are. `lane_memory_vs_loop` is the
    ratio of the largest student.
    """
    cases = [{**row, "mib_of_one_more": _slope(row, rows)} for row in rows]
    loops = {case["problem"]: case["mib_per_lane"] for case in cases if case["engine"] == "loop"}
    banks: dict[str, list[dict[str, Any]]] = {}
    for case in cases:
        if case["mib_of_one_more"] is not None:
            banks.setdefault(f"{case['problem']}_compiled" if case["compiled"] else case["problem"], []).append(case)

    def over_loop(key: str) -> dict[str, float | None]:
        most = {name: max(forms, key=lambda form: form[key]) for name, forms in banks.items()}
        return {
            name: form[key] / loops[form["problem"]] if loops[form["problem"]] else None for name, form in most.items()
        }

    ratios = over_loop("mib_per_lane")
    return {
        "cases": cases,
        "ratios": ratios,
        "one_more": over_loop("mib_of_one_more"),
        "lane_memory_vs_loop": ratios[cases[-1]["problem"]],
    }


def _slope(row: Mapping[str, Any], rows: Iterable[Mapping[str, Any]]) -> float | None:
    """MiB of one more lane than in the case of the same form with fewer; None where there is none."""
    form = "problem", "engine", "batched", "compiled"
    for fewer in rows:
        if fewer["lanes"] < row["lanes"] and all(fewer[key] == row[key] for key in form):
            return float((_above(row) - _above(fewer)) / (row["lanes"] - fewer["lanes"]))
    return None


def _above(row: Mapping[str, Any]) -> float:
    return float(row["peak_mib"] - row["ready_mib"])


def headline(result: Mapping[str, Any]) -> dict[str, float | None]:
    """The ratios of all students under names of their own."""
    return {
        "lane_memory_vs_loop": result["lane_memory_vs_loop"],
        **{f"{name}_lane_memory_vs_loop": ratio for name, ratio in result["ratios"].items()},
        **{f"{name}_one_more_vs_loop": ratio for name, ratio in result["one_more"].items()},
    }


def show(result: dict[str, Any]) -> None:
    """All cases as a table."""
    rows = [
        [
            f"{row['problem']}, {output.engine(row)}, K={row['lanes']}",
            f"{row['ready_mib']:.0f}",
            f"{row['peak_mib']:.0f}",
            f"{row['mib_per_lane']:.2f}",
            output.mib(row["mib_of_one_more"]),
        ]
        for row in result["cases"]
    ]
    output.table("Resident memory, MiB", ["", "ready", "peak", "per lane", "one more"], rows)
    for name, ratio in result["ratios"].items():
        more, met = output.times(result["one_more"][name]), ratio is None or ratio <= GOAL
        print(
            f"{name}: a lane takes {output.times(ratio)} a loop's, one more {more}; "
            f"at most {output.times(GOAL)}: {'met' if met else 'missed'}"
        )


def child(options: dict[str, Any]) -> dict[str, float]:
    """Trains two epochs of a case in this process, its files below `root`, and answers what it took."""
    from benchmarks.common.preparation import prepare
    from benchmarks.engines import problems
    from trainers import run
    from trainers.engines.forms import open_form

    run.set_threads(1)
    root, case = Path(options.pop("root")), Case(**options)
    roots = run.Roots(root / "data", root / "store")
    measured = problems.make(case.problem, case.images, roots)
    prepared = prepare(measured.problem, roots, "cpu")
    # one student of the plain kind first: what torch loads when it trains for the first time is nobody's lane
    first = open_form(prepared, Form("loop", 1, threads=1))
    first.admit(problems.assignment(0, measured.mixed))
    first.step_epoch()
    del first
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # what it left is given back, lest the lanes use it for nothing
    Path("/proc/self/clear_refs").write_text("5")  # sets the high-water mark back to what is resident now
    ready = _status("VmRSS")
    engine = open_form(prepared, case.form)
    for lane in range(case.lanes):
        engine.admit(problems.assignment(lane, measured.mixed))
    engine.step_epoch()
    engine.step_epoch()
    peak = _status("VmHWM")
    return {"ready_mib": ready, "peak_mib": peak, "mib_per_lane": (peak - ready) / case.lanes}


def _status(key: str) -> float:
    """A line of Linux's account of this process, in MiB."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(f"{key}:"))
    return int(line.split()[1]) / 1024


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures all cases of the scale that is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engines.memory")
    parser.add_argument("--quick", action="store_true", help="without the residual network")
    parser.add_argument("--tiny", action="store_true", help="a try that ends within seconds")
    parser.add_argument("--keep", metavar="NAME", help="write results/NAME.json too")
    parser.add_argument("--child", metavar="JSON", help="one case, in this process")
    given = parser.parse_args(arguments)
    if given.child:
        print(json.dumps(child(json.loads(given.child))))
        return 0
    about = facts.gather()
    print(facts.in_words(about))
    result = measure("tiny" if given.tiny else "quick" if given.quick else "full")
    show(result)
    output.conclude(given.keep, {"benchmark": "memory", **headline(result), **about}, result)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
