"""The same student distilled from the same given teacher by torchdistill and by a job here: accuracy and speed.

    python -m benchmarks.engines.peers_data [--quick | --tiny] [--student mlp | cnn] [--keep NAME]

FashionMNIST at 28 pixels. A teacher's weights come from a file; torchdistill reads pictures by its own loader and
augments them anew each time; a job here trains on fixed views. Temperature, weights, optimizer, schedule, batch and
epochs are the same. Each side trains students of several seeds, on all cores, and validates after each epoch; both are
judged on all 10,000 test pictures. A student's seconds are those of the whole job, its start, the teacher's views and
its answer among them, shared by all students that it trained. The job's kept student is run once more by its own
`student.py`, outside of the project.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats

from benchmarks.common import facts, needs, output, peers
from benchmarks.common.facts import ROOT
from benchmarks.engines.turns import command
from search.claims import artifacts
from search.records import Principal
from search.requests import jobs, trials
from search.schema import migrate
from search.settings import Settings
from search.spec.job import JobSpec
from search.states import Arm, JobState, Stage
from search.storage.db import Database, open_database
from search.storage.store import open_store
from trainers.data import datasets
from trainers.data.views import Normaliser
from trainers.spec import Data, Model, Optimizer, Schedule, TestPermit, Training
from trainers.teaching import supervised
from trainers.training.epoch import predict
from trainers.zoo import models, weights

ME = Principal("local", "local", frozenset({"read", "submit"}))
CORES = os.cpu_count() or 1
TEACHER = Model("cnn", {"width": 32, "depth": 3})
STUDENTS = {"mlp": Model("mlp", {"width": 64, "depth": 1}), "cnn": Model("cnn", {"width": 8, "depth": 2})}
TEMPERATURE, KD_WEIGHT, BATCH = 4.0, 0.9, 64
RATE = Optimizer("sgd", 0.05, 5e-4, 0.9)
VALIDATION: dict[str, Any] = {"validation_fraction": 0.05}
CONFIDENCE = 0.9
GOALS = {"accuracy_within_points": 1.0, "speed_ratio": 6.0}


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is trained: pictures, epochs of the teacher and of each student, seeds."""

    pictures: int
    teacher_epochs: int
    epochs: int
    seeds: int

    @property
    def milestones(self) -> tuple[int, ...]:
        """After which epochs the learning rate falls to a tenth."""
        return tuple(sorted({max(1, self.epochs * share // 10) for share in (6, 8)}))


SCALES = {"full": Scale(10_000, 12, 12, 5), "quick": Scale(3_000, 6, 6, 5), "tiny": Scale(300, 1, 2, 2)}


def measure(scale: Scale, student: Model) -> dict[str, Any]:
    """Both sides' accuracies and seconds, their difference and ratio, and how the student fares outside."""
    with tempfile.TemporaryDirectory(prefix="thermowell-bench-") as name:
        folder = Path(name)
        data = Data("FashionMNIST", train_size=scale.pictures, augmentation="crop_flip", **VALIDATION)
        settings = Settings(var=folder, database_url=f"sqlite:///{folder}/thermowell.db", plugins="")
        needs.data_sets([data.name], settings.data_root)
        split = datasets.load(data, settings.data_root)
        test = datasets.load_test(data, settings.data_root, TestPermit("benchmark", time.time()))
        _train_teacher(split, data, scale, folder / "teacher.safetensors")
        pictures = {"train": split.train, "validation": split.validation, "test": test}
        arrays: dict[str, Any] = {f"{part}_images": _pictures(content.images) for part, content in pictures.items()}
        arrays |= {f"{part}_labels": content.labels.numpy() for part, content in pictures.items()}
        np.savez(folder / "pictures.npz", **arrays)
        theirs = _torchdistill(folder, split, scale, student)
        ours = _job(folder, settings, data, scale, student)
        reproduced = _reproduced(folder, split, test, student)
    low, high = _interval(ours["accuracies"], theirs["accuracies"])
    return {
        "accuracy_difference_points": 100 * float(np.mean(ours["accuracies"]) - np.mean(theirs["accuracies"])),
        "accuracy_difference_interval": [100 * low, 100 * high],
        "speed_ratio": theirs["seconds_per_student"] / ours["seconds_per_student"],
        "speed_ratio_of_core_seconds": theirs["core_seconds_per_student"] / ours["core_seconds_per_student"],
        "student_reproduced": reproduced,
        "torchdistill": theirs,
        "job": ours,
    }


def _train_teacher(split: datasets.Split, data: Data, scale: Scale, path: Path) -> None:
    teacher = models.build(TEACHER, split.channels, split.size, split.classes, seed=0)
    training = Training(scale.teacher_epochs, BATCH, Schedule("cosine"))
    task = supervised.SupervisedTask("the teacher", split, data, training, RATE, 0, "fp32")
    supervised.train_on_labels(teacher, task, torch.device("cpu"))
    weights.save(teacher.state_dict(), path)


def _pictures(images: torch.Tensor) -> np.ndarray[Any, Any]:
    """Grey pictures as PIL takes them, [n, height, width]."""
    return images[:, 0].numpy()


def _torchdistill(folder: Path, split: datasets.Split, scale: Scale, student: Model) -> dict[str, Any]:
    """A process for each core, each with its share of the seeds."""
    options = {
        "folder": str(folder),
        "teacher": {"name": TEACHER.name, "arguments": dict(TEACHER.arguments)},
        "student": {"name": student.name, "arguments": dict(student.arguments)},
        "mean": split.mean,
        "std": split.std,
        "temperature": TEMPERATURE,
        "kd_weight": KD_WEIGHT,
        "batch": BATCH,
        "epochs": scale.epochs,
        "milestones": scale.milestones,
        "optimizer": {"lr": RATE.learning_rate, "momentum": RATE.momentum, "weight_decay": RATE.weight_decay},
    }
    python, seeds = peers.python("torchdistill"), list(range(1, scale.seeds + 1))
    running = [
        subprocess.Popen(
            command("benchmarks.engines.side_torchdistill_data", {**options, "seeds": seeds[core::CORES]}, python),
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for core in range(min(CORES, scale.seeds))
    ]
    answers = [json.loads(process.communicate()[0].splitlines()[-1]) for process in running]
    students = [entry for answer in answers for entry in answer["students"]]
    return {
        "version": answers[0]["version"],
        "accuracies": [entry["accuracy"] for entry in students],
        "seconds_per_student": float(np.mean([entry["seconds"] for entry in students])) / len(running),
        "core_seconds_per_student": float(np.mean([entry["core_seconds"] for entry in students])),
    }


def _job(folder: Path, settings: Settings, data: Data, scale: Scale, student: Model) -> dict[str, Any]:
    """One job whose space is one point: its estimates are students of fresh seeds, judged on the test part."""
    sha256 = artifacts.keep(open_store(settings), folder / "teacher.safetensors")
    schedule = {"name": "step", "step_epochs": list(scale.milestones), "step_factor": 0.1}
    rate = {"learning_rate": RATE.learning_rate, "momentum": RATE.momentum, "weight_decay": RATE.weight_decay}
    spec = {
        "name": "peers-data",
        "dataset": {"name": data.name, "train_size": scale.pictures, "augmentation": data.augmentation} | VALIDATION,
        "teacher": {
            "source": "weights",
            "artifact": sha256,
            "model": {"name": TEACHER.name, "arguments": TEACHER.arguments},
            "preprocessing": {"preset": "dataset"},
            "accept_weak": True,
        },
        "student": {"name": student.name, "arguments": student.arguments},
        "training": {"epochs": scale.epochs, "batch_size": BATCH, "schedule": schedule},
        "space": {"temperature": TEMPERATURE, "kd_weight": KD_WEIGHT, "optimizer": {"sgd": rate}},
        "budget": {"trials": 1},
        "baselines": {"share": 0.0},
        "confirmation": {"finalists": 1, "select_seeds": 1, "estimate_seeds": scale.seeds},
        "precision": "fp32",
    }
    db = open_database(settings.database_url)
    try:
        migrate(db)
        job, _ = jobs.submit(db, JobSpec.model_validate(spec), ME)
        start, processor = time.perf_counter(), _children_seconds()
        log = _work(folder)
        seconds, core_seconds = time.perf_counter() - start, _children_seconds() - processor
        ended = jobs.get_job(db, job.id, ME)
        if ended.state is not JobState.COMPLETED:
            raise RuntimeError(f"the job ended as {ended.state}:\n{log[-2000:]}")
        if ended.test_opened_at is None:  # where nothing is decided, it is left unread
            jobs.open_test(db, job.id, ME)
            _work(folder)
        students = list(trials.iter_trials(db, job.id, ME))
        _keep_files(db, settings, job.id, folder)
    finally:
        db.close()
    estimates = [
        trial.test_metrics["accuracy"]
        for trial in students
        if trial.arm is Arm.JOINT and trial.stage is Stage.ESTIMATE and trial.test_metrics is not None
    ]
    return {
        "accuracies": estimates,
        "students": len(students),
        "seconds": seconds,
        "core_seconds": core_seconds,
        "seconds_per_student": seconds / len(students),
        "core_seconds_per_student": core_seconds / len(students),
        "engines": [line["reason"] for line in _lines(log) if line["event"] == "engine chosen"],
    }


def _work(folder: Path) -> str:
    """A worker in a process of its own, until nothing is left; what it logged."""
    environment = worker_environment(folder)
    worker = [sys.executable, "-m", "search.worker", "--exit-when-idle"]
    done = subprocess.run(worker, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    log = done.stdout + done.stderr
    if done.returncode:
        raise RuntimeError(f"the worker ended with {done.returncode}:\n{log[-2000:]}")
    return log


def worker_environment(folder: Path) -> dict[str, str]:
    """This process's environment for a worker that has everything below a folder, and no other setting."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("THERMOWELL_")}
    environment |= {"THERMOWELL_VAR": str(folder), "THERMOWELL_POLL_SECONDS": "0.2", "PYTHONPATH": str(ROOT)}
    environment |= {"THERMOWELL_DATABASE_URL": f"sqlite:///{folder}/thermowell.db"}
    return environment | {"THERMOWELL_STUDENT_PROGRAMS": "false"}


def _lines(log: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.splitlines() if line.startswith("{")]


def _children_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _keep_files(db: Database, settings: Settings, job: str, folder: Path) -> None:
    place = folder / "student"
    place.mkdir()
    for name in ("student.py", "student.json", "student.safetensors"):
        with artifacts.open_artifact(db, open_store(settings), job, name, ME) as (_, path):
            (place / name).write_bytes(path.read_bytes())


_OUTSIDE = """
import sys
sys.path.insert(0, sys.argv[1])
import numpy, torch
from student import Student
images = torch.from_numpy(numpy.load(sys.argv[2])["test_images"])[:, None]
print(Student().logits(images).argmax(1).tolist())
"""


def _reproduced(folder: Path, split: datasets.Split, test: datasets.Part, student: Model) -> float:
    """The share of test pictures of which the student's own program, which has nothing of this project, says the class
    that the student says here.
    """
    place = folder / "student"
    model = models.build(student, split.channels, split.size, split.classes, seed=0)
    weights.fill(model, weights.load(place / "student.safetensors"), "the student")
    here = predict(model, test.images, Normaliser.of(split, torch.device("cpu")), "fp32").argmax(1)
    outside = [sys.executable, "-I", "-c", _OUTSIDE, str(place), str(folder / "pictures.npz")]
    said = subprocess.run(outside, check=True, capture_output=True, text=True, cwd=place).stdout
    return float((torch.tensor(json.loads(said)) == here).float().mean())


def _interval(left: Sequence[float], right: Sequence[float]) -> tuple[float, float]:
    """Welch's interval of the difference of two means."""
    answer = stats.ttest_ind(left, right, equal_var=False).confidence_interval(CONFIDENCE)
    return float(answer.low), float(answer.high)


def missed(result: dict[str, Any]) -> list[str]:
    """The goals that a result does not reach."""
    low, high = result["accuracy_difference_interval"]
    within = GOALS["accuracy_within_points"]
    reached = {
        "accuracy_difference_interval": -within <= low <= high <= within,
        "speed_ratio": result["speed_ratio"] >= GOALS["speed_ratio"],
        "student_reproduced": result["student_reproduced"] == 1.0,
    }
    return [name for name, well in reached.items() if not well]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures both sides at the scale that is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engines.peers_data")
    parser.add_argument("--quick", action="store_true", help="3,000 pictures and 6 epochs instead of 10,000 and 12")
    parser.add_argument("--tiny", action="store_true", help="a try that ends soon and says nothing")
    parser.add_argument("--student", choices=list(STUDENTS), default="mlp")
    parser.add_argument("--keep", metavar="NAME", help="write results/NAME.json too")
    options = parser.parse_args(arguments)
    about = facts.gather()
    print(facts.in_words(about))
    scale = SCALES["tiny" if options.tiny else "quick" if options.quick else "full"]
    try:
        result = measure(scale, STUDENTS[options.student])
    except peers.PeerMissing as error:
        raise SystemExit(f"Nothing was measured: {error}") from error
    rows = [
        [
            name,
            f"{100 * float(np.mean(result[name]['accuracies'])):.2f} %",
            f"{result[name]['seconds_per_student']:.2f} s",
            f"{result[name]['core_seconds_per_student']:.2f} s",
        ]
        for name in ("torchdistill", "job")
    ]
    output.table("One student, the mean of all", ["", "test accuracy", "wall-clock", "of a core"], rows)
    names = ("accuracy_difference_points", "speed_ratio", "speed_ratio_of_core_seconds", "student_reproduced")
    headline: dict[str, Any] = {name: round(result[name], 4) for name in names}
    headline["accuracy_difference_interval"] = [round(end, 3) for end in result["accuracy_difference_interval"]]
    headline |= {"benchmark": "peers_data", "student": options.student, "goals_missed": missed(result)}
    output.conclude(options.keep, headline | about, result)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
