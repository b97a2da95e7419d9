"""Optuna's tables follow ours: asked once, told once, repaired where somebody died between two steps."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import partial
from typing import Any

import optuna
import pytest
import sqlalchemy
from optuna.trial import TrialState as OptunaState
from structlog.testing import capture_logs

from search.claims import leases, reporting
from search.claims.claiming import Claim
from search.errors import DatabaseUnavailable
from search.optuna_bridge import proposals, repair, study
from search.optuna_bridge.repair import Repairer
from search.records import Reason
from search.requests import jobs
from search.samplers import space
from search.states import Arm, TrialState
from search.storage.db import Database
from search.storage.rows import optuna_study_name
from tests.search import factories
from trainers.spec import Configuration


@pytest.fixture
def storage(db: Database) -> Iterator[study.Storage]:
    opened = study.optuna_storage(db)
    yield opened
    study.close_storage(opened)


def asked(db: Database, storage: study.Storage, claim: Claim) -> int:
    """Asks Optuna and attaches the answer."""
    number, configuration = proposals.ask(storage, claim, "w")
    reporting.attach(db, claim.token, claim.trial_id, number, configuration)
    return number


def told(storage: study.Storage, claim: Claim) -> list[optuna.trial.FrozenTrial]:
    return optuna.load_study(study_name=optuna_study_name(claim.job_id, claim.arm), storage=storage).get_trials()


def test_an_asked_trial_is_told_once_however_often(db: Database, storage: study.Storage) -> None:
    factories.submitted(db)
    claim = factories.taken(db)
    number = asked(db, storage, claim)
    reporting.report(db, claim.token, claim.trial_id, factories.epoch(1))
    reporting.finish(db, claim.token, claim.trial_id, TrialState.COMPLETED, value=0.7)
    assert told(storage, claim)[number].state is OptunaState.RUNNING
    [row] = reporting.unmirrored(db)
    for _ in range(3):
        study.mirror_end(storage, row)
    [trial] = told(storage, claim)
    assert (trial.state, trial.value) == (OptunaState.COMPLETE, 0.7)
    assert trial.user_attrs == {
        "trial": claim.number,
        "stage": "search",
        "seed": claim.seed,
        "worker": "w",
        "epochs": 1,
    }


def test_repair_tells_what_a_dead_worker_did_not(db: Database, storage: study.Storage) -> None:
    factories.submitted(db)
    claim = factories.taken(db)
    asked(db, storage, claim)
    reporting.finish(db, claim.token, claim.trial_id, TrialState.COMPLETED, value=0.7)
    repairer = Repairer(db, storage, 10.0)
    assert repairer.run() == (1, 0)
    assert repairer.run() == (0, 0)
    assert told(storage, claim)[0].value == 0.7


def test_an_end_that_cannot_be_told_is_tried_ever_less_often_and_stops_no_other(
    db: Database, storage: study.Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    factories.submitted(db)
    poison, other = factories.taken(db), factories.taken(db)
    for claim in (poison, other):
        asked(db, storage, claim)
        reporting.finish(db, claim.token, claim.trial_id, TrialState.COMPLETED, value=0.7)
    mirror_end, time, tried = study.mirror_end, [0.0], list[float]()

    def broken(storage: study.Storage, ended: reporting.Unmirrored) -> None:
        if ended.trial_id == poison.trial_id:
            tried.append(time[0])
            raise ValueError("Optuna's table has it otherwise")
        mirror_end(storage, ended)

    monkeypatch.setattr(study, "mirror_end", broken)
    repairer = Repairer(db, storage, 10.0, clock=lambda: time[0])
    with capture_logs() as said:
        assert repairer.tell(limit=1) == 0
        assert repairer.tell(limit=1) == 1, "the one behind it"
        for time[0] in range(1, 1000):
            assert repairer.tell() == 0
    pauses = [after - before for before, after in itertools.pairwise(tried)]
    assert (len(tried), pauses) == (repair.ATTEMPTS, [20, 40, 80, 160])
    assert {(one["job"], one["error"]) for one in said} == {
        (poison.job_id, "ValueError: Optuna's table has it otherwise")
    }


def test_an_orphan_that_cannot_be_failed_takes_no_worker_down(
    db: Database, storage: study.Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    factories.submitted(db)
    proposals.ask(storage, factories.taken(db), "lost")
    time = [0.0]
    repairer = Repairer(db, storage, 10.0, clock=lambda: time[0])
    assert repairer.fail_orphans() == 0
    with monkeypatch.context() as patched:
        patched.setattr(study, "fail_running", lambda *_: 1 / 0)
        time[0] = 10.0
        assert repairer.fail_orphans() == 0
    time[0] = 19.0
    assert repairer.fail_orphans() == 0, "it rests"
    time[0] = 20.0
    assert repairer.fail_orphans() == 1


def test_a_diverged_student_teaches_the_sampler_and_a_crash_does_not(db: Database, storage: study.Storage) -> None:
    factories.submitted(db)
    diverged, crashed = factories.taken(db), factories.taken(db)
    for claim, reason in ((diverged, factories.DIVERGED), (crashed, Reason("crashed", "out of memory"))):
        asked(db, storage, claim)
        reporting.report(db, claim.token, claim.trial_id, factories.epoch(1))
        reporting.finish(db, claim.token, claim.trial_id, TrialState.FAILED, reason=reason)
    Repairer(db, storage, 10.0).run()
    first, second = told(storage, diverged)
    assert (first.state, first.value, first.last_step) == (OptunaState.PRUNED, 0.0, 1)
    assert (second.state, second.value) == (OptunaState.FAIL, None)
    assert [each.user_attrs["reason"] for each in (first, second)] == [factories.DIVERGED.detail, "out of memory"]


def test_a_trial_that_nobody_counts_is_failed_after_a_while(db: Database, storage: study.Storage) -> None:
    """Its worker died after asking and before attaching, and the job was cancelled before another asked again."""
    job = factories.submitted(db)
    lost = factories.taken(db, "lost", factories.EXPIRED)
    proposals.ask(storage, lost)
    leases.reap(db)
    jobs.cancel_job(db, job.id, factories.ME)
    time = [0.0]
    repairer = Repairer(db, storage, 10.0, clock=lambda: time[0])
    assert repairer.run() == (0, 0)
    time[0] = 9.0
    assert repairer.run() == (0, 0)
    time[0] = 10.0
    assert repairer.run() == (0, 1)
    assert [trial.state for trial in told(storage, lost)] == [OptunaState.FAIL]


def test_who_asks_again_proposes_the_same(db: Database, storage: study.Storage) -> None:
    """The first worker died after asking and before attaching: the next attempt is as if it had never asked."""
    factories.submitted(db)
    lost = factories.taken(db, "lost", factories.EXPIRED)
    _, first = proposals.ask(storage, lost)
    leases.reap(db)
    again = factories.taken(db)
    assert (again.trial_id, again.attempt, again.optuna_number) == (lost.trial_id, 2, None)
    assert proposals.ask(storage, again) == (1, first)
    assert [trial.state for trial in told(storage, again)] == [OptunaState.FAIL, OptunaState.RUNNING]


def test_nobody_waits_while_a_proposal_is_thought_up(
    db: Database, storage: study.Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Gaussian process takes a tenth of a second over it: no lock and no transaction is held meanwhile."""
    factories.submitted(db, sampler={"name": "gp", "startup_trials": 1})
    asked(db, storage, factories.taken(db))
    claim = factories.taken(db)
    backend = study.mirror_of(storage)
    assert backend is not None
    suggest, held = space.suggest, []

    def watched(*given: Any) -> Configuration:
        found = suggest(*given)
        held.append([_in_use(engine) for engine in (db.engine, backend.engine)])
        with factories.opened(db.url) as other:  # takes the job's lock, and on SQLite the only one that there is
            factories.taken(other, "another")
        return found

    monkeypatch.setattr(space, "suggest", watched)
    proposals.propose(storage, claim, "w")
    assert held == [[0, 0]]


