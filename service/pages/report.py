"""The report of a job: one HTML page that loads nothing else, to be kept, mailed and printed.

Of a job that has been answered: the answer first, then its pictures, how it was found and its limitations. Of one
that has not: how far it is, and what its trials say so far.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from importlib import resources
from typing import Any

import jinja2

from search import units
from search.records import Job, Trial
from search.requests.job_view import JobView
from search.states import Arm, Stage, TrialState
from service.pages import spec_words
from service.pages.dashboard_note import so_far
from service.plots import names, svg_renderer
from service.plots.data import PlotData
from thermowell.api.answers import (
    Contestant,
    Estimate,
    Gain,
    Interactions,
    Interval,
    Result,
    Sanity,
    SelectedFinalist,
    Selection,
    Verdict,
)
from trainers.registry import optimizers

BEST_TRIALS = 10
LIVE = ("lanes",)
"""Plots of what goes on at this moment, which no report keeps."""


def render(job_view: JobView, *, picture_base: str | None, back: str | None = None) -> str:
    """The page. `picture_base` is the address below which the pictures are served, `back` that of the job's page.

    Both are None where nothing is served. The same view of a job gives the same page.
    """
    job, result = job_view.job, job_view.result
    metric = units.shown(job_view.response)
    contestants = [result.winner, *result.baselines] if result else []
    return _template().render(
        style=style(),
        job=job,
        final=job_view.final,
        so_far=None if job_view.final else so_far(job_view),
        result=result,
        response=job_view.response,
        interactions=job_view.interactions,
        lines=units.first_lines(result.verdict, result.summary) if result else (),
        further=units.further_lines(result.verdict, result.summary) if result else "",
        sanity=[_finding(finding) for finding in result.sanity] if result else [],
        reasons=result.verdict.reasons if result and result.verdict else [],
        alternatives=_alternatives(result.verdict, metric) if result and result.verdict else [],
        verdict_method=result.verdict.method if result and result.verdict else "",
        facts=_facts(result) if result else [],
        pictures={name: both_widths(make(job_view)) for name, make in names.PLOTS.items() if name not in LIVE},
        picture_base=picture_base,
        back=back,
        shares=_shares(job_view.interactions),
        settings=_settings(result) if result else [],
        gains=[_gain(gain, metric) for gain in result.gains] if result else [],
        contestants=[_contestant(entry, metric) for entry in contestants],
        found=_findings(job_view),
        best_trials=_best_trials(job_view),
        selection=[_race(entry, metric) for entry in result.selection] if result else [],
        cautions=result.cautions if result else [],
        spec=spec_words.spec_yaml(job),
        fixed=", ".join(f"{name} {value}" for name, value in (job.fixed or {}).items()),
        told="answered" if job_view.final else "as it stood",
        at=_moment(datetime.fromisoformat(result.computed_at) if result and job_view.final else job.updated_at),
    )


def both_widths(plot: PlotData) -> str:
    """A plot for a page and for a telephone, of which the stylesheet shows one."""
    drawn = (f'<div class="{width}">{svg_renderer.render(plot, width)}</div>' for width in svg_renderer.WIDTHS)
    return "".join(drawn)


@cache
def style() -> str:
    """The stylesheet of all pages that are to be kept."""
    return resources.files("service.pages").joinpath("templates/kept.css").read_text(encoding="utf-8")


@cache
def _template() -> jinja2.Template:
    text = resources.files("service.pages").joinpath("templates/report.html").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters["tight"] = tight
    return environment.from_string(text)


def tight(words: str) -> str:
    """Keeps numbers with what belongs to them at the ends of lines."""
    return words.replace(" %", "\N{NO-BREAK SPACE}%").replace("T = ", "T\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}")


def _facts(result: Result) -> list[dict[str, str]]:
    """The figures that a reader looks for first, with their intervals."""
    winner, metric = result.winner, units.shown(result)
    temperature = f"T = {units.number(winner.configuration.temperature)}"
    facts = [{"name": "of the best candidate tried", "value": temperature, "within": ""}]
    name, interval = f"validation {units.measure(metric).label}", winner.validation.interval
    facts.append({"name": name, "value": _mean(winner.validation, metric), "within": _fact_interval(interval, metric)})
    headline = [gain for gain in result.gains if gain.headline and gain.mean is not None]
    best = min(headline, key=lambda gain: gain.mean or 0.0, default=None)
    if best is not None and best.mean is not None:
        together = best.together or best.interval
        difference = units.difference(metric, best.mean, units.places(metric, together))
        name = f"over tuned {units.ARMS[best.over]}"
        facts.append({"name": name, "value": difference, "within": _fact_interval(together, metric)})
    quality = result.verdict.quality if result.verdict is not None else {}
    for name, figures in (("the teacher", units.taught(result.teacher)), ("what is recommended", quality)):
        if "accuracy" in figures:
            accuracy = units.level("accuracy", figures["accuracy"])
            facts.append({"name": f"validation accuracy of {name}", "value": accuracy, "within": units.stated(figures)})
    if result.shortfall is not None:
        chance = units.chance(result.shortfall.chance_within_delta)
        name = f"chance to be {units.within_delta(metric, result.shortfall)}"
        facts.append({"name": name, "value": chance, "within": "of all configurations of the searched space"})
    return facts


def _finding(finding: Sanity) -> dict[str, str]:
    part = "" if finding.spec is None else json.dumps(finding.spec)
    return {"finding": finding.finding, "action": finding.action, "spec": part}


def _alternatives(verdict: Verdict, metric: units.Metric) -> list[dict[str, Any]]:
    """What could be recommended, the best first."""
    return [
        {
            "settings": configuration_words(entry.configuration.stored(), entry.arm == "label_only"),
            "who": "the search" if entry.arm == "joint" else units.ARMS[entry.arm],
            "expected": units.level(metric, entry.mean),
            "deviation": f"± {units.difference(metric, entry.deviation)}",
            "behind": "" if entry.recommended else units.difference(metric, entry.behind),
            "recommended": entry.recommended,
            "seeds": entry.seeds,
        }
        for entry in verdict.alternatives
    ]


def _fact_interval(interval: Interval | None, metric: units.Metric) -> str:
    return "" if interval is None else units.interval(metric, interval)


def _mean(estimate: Estimate | None, metric: units.Metric) -> str:
    if estimate is None or estimate.mean is None:
        return "none"
    return units.level(metric, estimate.mean, units.places(metric, estimate.interval))


def _interval(interval: Interval | None, metric: units.Metric) -> str:
    if interval is None:
        return ""
    low, high = (units.plain(metric, end, units.places(metric, interval)) for end in (interval.low, interval.high))
    return f"{low} to {high}"


def _settings(result: Result) -> list[tuple[str, str]]:
    """The winner's configuration and what it reached, row by row."""
    configuration, winner, metric = result.winner.configuration.stored(), result.winner, units.shown(result)
    optimizer = configuration["optimizer"]
    temperatures = configuration["temperature"], configuration.get("final_temperature")
    rows = [("temperature", units.temperature(*temperatures))]
    if configuration.get("student_temperature") is not None:
        rows.append(("student temperature", units.number(configuration["student_temperature"])))
    rows += [(name, units.number(configuration[name])) for name in ("kd_weight", "label_weight")]
    rows += [(name, units.value(value)) for name, value in (configuration.get("parameters") or {}).items()]
    if optimizer is not None:
        rows.append(("optimizer", units.OPTIMIZERS.get(optimizer["name"], optimizer["name"])))
        rows += [
            (name.replace("_", " "), _value(optimizer[name]))
            for name in optimizers.SETTINGS
            if name in optimizers.COMMON or optimizers.has(optimizer["name"], name)
        ]
    interval = winner.validation.interval
    rows.append((f"validation {metric.label}", _estimate_words(winner.validation, metric)))
    for measure in dict.fromkeys([*units.MEASURES.values(), metric]):
        estimate = (winner.test or {}).get(measure.name)
        if estimate is not None:
            rows.append((f"test {measure.label}", _estimate_words(estimate, measure)))
    if result.test_sealed:
        rows.append((f"test {metric.label}", "sealed: nothing is decided, and nobody has asked for it"))
    if winner.validation.standard_deviation is not None and interval is not None:
        deviation = winner.validation.standard_deviation
        rows.append(("spread between seeds", f"{units.difference(metric, deviation)} (standard deviation)"))
    if result.shortfall is not None:
        rows.append(("expected shortfall from the best of the space", units.shortfall(metric, result.shortfall)))
    return rows


