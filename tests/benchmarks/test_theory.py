"""Formulas of docs/theory.md agree with losses and optimizers that train, and its predictions are judged as stated."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from benchmarks.calibration import theory, theory_advice, theory_numbers
from benchmarks.calibration import theory_gradient as gradient
from benchmarks.common import output
from benchmarks.common.repetitions import Interval
from trainers.replay import synthetic, world
from trainers.spec import Optimizer, OptimizerName
from trainers.training import methods, optim

Floats = NDArray[np.float64]
PAGE = Path(__file__).parents[2] / "docs" / "theory.md"


def logits(classes: int = 7, images: int = 5) -> tuple[Floats, Floats]:
    """A student's and a teacher's."""
    chance = np.random.default_rng(0)
    return chance.normal(0, 2, (images, classes)), chance.normal(0, 4, (images, classes))


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0, 40.0])
def test_the_gradient_is_that_of_the_loss_that_trains(temperature: float) -> None:
    student, teacher = logits()
    inputs = torch.tensor(student, requires_grad=True)
    loss = methods.distillation(inputs, torch.tensor(teacher), temperature, temperature)
    (slope,) = torch.autograd.grad(loss, inputs)
    of_formula = gradient.gradient(student, teacher, temperature)
    assert len(student) * slope.numpy() == pytest.approx(of_formula, abs=1e-12)
    assert np.linalg.norm(of_formula, axis=-1).max() <= math.sqrt(2) * temperature


def test_the_gradient_has_its_limit_at_large_temperatures_and_vanishes_at_small_ones() -> None:
    student, teacher = logits()
    errors = [
        gradient.size(gradient.gradient(student, teacher, t) - gradient.second_order(student, teacher, t))
        for t in (200.0, 400.0)
    ]
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.1)
    assert gradient.gradient(student, teacher, 1e6) == pytest.approx(gradient.limit(student, teacher), abs=1e-4)
    assert gradient.size(gradient.gradient(student, teacher, 1e-3)) < 2e-3


def test_curvature_is_the_trace_of_the_losss_hessian_where_the_student_is_its_teacher() -> None:
    _, teacher = logits(images=1)
    for temperature in (1.0, 8.0):
        point = torch.tensor(teacher)
        hessian = torch.autograd.functional.hessian(
            lambda inputs, t=temperature: methods.distillation(inputs, torch.tensor(teacher), t, t), point
        )
        trace = float(torch.as_tensor(hessian).reshape(point.numel(), -1).trace())
        assert trace == pytest.approx(gradient.curvature(teacher, temperature))


@pytest.mark.parametrize("classes", [10, 100, 1000])
def test_a_teacher_of_one_margin_has_its_peak_near_half_and_falls_by_the_classes_share(classes: int) -> None:
    teacher = gradient.one_margin(12.0, classes)
    sizes = [gradient.start(teacher, temperature) for temperature in gradient.FINE]
    half = gradient.half_temperature(teacher)
    assert half == pytest.approx(12 / math.log(classes - 1), rel=0.01)
    assert 1 / 1.5 < gradient.FINE[int(np.argmax(sizes))] / half < 1.5
    fall = max(sizes) / gradient.size(gradient.limit(np.zeros_like(teacher), teacher))
    assert fall == pytest.approx(classes / (2 * math.log(classes - 1)), rel=0.4)


@pytest.mark.parametrize(("name", "moved"), [("sgd", Optimizer("sgd", 0.03, 0.02, 0.9)), ("adamw", None)])
def test_a_scaled_loss_is_another_rate_and_decay_to_sgd_and_nothing_to_adamw(
    name: OptimizerName, moved: Optimizer | None
) -> None:
    plain = Optimizer(name, 0.01, 0.06, 0.9 if name == "sgd" else 0.0)

    def trained(settings: Optimizer, scale: float) -> list[float]:
        weight = torch.nn.Parameter(torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64))
        optimizer = optim.binding(name).make([weight], settings)
        for _ in range(20):
            optimizer.zero_grad()
            (scale * (weight**2).sum() * weight.sum().sigmoid()).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        return weight.detach().tolist()

    assert trained(plain, 3.0) == pytest.approx(trained(moved or plain, 1.0), rel=1e-5)


@pytest.mark.parametrize("exponent", [-0.7, 0.0, 1.3])
def test_a_collapse_finds_the_exponent_that_made_its_curves(exponent: float) -> None:
    chance = np.random.default_rng(1)
    shifts, places = (part.ravel() for part in np.meshgrid(np.linspace(-0.5, 0.7, 12), np.linspace(-3, 0, 5)))
    moved = places + exponent * shifts
    groups = np.tile(np.arange(12), 5)
    values = 3 * np.sin(groups) - (moved + 1.2) ** 2 + chance.normal(0, 0.05, len(moved))
    assert theory_numbers.collapse(places, shifts, values, groups, 3) == pytest.approx(exponent, abs=0.1)


def test_a_jackknife_of_a_mean_is_students_interval() -> None:
    values = np.asarray([1.0, 2.0, 4.0, 5.0])
    interval = theory_numbers.jackknife(lambda seeds: float(values[list(seeds)].mean()), 4)
    assert interval is not None
    assert interval.mean == 3
    assert interval.high - 3 == pytest.approx(2.3534 * values.std(ddof=1) / 2, rel=1e-3)
    assert theory_numbers.jackknife(lambda seeds: None, 4) is None


def teacher_of(temperatures: tuple[float, ...]) -> dict[str, object]:
    _, teacher = logits(10, 50)
    return gradient.facts(teacher, teacher.argmax(axis=-1), temperatures)


def test_numbers_are_read_off_a_table() -> None:
    runs = synthetic.runs()
    facts = {**teacher_of(runs.grid.temperatures), "label_probability": 0.99, "flat_from": 10.0}
    data = theory_numbers.cut(runs, "adamw", range(runs.seeds), facts)
    assert data.final.shape == (6, 2, 3, 1)
    cells = runs.grid.cells()
    place = next(n for n, cell in enumerate(cells) if cell.optimizer == "adamw" and cell.temperature == 8.0)
    assert data.accuracy[3, 0, 0, 0] == pytest.approx(100 * runs.accuracy[place].mean(axis=0))
    late, steady = (
        theory_numbers.cut(runs, optimizer, range(runs.seeds), facts) for optimizer in ("sgd", "adamw")
    )  # fmt: skip
    assert theory_numbers.late_gain(late) > 1 > abs(theory_numbers.late_gain(steady))
    assert theory_numbers.flatness(late) == pytest.approx(100 * 0.008 * math.log(5) ** 2 - 0.4, abs=0.5)
    assert abs(theory_numbers.rate_exponent(steady)) < 0.3
    assert theory_numbers.decay_slope(late) is None
    values = np.zeros_like(late.accuracy)
    values[late.place(40), 1] = 2.0  # of weight .9
    assert theory_numbers.trade_off(dataclasses.replace(late, accuracy=values)) == pytest.approx(2)
    values[late.place(8), 1] = 2.0
    assert theory_numbers.trade_off(dataclasses.replace(late, accuracy=values)) == pytest.approx(0)
    sure = theory_numbers.sure_teacher(late)
    unsure = dataclasses.replace(late, teacher={**facts, "label_probability": 0.9})
    assert sure is not None
    assert theory_numbers.sure_teacher(unsure) is None


@pytest.mark.parametrize(
    ("low", "high", "expected"), [(0.1, 0.9, "held"), (-0.1, 0.4, "cannot tell"), (1.1, 2.0, "failed")]
)
def test_a_verdict_is_of_the_whole_interval(low: float, high: float, expected: str) -> None:
    assert theory.verdict(Interval(low, low, high, 0.0, 4), theory.region([0.0, 1.0])) == expected


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        (["held", "held", "cannot tell", "cannot tell"], "held"),
        (["held", "held", "held", "failed"], "cannot tell"),
        (["failed", "failed", "held", "held"], "failed"),
        (["held", "cannot tell", "cannot tell"], "cannot tell"),
        ([], "not applicable"),
    ],
)
def test_one_failure_denies_that_a_prediction_held(verdicts: list[str], expected: str) -> None:
    assert theory.together(verdicts) == expected


def test_advice_is_fitted_on_other_data_alone() -> None:
    grid = np.asarray([1.0, 2.0, 4.0, 8.0, 16.0])
    facts = {"half_temperature": 2.0, "largest_start": 8.0}

    def profile(context: str, best: float) -> theory_advice.Profile:
        accuracy = 90 - np.log2(grid / best) ** 2
        return theory_advice.Profile(context, "sgd", grid, accuracy, facts)

    every = [profile("digits-a", 8.0), profile("digits-b", 8.0), profile("fashion-a", 1.0)]
    rows = theory_advice.followed(every)
    assert rows[0]["advised"]["best of other data"] == 1.0
    assert rows[2]["advised"]["best of other data"] == 8.0
    assert rows[2]["advised"]["T_half, scaled"] == pytest.approx(8.0, rel=0.06)
    assert rows[2]["regret"]["T = 4"] == pytest.approx(4.0)


def test_every_prediction_has_a_number_and_no_sealed_table_is_opened() -> None:
    stated = {row["id"]: row for row in theory.predictions()}
    assert set(stated) == {
        *theory_numbers.NUMBERS,
        *theory_numbers.FRESH_NUMBERS,
        *theory.STUDIES,
        "P11",
        "P16",
    }
    kept = json.loads((output.RESULTS / "theory.json").read_text())["details"]["predictions"]
    sealed = set(world.names(sealed=True))
    assert sealed
    assert not sealed & {context for row in kept for context in row["contexts"]}
    assert [(row["id"], row["optimizer"], row["region"]) for row in kept] == [
        (name, optimizer, bounds) for name, row in stated.items() for optimizer, bounds in row["regions"].items()
    ]


def test_the_page_has_each_verdict_as_it_was_kept() -> None:
    text = PAGE.read_text()
    for row in json.loads((output.RESULTS / "theory.json").read_text())["details"]["predictions"]:
        line = f"| {row['id']} | {row['optimizer']} |"
        (shown,) = (each for each in text.splitlines() if each.startswith(line))
        assert shown.split("|")[3].strip() == row["verdict"]
        for context, part in row["contexts"].items():
            assert theory.words(part) in shown, f"{line}: {context}"


def test_a_contrast_of_a_study_is_open_where_it_is_censored() -> None:
    contrast = {"level": "b", "against": "a", "ratio": 2.0, "open_low": False, "open_high": True}
    part = {"name": "f", "contrasts": [{**contrast, "ratio_interval": {"low": 1.2, "high": 9.0}}]}
    interval = theory.of_study({"details": {"guidance": {"factors": [part]}}}, "f", "b", "a")
    assert (interval.low, interval.high) == (1.2, math.inf)
    assert theory.verdict(interval, theory.region([1.0, None])) == "held"
    assert theory.words(theory._plain(interval)) == "2.00 [1.20, ]"


def test_pace_is_half_the_classes_at_large_temperatures_and_less_at_small_ones() -> None:
    teacher = gradient.one_margin(12.0, 10)
    assert gradient.half_way(teacher, 1e4) == pytest.approx(5, rel=1e-2)
    assert gradient.half_way(teacher, 1.0) == pytest.approx(2.4, abs=0.1)
    step = gradient.half_way(teacher, 4.0) * gradient.start(teacher, 4.0)
    first = gradient.gradient(np.zeros_like(teacher), teacher, 4.0)
    direction = first / np.linalg.norm(first)
    later = gradient.gradient(-step * direction, teacher, 4.0)
    assert float((later * direction).sum()) == pytest.approx(float(np.linalg.norm(first)) / 2, rel=1e-6)
