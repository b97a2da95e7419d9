"""What holds for each kind of labels with each loss: a bank, layer by layer too, trains what the loop trains and
measures what it measures, or the loss is refused with the reason before anything is trained.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import torch

from tests import distributions
from tests.trainers import problems
from thermowell.plugin import Targets
from trainers import plugin_codes, quality, run
from trainers.engines.bank import BankEngine
from trainers.engines.engine import Engine
from trainers.engines.loop import LoopEngine
from trainers.engines.processes import ProcessesEngine
from trainers.errors import TargetsUnsuited
from trainers.registry import losses
from trainers.spec import (
    Assignment,
    Configuration,
    Data,
    Distillation,
    EpochReport,
    Model,
    Teacher,
    Training,
    to_jsonable,
)
from trainers.teaching.prepared import Prepared
from trainers.zoo import weights

SETS: dict[Targets, str] = {"classes": "acme/classes", "soft": "acme/shares", "several": "acme/tags"}
METHODS = (*losses.LOSSES, "acme/square", "acme/narrow")
OWN_SMOOTHING = {"label_smoothing": 0.1}
Trained = tuple[list[EpochReport], dict[str, torch.Tensor]]
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module", autouse=True)
def _plugins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("site")
    distributions.write(folder, "acme-kd", distributions.TARGETS)
    with distributions.importable(folder) as load:
        load("acme-kd")
        yield


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Targets], Prepared]:
    """A problem of each kind of labels, whose teacher is trained once."""
    folder = tmp_path_factory.mktemp("targets")
    made: dict[Targets, Prepared] = {}

    def prepared(kind: Targets) -> Prepared:
        if kind not in made:
            model = Model("mlp", {"width": 8, "depth": 1})
            teacher = Teacher(model=model, training=Training(6, 16), optimizer=problems.SGD)
            problem = problems.problem(
                data=Data(SETS[kind]), teacher=teacher, student=model, training=Training(2, 32), views=1
            )
            answer = run.prepare(plugin_codes.complete(problem), run.Roots(folder, folder), "cpu")
            assert isinstance(answer, Prepared)
            made[kind] = answer
        return made[kind]

    return prepared


def by_method(ready: Prepared, method: str) -> Prepared:
    rule = Distillation(method, revision=losses.get(method).revision)
    problem = plugin_codes.complete(dataclasses.replace(ready.problem, distillation=rule))
    return dataclasses.replace(ready, problem=problem)


def trained(engine: Engine, path: Path, parameters: dict[str, Any]) -> Trained:
    """Reports and weights of two students, one by the method and one by plain KL, which is the first's neighbour."""
    plain = Configuration(temperature=2.0, kd_weight=0.5, label_weight=0.5, optimizer=problems.SGD, method="kl")
    own = dataclasses.replace(plain, method=None, temperature=4.0, parameters=parameters)
    for lane, configuration in enumerate((own, plain)):
        engine.admit(Assignment(str(lane), configuration, seed=3))
    reports = []
    for _ in range(2):
        for report in engine.step_epoch():
            assert isinstance(report, EpochReport)
            reports.append(report)
    engine.save_student(0, path)
    engine.close()
    return sorted(reports, key=lambda report: (report.trial, report.epoch)), weights.load(path)


@pytest.mark.parametrize("kind", get_args(Targets))
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("parameters", [{}, OWN_SMOOTHING], ids=["", "smoothed"])
def test_a_bank_trains_and_measures_what_the_loop_does(
    ready: Callable[[Targets], Prepared], tmp_path: Path, kind: Targets, method: str, parameters: dict[str, Any]
) -> None:
    problem = by_method(ready(kind), method)
    if kind not in losses.get(method).targets:
        for make in (LoopEngine, BankEngine):
            with pytest.raises(TargetsUnsuited, match=losses.WORDS[kind]):
                make(problem, 2)
        return
    looped = trained(LoopEngine(problem, 2), tmp_path / "loop", parameters)
    forms = [False] if losses.get(method).temperature == "learned" else [False, True]
    for batched in forms:
        banked = trained(BankEngine(problem, 2, batched=batched), tmp_path / f"{batched}", parameters)
        check_same(banked, looped)


def check_same(banked: Trained, looped: Trained) -> None:
    """Of reports and weights: the same, but for what sums in another order come to."""
    assert alike(looped[1], banked[1])
    for ours, theirs in zip(banked[0], looped[0], strict=True):
        assert ours.train_loss == pytest.approx(theirs.train_loss, rel=1e-4)
        for name, value in dataclasses.asdict(theirs.validation).items():
            assert getattr(ours.validation, name) == (None if value is None else pytest.approx(value, abs=0.03))
        assert ours.validation.nll == pytest.approx(theirs.validation.nll, rel=1e-4)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", ["soft", "several"])
