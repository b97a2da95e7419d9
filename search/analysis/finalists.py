"""Which completed configurations are worth training again? Those that together most likely hold the best true mean.

One seed's luck decides nothing: what counts is the posterior of the mean over seeds, by a surface over all trials.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np

from search.analysis.fits import AT_MOST, DIVERGED
from search.answer import ArmFinalists, Finalist, Finalists
from search.leasing import plan
from search.records import Trial
from search.spec import JobSpec
from search.states import Arm, TrialState
from search.surfaces.axes import Axis, temperature_axis
from search.surfaces.joint import Joint, Setting, settings_of
from search.surfaces.surface import MEMBERS, Array, Surface
from search.surfaces.threads import one_thread

ENOUGH = 5
"""Different configurations below which no surface is fitted to them."""
DRAWS = 2000
CONSIDERED = 200
"""Candidates of an arm whose posterior is looked at together: those with the best means."""
NEGLIGIBLE = 0.02
"""Of delta: a further finalist that promises less is not trained again."""

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
    rng = np.random.default_rng([spec.seed, round_, 1])
    arms = []
    with one_thread():
        surfaces = _surfaces(spec, trials, rng, members)
        for arm in Arm:
            candidates = plan.candidates(spec, trials, arm)
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
    arms = [_ranked(spec, arm, candidates) for arm in Arm if (candidates := plan.candidates(spec, trials, arm))]
    method = "The surface could not be fitted: each arm's configurations are ranked by their mean values."
    return Finalists(
        job_id=job_id,
        round=round_,
        arms=arms,
        method=method,
        computed_at=now.isoformat(),
    )


def best_set(draws: Array, most: int, negligible: float) -> list[int]:
    """Places of at most `most` candidates whose expected best is highest, greedily; `draws` are [n, candidates].

    The first has the highest mean; a further one is left out where it raises the expected best by less than
    `negligible`.
    """
    chosen = [int(draws.mean(axis=0).argmax())]
    best = draws[:, chosen[0]]
    while len(chosen) < min(most, draws.shape[1]):
        gains = np.maximum(draws - best[:, None], 0.0).mean(axis=0)
        gains[chosen] = -1.0
        place = int(gains.argmax())
        if gains[place] < negligible:
            break
        chosen.append(place)
        best = np.maximum(best, draws[:, place])
    return chosen


def _of_arm(
    spec: JobSpec,
    arm: Arm,
    candidates: list[Trial],
    surfaces: Mapping[bool, Surface],
    rng: np.random.Generator,
) -> ArmFinalists:
    known = _posterior(spec, arm, candidates, surfaces, rng)
    if known is None:
        return _ranked(spec, arm, candidates)
    trials, draws = known
    sign = 1 if spec.objective.direction == "maximize" else -1
    confirmation = spec.confirmation
    chosen = best_set(draws, confirmation.finalists, NEGLIGIBLE * confirmation.delta)
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
            for place in chosen
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
    points = _points(_joint(spec, labels), candidates)
    kept = np.argsort(-surfaces[labels].mean(points), kind="stable")[:CONSIDERED]
    return [candidates[int(place)] for place in kept], surfaces[labels].draws(points[kept], DRAWS, rng)


def _surfaces(spec: JobSpec, trials: Sequence[Trial], rng: np.random.Generator, members: int) -> dict[bool, Surface]:
    """By whether of label-only trials: where enough configurations have completed."""
    sign = 1 if spec.objective.direction == "maximize" else -1
    choices = spec.space.optimizer.choices()
    surfaces: dict[bool, Surface] = {}
    for labels in (False, True):
        own = [
            t for t in trials if (t.arm is Arm.LABEL_ONLY) == labels and t.configuration and _optimizer(t) in choices
        ]
        values = {t.number: sign * t.value for t in own if _completed(t) and t.value is not None}
        if len({repr(t.configuration) for t in own if t.number in values}) < ENOUGH:
            continue
        worst = min(values.values())
        values |= {t.number: worst for t in own if t.reason is not None and t.reason.type == DIVERGED}
        fitted = sorted((t for t in own if t.number in values), key=lambda t: -t.number)[:AT_MOST]
        joint = _joint(spec, labels)
        found = np.array([values[t.number] for t in fitted])
        surfaces[labels] = Surface(_points(joint, fitted), found, rng, members, joint.lengths)
    return surfaces


def _joint(spec: JobSpec, labels: bool) -> Joint:
    """Where configurations lie: of label-only trials the optimizer's settings alone; T also where it is not searched,
    since baselines have another one.
    """
    if labels:
        return Joint.of(spec.space, Arm.LABEL_ONLY)
    settings = {str(name): settings_of(spec.space, Arm.JOINT, name) for name in spec.space.optimizer.choices()}
    if temperature_axis(spec.space) is None:
        temperature = Setting(Axis("temperature", 1.0, 40.0, log=True))
        settings = {name: [temperature, *own] for name, own in settings.items()}
    return Joint(settings)


def _points(joint: Joint, trials: Sequence[Trial]) -> Array:
    """Trials as points [n, d]."""
    found = [
        joint.point(
            _optimizer(trial),
            {s.axis.name: s.axis.value(trial.configuration or {}) for s in joint.settings[_optimizer(trial)]},
        )
        for trial in trials
    ]
    return np.array(found, dtype=float).reshape(len(trials), joint.dimensions)


def _optimizer(trial: Trial) -> str:
    return str((trial.configuration or {})["optimizer"]["name"])


def _completed(trial: Trial) -> bool:
    return trial.state is TrialState.COMPLETED and trial.value is not None and math.isfinite(trial.value)
