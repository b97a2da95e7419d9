"""An adaptive study hands out what it has, once, whoever is lost over it, and each of its cells comes to its end."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from search.claims import allotments, leases, reporting, workers
from search.claims.claiming import BUILT_IN, Claim
from search.errors import QuotaExceeded
from search.records import Principal, Quota
from search.requests import jobs, keys, studies
from search.requests.trials import iter_trials
from search.states import Allotting, JobState, Stage, TrialState
from search.storage import tables
from search.storage.db import Database
from search.storage.folder import Folder
from search.studies.records import StudyDetail
from search.studies.spec import StudyExtension, StudySpec
from search.worker import allotting
from search.worker.allotting import hand_out_one
from tests.search import factories
from tests.search.factories import ME, spec
from thermowell.api.studies import Allotted

SIZE, FIRST, SHARE = 2, 8, 14
GRID = {"name": "adaptive", "temperatures": [1.0, 20.0], "settings": 2}


pytestmark = pytest.mark.usefixtures("few_draws")


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


def limited(db: Database, **quota: int) -> tuple[str, Principal]:
    """A key with a quota, and who has it."""
    key, _ = keys.create_key(db, "limited", ["submit", "read"], Quota(**quota))
    return key.id, Principal(key.id, "limited", frozenset({"submit", "read"}))


def value_of(claim: Claim) -> float:
    """Far from anything that could be told for sure: runs that scatter by more than they differ."""
    assert claim.configuration is not None
    return 0.5 + 0.2 * ((claim.seed * 7919 + int(1000 * claim.configuration.temperature) + claim.number * 31) % 97) / 97


def train(db: Database, diverging: str | None = None) -> None:
    """All that can be claimed now; what is tried of one job diverges."""
    while (claim := factories.take(db)) is not None:
        if claim.job_id == diverging:
            factories.attach(db, claim)
            reporting.finish(db, claim.token, claim.trial_id, TrialState.FAILED, reason=factories.DIVERGED)
        else:
            factories.train(db, claim, value_of(claim))


def rows_of(db: Database, study: StudyDetail) -> dict[str, Any]:
    with db.read() as connection:
        found = connection.execute(select(tables.jobs).where(tables.jobs.c.study == study.id))
        return {row.id: row for row in found}


def stands(db: Database, study: StudyDetail) -> Counter[Any]:
    return Counter((row.state, row.allotting) for row in rows_of(db, study).values())


def to_the_end(db: Database, diverging: str | None = None) -> int:
    """Trains and hands out until nothing is left to do; how often was handed out."""
    times = 0
    train(db, diverging)
    while hand_out_one(db, BUILT_IN):
        times += 1
        train(db, diverging)
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
    assert all(why is not None and why.startswith("a worker") for why in waits), "nobody would hand out"
    workers.worker_seen(db, "w", host="here", pid=1, lanes=0, capabilities={"device": "cpu"})
    waits = {cell.progress.waits_for for cell in studies.get_study(db, study.id, ME).cells if cell.progress}
    assert all(why is not None and "handed out" in why for why in waits)
    assert studies.get_study(db, study.id, ME).allotted == Allotted(4 * FIRST, 4 * SHARE, more=True)
    assert to_the_end(db) > 1
    assert stands(db, study) == {(JobState.ANALYSING, None): 4}
    allotted = studies.get_study(db, study.id, ME).allotted
    assert allotted is not None
    assert (allotted.total, allotted.more, allotted.left) == (4 * SHARE, False, 0)
    assert allotted.trials == sum(row.budget_trials for row in rows_of(db, study).values())
    assert "handed out" in allotted.words
    assert studies.list_studies(db, ME).items[0].allotted is None
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


def test_a_cell_that_fails_keeps_nobody_from_the_others(db: Database) -> None:
    study = submitted(db)
    failing, other = (cell.job_id for cell in study.cells)
    to_the_end(db, failing)
    states = {job_id: row.state for job_id, row in rows_of(db, study).items()}
    assert states == {failing: JobState.FAILED, other: JobState.ANALYSING}
    assert 2 * FIRST < len(searched(db, failing)) + len(searched(db, other)) <= 2 * SHARE


@pytest.mark.parametrize("error", [ArithmeticError, LookupError])
def test_nothing_that_can_be_worked_out_ends_the_hand_outs(
    db: Database, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def broken(*_: object) -> Any:
        raise error("singular")

    study = submitted(db)
    monkeypatch.setattr(allotting, "blocks_of", broken)
    assert to_the_end(db) == 1
    assert stands(db, study) == {(JobState.ANALYSING, None): 2}
    assert [len(searched(db, cell.job_id)) for cell in study.cells] == [FIRST] * 2


def test_the_whole_budget_counts_against_the_owner_s_quota_from_the_beginning(db: Database) -> None:
    key, owner = limited(db, trials=2 * SHARE - 1)
    with pytest.raises(
        QuotaExceeded, match=rf"asks for {2 * SHARE} more: ask for at most {2 * SHARE - 1} in all"
    ) as no:
        submitted(db, owner)
    assert f"budget: {{trials: {2 * SHARE - 1}, of: all cells}}" in str(no.value)
    assert studies.list_studies(db, owner).items == []
    keys.set_quota(db, key, Quota(trials=2 * SHARE))
    study = submitted(db, owner)
    with pytest.raises(QuotaExceeded, match=f"they have {2 * SHARE}, and this asks for 1 more: wait until"):
        factories.submitted(db, owner, budget={"trials": 1})
    train(db)
    while hand_out_one(db, BUILT_IN):
        assert keys.quota_use(db, key).trials == 2 * SHARE or not stands(db, study)[JobState.RUNNING, Allotting.OPEN]
        train(db)
    handed = sum(row.budget_trials for row in rows_of(db, study).values())
    assert 2 * SHARE - SIZE < handed <= 2 * SHARE
    assert keys.quota_use(db, key).trials == handed, "what nobody can be handed any more is free"


def test_a_quota_that_is_lowered_later_ends_no_study(db: Database) -> None:
    """Neither does it end a plain job; and studies that came before their budgets counted whole go on."""
    key, owner = limited(db, trials=2 * SHARE)
    study = submitted(db, owner)
    keys.set_quota(db, key, Quota(trials=FIRST))
    to_the_end(db)
    assert sum(row.search_trials for row in rows_of(db, study).values()) > 2 * SHARE - SIZE


def test_a_study_that_is_cancelled_or_extended_counts_what_it_may_still_train(db: Database) -> None:
    key, owner = limited(db, trials=4 * SHARE)
    study = submitted(db, owner)
    train(db)
    studies.extend_study(db, study.id, owner, StudyExtension(replicates=2))
    assert keys.quota_use(db, key).trials == 4 * SHARE
    with pytest.raises(QuotaExceeded, match=f"they have {4 * SHARE}"):
        studies.extend_study(db, study.id, owner, StudyExtension(replicates=3))
    jobs.cancel_job(db, study.cells[0].job_id, owner)
    assert keys.quota_use(db, key).trials == 4 * SHARE - FIRST, "what it was not handed is for the others"
    studies.cancel_study(db, study.id, owner)
    assert keys.quota_use(db, key).trials == 0


def test_a_cell_that_is_deleted_leaves_no_more_to_the_others_than_there_was(db: Database, tmp_path: Path) -> None:
    study = submitted(db)
    rich, poor = (cell.job_id for cell in study.cells)
    train(db)
    seen = allotting._read(db, study.id).due
    blocks = [(setting, round_) for round_ in (4, 5) for setting in (0, 1)]
    assert allotments.hand_out(db, study.id, seen, allotments.HandOut({rich: blocks}, {rich: SIZE}, more=True))
    train(db)
    assert len(searched(db, rich)) == FIRST + 4 * SIZE > SHARE
    jobs.cancel_job(db, rich, ME)
    jobs.delete_job(db, rich, ME, Folder(tmp_path))
    assert allotting._read(db, study.id).left == 2 * SHARE - 2 * FIRST - 4 * SIZE
    to_the_end(db)
    assert len(searched(db, poor)) <= 2 * SHARE - FIRST - 4 * SIZE
    assert rows_of(db, study)[poor].state == JobState.ANALYSING


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
