"""A job's winning student is used by who has never seen this project: each of its programs names the same class for
every test image, in an environment that has what that program needs alone.
"""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
import torch
import yaml
from PIL import Image
from sklearn.datasets import load_digits

from search.records import Job
from search.requests import results, trials
from search.schema import migrate
from search.settings import Settings
from search.storage.db import Database, open_database
from tests.search import factories
from tests.search.worker.answers import answered
from tests.search.worker.test_worker import SMALL
from trainers import student_files
from trainers.spec import Model
from trainers.zoo import models

BARE = """
import json, os, sys
from importlib.abc import MetaPathFinder
ALLOWED = set(sys.argv[2].split())
class Bare(MetaPathFinder):
    finders = list(sys.meta_path)
    def find_spec(self, name, path, target=None):
        top = name.partition(".")[0]
        if top not in sys.stdlib_module_names and top not in ALLOWED and not top.startswith("_"):
            return None
        specs = (finder.find_spec(name, path, target) for finder in self.finders)
        return next((spec for spec in specs if spec is not None), None)
sys.meta_path[:] = [Bare()]
sys.path[:0] = [sys.argv[1], *sys.argv[3:]]
os.chdir(sys.argv[1])
from PIL import Image
"""
TORCH = "PIL torch torchgen functorch typing_extensions sympy mpmath networkx jinja2 markupsafe fsspec filelock"
"""What torch itself needs."""
DOCUMENT = Path(__file__).parents[3] / "docs" / "student.md"
(OF_DOCUMENT,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
EXPORTED = OF_DOCUMENT.replace("import onnxruntime\n", "import torch\n")
EXPORTED = re.sub(r"session = .*", 'network = torch.export.load("student.pt2").module()', EXPORTED)
EXPORTED = re.sub(r"session\.run\(.*", "[network(torch.from_numpy(prepare(picture)[None]))]", EXPORTED)
PROGRAMS = {
    "student.py": (
        f"{TORCH} safetensors student",
        "from student import Student\nstudent = Student()\n"
        "def classify(picture):\n    return student.classify(picture, 1)[0][0]\n",
    ),
    "student.pt2": (f"{TORCH} numpy", EXPORTED),
    "student.onnx": ("PIL numpy onnxruntime flatbuffers google", OF_DOCUMENT),
}
"""What each file's process may import, and what it runs there, which defines `classify`."""


SEVERAL = (
    "from student import Student\nstudent = Student()\ndef classify(picture):\n"
    "    return [name for name, share in student.classify(picture, len(student.classes)) if share > 0.5]\n"
)
"""`classify` of `student.py` where a picture may show several classes; the lines of the document say it themselves."""


def run_bare(folder: Path, pictures: list[Path], program: str, source: str | None = None) -> list[Any]:
    """What a student's program says of each picture, in a process that has nothing of this project."""
    modules, of_program = PROGRAMS[program]
    source = of_program if source is None else source
    source += "print(json.dumps([classify(Image.open(path)) for path in json.load(sys.stdin)]))"
    runtime = importlib.util.find_spec("onnxruntime")
    sites = [str(Path(runtime.origin).parents[1])] if runtime is not None and runtime.origin is not None else []
    command = [sys.executable, "-I", "-W", "ignore", "-c", BARE + source, str(folder), modules, *sites]
    asked = json.dumps([str(path) for path in pictures])
    process = subprocess.run(command, input=asked, capture_output=True, text=True, check=False, timeout=120)
    assert process.returncode == 0, process.stderr
    answers: list[Any] = json.loads(process.stdout)
    return answers


def completed(db: Database, tmp_path: Path, programs: bool = False, **changes: Any) -> tuple[Job, Path]:
    """A job that was answered, and a folder with its files."""
    settings = Settings(
        var=tmp_path, database_url=db.url, poll_seconds=0.05, threads=1, student_programs=programs, engine="loop"
    )
    folder = tmp_path / "student"
    return answered(db, settings, folder, **(SMALL | changes)), folder


def right_of(folder: Path) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which test images the job says that the kept student gets right."""
    trial = json.loads((folder / "student.json").read_text())["trial"]
    with np.load(folder / "test-right.npz") as kept:
        row = kept["trial"].tolist().index(trial)
        return np.unpackbits(kept["right"][row], count=int(kept["images"])).astype(bool)


@dataclass(frozen=True)
class Photographs:
    """A completed job on photographs: the folder of its student's files, the test part's pictures with their classes,
    and the metrics on them.
    """

    folder: Path
    classes: dict[Path, str]
    tested: dict[str, Any]


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Photographs:
    """Pictures of varied size and mode, below train/ and test/."""
    place = tmp_path_factory.mktemp("photographs")
    digits, names, classes = load_digits(), ["zero", "one", "two", "three"], dict[Path, str]()
    for number in np.flatnonzero(digits.target < 4):
        part = "test" if number % 4 == 0 else "train"
        label = names[digits.target[number]]
        path = place / "data" / "photos" / part / label / f"{number:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        grey = Image.fromarray((digits.images[number] * 15).astype(np.uint8))
        grey.convert("RGB" if number % 3 else "P").resize((11 + number % 5, 13)).save(path)
        if part == "test":
            classes[path] = label
    db = open_database(f"sqlite:///{place / 'thermowell.db'}")
    migrate(db)
    try:
        job, folder = completed(
            db,
            place,
            programs=True,
            dataset={"name": "image_folder", "path": "photos", "image_size": 10},
            student={"name": "cnn", "arguments": {"width": 4, "depth": 2, "dropout": 0.1}},
            training={"epochs": 8, "batch_size": 16},
            space={"optimizer": {"sgd": {"learning_rate": 0.1, "momentum": 0.9}}},
            budget={"trials": 1},
            baselines={"share": 0},
            confirmation={"finalists": 1, "select_seeds": 1, "estimate_seeds": 2},
        )
        trial = json.loads((folder / "student.json").read_text())["trial"]
        (metrics,) = [row.test_metrics for row in trials.iter_trials(db, job.id, factories.ME) if row.number == trial]
    finally:
        db.close()
    assert metrics is not None
    return Photographs(folder, classes, metrics)


@pytest.mark.slow
@pytest.mark.parametrize("program", ["student.py", "student.pt2", "student.onnx"])
def test_each_program_reproduces_the_test_accuracy_to_the_last_image(photographs: Photographs, program: str) -> None:
    if program == "student.onnx":
        for module in ("onnx", "onnxscript", "onnxruntime"):
            pytest.importorskip(module, reason=f"{program} is not made where {module} is not installed")
    folder, pictures = photographs.folder, sorted(photographs.classes)  # the test part's order: by class, then by name
    papers = json.loads((folder / "student.json").read_text())
    assert papers["class_names"] == sorted({*photographs.classes.values()})
    assert papers["preprocessing"]["size"] == [10, 10]
    assert papers["test"] == photographs.tested
    if program != "student.py":
        assert papers["programs"][program] <= student_files.FARTHEST
    answers = run_bare(folder, pictures, program)
    right = [answer == photographs.classes[path] for path, answer in zip(pictures, answers, strict=True)]
    assert right == right_of(folder).tolist()
    assert np.mean(right) == pytest.approx(papers["test"]["accuracy"], abs=1e-12)
    assert 0.5 < np.mean(right) < 1  # neither chance nor beyond doubt


@pytest.fixture(scope="module")
def tagged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[Path, set[str]]]:
    """The files of a student of several labels, and the test part's pictures with what each of them shows."""
    place = tmp_path_factory.mktemp("tagged")
    chance = np.random.default_rng(0)
    tags = chance.integers(0, 2, (300, 3))
    pixels = chance.integers(0, 100, (300, 8, 8, 3), dtype=np.uint8) + (100 * tags[:, None, None]).astype(np.uint8)
    tags = tags ^ (chance.random((300, 3)) < 0.05)  # nobody can know all
    (place / "data").mkdir()
    parts = {"images": pixels[:200], "labels": tags[:200], "test_images": pixels[200:], "test_labels": tags[200:]}
    np.savez(place / "data" / "own.npz", **parts)  # type: ignore[arg-type]
    db = open_database(f"sqlite:///{place / 'thermowell.db'}")
    migrate(db)
    try:
        _, folder = completed(
            db,
            place,
            programs=True,
            dataset={"name": "npz", "path": "own.npz", "targets": "several"},
            training={"epochs": 4, "batch_size": 16},
            space={"optimizer": {"sgd": {"learning_rate": 0.1, "momentum": 0.9}}},
            budget={"trials": 1},
            baselines={"share": 0},
            confirmation={"finalists": 1, "select_seeds": 1, "estimate_seeds": 2},
        )
    finally:
        db.close()
    names = json.loads((folder / "student.json").read_text())["class_names"]
    pictures = {}
    for number in range(200, 300):
        path = place / f"{number}.png"
        Image.fromarray(pixels[number]).save(path)
        pictures[path] = {name for name, there in zip(names, tags[number], strict=True) if there}
    return folder, pictures


@pytest.mark.slow
@pytest.mark.parametrize("program", ["student.py", "student.pt2", "student.onnx"])
def test_each_program_says_all_that_a_picture_shows(tagged: tuple[Path, dict[Path, set[str]]], program: str) -> None:
    if program == "student.onnx":
        for module in ("onnx", "onnxscript", "onnxruntime"):
            pytest.importorskip(module, reason=f"{program} is not made where {module} is not installed")
    folder, pictures = tagged
    papers = json.loads((folder / "student.json").read_text())
    if program != "student.py":
        assert papers["programs"][program] <= student_files.FARTHEST
    answers = run_bare(folder, list(pictures), program, SEVERAL if program == "student.py" else None)
    right = [set(answer) == pictures[path] for path, answer in zip(pictures, answers, strict=True)]
    assert right == right_of(folder).tolist()
    assert np.mean(right) == pytest.approx(papers["test"]["accuracy"], abs=1e-12)
    assert 0.5 < np.mean(right) < 1


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


@pytest.mark.parametrize(
    ("model", "channels", "size"),
    [
        (Model("mlp", {"width": 8, "depth": 2, "dropout": 0.5}), 1, (8, 8)),
        (Model("cnn", {"width": 4, "depth": 3, "dropout": 0.5}), 3, (9, 9)),
        (Model("resnet", {"depth": 8, "width": 1}), 3, (16, 16)),
        (Model("wrn", {"depth": 10, "width": 1, "dropout": 0.2}), 1, (16, 16)),
        (Model("squeezenet1_1"), 1, (32, 32)),
        (Model("mlp", {"width": 8}), 6, ()),
        (Model("mlp", {"width": 8}), 3, (5,)),
        (Model("vit_b_16"), 3, (32, 32)),
    ],
)
def test_each_architecture_is_rebuilt(model: Model, channels: int, size: tuple[int, ...]) -> None:
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
