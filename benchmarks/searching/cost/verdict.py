"""Summary of the runs: costs of each method, ratios, coverages and regrets, and the goals that are missed."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from benchmarks.searching.cost import history, methods
from benchmarks.searching.cost.cost import Ert, ert, ratio, share
from benchmarks.searching.cost.ground import Ground
from benchmarks.searching.cost.raw import COVERAGE, Done

Json = dict[str, Any]
Rows = Sequence[Mapping[str, Any]]
Form = Literal["confirmed", "to_winner", "shipped"]
GOALS = {"cost_vs_grid": 1 / 20, "cost_vs_best_peer": 1 / 2, "coverage": 0.87, "misled_cost": 0.2}


@dataclass(frozen=True, slots=True)
class Best:
    """A method's cost at the budget where it is least."""

    budget: int
    ert: Ert
    regret: float


def gather(done: Iterable[Done]) -> tuple[dict[str, dict[str, list[Json]]], dict[str, str]]:
    """Rows by context and method, and why a method is missed."""
    rows: dict[str, dict[str, list[Json]]] = {}
    missed = dict(methods.MISSED)
    for one in done:
        if one.missed is not None:
            missed[one.piece.method] = one.missed
        rows.setdefault(one.piece.context, {}).setdefault(one.piece.method, []).extend(one.rows)
    return rows, missed


def cheapest(ground: Ground, rows: Rows, form: Form) -> Best | None:
    """The budget with the least cost; None where the method has no such form. `to_winner` leaves the estimates out."""
    kind = "shipped" if form == "shipped" else "confirmed"
    rows = [row for row in rows if kind in row]
    if not rows:
        return None
    found = []
    for budget in rows[0][kind]:
        told = [row[kind][budget] for row in rows]
        spent = [sum(one[:-1]) - (one[2] if form == "to_winner" else 0) for one in told]
        hits = [one[-1] is not None and ground.hit(one[-1]) for one in told]
        answers = [ground.regret(one[-1]) for one in told if one[-1] is not None]
        regret = statistics.fmean(answers) if answers else math.nan
        found.append(Best(int(budget), ert(spent, hits), regret))
    return min(found, key=lambda best: (best.ert.bound, best.ert.value))


def costs(ground: Ground, rows: Mapping[str, Rows]) -> Json:
    """Each method's cost in each form, in whole trainings."""
    told: Json = {}
    costly = {method.name for method in methods.METHODS if method.kind == "cost"}
    for name, own in rows.items():
        for form in ("confirmed", "to_winner", "shipped"):
            best = cheapest(ground, own, form) if name in costly else None
            if best is not None:
                told.setdefault(name, {})[form] = _in_trainings(best, ground.length)
    return told


def compared(
    grounds: Mapping[str, Ground], rows: Mapping[str, Mapping[str, Rows]], left: tuple[str, Form],
    right: tuple[str, Form],
) -> Json | None:  # fmt: skip
    """The ratio of two methods' costs over the contexts that have both."""
    pairs = []
    for name, ground in grounds.items():
        mine = cheapest(ground, rows[name].get(left[0], []), left[1])
        other = cheapest(ground, rows[name].get(right[0], []), right[1])
        if mine is not None and other is not None:
            pairs.append((mine.ert, other.ert))
    if not pairs:
        return None
    found: Json = ratio([mine for mine, _ in pairs], [other for _, other in pairs])
    return found | {"contexts": len(pairs), "a_side_never_hit": any(a.bound or b.bound for a, b in pairs)}


def best_peer(grounds: Mapping[str, Ground], rows: Mapping[str, Mapping[str, Rows]], form: Form) -> str | None:
    """The peer with the least geometric mean cost among those that ran in all contexts; who never hit stands behind."""
    totals: dict[str, tuple[int, float]] = {}
    for method in methods.RIVALS:
        found = [cheapest(ground, rows[name].get(method.name, []), form) for name, ground in grounds.items()]
        known = [best.ert for best in found if best is not None]
        if known and len(known) == len(grounds):
            never = sum(cost.bound for cost in known)
            totals[method.name] = never, statistics.fmean(math.log(cost.value) for cost in known)
    return min(totals, key=totals.__getitem__) if totals else None


