"""A sampler that proposes exactly the configuration that was advised.

Our own row carries the configuration from the claim on, so nothing waits in Optuna's tables to be taken twice, and who
takes a lost worker's trial over proposes the same.
"""

from __future__ import annotations

from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial

from trainers.registry.optimizers import NUMBERS
from trainers.spec import Configuration, Optimizer, Value


class AdvisedSampler(optuna.samplers.BaseSampler):
    """Proposes one configuration, whatever was tried before."""

    def __init__(self, configuration: Configuration) -> None:
        self._parameters = parameters(configuration)

    def infer_relative_search_space(self, study: optuna.study.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Nothing is sampled jointly: all of it is known."""
        return {}

    def sample_relative(
        self, study: optuna.study.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """As `infer_relative_search_space` says."""
        return {}

    def sample_independent(
        self, study: optuna.study.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """The configuration's own value."""
        return self._parameters[param_name]


def parameters(configuration: Configuration) -> dict[str, Value]:
    """A configuration under the names that `space.suggest` gives its parameters, searched or not."""
    optimizer = configuration.optimizer
    optional = {name: getattr(configuration, name) for name in ("final_temperature", "student_temperature")}
    return {name: value for name, value in optional.items() if value is not None} | {
        "temperature": configuration.temperature,
        "kd_weight": configuration.kd_weight,
        "label_weight": configuration.label_weight,
        **configuration.parameters,
        **({} if optimizer is None else _settings(optimizer)),
    }


def _settings(optimizer: Optimizer) -> dict[str, float | str]:
    return {"optimizer": optimizer.name} | {f"{optimizer.name}.{name}": getattr(optimizer, name) for name in NUMBERS}
