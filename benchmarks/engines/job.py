"""Duration of a whole search, from the submitted spec to the stored answer, with the engine that the worker chooses and
with the plain loop.

    python -m benchmarks.engines.job [--quick | --tiny] [--keep NAME]

The job is `make demo`'s, examples/digits.yaml, with two settings changed so that every side trains the very same
trials: the random sampler, whose configurations depend on a trial's number alone, and no pruner. Time runs from the
worker's start to its end, imports, teacher, choice of engine, compilation, confirmation and analysis included.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from benchmarks.common import facts, output
from benchmarks.common.facts import ROOT
from benchmarks.common.repetitions import median, spread
from search.records import Principal
from search.requests import jobs as job_requests
from search.requests.jobs import get_job
from search.requests.results import get_result
from search.schema import migrate
from search.spec.job import JobSpec
from search.states import JobState
from search.storage.db import open_database

CORES = os.cpu_count() or 1
SPEC = ROOT / "examples" / "digits.yaml"
ME = Principal("local", "local", frozenset({"read", "submit"}))
SIDES: tuple[tuple[str, str, int, int | None], ...] = (
    # name, engine, workers, threads of each (None: as the worker decides)
    ("plain loop, one worker", "loop", 1, 1),
    ("as chosen, one worker", "auto", 1, None),
    ("plain loop, a worker for each core", "loop", CORES, 1),
)
SMALL = {"budget": {"trials": 16}, "training": {"epochs": 10, "batch_size": 64}}
SMALL_CONFIRMATION = {"finalists": 2, "select_seeds": 1, "estimate_seeds": 3}
ROUNDS = {"full": 2, "quick": 1, "tiny": 1}


def document(scale: str) -> dict[str, Any]:
    """The spec that is run."""
    spec: dict[str, Any] = yaml.safe_load(SPEC.read_text())
    spec |= {"sampler": {"name": "random"}, "pruner": {"name": "none"}, "seed": 7}
    if scale != "full":
        spec |= {**SMALL, "confirmation": SMALL_CONFIRMATION}
    if scale == "tiny":
        spec |= {"budget": {"trials": 4}, "training": {"epochs": 2, "batch_size": 64}}
        spec["teacher"]["training"]["epochs"] = 1
    return spec


def once(spec: dict[str, Any], engine: str, workers: int, threads: int | None) -> dict[str, Any]:
    """One whole job in a fresh folder: its seconds, and what was trained, so that sides can be seen to be alike."""
    with tempfile.TemporaryDirectory(prefix="thermowell-bench-") as folder:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("THERMOWELL_")}
        environment |= {"THERMOWELL_VAR": folder, "THERMOWELL_ENGINE": engine, "THERMOWELL_POLL_SECONDS": "0.2"}
        if threads is not None:
            environment["THERMOWELL_THREADS"] = str(threads)
        # compilation is paid for in every run: a user's first job has nothing to reuse
        environment |= {"TORCHINDUCTOR_CACHE_DIR": f"{folder}/compiled", "PYTHONPATH": str(ROOT)}
        database = open_database(f"sqlite:///{folder}/thermowell.db")
        try:
            migrate(database)
            job, _ = job_requests.submit(database, JobSpec.model_validate(spec), ME)
            begun = time.perf_counter()
            command = [sys.executable, "-m", "search.worker", "--exit-when-idle"]
            log = Path(folder) / "worker.log"
            with log.open("w") as sink:
                running = [
                    subprocess.Popen(command, cwd=ROOT, env=environment, stdout=sink, stderr=subprocess.STDOUT)
                    for _ in range(workers)
                ]
                try:
                    codes = [one.wait() for one in running]
                finally:
                    for one in running:
                        one.kill()
            seconds = time.perf_counter() - begun
            ended = get_job(database, job.id, ME)
            if any(codes) or ended.state is not JobState.COMPLETED:
                raise RuntimeError(f"the job ended as {ended.state}:\n{log.read_text()[-2000:]}")
            return {
                "seconds": seconds,
                "trials": ended.progress.trials_done,
                "epochs": ended.progress.epochs_done,
                "answer": get_result(database, job.id, ME).summary,
                "log": [line for line in log.read_text().splitlines() if "engine chosen" in line],
            }
        finally:
            database.close()


def measure(scale: str) -> dict[str, Any]:
    """All sides in turn, so many rounds; `search_vs_loop` is the plain loop's time over that of the chosen engine."""
    spec = document(scale)
    sides = SIDES[:2] if scale != "full" else SIDES
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name, *_ in sides}
    for number in range(ROUNDS[scale]):
        for name, engine, workers, threads in sides if number % 2 == 0 else reversed(sides):
            if number > 0 and workers > 1:  # beside the point: once is enough
                continue
            runs[name].append(once(spec, engine, workers, threads))
    work = {(run["trials"], run["epochs"]) for turns in runs.values() for run in turns}
    medians = {name: median([run["seconds"] for run in turns]) for name, turns in runs.items()}
    loop, chosen = (medians[sides[i][0]] for i in (0, 1))
    return {"search_vs_loop": loop / chosen, "same_work": len(work) == 1, "median_s": medians, "runs": runs}


def show(result: dict[str, Any]) -> None:
    """All sides as a table."""
    rows = []
    for name, runs in result["runs"].items():
        seconds = [run["seconds"] for run in runs]
        trained = f"{runs[0]['trials']} / {runs[0]['epochs']}"
        rows.append([name, f"{median(seconds):.0f} s", f"{100 * spread(seconds):.0f} %", trained])
    output.table("A whole search, from the spec to the answer", ["", "wall-clock", "spread", "trials / epochs"], rows)
    if not result["same_work"]:
        print("The sides did not train the same number of epochs: diverged students end early. See the details.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the searches of the scale that is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engines.job")
    parser.add_argument("--quick", action="store_true", help="16 trials of 10 epochs instead of 64 of 30")
    parser.add_argument("--tiny", action="store_true", help="4 trials of 2 epochs")
    parser.add_argument("--keep", metavar="NAME", help="write results/NAME.json too")
    given = parser.parse_args(arguments)
    about = facts.gather()
    print(facts.in_words(about))
    result = measure("tiny" if given.tiny else "quick" if given.quick else "full")
    show(result)
    ratio = round(result["search_vs_loop"], 3)
    output.conclude(
        given.keep,
        {"benchmark": "search_time", "search_vs_loop": ratio, "same_work": result["same_work"], **about},
        result,
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
