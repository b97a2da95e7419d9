"""Whether a job with new totals would search on: an extension that adds no trial would confirm again for nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Row

from search.claims.planner import JobSnapshot
from search.errors import FieldProblem, SpecInvalid
from search.states import Arm, Stage, TrialState

BUDGETS = ("trials", "epochs", "seconds")
_OPEN = (TrialState.WAITING, TrialState.RUNNING)


def check_adds(before: JobSnapshot, job: Row[Any], totals: Mapping[str, Any]) -> None:
    """Raises SpecInvalid where a job with these totals would not begin one more trial of its search."""
    after = {name: totals.get(name, getattr(job, f"budget_{name}")) for name in BUDGETS}
    problems = list(_spent(before, job, after))
    if problems:
        raise SpecInvalid(problems, "The new budget was refused")


def _spent(before: JobSnapshot, job: Row[Any], after: Mapping[str, Any]) -> Iterator[FieldProblem]:
    """Each budget that is spent in spite of the new totals, and the total that would do."""
    if before.search_trials >= after["trials"]:
        words = f"all {after['trials']} of the budget have begun"
        yield FieldProblem("trials", _refused(words, f"at least {before.search_trials + 1}"))
    part = before.spec.training.epochs
    if after["epochs"] is not None and before.search_epochs + part > after["epochs"] and not _may_give_back(before):
        words = f"{before.search_epochs} of {after['epochs']} are spent, and a trial takes {part}"
        yield FieldProblem("epochs", _refused(words, f"at least {before.search_epochs + part}"))
    if before.seconds_left is not None:
        spent = float(job.budget_seconds) - before.seconds_left
        if spent >= after["seconds"]:
            words = f"the {after['seconds']:g} s are over: the job began {math.ceil(spent)} s ago, pauses left out"
            yield FieldProblem("seconds", _refused(words, f"well above {math.ceil(spent)}"))


def _refused(words: str, total: str) -> str:
    return f"{words}: no trial could be added. Give a new total too, {total}"


def _may_give_back(before: JobSnapshot) -> bool:
    """Whether a trial is under way, which leaves what it does not need of its epochs where it is stopped early."""
    counts = before.counts.get((Stage.SEARCH, Arm.JOINT), {})
    return any(counts.get(state, 0) for state in _OPEN)