def _estimate_words(estimate: Estimate, metric: units.Metric) -> str:
    return "none" if estimate.mean is None else units.level_within(metric, estimate.mean, estimate.interval)


def _value(value: Any) -> str:
    return units.number(value) if isinstance(value, int | float) and not isinstance(value, bool) else str(value).lower()


def _variant_words(variant: str) -> str:
    words = {"tuned": "tuned for it, with a share of the budget", "same_settings": "the winner's, but for T"}
    return words.get(variant, "")


def _gain(gain: Gain, metric: units.Metric) -> dict[str, Any]:
    def said(mean: float | None, interval: Interval | None) -> str:
        return "" if mean is None else units.difference(metric, mean, units.places(metric, interval))

    return {
        "over": units.ARMS[gain.over],
        "how": _variant_words(gain.variant),
        "validation": said(gain.mean, gain.interval) or "none",
        "validation_interval": _interval(gain.interval, metric),
        "test": said(gain.test_mean, gain.test_interval),
        "test_interval": _interval(gain.test_interval, metric),
        "test_images": _interval(gain.test_interval_images, metric),
        "pairs": gain.pairs,
    }


def _contestant(contestant: Contestant, metric: units.Metric) -> dict[str, Any]:
    test = (contestant.test or {}).get(units.measure(metric).name)
    return {
        "who": "the winner" if contestant.arm == "joint" else units.ARMS[contestant.arm],
        "how": {"tuned": "tuned for itself", "same_settings": "at the winner's settings"}.get(contestant.variant, ""),
        "settings": configuration_words(contestant.configuration.stored(), contestant.arm == "label_only"),
        "validation": _mean(contestant.validation, metric),
        "validation_interval": _interval(contestant.validation.interval, metric),
        "test": "" if test is None else _mean(test, metric),
        "test_interval": "" if test is None else _interval(test.interval, metric),
        "seeds": len(contestant.validation.values),
    }


