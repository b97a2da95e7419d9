"""A small table of recorded runs in a folder, and the problem whose runs they are."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from trainers.replay import runs, synthetic
from trainers.spec import Data, Model, Optimizer, Problem, Teacher, Training, to_jsonable

EPOCHS = 12
PROBLEM = Problem(
    data=Data("replay", path="synthetic.parquet"),
    teacher=Teacher(model=Model("mlp"), training=Training(2, 64), optimizer=Optimizer("sgd", 0.05, 5e-4)),
    student=Model("mlp", {"width": 8}),
    training=Training(EPOCHS, 64),
)


def recorded() -> runs.Runs:
    """Runs from a formula, said to be of PROBLEM."""
    made = synthetic.runs(epochs=EPOCHS)
    return dataclasses.replace(made, context=dataclasses.replace(made.context, problem=to_jsonable(PROBLEM)))


def lay(folder: Path) -> runs.Runs:
    """Writes them where PROBLEM looks for them."""
    made = recorded()
    runs.write(made, folder / "synthetic.parquet")
    return made
