"""The answer and the trials as pandas DataFrames, for who goes on with them. pandas is an extra: it may be absent."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from thermowell.api.answers import Contestant, Estimate, Interval, Result, TemperatureResponse
from thermowell.api.configurations import Configuration
from thermowell.api.trials import Trial

if TYPE_CHECKING:
    import pandas

TRIAL_FIELDS = (
    *("number", "stage", "arm", "variant", "round", "origin", "state", "seed", "attempt", "value", "epoch"),
    *("started_at", "ended_at", "train_seconds"),
)


class PandasMissing(ImportError):
    """pandas is not installed: pip install 'thermowell-client[pandas]'. The same numbers are in the documents."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


def to_frame(documents: Result | TemperatureResponse | Iterable[Trial]) -> pandas.DataFrame:
    """An answer, a temperature response or trials as a table.

    Raises:
        PandasMissing: pandas is an extra, which is not installed.
    """
    if isinstance(documents, Result):
        return result_frame(documents)
    if isinstance(documents, TemperatureResponse):
        return response_frame(documents)
    return trials_frame(documents)


def trials_frame(trials: Iterable[Trial]) -> pandas.DataFrame:
    """One row per trial, indexed by its number: settings, last value, `validation_` and `test_` metrics."""
    rows = [
        {name: getattr(trial, name) for name in TRIAL_FIELDS}
        | _settings(trial.configuration)
        | {f"validation_{name}": value for name, value in (trial.metrics or {}).items()}
        | {f"test_{name}": value for name, value in (trial.test_metrics or {}).items()}
        | {"reason": trial.reason.type if trial.reason else None}
        for trial in trials
    ]
    columns = None if rows else [*TRIAL_FIELDS, "reason"]
    frame: pandas.DataFrame = _pandas().DataFrame(rows, columns=columns)
    return frame.set_index("number")


def result_frame(result: Result) -> pandas.DataFrame:
    """One row per contestant, the winner first, indexed by (arm, variant): settings, quality, the winner's gain.

    `gain` and its interval are what the winner gains over this row's contestant, on validation and on the same seeds;
    `test` is the objective on the test part.
    """
    rows = []
    for contestant in (result.winner, *result.baselines):
        gain = next(
            (g for g in result.gains if (g.over, g.variant) == (contestant.arm, contestant.variant)),
            None,
        )
        rows.append(
            {"arm": contestant.arm, "variant": contestant.variant}
            | _settings(contestant.configuration)
            | _estimate("validation", contestant.validation)
            | _estimate("test", _tested(contestant, result.metric))
            | {"gain": gain.mean if gain else None}
            | _ends("gain", gain.interval if gain else None)
        )
    frame: pandas.DataFrame = _pandas().DataFrame(rows)
    return frame.set_index(["arm", "variant"])


def response_frame(response: TemperatureResponse) -> pandas.DataFrame:
    """One row per point of each curve: optimizer ("all" is the best of all), temperature, mean, low, high."""
    curves = ([response.overall] if response.overall else []) + response.per_optimizer
    rows = [{"optimizer": curve.optimizer or "all", **point.model_dump()} for curve in curves for point in curve.points]
    frame: pandas.DataFrame = _pandas().DataFrame(rows, columns=["optimizer", "temperature", "mean", "low", "high"])
    return frame


def _settings(configuration: Configuration | None) -> dict[str, Any]:
    names = ("temperature", "student_temperature", "final_temperature", "kd_weight", "label_weight")
    of_optimizer = ("learning_rate", "weight_decay", "momentum", "nesterov")
    optimizer = configuration.optimizer if configuration else None
    return (
        {name: getattr(configuration, name, None) for name in names}
        | {"optimizer": getattr(optimizer, "name", None)}
        | {name: getattr(optimizer, name, None) for name in of_optimizer}
        | {f"parameter_{name}": value for name, value in (configuration.parameters if configuration else {}).items()}
    )


def _tested(contestant: Contestant, metric: str) -> Estimate | None:
    return (contestant.test or {}).get(metric)


def _estimate(name: str, estimate: Estimate | None) -> dict[str, float | None]:
    return {name: estimate.mean if estimate else None} | _ends(name, estimate.interval if estimate else None)


def _ends(name: str, interval: Interval | None) -> dict[str, float | None]:
    return {f"{name}_low": interval.low if interval else None, f"{name}_high": interval.high if interval else None}


def _pandas() -> Any:
    try:
        return importlib.import_module("pandas")
    except ImportError:
        raise PandasMissing from None
