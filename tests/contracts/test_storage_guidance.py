"""A study's guidance is worked out once for each state of its cells, and never shown of another one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from search.analysis.study.cells import Cell
from search.claims import finalization
from search.errors import NotReady
from search.requests import jobs, studies
from search.requests.memory import Memory
from search.storage.db import Database
from search.storage.folder import Folder
from search.studies.spec import StudyExtension
from tests.contracts import test_storage_studies
from tests.contracts.test_storage_advice import WINNER, result
from tests.search.factories import ME, at_once, taken, train, train_all
from thermowell.api.guidance import Guidance


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A line for each guidance that was worked out; in its place stands all that it would have been worked out of."""
    lines: list[str] = []

    def compute(study: str, cells: Sequence[Cell]) -> Guidance:
        lines.append(study)
        return Guidance(
            study=study, metric="accuracy", confidence=0.9, practical=0.5, searched=None, factors=[], interactions=[],
            cells=[], spread=None, summary=repr(cells), limits=[], method="",
        )  # fmt: skip

    monkeypatch.setattr(studies, "compute_guidance", compute)
    monkeypatch.setattr(studies, "_guidances", Memory[Guidance](8))
    return lines


@pytest.fixture
def study_id(db: Database) -> str:
    """A study of two cells: both are trained and wait to be closed."""
    base = test_storage_studies.base() | {"baselines": {"share": 0}}
    study = test_storage_studies.submitted(db, base=base, factors={"training.epochs": [3, 6]})
    train_all(db)
    return study.id


def close(db: Database) -> str:
    """Answers the job that has waited longest for it."""
    claim = finalization.claim_closing(db, "w", 60.0)
    assert claim is not None
    finalization.complete(db, claim.token, claim.job_id, {"result": result(claim.job_id, WINNER)})
    return claim.job_id


def ask(db: Database, study_id: str, **options: Any) -> Guidance:
    return studies.get_guidance(db, study_id, ME, **options)


def test_it_is_worked_out_anew_when_a_cell_has_changed_and_only_then(
    db: Database, study_id: str, computed: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(NotReady):
        ask(db, study_id)
    first = close(db)

    def extend_the_study() -> object:
        return studies.extend_study(db, study_id, ME, StudyExtension(factors={"training.epochs": [12]}))

    def close_again() -> object:
        train_all(db)
        return close(db)

    def cancel_the_new_cell() -> object:
        return jobs.cancel_job(db, studies.get_study(db, study_id, ME).cells[-1].job_id, ME)

    steps: list[tuple[str, int, Callable[[], object]]] = [
        ("a cell is answered", 1, lambda: None),
        ("another cell ends", 1, lambda: close(db)),
        ("an answered cell is extended", 1, lambda: jobs.extend_job(db, first, ME, trials=6)),
        ("a run is added to it", 1, lambda: train(db, taken(db))),
        ("it is answered again", 1, close_again),
        ("the study is extended", 1, extend_the_study),
        ("a cell without an answer begins", 1, lambda: train(db, taken(db))),
        ("another of its trials ends", 0, lambda: train(db, taken(db))),
        ("it is cancelled", 1, cancel_the_new_cell),
        ("a cell is deleted", 1, lambda: jobs.delete_job(db, first, ME, Folder(tmp_path))),
        ("nothing happens", 0, lambda: None),
    ]
    for what, times, act in steps:
        act()
        before = len(computed)
        answers = [ask(db, study_id), ask(db, study_id), ask(db, study_id, questions=False)]
        assert len(computed) - before == times, what
        monkeypatch.setattr(studies, "_guidances", Memory[Guidance](8))
        assert answers == [ask(db, study_id)] * 3, what


def test_who_asks_at_once_is_answered_by_one_computation(db: Database, study_id: str, computed: list[str]) -> None:
    close(db)
    light = at_once([lambda: ask(db, study_id, questions=False)] * 4)
    assert (len(computed), {answer.study for answer in light}) == (1, {"crossed"})
    at_once([lambda: ask(db, study_id)] * 4)
    assert len(computed) == 2, "the questions want all runs"
