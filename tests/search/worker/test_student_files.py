"""A job's winning student is used by who has never seen this project: its program names the same class for every test
image, in an environment that has torch, Pillow and safetensors alone.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
import torch
import yaml
from PIL import Image
from sklearn.datasets import load_digits

from search.claims import artifacts
from search.records import Job
from search.requests import jobs, results, trials
from search.settings import Settings
from search.states import JobState
from search.storage.db import Database
from search.storage.store import open_store
from search.worker import process as worker
from tests.search import factories
from tests.search.worker.test_worker import SMALL
from trainers import student_files
from trainers.spec import Model
from trainers.zoo import models

BARE = """
import json, sys
from importlib.abc import MetaPathFinder
ALLOWED = set("torch torchgen functorch PIL safetensors".split())
ALLOWED |= set("typing_extensions sympy mpmath networkx jinja2 markupsafe fsspec filelock".split())  # torch's own
class Bare(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        top = name.partition(".")[0]
        if top not in sys.stdlib_module_names and top not in ALLOWED and not top.startswith("_") and top != "student":
            raise ModuleNotFoundError(f"no module named {name!r} here", name=name)
sys.meta_path.insert(0, Bare())
sys.path.insert(0, sys.argv[1])
from PIL import Image
from student import Student
student = Student()
names = [student.classify(Image.open(path), 1)[0][0] for path in json.load(sys.stdin)]
print(json.dumps(names))
"""


def run_bare(folder: Path, pictures: list[Path]) -> list[str]:
    """The class that the student's program says of each picture, in a process that has nothing of this project."""
    asked = json.dumps([str(path) for path in pictures])
    command = [sys.executable, "-I", "-W", "ignore", "-c", BARE, str(folder)]
    done = subprocess.run(command, input=asked, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    said: list[str] = json.loads(done.stdout)
    return said


def completed(db: Database, tmp_path: Path, programs: bool = False, **changes: Any) -> tuple[Job, Path]:
    """A job that was answered, and a folder with its files."""
    settings = Settings(
        var=tmp_path, database_url=db.url, poll_seconds=0.05, threads=1, student_programs=programs, engine="loop"
    )
    job = factories.submitted(db, **(SMALL | changes))
    worker.run_worker(settings, exit_when_idle=True)
    factories.open_sealed(db, job, lambda: worker.run_worker(settings, exit_when_idle=True))
    job = jobs.get_job(db, job.id, factories.ME)
    assert job.state is JobState.COMPLETED, job.problem
    folder, files = tmp_path / "student", open_store(settings)
    folder.mkdir()
    for kept in artifacts.list_artifacts(db, job.id, factories.ME):
        with artifacts.open_artifact(db, files, job.id, kept.name, factories.ME) as (_, path):
            (folder / kept.name).write_bytes(path.read_bytes())
    return job, folder


def right_of(folder: Path) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which test images the job says that the kept student gets right."""
    trial = json.loads((folder / "student.json").read_text())["trial"]
    with np.load(folder / "test-right.npz") as kept:
        row = kept["trial"].tolist().index(trial)
        return np.unpackbits(kept["right"][row], count=int(kept["images"])).astype(bool)


@pytest.mark.slow
def test_its_program_reproduces_the_test_accuracy_to_the_last_image(db: Database, tmp_path: Path) -> None:
    """Photographs of varied size and mode, below train/ and test/."""
    digits, names = load_digits(), ["zero", "one", "two", "three"]
    pictures, expected = [], []
    for number in np.flatnonzero(digits.target < 4):
        part = "test" if number % 4 == 0 else "train"
        label = names[digits.target[number]]
        path = tmp_path / "data" / "photos" / part / label / f"{number:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        grey = Image.fromarray((digits.images[number] * 15).astype(np.uint8))
        grey.convert("RGB" if number % 3 else "P").resize((11 + number % 5, 13)).save(path)
        if part == "test":
            pictures.append(path)
            expected.append(label)
    job, folder = completed(
        db,
        tmp_path,
        dataset={"name": "image_folder", "path": "photos", "image_size": 10},
        student={"name": "cnn", "arguments": {"width": 4, "depth": 2, "dropout": 0.1}},
        training={"epochs": 8, "batch_size": 16},
        space={"optimizer": {"sgd": {"learning_rate": 0.1, "momentum": 0.9}}},
        budget={"trials": 1},
        baselines={"share": 0},
        confirmation={"finalists": 1, "select_seeds": 1, "estimate_seeds": 2},
    )
    papers = json.loads((folder / "student.json").read_text())
    assert papers["class_names"] == sorted(names)
    assert papers["preprocessing"]["size"] == [10, 10]
    said = run_bare(folder, pictures)
    right = {path: name == label for path, name, label in zip(pictures, said, expected, strict=True)}
    in_order = [right[path] for path in sorted(pictures)]  # the test part's order: by class, then by name
    assert in_order == right_of(folder).tolist()
    assert np.mean(in_order) == pytest.approx(papers["test"]["accuracy"], abs=1e-12)
    assert 0.5 < np.mean(in_order) < 1  # neither chance nor beyond doubt
    tested = {trial.number: trial.test_metrics for trial in trials.iter_trials(db, job.id, factories.ME)}
    assert tested[papers["trial"]] == papers["test"]


def test_arrays_and_what_lies_beside_the_weights(db: Database, tmp_path: Path) -> None:
    job, folder = completed(db, tmp_path)
    names = {path.name for path in folder.iterdir()}
    assert names == {"README.md", "student.json", "student.py", "student.safetensors", "test-right.npz"}
    with safetensors.safe_open(folder / "student.safetensors", "pt") as file:
        metadata = file.metadata()
    assert json.loads(metadata["thermowell.student"])["job"] == job.id
    own = json.loads(metadata["thermowell.preprocessing"])
    papers = json.loads((folder / "student.json").read_text())
    assert own == {"preset": "custom", "mean": papers["preprocessing"]["mean"], "std": papers["preprocessing"]["std"]}
    program = (folder / "student.py").read_text()
    assert "trainers" not in program
    assert "type: ignore" not in program
    card = (folder / "README.md").read_text()
    head = yaml.safe_load(card.split("---\n")[1])
    (figure,) = [one for one in head["model-index"][0]["results"][0]["metrics"] if one["type"] == "accuracy"]
    assert figure["value"] == papers["test"]["accuracy"]
    result = results.get_result(db, job.id, factories.ME)
    for part in (job.id, *result.cautions, "student.safetensors"):
        assert part in card
    assert result.summary.split()[:8] == card.split("# small")[1].split("\n\n")[1].split()[:8]


@pytest.mark.slow
def test_programs_of_torch_say_the_same(db: Database, tmp_path: Path) -> None:
    _, folder = completed(db, tmp_path, programs=True, student={"name": "cnn", "arguments": {"width": 4}})
    papers = json.loads((folder / "student.json").read_text())
    assert papers["programs"]["student.pt2"] <= student_files.FARTHEST
    module = torch.export.load(folder / "student.pt2").module()
    sys.path.insert(0, str(folder))
    try:
        from student import Student  # type: ignore[import-not-found]
    finally:
        sys.path.remove(str(folder))
        sys.modules.pop("student", None)
    student = Student(folder)
    pixels = torch.randint(0, 256, (7, 1, 8, 8), dtype=torch.uint8)
    shown = (pixels.float() - student._mean) / student._std
    assert torch.allclose(module(shown), student.logits(pixels), atol=1e-4)


@pytest.mark.parametrize(
    ("model", "channels", "size"),
    [
        (Model("mlp", {"width": 8, "depth": 2, "dropout": 0.5}), 1, (8, 8)),
        (Model("cnn", {"width": 4, "depth": 3, "dropout": 0.5}), 3, (9, 9)),
        (Model("resnet", {"depth": 8, "width": 1}), 3, (16, 16)),
        (Model("wrn", {"depth": 10, "width": 1, "dropout": 0.2}), 1, (16, 16)),
        (Model("squeezenet1_1"), 1, (32, 32)),
        (Model("vit_b_16"), 3, (32, 32)),
    ],
)
def test_each_architecture_is_rebuilt(model: Model, channels: int, size: tuple[int, int]) -> None:
    if model.name == "vit_b_16":
        source = student_files.program(model)
        assert "torchvision" in source
        return
    module: dict[str, Any] = {"__name__": "student", "__file__": "student.py"}
    exec(compile(student_files.program(model), "student.py", "exec"), module)
    ours = models.build(model, channels, size, 5, seed=3).eval()
    own = model.name in student_files._CLASSES
    arguments = student_files.catalogue.model_arguments(model.name, model.arguments) if own else {}
    described = {"name": model.name, "arguments": arguments, "channels": channels, "size": list(size), "classes": 5}
    theirs = module["build"](described).eval()
    theirs.load_state_dict(ours.state_dict())
    images = torch.randn(3, channels, *size)
    with torch.no_grad():
        assert torch.equal(ours(images), theirs(images))
