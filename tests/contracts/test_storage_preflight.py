"""What a spec would lack on the workers that are alive, and how long it would take, as each database says it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import update

from search.claims.workers import worker_seen
from search.records import Principal
from search.requests import jobs, preflight, speeds
from search.storage import tables
from search.storage.db import Database
from tests.search import factories
from tests.search.factories import ME

HERE: dict[str, Any] = {"device": "cpu", "memory_gb": 8.0, "extras": ["timm"]}
DATA: dict[str, Any] = {"sets": ["CIFAR10", "digits"], "paths": ["own.npz", "photos"], "complete": True}
TIMM = {"student": {"name": "timm:resnet18"}}
ORIGIN = {
    "teacher": {
        "model": {"name": "mlp"},
        "training": {"epochs": 2},
        "optimizer": {},
        "origin": {"pretrained_on": {"dataset": {"name": "CIFAR100"}}},
    }
}


def alive(db: Database, name: str = "w", labels: tuple[str, ...] = ("cpu",), **changes: Any) -> None:
    capabilities = HERE | {"data": DATA} | changes
    worker_seen(db, name, host=f"host-{name}", pid=1, lanes=1, capabilities=capabilities, labels=labels)


def found(db: Database, **changes: Any) -> list[tuple[str, str]]:
    return [(one.type, one.path) for one in preflight.check(db, factories.spec(**changes), ME).warnings]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"dataset": {"name": "CIFAR100"}}, [("data-missing", "dataset")]),
        ({"dataset": {"name": "npz", "path": "own.npz"}}, []),
        ({"dataset": {"name": "npz", "path": "other.npz"}}, [("data-missing", "dataset")]),
        ({"dataset": {"name": "image_folder", "path": "photos/cats/large"}}, [("data-missing", "dataset")]),
        (ORIGIN, [("data-missing", "teacher.origin.pretrained_on.dataset")]),
        (TIMM, []),
        ({"training": {"epochs": 3, "batch_size": 4096}}, [("batch-too-large", "training.batch_size")]),
        ({"fleet": {"labels": ["gpu"]}}, [("no-worker", "fleet")]),
        ({"fleet": {"memory_gb": 40}}, [("no-worker", "fleet")]),
    ],
)
def test_what_a_spec_lacks_is_named(db: Database, changes: Any, expected: list[tuple[str, str]]) -> None:
    alive(db)
    assert found(db, **changes) == expected


def test_without_a_worker_the_job_waits_and_the_next_command_is_named(db: Database) -> None:
    (warning,) = preflight.check(db, factories.spec(), ME).warnings
    assert warning.type == "no-worker"
    assert "`thermowell worker`" in warning.detail


def test_a_worker_that_says_nothing_of_its_data_is_believed(db: Database) -> None:
    alive(db, data=None, extras=None)
    assert found(db, dataset={"name": "CIFAR100"}, **TIMM) == []
    alive(db, data=DATA | {"complete": False})
    assert found(db, dataset={"name": "npz", "path": "other.npz"}) == []


def test_the_package_that_some_workers_lack_is_named_with_their_machines(db: Database) -> None:
    alive(db)
    alive(db, "bare", extras=[])
    (warning,) = preflight.check(db, factories.spec(**TIMM), ME).warnings
    assert (warning.type, warning.path) == ("package-missing", "student.name")
    assert "1 of 2 workers (host-bare)" in warning.detail


def trained(db: Database, seconds: float) -> None:
    """A job of the same kind, whose trials one worker trained within so many seconds."""
    job = factories.submitted(db)
    claims = factories.train_all(db)
    with db.write() as connection:
        values = {"started_at": 1000.0, "ended_at": 1000.0 + seconds}
        connection.execute(update(tables.trials).where(tables.trials.c.job_id == job.id).values(**values))
        connection.execute(update(tables.jobs).values(fixed={"device": "cpu", "views": 1, "precision": "fp32"}))
    assert claims


def test_how_long_it_takes_is_known_from_recorded_trainings_alone(db: Database) -> None:
    alive(db)
    assert "not known yet" in preflight.check(db, factories.spec(), ME).expected
    trained(db, 600.0)
    one = preflight.check(db, factories.spec(), ME)
    assert one.seconds is not None
    assert "minutes on the worker that is alive" in one.expected
    alive(db, "second")
    two = preflight.check(db, factories.spec(), ME)
    assert two.seconds == pytest.approx(one.seconds / 2)
    stranger = Principal("ffff", "stranger", frozenset({"submit"}))
    assert preflight.check(db, factories.spec(), stranger).seconds is None
    assert preflight.check(db, factories.spec(student={"name": "cnn"}), ME).seconds is None


def test_a_budget_of_time_that_ends_the_search_early_is_said(db: Database) -> None:
    alive(db)
    trained(db, 600.0)
    budget = {"trials": 100, "seconds": 60.0}
    assert found(db, budget=budget) == [("time-short", "budget.seconds")]
    assert found(db, budget=budget | {"seconds": 1e8}) == []


def test_a_submitted_job_carries_its_preflight_until_it_has_begun(db: Database) -> None:
    job = factories.submitted(db, fleet={"labels": ["gpu"]})
    assert job.preflight is not None
    assert [one.type for one in job.preflight.warnings] == ["no-worker"]
    assert jobs.get_job(db, job.id, ME).preflight == job.preflight
    factories.taken(db)
    assert jobs.get_job(db, job.id, ME).preflight is None


def test_nothing_is_known_of_the_workers_of_a_training_of_ones_own(db: Database) -> None:
    own = {"trainer": {"external": {"queue": "q"}}, "dataset": None, "teacher": None, "student": None}
    answer = preflight.check(db, factories.spec(**own), ME)
    assert answer.warnings == []
    assert "your own program" in answer.expected


def test_a_job_that_waits_reads_earlier_jobs_once_in_a_while(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    alive(db)
    job, asked, clock = factories.submitted(db), list[str](), [1000.0]

    def speed(*_arguments: object) -> float:
        asked.append("speed")
        return 2.0

    monkeypatch.setattr(speeds, "epochs_per_second", speed)
    monkeypatch.setattr(speeds, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    for _ in range(3):
        read = jobs.get_job(db, job.id, ME)
        assert read.preflight is not None
        assert read.preflight.seconds is not None
    assert len(asked) == 1
    clock[0] += speeds.REMEMBERED_SECONDS
    jobs.get_job(db, job.id, ME)
    assert len(asked) == 2
