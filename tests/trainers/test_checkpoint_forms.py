"""Checkpoints of every form that training scripts write: whatever lies around the tensors, before and within their
names, beside them and in their types.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests import distributions
from tests.trainers.problems import problem, teacher
from tests.trainers.test_teacher import put
from trainers import plugin_codes, run, weight_files
from trainers.errors import TeacherInvalid
from trainers.preprocessing import MEASURED, Preprocessing
from trainers.spec import Data, Initial, Model, Teacher, Training
from trainers.teaching import initial
from trainers.zoo import heads, models, weights

MODEL = Model("cnn", {"width": 4, "depth": 2})
STATE = models.build(MODEL, 1, (8, 8), 7, seed=3).state_dict()
OTHER = models.build(MODEL, 1, (8, 8), 7, seed=4).state_dict()
WIDE = models.build(Model("cnn", {"width": 8, "depth": 2}), 1, (8, 8), 7, seed=3).state_dict()
DATA = Data("digits", train_size=100)


def added(tmp_path: Path, content: Any, model: Model | None = MODEL, channels: int = 1) -> Any:
    """The report, and the tensors that were written."""
    torch.save(content, tmp_path / "own.pth")
    report = weight_files.add(tmp_path / "own.pth", tmp_path / "out", model, channels, (8, 8), None)
    return report, weights.load(tmp_path / "out")


def named(before: str, tensors: Mapping[str, Tensor] = STATE) -> dict[str, Tensor]:
    return {f"{before}{name}": tensor for name, tensor in tensors.items()}


AROUND = [
    (), ("state_dict",), ("ema", "module"), ("state_dict_ema",), ("model_state",), ("checkpoint", "nested", "deeper"),
    ("student",), ("model", "net", "state_dict"), (0,), ("parts", 1, "model"),
]  # fmt: skip
BEFORE = ["", "module.", "_orig_mod.module.", "model.net.", "learner.ema_model.module.", "student.", "0.1."]


def wrapped(keys: tuple[str | int, ...], inner: Any) -> Any:
    for key in reversed(keys):
        inner = [{"epoch": 3}] * key + [inner] if isinstance(key, int) else {"epoch": 3, "lr": 0.1, key: inner}
    return inner


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("before", BEFORE)
def test_tensors_are_found_wherever_they_lie(tmp_path: Path, around: tuple[str | int, ...], before: str) -> None:
    optimizer = {"state": {0: {"exp_avg": torch.ones(4, 1, 3, 3), "step": torch.tensor(1.0)}}}
    content = wrapped(around, named(before))
    report, tensors = added(tmp_path, {"optimizer": optimizer, "of": content} if around else content)
    assert report.whole
    assert report.classes == 7
    assert not report.left_over
    assert tensors.keys() == STATE.keys()
    assert all(torch.equal(tensors[name], tensor) for name, tensor in STATE.items())


@pytest.mark.parametrize("word", ["module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"])
def test_wrappers_of_a_part_are_passed_over(tmp_path: Path, word: str) -> None:
    within = {name.replace(".", f".{word}.", 1): tensor for name, tensor in STATE.items()}
    report, tensors = added(tmp_path, within)
    assert report.whole
    assert all(torch.equal(tensors[name], tensor) for name, tensor in STATE.items())


def test_pieces_are_joined(tmp_path: Path) -> None:
    head = {name: tensor for name, tensor in STATE.items() if name.startswith("head.")}
    body = {name: tensor for name, tensor in STATE.items() if name not in head}
    for content in ({**named("backbone.", body), **head}, {"backbone": body, "model": head}):
        report, tensors = added(tmp_path, content)
        assert report.whole
        assert all(torch.equal(tensors[name], tensor) for name, tensor in STATE.items())


def test_of_several_the_usual_one_is_taken_and_the_rest_said(tmp_path: Path) -> None:
    report, tensors = added(tmp_path, {"model_ema": OTHER, "model": STATE})
    assert torch.equal(tensors["head.weight"], STATE["head.weight"])
    assert any("also there, and not taken: model_ema." in line for line in report.lines())
    for names in (("student.module", "teacher"), ("encoder_q", "state_dict.encoder_k")):
        with pytest.raises(TeacherInvalid, match="several times, below"):
            added(tmp_path, {**named(f"{names[0]}."), **named(f"{names[1]}.", OTHER)})
    with pytest.raises(TeacherInvalid, match=r"several times, below first\., second\.: save those alone"):
        added(tmp_path, {"first": STATE, "second": OTHER})
    report, _ = added(tmp_path, {"first": STATE, "second": STATE})
    assert report.whole


def test_of_several_widths_the_models_own_is_taken(tmp_path: Path) -> None:
    _, tensors = added(tmp_path, {"state_dict": {**named("teacher.", WIDE), **named("student.")}})
    assert all(torch.equal(tensors[name], tensor) for name, tensor in STATE.items())


PLAIN: dict[str, Any] = {
    "arguments": argparse.Namespace(lr=0.1, out=Path("runs")),
    "a number of numpy's": {"best": np.float64(0.9), "epoch": np.int64(3)},
    "an array": {"rng": ("MT19937", np.arange(4, dtype=np.uint32), 3)},
    "a path": Path("runs/best"),
}


@pytest.mark.parametrize("kind", PLAIN)
def test_plain_data_lie_beside_tensors(tmp_path: Path, kind: str) -> None:
    report, _ = added(tmp_path, {"model": STATE, "args": PLAIN[kind]})
    assert report.whole


def test_arrays_of_objects_do_not(tmp_path: Path) -> None:
    with pytest.raises(TeacherInvalid, match="objects besides tensors"):
        added(tmp_path, {"model": STATE, "args": np.array([{"a": 1}], dtype=object)})


def test_another_pickle_protocol_is_named(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save(STATE, tmp_path / "own.pth", pickle_protocol=4)
        with pytest.raises(TeacherInvalid, match=r"protocol that is not read: save it with torch\.save's own, 2"):
            weight_files.add(tmp_path / "own.pth", tmp_path / "out", MODEL, 1, (8, 8), None)


def test_a_container_within_itself_ends(tmp_path: Path) -> None:
    content: dict[str, Any] = {"model": STATE}
    content["self"] = content
    assert added(tmp_path, content)[0].whole


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floats_are_taken(tmp_path: Path, dtype: torch.dtype) -> None:
    floats = {name: tensor.to(dtype) if tensor.is_floating_point() else tensor for name, tensor in STATE.items()}
    report, tensors = added(tmp_path, floats)
    assert report.whole
    model = models.build(MODEL, 1, (8, 8), 7, seed=0)
    weights.fill(model, tensors, "they")
    assert torch.allclose(model.state_dict()["head.weight"], STATE["head.weight"], atol=1e-2)


@pytest.mark.parametrize(
    ("tensor", "words"),
    [
        (STATE["head.weight"].mul(9).to(torch.int8), r"unusable: head\.weight is int8 for float32"),
        (STATE["head.weight"].to(torch.complex64), r"unusable: head\.weight is complex64 for float32"),
        (STATE["head.weight"] * float("nan"), r"unusable: head\.weight is not finite"),
    ],
)
def test_tensors_that_are_no_weights_are_refused(tmp_path: Path, tensor: Tensor, words: str) -> None:
    with pytest.raises(TeacherInvalid, match=words):
        added(tmp_path, {**STATE, "head.weight": tensor})


def test_views_of_shared_memory_are_taken(tmp_path: Path) -> None:
    memory = torch.cat([tensor.flatten().float() for tensor in STATE.values()])
    parts = memory.split([tensor.numel() for tensor in STATE.values()])
    views = {
        name: part.reshape(STATE[name].shape) if STATE[name].is_floating_point() else STATE[name]
        for name, part in zip(STATE, parts, strict=True)
    }
    views["head.weight"] = STATE["head.weight"].t().contiguous().t()
    report, tensors = added(tmp_path, views)
    assert report.whole
    assert torch.equal(tensors["head.weight"], STATE["head.weight"])


def test_without_a_model_they_are_unwrapped_all_the_same(tmp_path: Path) -> None:
    optimizer = {"state": {0: {"exp_avg": torch.ones(4), "step": torch.tensor(1.0)}}}
    for content in ({"state_dict": STATE}, {"student": STATE}, {"epoch": torch.tensor(3), "model": STATE}):
        report, tensors = added(tmp_path, {**content, "optimizer": optimizer}, model=None)
        assert tensors.keys() == STATE.keys()
        assert any("checked when a job begins" in line for line in report.lines())
    _, tensors = added(tmp_path, {**STATE, "weights": {"of the loss": torch.ones(2)}}, model=None)
    assert tensors.keys() == STATE.keys()


def test_a_job_finds_the_names_of_what_was_kept_as_it_was(roots: run.Roots) -> None:
    state = models.build(MODEL, 1, (8, 8), 10, seed=3).state_dict()
    facts = []
    for tensors in (state, named("module.", state), {n: t for n, t in state.items() if "num_batches" not in n}):
        given = Teacher("weights", MODEL, artifact=put(roots.store, tensors), preprocessing=Preprocessing("unit"))
        facts.append(run.prepare(problem(data=DATA, teacher=given, views=1), roots, "cpu").facts.validation)
    assert facts[0] == facts[1] == facts[2]
    extra = put(roots.store, {**state, "more.weight": torch.zeros(2)})
    given = Teacher("weights", MODEL, artifact=extra, preprocessing=Preprocessing("unit"))
    with pytest.raises(TeacherInvalid, match=r"left over: more\.weight.*`thermowell weights add FILE --model NAME`"):
        run.prepare(problem(data=DATA, teacher=given, views=1), roots, "cpu")


def test_features_without_a_head_are_given_one(roots: run.Roots, tmp_path: Path) -> None:
    body = {name: tensor for name, tensor in STATE.items() if not name.startswith("head.")}
    report, tensors = added(tmp_path, body)
    assert any("it has no head: for origin.weights or student.initial" in line for line in report.lines())
    artifact = put(roots.store, tensors)
    short = teacher(training=Training(1, 16))
    wanted = problem(data=DATA, student=MODEL, teacher=short, views=1, initial=Initial("weights", artifact=artifact))
    ready = run.prepare(wanted, roots, "cpu")
    assert isinstance(ready, run.Prepared)
    student = initial.student(ready, seed=5).state_dict()
    assert all(torch.equal(student[name], tensor) for name, tensor in body.items())
    alone = Teacher("weights", MODEL, artifact=artifact, preprocessing=Preprocessing("unit"))
    with pytest.raises(
        TeacherInvalid, match=r"has no head, for it lacks head\.bias, head\.weight: use it as origin\.weights"
    ):
        run.prepare(problem(data=DATA, teacher=alone, views=1), roots, "cpu")


@pytest.mark.parametrize("channels", [1, 3])
def test_images_of_other_channels_are_said_or_tried(tmp_path: Path, channels: int) -> None:
    state = models.build(MODEL, channels, (8, 8), 7, seed=3).state_dict()
    assert added(tmp_path, state, channels=4 - channels)[0].whole
    with pytest.raises(TeacherInvalid, match="Say --arguments, --channels and --size as it was trained with"):
        added(tmp_path, WIDE)


@pytest.mark.parametrize(
    ("shape", "few", "more", "classes"),
    [((37, 8), (2, 8), (3, 8), 37), ((8, 37), (8, 2), (8, 3), 37), ((149,), (9,), (13,), 37),
     ((8, 8), (2, 8, 1), (3, 8, 1), None)],
)  # fmt: skip
def test_classes_are_counted_along_whatever_dimension_they_have(
    shape: tuple[int, ...], few: tuple[int, ...], more: tuple[int, ...], classes: int | None
) -> None:
    assert heads._classes(shape, few, more) == classes


FIXED = """
from torch import nn
from thermowell import plugin

@plugin.model("acme/fixed")
def fixed(shape, classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
"""


def test_a_plugins_model_of_its_own_classes_is_filled(roots: run.Roots, tmp_path: Path) -> None:
    """Its file is kept by whoever has not loaded it, and a job finds its names."""
    tensors = {"net.module.1.weight": torch.randn(10, 64), "net.module.1.bias": torch.zeros(10)}
    report, tensors = added(tmp_path, {"model": tensors}, Model("acme/fixed"))
    assert any("checked when a job begins" in line for line in report.lines())
    (tmp_path / "site").mkdir()
    distributions.write(tmp_path / "site", "acme-kd", FIXED)
    with distributions.importable(tmp_path / "site"):
        run.load_plugins(["acme-kd"])
        given = Teacher("weights", Model("acme/fixed"), artifact=put(roots.store, tensors), preprocessing=MEASURED)
        ready = run.prepare(plugin_codes.complete(problem(data=DATA, teacher=given, views=1)), roots, "cpu")
    assert ready.facts.classes == 10
