"""Trial of two lanes of a bank against the loop where a plugin's code trains: a bank runs code that none knows."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from trainers.engines.bank import BankEngine
from trainers.engines.engine import Engine
from trainers.engines.loop import LoopEngine
from trainers.engines.warmup import batched_refusal, short_epochs
from trainers.registry import optimizers
from trainers.registry.optimizers import Interval
from trainers.spec import Assignment, Configuration, EpochReport, Optimizer
from trainers.teaching.prepared import Prepared
from trainers.zoo import weights

STEPS = 3
"""Of each student, in two epochs each."""
FARTHEST = 1e-3
"""That a loss or a weight may be from the loop's, as a share of the largest: sums are in another order."""
_SHARPER = Configuration(
    temperature=1.5, kd_weight=0.9, label_weight=0.1, optimizer=Optimizer(optimizers.DEFAULT, 3e-3, weight_decay=1e-3)
)
_SOFTER = Configuration(
    temperature=4.0, kd_weight=0.5, label_weight=0.5, optimizer=Optimizer(optimizers.DEFAULT, 1e-2, momentum=0.9)
)
_STUDENTS = (Assignment("0", _SOFTER, seed=1), Assignment("1", _SHARPER, seed=2))
Trained = tuple[list[float], list[dict[str, Tensor]]]
"""The losses of students, epoch by epoch, and what they come to."""
CANNOT = "two lanes cannot be trained"
_MOST = 64
_known: dict[str, str | None] = {}
"""By a problem's fingerprint."""


def refusal(prepared: Prepared) -> str | None:
    """Why students are not trained in a bank where a plugin has their model, loss or optimizer; None where they are, or
    no plugin has.
    """
    problem = prepared.problem
    plugged = problem.student.code, problem.distillation.code, *problem.optimizers
    if not any(plugged) or prepared.views.streams:
        return None
    fingerprint = prepared.problem.fingerprint()
    if fingerprint not in _known:
        if len(_known) >= _MOST:
            _known.clear()
        _known[fingerprint] = compare(prepared)
    return _known[fingerprint]


def compare(prepared: Prepared) -> str | None:
    """How two students that a bank trains differ from those of the loop, with each optimizer of a plugin; None where
    they agree.
    """
    few = short_epochs(prepared, STEPS)
    for name in [optimizers.DEFAULT, *(name for name, _ in prepared.problem.optimizers)]:
        difference = _compare(few, [_with_optimizer(student, name) for student in _STUDENTS])
        if difference is not None:
            return difference if name == optimizers.DEFAULT else f"with {name}: {difference}"
    return None


def _with_optimizer(student: Assignment, name: str) -> Assignment:
    if name == optimizers.DEFAULT:
        return student
    return replace(student, configuration=replace(student.configuration, optimizer=middle(name)))


def middle(name: str) -> Optimizer:
    """The optimizer of that name in the middle of its record's ranges."""
    middles: dict[str, Any] = {}
    for setting in optimizers.get(name).settings:
        default = setting.default
        middles[setting.name] = (default.low + default.high) / 2 if isinstance(default, Interval) else float(default)
    return Optimizer(name, **middles)


def _compare(few: Prepared, students: Sequence[Assignment]) -> str | None:
    looped = _train(partial(LoopEngine, few, 2), students)
    for batched in (False, True) if batched_refusal(few) is None else (False,):
        try:
            banked = _train(partial(BankEngine, few, 2, batched=batched), students)
        except Exception as error:  # of somebody's code under vmap, which knows not every operation
            return f"{CANNOT}: {_line(error)}"
        difference = _difference(banked, looped)
        if difference is not None:
            return difference
    return None


def _difference(banked: Trained, looped: Trained) -> str | None:
    (bank_losses, bank_weights), (loop_losses, loop_weights) = banked, looped
    for lane, (ours, theirs) in enumerate(zip(bank_losses, loop_losses, strict=True)):
        if not math.isclose(ours, theirs, rel_tol=FARTHEST, abs_tol=FARTHEST):
            return f"lane {lane} of two has a loss of {ours:.6g} where the loop has {theirs:.6g}"
    for lane, (mine, expected) in enumerate(zip(bank_weights, loop_weights, strict=True)):
        for name, tensor in expected.items():
            largest = float(tensor.double().abs().max()) if tensor.numel() else 0.0
            apart = float((mine[name].double() - tensor.double()).abs().max()) if tensor.numel() else 0.0
            if not apart <= FARTHEST * max(1.0, largest):
                return f"lane {lane} of two has other weights than the loop: {name} is {apart:.2g} away"
    return None


def _train(make: Callable[[], Engine], students: Sequence[Assignment]) -> Trained:
    engine, losses, states = make(), list[float](), []
    try:
        for student in students:
            engine.admit(student)
        for _ in range(2):
            for report in engine.step_epoch():
                losses.append(report.train_loss if isinstance(report, EpochReport) else math.inf)
        with tempfile.TemporaryDirectory() as folder:
            for lane in range(len(students)):
                path = Path(folder, f"{lane}.safetensors")
                engine.save_student(lane, path)
                states.append(weights.load(path))
    finally:
        engine.close()
    return losses, states


def _line(error: Exception) -> str:
    first = str(error).strip().splitlines()[0][:200] if str(error).strip() else ""
    return f"{type(error).__name__}: {first}"