def _race(selection: Selection, metric: units.Metric) -> dict[str, Any]:
    """How an arm's finalists fared: what was expected of each, what it reached, and when it dropped out."""

    def fate(finalist: SelectedFinalist) -> str:
        if finalist.winner:
            return "chosen"
        return f"out after {finalist.dropped_after}" if finalist.dropped_after is not None else ""

    return {
        "who": "the search" if selection.arm == "joint" else units.ARMS[selection.arm],
        "candidates": selection.candidates,
        "finalists": [
            {
                "settings": configuration_words(finalist.configuration.stored(), selection.arm == "label_only"),
                "expected": "" if finalist.expected is None else units.level(metric, finalist.expected),
                "within": ""
                if finalist.deviation is None
                else f"± {units.difference(metric, finalist.deviation).lstrip('+')}",
                "mean": "none" if finalist.mean is None else units.level(metric, finalist.mean),
                "seeds": finalist.seeds,
                "fate": fate(finalist),
            }
            for finalist in selection.finalists
        ],
    }


def configuration_words(configuration: Mapping[str, Any], label_only: bool = False) -> str:
    """A configuration on one line; without distillation it has no temperature."""
    if "optimizer" not in configuration:  # its trial's row cannot be read
        return "a configuration that cannot be read"
    optimizer = configuration["optimizer"]
    parts = [] if label_only else [f"T {units.number(configuration['temperature'])}"]
    parts += [] if label_only else [f"kd_weight {units.number(configuration['kd_weight'])}"]
    parts += [f"{name} {units.value(value)}" for name, value in (configuration.get("parameters") or {}).items()]
    if optimizer is None:
        return ", ".join(parts)
    parts.append(units.OPTIMIZERS.get(optimizer["name"], optimizer["name"]))
    parts.append(f"lr {units.number(optimizer['learning_rate'])}")
    parts.append(f"wd {units.number(optimizer['weight_decay'])}")
    if optimizers.has(optimizer["name"], "momentum"):
        parts.append(f"momentum {units.number(optimizer['momentum'])}")
    return ", ".join(parts)


