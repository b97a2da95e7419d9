"""Why a search came to nothing, as far as its trials say, and what may help."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from search.records import Reason
from search.states import TrialState

Ended = tuple[int, TrialState, Reason | None]
"""A trial's number, its end, and why it ended so."""
_LONGEST = 300
_WORDS = {
    "diverged": "diverged",
    "crashed": "crashed",
    "worker-lost": "were lost with their workers",
    "pruned": "were stopped early",
    "cancelled": "were cancelled before their end",
    "failed": "failed",
}
_ADVICE = {
    "diverged": "lower the upper ends of the learning rates in `space.optimizer`, or lengthen "
    "`training.schedule.warmup_epochs`",
    "crashed": "the workers' logs have the whole error; `thermowell spec check` finds what is wrong in a spec",
    "worker-lost": "look into the workers' logs and their machines' memory: smaller models or batches need less",
    "pruned": "search without a pruner (`pruner: {name: none}`)",
    "cancelled": "submit it again, and let a trial end before it is stopped",
    "failed": "look into the workers' logs",
}


def no_trials(ended_trials: Iterable[Ended]) -> Reason:
    """The reason of a job whose search has ended without a trial that was trained to its end."""
    trials = list(ended_trials)
    if not trials:
        words = "none began before it was stopped or its budget was spent. Try: submit it again with a larger budget"
        return Reason("no-trials", f"no trial of the search was trained to its end: {words}")
    kinds = Counter(_kind(state, reason) for _, state, reason in trials)
    counts = ", ".join(f"{number} of {len(trials)} {_WORDS[kind]}" for kind, number in kinds.most_common())
    parts = [f"no trial of the search was trained to its end: {counts}"]
    details = [(number, reason.detail) for number, _, reason in trials if reason is not None and reason.detail]
    if details:
        number, detail = max(details)
        parts.append(f"the last, trial {number}: {' '.join(detail.split())[:_LONGEST].rstrip('.')}")
    [(most, _)] = kinds.most_common(1)
    return Reason("no-trials", "; ".join(parts) + f". Try: {_ADVICE[most]}")


def _kind(state: TrialState, reason: Reason | None) -> str:
    if state is TrialState.PRUNED:
        return "pruned"
    if state is TrialState.CANCELLED:
        return "cancelled"
    return reason.type if reason is not None and reason.type in _WORDS else "failed"
