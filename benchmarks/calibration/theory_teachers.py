"""`python -m benchmarks.calibration.theory_teachers`: the teachers of the open tables trained again, as the tables'
students had them, and what their logits say of gradients; and the size of gradients along a student's training.

Kept as benchmarks/results/theory-teachers.json, which `benchmarks.calibration.theory` reads. Minutes.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.calibration import theory_gradient as gradient
from benchmarks.common import facts, output
from benchmarks.table import build, contexts
from benchmarks.table.contexts import Planned
from trainers import run
from trainers.run import Roots
from trainers.spec import Optimizer
from trainers.teaching.prepared import Prepared
from trainers.training import epoch, losses
from trainers.zoo import models

CACHE = Path(__file__).parents[1] / ".cache" / "table"
MOST_IMAGES = 4000
"""Of a view, of which the teacher's logits are looked at."""
TRACED = "digits-mlp-60"
TRACED_TEMPERATURES = (1.0, 4.0, 40.0)
TRACED_OPTIMIZERS = (Optimizer("sgd", 0.1, 5e-4, 0.9), Optimizer("adamw", 0.01, 0.01))
SEEDS = 4


def teacher_facts(planned: Planned, ready: Prepared) -> dict[str, Any]:
    """What the teacher's logits on the views of the training part say."""
    logits = ready.train_logits[:, : ready.images].reshape(-1, ready.classes)
    labels = ready.train_labels[: ready.images].repeat(len(ready.train_logits))
    chosen = torch.linspace(0, len(logits) - 1, min(len(logits), MOST_IMAGES)).long()
    return gradient.facts(
        logits[chosen].double().numpy(), labels[chosen].numpy(), planned.grid.temperatures
    )  # fmt: skip


def trace(ready: Prepared, optimizer: Optimizer, temperature: float, seed: int) -> list[float]:
    """The mean norm of T (p - q) in the first step, and then in each epoch, of a student of kd_weight 1."""
    problem = ready.problem
    student = models.build(problem.student, ready.channels, ready.size, ready.classes, seed)
    trainee = epoch.Trainee.fresh(student, optimizer, seed)
    norms: list[float] = []

    def loss(logits: Tensor, numbers: Tensor, view: int) -> Tensor:
        teacher = ready.train_logits[view, numbers].float()
        soft = [torch.softmax(part / temperature, -1) for part in (logits.detach(), teacher)]
        norms.append(float(temperature * (soft[0] - soft[1]).norm(dim=-1).mean()))
        return losses.student_loss(
            logits,
            teacher,
            ready.train_labels[numbers],
            teacher_temperature=temperature,
            student_temperature=temperature,
            kd_weight=1.0,
            label_weight=0.0,
        )

    of_epochs = []
    for _ in range(problem.training.epochs):
        before = len(norms)
        epoch.train_epoch(trainee, ready.views, ready.images, problem.training, "fp32", loss)
        of_epochs.append(float(np.mean(norms[before:])))
    return [norms[0], *of_epochs]


def traces(ready: Prepared, seeds: int = SEEDS) -> dict[str, dict[str, list[list[float]]]]:
    """By optimizer and temperature: `trace` of each seed."""
    return {
        optimizer.name: {
            f"{temperature:g}": [
                trace(ready, optimizer, temperature, build.FIRST_SEED + seed) for seed in range(seeds)
            ]
            for temperature in TRACED_TEMPERATURES
        }
        for optimizer in TRACED_OPTIMIZERS
    }  # fmt: skip


def read_options(description: str | None, arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options of a program that trains for the theory: tiny, cache, keep."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--tiny", action="store_true", help="one small context, for a look")
    parser.add_argument("--cache", type=Path, default=CACHE, help="where data, teachers and students' curves lie")
    parser.add_argument("--keep", help="the name of the result that is written")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    options = read_options(__doc__, arguments)
    began, about = time.monotonic(), facts.gather()
    run.set_threads(1)
    chosen = [planned for planned in contexts.planned(options.tiny) if not planned.sealed]
    roots = Roots(options.cache / "data", options.cache / "store")
    contexts.prepare_data(roots, chosen)
    teachers, norms = {}, {}
    for planned in chosen:
        ready = build.ready_for(planned, roots)
        teachers[planned.name] = teacher_facts(planned, ready)
        if options.tiny or planned.name == TRACED:
            norms = traces(ready, 2 if options.tiny else SEEDS)
    rows = [
        [name, *(f"{known[key]:.3g}" for key in ("margin", "half_temperature", "flat_from", "label_probability"))]
        for name, known in teachers.items()
    ]
    output.table("teachers", ["", "margin", "T_half", "T_flat", "p of label"], rows)
    headline = {"benchmark": "theory-teachers", "minutes": (time.monotonic() - began) / 60, **about}
    output.conclude(options.keep, headline, {"teachers": teachers, "traces": norms})
    return 0


if __name__ == "__main__":
    sys.exit(main())
