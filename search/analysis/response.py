"""How does the quality depend on temperature, with the other settings profiled out?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from threadpoolctl import threadpool_limits

from search.analysis import profile
from search.analysis.axes import Axis, axes, temperature_axis
from search.analysis.surface import Array, Surface
from search.answer import Observation, ResponseCurve, TemperatureResponse
from search.records import Trial
from search.spec import JobSpec
from search.states import Arm, Stage, TrialState

ENOUGH = 8
"""Different configurations below which an optimizer gets no curve: repeats on other seeds tell of one point alone."""
ENOUGH_TEMPERATURES = 4
"""And different temperatures."""
AT_MOST = 600
"""Trials of one optimizer that enter its curve: confirmation first, then the latest."""
DIVERGED = "diverged"
"""The reason's type of a trial whose loss was no longer finite."""

METHOD = (
    "Gaussian process (Matern 5/2, a length scale for each setting, hyperparameters averaged over Laplace's "
    "approximation of their posterior), one for each optimizer, over the last epoch's value of completed search, "
    "baseline (T = 1, T = 4) and confirmation trials; seed noise is estimated and left out of the band. Trials that "
    "were stopped early are shown but not fitted: their value is of a shorter training, where other temperatures "
    "are best. Diverged trials count as the worst value seen. At each temperature the other settings are those with "
    "the best posterior mean; of the optimizers, the one whose band's worse end is best. Bands are pointwise; sets "
    "are read off joint posterior draws: the confidence set holds what is not shown to be worse than the best, the "
    "equivalent set what is shown to be within delta of it."
)


@dataclass(frozen=True, slots=True)
class _Seen:
    """A trial as the fit sees it: oriented so that more is better."""

    trial: Trial
    optimizer: str
    temperature: float
    value: float


def temperature_response(
    job_id: str,
    spec: JobSpec,
    trials: Sequence[Trial],
    softness: Sequence[tuple[float, float]],
    now: datetime,
) -> TemperatureResponse:
    """The temperature response of each optimizer that was tried enough, and of the best of them all.

    label_only trials have no temperature and are left out, and so are trials at temperatures outside the searched
    range. The same trials give the same document, but for `computed_at`.
    """
    sign = 1 if spec.objective.direction == "maximize" else -1
    temperature = temperature_axis(spec.space)
    seen = _fitted(spec, trials, temperature, sign)
    curves: list[ResponseCurve] = []
    overall: ResponseCurve | None = None
    if temperature is not None:
        grid = profile.grid(temperature.low, temperature.high)
        draws: dict[str, Array] = {}
        for index, optimizer in enumerate(spec.space.optimizer.choices()):
            own = [one for one in seen if one.optimizer == optimizer]
            if _enough(own):
                rng = np.random.default_rng([spec.seed, index])
                draws[optimizer] = _draws(own, temperature, axes(spec.space, optimizer), len(grid), rng)
        curves = [_curve(name, grid, drawn, spec, sign) for name, drawn in draws.items()]
        if draws:
            overall = _curve(None, grid, _best_of(list(draws.values()), spec.confirmation.confidence), spec, sign)
    return TemperatureResponse(
        job_id=job_id,
        metric=spec.objective.metric,
        direction=spec.objective.direction,
        overall=overall,
        per_optimizer=curves,
        observations=_observations(trials),
        softness=list(softness),
        method=METHOD,
        delta=spec.confirmation.delta,
        computed_at=now.isoformat(),
    )


def _fitted(spec: JobSpec, trials: Sequence[Trial], temperature: Axis | None, sign: int) -> list[_Seen]:
    """The trials that are fitted. Diverged ones get the worst value of those that completed."""
    if temperature is None:
        return []
    choices = spec.space.optimizer.choices()
    usable = [
        trial
        for trial in trials
        if trial.configuration is not None
        and trial.arm is not Arm.LABEL_ONLY
        and trial.configuration["optimizer"]["name"] in choices
        and temperature.low * (1 - 1e-9) <= trial.configuration["temperature"] <= temperature.high * (1 + 1e-9)
    ]
    values = {trial.number: sign * float(trial.value or 0.0) for trial in usable if _completed(trial)}
    if values:
        worst = min(values.values())
        values.update({trial.number: worst for trial in usable if _diverged(trial)})
    return [_seen(trial, values[trial.number]) for trial in usable if trial.number in values]


