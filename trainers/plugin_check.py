"""Checks of a plugin before jobs name it: its data sets are read, its augmentations make views, and its models, losses
and optimizers train students in the loop and in a bank.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from thermowell.plugin import Kind
from trainers import order, plugin_codes, run
from trainers.data import datasets, plugin_views
from trainers.engines import bank_probe
from trainers.engines.loop import LoopEngine
from trainers.errors import TrainingError
from trainers.registry import losses, optimizers, plugins
from trainers.registry.models import Argument
from trainers.spec import (
    Assignment,
    Configuration,
    Data,
    Distillation,
    Model,
    Optimizer,
    Problem,
    Teacher,
    Training,
)
from trainers.teaching.prepared import Prepared, Roots
from trainers.training.losses import check as check_losses
from trainers.zoo import models, weights

EXAMPLES, EPOCHS, BATCH = 512, 2, 32
_FEW, _CLASSES = 6, 4
"""Examples and classes of random logits, on which a loss is tried."""
_RATE = Optimizer(optimizers.DEFAULT, 1e-2)
_SETTINGS = Configuration(temperature=4.0, kd_weight=0.5, label_weight=0.5, optimizer=_RATE)
_PLAIN_DATA, _PLAIN_MODEL = "digits", Model("mlp", {"width": 8})
"""On which losses, optimizers and augmentations are tried."""
State = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the table: what was checked of which record, whether it holds, and what was seen."""

    record: str
    check: str
    holds: bool
    detail: str = ""


def check(name: str, data_root: Path, data: str = "", arguments: Mapping[str, Argument] | None = None) -> list[Finding]:
    """The findings on all that a distribution declares. Models are trained on the data set of that name, or on the
    first of the distribution's own that they take; losses and optimizers on digits, or else on such a one.
    """
    present = plugins.load([name])
    findings = [Finding(plugin, "loads", False, why) for plugin, why in present.errors.items()]
    names = [key for kind, key in present.records if kind == "dataset"]
    for key in names:
        findings += _of_dataset(key, data_root)
    for kind, key in present.records:
        if kind == "model":
            tried = _problems([data] if data else names, Model(key, dict(arguments or {})), data_root)
            findings += _of_students(key, tried, data_root)
        elif kind in ("loss", "optimizer"):
            findings += [_of_loss(key)] if kind == "loss" else []
            candidates = [data] if data else [_PLAIN_DATA, *names]
            findings += _of_students(key, _plain_problems(kind, key, candidates, data_root), data_root)
        elif kind == "augmentation":
            findings += _of_augmentation(key, data or _PLAIN_DATA, data_root)
    return findings


def _of_dataset(name: str, root: Path) -> Iterator[Finding]:
    try:
        first, again = (datasets.load(Data(name), root) for _ in range(2))
    except TrainingError as error:
        yield Finding(name, "is read", False, str(error))
        return
    shape = [first.channels, *first.size]
    labels = losses.WORDS[first.targets]
    yield Finding(name, "is read", True, f"{len(first.train.labels)} examples of shape {shape} to train on, {labels}")
    alike = first.train.digest() == again.train.digest()
    yield Finding(name, "is the same twice", alike, "" if alike else "two reads differ: seed whatever is drawn")


def _of_augmentation(name: str, data: str, root: Path) -> Iterator[Finding]:
    try:
        images = datasets.load(Data(data), root).train.images[:EXAMPLES]
        first, again = (plugin_views.draw(name, images, 0, 2) for _ in range(2))
    except TrainingError as error:
        yield Finding(name, "makes views", False, str(error))
        return
    yield Finding(name, "makes views", True, f"of {len(images)} images of {data}")
    alike = first.equal(again)
    yield Finding(name, "is the same twice", alike, "" if alike else "draw by the seed that it is given")
    apart = not first[0].equal(first[1])
    yield Finding(name, "another seed, another view", apart, "" if apart else "two views are the same")


def _of_loss(name: str) -> Finding:
    """Whether a loss answers a number for each example, or one for all."""
    declaration, function = plugins.code_of("loss", name)
    classes = max(_CLASSES, declaration.least_classes)
    logits = torch.randn(2, _FEW, classes, generator=order.generator(0, "check"))
    labels = {
        "classes": torch.arange(_FEW) % classes,
        "soft": logits[0].softmax(-1),
        "several": logits[0] > 0,
    }[declaration.targets[0]]
    temperatures = {"teacher_temperature": 4.0, "student_temperature": 4.0}
    check_name = "answers a number for each example"
    try:
        answer = function(*logits, labels, **temperatures, **declaration.weights)
    except Exception as error:  # whatever somebody's function raises
        return Finding(name, check_name, False, _line(error))
    if not isinstance(answer, Tensor) or answer.shape not in ((), (_FEW,)):
        shape = list(answer.shape) if isinstance(answer, Tensor) else type(answer).__name__
        return Finding(name, check_name, False, f"of {_FEW} examples it answers {shape}: average over classes")
    is_finite = bool(answer.isfinite().all())
    return Finding(name, check_name, is_finite, "" if is_finite else "of random logits it is not finite")


