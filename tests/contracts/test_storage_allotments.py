"""An adaptive study hands out what it has, once, whoever is lost over it, and each of its cells comes to its end."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from sqlalchemy import select, update

from search.analysis.study.quantities import COSTS
from search.claims import allotments, leases
from search.claims.claiming import BUILT_IN, Claim
from search.records import Principal, Quota
from search.requests import jobs, keys, studies
from search.requests.trials import iter_trials
from search.states import Allotting, JobState, Stage
from search.storage import tables
from search.storage.db import Database
from search.studies.records import StudyDetail
from search.studies.spec import StudyExtension, StudySpec
from search.worker import allotting
from search.worker.allotting import hand_out_one
from tests.search import factories
from tests.search.factories import ME, spec

SIZE, FIRST, SHARE = 2, 8, 14
GRID = {"name": "adaptive", "temperatures": [1.0, 20.0], "settings": 2}


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few sweeps, few hyperparameters, and one question of costs."""
    monkeypatch.setattr("search.analysis.study.gibbs.WARM", 20)
    monkeypatch.setattr("search.analysis.study.gibbs.KEPT", 30)
    monkeypatch.setattr("search.analysis.study.curves.BROAD", 8)
    monkeypatch.setattr("search.analysis.study.curves.ROUNDS", 1)
    monkeypatch.setattr("search.analysis.study.curves.DRAWS", 60)
    monkeypatch.setattr("search.analysis.study.questions.COSTS", COSTS[:1])


def submitted(db: Database, who: Principal = ME, replicates: int = 1, **base: Any) -> StudyDetail:
    """Cells of two lengths, each of which brings 14 trials and begins with two rounds."""
    confirmation = {"level": "none"}
    small = spec(space={"optimizer": {"sgd": {}}}, budget={"trials": SHARE}, confirmation=confirmation, **base)
    document = {
        "name": "handed",
        "base": small.model_dump(mode="json", exclude_none=True, exclude={"name"}),
        "factors": {"training.epochs": [3, 6]},
        "replicates": replicates,
        "trials": GRID,
    }
    return studies.submit_study(db, StudySpec.model_validate(document), who)[0]


def value_of(claim: Claim) -> float:
    """Far from anything that could be told for sure: runs that scatter by more than they differ."""
    assert claim.configuration is not None
    return 0.5 + 0.2 * ((claim.seed * 7919 + int(1000 * claim.configuration.temperature) + claim.number * 31) % 97) / 97


def train(db: Database) -> None:
    """All that can be claimed now."""
    while (claim := factories.take(db)) is not None:
        factories.train(db, claim, value_of(claim))


def rows_of(db: Database, study: StudyDetail) -> dict[str, Any]:
    with db.read() as connection:
        found = connection.execute(select(tables.jobs).where(tables.jobs.c.study == study.id))
        return {row.id: row for row in found}


def stands(db: Database, study: StudyDetail) -> Counter[Any]:
    return Counter((row.state, row.allotting) for row in rows_of(db, study).values())


def to_the_end(db: Database) -> int:
    """Trains and hands out until nothing is left to do; how often was handed out."""
    times = 0
    train(db)
    while hand_out_one(db, BUILT_IN):
        times += 1
        train(db)
    return times


def searched(db: Database, job_id: str) -> list[Any]:
    return [trial for trial in iter_trials(db, job_id, ME) if trial.stage is Stage.SEARCH]


def aged(db: Database, study: StudyDetail) -> None:
    """As if nothing had been heard of the study for long."""
    with db.write() as connection:
        before = tables.jobs.c.updated_at - 2 * allotments.PATIENCE
        connection.execute(update(tables.jobs).where(tables.jobs.c.study == study.id).values(updated_at=before))


def test_everything_is_handed_out_and_every_cell_is_confirmed(db: Database) -> None:
    study = submitted(db, replicates=2)
    assert study.trials == "adaptive"
    assert hand_out_one(db, BUILT_IN) is False
    train(db)
    assert stands(db, study) == {(JobState.RUNNING, Allotting.DUE): 4}
    assert factories.take(db) is None, "who waits is not trained"
    waits = {cell.progress.waits_for for cell in studies.get_study(db, study.id, ME).cells if cell.progress}
    assert all(why is not None and "handed out" in why for why in waits)
    assert to_the_end(db) > 1
    assert stands(db, study) == {(JobState.ANALYSING, None): 4}
    trained = {cell.job_id: searched(db, cell.job_id) for cell in study.cells}
    total = sum(map(len, trained.values()))
    assert 4 * SHARE - SIZE < total <= 4 * SHARE
    assert {row.search_trials for row in rows_of(db, study).values()} == {len(each) for each in trained.values()}
    for each in trained.values():
        runs = Counter((trial.seed, repr(sorted(trial.configuration.items(), key=repr))) for trial in each)
        assert set(runs.values()) == {1}, "nothing is trained twice"
        assert len(each) % SIZE == 0
    for job_id, each in trained.items():
        labels = [trial.seed for trial in iter_trials(db, job_id, ME) if trial.stage is Stage.BASELINE]
        assert sorted(labels) == sorted(trial.seed for trial in each[::SIZE]), "labels alone beside each block"