def _enough(seen: Sequence[_Seen]) -> bool:
    configurations = {repr(sorted((one.trial.configuration or {}).items(), key=str)) for one in seen}
    return len(configurations) >= ENOUGH and len({one.temperature for one in seen}) >= ENOUGH_TEMPERATURES


def _completed(trial: Trial) -> bool:
    return trial.state is TrialState.COMPLETED and trial.value is not None and math.isfinite(trial.value)


def _diverged(trial: Trial) -> bool:
    return trial.state is TrialState.FAILED and trial.reason is not None and trial.reason.type == DIVERGED


def _seen(trial: Trial, value: float) -> _Seen:
    configuration = trial.configuration or {}
    return _Seen(trial, str(configuration["optimizer"]["name"]), float(configuration["temperature"]), value)


def _draws(
    seen: Sequence[_Seen], temperature: Axis, others: Sequence[Axis], count: int, rng: np.random.Generator
) -> Array:
    """Joint draws of one optimizer's profile, oriented."""
    ranked = sorted(seen, key=lambda one: (one.trial.stage not in (Stage.SELECT, Stage.ESTIMATE), -one.trial.number))
    kept = ranked[:AT_MOST]  # never by value: that would fit luck
    settings = np.array(
        [[axis.unit(axis.value(one.trial.configuration or {})) for axis in others] for one in kept], dtype=float
    ).reshape(len(kept), len(others))
    at = np.array([temperature.unit(one.temperature) for one in kept])
    with threadpool_limits(1):  # matrices this small are slower on several cores, and would round differently on each
        surface = Surface(np.column_stack([at, settings]), np.array([one.value for one in kept]), rng)
        return profile.profile_draws(surface, settings, count, rng)


def _best_of(draws: Sequence[Array], confidence: float) -> Array:
    """At each temperature the draws of one optimizer: the one whose band's lower end is highest, that one can rely on.

    By the highest mean, an optimizer with few trials would hide what is known of another. Each draw's own maximum
    would lie above both where they are close, as `profile_draws` says of settings.
    """
    best = np.argmax([np.quantile(drawn, (1 - confidence) / 2, axis=0) for drawn in draws], axis=0)
    return np.stack(draws)[best, :, np.arange(len(best))].T


def _curve(optimizer: str | None, grid: Array, draws: Array, spec: JobSpec, sign: int) -> ResponseCurve:
    confidence = spec.confirmation.confidence
    return ResponseCurve(
        optimizer=optimizer,
        points=profile.points(grid, draws, confidence, sign),
        best_temperature=float(grid[int(draws.mean(axis=0).argmax())]),
        confidence_set=profile.confidence_set(grid, draws, confidence),
        equivalent_set=profile.equivalent_set(grid, draws, spec.confirmation.delta, confidence),
    )


def _observations(trials: Sequence[Trial]) -> list[Observation]:
    """What the picture shows behind the curve: everything with a temperature and a value, pruned trials too."""
    return [
        Observation(
            trial=trial.number,
            temperature=float(trial.configuration["temperature"]),
            optimizer=str(trial.configuration["optimizer"]["name"]),
            value=trial.value,
            stage=trial.stage.value,
            state=trial.state.value,
        )
        for trial in trials
        if trial.configuration is not None
        and trial.arm is not Arm.LABEL_ONLY
        and trial.state in (TrialState.COMPLETED, TrialState.PRUNED)
        and trial.value is not None
        and math.isfinite(trial.value)
    ]
