"""The bank's own promises: one program whatever comes and goes, and a form that needs no compiler."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest
import torch
import torch._dynamo
from torch import nn

from tests.trainers.problems import assignment, problem, teacher
from trainers import run
from trainers.engines import bank, bank_layers
from trainers.engines.bank import BankEngine
from trainers.engines.bank_batched import BatchedMlp, Named
from trainers.engines.bank_stack import Layout, Stack
from trainers.engines.bank_step import Schedule, StepScalars
from trainers.spec import Configuration, Data, Distillation, EpochReport, Model, Optimizer, Training
from trainers.spec import Schedule as RateSchedule
from trainers.teaching.prepared import Prepared
from trainers.training import evaluate, optim, temperature
from trainers.zoo import models


@pytest.fixture
def ready(tmp_path: Path) -> Prepared:
    """64 digits in two batches, three epochs, an MLP with dropout."""
    small = problem(
        data=Data("digits", train_size=64),
        teacher=teacher(model=Model("mlp")),
        student=Model("mlp", {"width": 8, "dropout": 0.1}),
        training=Training(3, 32),
    )
    return run.prepare(small, run.Roots(tmp_path, tmp_path), "cpu")


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Each program that is compiled from here on; they run as they are, for it is their number that is asked for."""
    made: list[object] = []

    def keep(graph: torch.fx.GraphModule, inputs: object) -> object:
        made.append(graph)
        return graph.forward

    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend=keep))
    return made


def test_nothing_that_comes_or_goes_compiles_again(ready: Prepared, graphs: list[object], tmp_path: Path) -> None:
    engine = BankEngine(ready, 3, compiled=True)
    first = engine.admit(assignment("a"))
    assert len(engine.step_epoch()) == 1
    assert len(graphs) == 2  # the step and the evaluation
    engine.save_lane(first, tmp_path / "a")
    engine.admit(assignment("b", seed=2, temperature=9.0, optimizer=Optimizer("adam", 0.01)))
    engine.admit(assignment("c", seed=3, label_weight=0.0, optimizer=Optimizer("sgd", 0.1, 0.0, 0.9, nesterov=True)))
    engine.step_epoch()
    engine.evict(first)
    engine.step_epoch()
    engine.admit(assignment("a"), tmp_path / "a")
    engine.step_epoch()
    assert len(graphs) == 2


@pytest.mark.slow
def test_an_optimizer_with_a_kernel_of_its_own_compiles_once_more(ready: Prepared, graphs: list[object]) -> None:
    """The first student that needs a kernel makes a new step; no other one does, and the evaluation stays."""
    engine = BankEngine(ready, 4, compiled=True)
    engine.admit(assignment("a"))
    engine.step_epoch()
    assert len(graphs) == 2
    for expected, name in ((3, "lion"), (4, "nadam")):
        lane = engine.admit(assignment(name, optimizer=Optimizer(name, 0.001, 0.01)))
        engine.step_epoch()
        assert len(graphs) == expected
        engine.evict(lane)
        engine.admit(assignment(f"{name} again", optimizer=Optimizer(name, 0.002)))
        engine.step_epoch()
        assert len(graphs) == expected


@pytest.mark.slow
def test_any_number_of_banks_in_one_process(ready: Prepared, graphs: list[object]) -> None:
    """torch refuses to compile one piece of code more than so many times: each bank's program is its own."""
    with torch._dynamo.config.patch(recompile_limit=2):
        for lanes in (1, 2, 3, 4):
            engine = BankEngine(ready, lanes, compiled=True)
            engine.admit(assignment("a"))
            assert isinstance(engine.step_epoch()[0], EpochReport)
    assert len(graphs) == 8


def test_without_a_compiler_it_says_so_and_runs(ready: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "/nowhere/g++")
    assert not bank.has_compiler()
    with pytest.warns(UserWarning, match=r"no C\+\+ compiler \(/nowhere/g\+\+\)"):
        engine = BankEngine(ready, 2, compiled=True)
    assert not engine.compiled
    engine.admit(assignment("a"))
    assert isinstance(engine.step_epoch()[0], EpochReport)


def lane(epochs: int, **parameters: float) -> tuple[Configuration, int]:
    """A lane with so many epochs behind it, whose T goes from 2 to 10."""
    own = assignment(temperature=2.0, final_temperature=10.0, parameters=parameters)
    return own.configuration, epochs


def test_lanes_step_by_the_schedules_of_the_loop_wherever_they_are() -> None:
    training, rule, per_epoch = Training(7, 32, RateSchedule(warmup_epochs=2)), Distillation(shape="cosine"), 5
    lanes = [lane(0), None, lane(6), lane(3, warmup_share=0.6), lane(3)]
    scalars = StepScalars.of(Schedule(rule, training, per_epoch).scalars(lanes))
    for place, each in enumerate(lanes):
        for i in range(per_epoch):
            rate, teacher = (float(part[i, place]) for part in (scalars.learning_rate, scalars.temperatures.teacher))
            if each is None:
                assert (rate, teacher) == (0.0, 1.0)
                continue
            step, own = each[1] * per_epoch + i, optim.training_of(training, each[0])
            assert rate == 0.1 * optim.factor(step, per_epoch, own)
            progress = temperature.share(rule, step, training.epochs * per_epoch)
            assert teacher == temperature.temperatures_at(each[0], progress)[0]


def test_a_schedule_takes_no_more_memory_the_longer_a_training_is() -> None:
    """Of all its steps none is worked out but those of an epoch that is trained now: there were 15 MiB of them in what
    was taken for a lane's memory.
    """
    endless = Training(10**12, 32, RateSchedule(warmup_epochs=1))
    scalars = Schedule(Distillation(shape="linear"), endless, 100).scalars([lane(0), lane(10**11)])
    assert scalars.shape[::2] == (100, 2)


