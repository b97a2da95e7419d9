"""Small problems on real digits, which train in a fraction of a second, for the tests of the trainers."""

from __future__ import annotations

from typing import Any

from trainers.spec import Assignment, Configuration, Data, Model, Optimizer, Problem, Schedule, Teacher, Training

SGD = Optimizer("sgd", 0.1, 1e-4, 0.9)


def problem(**changes: Any) -> Problem:
    """300 digits, a CNN teacher of six epochs, a small MLP student of three; `changes` replace fields."""
    fields: dict[str, Any] = {
        "data": Data("digits", train_size=300, augmentation="shift"),
        "teacher": teacher(),
        "student": Model("mlp", {"width": 32}),
        "training": Training(3, 32, Schedule("cosine", warmup_epochs=1)),
        "views": 2,
    }
    return Problem(**(fields | changes))


def teacher(**changes: Any) -> Teacher:
    """A CNN trained by the job for six epochs."""
    fields: dict[str, Any] = {
        "model": Model("cnn", {"width": 16}),
        "training": Training(6, 16),
        "optimizer": SGD,
    }
    return Teacher(**(fields | changes))


def assignment(trial: str = "a", seed: int = 1, **changes: Any) -> Assignment:
    """A student at T = 4; `changes` replace fields of its configuration."""
    fields: dict[str, Any] = {"temperature": 4.0, "kd_weight": 0.9, "label_weight": 0.1, "optimizer": SGD}
    return Assignment(trial, Configuration(**(fields | changes)), seed)
