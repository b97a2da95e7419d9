"""Files of weights as people have them: unwrapped, renamed, checked, and refused with what does not fit."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainers import preprocessing, weight_files
from trainers.errors import TeacherInvalid
from trainers.preprocessing import Preprocessing
from trainers.spec import Model
from trainers.zoo import models, statements, tensor_files, weights

MODEL = Model("cnn", {"width": 4, "depth": 2})
STATE = models.build(MODEL, 1, (8, 8), 7, seed=3).state_dict()


def added(tmp_path: Path, content: Any, name: str = "own.pth", model: Model | None = MODEL) -> Any:
    """The report, the tensors that were written, and what they say of themselves."""
    torch.save(content, tmp_path / name)
    report = weight_files.add(tmp_path / name, tmp_path / "out", model, 1, (8, 8), None)
    return report, weights.load(tmp_path / "out"), weights.metadata(tmp_path / "out")


WRAPPED: dict[str, Any] = {
    "bare": STATE,
    "state_dict": {"state_dict": STATE, "epoch": 3, "optimizer": {"lr": 0.1}},
    "model in state_dict": {"model": {"state_dict": STATE}},
    "model_ema": {"model_ema": STATE, "step": 1},
    "DataParallel": {f"module.{name}": tensor for name, tensor in STATE.items()},
    "compiled and parallel": {f"_orig_mod.module.{name}": tensor for name, tensor in STATE.items()},
    "Lightning": {"state_dict": {f"model.{name}": tensor for name, tensor in STATE.items()}, "hyper_parameters": {}},
    "without counters": {name: tensor for name, tensor in STATE.items() if "num_batches" not in name},
    "with more": {**STATE, "auxiliary.weight": torch.zeros(3)},
}


@pytest.mark.parametrize("way", WRAPPED)
def test_is_unwrapped_and_renamed(tmp_path: Path, way: str) -> None:
    report, tensors, _ = added(tmp_path, WRAPPED[way])
    assert report.whole
    assert report.classes == 7
    assert set(tensors) == set(STATE)
    assert all(torch.equal(tensors[name], tensor) for name, tensor in STATE.items())
    assert report.left_over == (("auxiliary.weight",) if way == "with more" else ())


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({name: tensor for name, tensor in STATE.items() if name != "convs.0.weight"}, r"missing: convs\.0\.weight"),
        ({**STATE, "convs.0.weight": torch.zeros(9, 1, 3, 3)}, r"other shape: convs\.0\.weight \[9, 1, 3, 3\] for \[4"),
        ({"epoch": 3}, "holds no tensors; it has epoch"),
        (torch.zeros(3), "no tensors by name"),
        (torch.nn.Linear(2, 2), "which are not read, for they could run code"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, content: Any, words: str) -> None:
    with pytest.raises(TeacherInvalid, match=words):
        added(tmp_path, content)
    assert not (tmp_path / "out").exists()


class Evil:
    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.place),)


def test_no_code_of_a_file_is_run(tmp_path: Path) -> None:
    with pytest.raises(TeacherInvalid, match="could run code"):
        added(tmp_path, {"state_dict": STATE, "extra": Evil(tmp_path / "ran")})
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04nothing", b"\x80\x02.", b"not a file of weights"])
def test_damaged_files_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "own.pth").write_bytes(content)
    with pytest.raises(TeacherInvalid, match=r"own\.pth"):
        tensor_files.read(tmp_path / "own.pth")


TIMM = {"input_size": [3, 240, 240], "crop_pct": 0.9, "interpolation": "bicubic", "mean": [0.5] * 3, "std": [0.5] * 3}
CLIP = {
    "image_mean": [0.48, 0.45, 0.4], "image_std": [0.26, 0.26, 0.27], "size": {"shortest_edge": 256}, "resample": 3,
    "crop_size": {"height": 224, "width": 224}, "do_center_crop": True, "rescale_factor": 1 / 255,
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "document", "expected"),
    [
        (
            "config.json", {"architecture": "x", "pretrained_cfg": TIMM},
            Preprocessing("custom", (0.5,) * 3, (0.5,) * 3, size=(240, 240), interpolation="bicubic", crop=0.9),
        ),
        (
            "preprocessor_config.json", CLIP,
            Preprocessing(
                "custom", (0.48, 0.45, 0.4), (0.26, 0.26, 0.27), size=(224, 224), interpolation="bicubic", crop=0.875
            ),
        ),
    ],
)  # fmt: skip
def test_what_lies_beside_says_how_images_are_prepared(
    tmp_path: Path, name: str, document: dict[str, Any], expected: Preprocessing
) -> None:
    (tmp_path / name).write_text(json.dumps(document))
    report, _, metadata = added(tmp_path, STATE)
    said = preprocessing.from_document(json.loads(metadata[preprocessing.METADATA]))
    assert said.value_range == pytest.approx((0, 1))
    assert said == Preprocessing(**{**vars_of(expected), "value_range": said.value_range})
    assert report.preprocessing == preprocessing.words(said)


def vars_of(said: Preprocessing) -> dict[str, Any]:
    return {name: getattr(said, name) for name in said.__dataclass_fields__}


def test_torchvisions_own_files_are_known_by_their_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file whose sha256 begins as torchvision's address says has the transforms of those weights."""
    import hashlib

    (tmp_path / "resnet18.pth").write_bytes(b"what torchvision publishes")

    class Known:
        def __init__(self, content: bytes) -> None:
            self.hash = hashlib.sha256(content).hexdigest()

        def hexdigest(self) -> str:
            return "f37072fd" + self.hash[8:]

    monkeypatch.setattr(statements.hashlib, "file_digest", lambda file, _: Known(file.read()))
    said = statements.of_torchvision(tmp_path / "resnet18.pth", "resnet18")
    assert said is not None
    assert (said.size, said.crop, said.interpolation) == ((224, 224), 0.875, "bilinear")
    assert said.mean == pytest.approx((0.485, 0.456, 0.406))
    assert statements.of_torchvision(tmp_path / "resnet18.pth", "resnet34") is None


def test_logits_are_told_from_weights(tmp_path: Path) -> None:
    parts = {"train": torch.zeros(2, 5, 7), "validation": torch.zeros(3, 7), "test": torch.zeros(4, 7)}
    safetensors.torch.save_file(parts, tmp_path / "logits.safetensors")
    report = weight_files.add(tmp_path / "logits.safetensors", tmp_path / "out", None, 1, (8, 8), None)
    assert report.classes == 7
    assert "train: [2, 5, 7]" in report.lines()
    with pytest.raises(TeacherInvalid, match="same classes"):
        weight_files.logits_report({**parts, "test": torch.zeros(4, 8)})


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=20), max_size=6))
def test_the_same_tensors_and_metadata_are_the_same_bytes(metadata: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in ("first", "second")]
        weights.save(STATE, paths[0], metadata)
        weights.save(STATE, paths[1], dict(reversed(metadata.items())))
        assert paths[0].read_bytes() == paths[1].read_bytes()
        assert weights.metadata(paths[0]) == metadata
        assert all(torch.equal(tensor, STATE[name]) for name, tensor in weights.load(paths[0]).items())