def _of_students(record: str, problems: Iterator[Problem], root: Path) -> Iterator[Finding]:
    """The findings on students of the first of these problems that can be prepared."""
    reasons = []
    for problem in problems:
        with tempfile.TemporaryDirectory() as store:
            try:
                ready = run.prepare(problem, Roots(root, Path(store)), "cpu")
                assert isinstance(ready, Prepared)
                check_losses(problem, ready.classes, ready.targets)
            except TrainingError as error:
                reasons.append(f"{problem.data.name}: {error}")
                continue
            except Exception as error:  # whatever somebody's code raises while a teacher is trained
                reasons.append(f"{problem.data.name}: {_line(error)}")
                continue
            try:
                yield from _trained(ready, f"{record} on {problem.data.name}", Path(store))
            except Exception as error:  # whatever somebody's code raises in training
                yield Finding(f"{record} on {problem.data.name}", "is trained", False, _line(error))
            return
    yield Finding(record, "is trained", False, "; ".join(reasons) or "there is no data set: name one with --data")


def _problems(names: Sequence[str], model: Model, root: Path) -> Iterator[Problem]:
    return (plugin_codes.complete(_problem(name, model, root)) for name in names)


def _plain_problems(kind: Kind, name: str, data: Sequence[str], root: Path) -> Iterator[Problem]:
    """A small model with the loss, or the optimizer, of that name, on each of the data sets."""
    for problem in (_problem(key, _PLAIN_MODEL, root) for key in data):
        if kind == "loss":
            weights: dict[str, Any] = {weight: record.default for weight, record in losses.get(name).weights.items()}
            problem = replace(problem, distillation=Distillation(name, **weights))
        else:
            problem = replace(problem, optimizers=((name, None),))
        yield plugin_codes.complete(problem)


def _problem(data: str, model: Model, root: Path) -> Problem:
    """Few examples, few epochs, and a teacher that is the student's like."""
    teacher = Teacher(model=model, training=Training(1, BATCH), optimizer=_RATE)
    few = Problem(Data(data, train_size=EXAMPLES), teacher, model, Training(EPOCHS, BATCH))
    try:
        datasets.load(few.data, root)
    except TrainingError:  # so many there are not: the whole set, then
        few = Problem(Data(data), teacher, model, Training(EPOCHS, BATCH))
    return few


def _trained(ready: Prepared, record: str, store: Path) -> Iterator[Finding]:
    yield _state_names(ready, record)
    first, again, different = (_train(ready, store / name, seed) for name, seed in (("a", 1), ("b", 1), ("c", 2)))
    yield _alike(record, "one seed, one student", first, again, "draw by torch's own generator, and drop by nn.Dropout")
    apart = any(not tensor.equal(different[name]) for name, tensor in first.items())
    yield Finding(record, "another seed, another student", apart, "" if apart else "weights do not depend on the seed")
    resumed = _train(ready, store / "d", 1, store / "checkpoint")
    yield _alike(
        record, "goes on from a checkpoint", first, resumed, "what a model keeps must be a parameter or a buffer"
    )
    difference = bank_probe.compare(ready)
    stacked = difference is None or not difference.startswith(bank_probe.CANNOT)
    words = difference or "two lanes, two epochs"
    yield Finding(
        record,
        "a bank agrees with the loop",
        difference is None or not stacked,
        words if stacked else f"it is trained without one: {words}",
    )


def _line(error: Exception) -> str:
    """An error of somebody's code in a line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def _state_names(ready: Prepared, record: str) -> Finding:
    """Whether the model's state is all that it is made of, under the same names each time."""
    problem = ready.problem
    first, again = (models.build(problem.student, ready.channels, ready.size, ready.classes, seed) for seed in (1, 2))
    shapes, shapes_again = ({name: tensor.shape for name, tensor in m.state_dict().items()} for m in (first, again))
    if shapes != shapes_again:
        return Finding(record, "state names", False, "two models have other names or shapes")
    shared = [name for name, _ in first.named_parameters(remove_duplicate=False)]
    if len(shared) != len(list(first.named_parameters())):
        return Finding(record, "state names", False, "two names share one tensor, which no checkpoint can keep")
    numbers = sum(parameter.numel() for parameter in first.parameters())
    return Finding(record, "state names", True, f"{len(shapes)} tensors, {numbers:,} weights")


def _train(ready: Prepared, path: Path, seed: int, checkpoint: Path | None = None) -> State:
    """A student's state after all epochs; with a checkpoint, it goes on from one after the first."""
    settings = _SETTINGS
    for name, _ in ready.problem.optimizers:
        settings = replace(settings, optimizer=bank_probe.middle(name))
    engine, student = LoopEngine(ready), Assignment("0", settings, seed)
    lane = engine.admit(student)
    for epoch in range(EPOCHS):
        engine.step_epoch()
        if checkpoint is not None and epoch == 0:
            engine.save_lane(lane, checkpoint)
            engine = LoopEngine(ready)
            lane = engine.admit(student, checkpoint)
    engine.save_student(lane, path)
    return weights.load(path)


def _alike(record: str, name: str, first: State, second: State, advice: str) -> Finding:
    apart = [key for key, tensor in first.items() if not tensor.equal(second[key])]
    return Finding(record, name, not apart, f"{apart[0]} differs: {advice}" if apart else "to the bit")


def main(arguments: Sequence[str] | None = None) -> int:
    """0 checked: the findings are JSON on the standard output."""
    parser = argparse.ArgumentParser(prog="python -m trainers.plugin_check", description=__doc__)
    parser.add_argument("name")
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--data", default="")
    parser.add_argument("--arguments", default="{}")
    options = parser.parse_args(arguments)
    run.set_threads(1)  # so small models gain nothing by more, and a busy machine takes much
    with contextlib.redirect_stdout(sys.stderr):  # a plugin may print
        findings = check(options.name, options.data_root, options.data, json.loads(options.arguments))
    print(json.dumps({"findings": [asdict(finding) for finding in findings]}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
