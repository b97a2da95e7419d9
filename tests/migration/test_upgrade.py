"""A database of the first released schema comes forward, and the job that was half done in it then finishes.

`first/` holds such databases as SQL, made by the code of that time: a job that was answered, one whose only worker was
killed in the middle of its search (`kill -9`, its lease never given back), and one that nobody has touched.
"""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path

import psycopg
import pytest
from alembic import command
from sqlalchemy import select, update
from sqlalchemy.engine import make_url

from benchmarks.serving import chaos_checks
from search.claims import finalization, leases
from search.errors import SchemaMissing
from search.records import Job, Principal, Trial
from search.requests import jobs, keys, results, studies
from search.requests.trials import iter_trials
from search.schema import alembic_config, check_schema, migrate
from search.spec.job import SamplerSpec
from search.states import JobState, Stage, TrialState
from search.storage import tables
from search.storage.db import Database, open_database
from search.studies.spec import StudyExtension, StudySpec
from tests.processes import Processes
from tests.search import factories

FIRST = Path(__file__).parent / "first"
ADMIN = Principal("admin", "admin", frozenset({"admin"}))


def restore(url: str) -> None:
    """The database as its first users had it."""
    if url.startswith("sqlite"):
        connection = sqlite3.connect(str(make_url(url).database))
        connection.executescript((FIRST / "sqlite.sql").read_text())
        connection.close()
    else:
        address = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(address) as server:
            server.execute((FIRST / "postgresql.sql").read_bytes())


def by_name(db: Database) -> dict[str, Job]:
    return {job.name: job for job in jobs.list_jobs(db, ADMIN).items}


def trials_of(db: Database, job: Job) -> list[Trial]:
    return list(iter_trials(db, job.id, ADMIN))


def finish(database_url: str, processes: Processes, tmp_path: Path) -> None:
    """A worker of today does whatever is left to do."""
    worker = processes.start(
        sys.executable, "-m", "search.worker", "--exit-when-idle",
        env={
            "THERMOWELL_DATABASE_URL": database_url, "THERMOWELL_VAR": str(tmp_path / "var"),
            "THERMOWELL_ENGINE": "loop", "THERMOWELL_THREADS": "1", "THERMOWELL_POLL_SECONDS": "0.1",
        },
    )  # fmt: skip
    assert worker.wait(200.0) == 0, worker.output()[-3000:]


@pytest.mark.slow
def test_a_job_half_done_in_the_first_schema_finishes_in_this_one(
    database_url: str, processes: Processes, tmp_path: Path
) -> None:
    restore(database_url)
    db = open_database(database_url)
    with pytest.raises(SchemaMissing, match=r"version 0001.*thermowell migrate"):
        check_schema(db)
    migrate(db)
    check_schema(db)

    there = by_name(db)
    assert {name: job.state for name, job in there.items()} == {
        "answered": JobState.COMPLETED, "half-done": JobState.RUNNING, "untouched": JobState.QUEUED,
    }  # fmt: skip
    [key] = keys.list_keys(db)
    assert {job.owner for job in there.values()} == {key.id}
    assert results.get_result(db, there["answered"].id, ADMIN).winner.validation.mean is not None
    before = trials_of(db, there["half-done"])
    done = [trial for trial in before if trial.state is TrialState.COMPLETED]
    assert [trial.state for trial in before if trial not in done] == [TrialState.RUNNING]
    assert len(done) == 5

    leases.reap(db)  # its worker is long gone: a fleet does this once a lease period has passed after its start
    finish(database_url, processes, tmp_path)

    ended = by_name(db)
    assert {job.state for job in ended.values()} == {JobState.COMPLETED}
    assert chaos_checks.violations(db, ADMIN, list(ended.values())) == []
    after = trials_of(db, ended["half-done"])
    kept = {trial.number: (trial.value, trial.seed, trial.attempt, trial.optuna_number) for trial in after}
    for trial in done:  # what was trained before is what it was
        assert kept[trial.number] == (trial.value, trial.seed, trial.attempt, trial.optuna_number)
    assert len([trial for trial in after if trial.stage is Stage.SEARCH]) == ended["half-done"].budget_trials == 10
    [lost] = [trial for trial in before if trial.state is TrialState.RUNNING]
    assert kept[lost.number][1:3] == (lost.seed, lost.attempt + 1)
    assert results.get_result(db, ended["half-done"].id, ADMIN).winner.validation.mean is not None
    db.close()


