"""The trials of a grid are trials as any others: claimed, lost and trained through the same ledger."""

from __future__ import annotations

from collections import defaultdict

from sqlalchemy import select

from search.analysis.study.stored import runs_by_job
from search.claims import reporting
from search.claims.claiming import Claim
from search.requests import jobs, studies
from search.states import Arm, JobState, Stage, TrialState
from search.storage import tables
from search.storage.db import Database
from search.studies.spec import StudySpec
from tests.search import factories
from tests.search.factories import ME, spec

GRID = {"temperatures": [1.0, 4.0, 20.0], "settings": 2}
SPACE = {"optimizer": {"sgd": {}}}


def test_a_grid_is_trained_seed_by_seed_with_its_labels_alone(db: Database) -> None:
    job = factories.submitted(db, grid=GRID, space=SPACE, budget={"trials": 12})
    lost = factories.lose(db)
    claims = factories.train_all(db)
    again = next(claim for claim in claims if claim.number == lost.number)
    assert (again.attempt, again.seed, again.configuration) == (2, lost.seed, lost.configuration)
    searched = [claim for claim in claims if claim.stage is Stage.SEARCH]
    labels = [claim for claim in claims if claim.stage is Stage.BASELINE]
    assert (len(searched), len(labels), {claim.arm for claim in labels}) == (12, 4, {Arm.LABEL_ONLY})
    by_seed: dict[int, set[float]] = defaultdict(set)
    for claim in searched:
        assert claim.configuration is not None
        assert claim.advice is None
        assert not claim.heard
        by_seed[claim.seed].add(claim.configuration.temperature)
    assert {claim.heard for claim in claims if claim.stage in (Stage.SELECT, Stage.ESTIMATE)} == {True}
    assert list(by_seed.values()) == [{1.0, 4.0, 20.0}] * 2
    assert {claim.seed for claim in labels} == set(by_seed)
    assert jobs.get_job(db, job.id, ME).state is JobState.ANALYSING


def test_an_extended_grid_goes_on_with_fresh_seeds(db: Database) -> None:
    job = factories.submitted(db, grid=GRID, space=SPACE, budget={"trials": 6}, baselines={"share": 0})
    rounds = [_round(db)]
    jobs.extend_job(db, job.id, ME, trials=12)
    rounds.append(_round(db))
    assert [len(seeds) for seeds in rounds] == [1, 1]
    assert rounds[0].isdisjoint(rounds[1])


def _round(db: Database) -> set[int]:
    """The seeds of the six trials that come next."""
    claims = [factories.taken(db) for _ in range(6)]
    for claim in claims:
        factories.train(db, claim)
    return {claim.seed for claim in claims}


def test_cells_of_a_study_have_the_same_seeds_whoever_trains_them(db: Database) -> None:
    base = spec(space=SPACE, budget={"trials": 6}).model_dump(mode="json", exclude_none=True, exclude={"name"})
    factors = {"training.epochs": [3, 6]}
    asked = StudySpec.model_validate(
        {"name": "g", "base": base, "factors": factors, "trials": {"name": "grid", **GRID}}
    )
    study, _ = studies.submit_study(db, asked, ME)
    assert study.trials == "grid"
    taken: dict[str, list[Claim]] = defaultdict(list)
    for claim in factories.train_all(db):
        if claim.stage is Stage.SEARCH:
            taken[claim.job_id].append(claim)
    first, second = ([(claim.seed, claim.configuration) for claim in taken[cell.job_id]] for cell in study.cells)
    assert first == second
    assert len(first) == 6


def test_a_study_s_questions_are_asked_of_all_that_ended_and_what_diverged_is_the_worst(db: Database) -> None:
    job = factories.submitted(db, grid=GRID, space=SPACE, budget={"trials": 12})
    broken = factories.taken(db)
    factories.attach(db, broken)
    reporting.finish(db, broken.token, broken.trial_id, TrialState.FAILED, reason=factories.DIVERGED)
    claims = factories.train_all(db)
    with db.read() as connection:
        rows = {row.id: row for row in connection.execute(select(tables.jobs))}
        found = runs_by_job(connection, rows)[job.id]
        few = runs_by_job(connection, {})
    assert few == {}
    assert len(found.values) == 1 + len([claim for claim in claims if claim.configuration is not None])
    assert found.paired
    assert [round(2.0**octaves, 6) for octaves in found.along] == [1.0, 4.0, 20.0]
    assert found.labels.sum() >= 4
    assert (found.values == found.values.min()).sum() >= 2
