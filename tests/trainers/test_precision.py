"""The precision in which a student is trained where the job leaves it open."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests.trainers.problems import problem
from trainers import run
from trainers.spec import Data, Model, Precision
from trainers.training import precision
from trainers.zoo import models

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _nothing_was_tried() -> None:
    run._tried.cache_clear()


def _processor(monkeypatch: pytest.MonkeyPatch, **units: bool) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: units, raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def _takes(monkeypatch: pytest.MonkeyPatch, fp32: float, bf16: float) -> list[Precision]:
    """Steps of so many seconds in each precision; what was tried is in the list."""
    tried: list[Precision] = []

    def seconds(_model: object, _images: object, _labels: object, name: Precision) -> float:
        tried.append(name)
        return {"fp32": fp32, "bf16": bf16}[name] * (100.0 if len(tried) <= 2 else 1.0)  # the first ones warm up

    monkeypatch.setattr(precision, "_step_seconds", seconds)
    return tried


@pytest.mark.parametrize(
    ("units", "has"), [({}, False), ({"avx512_f": True, "amx_bf16": False}, False), ({"avx512_bf16": True}, True)]
)
def test_a_processor_has_bf16_where_torch_says_so(
    monkeypatch: pytest.MonkeyPatch, units: dict[str, bool], has: bool
) -> None:
    _processor(monkeypatch, **units)
    assert precision.has_bf16(CPU) is has
    assert run.capabilities()["bf16"] is has


def test_a_torch_that_cannot_tell_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert not precision.has_bf16(CPU)


@pytest.mark.parametrize(("bf16", "chosen"), [(0.5, "bf16"), (0.9, "fp32"), (2.0, "fp32")])
def test_bf16_must_be_clearly_faster(monkeypatch: pytest.MonkeyPatch, bf16: float, chosen: str) -> None:
    _processor(monkeypatch, amx_bf16=True)
    tried = _takes(monkeypatch, 1.0, bf16)
    assert run.faster_precision(problem()) == chosen
    assert tried == ["fp32", "bf16"] * (1 + precision.TRIES)


def test_each_kind_of_student_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    _processor(monkeypatch, amx_bf16=True)
    tried = _takes(monkeypatch, 1.0, 0.5)
    run.faster_precision(problem())
    once = len(tried)
    run.faster_precision(problem(views=3))
    assert len(tried) == once
    run.faster_precision(problem(student=Model("mlp", {"width": 8})))
    assert len(tried) == 2 * once


def test_nothing_is_tried_without_units_or_training(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = _takes(monkeypatch, 1.0, 0.5)
    _processor(monkeypatch)
    assert run.faster_precision(problem()) == "fp32"
    _processor(monkeypatch, amx_bf16=True)
    assert run.faster_precision(replace(problem(), data=Data("replay", path="table"))) == "fp32"
    assert tried == []


def test_a_student_that_cannot_be_made_fails_later_with_its_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    _processor(monkeypatch, amx_bf16=True)
    assert run.faster_precision(problem(student=Model("cnn", {"width": -1}))) == "fp32"


def test_steps_are_timed_on_real_models() -> None:
    model = models.build(Model("cnn", {"width": 4, "depth": 2}), 1, (8, 8), 10, seed=0)
    assert precision.faster(model, 1, (8, 8), 10, 16) in ("fp32", "bf16")
