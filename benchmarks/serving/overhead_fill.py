"""A database with a study of so many finished trials: this service's, whose tables and Optuna's agree, or plain
Optuna's. Both hold the same trials.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np
import optuna
from sqlalchemy import Connection, Table, insert, select, update

from search import configurations
from search.optuna_bridge import mirror, study
from search.records import SCOPES, Principal
from search.requests import jobs
from search.schema import migrate
from search.spec.job import JobSpec
from search.states import Arm, JobState, Stage, TrialState
from search.storage import tables
from search.storage.db import Database
from search.storage.rows import optuna_study_name
from trainers.spec import Configuration, Optimizer

REPORTS = 10
NAME = "plain"
ME = Principal("overhead", "overhead", frozenset(SCOPES))
_PORTION = 5000
RANGES: dict[str, optuna.distributions.FloatDistribution] = {
    "temperature": optuna.distributions.FloatDistribution(1, 40, log=True),
    "kd_weight": optuna.distributions.FloatDistribution(0, 1),
    "sgd.learning_rate": optuna.distributions.FloatDistribution(0.01, 1, log=True),
    "sgd.weight_decay": optuna.distributions.FloatDistribution(1e-6, 1e-2, log=True),
    "sgd.momentum": optuna.distributions.FloatDistribution(0.5, 0.99),
}


def value(params: Mapping[str, float]) -> float:
    """What a trial comes to: smooth, with its best somewhere inside, so that a sampler has something to learn."""
    places = (_place(name, params[name]) for name in RANGES)
    return 0.95 - 0.1 * sum((place - 0.6) ** 2 for place in places)


def spec(sampler: str = "tpe") -> JobSpec:
    """Five parameters, ten epochs, and a budget that no run comes to the end of. The sampler is named, so that like is
    compared with like whatever this service's default is.
    """
    settings = {
        name.removeprefix("sgd."): {"low": one.low, "high": one.high, "log": one.log} for name, one in RANGES.items()
    }
    optimizer = {name: settings.pop(name) for name in ("learning_rate", "weight_decay", "momentum")}
    return JobSpec.model_validate(
        {
            "name": "overhead",
            "dataset": {"name": "digits"},
            "teacher": {"model": {"name": "mlp"}, "training": {"epochs": 2}, "optimizer": {}},
            "student": {"name": "mlp"},
            "space": settings | {"optimizer": {"sgd": optimizer}},
            "sampler": {"name": sampler},
            "training": {"epochs": REPORTS},
            "budget": {"trials": 100_000},
            "baselines": {"share": 0.0},
        }
    )


def trials(count: int) -> list[optuna.trial.FrozenTrial]:
    """So many finished trials, drawn at random from the space; always the same ones."""
    draw = np.random.default_rng(0)
    return [_finished({name: _at(one, draw.uniform()) for name, one in RANGES.items()}) for _ in range(count)]


def plain(url: str, count: int) -> None:
    """Optuna's own tables, with every report of every trial, as its users have them."""
    storage = optuna.storages.RDBStorage(url)
    try:
        made = optuna.create_study(study_name=NAME, storage=storage, direction="maximize")
        with storage.engine.begin() as connection:
            _insert_optuna(connection, made._study_id, trials(count), reports=True)
    finally:
        storage.remove_session()
        storage.engine.dispose()


def ours(database: Database, count: int, sampler: str = "tpe") -> str:
    """The id of a job whose search has come so far, in our tables and in Optuna's."""
    migrate(database)
    job = jobs.submit(database, spec(sampler), ME)[0]
    name, found = optuna_study_name(job.id), trials(count)
    storage = study.optuna_storage(database)
    try:
        made = optuna.create_study(study_name=name, storage=storage, direction="maximize")
        with database.write() as connection:
            _insert_optuna(connection, made._study_id, found, reports=False)
            _insert_ours(connection, job.id, found)
    finally:
        study.close_storage(storage)
    return job.id


