"""The pruner `auto`: stops what hardly has a chance to be among a job's finalists, by its curve and by the surface.

Finalists are chosen by what a configuration is worth on average over seeds, as the surface over the finished trials has
it. So that is what a trial's chance is of: not of its own end, which may be luck.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from statistics import NormalDist

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

from search.pruners.extrapolation import predict
from search.pruners.rung_pruner import RungPruner, leads, rivals_of, sign_of
from search.surrogate.encoding import Encoding
from search.surrogate.squeeze import Squeeze
from search.surrogate.surface import Array, Surface
from search.surrogate.threads import one_thread

CHANCE = 0.02
"""Below it a trial is stopped."""
ENOUGH = 10
"""Trials that must have ended after a report at the epoch: as many as the sampler spreads evenly before it proposes."""
MOST = 150
"""Trials that are learnt from, the last ones to be asked for: a surface's cost grows with their cube."""
_END_DEVIATION = 0.2  # of ends around their prediction, in units of how trials vary, as much known as from two trials


class FinalistPruner(RungPruner):
    """Stops a trial at one of `rungs` where its configuration has a chance below CHANCE to be worth as much as the
    `keep`-th best of the configurations that were trained to their end.

    It stops nobody before ENOUGH trials have ended that reported at that epoch, nor whoever leads there, nor where
    fewer than `keep` configurations have ended. What it decides depends on what the storage holds of the trials, and on
    nothing else.
    """

    def __init__(self, rungs: Collection[int], encoding: Encoding, keep: int) -> None:
        self._rungs, self._encoding, self._keep = frozenset(rungs), encoding, keep

    def is_rung(self, epoch: int) -> bool:
        """Whether it is one of the rungs."""
        return epoch in self._rungs

    def stops(self, study: optuna.study.Study, trial: FrozenTrial, rung: int) -> bool:
        """Whether the configuration's chance is below CHANCE."""
        rivals = rivals_of(study, trial)
        if leads(study, trial, rivals, rung) or not self._has_point(trial):
            return False
        examples = [rival for rival in rivals if _tells(rival, rung) and self._has_point(rival)][-MOST:]
        points = np.array([self._point(example) for example in [*examples, trial]])
        if len(examples) < ENOUGH or len(np.unique(points[:-1], axis=0)) < self._keep:
            return False
        sign = sign_of(study)
        ends = sign * np.array([float(example.value or 0.0) for example in examples])
        values = sign * np.array([example.intermediate_values[rung] for example in [*examples, trial]])
        with one_thread():
            return chance(points, ends, values, self._encoding.lengths, self._keep) < CHANCE

    def _has_point(self, trial: FrozenTrial) -> bool:
        return self._encoding.has(self._optimizer(trial), trial.params)

    def _point(self, trial: FrozenTrial) -> Array:
        return self._encoding.point(self._optimizer(trial), trial.params)

    def _optimizer(self, trial: FrozenTrial) -> str:
        return str(trial.params.get("optimizer", next(iter(self._encoding.settings))))


def chance(points: Array, ends: Array, values: Array, lengths: Array, keep: int) -> float:
    """The probability that a configuration is worth at least as much as the `keep`-th best of those that have ended.

    In squeezed values, and in units of how the ends y of the n finished trials vary:

    - The surface says of each finished trial what its end would be by all others, m_i (the end left out), and of the
      new configuration what it is worth, f ~ N(m, s^2); a single run differs from that by noise of variance v.
    - The end of the new trial is predicted by a regression of ends on values at the rung and on m_i together (stacking:
      Wolpert 1992). As m_i has not seen y_i, the regression weighs what a curve tells against what the surface tells,
      as it was among these trials: y ~ N(mu, tau^2).
    - Would it end at y, it would be worth N(m + k (y - m), (1 - k) s^2) with k = s^2 / (s^2 + v): the same process with
      one run more. Over all y: N(m + k (mu - m), (1 - k) s^2 + k^2 tau^2).

    Args:
        points: Of the finished trials' configurations, and the new one's last [n + 1, d].
        ends: Values of the finished trials, more being better [n].
        values: At the rung, of all of them, the new one's last [n + 1].
        lengths: Priors of the surface's logarithmic length scales [d, 2].
        keep: How many configurations are finalists, at most as many as have ended.

    References:
        D. Wolpert (1992), Stacked generalization, Neural Networks 5. Rasmussen and Williams 2006, equations 2.25 and
        2.26 (one run more) and 5.12 (a run left out).
    """
    surface = Surface(points[:-1], ends, np.random.default_rng(0), 1, lengths)
    process = surface.members[0]
    at_rung = _standard(Squeeze.of(values[:-1])(values), len(ends))
    [mean], [deviation] = process.standard(points[-1:])
    features = np.column_stack([at_rung, np.append(process.left_out(), mean)])
    end, end_deviation = predict(features[:-1], process.targets, features[-1], _END_DEVIATION)
    share = deviation**2 / (deviation**2 + process.noise)
    worth = mean + share * (end - mean)
    doubt = math.sqrt((1 - share) * deviation**2 + share**2 * end_deviation**2)
    threshold = np.sort(process.mean(np.unique(points[:-1], axis=0)))[-keep]
    return 1.0 - NormalDist(float(worth), doubt).cdf(float(threshold))


def _tells(trial: FrozenTrial, rung: int) -> bool:
    """Whether a trial was trained to its end, and has a value there and at the rung."""
    if trial.state is not TrialState.COMPLETE or rung not in trial.intermediate_values:
        return False
    return math.isfinite(trial.value or 0.0) and math.isfinite(trial.intermediate_values[rung])


def _standard(values: Array, count: int) -> Array:
    """Values less the mean of the first `count`, in units of how these vary."""
    deviation = float(values[:count].std())
    standard: Array = (values - values[:count].mean()) / (deviation or 1.0)
    return standard
