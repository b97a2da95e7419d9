"""A study's cells: which they are, what is wrong with them, and that those that are there stay what they were."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from search.errors import FieldProblem, SpecInvalid
from search.spec.fields import Range
from search.spec.job import JobSpec
from search.studies import cells, design
from search.studies.parsing import parse_extension, parse_study
from search.studies.spec import MOST_CELLS, DesignSpec, StudyExtension, StudySpec

BASE: dict[str, Any] = {
    "dataset": {"name": "digits", "split_seed": 3},
    "teacher": {"model": {"name": "mlp"}, "training": {"epochs": 2}, "optimizer": {}},
    "student": {"name": "mlp"},
    "training": {"epochs": 4},
    "budget": {"trials": 4},
    "seed": 7,
}
FACTORS: dict[str, Any] = {
    "training.epochs": [4, 8],
    "space.optimizer": {"sgd": {"sgd": {}}, "adamw": {"adamw": {}}},
    "teacher.label_smoothing": [0, 0.1],
    "origin": {"long": {"teacher.training.epochs": 5}, "short": {"teacher.training.epochs": 1}},
    "objective.metric": ["accuracy", "nll", "ece"],
}


def study(**changes: Any) -> StudySpec:
    return StudySpec.model_validate({"name": "small", "base": BASE} | changes)


def submitted(expansion: cells.Expansion) -> list[cells.Cell]:
    return [*expansion.there, *(planned.cell for planned in expansion.new)]


def refused(document: dict[str, Any] | str) -> tuple[FieldProblem, ...]:
    text = document if isinstance(document, str) else yaml.safe_dump({"name": "x", "base": BASE} | document)
    with pytest.raises(SpecInvalid) as caught:
        parse_study(text, "yaml")
    return caught.value.problems


def test_a_study_of_one_cell_is_the_plain_job() -> None:
    plain = JobSpec.model_validate(BASE | {"name": "small"})
    [only] = cells.expand(study()).new
    assert only.cell.digest == cells.digest_of(plain)
    assert only.spec.model_copy(update={"name": "small", "labels": {}}) == plain
    [by_levels] = cells.expand(study(factors={"training.epochs": [4]})).new
    assert by_levels.cell.digest == only.cell.digest


def test_cells_cross_levels_and_repeats() -> None:
    expansion = cells.expand(study(factors={name: FACTORS[name] for name in list(FACTORS)[:2]}, replicates=2))
    found = [(planned.cell.number, dict(planned.cell.levels), planned.cell.replicate) for planned in expansion.new]
    crossed = itertools.product((0, 1), ("4", "8"), ("sgd", "adamw"))
    assert found == [
        (number, {"training.epochs": epochs, "space.optimizer": optimizer}, replicate)
        for number, (replicate, epochs, optimizer) in enumerate(crossed)
    ]
    third, last = expansion.new[2].spec, expansion.new[-1].spec
    assert (third.training.epochs, set(third.space.optimizers())) == (8, {"sgd"})
    assert (last.seed, last.dataset.split_seed, last.teacher.seed) == (8, 4, 1)
    assert last.labels == {
        "training.epochs": "8", "space.optimizer": "adamw", "study": "small", "replicate": "1",
    }  # fmt: skip
    assert (third.name, last.name) == ("small-002", "small-007")


def test_a_factor_of_its_own_name_sets_several_places() -> None:
    both = {"cheap": {"training.epochs": 2, "budget.trials": 8}, "as it is": {}}
    cheap, plain = cells.expand(study(factors={"cost": both})).new
    assert (cheap.spec.training.epochs, cheap.spec.budget.trials) == (2, 8)
    assert plain.cell.digest == cells.digest_of(JobSpec.model_validate(BASE | {"name": "x"}))


def test_all_members_of_an_ensemble_are_others_in_another_repeat() -> None:
    members = [dict(BASE["teacher"]), {**BASE["teacher"], "seed": 7}]
    teacher = {"source": "ensemble", "members": members}
    first, second = cells.expand(study(base=BASE | {"teacher": teacher}, replicates=2)).new
    seeds = [[member.seed for member in each.spec.teacher.members or ()] for each in (first, second)]
    assert seeds == [[0, 7], [1, 8]]
    assert second.spec.dataset.split_seed == first.spec.dataset.split_seed + 1
    members[1] = {"source": "logits", "artifact": "a" * 64}
    first, second = cells.expand(study(base=BASE | {"teacher": teacher}, replicates=2)).new
    assert first.spec.teacher == second.spec.teacher
    assert first.spec.dataset == second.spec.dataset


def test_given_logits_keep_their_split_and_teacher() -> None:
    teacher = {"source": "logits", "artifact": "a" * 64}
    first, second = cells.expand(study(base=BASE | {"teacher": teacher}, replicates=2)).new
    assert (first.spec.dataset, first.spec.teacher) == (second.spec.dataset, second.spec.teacher)
    assert (first.spec.seed, second.spec.seed) == (7, 8)


def test_weights_that_are_made_once_are_made_anew_in_each_repeat() -> None:
    initial = {"source": "trained", "training": {"epochs": 1}, "optimizer": {}, "seed": 5}
    begun = BASE | {"student": {"name": "mlp", "initial": initial}}
    first, second = cells.expand(study(base=begun, replicates=2)).new
    assert first.spec.student.initial is not None
    assert second.spec.student.initial is not None
    assert (first.spec.student.initial.seed, second.spec.student.initial.seed) == (5, 6)
    random = BASE | {"student": {"name": "mlp", "initial": {"source": "random"}}}
    assert len(cells.expand(study(base=random, replicates=2)).new) == 2


@pytest.mark.parametrize(
    ("budget", "each"),
    [
        ({"trials": 6}, (6, None)),
        ({"trials": 9, "of": "all cells"}, (2, None)),
        ({"epochs": 100, "of": "all cells"}, (4, 25)),
    ],
)
def test_the_budget_is_for_each_or_shared_out(budget: dict[str, Any], each: tuple[int, int | None]) -> None:
    asked = study(factors={"training.epochs": [4, 8]}, replicates=2, budget=budget)
    expansion = cells.expand(asked)
    assert {(planned.spec.budget.trials, planned.spec.budget.epochs) for planned in expansion.new} == {each}
    more = cells.extend(expansion.study, submitted(expansion), StudyExtension(factors={"training.epochs": [16]}))
    assert {(planned.spec.budget.trials, planned.spec.budget.epochs) for planned in more.new} == {each}, "as before"


SUBSETS = st.lists(st.sampled_from(list(FACTORS)), unique=True, max_size=len(FACTORS))
DESIGNS = st.sampled_from(["full", "one_at_a_time", {"name": "fractional", "cells": 5}])


@given(names=SUBSETS, kind=DESIGNS, replicates=st.integers(1, 2), data=st.data())
@settings(max_examples=15, deadline=None, derandomize=True)
def test_what_is_added_never_changes_the_cells_that_were_there(
    names: list[str], kind: Any, replicates: int, data: st.DataObject
) -> None:
    begun = data.draw(st.integers(0, len(names)))
    before = cells.expand(study(factors={name: FACTORS[name] for name in names[:begun]}, design=kind))
    more = StudyExtension(factors={name: FACTORS[name] for name in names[begun:]}, replicates=replicates)
    after = cells.extend(before.study, submitted(before), more)
    was = [(cell.number, cell.digest, cell.replicate, cell.job_id) for cell in submitted(before)]
    assert [(cell.number, cell.digest, cell.replicate, cell.job_id) for cell in after.there] == was
    for old, new in zip(submitted(before), after.there, strict=True):
        assert dict(old.levels).items() <= dict(new.levels).items()
        assert set(new.levels) == set(names)
    everything = submitted(after)
    assert [cell.number for cell in everything] == list(range(len(everything)))
    assert len({cell.digest for cell in everything}) == len(everything), "no cell twice"
    again = cells.extend(after.study, everything, more)
    assert (again.new, list(again.there)) == ([], everything), "asked again, there is nothing to add"
    if kind == "full":
        all_factors = {name: FACTORS[name] for name in names}
        whole = cells.expand(study(factors=all_factors, replicates=replicates))
        assert {planned.cell.digest for planned in whole.new} <= {cell.digest for cell in everything}


def test_a_new_factor_without_the_bases_value_leaves_old_cells_as_before() -> None:
    before = cells.expand(study(factors={"training.epochs": [4, 8]}))
    after = cells.extend(before.study, submitted(before), StudyExtension(factors={"objective.metric": ["nll", "ece"]}))
    assert [cell.levels["objective.metric"] for cell in after.there] == [cells.AS_BEFORE] * 2
    assert len(after.new) == 4


def test_an_extension_takes_nothing_back() -> None:
    before = cells.expand(study(factors={"training.epochs": {"short": 4}}, replicates=2))
    for more, words in (
        (StudyExtension(factors={"training.epochs": {"short": 5}}), "means another value"),
        (StudyExtension(replicates=1), "there are 2 already"),
        (StudyExtension(cells=9), "belongs to the fractional design"),
        (StudyExtension(factors={"training": {"new": {"epochs": 9}}}), "sets training"),
        (StudyExtension(factors={"training.epochs": [0]}), "must be greater than or equal to 1, got 0"),
    ):
        with pytest.raises(SpecInvalid, match=words):
            cells.extend(before.study, submitted(before), more)


def test_one_at_a_time_has_every_level_beside_the_first_of_the_others() -> None:
    expansion = cells.expand(study(factors=FACTORS, design="one_at_a_time"))
    first, *others = [planned.cell.levels for planned in expansion.new]
    assert len(others) == sum(len(levels) - 1 for levels in FACTORS.values())
    assert all(sum(one[name] != first[name] for name in one) == 1 for one in others)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("sizes", "count"), [((2, 3, 4, 2), 12), ((2,) * 8, 16), ((40,) * 6, 80)])
def test_a_fraction_is_balanced(sizes: tuple[int, ...], count: int, seed: int) -> None:
    chosen = design.crossings(DesignSpec(name="fractional", cells=count, seed=seed), sizes)
    assert len(set(chosen)) == len(chosen) == count
    assert chosen == design.fraction(sizes, count, seed)
    for factor, size in enumerate(sizes):
        met = Counter(crossing[factor] for crossing in chosen)
        assert max(met.values()) - min(met[level] for level in range(size)) <= 1
    if sizes == (2,) * 8:
        pairs = Counter((i, j, one[i], one[j]) for one in chosen for i, j in itertools.combinations(range(8), 2))
        assert len(pairs) == 4 * 28, "every pair of levels is met"


def test_a_fraction_of_few_is_all() -> None:
    assert design.crossings(DesignSpec(name="fractional", cells=100), (2, 3)) == list(
        itertools.product(range(2), range(3))
    )


@pytest.mark.parametrize(
    ("change", "path", "words"),
    [
        ({"base": 3}, "base", "dictionary"),
        ({"base": BASE | {"bugdet": {}}}, "base.bugdet", "unknown field; did you mean budget?"),
        ({"base": BASE | {"student": {"name": "mlpp"}}}, "base.student.name", "did you mean mlp?"),
        (
            {"factors": {"training.epochs": [4, 0]}},
            "factors.training.epochs.0",
            "in the cell training.epochs = 0: must be",
        ),
        ({"factors": {"student.arguments.wdth": [4]}}, "factors.student.arguments.wdth.4", "unknown argument"),
        ({"factors": {"seed.x": [4]}}, "factors.seed.x", "seed is no group of fields"),
        ({"factors": {"trainin.epochs": [4]}}, "factors.trainin.epochs", "did you mean training?"),
        ({"factors": {"training..epochs": [4]}}, "factors.training..epochs", "no dotted path"),
        ({"factors": {"name": ["a"]}}, "factors.name", "belongs to the study"),
        ({"factors": {"training.epochs": []}}, "factors.training.epochs", "has 0 levels"),
        ({"factors": {"training.epochs": [4, 4]}}, "factors.training.epochs", "same name"),
        ({"factors": {"training.epochs": 4}}, "factors.training.epochs", "list"),
        ({"factors": {"training": [{}], "training.epochs": [4]}}, "factors.training.epochs", "sets training"),
        ({"factors": {"cost": {"a": {"x.y": 1}}}}, "factors.cost.a", "no dotted path"),
        ({"factors": {"cost": {"a": {"training.epochs": 1, "training": {}}}}}, "factors.cost.a", "as well"),
        ({"factors": {"cost": [1]}}, "factors.cost", "no field of a job"),
        ({"factors": {"training.epochs": {"a\x07": 4}}}, "factors.training.epochs", "control characters"),
        ({"factors": {"seed": list(range(64)), "training.epochs": list(range(1, 6))}}, "design", "fractional"),
        ({"factors": {"seed": list(range(64))}, "replicates": 5}, "replicates", "320 cells"),
        ({"design": "half"}, "design", "must be 'full'"),
        ({"design": "fractional"}, "design", "cells is needed"),
        ({"replicates": 0}, "replicates", "greater than or equal to 1"),
        ({"budget": {"of": "all cells"}}, "budget", "at least one of"),
        ({"levels": {}}, "levels", "unknown field; allowed: schema_version, name"),
        ({"schema_version": 2}, "schema_version", "must be 1"),
    ],
)
def test_what_is_wrong_is_said_where_it_stands(change: dict[str, Any], path: str, words: str) -> None:
    [problem] = refused(change)
    assert problem.path == path
    assert words in problem.message
    assert problem.line is not None


def test_what_no_database_keeps_is_refused_though_no_cell_has_it() -> None:
    hidden = BASE | {"training": {"epochs": "X"}}
    for value, words in (
        ("1e999", "finite numbers alone"),
        ('"a\\u0000b"', "NUL"),
        ('"\\ud800"', "half"),
        ("9" * 30, "64 bits"),
    ):
        text = json.dumps({"name": "x", "base": hidden, "factors": {"training.epochs": [4]}}).replace('"X"', value)
        with pytest.raises(SpecInvalid, match=words):
            parse_study(text, "json")


def test_json_and_yaml_say_the_same() -> None:
    document = {"name": "x", "base": BASE, "factors": FACTORS, "design": {"name": "fractional", "cells": 6}}
    assert parse_study(json.dumps(document), "json") == parse_study(yaml.safe_dump(document), "yaml")
    assert parse_extension("factors: {training.epochs: [16]}", "yaml").factors == {"training.epochs": [16]}
    with pytest.raises(SpecInvalid, match="name factors, replicates or cells"):
        parse_extension("{}", "json")
    for text in ("[]", "3", "a: &a [*a]"):
        with pytest.raises(SpecInvalid):
            parse_extension(text, "yaml")


def test_a_range_is_a_level_like_any_other() -> None:
    narrow, fixed = cells.expand(study(factors={"space.temperature": {"narrow": {"low": 2, "high": 8}, "four": 4}})).new
    assert narrow.spec.space.temperature == Range(low=2, high=8, log=True)
    assert fixed.spec.space.temperature == 4
    assert MOST_CELLS >= 64
