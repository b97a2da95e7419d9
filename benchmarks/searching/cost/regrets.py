"""Regrets of answers at equal totals of trainings and after equal searches: ratios with their intervals.

A ratio is one of mean regrets over runs, with FLOOR points added to both, since a mean may be nothing; its mean over
budgets and contexts is geometric. Of a peer's two forms the one with the lower mean counts, budget by budget. Of ours
counts what the answer expects most of among all that distils, as all that a peer tries does (`regret`); beside it stand
what the verdict says to use, labels alone included (`answer`), and the race's leader (`winner`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.searching.cost import methods
from benchmarks.searching.cost.cost import CONFIDENCE, DRAWS, share
from benchmarks.searching.cost.ground import Ground

Json = dict[str, Any]
Rows = Sequence[Mapping[str, Any]]
ByMethod = Mapping[str, Rows]
Floats = NDArray[np.float64]
FLOOR = 0.02
"""Points: a tenth of what matters."""
COMPARED = (16, 32, 64, 110)
AFTER = (8, 16, 32)
FORMS = ("shipped", "practised")
JUDGED = {"regret": methods.DISTILS, "answer": methods.ANSWER, "winner": methods.WINNER}
"""By the first word of a figure, the place of the cell that it judges among what a whole job tells."""
NAMES = {
    "best that distils": methods.DISTILS,
    "answer": methods.ANSWER,
    "winner": methods.WINNER,
    "oracle: best that was tried": methods.BEST_TRIED,
}
"""By its name in a context's table, the place of the cell."""
GOALS = {
    "regret_vs_gpsampler": 0.8,
    "regret_vs_tpe": 0.6,
    "regret_vs_bohb": 0.6,
    "regret_vs_smac": 0.6,
    "regret_after_8": 0.65,
    "regret_after_16": 0.75,
    "regret_after_32": 0.9,
    "set_width_vs_before": 0.8,
}
"""At most."""
HOLDS = 0.87
"""Of confidence sets, at least."""
Sides = Sequence[tuple[str, Floats, Sequence[Floats], bool]]
"""By context: our regrets [runs, budgets], the other side's forms, and whether runs are paired."""


def headline(grounds: Mapping[str, Ground], rows: Mapping[str, ByMethod]) -> Json:
    """The figures over these contexts; None where one side has no run."""
    said: Json = {}
    for name, method in methods.PEERS.items():
        for key, place in JUDGED.items():
            said[f"{key}_vs_{name}"] = ratio(_beside_peer(grounds, rows, method, COMPARED, place))
    gpsampler = methods.PEERS["gpsampler"]
    said["best_tried_vs_gpsampler"] = ratio(_beside_peer(grounds, rows, gpsampler, COMPARED, methods.BEST_TRIED))
    said["noiseless_vs_gpsampler"] = ratio(
        _beside_peer(grounds, rows, gpsampler, COMPARED, methods.DISTILS, methods.NOISELESS)
    )
    for total in (12, 24):
        gp = _beside_peer(grounds, rows, methods.PEERS["gpsampler"], (total,), JUDGED["regret"])
        said[f"regret_at_{total}"] = {
            "points": {name: at_total(ground, rows[name], total) for name, ground in grounds.items()},
            "vs_gpsampler": ratio(gp),
        }
    for trials in AFTER:
        said[f"regret_after_{trials}"] = ratio(_beside_before(grounds, rows, trials))
    said |= _sets(grounds, rows)
    return said | {"regret_goals_missed": missed(said)}


def ratio(sides: Sides, floor: float = FLOOR) -> Json | None:
    """The geometric mean over contexts and budgets, by context too, with bootstrap intervals over runs."""
    if not sides:
        return None
    random = np.random.default_rng(0)
    logs = {name: _drawn(random, ours, forms, paired, floor) for name, ours, forms, paired in sides}
    whole = np.mean([drawn for _, drawn in logs.values()], axis=0)
    return _interval(float(np.mean([value for value, _ in logs.values()])), whole) | {
        "by_context": {name: _interval(*one) for name, one in logs.items()},
        "runs": {name: [len(ours), len(forms[0])] for name, ours, forms, _ in sides},
    }


def _drawn(
    random: np.random.Generator, ours: Floats, forms: Sequence[Floats], paired: bool, floor: float
) -> tuple[float, Floats]:
    """The logarithm of a context's ratio, and draws of it."""
    places = random.integers(len(ours), size=(DRAWS, len(ours)))
    others = places if paired else random.integers(len(forms[0]), size=(DRAWS, len(forms[0])))
    low = np.min([form.mean(0) for form in forms], axis=0)
    value = np.log((ours.mean(0) + floor) / (low + floor)).mean()
    least = np.min([form[others].mean(1) for form in forms], axis=0)
    return float(value), np.log((ours[places].mean(1) + floor) / (least + floor)).mean(1)


def _interval(value: float, drawn: Floats) -> Json:
    low, high = np.exp(np.quantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]))
    return {"ratio": round(float(np.exp(value)), 3), "low": round(float(low), 3), "high": round(float(high), 3)}