def behind(grounds: Mapping[str, Ground], rows: Mapping[str, Mapping[str, Rows]]) -> dict[str, str]:
    """The contexts where ours costs more than the upper end of the best peer's interval, and which peer that is."""
    found = {}
    for name, ground in grounds.items():
        mine = cheapest(ground, rows[name].get(methods.OURS, []), "confirmed")
        peers = {
            method.name: cheapest(ground, rows[name].get(method.name, []), "confirmed") for method in methods.RIVALS
        }
        known = {peer: best.ert for peer, best in peers.items() if best is not None and not best.ert.bound}
        if mine is not None and known:
            first = min(known, key=lambda peer: known[peer].value)
            if mine.ert.value > known[first].high:
                found[name] = first
    return found


def answers(ground: Ground, rows: Rows) -> Json:
    """Of whole jobs at the service's defaults: regret, winners within tolerance, coverages and widths."""
    regrets, of = [ground.regret(row["winner"]) for row in rows], [row["search"] for row in rows]
    gains = [(row["search"], *gain) for row in rows for gain in row["gains"]]
    first = [gain for gain in gains if gain[1]]
    sets = [row for row in rows if "set_holds" in row]
    told = [row for row in rows if "stated" in row]
    bounds = [ground.regret(row["winner"]) <= row["stated"][2] + 1e-9 for row in told]
    return {
        "jobs": len(rows),
        "searches": len(set(of)),
        "regret_points": {"median": statistics.median(regrets), "mean": statistics.fmean(regrets)},
        "winner_within_tolerance": share([ground.hit(row["winner"]) for row in rows], of),
        "winner_chance_stated": statistics.fmean(row["stated"][0] for row in told) if told else None,
        "shortfall_stated_points": statistics.fmean(row["stated"][1] for row in told) if told else None,
        "shortfall_bound_coverage": share(bounds, [row["search"] for row in told]) if told else None,
        "shortfall_bound_points": statistics.median(row["stated"][2] for row in told) if told else None,
        "gain_coverage": share([gain[2] for gain in gains], [gain[0] for gain in gains]),
        "headline_gain_coverage": share([gain[2] for gain in first], [gain[0] for gain in first]),
        "gain_width_points": 100 * statistics.median(gain[3] for gain in gains),
        "confidence_set_coverage": share([row["set_holds"] for row in sets]) if sets else None,
        "confidence_set_width": statistics.median(row["set_width"] for row in sets) if sets else None,
        "whole_job_trainings": statistics.fmean(sum(row["epochs"].values()) for row in rows) / ground.length,
    }


def headline(grounds: Mapping[str, Ground], rows: Mapping[str, Mapping[str, Rows]]) -> Json:
    """The figures that are promised, over these contexts."""
    ours: tuple[str, Form] = (methods.OURS, "confirmed")
    peer, shipped = best_peer(grounds, rows, "confirmed"), best_peer(grounds, rows, "shipped")
    jobs = {name: answers(ground, rows[name][COVERAGE]) for name, ground in grounds.items() if rows[name].get(COVERAGE)}
    fed = {name: ground for name, ground in grounds.items() if history.known(ground)}
    warm, misled = (
        compared(fed, rows, ("ours_warm", "confirmed"), ours),
        compared(grounds, rows, ("ours_misled", "confirmed"), ours),
    )
    said: Json = {
        "cost_vs_grid": compared(grounds, rows, ours, ("grid_full", "shipped")),
        "cost_vs_practised_grid": compared(grounds, rows, ours, ("grid_practised", "shipped")),
        "cost_vs_best_peer": _named(peer, compared(grounds, rows, ours, (peer or "", "confirmed"))),
        "cost_vs_best_peer_as_shipped": _named(shipped, compared(grounds, rows, ours, (shipped or "", "shipped"))),
        "cost_to_winner_vs_best_peer": _named(
            peer, compared(grounds, rows, (methods.OURS, "to_winner"), (peer or "", "to_winner"))
        ),
        "behind_in": behind(grounds, rows),
        "warm_start_saving": None if warm is None else _less(warm, 1, -1),
        "misled_cost": None if misled is None else _less(misled, -1, 1),
    }
    for key in ("regret_points", "winner_within_tolerance", "winner_chance_stated", "shortfall_bound_coverage",
                "shortfall_bound_points", "gain_coverage", "headline_gain_coverage", "confidence_set_coverage",
                "confidence_set_width"):  # fmt: skip
        said[key] = _over_contexts({name: job[key] for name, job in jobs.items() if job[key] is not None})
    return said | {"goals_missed": missed(said)}


