"""Jobs of one checkout, a JSON object a line: `python -m benchmarks.verdict.side WORLDS BUDGETS JOBS`, by commas.

The same worlds and seeds for every checkout; what its service does not know (a verdict, a budget of trainings) is left
out: before there were verdicts, the winner was what an answer said to use.
"""

from __future__ import annotations

import json
import math
import sys
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.searching.whole_jobs import Job, spec_of
from benchmarks.searching.worlds import Formula, World, world
from search import configurations
from search.spec.job import BudgetSpec
from trainers.errors import DatasetMissing
from trainers.spec import Configuration

FIRST = 4_000_000
"""The seed of the first job."""
MORE_SEEDS = (1, 2, 3, 4, 6, 9, 13, 20)
"""Numbers of further seeds after which an undecided verdict is looked at again."""


PLACEBOS = {"placebo-1": (1.01, "t1"), "placebo-4": (4.04, "t4")}
"""Budgets by name in which T is fixed beside a baseline's T, so near that it cannot matter, and that baseline."""
EXTENSIONS = (16, 16, 16)
"""Further trials of the search of each extension of an `extended` job."""


def told(searched: World, number: int, budget: str) -> dict[str, Any] | None:
    """One job's answer beside the truth; None where this service has no such budget."""
    parts: dict[str, Any] = {}
    if budget in PLACEBOS:
        return _placebo(searched, number, budget)
    if budget == "extended":
        return _extended(searched, number)
    if budget != "default":
        if "trainings" not in BudgetSpec.model_fields:
            return None
        parts["budget"] = {"trainings": int(budget)}
    job = Job(searched, spec_of(searched, FIRST + number, **parts)).run()
    result = job.documents()["result"]
    row: dict[str, Any] = {"world": searched.name, "job": number, "budget": budget, "trainings": len(job.trials)}
    row |= _bias(searched, result)
    verdict = getattr(result, "verdict", None)
    if verdict is None:
        return row | _judged(searched, result.winner.configuration) | {"kind": "use", "shown": False}
    row |= _judged(searched, verdict.configuration) | {"kind": verdict.kind, "shown": verdict.shown}
    if verdict.missing is not None:
        row |= {"seeds_missing": verdict.missing.seeds, "seeds_needed": _needed(job)}
    row |= _gains(searched, verdict)
    if verdict.kind == "keep" and verdict.between:
        row |= _range(searched, verdict.configuration, *verdict.between)
    if verdict.kind == "labels":
        row["distilling_gains"] = 100 * (searched.best_distilled() - _truth(searched, verdict.configuration))
    return row


def _placebo(searched: World, number: int, budget: str) -> dict[str, Any] | None:
    """Whether T beside a baseline's T is called better than that baseline, by the verdict or by a gain of the answer.

    A world of cells alone has no T beside another: there T = 4 is held against tuned T = 4; None of T = 1, whose
    neighbour has no cell.
    """
    temperature, baseline = PLACEBOS[budget]
    if not isinstance(searched, Formula):
        if baseline != "t4":
            return None
        temperature = 4.0
    job = Job(searched, spec_of(searched, FIRST + number, space={**searched.space, "temperature": temperature})).run()
    result = job.documents()["result"]
    verdict, gains = result.verdict, [gain for gain in result.gains if gain.variant == "tuned"]
    claims = [gain.interval for gain in (*verdict.gains, *gains) if gain.over == baseline and gain.interval]
    better = any(interval.low > 0 for interval in claims)
    row = {"world": searched.name, "job": number, "budget": budget, "trainings": len(job.trials)}
    return row | _judged(searched, _read(verdict.configuration)) | {
        "kind": verdict.kind, "shown": verdict.shown, "called_better": better,
    }  # fmt: skip


def _extended(searched: World, number: int) -> dict[str, Any]:
    """Whether the simultaneous intervals of all of a job's answers hold, which is extended three times."""
    job = Job(searched, spec_of(searched, FIRST + number)).run()
    rows = [_gains(searched, job.documents()["result"].verdict)]
    for trials in EXTENSIONS:
        verdict = job.extend(trials).documents()["result"].verdict
        rows.append(_gains(searched, verdict))
    row = {"world": searched.name, "job": number, "budget": "extended", "trainings": len(job.trials)}
    row |= _judged(searched, verdict.configuration) | {"kind": verdict.kind, "shown": verdict.shown}
    return row | {"gains_hold": all(each.get("gains_hold", True) for each in rows)}


