"""A study whose cells go over one grid: which trials that is, and that studies without it stay what they were."""

from __future__ import annotations

import hashlib
import json
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
import yaml

from search.claims import trial_counts
from search.claims.grid import grid_values
from search.errors import SpecInvalid
from search.spec.job import JobSpec
from search.states import Arm
from search.studies import cells
from search.studies.parsing import parse_study
from search.studies.spec import StudyExtension, StudySpec
from tests.search.studies.test_studies import BASE, FACTORS

FILES = Path(__file__).parent / "before"
BEFORE = {
    "granularity": "4ca6f4ac211956f2",
    "method": "27c5111d32e767d1",
    "optimizer-by-length": "eda2540b3571bca7",
    "student-init": "a905be5793d26444",
    "teacher-origin": "cf786d377b2d1651",
}
OPTIMIZER = {"space.optimizer": FACTORS["space.optimizer"]}


def study(**changes: Any) -> StudySpec:
    document = {"name": "small", "base": BASE | {"budget": {"trials": 60}}, "trials": "grid", "factors": OPTIMIZER}
    return StudySpec.model_validate(document | changes)


def jobs_of(asked: StudySpec) -> list[JobSpec]:
    return [planned.spec for planned in cells.expand(asked).new]


def tried(job: JobSpec, arm: Arm = Arm.JOINT, count: int | None = None) -> list[tuple[int, float, str]]:
    """By place the seed, T, and everything else of a configuration."""
    rows = [grid_values(job, arm, place) for place in range(job.budget.trials if count is None else count)]
    settings = [{key: value for key, value in row["configuration"].items() if key != "temperature"} for row in rows]
    return [
        (row["seed"], row["configuration"]["temperature"], json.dumps(setting, sort_keys=True))
        for row, setting in zip(rows, settings, strict=True)
    ]


@pytest.mark.parametrize("name", BEFORE)
def test_cells_of_studies_of_before_have_the_digests_that_they_had(name: str) -> None:
    asked = parse_study((FILES / f"{name}.yaml").read_bytes(), "yaml")
    planned = cells.expand(asked).new
    text = json.dumps([one.cell.digest for one in planned])
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == BEFORE[name]
    said = StudySpec.model_validate(asked.model_dump(mode="json") | {"trials": "search"})
    assert said == asked


def test_a_round_is_every_temperature_with_every_setting_on_one_seed() -> None:
    [job, *_] = jobs_of(study())
    assert job.grid is not None
    along = job.grid.along(job.space)
    assert {1.0, 2.0, 4.0, 10.0, 20.0} <= set(along)
    assert job.budget.trials == 48 == 2 * job.grid.round_size(job.space), "whole rounds, of those that it pays for"
    trials = tried(job)
    rounds = [list(group) for _, group in groupby(trials, key=lambda trial: trial[0])]
    assert len(rounds) == 2 == len({seed for seed, _, _ in trials})
    crossed = [{(temperature, setting) for _, temperature, setting in of_round} for of_round in rounds]
    assert crossed[0] == crossed[1]
    assert len(crossed[0]) == len(along) * 4 == len({t for t, _ in crossed[0]}) * len({s for _, s in crossed[0]})


def test_cells_share_temperatures_and_seeds_and_repeats_do_not_share_seeds() -> None:
    sgd, adamw, *again = jobs_of(study(replicates=2))
    assert [(seed, t) for seed, t, _ in tried(sgd)] == [(seed, t) for seed, t, _ in tried(adamw)]
    assert {seed for seed, _, _ in tried(sgd)}.isdisjoint(seed for seed, _, _ in tried(again[0]))
    rates = [
        sorted({grid_values(job, Arm.JOINT, place)["configuration"]["kd_weight"] for place in range(24)})
        for job in (sgd, adamw)
    ]
    assert rates[0] == rates[1]
    assert len(rates[0]) == 4


def test_labels_alone_are_trained_with_each_setting_on_each_seed() -> None:
    [job, *_] = jobs_of(study())
    quota = trial_counts.baseline_quotas(job, job.budget.trials)
    assert quota == {Arm.LABEL_ONLY: 8}
    alone = [grid_values(job, Arm.LABEL_ONLY, place) for place in range(8)]
    assert {row["configuration"]["kd_weight"] for row in alone} == {0.0}
    pairs = [(row["seed"], json.dumps(row["configuration"]["optimizer"])) for row in alone]
    distilled = [grid_values(job, Arm.JOINT, place) for place in range(job.budget.trials)]
    assert set(pairs) == {(row["seed"], json.dumps(row["configuration"]["optimizer"])) for row in distilled}
    without = job.model_copy(update={"baselines": job.baselines.model_copy(update={"share": 0.0})})
    assert trial_counts.baseline_quotas(without, 48) == {}
    plan = trial_counts.plan_in_words(job, job.budget.trials)
    assert plan.startswith("48 on a grid (6 temperatures x 4 settings x 2 seeds) + 8 of labels alone + ")


@pytest.mark.parametrize(
    ("temperature", "along"),
    [
        ({"low": 1, "high": 40}, (1, 2, 4, 10, 20, 40)),
        ({"low": 0.25, "high": 3}, (0.25, 0.5, 1, 2, 3)),
        ([1, 3, 9], (1, 3, 9)),
        ({"low": 30, "high": 35}, (30, 35)),
    ],
)
def test_a_grid_has_the_usual_temperatures_of_the_range_and_no_wide_gap(temperature: Any, along: Any) -> None:
    base = BASE | {"budget": {"trials": 60}, "space": {"temperature": temperature}}
    [job, *_] = jobs_of(study(base=base))
    assert job.grid is not None
    assert job.grid.along(job.space) == along


def test_a_budget_of_all_cells_is_shared_out_in_whole_rounds() -> None:
    shared = study(budget={"trials": 110, "of": "all cells"})
    assert [job.budget.trials for job in jobs_of(shared)] == [48, 48]
    extended = cells.extend(cells.expand(shared).study, [], StudyExtension(replicates=2))
    assert extended.study.trials == shared.trials
    assert {planned.spec.budget.trials for planned in extended.new} == {48}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"base": BASE}, "budget.trials must pay for one round of the grid at least: 6 temperatures x 4 settings = 24"),
        ({"trials": {"name": "grid", "temperatures": [1, 80]}}, "grid.temperatures must be from 1 to 40"),
        ({"trials": {"name": "grid", "temperatures": [4, 1]}}, "temperatures must rise"),
        ({"trials": "greedy"}, "must be 'search'"),
        ({"factors": {"space.temperature": [4]}}, "grid needs a range or a list in space.temperature"),
        ({"factors": {"warm_start.mode": ["literature"]}}, "warm_start must be left out"),
        ({"factors": {"pruner": [{"name": "median", "min_epochs": 1}]}}, "pruner.name must be none"),
    ],
)
def test_what_a_grid_cannot_be_is_refused(changes: dict[str, Any], said: str) -> None:
    document = study().model_dump(mode="json") | changes
    with pytest.raises(SpecInvalid) as caught:
        parse_study(yaml.safe_dump(document), "yaml")
    assert said in " ".join(problem.message for problem in caught.value.problems)
