"""Rounding of continuous proposals to the nearest listed number."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState


class ListedSampler(BaseSampler):
    """`inner`, whose proposals for the parameters in `listed` are moved to the nearest listed number, and those for the
    `whole` ones to the nearest whole number, before anybody hears of them: what is stored and shown is what is trained.

    A list is searched as the range between its ends, so that its order counts; as choices without order, which is
    Optuna's way, samplers would learn nothing of a temperature from its neighbours.
    """

    def __init__(self, inner: BaseSampler, listed: Mapping[str, Sequence[float]], whole: Collection[str] = ()) -> None:
        self._inner, self._listed = inner, {name: sorted(values) for name, values in listed.items()}
        self._whole = whole

    def reseed_rng(self) -> None:
        """As the inner sampler."""
        self._inner.reseed_rng()

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """As the inner sampler."""
        self._inner.before_trial(study, trial)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """As the inner sampler."""
        self._inner.after_trial(study, trial, state, values)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """As the inner sampler."""
        return self._inner.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The inner sampler's proposals, the listed ones at their nearest number."""
        proposed = self._inner.sample_relative(study, trial, search_space)
        return {name: self._nearest(name, value, search_space[name]) for name, value in proposed.items()}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """The inner sampler's proposal, at the nearest number where it is listed."""
        proposed = self._inner.sample_independent(study, trial, param_name, param_distribution)
        return self._nearest(param_name, proposed, param_distribution)

    def _nearest(self, name: str, value: Any, distribution: BaseDistribution) -> Any:
        values = self._listed.get(name)
        if values is None:
            return float(round(value)) if name in self._whole else value
        scale = math.log if getattr(distribution, "log", False) else float
        above = bisect_left(values, value)
        near = values[max(0, above - 1) : above + 1]
        return min(near, key=lambda listed_value: abs(scale(listed_value) - scale(value)))