def _needed(job: Job) -> int | None:
    """The fresh seeds of all contestants after which the verdict is decided; None where the last number does not."""
    for count in MORE_SEEDS:
        job.add_estimates(count)
        if job.documents()["result"].verdict.kind != "undecided":
            return count
    return None


def _judged(searched: World, configuration: Any) -> dict[str, Any]:
    used = configuration if isinstance(configuration, Configuration) else _read(configuration)
    loss = 100 * (searched.best() - searched.truth(used))
    return {"loss": round(loss, 4), "temperature": used.temperature, "kd_weight": used.kd_weight}


def _bias(searched: World, result: Any) -> dict[str, Any]:
    """What is stated of the gain over T = 4, less the true gain over the best configuration with T = 4, in points: the
    measured gain over tuned T = 4 (`bias`), and what is expected over the best T = 4 (`bias_best`).
    """
    stated = [gain for gain in result.gains if gain.over == "t4" and gain.variant == "tuned"]
    if not stated or stated[0].mean is None:
        return {}
    true = _truth(searched, result.winner.configuration) - searched.best_at(4.0)
    row: dict[str, Any] = {"bias": round(100 * (stated[0].mean - true), 4)}
    best = getattr(stated[0], "over_best", None)
    if best is not None:
        row["bias_best"] = round(100 * (best - true), 4)
        row["best_holds"] = stated[0].over_best_interval.low <= true <= stated[0].over_best_interval.high
    return row


def _gains(searched: World, verdict: Any) -> dict[str, Any]:
    """Whether all simultaneous intervals hold at once; the gain that is stated first, its chance and its truth."""
    mine = _truth(searched, verdict.configuration)
    gains = [
        (gain, mine - _truth(searched, rival.configuration))
        for gain in verdict.gains
        if (rival := rival_of(verdict, gain)) is not None
    ]
    row: dict[str, Any] = {}
    if gains:
        row["gains_hold"] = all(gain.interval.low <= true <= gain.interval.high for gain, true in gains)
    first = next((true for gain, true in gains if gain == verdict.gain), None)
    if first is not None:
        row |= {"gain": verdict.gain.mean, "chance": verdict.gain.chance, "true_gain": first}
        row["least_true_gain"] = min(true for _, true in gains)
    if first is not None and verdict.kind == "use" and verdict.gain.temperature == 4.0:
        row["verdict_bias"] = round(100 * (verdict.gain.mean - (mine - searched.best_at(4.0))), 4)
    return row


def rival_of(verdict: Any, gain: Any) -> Any:
    """The alternative over which this is the gain: of several of its group and T that which is expected to fall behind
    by as much. None where it is not among the alternatives, of which a verdict has the best alone.
    """
    alike = [other for other in verdict.alternatives if (other.arm, other.temperature) == (gain.over, gain.temperature)]
    return next((other for other in alike if math.isclose(other.behind, gain.mean, abs_tol=1e-9)), None)


def _range(searched: World, configuration: Any, low: float, high: float) -> dict[str, Any]:
    """By how many points T within the stated range falls behind the best T at most, at the stated settings."""
    top = searched.best_distilled()
    inside = [t for t in searched.temperatures if low * (1 - 1e-9) <= t <= high * (1 + 1e-9)]
    settings = _stored(configuration)
    worst = max((top - _truth(searched, {**settings, "temperature": t}) for t in inside), default=0.0)
    return {"worst_between": 100 * worst, "ratio": high / low}


def _truth(searched: World, configuration: Any) -> float:
    return searched.truth(_read(configuration))


def _read(configuration: Any) -> Configuration:
    return configurations.from_json(_stored(configuration))


def _stored(configuration: Any) -> Mapping[str, Any]:
    """A configuration as the tables have it: answers had it so before theirs was typed."""
    stored: Mapping[str, Any] = configuration.stored() if hasattr(configuration, "stored") else configuration
    return stored


def main(arguments: Sequence[str]) -> int:
    """Prints the rows as they come."""
    worlds, budgets, jobs = arguments[0].split(","), arguments[1].split(","), int(arguments[2])
    warnings.simplefilter("ignore")
    for name in worlds:
        try:
            searched = world(name)
        except DatasetMissing as error:  # a checkout from before its table
            print(error, file=sys.stderr)
            continue
        for budget in budgets:
            for number in range(jobs):
                row = told(searched, number, budget)
                if row is not None:
                    print(json.dumps(row), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
