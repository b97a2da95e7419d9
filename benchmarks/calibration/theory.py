"""`python -m benchmarks.calibration.theory`: the predictions of docs/theory.md tested on open tables, kept studies and
fresh students, each with its number, its interval and its verdict. Sealed tables stay closed.

Reads theory_predictions.yaml, and what `theory_teachers` and `theory_fresh` beside it have kept. A minute.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from scipy import stats

from benchmarks.calibration import theory_advice as advice
from benchmarks.calibration import theory_numbers as numbers
from benchmarks.common import facts, output
from benchmarks.common.repetitions import Interval
from trainers.replay import world
from trainers.replay.runs import Runs

PREDICTIONS = Path(__file__).parent / "theory_predictions.yaml"
TEACHERS, FRESH = "theory-teachers.json", "theory-fresh.json"
BOTH = "both"
STUDIES = {
    "P12": ("study-method", "method", "zscore", "kl"),
    "P13": ("study-teacher-origin", "teacher origin", "smoothed", "scratch"),
    "P14": ("study-granularity", "classes", "odd or even", "ten digits"),
    "P15": ("study-optimizer-by-length", "epochs", "60", "5"),
}
"""Prediction: kept study, factor, level, and the level that it is set against."""
Region = tuple[float, float]
Known = Mapping[str, Any]


def predictions() -> list[dict[str, Any]]:
    """As they were stated."""
    stated: list[dict[str, Any]] = yaml.safe_load(PREDICTIONS.read_text())["predictions"]
    return stated


def region(bounds: Sequence[float | None]) -> Region:
    """Where a number must lie; an open end is infinite."""
    low, high = bounds
    return (-math.inf if low is None else low, math.inf if high is None else high)


def verdict(interval: Interval, within: Region) -> str:
    """What an interval says of a region."""
    if within[0] <= interval.low and interval.high <= within[1]:
        return "held"
    return "failed" if interval.high < within[0] or interval.low > within[1] else "cannot tell"


def together(verdicts: Sequence[str]) -> str:
    """Of all contexts to which a prediction applies."""
    count = Counter(verdicts)
    if not verdicts:
        return "not applicable"
    if 2 * count["failed"] >= len(verdicts):
        return "failed"
    return "held" if not count["failed"] and 2 * count["held"] >= len(verdicts) else "cannot tell"


def on_tables(tables: Mapping[str, Runs], teachers: Mapping[str, Known]) -> dict[str, dict[str, dict[str, Interval]]]:
    """By prediction, optimizer and context: the number with its interval, where it applies."""
    measured: dict[str, dict[str, dict[str, Interval]]] = {}
    for stated in predictions():
        name = stated["id"]
        if name not in numbers.NUMBERS:
            continue
        for optimizer in stated["regions"]:
            row = measured.setdefault(name, {}).setdefault(optimizer, {})
            for context, runs in tables.items():
                interval = _measured(name, optimizer, runs, teachers[context])
                if interval is not None:
                    row[context] = interval
    return measured


def _measured(name: str, optimizer: str, runs: Runs, teacher: Known) -> Interval | None:
    number = numbers.NUMBERS[name]

    def of_seeds(seeds: Sequence[int]) -> float | None:
        if optimizer != BOTH:
            return number(numbers.cut(runs, optimizer, seeds, teacher))
        first, second = (number(numbers.cut(runs, each, seeds, teacher)) for each in ("sgd", "adamw"))
        return None if first is None or second is None else first - second

    return numbers.jackknife(of_seeds, runs.seeds)


def on_fresh_students(part: str) -> dict[str, dict[str, dict[str, Interval]]]:
    """As `on_tables`, from what `theory_fresh` has kept: the `numbers` of P17 to P19, or of earlier ones `again`."""
    measured: dict[str, dict[str, dict[str, Interval]]] = {}
    for context, kept in json.loads((output.RESULTS / FRESH).read_text())["details"].items():
        for name, of_optimizers in kept[part].items():
            for optimizer, interval in of_optimizers.items():
                row = measured.setdefault(name, {}).setdefault(optimizer, {})
                if interval is not None:
                    row[context] = Interval(**interval)
    return measured


def along_training(traces: Mapping[str, Mapping[str, Sequence[Sequence[float]]]]) -> dict[str, Interval]:
    """P11, by optimizer."""
    measured = {}
    for optimizer, of_each in traces.items():
        falls = {
            temperature: np.asarray([norms[-1] / norms[0] for norms in seeds]) for temperature, seeds in of_each.items()
        }
        measured[optimizer] = _mean(falls["1"] / falls["40"])
    return measured


def _mean(values: np.ndarray) -> Interval:
    half = float(stats.t.ppf((1 + numbers.CONFIDENCE) / 2, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5)
    mean = float(values.mean())
    return Interval(mean, mean - half, mean + half, float(values.std(ddof=1)), len(values))


def of_study(document: Known, factor: str, level: str, against: str) -> Interval:
    """The factor by which the best T of a level differs from another's, as a study answered it; open where censored."""
    (row,) = (
        contrast
        for part in document["details"]["guidance"]["factors"]
        if part["name"] == factor
        for contrast in part["contrasts"]
        if (contrast["level"], contrast["against"]) == (level, against)
    )
    bounds = row["ratio_interval"]
    low = 0.0 if row["open_low"] else bounds["low"]
    return Interval(row["ratio"], low, math.inf if row["open_high"] else bounds["high"], math.nan, 0)


