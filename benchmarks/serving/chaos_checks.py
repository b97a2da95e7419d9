"""Invariants of a chaos run. What must hold of a database once its jobs have ended, whatever was
done to the workers and to the database itself meanwhile.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import optuna
import sqlalchemy

from search.errors import NotReady
from search.optuna_bridge.study import Storage, close_storage, optuna_storage
from search.records import Job, Principal, Trial
from search.requests import jobs, results, trials
from search.states import TERMINAL_TRIALS, Arm, JobState, Stage, TrialState
from search.storage import tables
from search.storage.db import Database
from search.storage.events import read_events
from search.storage.rows import optuna_study_name

ENDS = ("trial_finished", "trial_pruned", "trial_failed")
_TOLD = {
    TrialState.COMPLETED: optuna.trial.TrialState.COMPLETE,
    TrialState.PRUNED: optuna.trial.TrialState.PRUNED,
    TrialState.FAILED: optuna.trial.TrialState.FAIL,
}


def violations(database: Database, principal: Principal, submitted: Sequence[Job]) -> list[str]:
    """Every promise that does not hold, in words; none where all is well."""
    found = []
    storage = optuna_storage(database)
    try:
        for each in submitted:
            job = jobs.get_job(database, each.id, principal)
            found += [f"job {job.name}: {what}" for what in _of_job(database, principal, job, storage)]
    finally:
        close_storage(storage)
    with database.read() as connection:
        held = connection.scalar(sqlalchemy.select(sqlalchemy.func.count()).select_from(tables.leases))
    if held:
        found.append(f"{held} leases are left though nothing runs")
    return found


def answer(database: Database, principal: Principal, job: Job) -> dict[str, Any]:
    """What a job came to, without what differs between two runs by nature: times, attempts and workers."""
    rows = trials.iter_trials(database, job.id, principal)
    winner = results.get_result(database, job.id, principal).winner
    return {
        "trials": [
            [row.number, row.stage, row.arm, row.variant, row.seed, dict(row.configuration or {}), row.state, row.value]
            for row in rows
        ],
        "winner": winner.configuration.stored(),
        "validation": winner.validation.mean,
    }


def _of_job(database: Database, principal: Principal, job: Job, storage: Storage) -> Iterator[str]:
    if job.state is not JobState.COMPLETED:
        yield f"it is {job.state} ({job.problem})"
    rows = list(trials.iter_trials(database, job.id, principal))
    searched = [row for row in rows if row.stage is Stage.SEARCH]
    if len(searched) != job.spec["budget"]["trials"]:
        yield f"{len(searched)} search trials instead of {job.spec['budget']['trials']}"
    if [row.number for row in rows] != list(range(len(rows))):
        yield "the trials' numbers have gaps"
    states = Counter(row.state for row in rows)
    if not set(states) <= TERMINAL_TRIALS - {TrialState.CANCELLED}:
        yield f"trials have not ended, or nobody cancelled them: {dict(states)}"
    yield from _events(database, principal, job, rows)
    for row in rows:
        if row.state is TrialState.COMPLETED:
            reports = trials.get_trial(database, job.id, row.number, principal)[1]
            if [report.epoch for report in reports] != list(range(1, job.spec["training"]["epochs"] + 1)):
                yield f"trial {row.number} has reports of epochs {[report.epoch for report in reports]}"
    for arm in Arm:
        yield from _mirror(job, arm, [row for row in rows if row.arm is arm], storage)
    try:
        results.get_result(database, job.id, principal)
    except NotReady as error:
        yield f"no result: {error}"


def _events(database: Database, principal: Principal, job: Job, rows: Sequence[Trial]) -> Iterator[str]:
    happened = read_events(database, job.id, principal, 0, 1_000_000)
    if [event.number for event in happened] != list(range(1, len(happened) + 1)):
        yield "the events' numbers have gaps"
    times = [event.at for event in happened]
    if times != sorted(times):
        yield "the events are not in the order of their times"
    ends = Counter(event.payload["trial"] for event in happened if event.kind in ENDS)
    if ends != Counter(row.number for row in rows):
        wrong = {number: ends[number] for number in {row.number for row in rows} | set(ends) if ends[number] != 1}
        yield f"trials did not end exactly once: {wrong}"


def _mirror(job: Job, arm: Arm, rows: Sequence[Trial], storage: Storage) -> Iterator[str]:
    """Optuna's study of one arm against our rows: same states and values, nothing running, nothing twice."""
    ours = {row.optuna_number: row for row in rows if row.optuna_number is not None}
    if len(ours) != sum(row.optuna_number is not None for row in rows):
        yield f"{arm}: two trials carry the same number of Optuna's"
    try:
        study = optuna.load_study(study_name=optuna_study_name(job.id, arm), storage=storage)
    except KeyError:
        if ours:
            yield f"{arm}: the study is missing"
        return
    for told in study.get_trials(deepcopy=False):
        row = ours.pop(told.number, None)
        if row is None:
            if told.state is not optuna.trial.TrialState.FAIL:
                yield f"{arm}: Optuna's trial {told.number} is {told.state.name} and nobody's"
            continue
        diverged = row.reason is not None and row.reason.type == "diverged"  # told as pruned, with the worst value
        expected = optuna.trial.TrialState.PRUNED if diverged else _TOLD.get(row.state)
        if told.state is not expected:
            yield f"{arm}: trial {row.number} is {row.state} here and {told.state.name} there"
        elif row.state is TrialState.COMPLETED and told.value != row.value:
            yield f"{arm}: trial {row.number} has {row.value} here and {told.value} there"
    if ours:
        yield f"{arm}: Optuna lacks the trials {sorted(row.number for row in ours.values())}"
