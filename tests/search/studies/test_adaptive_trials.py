"""A study whose trials are handed out: what each cell begins with, what it brings, and which trials a block is."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
import yaml

from search.claims import trial_counts
from search.claims.grid import grid_values
from search.errors import SpecInvalid
from search.spec.grid import FEWEST
from search.spec.job import JobSpec
from search.states import Arm
from search.studies import cells
from search.studies.parsing import parse_study
from search.studies.spec import StudyExtension, StudySpec
from tests.search.studies.test_grid_trials import study

ADAPTIVE = {"trials": "adaptive"}
HANDED = ((2, 1), (2, 2), (0, 1))


def adaptive(**changes: Any) -> StudySpec:
    return study(**ADAPTIVE | changes)


def cut(count: int = 3) -> JobSpec:
    """The first job with so many temperatures: a round of four settings."""
    temperatures = [1, 4, 20][:count]
    asked = adaptive(trials={"name": "adaptive", "temperatures": temperatures})
    return cells.expand(asked).new[0].spec


def seen(job: JobSpec, place: int, arm: Arm = Arm.JOINT, handed: Any = HANDED) -> tuple[int, float, str]:
    """The seed, T and all else of a trial, labels alone without the weights."""
    row = grid_values(job, arm, place, handed)
    optimizer = json.dumps(row["configuration"]["optimizer"], sort_keys=True)
    return row["seed"], row["configuration"]["temperature"], optimizer


def test_each_cell_begins_with_a_round_and_brings_its_whole_budget() -> None:
    planned = cells.expand(adaptive()).new
    assert {(one.spec.budget.trials, one.share, one.whole.budget.trials) for one in planned} == {(24, 60, 60)}
    shared = cells.expand(adaptive(budget={"trials": 110, "of": "all cells"})).new
    assert {(one.spec.budget.trials, one.share) for one in shared} == {(24, 55)}
    on_a_grid = cells.expand(study()).new
    assert {(one.share, one.whole is one.spec) for one in on_a_grid} == {(None, True)}
    assert [one.spec.grid for one in planned] == [one.spec.grid for one in on_a_grid]


def test_it_begins_with_as_many_rounds_as_something_can_be_told_of() -> None:
    tiny = adaptive(trials={"name": "adaptive", "temperatures": [1, 4], "settings": 1})
    for one in cells.expand(tiny).new:
        assert one.spec.budget.trials == FEWEST
    short = adaptive(trials={"name": "adaptive", "temperatures": [1, 4], "settings": 1}, budget={"trials": 5})
    assert {one.spec.budget.trials for one in cells.expand(short).new} == {4}


def test_an_extended_study_keeps_its_cells() -> None:
    before = cells.expand(adaptive())
    there = [one.cell for one in before.new]
    after = cells.extend(before.study, there, StudyExtension(replicates=2))
    assert list(after.there) == there
    assert {(one.cell.replicate, one.spec.budget.trials, one.share) for one in after.new} == {(1, 24, 60)}
    assert [one.digest for one in there] == [cells.digest_of(one.spec) for one in before.new]
    again = cells.extend(after.study, [*there, *(one.cell for one in after.new)], StudyExtension(replicates=2))
    assert list(again.new) == []


def test_blocks_follow_the_first_rounds_and_have_their_labels_alone() -> None:
    job, size = cut(), 3
    first = job.budget.trials
    for number, (setting, round_) in enumerate(HANDED):
        block = [seen(job, first + size * number + step) for step in range(size)]
        same_round = [seen(job, 12 * round_ + size * setting + step, handed=()) for step in range(size)]
        assert block == same_round, "it is what the grid would have there"
        [label] = {seen(job, first // size + number, Arm.LABEL_ONLY)[::2]}
        assert {(seed, optimizer) for seed, _, optimizer in block} == {label}
    assert [seen(job, place) for place in range(first)] == [seen(job, place, handed=()) for place in range(first)]
    handed = first + size * len(HANDED)
    assert trial_counts.baseline_quotas(job, handed) == {Arm.LABEL_ONLY: handed // size}


def test_what_a_user_adds_behind_them_is_on_fresh_seeds() -> None:
    job = cut()
    behind = job.budget.trials + 3 * len(HANDED)
    added = [seen(job, behind + place) for place in range(24)]
    assert {seed for seed, _, _ in added}.isdisjoint(seen(job, place)[0] for place in range(behind))
    assert len({seed for seed, _, _ in added}) == 2
    assert len(set(added)) == 24
    assert job.grid is not None
    assert len({optimizer for _, _, optimizer in added}) == job.grid.settings_in(job.space)
    assert all(before != after for before, after in pairwise(added))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"factors": {"budget.trials": [48, 96]}}, "an adaptive study has one budget"),
        ({"budget": {"trials": 60, "epochs": 480}}, "nothing else may end a cell: leave epochs out"),
        ({"budget": {"trials": 60, "seconds": 60}}, "nothing else may end a cell: leave seconds out"),
        ({"budget": {"trials": 20}}, "must pay for one round of the grid at least"),
        ({"trials": {"name": "adaptive", "temperatures": [4, 1]}}, "temperatures must rise"),
        ({"trials": "greedy"}, "must be 'search'"),
    ],
)
def test_what_cannot_be_handed_out_is_refused(changes: dict[str, Any], problem: str) -> None:
    document = adaptive().model_dump(mode="json") | changes
    with pytest.raises(SpecInvalid) as caught:
        parse_study(yaml.safe_dump(document), "yaml")
    assert problem in " ".join(each.message for each in caught.value.problems)
