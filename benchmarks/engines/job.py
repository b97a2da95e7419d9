"""Share of a bank's speed that is left to a whole search, and what its worker does second by second.

    python -m benchmarks.engines.job [--quick | --tiny] [--keep NAME]

A fixed list of configurations is trained: the random sampler's of examples/digits.yaml, which depend on a trial's
number alone, without a pruner, its teacher ready. It runs with the plain loop, with the engine that the worker chooses
on a machine that has never trained such a student (nothing measured, nothing compiled), and on one that has. What
counts is the time from the worker's readiness to the end of the list's last training; the rest is fixed.
`answer_seconds` is that of `thermowell demo`, from its command to its answer.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from benchmarks.common import facts, output
from benchmarks.common.facts import ROOT
from benchmarks.common.repetitions import median, spread
from benchmarks.engines import timeline
from search.records import Principal
from search.requests import jobs as job_requests
from search.requests.jobs import get_job
from search.requests.results import get_result
from search.schema import migrate
from search.spec.job import JobSpec
from search.states import JobState
from search.storage.db import open_database

SPEC = ROOT / "examples" / "digits.yaml"
ME = Principal("local", "local", frozenset({"read", "submit"}))
LIST = 197
SHORT = {"full": (LIST, 30), "quick": (LIST, 10), "tiny": (4, 2)}
"""How many configurations are trained for how many epochs."""
ROUNDS = {"full": 3, "quick": 1, "tiny": 1}
GOALS = {"search_vs_loop": 6.0, "search_vs_loop_warm": 10.0}
MOST = {"fixed_seconds": 6.0, "answer_seconds": 45.0}
LOOP, COLD, WARM = "plain loop", "as chosen, cold", "as chosen, warm"


@dataclass(frozen=True, slots=True)
class Place:
    """What a machine has kept of earlier jobs: files below the artifact root, and compiled programs."""

    artifacts: Path
    compiled: Path

    @classmethod
    def below(cls, folder: Path) -> Place:
        """The places below a worker's folder."""
        return cls(folder / "artifacts", folder / "compiled")

    def teachers(self) -> set[str]:
        """The teachers that are ready, by their fingerprints."""
        return {path.name for path in (self.artifacts / "teachers").iterdir()}

    def copy_to(self, folder: Path) -> None:
        """Puts a copy where a worker with that folder looks."""
        there = Place.below(folder)
        for source, target in ((self.artifacts, there.artifacts), (self.compiled, there.compiled)):
            if source.is_dir():
                shutil.copytree(source, target, dirs_exist_ok=True)


def document(scale: str) -> dict[str, Any]:
    """The spec of the list: the demo's, its search of so many random configurations, and the least that follows."""
    trials, epochs = SHORT[scale]
    spec: dict[str, Any] = yaml.safe_load(SPEC.read_text())
    spec |= {
        "sampler": {"name": "random"},
        "pruner": {"name": "none"},
        "seed": 7,
        "budget": {"trials": trials},
        "baselines": {"share": 0},
        "training": {"epochs": epochs, "batch_size": 64},
        "confirmation": {"finalists": 1, "select_seeds": 1, "estimate_seeds": 2},
    }
    if scale == "tiny":
        spec["teacher"]["training"]["epochs"] = 1
    return spec


def of_teacher(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The least job that makes the same teacher ready: of as many epochs, on which the number of views depends."""
    return {**spec, "budget": {"trials": 1}}


def once(spec: Mapping[str, Any], engine: str, folder: Path) -> dict[str, Any]:
    """One whole job with a worker in that folder: when what was reached, and what was trained, so that sides can be
    seen to be alike. RuntimeError where it does not end well.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("THERMOWELL_")}
    environment |= {"THERMOWELL_VAR": str(folder), "THERMOWELL_ENGINE": engine, "THERMOWELL_POLL_SECONDS": "0.2"}
    environment |= {"TORCHINDUCTOR_CACHE_DIR": str(Place.below(folder).compiled), "PYTHONPATH": str(ROOT)}
    if engine == "loop":
        environment["THERMOWELL_THREADS"] = "1"
    seen, log = folder / "timeline.json", folder / "worker.log"
    database = open_database(f"sqlite:///{folder}/thermowell.db")
    try:
        migrate(database)
        job, _ = job_requests.submit(database, JobSpec.model_validate(spec), ME)
        command = [sys.executable, "-m", "benchmarks.engines.timeline", str(seen), "search.worker", "--exit-when-idle"]
        begun = time.time()
        with log.open("w") as sink:
            code = subprocess.run(command, cwd=ROOT, env=environment, stdout=sink, stderr=sink, check=False).returncode
        ended = get_job(database, job.id, ME)
        if code or ended.state is not JobState.COMPLETED:
            raise RuntimeError(f"the job ended as {ended.state}:\n{log.read_text()[-2000:]}")
        return {
            **_moments(log.read_text(), spec["budget"]["trials"], begun),
            "epochs": ended.progress.epochs_done,
            "answer": get_result(database, job.id, ME).summary,
            "timeline": json.loads(seen.read_text()),
        }
    finally:
        database.close()