def _beside_peer(
    grounds: Mapping[str, Ground],
    rows: Mapping[str, ByMethod],
    method: str,
    totals: Sequence[int],
    place: int,
    own: str = methods.WHOLE,
) -> Sides:
    """`place`: that of the cell among what a whole job of `own` tells."""
    sides = []
    for name, ground in grounds.items():
        ours, theirs = rows[name].get(own, ()), rows[name].get(method, ())
        if ours and theirs:
            mine = _regrets(ground, [[row["totals"][str(total)][place] for total in totals] for row in ours])
            forms = [_regrets(ground, [[row[form][str(t)][1] for t in totals] for row in theirs]) for form in FORMS]
            sides.append((name, mine, forms, False))
    return sides


def _beside_before(grounds: Mapping[str, Ground], rows: Mapping[str, ByMethod], trials: int) -> Sides:
    """The winners after so many trials of the search, without tuned baselines, of the same runs."""
    sides = []
    for name, ground in grounds.items():
        now, old = (_by_run(rows[name].get(method, ())) for method in (methods.OURS, methods.BEFORE))
        runs = sorted(set(now) & set(old))
        if runs:
            mine, other = (
                _regrets(ground, [[one[run]["confirmed"][str(trials)][-1]] for run in runs]) for one in (now, old)
            )
            sides.append((name, mine, [other], True))
    return sides


def _by_run(rows: Rows) -> dict[int, Mapping[str, Any]]:
    return {row["run"]: row for row in rows}


def _regrets(ground: Ground, cells: Sequence[Sequence[int | None]]) -> Floats:
    """In points, none below 0, which labels alone may reach; who answers nothing has the regret of a random cell."""
    chance = float(np.mean([ground.regret(cell) for cell in ground.soft]))
    each = [[chance if cell is None else max(0.0, ground.regret(cell)) for cell in row] for row in cells]
    return np.asarray(each, dtype=float)


def at_total(ground: Ground, rows: ByMethod, total: int) -> Json:
    """Mean regrets in points at a total, by method and form, each with its standard error; and ours' trainings."""
    found: Json = {}
    for key, place in NAMES.items():
        if ours := rows.get(methods.WHOLE):
            found[key] = _mean(_regrets(ground, [[row["totals"][str(total)][place]] for row in ours]))
            found["trainings"] = round(
                float(np.mean([row["totals"][str(total)][methods.TRAININGS] for row in ours])), 1
            )
    if clear := rows.get(methods.NOISELESS):
        found["oracle: runs without noise"] = _mean(
            _regrets(ground, [[row["totals"][str(total)][methods.DISTILS]] for row in clear])
        )
    for name, method in methods.PEERS.items():
        for form in FORMS:
            if theirs := rows.get(method):
                found[f"{name}, {form}"] = _mean(_regrets(ground, [[row[form][str(total)][1]] for row in theirs]))
    return found


def after(ground: Ground, rows: ByMethod, trials: int) -> Json:
    """The same after so many trials of the search."""
    known = {"now": methods.OURS, "before": methods.BEFORE, "misled": methods.MISLED}
    return {
        name: _mean(_regrets(ground, [[row["confirmed"][str(trials)][-1]] for row in rows[method]]))
        for name, method in known.items()
        if rows.get(method)
    }


def _mean(regrets: Floats) -> list[float]:
    error = float(regrets.std(ddof=1) / np.sqrt(len(regrets))) if len(regrets) > 1 else float("nan")
    return [round(float(regrets.mean()), 3), round(error, 3), len(regrets)]


def _sets(grounds: Mapping[str, Ground], rows: Mapping[str, ByMethod]) -> Json:
    """Widths of confidence sets against the commit before, of the same runs, and how often sets hold."""
    sides: list[tuple[str, Floats, Sequence[Floats], bool]] = []
    held: dict[str, list[bool]] = {methods.DEFAULT: [], methods.DEFAULT_BEFORE: []}
    for name in grounds:
        now, old = (_by_run([row for row in rows[name].get(method, ()) if "set_width" in row]) for method in held)
        for method, of in zip(held, (now, old), strict=True):
            held[method] += [bool(row["set_holds"]) for row in of.values()]
        if runs := sorted(set(now) & set(old)):
            mine, other = (np.asarray([[one[run]["set_width"]] for run in runs]) for one in (now, old))
            sides.append((name, mine, [other], True))
    return {
        "set_width_vs_before": ratio(sides, floor=0.0),
        "set_coverage": share(held[methods.DEFAULT]) if held[methods.DEFAULT] else None,
        "set_coverage_before": share(held[methods.DEFAULT_BEFORE]) if held[methods.DEFAULT_BEFORE] else None,
    }


def missed(said: Json) -> list[str]:
    """The goals that these figures do not reach, and those that nothing was measured for, in words."""
    found = []
    for key, goal in GOALS.items():
        one = said[key]
        if one is None:
            found.append(f"{key}: not measured")
        elif one["ratio"] > goal:
            found.append(f"{key}: {one['ratio']:.2f}, goal {goal:g}")
    gp = said["regret_vs_gpsampler"]
    if gp is not None and gp["high"] >= 1:
        found.append(f"regret_vs_gpsampler: upper bound {gp['high']:.2f}, goal below 1")
    for name, part in gp["by_context"].items() if gp is not None else ():
        if part["low"] > 1:
            found.append(f"regret_vs_gpsampler in {name}: lower bound {part['low']:.2f}, goal at most 1")
    if said["set_coverage"] is not None and said["set_coverage"]["share"] < HOLDS:
        found.append(f"set_coverage: {said['set_coverage']['share']:.2f}, goal {HOLDS:g}")
    return found