def counted(rows: Mapping[str, Mapping[str, Rows]]) -> dict[str, dict[str, int]]:
    """How many runs of each method there are, and of whole jobs, by context."""
    return {name: {method: len(own) for method, own in of.items() if own} for name, of in rows.items()}


def missed(said: Json) -> list[str]:
    """The goals that these figures do not reach, in words; and those that nothing was measured for."""
    found = []
    for key in ("cost_vs_grid", "cost_vs_best_peer"):
        one = said[key]
        if one is None:
            found.append(f"{key}: not measured")
        elif one["median"] > GOALS[key] or one["a_side_never_hit"]:
            found.append(f"{key}: {one['median']:.3g}, goal {GOALS[key]:.3g}")
    if said["behind_in"]:
        found.append(f"behind the best peer in {', '.join(said['behind_in'])}")
    for context, part in said["winner_within_tolerance"]["by_context"].items():
        stated = said["winner_chance_stated"]["by_context"].get(context)
        if stated is not None and part["high"] < stated:  # more was promised than is compatible with what was found
            found.append(f"winner_within_tolerance in {context}: {part['share']:.3g}, stated {stated:.3g}")
    for key in ("shortfall_bound_coverage", "gain_coverage", "confidence_set_coverage"):
        for context, part in said[key]["by_context"].items():
            if part["share"] < GOALS["coverage"]:
                found.append(f"{key} in {context}: {part['share']:.3g}, goal {GOALS['coverage']:g}")
    if said["misled_cost"] is not None and said["misled_cost"]["median"] > GOALS["misled_cost"]:
        found.append(f"misled_cost: {said['misled_cost']['median']:.3g}, goal {GOALS['misled_cost']:g}")
    return found


def _named(name: str | None, found: Json | None) -> Json | None:
    return None if found is None else {"name": name, **found}


def _less(found: Json, offset: int, sign: int) -> Json:
    """1 - ratio, or ratio - 1, its interval turned with it."""
    ends = sorted((offset + sign * found["low"], offset + sign * found["high"]))
    return {"median": offset + sign * found["median"], "low": ends[0], "high": ends[1], "contexts": found["contexts"]}


def _over_contexts(values: Json) -> Json:
    def plain(value: Any) -> float:
        return float(value["share" if "share" in value else "mean"] if isinstance(value, dict) else value)

    each = [plain(value) for value in values.values()]
    return {"median": statistics.median(each) if each else None, "by_context": values}


def _in_trainings(best: Best, length: int) -> Json:
    cost = best.ert
    return {
        "trainings": round(cost.value / length, 2),
        "low": round(cost.low / length, 2),
        "high": round(cost.high / length, 2),
        "never_hit": cost.bound,
        "budget": best.budget,
        "runs": cost.runs,
        "hits": cost.hits,
        "epochs_a_run": round(cost.epochs, 1),
        "regret_points": None if math.isnan(best.regret) else round(best.regret, 3),
    }
