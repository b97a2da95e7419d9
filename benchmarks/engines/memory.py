"""Memory of one more student, in a bank and in a single loop, each in a fresh process of its own.

    python -m benchmarks.engines.memory [--quick | --tiny] [--keep NAME]

The peak of resident memory while two epochs are trained, less what the process held once its problem was ready. The
kernel's high-water mark is set back in between, so that imports and the teacher do not count.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.common import facts, output
from benchmarks.common.facts import ROOT

CASES = {
    "tiny": (("mlp", 128, "loop", 1), ("mlp", 128, "bank", 4)),
    "quick": (("mlp", 0, "loop", 1), ("mlp", 0, "bank", 64), ("cnn28", 512, "loop", 1), ("cnn28", 512, "bank", 16)),
    "full": (
        ("mlp", 0, "loop", 1),
        ("mlp", 0, "bank", 64),
        ("cnn28", 1024, "loop", 1),
        ("cnn28", 1024, "bank", 16),
        ("resnet8x4", 128, "loop", 1),
        ("resnet8x4", 128, "bank", 4),
    ),
}


def measure(scale: str) -> dict[str, Any]:
    """MiB per lane of each case; `lane_memory_vs_loop` is the bank's over the loop's for the largest student."""
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="thermowell-bench-") as folder:
        for name in ("data", "store"):
            (Path(folder) / name).mkdir()
        for problem, images, engine, lanes in CASES[scale]:
            case = {"problem": problem, "images": images, "engine": engine, "lanes": lanes, "root": folder}
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.engines.memory", "--child", json.dumps(case)],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                check=True,
                capture_output=True,
                text=True,
            )
            case.pop("root")
            rows.append({**case, **json.loads(done.stdout.splitlines()[-1])})
    ratios = {
        bank["problem"]: bank["mib_per_lane"] / loop["mib_per_lane"] if loop["mib_per_lane"] else None
        for loop, bank in zip(rows[::2], rows[1::2], strict=True)
    }
    return {"cases": rows, "ratios": ratios, "lane_memory_vs_loop": ratios[rows[-1]["problem"]]}


def show(result: dict[str, Any]) -> None:
    """All cases as a table."""
    rows = [
        [
            f"{row['problem']}, {row['engine']}, K={row['lanes']}",
            f"{row['ready_mib']:.0f}",
            f"{row['peak_mib']:.0f}",
            f"{row['mib_per_lane']:.2f}",
        ]
        for row in result["cases"]
    ]
    output.table("Resident memory, MiB", ["", "ready", "peak", "per lane"], rows)
    for problem, ratio in result["ratios"].items():
        print(f"{problem}: a lane of the bank takes {output.times(ratio)} what a loop takes")


def child(case: dict[str, Any]) -> dict[str, float]:
    """Trains two epochs in this process and answers what it took."""
    from benchmarks.common.preparation import prepare
    from benchmarks.engines import problems
    from trainers import run
    from trainers.engines.forms import Form, open_form

    run.set_threads(1)
    root = Path(case["root"])
    roots = run.Roots(root / "data", root / "store")
    measured = problems.make(case["problem"], case["images"], roots)
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
    engine = open_form(prepared, Form(case["engine"], case["lanes"], threads=1))
    for lane in range(case["lanes"]):
        engine.admit(problems.assignment(lane, measured.mixed))
    engine.step_epoch()
    engine.step_epoch()
    peak = _status("VmHWM")
    return {"ready_mib": ready, "peak_mib": peak, "mib_per_lane": (peak - ready) / case["lanes"]}


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
    headline = {"benchmark": "memory", "lane_memory_vs_loop": result["lane_memory_vs_loop"], **about}
    output.conclude(given.keep, headline, result)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
