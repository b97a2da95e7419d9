"""On how many threads a model is trained: by the size of its steps, and put back afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from trainers.spec import Model
from trainers.training import threads
from trainers.zoo import models


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_operations_are_counted() -> None:
    model = models.build(Model("mlp", {"width": 32}), 1, (8, 8), 10, seed=0).train()
    assert threads.step_operations(model, 1, (8, 8), 5) == 3 * 5 * 2 * (64 * 32 + 32 * 10)
    assert model.training


@pytest.mark.parametrize(
    ("model", "size", "expected"),
    [(Model("cnn", {"width": 16}), 8, 1), (Model("mlp"), 8, 1), (Model("resnet", {"depth": 8, "width": 4}), 32, 2)],
)
def test_small_steps_are_not_shared_out(model: Model, size: int, expected: int) -> None:
    built = models.build(model, 3, (size, size), 10, seed=0)
    assert threads.suited(threads.step_operations(built, 3, (size, size), 64)) == expected


def test_threads_within_and_as_before_afterwards() -> None:
    with threads.exactly(1):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize(
    ("content", "expected"),
    [("max 100000", 2), ("150000 100000", 2), ("100000 100000", 1), ("5000 100000", 1), ("", 2)],
)
def test_a_container_s_quota_counts(
    content: str, expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads.os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    (tmp_path / "cpu.max").write_text(content)
    assert threads.usable(tmp_path / "cpu.max") == expected
    assert threads.usable(tmp_path / "none") == 2
    monkeypatch.setattr(threads.os, "sched_getaffinity", lambda _: {3}, raising=False)
    assert threads.usable(tmp_path / "none") == 1
