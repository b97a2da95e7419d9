"""One job on more pictures than one keeps in memory: what it takes of memory and disk, and how fast it is, beside
torchdistill on the same pictures.

    python -m benchmarks.engines.real_sizes [--quick | --tiny] [--keep NAME]

Pictures are made, the same each time, as JPEG files in a folder for each class and as npz files with the same pixels. A
teacher is trained on some of them and given as weights. A worker in a process of its own trains a job's few students on
the folder, one epoch each; memory (proportional sets of it and its children) and disk are looked at twice a second.
The npz files are read by another process, which must come to the same training and validation part to the bit.
torchdistill trains the same student in a process for each core, for some steps.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import facts, output, peers
from benchmarks.common.facts import ROOT
from benchmarks.common.watch import Peaks, folder_bytes, watched
from benchmarks.engines import made_pictures
from benchmarks.engines.peers_data import ME, worker_environment
from benchmarks.engines.turns import command
from search.claims import artifacts
from search.requests import jobs, trials
from search.schema import migrate
from search.settings import Settings
from search.spec.job import JobSpec
from search.states import JobState
from search.storage.db import open_database
from search.storage.store import open_store
from trainers.data import datasets
from trainers.disk_budget import DiskBudget
from trainers.spec import Data, Model, Optimizer, Training
from trainers.teaching import supervised
from trainers.zoo import models, weights

CORES = os.cpu_count() or 1
TEACHER, STUDENT = "mobilenet_v3_small", "shufflenet_v2_x0_5"
TEMPERATURE, KD_WEIGHT, BATCH = 4.0, 0.9, 64
RATE = {"learning_rate": 0.05, "momentum": 0.9, "weight_decay": 5e-4}
SHARES: dict[str, Any] = {"validation_fraction": 0.05, "test_fraction": 0.05, "augmentation": "crop_flip"}
GOALS = {"memory_gib": 8.0}
GIB = 2**30


@dataclass(frozen=True, slots=True)
class Scale:
    """How many pictures of which size, how many the teacher learns from, the job's trials, torchdistill's steps."""

    pictures: int
    size: int
    taught: int
    trials: int
    steps: int


SCALES = {
    "full": Scale(100_000, 128, 4_000, 2, 60),
    "quick": Scale(2_000, 128, 320, 2, 8),
    "tiny": Scale(200, 64, 50, 1, 1),
}


def measure(scale: Scale) -> dict[str, Any]:
    """What the job, the npz files and torchdistill took."""
    with tempfile.TemporaryDirectory(prefix="thermowell-bench-") as name:
        folder = Path(name)
        start = time.perf_counter()
        made_pictures.make(folder / "data", scale.pictures, scale.size)
        result: dict[str, Any] = {
            "pictures": scale.pictures,
            "size": scale.size,
            "made_seconds": time.perf_counter() - start,
            "folder_bytes": folder_bytes(folder / "data" / "pictures"),
            "npz_bytes": folder_bytes(folder / "data" / "shards"),
        }
        mean, std = _train_teacher(folder, scale)
        result["job"] = _job(folder, scale)
        result["npz"] = _load(folder, scale)
        result["same_pixels"] = result["npz"].pop("digests") == result["job"].pop("digests")
        try:
            result["torchdistill"] = _torchdistill(folder, scale, mean, std)
        except peers.PeerMissing as error:
            print(f"torchdistill is not measured: {error}")
    return result


def _data(scale: Scale, name: str, path: str) -> Data:
    return Data(name, path=path, image_size=scale.size, **SHARES)


def _train_teacher(folder: Path, scale: Scale) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Writes a teacher that has seen some of the npz files' pictures once, and answers their moments."""
    data = Data("npz", path="shards", train_size=scale.taught, **SHARES)
    split = datasets.load(data, folder / "data", DiskBudget(folder))
    teacher = models.build(Model(TEACHER), 3, split.size, split.classes, seed=0)
    optimizer = Optimizer("sgd", RATE["learning_rate"], RATE["weight_decay"], RATE["momentum"])
    task = supervised.SupervisedTask("the teacher", split, data, Training(1, BATCH), optimizer, 0, "fp32")
    supervised.train_on_labels(teacher, task, torch.device("cpu"))
    weights.save(teacher.state_dict(), folder / "teacher.safetensors")
    return split.mean, split.std