def test_a_trial_comes_into_both_tables_or_into_neither(db: Database, storage: study.Storage) -> None:
    factories.submitted(db)
    claim = factories.taken(db)
    proposal = proposals.propose(storage, claim, "w")
    assert told(storage, claim) == []
    write = proposals.numbering(storage, proposal)

    def cut_off(connection: sqlalchemy.Connection) -> int:
        write(connection)
        raise DatabaseUnavailable("in the middle")

    with pytest.raises(DatabaseUnavailable):
        reporting.attach(db, claim.token, claim.trial_id, cut_off, proposal.configuration)
    assert told(storage, claim) == []
    for _ in range(2):  # whether the first time has succeeded need not be known
        assert reporting.attach(db, claim.token, claim.trial_id, write, proposal.configuration) == 0
    [trial] = told(storage, claim)
    assert (trial.state, trial.params) == (OptunaState.RUNNING, proposal.trial.params)


def test_an_end_comes_into_both_tables_or_into_neither(db: Database, storage: study.Storage) -> None:
    factories.submitted(db)
    claim = factories.taken(db)
    number = asked(db, storage, claim)
    of, last = (claim.trial_id, claim.job_id, claim.arm, number), (TrialState.COMPLETED, 0.7, 1, None, 0.0)
    tell = study.mirror_writer(storage, reporting.Unmirrored(*of, *last))
    assert tell is not None

    def cut_off(connection: sqlalchemy.Connection) -> None:
        tell(connection)
        raise DatabaseUnavailable("in the middle")

    finish = partial(reporting.finish, db, claim.token, claim.trial_id, TrialState.COMPLETED, value=0.7)
    with pytest.raises(DatabaseUnavailable):
        finish(epoch_reports=[factories.epoch(1)], tell=cut_off)
    assert told(storage, claim)[number].state is OptunaState.RUNNING
    finish(epoch_reports=[factories.epoch(1)], tell=tell)
    [trial] = told(storage, claim)
    assert (trial.state, trial.value, trial.user_attrs["epochs"]) == (OptunaState.COMPLETE, 0.7, 1)
    assert reporting.unmirrored(db) == []


