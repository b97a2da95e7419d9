"""The table of docs/teachers.md: a teacher that is given in each way is worth here what it is in a script of its own
that knows nothing of this project, to the image.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.trainers import local_networks
from tests.trainers.problems import SGD, problem
from tests.trainers.test_preprocessing import MODEL, OWN, own_script
from tests.trainers.test_teacher import put
from trainers import plugin_codes, preprocessing, run, weight_files
from trainers.data import datasets
from trainers.derived import digest_of
from trainers.preprocessing import MEASURED, Preprocessing, Preset
from trainers.registry import local_models, named
from trainers.spec import Classes, Data, Model, Teacher, Training
from trainers.zoo import models, weights

DIGITS = Data("digits", train_size=300)
PARITY = Data("digits", train_size=300, classes=Classes("map", map=(0, 1) * 5))
EVEN_AND_ODD = ((0, 2, 4, 6, 8), (1, 3, 5, 7, 9))
WAYS = {".pth": "unit", ".safetensors": "imagenet", "package:NAME": "half", "hf:PATH": "imagenet", "logits": "unit"}
"""What is in the table's first column, and how that teacher's own script prepares images."""
ORIGINS = ("the spec says it", "the file says it", "measured", "as students")
MOMENTS = {"unit": (0.0, 1.0), "half": (0.5, 0.5), "imagenet": (0.449, 0.226)}


def table() -> Iterator[tuple[str, str, str]]:
    """Way, origin of the preprocessing and head, of each entry of the page's table."""
    page = Path(__file__).parents[2].joinpath("docs", "teachers.md").read_text()
    _, part = page.split("| given as |")
    header, _, *lines = f"| given as |{part}".splitlines()
    origins = [cell.strip() for cell in header.strip("|").split("|")][1:]
    assert origins == list(ORIGINS)
    for line in lines:
        if not line.startswith("|"):
            return
        way, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        for origin, cell in zip(origins, cells, strict=True):
            for head in re.findall(r"own|map|new", cell):
                yield way.strip("`"), origin, head


ROWS = list(table())


@cache
def local_network() -> torch.nn.Module:
    """A ResNet of transformers that a script has trained on digits, prepared as ImageNet's."""
    prepare = OWN["imagenet"]
    network: torch.nn.Module = local_networks.trained_on_digits("resnet", lambda pixels: prepare(pixels.float()), 60)
    return network


def script(way: str) -> Callable[[Tensor], Tensor]:
    """The teacher's own: pixels to probabilities of ten classes."""
    preset: Preset = WAYS[way]  # type: ignore[assignment]
    if way == "hf:PATH":
        network = local_network()
        return lambda pixels: network(OWN[preset](pixels.float())).logits.softmax(-1)
    model = models.build(MODEL, 1, (8, 8), 10, seed=0).eval()
    model.load_state_dict(own_script(preset)[0])
    return lambda pixels: model(OWN[preset](pixels.float())).softmax(-1)


def lay(way: str, stated: bool, roots: run.Roots, folder: Path) -> tuple[Model, str]:
    """Puts the teacher where that way has it, with or without what says how its images are prepared; the model, and
    what a spec calls its weights.
    """
    preset: Preset = WAYS[way]  # type: ignore[assignment]
    mean, std = MOMENTS[preset]
    if way == "hf:PATH":
        local_network().save_pretrained(folder / "net")  # type: ignore[operator]
        if stated:
            processor = {"image_mean": [mean], "image_std": [std], "size": {"height": 8, "width": 8}}
            (folder / "net" / "preprocessor_config.json").write_text(json.dumps(processor))
        return Model("hf:net"), "hf:net"
    tensors, _, _ = own_script(preset)
    if way == "package:NAME":
        torch.save(tensors, folder / "net.pth")
        document = {"preset": preset} if stated else None
        named.note([named.NamedWeights("package:net", folder / "net.pth", "cnn", "net 1.0", preprocessing=document)])
        return MODEL, "package:net"
    if way == ".safetensors":
        metadata = {preprocessing.METADATA: json.dumps({"preset": preset})} if stated else None
        weights.save(tensors, folder / "net.safetensors", metadata)
        return MODEL, keep(roots, folder / "net.safetensors")
    torch.save({"state_dict": {f"module.{name}": tensor for name, tensor in tensors.items()}}, folder / "net.pth")
    if stated:
        timm = {"input_size": [1, 8, 8], "crop_pct": 1.0, "mean": [mean], "std": [std]}
        (folder / "config.json").write_text(json.dumps({"pretrained_cfg": timm}))
    weight_files.add(folder / "net.pth", folder / "out", MODEL, 1, (8, 8), None)
    return MODEL, keep(roots, folder / "out")


