"""Jobs whose spec was taken once and would be refused today: they are listed, answered, reported and extended."""

from __future__ import annotations

import copy
import json
import math
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select, update

from search.analysis.job.build import CLAMPED, build_documents
from search.errors import SpecInvalid
from search.requests import job_view, jobs, results
from search.requests.trials import iter_trials
from search.schema import migrate
from search.spec.job import JobSpec
from search.spec.parsing import parse_spec
from search.states import JobState
from search.storage import tables
from search.storage.db import Database, open_database
from search.storage.stored import as_stored
from service.pages import report
from tests.migration.test_upgrade import ADMIN, by_name, restore

NEXT_TO_4 = math.nextafter(4.0, 5.0)
REFUSED: dict[str, Any] = {
    "confirmation.confidence": 0.9999999999999999,
    "confirmation.delta": 5e-324,
    "space.temperature": {"low": 1e-310, "high": 40.0, "log": True},
    "space.temperature ": {"low": 4.0, "high": NEXT_TO_4, "log": True},
    "space.student_temperature": 1e-320,
    "space.kd_weight": {"low": 5e-324, "high": 1.0, "log": True},
    "space.label_weight": 1e-300,
    "space.optimizer.sgd.learning_rate": {"low": 1e-310, "high": 1.0, "log": True},
    "space.optimizer.sgd.weight_decay": {"low": 1e-310, "high": 0.1, "log": True},
    "space.optimizer.sgd.momentum": {"values": [1e-310, 0.9]},
    "teacher.label_smoothing": 0.9999999999,
    "teacher.optimizer.learning_rate": 1e-300,
    "teacher.optimizer": {"name": "sgd", "momentum": 0.99999999},
    "training.schedule": {"name": "step", "step_epochs": [10**12]},
    "training.schedule ": {"name": "step", "step_epochs": [2], "step_factor": 1e-300},
    "dataset.train_size": 10**15,
    "dataset.validation_fraction": 1e-300,
    "budget.seconds": 1e300,
    "pruner.min_epochs": 10**15,
    "pruner.chance": 5e-324,
}


def changed(document: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The document with this value there."""
    found = copy.deepcopy(document)
    *groups, last = path.strip().split(".")
    part = found
    for group in groups:
        part = part.setdefault(group, {})
    part[last] = value
    return found


@pytest.mark.slow
def test_stored_specs_that_are_refused_from_now_on_are_answered_and_extended(database_url: str) -> None:
    restore(database_url)
    db = open_database(database_url)
    migrate(db)
    of_job = tables.jobs.c.name == "answered"
    with db.read() as connection:
        row = connection.execute(select(tables.jobs).where(of_job)).one()
    for path, value in REFUSED.items():
        spec = changed(row.spec, path, value)
        with db.write() as connection:
            restored = {name: value for name, value in row._mapping.items() if name != "last_event"} | {"spec": spec}
            connection.execute(update(tables.jobs).where(of_job).values(restored))
        check(db, row.id, path.strip(), spec)
    db.close()


def check(db: Database, job_id: str, path: str, spec: dict[str, Any]) -> None:
    """Refused at the door, and read, answered, shown and extended where it is stored."""
    with pytest.raises(SpecInvalid) as refused:
        parse_spec(json.dumps(spec), "json")
    assert all(problem.path.startswith(path) for problem in refused.value.problems), refused.value
    [there] = [job for job in by_name(db).values() if job.id == job_id]
    assert (there.state, there.unreadable) == (JobState.COMPLETED, None)
    assert results.get_result(db, job_id, ADMIN).winner.validation.mean is not None
    assert "<svg" in report.render(job_view.get_job_view(db, job_id, ADMIN), picture_base=None)
    answered = build_documents(
        job_id=job_id, spec=JobSpec.model_validate(spec), trials=list(iter_trials(db, job_id, ADMIN)),
        softness=[(1.0, 0.2), (4.0, 1.0)], teacher=None, search_stopped=False, test_seen_before=False,
        wall_seconds=1.0, now=datetime.now(UTC),
    )  # fmt: skip
    for document in answered.values():
        as_stored(document)
    doubts = [doubt for doubt in answered["result"].cautions if CLAMPED in doubt]  # type: ignore[attr-defined]
    assert any(path in doubt for doubt in doubts), doubts
    extended = jobs.extend_job(db, job_id, ADMIN, trials=there.budget_trials + 2)
    assert (extended.state, extended.unreadable) == (JobState.RUNNING, None)
