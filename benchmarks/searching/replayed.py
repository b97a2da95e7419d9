"""A search replayed on a table of learning curves, without training: several lanes, a sampler, a
pruner, and a choice among the best on fresh seeds.
"""

from __future__ import annotations

import heapq
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from optuna.trial import TrialState

from benchmarks.table.spec import searched
from search.pruners import pruner_factory
from search.samplers import sampler_factory, space
from search.samplers.listed import ListedSampler
from search.samplers.tpe import Columns
from search.spec.job import JobSpec
from search.states import Arm
from trainers.replay.world import World

TOLERANCE = 0.002  # of accuracy: as good as the best
MOST = 400  # trials of one search
BuildSampler = Callable[[int], optuna.samplers.BaseSampler]
"""From a trial's number: for samplers that no spec names."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A trial that ended when `spent` epochs of the whole search had been trained; `value` is None where pruned."""

    spent: int
    cell: int
    value: float | None


def spec_of(world: World, **parts: Any) -> JobSpec:
    """The job that searches the world's whole grid, with other parts of its spec as given."""
    return JobSpec.model_validate(
        {
            "name": world.name,
            "dataset": {"name": "digits"},
            "teacher": {"source": "logits", "artifact": "0" * 64},
            "student": {"name": "mlp"},
            "training": {"epochs": int(world.epochs[-1])},
            "space": searched(world.grid),
        }
        | parts
    )


def play(
    world: World, spec: JobSpec, lanes: int, epochs: int, seed: int, sampler: BuildSampler | None = None
) -> list[Ended]:
    """The trials of one search in the order of their ends, until it has trained `epochs` epochs, on so many lanes.

    Lanes go epoch by epoch side by side, as in a bank; a lane whose trial ends begins the next one at once.
    """
    study = optuna.create_study(direction="maximize", study_name=f"seed {seed}")
    pruner, stops = pruner_factory.build_pruner(spec), sorted(pruner_factory.rungs(spec))
    columns, listed, length = Columns(), space.listed_values(spec.space), int(world.epochs[-1])
    waiting: list[tuple[int, int]] = []  # when it reaches its next stop, and its number
    begun: dict[int, tuple[optuna.Trial, int, np.ndarray, int]] = {}

    def begin(now: int) -> None:
        columns.update(study.get_trials(deepcopy=False))
        number = len(begun)
        if sampler is None:
            study.sampler = sampler_factory.build_sampler(spec.sampler, spec.space, Arm.JOINT, seed, number, columns)
        else:
            study.sampler = ListedSampler(sampler(number), listed)
        trial = study.ask()
        cell = world.grid.index(space.suggest(trial, spec.space, Arm.JOINT))
        begun[trial.number] = (trial, cell, world.curve(cell, 1_000_000 * (seed + 1) + trial.number), now)
        heapq.heappush(waiting, (now + (stops[0] if stops else length), trial.number))

    for _ in range(lanes):
        begin(0)
    ended: list[Ended] = []
    spent = 0
    while waiting and spent < epochs:
        now, number = heapq.heappop(waiting)
        trial, cell, curve, began = begun[number]
        epoch = now - began
        spent += epoch - max((stop for stop in stops if stop < epoch), default=0)
        value = world.at(curve, epoch)
        if epoch < length:
            trial.report(value, epoch)
            if not pruner.prune(study, study._storage.get_trial(trial._trial_id)):
                following = min((stop for stop in stops if stop > epoch), default=length)
                heapq.heappush(waiting, (began + following, number))
                continue
            study.tell(trial, state=TrialState.PRUNED)
        else:
            study.tell(trial, value)
        ended.append(Ended(spent, cell, value if epoch == length else None))
        if len(begun) < MOST:
            begin(now)
    return ended


@dataclass(frozen=True, slots=True)
class Answer:
    """What a search has found: the cell of the best mean on single seeds, the one chosen on fresh seeds, and what
    choosing cost in epochs.
    """

    first: int
    chosen: int
    epochs: int


def answer(world: World, ended: Sequence[Ended], seed: int, finalists: int = 3, seeds: int = 3) -> Answer | None:
    """The best few trained on fresh seeds, of which the best mean is chosen; None where none was trained to its end."""
    values: dict[int, list[float]] = {}
    for trial in ended:
        if trial.value is not None:
            values.setdefault(trial.cell, []).append(trial.value)
    if not values:
        return None
    best = sorted(values, key=lambda cell: -statistics.fmean(values[cell]))[:finalists]
    fresh = [1_000_000 * (seed + 1) - 1 - index for index in range(seeds)]
    runs = world.curves([cell for cell in best for _ in fresh], fresh * len(best))[:, -1]
    means = runs.reshape(len(best), seeds).mean(1)
    return Answer(best[0], best[int(np.argmax(means))], len(best) * seeds * int(world.epochs[-1]))


def regret(world: World, cell: int) -> float:
    """How far a cell's true accuracy lies below the best one, 0..1."""
    last = world.truth[:, -1]
    return float(last.max() - last[cell])
