"""One run of a method: its cost and what it finds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.searching.cost import history, whole
from benchmarks.searching.cost.ground import Ground
from benchmarks.searching.cost.jobs import Job, Search, confirmed
from benchmarks.searching.cost.methods import Method, budgets
from benchmarks.searching.cost.spec import job_spec
from benchmarks.searching.cost.steps import Step, as_shipped, within
from search.states import Arm

Row = dict[str, Any]


def ours(ground: Ground, method: Method, run: int) -> Row:
    """One run of ours, of this checkout or of that which it is run with."""
    if method.kind == "totals":
        return whole.at_totals(ground, run, method.noiseless)
    if method.kind == "default":
        return whole.at_defaults(ground, run)
    return ladder(ground, method, run)


def theirs(ground: Ground, method: Method, run: int, steps: Sequence[Step]) -> Row:
    """One run of a peer, of these steps."""
    if method.kind == "totals":
        return whole.of_peer(ground, run, steps)
    return judged(ground, method, run, steps)


def ladder(ground: Ground, method: Method, run: int) -> Row:
    """One run of ours with each budget: (search, confirmation, estimates) in epochs, and the winner's cell."""
    search: Search | None = None
    rows: Row = {}
    for budget in budgets(method):
        spec = job_spec(ground, run, budget, False, **fitting(ground, method.parts))
        if method.warm:
            advised = history.first(ground, spec, run, misled=method.warm == "misled")
            if search is None or search.advised != advised:
                search = Search(ground, spec, Arm.JOINT, advised)
        search = search or Search(ground, spec, Arm.JOINT)
        rows[str(budget)] = told(Job(ground, spec, search).run())
    return {"run": run, "confirmed": rows}


def judged(ground: Ground, method: Method, run: int, steps: Sequence[Step]) -> Row:
    """One run of a peer with each budget: as it ships (epochs, cell), and with our confirmation as `ladder` has it, if
    this run is one that gets it.
    """
    shipped: Row = {}
    ours: Row = {}
    for budget in budgets(method):
        seen, spent = within(steps, budget * ground.length if budget else 10**9)
        shipped[str(budget)] = [spent, as_shipped(seen)] if seen else [budget * ground.length, None]
        if run >= method.confirmed:
            continue
        if any(step.end >= ground.length for step in seen):
            job = told(confirmed(ground, job_spec(ground, run, 1, False), seen))
            ours[str(budget)] = [spent, *job[1:]]
        else:
            ours[str(budget)] = [spent, 0, 0, None]
    return {"run": run, "shipped": shipped} | ({"confirmed": ours} if ours else {})


def told(job: Job) -> list[int | None]:
    """Epochs of search, of choosing and of estimating, and the winner."""
    epochs = job.epochs()
    return [epochs["search"] + epochs["baseline"], epochs["select"], epochs["estimate"], job.winner]


def fitting(ground: Ground, parts: dict[str, Any]) -> dict[str, Any]:
    """A pruner's first rung at a tenth of the training."""
    if "pruner" not in parts:
        return parts
    return {**parts, "pruner": {**parts["pruner"], "min_epochs": max(1, round(ground.length / 10))}}