def _job(folder: Path, scale: Scale) -> dict[str, Any]:
    """A job of few trials on the folder of pictures, by one worker."""
    settings = Settings(var=folder, database_url=f"sqlite:///{folder}/thermowell.db", plugins="")
    sha256 = artifacts.keep(open_store(settings), folder / "teacher.safetensors")
    spec = {
        "name": "real-sizes",
        "dataset": {"name": "image_folder", "path": "pictures", "image_size": scale.size, **SHARES},
        "teacher": {
            "source": "weights",
            "artifact": sha256,
            "model": {"name": TEACHER},
            "preprocessing": {"preset": "dataset"},
            "accept_weak": True,
        },
        "student": {"name": STUDENT},
        "training": {"epochs": 1, "batch_size": BATCH},
        "space": {"temperature": {"low": 1, "high": 16}, "kd_weight": KD_WEIGHT, "optimizer": {"sgd": RATE}},
        "budget": {"trials": scale.trials},
        "baselines": {"share": 0.0},
        "confirmation": "none",
        "precision": "fp32",
    }
    db = open_database(settings.database_url)
    try:
        migrate(db)
        job, _ = jobs.submit(db, JobSpec.model_validate(spec), ME)
        peaks, start = Peaks(), time.perf_counter()
        log = _worker(folder, peaks)
        seconds = time.perf_counter() - start
        ended = jobs.get_job(db, job.id, ME)
        if ended.state is not JobState.COMPLETED:
            raise RuntimeError(f"the job ended as {ended.state}: {ended.problem}\n{log[-2000:]}")
        students = len(list(trials.iter_trials(db, job.id, ME)))
    finally:
        db.close()
    train_images = round(scale.pictures * (1 - SHARES["validation_fraction"] - SHARES["test_fraction"]))
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    times = {
        event: [_at(line) for line in lines if line["event"] == event]
        for event in ("worker started", "engine chosen", "trial started", "trial ended")
    }
    training = times["trial ended"][-1] - times["trial started"][0]
    stored = [path for path in settings.artifact_root.rglob("teachers/*/*.safetensors") if path.name[0].isdigit()]
    return {
        "seconds": seconds,
        "ready_seconds": times["engine chosen"][0] - times["worker started"][0],
        "training_seconds": training,
        "students": students,
        "train_images": train_images,
        "images_per_s": students * train_images / seconds,
        "training_images_per_s": students * train_images / training,
        "peak": peaks.bytes,
        "looks": peaks.looks,
        "store_bytes": folder_bytes(settings.artifact_root),
        "engines": [line["reason"] for line in lines if line["event"] == "engine chosen"],
        "digests": stored[0].stem.rpartition("-")[2] if stored else None,
    }


def _at(line: dict[str, Any]) -> float:
    return datetime.fromisoformat(line["timestamp"]).timestamp()


def _worker(folder: Path, peaks: Peaks) -> str:
    """A worker in a process of its own, watched until nothing is left; what it logged."""
    worker = [sys.executable, "-m", "search.worker", "--exit-when-idle"]
    with (
        subprocess.Popen(
            worker,
            cwd=ROOT,
            env=worker_environment(folder),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process,
        watched(process.pid, peaks),
    ):
        log = process.communicate()[0]
    if process.returncode:
        raise RuntimeError(f"the worker ended with {process.returncode}:\n{log[-2000:]}")
    return log


def _load(folder: Path, scale: Scale) -> dict[str, Any]:
    """The npz files read by a process of their own: its seconds, its peaks, and the parts' digests."""
    arguments = json.dumps({"folder": str(folder), "size": scale.size})
    peaks, start = Peaks(), time.perf_counter()
    child = [sys.executable, "-m", "benchmarks.engines.real_sizes", "--child", arguments]
    with (
        subprocess.Popen(
            child, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True
        ) as process,
        watched(process.pid, peaks),
    ):
        answer = json.loads(process.communicate()[0].splitlines()[-1])
    return {**answer, "process_seconds": time.perf_counter() - start, "peak": peaks.bytes}


def child(folder: Path, size: int) -> dict[str, Any]:
    """Reads the npz files in this process."""
    start = time.perf_counter()
    data = Data("npz", path="shards", image_size=size, **SHARES)
    split = datasets.load(data, folder / "data", DiskBudget(folder))
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "digests": split.train.digest()[:20] + split.validation.digest()[:20]}


