"""The figures of `python -m benchmarks.verdict`, and which goals they miss."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from scipy import stats

KINDS = ("use", "keep", "labels", "undecided")
DELTA = 0.2
"""Points below which nothing matters, as in the jobs."""
Row = Mapping[str, Any]
Json = dict[str, Any]


def of(now: Sequence[Row], before: Sequence[Row]) -> Json:
    """All figures of this checkout's jobs, `before` being those of the one before; None where none was measured."""
    default = [row for row in now if row["budget"] == "default"]
    said: Json = {
        "true_loss_points": _means(default, "loss"),
        "true_loss_ratio": _ratio(default, before),
        "worse_in": _worse(default, before),
        "trainings_mean": _mean(row["trainings"] for row in default),
        "trainings_mean_before": _mean(row["trainings"] for row in before),
        "decided_share": _share([row["kind"] != "undecided" for row in default]),
        "decided_share_by_world": {
            world: _share([row["kind"] != "undecided" for row in default if row["world"] == world])
            for world in dict.fromkeys(row["world"] for row in default)
        },
        "decided_share_12": _share([row["kind"] != "undecided" for row in now if row["budget"] == "12"]),
        "decided_share_24": _share([row["kind"] != "undecided" for row in now if row["budget"] == "24"]),
    }
    said |= _errors(default)
    for key, name in (("bias", "baseline_bias"), ("bias_best", "best_bias"), ("verdict_bias", "verdict_bias")):
        biases = [row[key] for row in default if key in row]
        said[f"{name}_points"] = _mean(biases)
        said[f"{name}_error"] = statistics.stdev(biases) / math.sqrt(len(biases)) if len(biases) > 1 else None
    said["best_coverage"] = _share([row["best_holds"] for row in default if "best_holds" in row])
    said["gain_coverage"] = _share([row["gains_hold"] for row in default if "gains_hold" in row])
    missing = [row for row in now if row.get("seeds_missing")]
    said["missing_within_2"] = _share([_within_two(row["seeds_missing"], row["seeds_needed"]) for row in missing])
    said["gain_coverage_extended"] = _share([row["gains_hold"] for row in now if row["budget"] == "extended"])
    said["placebo_wrong"] = _share([row["called_better"] for row in now if "called_better" in row])
    said["bet_chance"] = _calibration(default)
    return said | {"goals_missed": missed(said)}


def missed(said: Json) -> list[str]:
    """The goals that these figures do not reach, in words."""
    found = []
    ratio = said["true_loss_ratio"]
    if ratio is None:
        found.append("true_loss_ratio: not measured")
    elif ratio[0] > 0.7 or ratio[2] >= 0.85:
        found.append(f"true_loss_ratio: {ratio[0]:.2f} (to {ratio[2]:.2f}), goal 0.7 (to 0.85)")
    if said["worse_in"]:
        found.append(f"a greater loss in {', '.join(said['worse_in'])}")
    if (said["trainings_mean"] or 0) > 110:
        found.append(f"trainings_mean: {said['trainings_mean']:.0f}, goal 110")
    for key, goal in (("decided_share", 0.6), ("decided_share_12", 0.3), ("decided_share_24", 0.3)):
        if said[key] is not None and said[key][0] < goal:
            found.append(f"{key}: {said[key][0]:.2f}, goal {goal:g}")
    for key, goal in (("use_wrong", 0.05), ("keep_wrong", 0.1), ("labels_wrong", 0.05)):
        for part in ("per_verdict", "per_job"):
            if said[key][part] is not None and said[key][part][0] > goal:
                found.append(f"{key} {part}: {said[key][part][0]:.2f}, goal {goal:g}")
    if said["gain_coverage"] is not None and said["gain_coverage"][0] < 0.87:
        found.append(f"gain_coverage: {said['gain_coverage'][0]:.2f}, goal 0.87")
    extended, placebo = said["gain_coverage_extended"], said["placebo_wrong"]
    if extended is not None and extended[0] < 0.87:
        found.append(f"gain_coverage_extended: {extended[0]:.2f}, goal 0.87")
    if placebo is not None and placebo[0] > 0.05:
        found.append(f"placebo_wrong: {placebo[0]:.2f}, goal 0.05")
    bet = said["bet_chance"]
    if bet is not None and abs(bet["stated"] - bet["true"][0]) > 0.05:
        found.append(f"bet_chance: {bet['stated']:.2f} stated, {bet['true'][0]:.2f} true, goal within 0.05")
    if said["missing_within_2"] is not None and said["missing_within_2"][0] < 0.5:
        found.append(f"missing_within_2: {said['missing_within_2'][0]:.2f}, goal 0.5")
    for name in ("baseline_bias", "best_bias"):  # of what is said of tuned T = 4, and of the best T = 4
        bias, error = said[f"{name}_points"], said[f"{name}_error"]
        if bias is not None and abs(bias) > 0.1 + 2 * (error or 0.0):
            found.append(f"{name}_points: {bias:+.2f}, goal within 0.1")
    return found


