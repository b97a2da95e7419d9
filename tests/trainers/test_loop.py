"""The loop's own: what the engine contract does not say."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from tests.trainers.problems import assignment, problem
from trainers import run
from trainers.engines.loop import LoopEngine
from trainers.order import epoch_batches
from trainers.spec import EpochReport, LaneFailure, Optimizer, Training
from trainers.training import losses, optim
from trainers.zoo import models


def test_its_steps_are_the_textbook_s(ready: run.Prepared) -> None:
    """An epoch written out with torch's own pieces gives the same loss and the same weights' NLL."""
    one = assignment(optimizer=Optimizer("sgd", 0.1, 0.01, 0.9))
    engine = LoopEngine(ready)
    engine.admit(one)
    (report,) = engine.step_epoch()
    assert isinstance(report, EpochReport)
    model = models.build(ready.problem.student, 1, (8, 8), 10, one.seed)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)
    total, numbers = [], epoch_batches(one.seed, 1, 300, 32)
    for step, batch in enumerate(numbers):
        optimizer.param_groups[0]["lr"] = 0.1 * optim.factor(step, len(numbers), ready.problem.training)
        logits = model(ready.views.batch(0, batch))
        soft = losses.distillation(logits, ready.train_logits[0, batch], 4.0, 4.0)
        loss = 0.9 * soft + 0.1 * torch.nn.functional.cross_entropy(logits, ready.train_labels[batch])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        total.append(float(loss.detach()))
    assert report.train_loss == pytest.approx(sum(total) / len(total), rel=1e-5)
    with torch.no_grad():
        logits = model.eval()(ready.normalise(ready.validation_images))
    nll = float(torch.nn.functional.cross_entropy(logits, ready.validation_labels))
    assert report.validation.nll == pytest.approx(nll, rel=1e-4)


def test_epochs_show_the_views_in_turn(ready: run.Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = []
    batch = type(ready.views).batch

    def watched(self: object, view: int, numbers: torch.Tensor) -> torch.Tensor:
        shown.append(view)
        return batch(ready.views, view, numbers)

    monkeypatch.setattr(type(ready.views), "batch", watched)
    engine = LoopEngine(ready)
    engine.admit(assignment())
    for _ in range(3):
        engine.step_epoch()
    assert shown == [0] * 9 + [1] * 9 + [0] * 9


def test_a_failure_names_the_first_bad_step_and_the_last_good_loss(ready: run.Prepared) -> None:
    broken = dataclasses.replace(ready, train_logits=ready.train_logits.clone())
    numbers = epoch_batches(1, 1, 300, 32)
    broken.train_logits[0, numbers[2, 5]] = float("nan")
    engine = LoopEngine(broken)
    engine.admit(assignment(seed=1))
    (failure,) = engine.step_epoch()
    assert isinstance(failure, LaneFailure)
    assert (failure.epoch, failure.step) == (1, 3)
    assert failure.last_finite_loss is not None
    assert 0 < failure.last_finite_loss < 100
    assert engine.step_epoch() == []


def test_weights_that_break_in_an_epoch_s_last_step_fail_on_validation(roots: run.Roots) -> None:
    one_step = run.prepare(problem(training=Training(1, 300)), roots, "cpu")
    engine = LoopEngine(one_step)
    engine.admit(assignment(optimizer=Optimizer("sgd", 1e38)))
    (failure,) = engine.step_epoch()
    assert isinstance(failure, LaneFailure)
    assert failure.step == 1
    assert "logits" in failure.reason
    assert failure.last_finite_loss is not None
