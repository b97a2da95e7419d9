"""Does a page of jobs hear of whatever happens, and of nothing that is not for it?"""

from __future__ import annotations

import pytest

from search.errors import NotFound
from search.leasing import ledger
from search.requests import glance, jobs
from search.sampling import asking, study
from search.storage.db import Database
from tests.search import hands
from tests.search.hands import ADMIN, ME, OTHER


def test_the_pulse_of_all_jobs_moves_with_each_of_them(db: Database) -> None:
    words = [glance.pulse(db, ME)]
    job = hands.submitted(db)
    words.append(glance.pulse(db, ME))
    claim = hands.taken(db)
    words.append(glance.pulse(db, ME))
    hands.train(db, claim)
    words.append(glance.pulse(db, ME))
    jobs.cancel_job(db, job.id, ME)
    words.append(glance.pulse(db, ME))
    assert len(set(words)) == len(words)
    assert glance.pulse(db, ME) == words[-1]
    assert glance.pulse(db, ADMIN) == words[-1]


def test_others_jobs_move_nothing(db: Database) -> None:
    before = glance.pulse(db, OTHER)
    job = hands.submitted(db)
    assert glance.pulse(db, OTHER) == before
    with pytest.raises(NotFound):
        glance.pulse(db, OTHER, job.id)
    with pytest.raises(NotFound):
        glance.recent_events(db, job.id, OTHER, 5)


def test_a_jobs_own_pulse_follows_its_epochs(db: Database) -> None:
    job = hands.submitted(db)
    claim = hands.taken(db)
    hands.attach(db, claim)
    words = [glance.pulse(db, ME, job.id)]
    for number in (1, 2):
        ledger.report_all(db, [(claim.token, claim.trial_id, hands.epoch(number))])
        words.append(glance.pulse(db, ME, job.id))
    assert len(set(words)) == 3


def test_temperatures_of_the_best(db: Database) -> None:
    first, second = hands.submitted(db), hands.submitted(db, name="other")
    claims = [hands.taken(db), hands.taken(db)]
    for claim in claims:
        hands.attach(db, claim)
    assert {claim.job_id for claim in claims} <= {first.id, second.id}
    best = {claim.job_id: claim.number for claim in claims}
    wanted = {claim.job_id: hands.configuration(claim).temperature for claim in claims}
    assert glance.best_temperatures(db, best) == wanted
    assert glance.best_temperatures(db, {}) == {}
    assert glance.best_temperatures(db, {first.id: 99}) == {}


def test_the_last_events_come_first(db: Database) -> None:
    job = hands.submitted(db)
    hands.train(db, hands.taken(db))
    told = glance.recent_events(db, job.id, ME, 3)
    assert len(told) == 3
    assert [event.number for event in told] == sorted((event.number for event in told), reverse=True)
    assert glance.recent_events(db, job.id, ME, 100)[-1].kind == "submitted"
    kinds = {event.kind for event in glance.recent_events(db, job.id, ME, 100)}
    left = {event.kind for event in glance.recent_events(db, job.id, ME, 100, without=["trial_started"])}
    assert kinds - left == {"trial_started"}


def test_a_job_has_a_study_once_its_first_trial_was_asked_for(db: Database) -> None:
    job = hands.submitted(db)
    claim = hands.taken(db)
    assert glance.study_number(db, job.id, ME) is None
    storage = study.optuna_storage(db)
    asking.ask(storage, claim)
    assert glance.study_number(db, job.id, ME) == storage.get_study_id_from_name(job.study_name)
    study.close_storage(storage)
    with pytest.raises(NotFound):
        glance.study_number(db, job.id, OTHER)
