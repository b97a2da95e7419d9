"""Methods that are compared, with the length and number of the runs of each."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal

BUDGETS = (8, 16, 32, 64)
"""Of the search alone, in whole trainings: what each method's cost is the least over."""


@dataclass(frozen=True, slots=True)
class Method:
    """`home` says whose it is: ours, or the environment that it runs in. `chunk` runs are made at a time, `runs` in
    all, of which `confirmed` get our confirmation too. `most` is its largest budget, None where it is no matter of
    budget. What is still to be chosen is run in the `unsealed` contexts alone.
    """

    name: str
    home: Literal["ours", "here", "synetune", "smac"]
    chunk: int = 10
    runs: int = 200
    confirmed: int = 200
    most: int | None = BUDGETS[-1]
    parts: dict[str, Any] = field(default_factory=dict)
    warm: Literal["", "warm", "misled"] = ""
    unsealed: bool = False


OURS = "ours"
METHODS = (
    Method(OURS, "ours"),
    Method("ours_tpe", "ours", parts={"sampler": {"name": "tpe"}}, unsealed=True),
    Method("ours_halving", "ours", parts={"pruner": {"name": "successive_halving"}}, unsealed=True),
    Method("ours_stratified", "ours", parts={"pruner": {"name": "stratified"}}, unsealed=True),
    Method("ours_curve", "ours", parts={"pruner": {"name": "curve"}}, unsealed=True),
    Method("ours_warm", "ours", warm="warm"),
    Method("ours_misled", "ours", warm="misled"),
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
BY_NAME = {method.name: method for method in METHODS}
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