def test_lanes_are_measured_a_few_at_a_time(ready: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is measured is widened several times over: of many lanes and images that is most of a bank's memory."""
    measure_lanes, sizes = evaluate.measure_lanes, list[int]()

    def noted(logits: torch.Tensor, *rest: torch.Tensor) -> dict[str, list[float]]:
        sizes.append(logits.numel())
        return measure_lanes(logits, *rest)

    monkeypatch.setattr(evaluate, "measure_lanes", noted)
    reports = []
    for most in (evaluate.MEASURED_NUMBERS, 2 * ready.validation_logits.numel()):
        monkeypatch.setattr(evaluate, "MEASURED_NUMBERS", most)
        sizes.clear()
        engine = BankEngine(ready, 6, batched=True)
        for seed in range(6):
            engine.admit(assignment(str(seed), seed=seed))
        engine.evict(2)
        reports.append([report.validation for report in engine.step_epoch() if isinstance(report, EpochReport)])
        assert sum(sizes) == 5 * ready.validation_logits.numel()  # a free lane is not measured
        assert max(sizes) <= most
    assert len(sizes) == 3
    for together, apart in zip(*reports, strict=True):
        assert together.accuracy == apart.accuracy
        assert together.nll == pytest.approx(apart.nll, rel=1e-12)


def test_lanes_behind_the_last_busy_one_are_not_computed(ready: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    forward, widths = BatchedMlp.forward, list[int]()

    def noted(self: BatchedMlp, weights: Named, images: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
        widths.append(len(images))
        return forward(self, weights, images, key)

    monkeypatch.setattr(BatchedMlp, "forward", noted)
    alone, engine = (BankEngine(ready, lanes, batched=True) for lanes in (1, 6))
    alone.admit(assignment("0", seed=0))
    for seed in range(6):
        engine.admit(assignment(str(seed), seed=seed))
    for free, width in (((), 6), ((1, 3, 4, 5), 3), ((2,), 1)):
        for one in free:
            engine.evict(one)
        widths.clear()
        [first, *others] = engine.step_epoch()
        assert (set(widths), len(others)) == ({width}, {6: 5, 3: 1, 1: 0}[width])
        [expected] = alone.step_epoch()
        assert isinstance(first, EpochReport)
        assert isinstance(expected, EpochReport)
        assert first.validation.nll == pytest.approx(expected.validation.nll, rel=1e-5)


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(3, 1, 1), (3, 2, 1), (1, 2, 0), ((1, 3), (2, 1), (0, 1))])
def test_a_convolution_as_a_product(kernel: int, stride: int, padding: int, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = nn.Conv2d(3, 5, kernel, stride=stride, padding=padding)
    images = torch.randn(2, 3, 9, 8)
    expected = plain(images)
    (stacked,) = bank_layers.make_stackable(nn.Sequential(plain)).children()
    assert type(stacked) is bank_layers.StackableConv2d
    torch.testing.assert_close(stacked(images), expected)
    monkeypatch.setattr(bank_layers, "UNFOLDED_BYTES", 0)
    assert torch.equal(stacked(images), expected)  # too wide to be unfolded: torch's own


@pytest.mark.parametrize(
    "layer",
    [nn.Conv2d(4, 4, 3, groups=2), nn.Conv2d(4, 4, 3, padding="same"), nn.Conv2d(4, 4, 3, dilation=2)],
)
def test_what_has_no_such_form_stays(layer: nn.Conv2d) -> None:
    (kept,) = bank_layers.make_stackable(nn.Sequential(layer)).children()
    assert type(kept) is nn.Conv2d


@pytest.mark.parametrize("size", [(6, 8), (7, 5)])
def test_a_maximum_and_whom_it_credits(size: tuple[int, int]) -> None:
    """Of equal pixels the first is credited, as by torch."""
    plain = nn.MaxPool2d(2)
    images = torch.randint(0, 3, (2, 3, *size)).float().requires_grad_()
    weights = torch.randn(2, 3, size[0] // 2, size[1] // 2)
    (expected,) = torch.autograd.grad((plain(images) * weights).sum(), images)
    (stacked,) = bank_layers.make_stackable(nn.Sequential(plain)).children()
    assert type(stacked) is bank_layers.StackableMaxPool2d
    assert torch.equal(stacked(images), nn.MaxPool2d(2)(images))
    (got,) = torch.autograd.grad((stacked(images) * weights).sum(), images)
    assert torch.equal(got, expected)


def test_a_norm_of_one_value_is_refused_as_in_torch() -> None:
    (norm,) = bank_layers.make_stackable(nn.Sequential(nn.BatchNorm2d(3))).children()
    with pytest.raises(ValueError, match="more than 1 value"):
        norm(torch.zeros(1, 3, 1, 1))


def test_a_stack_gives_back_what_was_put_in() -> None:
    model = models.build(Model("cnn", {"width": 4, "dropout": 0.1}), 1, (8, 8), 10, seed=3)
    stack = Stack.of(Layout.of(model), 3, torch.device("cpu"))
    moments = {name: torch.rand_like(weight) for name, weight in model.named_parameters()}
    name = next(iter(moments))
    stack.put(1, model, {name: moments[name]}, {})
    assert set(stack.state(1)) == set(model.state_dict())
    for key, tensor in model.state_dict().items():
        assert torch.equal(stack.state(1)[key], tensor)
        assert not stack.state(0)[key].any()
    first, second = stack.moments(1)
    assert torch.equal(first.pop(name), moments[name])
    assert not any(tensor.any() for tensor in (*first.values(), *second.values()))