def _shares(interactions: Interactions | None) -> list[dict[str, str]]:
    """How much T and each setting explain together, the most first."""
    rows = sorted(interactions.shares, key=lambda share: -share.share) if interactions else []
    return [
        {
            "setting": f"{units.OPTIMIZERS.get(share.optimizer, share.optimizer)}: {_words(share.setting)}",
            "together": f"{100 * share.share:.0f} %",
            "within": f"{100 * share.interval.low:.0f} to {100 * share.interval.high:.0f}",
        }
        for share in rows
    ]


def _words(setting: str) -> str:
    name = setting.rpartition(".")[2]
    return name if name == "kd_weight" else name.replace("_", " ")


def _findings(job_view: JobView) -> list[tuple[str, str]]:
    """What was spent, on what, and by which method."""
    job, result = job_view.job, job_view.result
    spec, epochs = job.spec, sum(trial.epoch for trial in job_view.trials)
    rows = [(f"{stage.value} trials", _counts(job_view.trials, stage)) for stage in Stage]
    rows.append(("epochs trained", f"{epochs:,}".replace(",", " ")))
    rows.append(("time", units.duration(result.wall_seconds) if result else ""))
    rows += _trained(job)
    rows.append(("sampler", spec_words.sampler(spec.get("sampler", {}))))
    rows.append(("first trials", _first_trials(job_view.trials)))
    rows.append(("stopping early", str(spec.get("pruner", {}).get("name", ""))))
    rows.append(("what mattered, by", job_view.importances.evaluator if job_view.importances else ""))
    return [(name, value) for name, value in rows if value]


def _trained(job: Job) -> list[tuple[str, str]]:
    """What was trained on what, or who trained it."""
    spec = job.spec
    if spec.get("trainer") is not None:
        return [("training", spec_words.trainer(spec["trainer"]))]
    return [
        ("data", f"{spec['dataset']['name']}, split seed {spec['dataset'].get('split_seed', 0)}"),
        ("student", spec_words.model(spec["student"])),
        ("teacher", _teacher(job)),
        *(("teacher's images", words) for words in units.preparations(job.teacher or {})),
    ]


def _first_trials(trials: Sequence[Trial]) -> str:
    """Who advised those that somebody advised, and how many."""
    counts = Counter(units.ADVISED[trial.advice["origin"]] for trial in trials if trial.advice is not None)
    return ", ".join(f"{number} {words}" for words, number in counts.items())


def _counts(trials: Sequence[Trial], stage: Stage) -> str:
    counts = Counter(trial.state for trial in trials if trial.stage is stage)
    return ", ".join(f"{counts[state]} {state.value}" for state in TrialState if counts[state])


def _teacher(job: Job) -> str:
    words = spec_words.teacher(job.spec["teacher"])
    accuracy = ((job.teacher or {}).get("validation") or {}).get("accuracy")
    return words if accuracy is None else f"{words}, {units.level('accuracy', accuracy)} validation accuracy"


def _best_trials(job_view: JobView) -> list[dict[str, Any]]:
    completed = [
        trial
        for trial in job_view.trials
        if trial.stage is Stage.SEARCH and trial.arm is Arm.JOINT and trial.state is TrialState.COMPLETED
    ]
    response = job_view.response
    sign = -1 if response.direction == "maximize" else 1
    ranked = sorted((t for t in completed if t.value is not None), key=lambda t: (sign * (t.value or 0.0), t.number))
    return [
        {
            "number": trial.number,
            "value": units.level(units.shown(response), trial.value or 0.0),
            "settings": configuration_words(trial.configuration or {}),
        }
        for trial in ranked[:BEST_TRIALS]
    ]


def _moment(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC"