def test_optuna_reads_what_was_written_as_if_it_had_written_it(db: Database, storage: study.Storage) -> None:
    """Its own storage on the same tables finds the same trials; and it counts on from there."""
    factories.submitted(db, pruner={"name": "median", "min_epochs": 1, "startup_trials": 9})
    first, second = factories.taken(db), factories.taken(db)
    number = asked(db, storage, first)
    study.should_prune(storage, first, number, 1, 0.5)
    asked(db, storage, second)
    study.mirror_end(storage, _ended(first))
    plain = optuna.storages.RDBStorage(db.url, skip_table_creation=True)
    try:
        db.configure(plain.engine)
        plain.engine.dispose()
        seen = optuna.load_study(study_name=optuna_study_name(first.job_id, first.arm), storage=plain)
        assert seen.get_trials() == told(storage, first)
        assert seen.ask().number == 2
    finally:
        plain.remove_session()
        plain.engine.dispose()
    assert [trial.number for trial in told(storage, first)] == [0, 1, 2]


def test_a_lost_trial_keeps_its_number_and_its_configuration(db: Database, storage: study.Storage) -> None:
    factories.submitted(db)
    lost = factories.taken(db, "lost", factories.EXPIRED)
    number = asked(db, storage, lost)
    leases.reap(db)
    again = factories.taken(db)
    assert again.optuna_number == number
    assert again.configuration is not None
    proposals.take_over(storage, again, number, "another")
    [trial] = told(storage, again)
    assert (trial.user_attrs["worker"], trial.user_attrs["attempt"]) == ("another", 2)
    assert trial.user_attrs["trial"] == again.number


def test_rungs_are_mirrored_and_passed_ones_are_not_asked_again(db: Database, storage: study.Storage) -> None:
    pruner = {"name": "median", "min_epochs": 1, "startup_trials": 1, "reduction_factor": 2}
    factories.submitted(db, pruner=pruner)
    good = factories.taken(db)
    number = asked(db, storage, good)
    for epoch in (1, 2):
        assert not study.should_prune(storage, good, number, epoch, 0.9)
    reporting.finish(db, good.token, good.trial_id, TrialState.COMPLETED, value=0.9)
    Repairer(db, storage, 10.0).run()
    bad = factories.taken(db)
    number = asked(db, storage, bad)
    assert study.should_prune(storage, bad, number, 1, 0.1)
    assert study.should_prune(storage, bad, number, 1, 0.95)  # the answer was lost: what was reported stays
    assert study.should_prune(storage, bad, number, 2, 0.1)
    assert not study.should_prune(storage, bad, number, 1, 0.1)  # an earlier attempt has passed it


def test_deleting_studies_leaves_other_jobs_alone(db: Database, storage: study.Storage) -> None:
    claims = []
    for _ in range(2):
        factories.submitted(db)
        claims.append(factories.taken(db))
        asked(db, storage, claims[-1])
    assert claims[0].job_id != claims[1].job_id
    study.delete_studies(db, claims[0].job_id)
    study.delete_studies(db, claims[0].job_id)
    names = optuna.get_all_study_names(storage)
    assert names == [optuna_study_name(claims[1].job_id, Arm.JOINT)]
    study.mirror_end(storage, _ended(claims[0]))  # its study is gone: nothing to tell


def _in_use(engine: sqlalchemy.Engine) -> int:
    """Connections that somebody has taken out of the pool."""
    assert isinstance(engine.pool, sqlalchemy.QueuePool)
    return engine.pool.checkedout()


def _ended(claim: Claim) -> reporting.Unmirrored:
    return reporting.Unmirrored(claim.trial_id, claim.job_id, claim.arm, 0, TrialState.COMPLETED, 0.5, 1, None, 0.0)
