"""What nobody could read is not stored, and a job that cannot be read keeps no other from being trained or closed."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select, update

from search.analysis.job.finalists import by_value
from search.claims import finalist_choice, finalization, reporting, workers
from search.errors import NotStorable, Unreadable
from search.records import Reason
from search.requests import jobs, keys, plot_queue, studies
from search.requests.advice import get_advice
from search.requests.trials import list_trials
from search.states import JobState, TrialState
from search.storage import tables
from search.storage.db import Database
from search.storage.stored import as_stored
from tests.contracts.test_storage_advice import KNOWN, WINNER, finished, result
from tests.contracts.test_storage_studies import submitted as study_of
from tests.search import factories
from tests.search.factories import ADMIN, ME, OTHER
from thermowell.api.answers import Interim, Result
from trainers.spec import Metrics, TeacherFacts

SPEC = {"name": "from another world"}
BAD = pytest.mark.parametrize("bad", [math.inf, -math.inf, math.nan])


def broken(db: Database, job_id: str, **values: Any) -> None:
    with db.write() as connection:
        connection.execute(update(tables.jobs).where(tables.jobs.c.id == job_id).values(**values))


def endless(job_id: str, bad: float) -> Result:
    """An answer with a number that JSON has no word for."""
    whole = result(job_id, WINNER)
    estimate = whole.winner.validation.model_copy(update={"mean": bad})
    return whole.model_copy(update={"winner": whole.winner.model_copy(update={"validation": estimate})})


@BAD
def test_no_document_is_stored_that_could_not_be_read(db: Database, bad: float) -> None:
    job = factories.submitted(db)
    said = r"Result\.winner\.validation\.mean is (-?inf|nan)"
    with pytest.raises(NotStorable, match=said):
        as_stored(endless(job.id, bad))
    with pytest.raises(NotStorable, match=said):
        finalization.complete(db, "no token", job.id, {"result": endless(job.id, bad)})
    finalists = by_value(job.id, factories.spec(), [], 0, datetime.now(UTC)).model_copy(update={"round": bad})
    with pytest.raises(NotStorable, match=r"Finalists\.round"):
        finalist_choice.store_finalists(db, "no token", finalists)
    interim = Interim.model_construct(event=1, result=endless(job.id, bad), response=answer_of(db), importances=None)
    with pytest.raises(NotStorable):
        plot_queue.keep_interim(db, interim)
    with db.read() as connection:
        kept = connection.execute(select(tables.analyses.c.kind).where(tables.analyses.c.job_id == job.id)).all()
    assert kept == []


def answer_of(db: Database) -> Any:
    from search.requests.results import get_response

    return get_response(db, finished(db, ME).id, ME)


@BAD
def test_no_column_of_json_takes_a_number_without_end(db: Database, bad: float) -> None:
    job = factories.submitted(db)
    claim = factories.taken(db)
    facts = TeacherFacts("f", 10, 10, 10, Metrics(bad, 1.0, 0.1, 0.1, 0.1))
    with pytest.raises(NotStorable, match=r"validation\.accuracy cannot be stored"):
        reporting.set_teacher(db, claim.token, facts)
    assert jobs.get_job(db, job.id, ME).teacher is None
    seen = {"capabilities": {"memory_gb": bad}, "engines": [{"seconds": bad, "lanes": 2}]}
    workers.worker_seen(db, "w", host="h", pid=1, lanes=1, **seen)  # no heartbeat fails for a figure
    [worker] = workers.list_workers(db)
    assert (worker.capabilities, worker.engines) == ({"memory_gb": None}, [{"seconds": None, "lanes": 2}])


def test_a_reason_of_any_text_is_kept(db: Database) -> None:
    claim = factories.taken(db) if factories.submitted(db) else None
    assert claim is not None
    said = "broken \0 \ud800 " + "x" * 100_000
    reporting.finish(
        db, claim.token, claim.trial_id, TrialState.FAILED, reason=Reason("crashed", said), train_seconds=0.1
    )
    [trial] = list_trials(db, claim.job_id, ME).items
    assert trial.reason is not None
    assert trial.reason.detail.startswith("broken")
    assert 9_000 < len(trial.reason.detail) < 11_000


@pytest.mark.parametrize("spec", [SPEC, [], "x", 7], ids=str)
def test_a_job_that_cannot_be_read_keeps_no_other_from_being_trained(db: Database, spec: Any) -> None:
    lost = [factories.submitted(db, ME), factories.submitted(db, ME)]
    broken(db, lost[0].id, spec=spec)
    broken(db, lost[1].id, spec=spec, fixed=factories.FIXED, state=JobState.RUNNING)
    good = factories.submitted(db, OTHER)
    assert {factories.taken(db).job_id for _ in range(3)} == {good.id}
    for state in (JobState.CONFIRMING, JobState.ANALYSING):
        for job in lost:
            broken(db, job.id, state=state, started_at=0.0)
        assert finalist_choice.claim_choosing(db, "w", 60.0) is None
        assert finalization.claim_closing(db, "w", 60.0) is None
    listed = {job.id: job for job in jobs.list_jobs(db, ADMIN).items}
    assert listed[good.id].unreadable is None
    for job in lost:
        assert f"the spec of job {job.id}" in str(listed[job.id].unreadable)
        assert jobs.cancel_job(db, job.id, ME).state is JobState.CANCELLED


def test_an_answer_that_cannot_be_read_advises_nobody_and_hides_no_other(db: Database) -> None:
    from search.analysis.priors.context import of_spec
    from search.requests.results import get_result

    good, lost, worse = (finished(db, ME) for _ in range(3))
    of_lost = tables.analyses.c.job_id == lost.id
    with db.write() as connection:
        connection.execute(update(tables.analyses).where(of_lost).values(document='{"winner": null}'))
    broken(db, worse.id, spec=SPEC)
    advice = get_advice(db, of_spec(factories.spec()), ME, KNOWN)
    assert {source.job_id for source in advice.sources} == {None, good.id}
    with pytest.raises(Unreadable, match=f"the result of job {lost.id} is stored, and cannot be read"):
        get_result(db, lost.id, ME)


def test_a_study_that_cannot_be_read_is_listed_as_such(db: Database) -> None:
    good, lost = study_of(db), study_of(db)
    with db.write() as connection:
        connection.execute(update(tables.studies).where(tables.studies.c.id == lost.id).values(spec=SPEC))
    listed = {study.id: study for study in studies.list_studies(db, ME).items}
    assert listed[good.id].unreadable is None
    assert f"the spec of study {lost.id}" in str(listed[lost.id].unreadable)
    assert studies.get_study(db, lost.id, ME).cells, "its jobs are there"


def test_a_key_whose_scopes_cannot_be_read_may_do_nothing_and_hides_no_other(db: Database) -> None:
    good, _ = keys.create_key(db, "good", ["read"])
    lost, secret = keys.create_key(db, "lost", ["admin"])
    for junk in (7, "admin", {"admin": 1}, [["admin"], None], None):
        with db.write() as connection:
            of_key = tables.keys.c.id == lost.id
            connection.execute(update(tables.keys).where(of_key).values(scopes=[] if junk is None else junk))
        listed = {key.id: key.scopes for key in keys.list_keys(db)}
        assert listed[good.id] == {"read"}
        principal = keys.verify_key(db, secret)
        assert principal is not None
        assert principal.scopes <= {"admin"}
        assert junk not in (7, "admin", None) or not principal.scopes