def lost_while_it_was_closed(database_url: str) -> tuple[Database, Job]:
    """A job as it failed before such jobs were paused: it has no answer, and what its workers kept was swept."""
    restore(database_url)
    db = open_database(database_url)
    migrate(db)
    job = by_name(db)["answered"]
    with db.write() as connection:
        of_job = tables.jobs.c.id == job.id
        failed = {"state": "failed", "problem": {"type": "closing-lost", "detail": "5 workers were lost"}}
        connection.execute(update(tables.jobs).where(of_job).values(**failed))
        connection.execute(update(tables.jobs).where(~of_job).values(state="cancelled"))
        connection.execute(tables.analyses.delete())
    return db, jobs.get_job(db, job.id, ADMIN)


def test_a_job_that_failed_while_it_was_closed_goes_on(database_url: str) -> None:
    db, job = lost_while_it_was_closed(database_url)
    assert (job.state, job.resumable) == (JobState.FAILED, True)
    assert jobs.resume_job(db, job.id, ADMIN).state is JobState.ANALYSING
    claim = finalization.claim_closing(db, "w", 60.0)
    assert claim is not None
    assert claim.job_id == job.id
    finalization.complete(db, claim.token, job.id, {})
    assert jobs.get_job(db, job.id, ADMIN).state is JobState.COMPLETED
    db.close()


@pytest.mark.slow
def test_a_job_that_failed_while_it_was_closed_is_answered(
    database_url: str, processes: Processes, tmp_path: Path
) -> None:
    db, job = lost_while_it_was_closed(database_url)
    jobs.resume_job(db, job.id, ADMIN)
    finish(database_url, processes, tmp_path)
    assert jobs.get_job(db, job.id, ADMIN).state is JobState.COMPLETED
    assert jobs.get_job(db, job.id, ADMIN).test_opened_at is not None
    assert results.get_result(db, job.id, ADMIN).winner.test is not None
    db.close()


def test_a_job_begun_before_its_baselines_were_slices_of_one_surface_goes_on_as_it_began(database_url: str) -> None:
    restore(database_url)
    db = open_database(database_url)
    migrate(db)
    found = {job.name: job.spec["baselines"] for job in by_name(db).values()}
    assert {baselines["by"] for baselines in found.values()} == {"arm"}
    new, _ = jobs.submit(db, factories.spec(baselines={}), ADMIN)
    assert new.spec["baselines"]["by"] == "surface"
    with db.write() as connection:
        command.downgrade(alembic_config(connection), "0009")
        stored = connection.execute(select(tables.jobs.c.spec)).scalars().all()
    assert all("by" not in spec["baselines"] for spec in stored)
    migrate(db)
    assert jobs.get_job(db, new.id, ADMIN).spec["baselines"]["by"] == "arm"  # as that version would have trained it
    db.close()


def test_a_job_begun_with_an_earlier_default_sampler_keeps_it(database_url: str) -> None:
    restore(database_url)
    db = open_database(database_url)
    migrate(db)
    leases.reap(db)
    jobs_left = {job.id for job in by_name(db).values() if job.state is not JobState.COMPLETED}
    claims = [factories.taken(db), factories.taken(db)]
    assert {claim.job_id for claim in claims} == jobs_left
    assert [claim.spec.sampler for claim in claims] == [SamplerSpec(name="tpe", startup_trials=10)] * 2
    db.close()


@pytest.mark.parametrize("said", [None, {"startup_trials": 3}], ids=["nothing", "a part"])
def test_a_study_begun_with_an_earlier_default_sampler_keeps_it_and_its_cells(
    database_url: str, said: dict[str, int] | None
) -> None:
    """What is there is not queued again when it is extended, and what is new is searched in the same way."""
    db = open_database(database_url)
    migrate(db)
    base = factories.spec(sampler={"name": "tpe"} | (said or {})).model_dump(mode="json", exclude_none=True)
    asked = StudySpec(name="old", base=base, factors={"training.epochs": [1, 2]})
    begun, _ = studies.submit_study(db, asked, ADMIN)
    base = {name: part for name, part in base.items() if name not in ("sampler", "baselines")}
    base |= {"sampler": said} if said else {}
    with db.write() as connection:  # as a version stored it whose default was tpe
        command.downgrade(alembic_config(connection), "0008")
        connection.execute(update(tables.studies).values(spec=asked.model_dump(mode="json") | {"base": base}))
    migrate(db)
    extended = studies.extend_study(db, begun.id, ADMIN, StudyExtension(factors={"training.epochs": [4]}))
    assert [cell.job_id for cell in extended.cells[:2]] == [cell.job_id for cell in begun.cells]
    assert [cell.levels["training.epochs"] for cell in extended.cells] == ["1", "2", "4"]
    samplers = [jobs.get_job(db, cell.job_id, ADMIN).spec["sampler"] for cell in extended.cells]
    assert samplers == [SamplerSpec(name="tpe", **(said or {})).model_dump()] * 3
    db.close()
