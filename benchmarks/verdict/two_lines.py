"""Ten answers of ten jobs whose truth is known, each by its first two lines alone, to be read for what to do next.

    python -m benchmarks.verdict.two_lines

Whoever reads a line must be able to say what to train next, and the truth beside it says whether that is right: what
the recommendation truly reaches, and the best of all that could have been recommended, in per cent.
"""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np

from search import configurations, units
from search.analysis.job.fits import fit_each
from search.analysis.job.joint_surface import answer_surface
from search.analysis.job.options import contest_of
from search.analysis.job.verdict import decide
from search.analysis.job.verdict_words import verdict_of
from tests import synthetic
from trainers.spec import Configuration

MEMBERS = 4  # hyperparameters that the surface averages over; a worker takes 12


def world(best: float, height: float, width: float = 1.0) -> synthetic.Truth:
    """Distilling gains `height` over labels at its best T, the less the farther away from it, and by kd_weight."""

    def truth(configuration: Configuration) -> float:
        off = math.log(configuration.temperature / best) / width
        optimizer = configuration.optimizer
        if optimizer is None:
            raise ValueError("a world's students have an optimizer")
        rate = math.log10(optimizer.learning_rate) + (1.0 if optimizer.name == "sgd" else 2.2)
        return 0.88 + configuration.kd_weight * height * math.exp(-(off**2)) - 0.02 * rate**2

    return truth


WORLDS: tuple[tuple[str, synthetic.Truth, float, dict[str, Any]], ...] = (
    ("one T far from 4, little noise", world(14, 0.05, 0.7), 0.002, {}),
    ("one T far from 4, much noise", world(14, 0.03, 0.8), 0.012, {}),
    ("flat in T", world(6, 0.04, 50), 0.004, {}),
    ("flat in T, own default 2", world(6, 0.04, 50), 0.004, {"baselines": {"default_temperature": 2.0}}),
    ("distilling loses", world(6, -0.04, 50), 0.004, {}),
    ("distilling changes nothing", world(6, 0.0, 50), 0.004, {}),
    ("T = 4 best, the rest far behind", world(4, 0.05, 0.35), 0.002, {}),
    ("best T near 1", world(1.2, 0.04, 0.8), 0.004, {}),
    ("T fixed at 6", world(6, 0.04), 0.004, {"space": {"temperature": 6.0}}),
    ("two of almost one height, much noise", world(11, 0.012, 1.2), 0.02, {}),
)


def lines(number: int, truth: synthetic.Truth, noise: float, changes: dict[str, Any]) -> str:
    """The first two lines of one job's answer, and the truth."""
    spec = synthetic.spec(**changes)
    trials = synthetic.Builder(spec, truth, noise, np.random.default_rng(number)).job()
    surface = answer_surface(spec, trials, members=MEMBERS)
    contest = contest_of(spec, trials, surface, fit_each(spec, trials, surface))
    if contest is None:
        raise RuntimeError("no fresh seed ended")
    verdict = verdict_of(spec, contest, decide(contest.field))
    values = [truth(configurations.from_json(dict(entry.configuration))) for entry in contest.entries]
    reached = truth(configurations.from_json(verdict.configuration.stored()))
    headline, action = units.first_lines(verdict, "")
    return f"{headline} {action} (true {100 * reached:.1f}, best {100 * max(values):.1f})"


def main() -> int:
    """Prints the list."""
    for number, (name, truth, noise, changes) in enumerate(WORLDS):
        sys.stdout.write(f"{number + 1}. *{name}*: {lines(number, truth, noise, changes)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
