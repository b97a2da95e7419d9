"""A name without a record is an error, in every engine and for every kind of choice; nothing else takes its place."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from search.spec.fields import DOOR
from search.spec.job import JobSpec
from tests.trainers.problems import assignment, problem
from trainers import run
from trainers.data import mixing
from trainers.engines.bank import BankEngine
from trainers.engines.engine import Engine
from trainers.engines.loop import LoopEngine
from trainers.errors import ModelUnavailable, NameUnknown, TooFewClasses
from trainers.registry import augmentations, losses, optimizers
from trainers.spec import Distillation, Model, Optimizer, Schedule, Training
from trainers.teaching.prepared import Prepared
from trainers.training import optim, temperature
from trainers.zoo import models

ENGINES: dict[str, Callable[[Prepared, int], Engine]] = {"loop": LoopEngine, "bank": BankEngine}
engines = pytest.mark.parametrize("engine", ENGINES)
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    folder = tmp_path_factory.mktemp("names")
    return run.prepare(problem(), run.Roots(folder, folder), "cpu")


def changed(ready: Prepared, **changes: Any) -> Prepared:
    """The same data and teacher in a problem with other parts."""
    return dataclasses.replace(ready, problem=dataclasses.replace(ready.problem, **changes))


@engines
@pytest.mark.parametrize("name", ["nothing", "Adam", ""])
def test_an_unknown_optimizer_is_refused(engine: str, name: str, ready: Prepared) -> None:
    opened = ENGINES[engine](ready, 2)
    with pytest.raises(NameUnknown, match="unknown optimizer") as caught:
        opened.admit(assignment(optimizer=Optimizer(name, 0.1)))
    for known in optimizers.OPTIMIZERS:
        assert known in str(caught.value)
    assert "update this worker" in str(caught.value)
    assert opened.free() == 2  # and it takes no lane
    opened.admit(assignment())
    assert len(opened.step_epoch()) == 1


@engines
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"distillation": Distillation("nothing")}, "unknown distillation method 'nothing'"),
        ({"distillation": Distillation(shape="nothing")}, "unknown schedule of the temperature 'nothing'"),
        ({"training": Training(3, 32, Schedule("nothing", warmup_epochs=1))}, "unknown schedule of the learning rate"),
    ],
    ids=["method", "temperature", "schedule"],
)
def test_an_unknown_method_or_schedule_is_refused(
    engine: str, changes: dict[str, Any], words: str, ready: Prepared
) -> None:
    with pytest.raises(NameUnknown, match=words):
        ENGINES[engine](changed(ready, **changes), 1)


@engines
def test_a_configuration_s_own_method_is_plain_or_none(engine: str, ready: Prepared) -> None:
    opened = ENGINES[engine](changed(ready, distillation=Distillation("mse")), 1)
    for name in ("mse", "nothing"):
        with pytest.raises(NameUnknown, match=f"not '{name}'"):
            opened.admit(assignment(method=name))
    opened.admit(assignment(method=losses.PLAIN))


@engines
def test_too_few_classes_are_refused(engine: str, ready: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    record = dataclasses.replace(losses.LOSSES["dist"], least_classes=11)
    monkeypatch.setitem(losses.LOSSES, "dist", record)  # type: ignore[arg-type]
    with pytest.raises(TooFewClasses, match="dist needs 11 classes or more, and there are 10"):
        ENGINES[engine](changed(ready, distillation=Distillation("dist", revision=record.revision)), 1)
    ENGINES[engine](changed(ready, distillation=Distillation("dist")), 1)  # as a job of before has it
    document = {
        "name": "few", "dataset": {"name": "digits"}, "student": {"name": "mlp"},
        "teacher": {"model": {"name": "cnn"}, "training": {}, "optimizer": {}}, "distillation": {"method": "dist"},
    }  # fmt: skip
    with pytest.raises(ValueError, match="another one where there are 10 classes: dist needs 11 or more"):
        JobSpec.model_validate(document, context=DOOR)
    assert JobSpec.model_validate(document)  # what was stored is read as it was
    assert JobSpec.model_validate(document | {"distillation": {"method": "dkd"}}, context=DOOR)


def test_unknown_names_are_refused_wherever_torch_meets_them() -> None:
    weights = [torch.nn.Parameter(torch.ones(1))]
    for meet in (
        lambda: optim.make(weights, Optimizer("nothing", 0.1)),
        lambda: optim.factor(5, 2, Training(3, 8, Schedule("nothing"))),
        lambda: temperature.share(Distillation(shape="nothing"), 0, 10),
        lambda: mixing.parts("nothing"),
        lambda: augmentations.get("nothing"),
    ):
        with pytest.raises(NameUnknown, match="'nothing'"):
            meet()
    with pytest.raises(ModelUnavailable, match="'nothing'"):
        models.build(Model("nothing"), 1, (8, 8), 10, 0)


def test_an_unknown_optimizer_of_the_teacher_is_refused(tmp_path: Path) -> None:
    wanted = problem()
    taught = dataclasses.replace(wanted.teacher, optimizer=Optimizer("nothing", 0.1))
    with pytest.raises(NameUnknown, match="unknown optimizer"):
        run.prepare(dataclasses.replace(wanted, teacher=taught), run.Roots(tmp_path, tmp_path), "cpu")
