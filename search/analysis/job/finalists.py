"""The choice of finalists: the completed configurations that together most likely hold the best true mean.

One seed's luck decides nothing: what counts is the posterior of the mean over seeds, by a surface over all trials.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np

from search.analysis.job.field import CONSIDERED, DRAWS, NEGLIGIBLE, best_set, choose_field
from search.analysis.job.joint_surface import joint_of, joint_surface, points_of
from search.claims import planner
from search.records import Trial
from search.spec.job import JobSpec
from search.states import Arm
from search.surrogate.surface import MEMBERS, Array, Surface
from search.surrogate.threads import one_thread
from thermowell.api.answers import ArmFinalists, Finalist, Finalists

METHOD = (
    "A Gaussian process over T, the optimizer and its settings (Matern 5/2, hyperparameters averaged over "
    "Laplace's approximation of their posterior), fitted to every completed trial of the job; label-only trials have "
    "one of their own. Trials that were stopped early are left out: their value is of a shorter training. Diverged "
    "ones count as the worst value seen. The first finalist has the best posterior mean; each further one is that "
    "which most raises the expected best true mean of the set (the expected improvement of a batch: Ginsbourger et "
    "al. 2010; greedily, which comes within 1 - 1/e of the best set: Nemhauser et al. 1978), until it promises less "
    "than a fiftieth of delta. Where fewer than five different configurations have completed, an arm is ranked by its "
    "mean values."
)


def choose_finalists(
    job_id: str, spec: JobSpec, trials: Sequence[Trial], round_: int, now: datetime, *, members: int = MEMBERS
) -> Finalists:
    """The finalists of every arm for this round. The same trials give the same choice, but for `computed_at`.

    `trials` are all of the job's; `members` plausible hyperparameters are averaged over, 1 for a quick choice.
    """
    if spec.baselines.by == "surface":
        finalists = choose_field(job_id, spec, trials, round_, now, members)
        return finalists or by_value(job_id, spec, trials, round_, now)
    rng = np.random.default_rng([spec.seed, round_, 1])
    arms = []
    with one_thread():
        fitted = {labels: joint_surface(spec, trials, labels, rng, members) for labels in (False, True)}
        surfaces = {labels: surface for labels, surface in fitted.items() if surface is not None}
        for arm in Arm:
            candidates = planner.candidates(spec, trials, arm)
            if candidates:
                arms.append(_of_arm(spec, arm, candidates, surfaces, rng))
    return Finalists(
        job_id=job_id,
        round=round_,
        arms=arms,
        method=METHOD,
        computed_at=now.isoformat(),
    )


def by_value(job_id: str, spec: JobSpec, trials: Sequence[Trial], round_: int, now: datetime) -> Finalists:
    """The finalists by their mean values alone, for whoever cannot fit a surface."""
    arms = [_ranked(spec, arm, candidates) for arm in Arm if (candidates := planner.candidates(spec, trials, arm))]
    method = "The surface could not be fitted: each arm's configurations are ranked by their mean values."
    return Finalists(
        job_id=job_id,
        round=round_,
        arms=arms,
        method=method,
        computed_at=now.isoformat(),
    )


def _of_arm(
    spec: JobSpec,
    arm: Arm,
    candidates: list[Trial],
    surfaces: Mapping[bool, Surface],
    rng: np.random.Generator,
) -> ArmFinalists:
    posterior = _posterior(spec, arm, candidates, surfaces, rng)
    if posterior is None:
        return _ranked(spec, arm, candidates)
    trials, draws = posterior
    sign = 1 if spec.objective.direction == "maximize" else -1
    confirmation = spec.confirmation
    places = best_set(draws, confirmation.finalists, NEGLIGIBLE * confirmation.delta)
    best = np.bincount(draws.argmax(axis=1), minlength=len(trials)) / len(draws)
    return ArmFinalists(
        arm=arm.value,
        candidates=len(candidates),
        finalists=[
            Finalist(
                trial=trials[place].number,
                mean=float(sign * draws[:, place].mean()),
                deviation=float(draws[:, place].std()),
                best=float(best[place]),
            )
            for place in places
        ],
    )


def _ranked(spec: JobSpec, arm: Arm, candidates: list[Trial]) -> ArmFinalists:
    finalists = [
        Finalist(trial=trial.number, mean=float(trial.value or 0.0), deviation=None, best=None)
        for trial in candidates[: spec.confirmation.finalists]
    ]
    return ArmFinalists(arm=arm.value, candidates=len(candidates), finalists=finalists)


def _posterior(
    spec: JobSpec, arm: Arm, candidates: list[Trial], surfaces: Mapping[bool, Surface], rng: np.random.Generator
) -> tuple[list[Trial], Array] | None:
    """The candidates that may be best, and draws [DRAWS, n] of their true means, more being better.

    None where too few have completed for a surface.
    """
    labels = arm is Arm.LABEL_ONLY
    if labels not in surfaces:
        return None
    points = points_of(joint_of(spec, labels), [trial.configuration or {} for trial in candidates])
    places = np.argsort(-surfaces[labels].mean(points), kind="stable")[:CONSIDERED]
    return [candidates[int(place)] for place in places], surfaces[labels].draws(points[places], DRAWS, rng)