def _insert_ours(connection: Connection, job_id: str, found: list[optuna.trial.FrozenTrial]) -> None:
    rows = [_row(job_id, number, trial) for number, trial in enumerate(found)]
    _many(connection, tables.trials, rows)
    known = select(tables.trials.c.id, tables.trials.c.number).where(tables.trials.c.job_id == job_id)
    said = [
        {
            "trial_id": trial_id, "epoch": epoch, "attempt": 1, "train_loss": 1.0, "learning_rate": 0.1,
            "accuracy": found[number].value, "nll": 1.0, "ece": 0.1, "teacher_agreement": 0.9, "teacher_entropy": 1.0,
            "seconds": 0.1, "reported_at": 1e9,
        }
        for trial_id, number in connection.execute(known).all()
        for epoch in range(1, REPORTS + 1)
    ]  # fmt: skip
    _many(connection, tables.reports, said)
    claimed = {"search_trials": len(found), "search_epochs": REPORTS * len(found), "next_trial": len(found)}
    fixed = {"views": 4, "precision": "fp32", "device": "cpu", "torch": "none", "threads": 1}
    begun = {"state": JobState.RUNNING, "started_at": 1e9, "fixed": fixed}
    connection.execute(update(tables.jobs).where(tables.jobs.c.id == job_id).values(**claimed, **begun))


def _row(job_id: str, number: int, trial: optuna.trial.FrozenTrial) -> dict[str, Any]:
    params = trial.params
    sgd = Optimizer("sgd", params["sgd.learning_rate"], params["sgd.weight_decay"], params["sgd.momentum"], False)
    weight = params["kd_weight"]
    trained = Configuration(temperature=params["temperature"], kd_weight=weight, label_weight=1 - weight, optimizer=sgd)
    return {
        "job_id": job_id, "number": number, "stage": Stage.SEARCH, "arm": Arm.JOINT, "round": 0,
        "configuration": configurations.to_json(trained), "seed": number, "state": TrialState.COMPLETED, "attempt": 1,
        "worker_id": "before", "optuna_number": number, "mirrored": True, "value": trial.value, "epoch": REPORTS,
        "metrics": {"accuracy": trial.value, "nll": 1.0, "ece": 0.1, "teacher_agreement": 0.9, "teacher_entropy": 1.0},
        "created_at": 1e9, "started_at": 1e9, "ended_at": 1e9, "train_seconds": 1.0,
    }  # fmt: skip


def _insert_optuna(
    connection: Connection, study_id: int, found: list[optuna.trial.FrozenTrial], *, reports: bool
) -> None:
    now = datetime.now()
    rows = [
        {"number": number, "study_id": study_id, "state": optuna.trial.TrialState.COMPLETE,
         "datetime_start": now, "datetime_complete": now}
        for number in range(len(found))
    ]  # fmt: skip
    _many(connection, mirror.TRIALS, rows)
    query = select(mirror.TRIALS.c.trial_id).where(mirror.TRIALS.c.study_id == study_id)
    ids = list(connection.scalars(query.order_by(mirror.TRIALS.c.trial_id)))
    parts: list[tuple[Table, Any]] = [
        (mirror.PARAMS, mirror.parameter_rows),
        (mirror.VALUES, lambda trial: mirror.value_rows(trial.values)),
        (
            mirror.USER,
            lambda trial: mirror.attribute_rows({} if reports else {"trial": trial.number, "epochs": REPORTS}),
        ),
    ]
    if reports:
        parts.append((mirror.STEPS, lambda trial: mirror.step_rows(dict.fromkeys(range(1, REPORTS + 1), trial.value))))
    for table, details in parts:
        of = zip(ids, found, strict=True)
        _many(connection, table, [{"trial_id": trial_id, **row} for trial_id, trial in of for row in details(trial)])


def _many(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    for start in range(0, len(rows), _PORTION):
        connection.execute(insert(table), rows[start : start + _PORTION])


def _finished(params: dict[str, float]) -> optuna.trial.FrozenTrial:
    distributions: dict[str, Any] = dict(RANGES)
    return optuna.trial.create_trial(params=params, distributions=distributions, value=value(params))


def _at(one: optuna.distributions.FloatDistribution, place: float) -> float:
    return one.low * (one.high / one.low) ** place if one.log else one.low + place * (one.high - one.low)


def _place(name: str, at: float) -> float:
    one = RANGES[name]
    if one.log:
        return math.log(at / one.low) / math.log(one.high / one.low)
    return (at - one.low) / (one.high - one.low)