def _torchdistill(folder: Path, scale: Scale, mean: Sequence[float], std: Sequence[float]) -> dict[str, Any]:
    """A process for each core, each with a student of its own."""
    options = {
        "folder": str(folder),
        "size": scale.size,
        "classes": made_pictures.CLASSES,
        "teacher": TEACHER,
        "student": STUDENT,
        "mean": mean,
        "std": std,
        "temperature": TEMPERATURE,
        "kd_weight": KD_WEIGHT,
        "batch": BATCH,
        "steps": scale.steps,
        "optimizer": {"lr": RATE["learning_rate"], "momentum": RATE["momentum"], "weight_decay": RATE["weight_decay"]},
    }
    python = peers.python("torchdistill")
    running = [
        subprocess.Popen(
            command("benchmarks.engines.side_torchdistill_sizes", {**options, "seed": core}, python),
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for core in range(CORES)
    ]
    answers = [json.loads(process.communicate()[0].splitlines()[-1]) for process in running]
    return {
        "version": answers[0]["version"],
        "processes": len(running),
        "steps": scale.steps,
        "training_images_per_s": sum(answer["images_per_s"] for answer in answers),
    }


def missed(peak: float, same_pixels: bool) -> list[str]:
    """The goals that are not reached, by the most memory (GiB) and whether both forms of the data came to the same."""
    reached = {"memory_gib": peak <= GOALS["memory_gib"], "same_pixels": same_pixels}
    return [name for name, well in reached.items() if not well]


def headline(result: dict[str, Any]) -> dict[str, Any]:
    """What the last line says."""
    job, peer = result["job"], result.get("torchdistill")
    peak = job["peak"]["memory"] / GIB
    answer: dict[str, Any] = {
        "benchmark": "real_sizes",
        "pictures": result["pictures"],
        "size": result["size"],
        "memory_gib": round(peak, 3),
        "anonymous_memory_gib": round(job["peak"]["anonymous"] / GIB, 3),
        "disk_gib": round((job["peak"]["unnamed"] + job["store_bytes"]) / GIB, 3),
        "images_per_s": round(job["images_per_s"], 1),
        "training_images_per_s": round(job["training_images_per_s"], 1),
        "same_pixels": result["same_pixels"],
        "goals_missed": missed(peak, result["same_pixels"]),
    }
    if peer is not None:
        rate = peer["training_images_per_s"]
        answer["torchdistill_images_per_s"] = round(rate, 1)
        answer["speed_ratio"] = round(job["images_per_s"] / rate, 3)
        answer["training_speed_ratio"] = round(job["training_images_per_s"] / rate, 3)
    return answer


def show(result: dict[str, Any]) -> None:
    """The figures as tables."""
    job, npz = result["job"], result["npz"]
    rows = [
        [name, *(f"{side['peak'][kind] / GIB:.2f}" for kind in ("memory", "anonymous", "mapped", "unnamed"))]
        for name, side in (("the job on the folder", job), ("reading the npz files", npz))
    ]
    output.table("Peaks, GiB", ["", "memory", "anonymous", "mapped", "unnamed files"], rows)
    rows = [
        ["making the pictures", f"{result['made_seconds']:.0f} s"],
        ["the job until its engine is chosen", f"{job['ready_seconds']:.0f} s"],
        [f"training {job['students']} students, an epoch each", f"{job['training_seconds']:.0f} s"],
        ["the whole job", f"{job['seconds']:.0f} s"],
        ["reading the npz files", f"{npz['seconds']:.0f} s"],
        ["student images a second, whole job", output.rate(job["images_per_s"])],
        ["student images a second, training", output.rate(job["training_images_per_s"])],
    ]
    if "torchdistill" in result:
        rows.append(["torchdistill's, training", output.rate(result["torchdistill"]["training_images_per_s"])])
    output.table("Time and speed", ["", ""], rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures at the scale that is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engines.real_sizes")
    parser.add_argument("--quick", action="store_true", help="2,000 pictures instead of 100,000")
    parser.add_argument("--tiny", action="store_true", help="a try that ends soon and says nothing")
    parser.add_argument("--keep", metavar="NAME", help="write results/NAME.json too")
    parser.add_argument("--child", metavar="JSON", help="the npz files alone, in this process")
    options = parser.parse_args(arguments)
    if options.child:
        request = json.loads(options.child)
        print(json.dumps(child(Path(request["folder"]), request["size"])))
        return 0
    about = facts.gather()
    print(facts.in_words(about))
    result = measure(SCALES["tiny" if options.tiny else "quick" if options.quick else "full"])
    show(result)
    output.conclude(options.keep, headline(result) | about, result)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