def _moments(log: str, trials: int, begun: float) -> dict[str, Any]:
    """When the worker was ready, the list was trained and the job answered, in seconds since `begun`, by its log."""
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]

    def at(event: str, number: int = 0) -> float:
        times = [line["timestamp"] for line in lines if line["event"] == event]
        return datetime.fromisoformat(times[number]).timestamp() - begun

    ready, trained, answered = at("worker started"), at("trial ended", trials - 1), at("job completed")
    chosen = next((line["reason"] for line in lines if line["event"] == "engine chosen"), "")
    return {
        "ready_s": ready,
        "search_s": trained - ready,
        "answer_s": answered,
        "fixed_s": answered - (trained - ready),
        "trials": sum(line["event"] == "trial ended" for line in lines),
        "chosen": chosen,
    }


def measure(scale: str) -> dict[str, Any]:
    """All sides in turn, so many rounds; the ratios are of medians of the list's seconds."""
    spec = document(scale)
    runs: dict[str, list[dict[str, Any]]] = {LOOP: [], COLD: [], WARM: []}
    with tempfile.TemporaryDirectory(prefix="thermowell-bench-") as name:
        root = Path(name)
        first = root / "teacher"
        first.mkdir()
        one = once(of_teacher(spec), "loop", first)
        teacher_s = timeline.totals(one["timeline"]).get("teacher", 0.0)
        taught = Place.below(first)
        teachers = taught.teachers()
        for number in range(ROUNDS[scale]):
            for side in (LOOP, COLD, WARM):
                folder = root / f"{side}-{number}"
                folder.mkdir()
                (Place.below(root / f"{COLD}-{number}") if side == WARM else taught).copy_to(folder)
                runs[side].append(once(spec, "loop" if side == LOOP else "auto", folder))
                if Place.below(folder).teachers() != teachers:
                    raise RuntimeError(f"the teacher was not ready: {side} has made one of its own")
    work = {(run["trials"], run["epochs"]) for turns in runs.values() for run in turns}
    seconds = {side: median([run["search_s"] for run in turns]) for side, turns in runs.items()}
    fixed = median([run["fixed_s"] for run in runs[COLD]])
    return {
        "search_vs_loop": seconds[LOOP] / seconds[COLD],
        "search_vs_loop_warm": seconds[LOOP] / seconds[WARM],
        "fixed_seconds": fixed + teacher_s,
        "answer_seconds": demo_seconds() if scale != "tiny" else runs[COLD][0]["answer_s"] + teacher_s,
        "teacher_s": teacher_s,
        "same_work": len(work) == 1,
        "median_s": seconds,
        "runs": runs,
    }


def demo_seconds() -> float:
    """From the demo's command to its answer, in a fresh folder and with nothing compiled."""
    with tempfile.TemporaryDirectory(prefix="thermowell-bench-") as folder:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("THERMOWELL_")}
        environment |= {"TORCHINDUCTOR_CACHE_DIR": f"{folder}/compiled", "PYTHONPATH": str(ROOT)}
        begun = time.perf_counter()
        command = [sys.executable, "-m", "service.cli", "demo", "--dir", f"{folder}/demo"]
        subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, check=True)
        return time.perf_counter() - begun


def show(result: Mapping[str, Any]) -> None:
    """All sides as a table, and the timeline of the first cold run."""
    rows = []
    for name, runs in result["runs"].items():
        seconds = [run["search_s"] for run in runs]
        trained, fixed = f"{runs[0]['trials']} / {runs[0]['epochs']}", median([run["fixed_s"] for run in runs])
        rows.append([name, f"{median(seconds):.1f} s", f"{100 * spread(seconds):.0f} %", f"{fixed:.1f} s", trained])
    headings = ["", "the list", "spread", "fixed", "trials / epochs"]
    output.table("A whole search, its teacher ready", headings, rows)
    for side in (COLD, WARM):
        document = result["runs"][side][0]["timeline"]
        output.table(f"{side}, second by second, % of each", ["second, what is done in it"], timeline.rows(document))
        output.table(f"{side}, in all", ["", "seconds", "of a core"], timeline.spent(document))
    if not result["same_work"]:
        print("The sides did not train the same number of epochs: diverged students end early. See the details.")


def missed(result: Mapping[str, Any]) -> list[str]:
    """The goals that a result does not reach."""
    low = [name for name, goal in GOALS.items() if result[name] < goal]
    return low + [name for name, goal in MOST.items() if result[name] > goal]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the searches of the scale that is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engines.job")
    parser.add_argument("--quick", action="store_true", help="10 epochs each instead of 30, once")
    parser.add_argument("--tiny", action="store_true", help="4 configurations of 2 epochs")
    parser.add_argument("--keep", metavar="NAME", help="write results/NAME.json too")
    given = parser.parse_args(arguments)
    about = facts.gather()
    print(facts.in_words(about))
    result = measure("tiny" if given.tiny else "quick" if given.quick else "full")
    show(result)
    headline = {name: round(result[name], 3) for name in (*GOALS, *MOST)}
    output.conclude(
        given.keep,
        {
            "benchmark": "search_time",
            **headline,
            "same_work": result["same_work"],
            "goals_missed": missed(result),
            **about,
        },
        result,
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