def test_many_workers_hand_out_once(db: Database) -> None:
    study = submitted(db)
    train(db)
    assert any(factories.at_once([lambda: hand_out_one(db, BUILT_IN)] * 4))
    handed = sum(row.budget_trials for row in rows_of(db, study).values()) - 2 * FIRST
    left = 2 * (SHARE - FIRST)
    assert 0 < handed <= max(-(-left // 3), SIZE)


def test_a_decision_about_what_is_so_no_longer_changes_nothing(db: Database) -> None:
    """As of a worker that was lost, or was slower than another."""
    study = submitted(db)
    train(db)
    question = allotting._read(db, study.id)
    decision = allotting._decide(question)
    assert allotments.hand_out(db, study.id, question.due, decision)
    after = rows_of(db, study)
    assert allotments.hand_out(db, study.id, question.due, decision) is None
    assert rows_of(db, study) == after
    train(db)
    current = allotting._read(db, study.id)
    greedy = allotments.HandOut({job_id: [(0, 9)] * 99 for job_id in current.due}, decision.sizes, more=True)
    assert allotments.hand_out(db, study.id, current.due, greedy) is None, "never more than there is"


def test_a_cell_that_is_paused_or_has_ended_is_waited_for_by_none(db: Database) -> None:
    study = submitted(db, replicates=2)
    paused, cancelled, *others = (cell.job_id for cell in study.cells)
    jobs.pause_job(db, paused, ME)
    jobs.cancel_job(db, cancelled, ME)
    to_the_end(db)
    states = {job_id: row.state for job_id, row in rows_of(db, study).items()}
    assert {states[job_id] for job_id in others} == {JobState.ANALYSING}
    assert sum(len(searched(db, job_id)) for job_id in others) <= 4 * SHARE - 2 * FIRST
    jobs.resume_job(db, paused, ME)
    train(db)
    assert len(searched(db, paused)) == FIRST
    assert jobs.get_job(db, paused, ME).state is JobState.ANALYSING


def test_a_cell_that_nobody_trains_is_waited_for_a_while(db: Database) -> None:
    study = submitted(db)
    first, second = (cell.job_id for cell in study.cells)
    jobs.pause_job(db, second, ME)
    train(db)
    jobs.resume_job(db, second, ME)
    assert hand_out_one(db, BUILT_IN, allotments.PATIENCE) is False, "it has only just been heard of"
    aged(db, study)
    lost = factories.taken(db)
    assert (lost.job_id, hand_out_one(db, BUILT_IN, allotments.PATIENCE)) == (second, False), "it is trained"
    leases.give_back(db, lost.token)
    aged(db, study)
    assert hand_out_one(db, BUILT_IN) is False, "who asks may train it"
    assert hand_out_one(db, BUILT_IN, allotments.PATIENCE)
    assert rows_of(db, study)[first].budget_trials > FIRST


def test_what_is_left_is_for_cells_that_are_trained_later(db: Database) -> None:
    """A study that was given up for a while, and has nothing to hand out to the only cell that is through."""
    study = submitted(db)
    first, second = (cell.job_id for cell in study.cells)
    jobs.pause_job(db, second, ME)
    train(db)
    jobs.resume_job(db, second, ME)
    aged(db, study)
    question = allotting._read(db, study.id)
    assert allotments.hand_out(db, study.id, question.due, allotments.HandOut({}, {}, more=False)) == 0
    rows = rows_of(db, study)
    assert (rows[first].allotting, rows[second].allotting) == (None, Allotting.OPEN)
    to_the_end(db)
    assert len(searched(db, second)) > FIRST


def test_a_user_has_the_last_word_on_a_cell(db: Database) -> None:
    study = submitted(db)
    stopped, extended = (cell.job_id for cell in study.cells)
    train(db)
    jobs.stop_job(db, stopped, ME)
    jobs.extend_job(db, extended, ME, trials=FIRST + SIZE)
    assert stands(db, study)[JobState.RUNNING, None] == 1
    assert hand_out_one(db, BUILT_IN) is False
    train(db)
    assert [len(searched(db, job_id)) for job_id in (stopped, extended)] == [FIRST, FIRST + SIZE]
    assert {row.state for row in rows_of(db, study).values()} == {JobState.ANALYSING}


def test_nothing_that_can_be_worked_out_ends_the_hand_outs(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> Any:
        raise ArithmeticError("singular")

    study = submitted(db)
    monkeypatch.setattr(allotting, "blocks_of", broken)
    assert to_the_end(db) == 1
    assert stands(db, study) == {(JobState.ANALYSING, None): 2}
    assert [len(searched(db, cell.job_id)) for cell in study.cells] == [FIRST] * 2


def test_no_more_is_handed_out_than_the_owner_s_quota_allows(db: Database) -> None:
    key, _ = keys.create_key(db, "limited", ["submit", "read"])
    owner = Principal(key.id, "limited", frozenset({"submit", "read"}))
    study = submitted(db, owner)
    keys.set_quota(db, key.id, Quota(trials=2 * FIRST + SIZE))
    to_the_end(db)
    assert {row.state for row in rows_of(db, study).values()} == {JobState.ANALYSING}
    assert sum(row.search_trials for row in rows_of(db, study).values()) <= 2 * FIRST + SIZE


def test_cells_that_are_added_bring_their_own_trials(db: Database) -> None:
    study = submitted(db)
    train(db)
    studies.extend_study(db, study.id, ME, StudyExtension(replicates=2))
    assert hand_out_one(db, BUILT_IN) is False, "two more cells are to be trained"
    to_the_end(db)
    rows = rows_of(db, study)
    assert len(rows) == 4
    assert 4 * SHARE - SIZE < sum(row.search_trials for row in rows.values()) <= 4 * SHARE


def test_a_grid_that_is_none_of_a_study_waits_for_nobody(db: Database) -> None:
    grid = {key: value for key, value in GRID.items() if key != "name"}
    job = factories.submitted(db, grid=grid, space={"optimizer": {"sgd": {}}}, budget={"trials": FIRST})
    factories.train_all(db)
    assert jobs.get_job(db, job.id, ME).state is JobState.ANALYSING
    assert hand_out_one(db, BUILT_IN) is False
