"""Methods that are compared, with the length and number of the runs of each."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal

BUDGETS = (8, 16, 32, 64)
"""Of the search alone, in whole trainings: what each method's cost is the least over."""


@dataclass(frozen=True, slots=True)
class Method:
    """`home` says whose it is: ours, ours of the commit before, or the environment that it runs in. `kind` is what it
    tells: the cost by budgets of its search, the answers by totals of trainings, or one job at the defaults. `chunk`
    runs are made at a time, `runs` in all, of which `confirmed` get our confirmation too. `most` is its largest budget,
    None where it is no matter of budget. What is still to be chosen is run in the `unsealed` contexts alone. `search`
    names the method whose searches it judges, where that is not itself. Runs of a `noiseless` one reach their truth.
    """

    name: str
    home: Literal["ours", "before", "here", "synetune", "smac"]
    kind: Literal["cost", "totals", "default"] = "cost"
    chunk: int = 10
    runs: int = 200
    confirmed: int = 200
    most: int | None = BUDGETS[-1]
    parts: dict[str, Any] = field(default_factory=dict)
    warm: Literal["", "warm", "misled"] = ""
    unsealed: bool = False
    search: str = ""
    noiseless: bool = False


TOTALS = (12, 16, 24, 32, 64, 110)
"""Trainings for everything, confirmation included."""
TRAININGS, ANSWER, WINNER, BEST_TRIED, DISTILS = range(5)
"""Places in what a whole job tells of a total: how many trainings it took, and four cells (whole.at_totals)."""
OURS = "ours"
BEFORE = "before"
WHOLE = "whole"
NOISELESS = "whole_noiseless"
DEFAULT = "default"
DEFAULT_BEFORE = "default_before"
MISLED = "ours_misled"
PEERS = {"gpsampler": "gp_totals", "tpe": "tpe_totals", "bohb": "bohb_totals", "smac": "smac_totals"}
"""By the name of their figure, the peers whose answers are compared at equal totals."""
METHODS = (
    Method(WHOLE, "ours", "totals", chunk=2),
    Method("gp_totals", "here", "totals", chunk=2, most=TOTALS[-1], search="optuna_gp"),
    Method("tpe_totals", "here", "totals", chunk=20, most=TOTALS[-1], search="optuna_tpe"),
    Method("bohb_totals", "synetune", "totals", chunk=1, runs=40, most=TOTALS[-1], search="syne_bohb"),
    Method("smac_totals", "smac", "totals", chunk=1, runs=40, most=TOTALS[-1], search="smac_mf"),
    Method(NOISELESS, "ours", "totals", chunk=2, runs=40, noiseless=True),
    Method(OURS, "ours", chunk=4),
    Method(BEFORE, "before", chunk=4),
    Method(DEFAULT, "ours", "default", chunk=4),
    Method(DEFAULT_BEFORE, "before", "default", chunk=4),
    Method(MISLED, "ours", chunk=4, runs=800, warm="misled"),
    Method("ours_tpe", "ours", parts={"sampler": {"name": "tpe"}}, unsealed=True),
    Method("ours_halving", "ours", parts={"pruner": {"name": "successive_halving"}}, unsealed=True),
    Method("ours_stratified", "ours", parts={"pruner": {"name": "stratified"}}, unsealed=True),
    Method("ours_curve", "ours", parts={"pruner": {"name": "curve"}}, unsealed=True),
    Method("ours_warm", "ours", warm="warm"),
    Method("grid_practised", "here", chunk=50, most=None),
    Method("grid_full", "here", chunk=20, confirmed=10, most=None),
    Method("random", "here", chunk=20),
    Method("optuna_tpe", "here"),
    Method("optuna_tpe_hyperband", "here", chunk=5, most=32),
    Method("optuna_gp", "here", chunk=2, most=32),
    Method("syne_asha", "synetune", chunk=20, most=32),
    Method("syne_bohb", "synetune", most=32),
    Method("syne_asha_bore", "synetune", chunk=2, most=32),
    Method("smac_mf", "smac", chunk=2, most=32),
)
RIVALS = tuple(method for method in METHODS if method.home not in ("ours", "before") and method.kind == "cost")
"""Peers whose cost is compared."""
BY_NAME = {method.name: method for method in METHODS}
FIGURES = (WHOLE, *PEERS.values(), NOISELESS, OURS, BEFORE, DEFAULT, DEFAULT_BEFORE, MISLED)
"""Those of the figures; the others are asked for with `--costs`."""
REAL = (OURS, "grid_practised", "grid_full", "random", "optuna_tpe")
"""Those that are also run on recorded students."""
MISSED = {
    "MOBSTER": "Syne Tune 0.16 has none any more; ASHABORE, its model-based ASHA, stands in its place",
    "ASHACQR": "Syne Tune 0.16 imports huggingface_hub for it, which its package does not ask for",
}


def budgets(method: Method) -> list[int]:
    """A method's budgets, in whole trainings; one that says "all" where it has no choice."""
    return [0] if method.most is None else [budget for budget in BUDGETS if budget <= method.most]


def with_runs(method: Method, runs: int | None) -> Method:
    """The method with fewer runs."""
    return method if runs is None else dataclasses.replace(method, runs=min(runs, method.runs))
