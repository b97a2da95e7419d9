"""Every optimizer that has a record keeps the contract, without a line about it here: a student is what the loop makes
of it in a bank too, beside students of other optimizers, and when it changes engines at its checkpoints.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path

import pytest
import safetensors.torch
from torch import Tensor

from tests.trainers.problems import assignment, problem, teacher
from trainers import run
from trainers.engines.bank import BankEngine
from trainers.engines.engine import Engine
from trainers.engines.loop import LoopEngine
from trainers.registry.optimizers import OPTIMIZERS, Interval, OptimizerRecord
from trainers.spec import Assignment, Data, Model, Optimizer, Schedule, Training
from trainers.teaching.prepared import Prepared

pytestmark = pytest.mark.usefixtures("one_thread", "double")
EPOCHS = 3
every = pytest.mark.parametrize("name", OPTIMIZERS)


@pytest.fixture
def ready(tmp_path: Path) -> Prepared:
    training = Training(EPOCHS, 32, Schedule("cosine", warmup_epochs=1))
    taught = teacher(model=Model("mlp", {"width": 32}), training=Training(2, 32))
    student = Model("mlp", {"width": 16, "dropout": 0.2})
    data = Data("digits", train_size=96, augmentation="shift")
    wanted = problem(data=data, teacher=taught, student=student, training=training)
    return run.prepare(wanted, run.Roots(tmp_path, tmp_path), "cpu")


def middle(record: OptimizerRecord, momentum: float) -> Optimizer:
    """The optimizer with a learning rate and a weight decay from the middle of its ranges."""
    values = {}
    for setting in record.settings:
        if isinstance(setting.default, Interval):
            values[setting.name] = math.sqrt(setting.default.low * setting.default.high)
    if "momentum" in record.setting_names():
        values["momentum"] = momentum
    return Optimizer(record.name, **values)


def students(name: str) -> list[Assignment]:
    """Two of that optimizer, with and without momentum where it has one, and one of each other."""
    own = [assignment(f"{name} {momentum}", 3, optimizer=middle(OPTIMIZERS[name], momentum)) for momentum in (0.0, 0.9)]
    others = [record for record in OPTIMIZERS.values() if record.name != name]
    return [*own, *(assignment(one.name, 4 + seed, optimizer=middle(one, 0.5)) for seed, one in enumerate(others))]


def weights(engine: Engine, lane: int, folder: Path) -> dict[str, Tensor]:
    engine.save_student(lane, folder / "student.safetensors")
    return safetensors.torch.load_file(folder / "student.safetensors")


def alone(ready: Prepared, one: Assignment, folder: Path) -> dict[str, Tensor]:
    loop = LoopEngine(ready)
    lane = loop.admit(one)
    while loop.step_epoch():
        pass
    return weights(loop, lane, folder)


def farthest(got: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> float:
    assert set(got) == set(expected)
    return max(float((got[name] - expected[name]).norm()) for name in expected)


@every
@pytest.mark.parametrize("batched", [False, True])
def test_in_a_bank_as_in_the_loop(name: str, batched: bool, ready: Prepared, tmp_path: Path) -> None:
    company = students(name)
    bank = BankEngine(ready, len(company), batched=batched)
    lanes = [bank.admit(one) for one in company]
    while bank.step_epoch():
        pass
    for lane, one in zip(lanes, company, strict=True):
        assert farthest(weights(bank, lane, tmp_path), alone(ready, one, tmp_path)) <= 1e-9, one.trial


@every
@pytest.mark.parametrize("begins", [LoopEngine, BankEngine])
def test_at_each_checkpoint_it_may_change_engines(
    name: str, begins: type[LoopEngine] | type[BankEngine], ready: Prepared, tmp_path: Path
) -> None:
    kinds = [begins, BankEngine if begins is LoopEngine else LoopEngine, begins]
    for one in students(name)[:2]:
        checkpoint = None
        for epoch, kind in enumerate(kinds):
            engine = kind(ready, 2)
            lane = engine.admit(one, checkpoint)
            engine.step_epoch()
            checkpoint = tmp_path / f"{one.trial}-{epoch}"
            engine.save_lane(lane, checkpoint)
        assert farthest(weights(engine, lane, tmp_path), alone(ready, one, tmp_path)) <= 1e-9, one.trial


@every
@pytest.mark.parametrize("batched", [False, True])
def test_a_lane_that_is_not_active_stays_as_it_is(name: str, batched: bool, ready: Prepared, tmp_path: Path) -> None:
    """A student that has ended is computed along with one that has not, and moves no more."""
    first, second = students(name)[:2]
    bank = BankEngine(ready, 2, batched=batched)
    lane = bank.admit(first)
    for _ in range(EPOCHS):
        bank.step_epoch()
    ended = weights(bank, lane, tmp_path)
    bank.admit(dataclasses.replace(second, trial="late"))
    bank.step_epoch()
    assert farthest(weights(bank, lane, tmp_path), ended) == 0