def _calibration(rows: Sequence[Row]) -> Json | None:
    """The mean chance that better bets state, and the share of them that are better."""
    bets = [row for row in rows if row["kind"] == "use" and not row["shown"] and row.get("chance") is not None]
    if not bets:
        return None
    return {"stated": _mean(row["chance"] for row in bets), "true": _share([row["true_gain"] > 0 for row in bets])}


def _within_two(estimate: int, needed: int | None) -> bool:
    """Whether what an undecided verdict lacks was said within a factor of 2."""
    return needed is not None and needed <= 2 * estimate and estimate <= 2 * needed


def _errors(rows: Sequence[Row]) -> Json:
    """Shares of wrong verdicts, of those issued and of all jobs."""
    wrong: dict[str, tuple[list[Row], Callable[[Row], bool]]] = {
        "use_wrong": (
            [r for r in rows if r["kind"] == "use" and r["shown"]],
            lambda r: r.get("least_true_gain", 0) <= 0,
        ),
        "keep_wrong": ([r for r in rows if r["kind"] == "keep"], lambda r: r.get("worst_between", 0.0) > DELTA),
        "labels_wrong": ([r for r in rows if r["kind"] == "labels"], lambda r: r.get("distilling_gains", 0.0) > DELTA),
    }
    said: Json = {}
    for name, (issued, is_wrong) in wrong.items():
        hits = [is_wrong(row) for row in issued]
        per_job = _share([*hits, *[False] * (len(rows) - len(hits))])
        said[name] = {"per_verdict": _share(hits), "per_job": per_job}
    ratios = [row["ratio"] for row in rows if "ratio" in row]
    return said | {"keep_ratio_median": statistics.median(ratios) if ratios else None}


def _ratio(now: Sequence[Row], before: Sequence[Row]) -> list[float] | None:
    """The sum over worlds of the mean loss, new by old, with its interval of 95 % over paired jobs (Fieller 1954)."""
    pairs = _paired(now, before)
    if not pairs:
        return None
    new = sum(statistics.fmean(a for a, _ in of_world) for of_world in pairs.values())
    old = sum(statistics.fmean(b for _, b in of_world) for of_world in pairs.values())
    if old <= 0:
        return None
    ratio = new / old
    variance = 0.0
    for of_world in pairs.values():
        off = [a - ratio * b for a, b in of_world]
        variance += statistics.variance(off) / len(off) if len(off) > 1 else 0.0
    reach = 1.96 * math.sqrt(variance) / old
    return [round(ratio, 3), round(max(0.0, ratio - reach), 3), round(ratio + reach, 3)]


def _worse(now: Sequence[Row], before: Sequence[Row]) -> list[str]:
    """The worlds in which the loss has risen by more than 0.05 points and 2 standard errors."""
    found = []
    for world, of_world in _paired(now, before).items():
        off = [a - b for a, b in of_world]
        error = statistics.stdev(off) / math.sqrt(len(off)) if len(off) > 1 else 0.0
        if statistics.fmean(off) > 0.05 + 2 * error:
            found.append(world)
    return found


def _paired(now: Sequence[Row], before: Sequence[Row]) -> dict[str, list[tuple[float, float]]]:
    old = {(row["world"], row["job"]): row["loss"] for row in before}
    pairs: dict[str, list[tuple[float, float]]] = {}
    for row in now:
        if (row["world"], row["job"]) in old:
            pairs.setdefault(row["world"], []).append((row["loss"], old[row["world"], row["job"]]))
    return pairs


def _means(rows: Sequence[Row], key: str) -> dict[str, float]:
    worlds = dict.fromkeys(row["world"] for row in rows)
    return {world: round(statistics.fmean(r[key] for r in rows if r["world"] == world), 4) for world in worlds}


def _mean(values: Any) -> float | None:
    found = list(values)
    return round(statistics.fmean(found), 4) if found else None


def _share(hits: Sequence[bool]) -> list[float] | None:
    """A share with its interval of 95 % (Wilson's)."""
    if not hits:
        return None
    interval = stats.binomtest(sum(hits), len(hits)).proportion_ci(method="wilson")
    return [round(sum(hits) / len(hits), 3), round(float(interval.low), 3), round(float(interval.high), 3)]
