"""The record of a selection: each arm's finalists, their values in the search, and their race."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from search.claims import planner
from search.claims.planner import Finished
from search.records import Trial
from search.spec.job import JobSpec
from search.states import Arm, Stage, TrialState
from thermowell.api.answers import Finalists, SelectedFinalist, Selection


def selections(spec: JobSpec, trials: Sequence[Trial], finalists: Finalists | None) -> list[Selection]:
    """One for each arm whose finalists were raced in the newest round of confirmation.

    `finalists` is what was stored when they were chosen, None for a job that began to confirm before choices were kept.
    """
    newest = max((trial.round for trial in trials if trial.stage is Stage.ESTIMATE), default=0)
    choices = (
        {arm_choice.arm: arm_choice for arm_choice in finalists.arms}
        if finalists is not None and finalists.round == newest
        else {}
    )
    by_number = {trial.number: trial for trial in trials}
    blocks = len({t.seed for t in trials if (t.stage, t.round) == (Stage.SELECT, newest)})
    rows = []
    for arm in Arm:
        raced = [t for t in trials if (t.stage, t.arm, t.round) == (Stage.SELECT, arm, newest)]
        if not raced:
            continue
        expectations = (
            {finalist.trial: finalist for finalist in choices[arm.value].finalists} if arm.value in choices else {}
        )
        numbers = tuple(expectations) or tuple(dict.fromkeys(t.origin for t in raced if t.origin is not None))
        dropped, winner = _dropped(spec, raced, numbers, newest, blocks), _winner(trials, arm, newest)
        rows.append(
            Selection(
                arm=arm.value,
                candidates=choices[arm.value].candidates if arm.value in choices else None,
                by="surface" if any(finalist.deviation is not None for finalist in expectations.values()) else "value",
                finalists=[
                    SelectedFinalist(
                        trial=number,
                        configuration=planner.taken_to(spec, by_number[number], arm),
                        expected=expectations[number].mean if number in expectations else None,
                        deviation=expectations[number].deviation if number in expectations else None,
                        seeds=len(values),
                        mean=statistics.fmean(values) if values else None,
                        dropped_after=dropped.get(number),
                        winner=number == winner,
                    )
                    for number in numbers
                    for values in [_values(raced, number)]
                ],
            )
        )
    return rows


def _dropped(spec: JobSpec, raced: Sequence[Trial], numbers: Sequence[int], round_: int, blocks: int) -> dict[int, int]:
    """By finalist that trained on fewer seeds than the race had, on how many."""
    if spec.baselines.by == "arm":
        return dict(planner.race_of(spec, [_finished(trial) for trial in raced], numbers, round_).dropped)
    seeds = {number: sum(trial.origin == number for trial in raced) for number in numbers}
    return {number: count for number, count in seeds.items() if count < blocks}


def _values(raced: Sequence[Trial], origin: int) -> list[float]:
    completed = [trial for trial in raced if trial.origin == origin and trial.state is TrialState.COMPLETED]
    return [trial.value for trial in completed if trial.value is not None]


def _winner(trials: Sequence[Trial], arm: Arm, newest: int) -> int | None:
    """The trial whose configuration the estimates of this arm are of."""
    variant = "winner" if arm is Arm.JOINT else "tuned"
    kind = (Stage.ESTIMATE, arm, variant, newest)
    return next((t.origin for t in trials if (t.stage, t.arm, t.variant, t.round) == kind), None)


def _finished(trial: Trial) -> Finished:
    return Finished(
        number=trial.number,
        stage=trial.stage,
        arm=trial.arm,
        round=trial.round,
        origin=trial.origin,
        state=trial.state,
        value=trial.value,
        configuration=trial.configuration,
        seed=trial.seed,
    )