def test_a_compiled_bank_trains_and_measures_what_the_loop_does(
    ready: Callable[[Targets], Prepared], tmp_path: Path, kind: Targets
) -> None:
    looped = trained(LoopEngine(ready(kind), 2), tmp_path / "loop", OWN_SMOOTHING)
    bank = BankEngine(ready(kind), 2, compiled=True)
    assert bank.compiled
    check_same(trained(bank, tmp_path / "compiled", OWN_SMOOTHING), looped)


def alike(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return all(torch.allclose(second[name], tensor, atol=2e-5) for name, tensor in first.items())


@pytest.mark.parametrize("augmentation", ["mixup", "crop_flip_cutmix"])
@pytest.mark.parametrize("method", ["kl", "acme/square"])
def test_mixed_images_of_several_labels_are_trained_alike(tmp_path: Path, augmentation: str, method: str) -> None:
    model, root = Model("mlp", {"width": 8, "depth": 1}), run.Roots(tmp_path, tmp_path)
    teacher = Teacher(model=model, training=Training(2, 32), optimizer=problems.SGD)
    data = Data("acme/pictures", augmentation=augmentation)
    problem = problems.problem(data=data, teacher=teacher, student=model, training=Training(2, 32), views=2)
    mixed = run.prepare(plugin_codes.complete(problem), root, "cpu")
    assert isinstance(mixed, Prepared)
    mixed = by_method(mixed, method)
    _, expected = trained(LoopEngine(mixed, 2), tmp_path / "loop", {})
    for batched in (False, True):
        _, tensors = trained(BankEngine(mixed, 2, batched=batched), tmp_path / f"{batched}", {})
        assert alike(expected, tensors)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["soft", "several"])
def test_processes_train_to_the_bit_as_the_loop(
    ready: Callable[[Targets], Prepared], tmp_path: Path, kind: Targets
) -> None:
    reports, expected = trained(LoopEngine(ready(kind), 2), tmp_path / "loop", {})
    told, tensors = trained(ProcessesEngine(ready(kind), 2, 2), tmp_path / "processes", {})
    assert all(tensor.equal(tensors[name]) for name, tensor in expected.items())
    assert [report.validation for report in told] == [report.validation for report in reports]


@pytest.mark.parametrize("kind", get_args(Targets))
def test_a_teacher_learns_from_each_kind_and_is_judged_above_chance(
    ready: Callable[[Targets], Prepared], kind: Targets
) -> None:
    facts = ready(kind).facts
    level = quality.level(to_jsonable(facts.validation))
    assert level is not None
    assert facts.chance is not None
    assert level > facts.chance + 0.2
    assert (facts.validation.mean_average_precision is not None) == (kind == "several")
    assert 0 <= facts.validation.ece < 0.2


@pytest.mark.parametrize("kind", ["soft", "several"])
@pytest.mark.parametrize("batched", [False, True])
def test_a_student_goes_on_from_a_checkpoint_as_if_it_had_never_stopped(
    ready: Callable[[Targets], Prepared], tmp_path: Path, kind: Targets, batched: bool
) -> None:
    problem = ready(kind)
    student = Assignment("0", problems.assignment().configuration, seed=5)

    def make() -> Engine:
        return BankEngine(problem, 1, batched=True) if batched else LoopEngine(problem)

    states = []
    for stop in (False, True):
        engine = make()
        lane = engine.admit(student)
        engine.step_epoch()
        if stop:
            engine.save_lane(lane, tmp_path / "checkpoint")
            engine = make()
            lane = engine.admit(student, tmp_path / "checkpoint")
        engine.step_epoch()
        engine.save_student(lane, tmp_path / f"{stop}")
        states.append(weights.load(tmp_path / f"{stop}"))
    assert all(tensor.equal(states[1][name]) for name, tensor in states[0].items())


@pytest.mark.parametrize("kind", ["soft", "several"])
def test_the_test_part_is_measured_as_validation_is(
    ready: Callable[[Targets], Prepared], tmp_path: Path, kind: Targets
) -> None:
    problem = ready(kind)
    engine, student = LoopEngine(problem), problems.assignment()
    engine.admit(student)
    engine.step_epoch()
    engine.save_student(0, tmp_path / "student.safetensors")
    tested = run.evaluate_test(
        problem, tmp_path / "student.safetensors", student.configuration, run.TestPermit("job", confirmed_at=1.0)
    )
    bits = torch.tensor(list(tested.right), dtype=torch.uint8)
    count = sum(int(byte).bit_count() for byte in bits)
    assert count / tested.images == pytest.approx(tested.metrics.accuracy)
    assert (tested.metrics.mean_average_precision is None) == (kind == "soft")
