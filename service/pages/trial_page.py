"""The page of one trial: its settings and what it reached, in words."""

from __future__ import annotations

from search import units
from search.records import Trial
from trainers.registry import optimizers


def settings(trial: Trial) -> list[tuple[str, str]]:
    """The trial's configuration, row by row; nothing before it has one."""
    configuration = trial.configuration
    if configuration is None:
        return []
    rows = [("temperature", units.temperature(configuration["temperature"], configuration.get("final_temperature")))]
    for name in ("student_temperature", "kd_weight", "label_weight"):
        if configuration.get(name) is not None:
            rows.append((name if "kd" in name else name.replace("_", " "), units.number(configuration[name])))
    optimizer = configuration.get("optimizer")
    if optimizer is not None:
        rows.append(("optimizer", units.OPTIMIZERS.get(optimizer["name"], optimizer["name"])))
        for name in optimizers.SETTINGS:
            if name in optimizers.COMMON or optimizers.has(optimizer["name"], name):
                rows.append((name.replace("_", " "), units.value(optimizer[name])))
    rows += [(name, units.value(value)) for name, value in (configuration.get("parameters") or {}).items()]
    return [*rows, ("seed", str(trial.seed))]


def measures(trial: Trial) -> list[tuple[str, str, str]]:
    """Each metric on validation and on the test part, where they are known."""
    rows = []
    validation, test = trial.metrics or {}, trial.test_metrics or {}
    for name in dict.fromkeys([*validation, *test]):
        display = units.measure(name)
        reached, tested = validation.get(name), test.get(name)
        rows.append(
            (
                display.label.replace("_", " "),
                "" if reached is None else units.level(display, reached),
                "" if tested is None else units.level(display, tested),
            )
        )
    return rows