def advised(tables: Mapping[str, Runs], teachers: Mapping[str, Known]) -> tuple[Interval, dict[str, Any]]:
    """P16: the regret of following advice as a share of that of T = 4, and what each rule loses in each context."""
    seeds = min(runs.seeds for runs in tables.values())

    def rows(held_out: Sequence[int]) -> list[dict[str, Any]]:
        every = [
            profile
            for name, runs in tables.items()
            for profile in advice.profiles(runs, teachers[name], held_out)
        ]  # fmt: skip
        return advice.followed(every)

    versions = {held_out: rows(held_out) for held_out in [(), *((seed,) for seed in range(seeds))]}

    def of_seeds(remaining: Sequence[int]) -> list[dict[str, Any]]:
        return versions[tuple(sorted(set(range(seeds)) - set(remaining)))]

    interval = numbers.jackknife(lambda remaining: advice.ratio(of_seeds(remaining)), seeds)
    assert interval is not None
    shares = {name: advice.ratio(versions[()], name) for name in versions[()][0]["regret"]}
    behind = {
        context: numbers.jackknife(lambda remaining, context=context: _behind(of_seeds(remaining), context), seeds)  # type: ignore[misc]
        for context in tables
    }
    details = {"rows": versions[()], "share_of_copied": shares, "behind_copied": _plain(behind)}
    return interval, details


def _behind(rows: Sequence[Known], context: str) -> float:
    """By how much the advice that is followed loses more than T = 4, points, mean over optimizers."""
    return float(
        np.mean([row["regret"]["chosen"] - row["regret"]["T = 4"] for row in rows if row["context"] == context])
    )


def _plain(value: Any) -> Any:
    """As JSON that every reader takes: an interval is its three numbers, and what is not finite is null."""
    if isinstance(value, Interval):
        return {key: _plain(getattr(value, key)) for key in ("mean", "low", "high")}
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def judged(measured: Mapping[str, Mapping[str, Mapping[str, Interval]]]) -> list[dict[str, Any]]:
    """A row for each prediction and optimizer: its verdict in each context, and over all."""
    rows = []
    for stated in predictions():
        for optimizer, bounds in stated["regions"].items():
            if stated["id"] not in measured:
                continue
            of_contexts = measured[stated["id"]].get(optimizer, {})
            each = {context: verdict(interval, region(bounds)) for context, interval in of_contexts.items()}
            rows.append(
                {
                    "id": stated["id"],
                    "optimizer": optimizer,
                    "region": list(bounds),
                    "verdict": together(list(each.values())),
                    "contexts": {
                        context: {**_plain(interval), "verdict": each[context]}
                        for context, interval in of_contexts.items()
                    },
                }
            )
    return rows


def words(part: Known) -> str:
    """A number with its interval."""
    mean, low, high = ("" if part[key] is None else f"{part[key]:.2f}" for key in ("mean", "low", "high"))
    return f"{mean or 'beyond'} [{low}, {high}]"


def show(rows: Sequence[Known]) -> None:
    """Prints what was measured, a line for each prediction, optimizer and context."""
    for row in rows:
        bounds = [f"{bound:g}" if bound is not None else "open" for bound in row["region"]]
        title = f"{row['id']}, {row['optimizer']}: {row['verdict']} (within {bounds[0]} to {bounds[1]})"
        lines = [[context, words(part), part["verdict"]] for context, part in row["contexts"].items()]
        output.table(title, ["", "number [90 %]", "verdict"], lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", help="the name of the result that is written")
    options = parser.parse_args(arguments)
    about = facts.gather()
    known = json.loads((output.RESULTS / TEACHERS).read_text())["details"]
    tables = {name: world.load(name).runs for name in world.names(sealed=False)}
    measured = on_tables(tables, known["teachers"])
    measured["P11"] = {optimizer: {"digits-mlp-60": row} for optimizer, row in along_training(known["traces"]).items()}
    for name, (file, *contrast) in STUDIES.items():
        document = json.loads((output.RESULTS / f"{file}.json").read_text())
        measured[name] = {BOTH: {file: of_study(document, *contrast)}}
    measured |= on_fresh_students("numbers")
    share, regrets = advised(tables, known["teachers"])
    measured["P16"] = {BOTH: {"open tables": share}}
    rows, again = judged(measured), judged(on_fresh_students("again"))
    show(rows)
    print("\nThe first ones once more, on the fresh students")
    show(again)
    count = Counter(row["verdict"] for row in rows)
    headline = {
        "benchmark": "theory",
        "predictions": len(predictions()),
        **{name.replace(" ", "_"): count[name] for name in ("held", "failed", "cannot tell", "not applicable")},
        "advice_regret_ratio": share.mean,
        "verdicts": {f"{row['id']} {row['optimizer']}": row["verdict"] for row in rows},
    }
    output.conclude(options.keep, headline | about, {"predictions": rows, "again": again, "advice": regrets})
    return 0


if __name__ == "__main__":
    sys.exit(main())
