"""A page of jobs hears of whatever happens, and of nothing that is not for it."""

from __future__ import annotations

import pytest

from search.claims import reporting
from search.errors import NotFound
from search.optuna_bridge import proposals, study
from search.requests import dashboard_queries, jobs
from search.storage.db import Database
from tests.search import factories
from tests.search.factories import ADMIN, ME, OTHER


def test_the_pulse_of_all_jobs_moves_with_each_of_them(db: Database) -> None:
    words = [dashboard_queries.pulse(db, ME)]
    job = factories.submitted(db)
    words.append(dashboard_queries.pulse(db, ME))
    claim = factories.taken(db)
    words.append(dashboard_queries.pulse(db, ME))
    factories.train(db, claim)
    words.append(dashboard_queries.pulse(db, ME))
    jobs.cancel_job(db, job.id, ME)
    words.append(dashboard_queries.pulse(db, ME))
    assert len(set(words)) == len(words)
    assert dashboard_queries.pulse(db, ME) == words[-1]
    assert dashboard_queries.pulse(db, ADMIN) == words[-1]


def test_others_jobs_move_nothing(db: Database) -> None:
    before = dashboard_queries.pulse(db, OTHER)
    job = factories.submitted(db)
    assert dashboard_queries.pulse(db, OTHER) == before
    with pytest.raises(NotFound):
        dashboard_queries.pulse(db, OTHER, job.id)
    with pytest.raises(NotFound):
        dashboard_queries.recent_events(db, job.id, OTHER, 5)


def test_a_jobs_own_pulse_follows_its_epochs(db: Database) -> None:
    job = factories.submitted(db)
    claim = factories.taken(db)
    factories.attach(db, claim)
    words = [dashboard_queries.pulse(db, ME, job.id)]
    for number in (1, 2):
        reporting.report_all(db, [(claim.token, claim.trial_id, factories.epoch(number))])
        words.append(dashboard_queries.pulse(db, ME, job.id))
    assert len(set(words)) == 3


def test_temperatures_of_the_best(db: Database) -> None:
    first, second = factories.submitted(db), factories.submitted(db, name="other")
    claims = [factories.taken(db), factories.taken(db)]
    for claim in claims:
        factories.attach(db, claim)
    assert {claim.job_id for claim in claims} <= {first.id, second.id}
    best = {claim.job_id: claim.number for claim in claims}
    wanted = {claim.job_id: factories.configuration(claim).temperature for claim in claims}
    assert dashboard_queries.best_temperatures(db, best) == wanted
    assert dashboard_queries.best_temperatures(db, {}) == {}
    assert dashboard_queries.best_temperatures(db, {first.id: 99}) == {}


def test_the_last_events_come_first(db: Database) -> None:
    job = factories.submitted(db)
    factories.train(db, factories.taken(db))
    told = dashboard_queries.recent_events(db, job.id, ME, 3)
    assert len(told) == 3
    assert [event.number for event in told] == sorted((event.number for event in told), reverse=True)
    assert dashboard_queries.recent_events(db, job.id, ME, 100)[-1].kind == "submitted"
    kinds = {event.kind for event in dashboard_queries.recent_events(db, job.id, ME, 100)}
    left = {event.kind for event in dashboard_queries.recent_events(db, job.id, ME, 100, excluded=["trial_started"])}
    assert kinds - left == {"trial_started"}


def test_a_job_has_a_study_once_its_first_trial_was_asked_for(db: Database) -> None:
    job = factories.submitted(db)
    claim = factories.taken(db)
    assert dashboard_queries.study_number(db, job.id, ME) is None
    storage = study.optuna_storage(db)
    proposals.ask(storage, claim)
    assert dashboard_queries.study_number(db, job.id, ME) == storage.get_study_id_from_name(job.study_name)
    study.close_storage(storage)
    with pytest.raises(NotFound):
        dashboard_queries.study_number(db, job.id, OTHER)
