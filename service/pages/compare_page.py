"""The page that lays jobs side by side: what each answers, its settings, and where their specs differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from search import units
from search.requests.compared import ComparedJob
from service.pages.jobs_page import metric_of, search_trials
from thermowell.api.answers import Contestant, Gain
from trainers.registry import optimizers

MOST_JOBS = 6
NONE = "\N{EN DASH}"
SAME = ("name",)
"""Fields of a spec that differ without saying anything."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table that has a column for each job; `differs` where the jobs are not alike in it."""

    name: str
    cells: Sequence[str]

    @property
    def differs(self) -> bool:
        return len(set(self.cells)) > 1


def answers(compared: Sequence[ComparedJob]) -> list[Row]:
    """What each job answers: state, temperature, quality, gains, and what it has spent."""
    rows = [
        Row("state", [str(item.job.state) for item in compared]),
        Row("search trials", [search_trials(item.job.progress).words for item in compared]),
        Row("temperature", [_temperature(item) for item in compared]),
        Row("may be the best T", [_set(item) for item in compared]),
        Row("on validation", [_validation(item) for item in compared]),
        Row("on test", [_test(item) for item in compared]),
    ]
    for over in ("t4", "t1", "label_only"):
        rows.append(Row(f"gain over tuned {units.ARMS[over]}", [_gain(item, over) for item in compared]))
    rows.append(Row("epochs trained", [f"{item.job.progress.epochs_done:,}" for item in compared]))
    rows.append(Row("time", [_time(item) for item in compared]))
    return rows


def settings(compared: Sequence[ComparedJob]) -> list[Row]:
    """The winners' settings, where any has them."""
    names = ["kd_weight", "label_weight", "student_temperature", "final_temperature", "optimizer", *optimizers.SETTINGS]
    winners = [winner for item in compared if (winner := _winner(item)) is not None]
    names += dict.fromkeys(name for winner in winners for name in winner.configuration.parameters)
    rows = [
        Row(name if name == "kd_weight" else name.replace("_", " "), [_setting(item, name) for item in compared])
        for name in names
    ]
    return [row for row in rows if set(row.cells) != {NONE}]


def spec_differences(compared: Sequence[ComparedJob]) -> list[Row]:
    """The fields in which the specs differ, each by its dotted path."""
    flat = [dict(_leaves(item.job.spec)) for item in compared]
    paths = sorted({path for spec in flat for path in spec if path not in SAME})
    rows = [Row(path, [spec.get(path, NONE) for spec in flat]) for path in paths]
    return [row for row in rows if row.differs]


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for name, part in value.items():
            yield from _leaves(part, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list | tuple):
        yield path, ", ".join(_words(part) for part in value) or "none"
    else:
        yield path, _words(value)


def _words(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: NONE}[value]
    return units.number(value, 6) if isinstance(value, int | float) else str(value)


def _winner(item: ComparedJob) -> Contestant | None:
    return None if item.result is None else item.result.winner


def _temperature(item: ComparedJob) -> str:
    winner = _winner(item)
    if winner is not None:
        return units.temperature(winner.configuration.temperature, winner.configuration.final_temperature)
    overall = None if item.response is None else item.response.overall
    return NONE if overall is None else f"about {units.number(overall.best_temperature, 2)} so far"


def _set(item: ComparedJob) -> str:
    overall = None if item.response is None else item.response.overall
    if overall is None or not overall.confidence_set.intervals:
        return NONE
    return units.ranges([(low, high) for low, high in overall.confidence_set.intervals])


def _validation(item: ComparedJob) -> str:
    winner, metric = _winner(item), metric_of(item.job)
    if winner is not None and winner.validation.mean is not None:
        return units.level_within(metric, winner.validation.mean, winner.validation.interval)
    best = item.job.progress.best_value
    return NONE if best is None else f"{units.level(metric, best)}, the best single trial so far"


def _test(item: ComparedJob) -> str:
    winner, metric = _winner(item), metric_of(item.job)
    estimate = None if winner is None or winner.test is None else winner.test.get(metric.name)
    if estimate is None or estimate.mean is None:
        return NONE
    return units.level_within(metric, estimate.mean, estimate.interval)


def _gain(item: ComparedJob, over: str) -> str:
    gain: Gain | None = None
    if item.result is not None:
        gain = next((gain for gain in item.result.gains if gain.variant == "tuned" and gain.over == over), None)
    if gain is None or gain.mean is None:
        return NONE
    return units.difference_within(metric_of(item.job), gain.mean, gain.interval)


def _setting(item: ComparedJob, name: str) -> str:
    winner = _winner(item)
    if winner is None:
        return NONE
    optimizer, parameters = winner.configuration.optimizer, winner.configuration.parameters
    if name == "optimizer":
        return NONE if optimizer is None else units.OPTIMIZERS.get(optimizer.name, optimizer.name)
    special = name in optimizers.SETTINGS and name not in optimizers.COMMON
    if special and not (optimizer and optimizers.has(optimizer.name, name)):
        return NONE
    if name in parameters:
        return units.value(parameters[name])
    value = getattr(optimizer if name in optimizers.SETTINGS else winner.configuration, name, None)
    return _words(round(value, 12) if isinstance(value, float) else value)


def _time(item: ComparedJob) -> str:
    if item.job.started_at is None or item.job.ended_at is None:
        return NONE
    return units.duration((item.job.ended_at - item.job.started_at).total_seconds())
