"""The finalists of all arms as one field: by one surface over the joint search and the baselines, no distillation too.

The settings that are best in the joint search enter every baseline's selection, at its T or without distillation,
whether or not the baseline's own trials have met them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import structlog

from search.analysis.job.joint_surface import distilled, optimizer_of, values_of
from search.claims import planner, trial_counts
from search.records import Trial
from search.spec.job import JobSpec
from search.states import Arm
from search.surrogate.slices import Slice, together
from search.surrogate.surface import MEMBERS, Array, Surface
from search.surrogate.threads import one_thread
from thermowell.api.answers import ArmFinalists, FieldBeliefs, Finalist, Finalists
from trainers.registry import losses

_log = structlog.get_logger(__name__)
ENOUGH = 5
"""Different configurations below which no surface is fitted to them."""
AT_MOST = 600
"""Trials that a surface is fitted to: the latest."""
CONSIDERED = 200
"""Candidates of an arm whose posterior is looked at together: those with the best means."""
DRAWS = 2000
NEGLIGIBLE = 0.02
"""Of delta: a further finalist that promises less is not trained again."""

METHOD = (
    "One Gaussian process over T, the weight of the distillation term, the optimizer and its settings (Matern 5/2, "
    "hyperparameters averaged over Laplace's approximation of their posterior), fitted to every completed trial of the "
    "job: T = 1 and T = 4 are slices of it, no distillation its edge, where it is constant in T. Trials that were "
    "stopped early are left out, diverged ones count as the worst value seen. The first finalist of an arm has the "
    "best posterior mean; each further one is that which most raises the expected best true mean of the set, until it "
    "promises less than a fiftieth of delta. The joint finalists' settings are candidates of every baseline, the "
    "first one's in any case."
)


@dataclass(frozen=True, slots=True)
class _Candidates:
    """An arm's configurations [n] by the numbers of their trials, and their points [n, d]."""

    numbers: list[int]
    points: Array


def choose_field(
    job_id: str, spec: JobSpec, trials: Sequence[Trial], round_: int, now: datetime, members: int = MEMBERS
) -> Finalists | None:
    """The finalists of every arm; None where too few configurations have completed for a surface."""
    rng = np.random.default_rng([spec.seed, round_, 1])
    with one_thread():
        surfaces: dict[tuple[Arm, ...], Surface | None] = {}
        slices = {arm: Slice(spec.space, arm, spec.distillation.method) for arm in Arm}
        for arm in Arm:
            shared = _shared(spec, arm)
            if shared not in surfaces:
                surfaces[shared] = whole_surface(spec, [t for t in trials if t.arm in shared], rng, members)
        if any(surface is None for surface in surfaces.values()):
            return None
        finalists: dict[Arm, list[tuple[int, Array]]] = {}
        for arm in Arm:
            surface = surfaces[_shared(spec, arm)]
            assert surface is not None
            joint = [number for number, _ in finalists.get(Arm.JOINT, [])]
            candidates = _candidates(spec, trials, arm, joint, slices[arm])
            if candidates.numbers:
                first = 0 if arm is Arm.JOINT or not joint else joint[0]
                most = (
                    spec.confirmation.finalists
                    if arm is Arm.JOINT
                    else min(trial_counts.OF_BASELINE, spec.confirmation.finalists)
                )
                finalists[arm] = _chosen(spec, surface, candidates, most, None if arm is Arm.JOINT else first, rng)
        return _document(job_id, spec, trials, round_, now, finalists, surfaces, rng)


def whole_surface(
    spec: JobSpec, trials: Sequence[Trial], rng: np.random.Generator, members: int = MEMBERS
) -> Surface | None:
    """The surface over trials of several arms, as points of the cube of all; None where too few have completed."""
    sign = 1 if spec.objective.direction == "maximize" else -1
    choices = spec.space.optimizers()
    configured = [t for t in trials if t.configuration and optimizer_of(t.configuration) in choices]
    values = values_of(configured, sign)
    fitted = sorted((t for t in configured if t.number in values), key=lambda t: -t.number)[:AT_MOST]
    if len({repr(t.configuration) for t in fitted}) < ENOUGH:
        return None
    cube = Slice(spec.space, Arm.JOINT, spec.distillation.method)
    points = np.array([point_of(spec, cube, t, t.arm) for t in fitted])
    observed = np.array([values[t.number] for t in fitted])
    return Surface(points, observed, rng, members, cube.lengths)


def point_of(spec: JobSpec, cube: Slice, trial: Trial, arm: Arm) -> Array:
    """The point in the cube of a trial's configuration, as it is in this arm."""
    configuration = planner.taken_to(spec, trial, arm)
    optimizer = optimizer_of(configuration)
    return cube.point(optimizer, cube.read(optimizer, configuration), arm)


def edged_surface(spec: JobSpec, trials: Sequence[Trial], members: int = MEMBERS) -> Surface | None:
    """The surface whose edge is training on the labels alone: over all that distils by the job's method and all that
    does not distil, each on a fresh seed too.

    None where too few configurations have completed, or none could be fitted to them. The same trials give the same
    surface, in any order.
    """
    labels = [trial for trial in trials if trial.arm is Arm.LABEL_ONLY and trial.configuration is not None]
    try:
        with one_thread():
            rng = np.random.default_rng([spec.seed, 0, 8])
            return whole_surface(spec, [*distilled(trials), *labels], rng, members)
    except (ArithmeticError, ValueError) as error:  # LinAlgError among them: an answer is owed in any case
        _log.error("no surface with the labels could be fitted: an answer does without", name=spec.name, exc_info=error)
        return None