def keep(roots: run.Roots, path: Path) -> str:
    digest = digest_of(path)
    target = roots.store / digest[:2] / digest
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(path.read_bytes())
    return digest


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Where files of others lie; what was noted of them is forgotten afterwards."""
    path = tmp_path / "others"
    path.mkdir()
    local_models.set_root(path)
    yield path
    local_models.set_root(None)
    named.note(())


def test_the_table_has_every_way() -> None:
    assert {way for way, _, _ in ROWS} == set(WAYS)
    assert len(ROWS) == len(set(ROWS)) == 30


@pytest.mark.parametrize(("way", "origin", "head"), ROWS)
def test_a_given_teacher_is_worth_what_it_is_in_its_own_script(
    roots: run.Roots, folder: Path, way: str, origin: str, head: str
) -> None:
    data = DIGITS if head == "own" else PARITY
    split = datasets.load(data, roots.data)
    own = script(way)
    with torch.no_grad():
        shares, of_training = own(split.validation.images), own(split.train.images)
    if way == "logits":
        test = torch.zeros(datasets.check_test(data, roots.data, split, roots.store) or 0, 10)
        answers = {"train": of_training.log()[None], "validation": shares.log(), "test": test}
        groups = EVEN_AND_ODD if head == "map" else ()
        teacher = Teacher("logits", artifact=put(roots.store, answers), class_map=groups)
    else:
        model, reference = lay(way, origin == "the file says it", roots, folder)
        said = Preprocessing(WAYS[way]) if origin == "the spec says it" else MEASURED  # type: ignore[arg-type]
        teacher = Teacher("weights", model, artifact=reference, preprocessing=said)
        if head == "map":
            teacher = Teacher("weights", model, artifact=reference, preprocessing=said, class_map=EVEN_AND_ODD)
        if head == "new":
            teacher = Teacher(
                model=model, origin=reference, finetune="head", training=Training(2, 32), optimizer=SGD, seed=5
            )
    ready = run.prepare(plugin_codes.complete(problem(data=data, teacher=teacher, views=1)), roots, "cpu")
    assert isinstance(ready, run.Prepared)
    if head == "new":  # its own script is the file that was trained here, in plain torch
        (path,) = (roots.store / "teachers").rglob("weights-*.safetensors")
        network = models.build(ready.problem.teacher.model or MODEL, 1, (8, 8), 2, seed=0).eval()
        network.load_state_dict(weights.load(path))
        mean, std = float(split.mean[0]), float(split.std[0])
        with torch.no_grad():
            shares = network((split.validation.images.float() / 255 - mean) / std).softmax(-1)
    elif head == "map":
        shares = torch.stack([shares[:, list(group)].sum(-1) for group in EVEN_AND_ODD], -1)
    right = int((shares.argmax(-1) == split.validation.labels).sum())
    assert round(ready.facts.validation.accuracy * ready.facts.validation_images) == right
    assert right > 0.6 * len(split.validation.labels)
    if head != "new" and way != "logits":
        (fact,) = ready.facts.preprocessing
        assert fact.origin == {ORIGINS[0]: "spec", ORIGINS[1]: "file", ORIGINS[2]: "measured"}[origin]