def edged_points(spec: JobSpec, configurations: Sequence[tuple[Arm, Mapping[str, Any]]]) -> Array:
    """The points [n, d] of that surface at stored configurations, each with the arm whose configuration it is."""
    cube = Slice(spec.space, Arm.JOINT, spec.distillation.method)
    points = [
        cube.point(optimizer, cube.read(optimizer, configuration), arm)
        for arm, configuration in configurations
        for optimizer in [optimizer_of(configuration)]
    ]
    return np.array(points).reshape(-1, cube.dimensions)


def best_set(draws: Array, most: int, negligible: float) -> list[int]:
    """Places of at most `most` candidates whose expected best is highest, greedily; `draws` are [n, candidates].

    The first has the highest mean; a further one is left out where it raises the expected best by less than
    `negligible`.
    """
    places = [int(draws.mean(axis=0).argmax())]
    best = draws[:, places[0]]
    while len(places) < min(most, draws.shape[1]):
        gains = np.maximum(draws - best[:, None], 0.0).mean(axis=0)
        gains[places] = -1.0
        place = int(gains.argmax())
        if gains[place] < negligible:
            break
        places.append(place)
        best = np.maximum(best, draws[:, place])
    return places


def _shared(spec: JobSpec, arm: Arm) -> tuple[Arm, ...]:
    return tuple(together(arm, spec.distillation.method == losses.PLAIN))


def _candidates(spec: JobSpec, trials: Sequence[Trial], arm: Arm, joint: Sequence[int], cube: Slice) -> _Candidates:
    by_number = {trial.number: trial for trial in trials}
    numbers = [trial.number for trial in planner.candidates(spec, trials, arm)]
    if arm is not Arm.JOINT:
        numbers += joint
    points = [point_of(spec, cube, by_number[number], arm) for number in numbers]
    return _Candidates(numbers, np.array(points).reshape(-1, cube.dimensions))


def _chosen(
    spec: JobSpec, surface: Surface, candidates: _Candidates, most: int, always: int | None, rng: np.random.Generator
) -> list[tuple[int, Array]]:
    """The numbers and points of at most `most` candidates, `always` among them."""
    places = [int(place) for place in np.argsort(-surface.mean(candidates.points), kind="stable")[:CONSIDERED]]
    if always is not None and (place := candidates.numbers.index(always)) not in places:
        places.append(place)
    draws = surface.draws(candidates.points[places], DRAWS, rng)
    best = best_set(draws, most, NEGLIGIBLE * spec.confirmation.delta)
    finalists = [(candidates.numbers[places[place]], candidates.points[places[place]]) for place in best]
    if always is not None and always not in [number for number, _ in finalists]:
        forced = (always, candidates.points[candidates.numbers.index(always)])
        finalists = [*finalists[: max(1, most - 1)], forced]
    return finalists


def _document(
    job_id: str,
    spec: JobSpec,
    trials: Sequence[Trial],
    round_: int,
    now: datetime,
    finalists: Mapping[Arm, Sequence[tuple[int, Array]]],
    surfaces: Mapping[tuple[Arm, ...], Surface | None],
    rng: np.random.Generator,
) -> Finalists:
    sign = 1 if spec.objective.direction == "maximize" else -1
    noises: list[float] = []
    groups: list[tuple[tuple[Arm, ...], int]] = []
    for arm, candidates in finalists.items():
        groups += [(_shared(spec, arm), place) for place in range(len(candidates))]
    points = np.concatenate([np.array([point for _, point in candidates]) for candidates in finalists.values()])
    draws = np.zeros((DRAWS, len(points)))
    for shared, surface in surfaces.items():
        places = [place for place, (group, _) in enumerate(groups) if group == shared]
        if places and surface is not None:
            draws[:, places] = surface.draws(points[places], DRAWS, rng)
            noises.append(surface.noise)
    means, covariance = draws.mean(axis=0), np.atleast_2d(np.cov(draws, rowvar=False))
    arms, start = [], 0
    for arm, candidates in finalists.items():
        share = np.bincount(draws[:, start : start + len(candidates)].argmax(axis=1), minlength=len(candidates)) / DRAWS
        arms.append(
            ArmFinalists(
                arm=arm.value,
                candidates=len(planner.candidates(spec, trials, arm)),
                finalists=[
                    Finalist(
                        trial=number,
                        mean=float(sign * means[start + place]),
                        deviation=float(draws[:, start + place].std()),
                        best=float(share[place]),
                    )
                    for place, (number, _) in enumerate(candidates)
                ],
            )
        )
        start += len(candidates)
    return Finalists(
        job_id=job_id,
        round=round_,
        arms=arms,
        beliefs=FieldBeliefs(
            means=[float(mean) for mean in means],
            covariance=[[float(value) for value in row] for row in covariance],
            noise=max(noises),
        ),
        method=METHOD,
        computed_at=now.isoformat(),
    )
