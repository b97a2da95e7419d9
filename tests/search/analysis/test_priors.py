"""Distances of contexts, the literature's table, and the points that a search begins with."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from search.analysis.priors import literature
from search.analysis.priors.context import (
    FEATURES,
    UNKNOWN,
    Context,
    as_json,
    describe_feature,
    differences,
    distance,
    kind_of,
    of_spec,
)
from search.analysis.priors.evidence import Evidence, Settings, from_winner
from search.analysis.priors.points import MOST, first_points, how_many, weight
from search.errors import LiteratureInvalid
from search.spec.fields import Choices, Range
from search.spec.job import SpaceSpec
from tests.search import factories
from trainers.spec import Configuration, Optimizer

KNOWN = Context(
    data="digits",
    classes=10,
    train_images=600,
    optimizers=("sgd",),
    epochs=20,
    batch_size=64,
    label_smoothing=0.0,
    teacher_entropy=0.2,
    student="dense",
    student_init="random",
    metric="accuracy",
)
contexts = st.builds(
    Context,
    data=st.sampled_from([None, "digits", "CIFAR100"]),
    classes=st.none() | st.integers(2, 10_000),
    train_images=st.none() | st.integers(1, 10**9),
    optimizers=st.lists(st.sampled_from(["sgd", "adam", "adamw"]), unique=True).map(tuple),
    epochs=st.none() | st.integers(1, 10**6),
    batch_size=st.none() | st.integers(1, 65_536),
    label_smoothing=st.none() | st.floats(0, 0.99),
    teacher_entropy=st.none() | st.floats(0, 10),
    student=st.sampled_from([None, "dense", "convolutional", "transformer"]),
    student_init=st.sampled_from([None, "random", "pretrained"]),
    metric=st.sampled_from([None, "accuracy", "nll", "ece"]),
)
positive = st.floats(1e-6, 1e4)
settings = st.builds(
    Settings,
    kd_weight=st.none() | st.floats(0, 100),
    label_weight=st.none() | st.floats(0, 100),
    optimizer=st.sampled_from([None, "sgd", "adam", "adamw"]),
    learning_rate=st.none() | positive,
    weight_decay=st.none() | st.floats(0, 1),
    momentum=st.none() | st.floats(0, 0.99),
)
SPACES = [
    SpaceSpec(),
    SpaceSpec.model_validate({"temperature": 4.0, "kd_weight": 0.9, "optimizer": {"adam": {"learning_rate": 0.01}}}),
    SpaceSpec.model_validate({"label_weight": {"low": 0.5, "high": 2}, "kd_weight": {"low": 0.5, "high": 8}}),
    SpaceSpec.model_validate(
        {"temperature": [1, 1.5, 4, 40], "kd_weight": [0.5, 0.9, 1.0], "optimizer": {"adamw": {}}}
    ),
    SpaceSpec.model_validate({"optimizer": {"sgd": {"momentum": {"low": 0.0, "high": 0.95}, "weight_decay": 0.0}}}),
]


@st.composite
def evidences(draw: st.DrawFn) -> Evidence:
    temperatures = sorted(draw(st.lists(positive, min_size=1, max_size=4, unique=True)))
    share = 1 / len(temperatures)
    return Evidence(
        origin=draw(st.sampled_from(["literature", "history"])),
        source="somebody",
        how="read",
        context=draw(contexts),
        temperature=temperatures[0],
        spread=tuple((one, share) for one in temperatures),
        settings=draw(settings),
        strength=draw(st.floats(0.01, 1)),
    )


def inside(space: SpaceSpec, configuration: Configuration) -> bool:
    """Whether the space allows this very configuration."""
    own = space.optimizers()[configuration.optimizer.name]
    pairs: list[tuple[Any, float]] = [
        (space.temperature, configuration.temperature),
        (space.kd_weight, configuration.kd_weight),
        (1 - configuration.kd_weight if space.label_weight is None else space.label_weight, configuration.label_weight),
        (own.learning_rate, configuration.optimizer.learning_rate),
        (own.weight_decay, configuration.optimizer.weight_decay),
        (getattr(own, "momentum", 0.0), configuration.optimizer.momentum),
    ]

    def allowed(searched: Any, value: float) -> bool:
        if isinstance(searched, Choices):
            return value in searched.values
        return searched.low <= value <= searched.high if isinstance(searched, Range) else bool(searched == value)

    return all(allowed(searched, value) for searched, value in pairs)


@given(contexts, contexts)
def test_a_distance_is_symmetric_and_the_sum_of_its_features(one: Context, other: Context) -> None:
    parts = differences(one, other)
    assert [part.feature for part in parts] == list(FEATURES)
    assert all(part.distance >= 0 for part in parts)
    assert distance(one, other) == pytest.approx(sum(part.distance for part in parts))
    assert distance(one, other) == pytest.approx(distance(other, one))


@given(contexts)
def test_nothing_is_far_from_itself_but_what_is_unknown(one: Context) -> None:
    unknown = sum(describe_feature(one, feature) is None for feature in FEATURES if feature != "teacher_sharpness")
    unknown += one.teacher_entropy is None or one.classes is None
    assert distance(one, one) == pytest.approx(UNKNOWN * unknown)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"classes": 100}, 1.0),
        ({"train_images": 60_000}, 1.0),
        ({"epochs": 200}, 1.0),
        ({"batch_size": 640}, 0.5),
        ({"optimizers": ("adamw",)}, 1.0),
        ({"optimizers": ("adamw", "sgd")}, 0.0),
        ({"label_smoothing": 0.1}, 1.0),
        ({"label_smoothing": 0.5}, 1.0),
        ({"teacher_entropy": 0.2 + 0.1 * math.log(10)}, 0.4),
        ({"student": "convolutional"}, 0.5),
        ({"student_init": "pretrained"}, 0.5),
        ({"metric": "nll"}, 0.5),
        ({"data": "MNIST"}, 0.5),
        ({"epochs": None}, UNKNOWN),
    ],
)
def test_what_one_unit_means(change: dict[str, Any], expected: float) -> None:
    changed = dataclasses.replace(KNOWN, **change)
    feature_classes = 4 * 0.2 * abs(1 / math.log(10) - 1 / math.log(100)) if "classes" in change else 0.0
    assert distance(KNOWN, changed) == pytest.approx(expected + feature_classes)


@given(evidences(), st.floats(0.1, 3))
def test_a_weight_falls_with_the_distance(evidence: Evidence, decades: float) -> None:
    near = dataclasses.replace(evidence, context=KNOWN)
    far = dataclasses.replace(evidence, context=dataclasses.replace(KNOWN, epochs=int(20 * 10**decades)))
    assert weight(KNOWN, near) == pytest.approx(evidence.strength)
    assert 0 < weight(KNOWN, far) < weight(KNOWN, near)


def test_a_job_has_a_context() -> None:
    spec = factories.spec()
    context = of_spec(spec)
    assert context == Context(
        data="digits",
        classes=10,
        train_images=1797 - round(0.4 * 1797),
        optimizers=("sgd", "adamw"),
        epochs=factories.EPOCHS,
        batch_size=64,
        label_smoothing=0.0,
        student="dense",
        student_init="random",
        metric="accuracy",
    )
    facts = {"classes": 10, "train_images": 1078, "validation": {"teacher_entropy": 0.3}}
    assert of_spec(spec, facts).teacher_entropy == 0.3
    assert "teacher_entropy" not in as_json(context)
    assert kind_of("timm:vit_tiny_patch16_224") == "transformer"
    assert kind_of("resnet") == "convolutional"


@pytest.mark.parametrize(
    ("dataset", "classes"),
    [
        ({"name": "CIFAR100"}, 100),
        ({"name": "CIFAR100", "classes": "coarse"}, 20),
        ({"name": "digits", "classes": {"map": [0, 1, 0, 1, 0, 1, 0, 1, 0, 2]}}, 3),
        ({"name": "digits", "classes": {"clusters": 4}}, 4),
    ],
)
def test_a_context_has_the_classes_that_the_job_trains_on(dataset: dict[str, Any], classes: int) -> None:
    assert of_spec(factories.spec(dataset=dataset)).classes == classes


def test_a_student_that_has_seen_something_is_no_random_one() -> None:
    seen = {"training": {"epochs": 2}, "optimizer": {"name": "adamw", "learning_rate": 0.01}}
    student = factories.spec().student.model_dump(exclude_none=True)
    spec = factories.spec(student=student | {"initial": {"source": "trained"} | seen})
    assert of_spec(spec).student_init == "pretrained"
    assert of_spec(factories.spec(student=student | {"initial": {"source": "random"}})).student_init == "random"


def test_the_packaged_table_names_its_sources() -> None:
    rows = literature.rows()
    assert len(rows) > 20
    assert all(row.reference for row in rows if row.how == "read" and row.kind == "default")
    by_id = {row.id: row for row in rows}
    assert by_id["mdistiller-cifar100"].temperature == 4
    assert by_id["beyer-imagenet"].temperature == 1
    plain, smoothed = by_id["ls-kd-plain-teacher"], by_id["ls-kd-smoothed-teacher"]
    assert plain.as_good
    assert not smoothed.as_good
    for evidence in literature.evidence():
        assert sum(share for _, share in evidence.spread) == pytest.approx(1)
        assert evidence.temperature in dict(evidence.spread)


def row(**changes: Any) -> dict[str, Any]:
    base = {"id": "ours", "source": "Our own sweep", "how": "read", "kind": "sweep", "context": {}, "temperature": 7}
    return base | changes


def test_an_operators_rows_come_beside_or_in_place_or_alone(tmp_path: Path) -> None:
    file = tmp_path / "table.yaml"
    file.write_text(yaml.safe_dump({"version": 1, "rows": [row(), row(id="keras-api", temperature=8)]}))
    rows = {one.id: one for one in literature.rows(file)}
    assert len(rows) == len(literature.rows()) + 1
    assert (rows["ours"].temperature, rows["keras-api"].temperature) == (7, 8)
    file.write_text(yaml.safe_dump({"version": 1, "only": True, "rows": [row()]}))
    assert [one.id for one in literature.rows(file)] == ["ours"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("rows: [", "no YAML"),
        ("[1, 2]", "no table"),
        (yaml.safe_dump({"version": 1, "rows": [row(temperature=-1)]}), r"rows\.0\.temperature"),
        (yaml.safe_dump({"version": 1, "rows": [row(reference="javascript:alert(1)")]}), r"rows\.0\.reference"),
        (yaml.safe_dump({"version": 1, "rows": [row(context={"optimiser": "sgd"})]}), r"context\.optimiser"),
        (yaml.safe_dump({"version": 1, "rows": [row(), row()]}), "more than one row ours"),
        ("!!python/object/apply:os.system ['true']", "no YAML"),
    ],
)
def test_a_table_that_is_wrong_says_where(tmp_path: Path, content: str, says: str) -> None:
    file = tmp_path / "table.yaml"
    file.write_text(content)
    with pytest.raises(LiteratureInvalid, match=says):
        literature.rows(file)


def test_a_table_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(LiteratureInvalid, match="cannot be read"):
        literature.rows(tmp_path / "none.yaml")


def winner(temperature: float = 4.0, rate: float = 0.05, name: Any = "sgd") -> Configuration:
    return Configuration(
        temperature=temperature,
        kd_weight=0.9,
        label_weight=0.1,
        optimizer=Optimizer(name, rate, 1e-4, 0.9 if name == "sgd" else 0.0),
    )


def test_a_job_says_its_winner_and_all_that_was_as_good() -> None:
    said = from_winner(KNOWN, winner(), [(1.0, 2.0), (8.0, 32.0)], source="a job")
    assert sum(share for _, share in said.spread) == pytest.approx(1)
    assert dict(said.spread)[4.0] == 0.5
    low = sum(share for temperature, share in said.spread if temperature <= 2)
    high = sum(share for temperature, share in said.spread if temperature >= 8)
    assert high > low > 0  # by their lengths on a logarithmic scale: 1 to 2
    assert from_winner(KNOWN, winner(), [], source="a job").spread == ((4.0, 1.0),)


@given(
    contexts, st.lists(evidences(), max_size=6), st.sampled_from(SPACES), st.integers(0, 8), st.integers(0, 2**31 - 1)
)
def test_first_points_lie_in_the_space_and_end_with_its_own_draw(
    context: Context, evidence: list[Evidence], space: SpaceSpec, n: int, seed: int
) -> None:
    points = first_points(context, evidence, space, n, seed)
    assert len(points) in (range(2, n + 1) if n > 1 and evidence else [0])
    assert all(inside(space, point.configuration) for point in points)
    assert first_points(context, evidence, space, n, seed) == points
    assert [point.origin for point in points].count("space") == (1 if points else 0)
    assert not points or points[-1].origin == "space"


def test_another_seed_draws_another_point() -> None:
    said = from_winner(KNOWN, winner(), [], source="a job")
    drawn = {first_points(KNOWN, [said], SpaceSpec(), 2, seed)[1].configuration for seed in range(20)}
    assert len(drawn) == 20


def test_the_nearer_the_evidence_the_more_points() -> None:
    """One job in the very setting has a say of 1 - 1/e; one that is far has the one point that anybody has."""
    wide = [(1.0, 40.0)]

    def begun(epochs: int, jobs: int = 1) -> int:
        context = dataclasses.replace(KNOWN, epochs=epochs)
        said = [from_winner(context, winner(2.0 + n, 0.01 * 2**n), wide, source=f"job {n}") for n in range(jobs)]
        return len(first_points(KNOWN, said, SpaceSpec(), 8, 0)) - 1

    assert begun(20) == math.ceil(7 * (1 - math.exp(-1)))
    assert begun(200) == math.ceil(7 * (1 - math.exp(-math.exp(-1))))
    assert begun(2_000_000) == 1
    assert begun(20, jobs=4) == 7


def test_the_first_point_is_the_heaviest_sources_and_the_next_are_elsewhere() -> None:
    near = from_winner(KNOWN, winner(6.0), [], source="near")
    same = from_winner(dataclasses.replace(KNOWN, epochs=21), winner(5.9), [], source="nearly the same")
    far = from_winner(dataclasses.replace(KNOWN, epochs=2000), winner(30.0, 0.5), [], source="far")
    points = first_points(KNOWN, [far, same, near], SpaceSpec(), 3, 0)
    assert [point.source for point in points[:2]] == ["near", "far"]
    assert points[0].configuration.temperature == 6.0
    assert points[0].configuration.optimizer == winner(6.0).optimizer
    assert points[0].distance == 0


def test_a_misleading_source_takes_no_more_than_its_share() -> None:
    assert how_many(0.125, 64, 10) == 8
    assert how_many(0.125, 16, 10) == 2
    assert how_many(0.125, 15, 10) == 0  # a single point would leave no room for a draw
    assert how_many(0.5, 1000, 10) == MOST
    assert how_many(0.5, 1000, 3) == 3
    assert how_many(0.1, 20, 10) == 2


def test_adam_speaks_for_adamw_but_not_of_its_weight_decay() -> None:
    space = SpaceSpec.model_validate({"optimizer": {"adamw": {"weight_decay": {"low": 0.01, "high": 0.1}}}})
    said = from_winner(KNOWN, winner(name="adam", rate=0.02), [], source="a job")
    [point, _] = first_points(KNOWN, [said], space, 2, 0)
    assert (point.configuration.optimizer.name, point.configuration.optimizer.learning_rate) == ("adamw", 0.02)
    assert point.configuration.optimizer.weight_decay >= 0.01


def test_the_ratio_of_the_weights_is_what_counts_where_the_label_weight_follows() -> None:
    said = Evidence(
        "literature", "a paper", "read", KNOWN, 2.0, ((2.0, 1.0),), Settings(kd_weight=6.0, label_weight=2.0)
    )
    [point, _] = first_points(KNOWN, [said], SpaceSpec(), 2, 0)
    assert (point.configuration.kd_weight, point.configuration.label_weight) == (0.75, 0.25)


def test_a_list_takes_the_value_that_is_nearest_on_its_scale() -> None:
    space = SpaceSpec.model_validate({"temperature": [1, 4, 16, 40], "optimizer": {"sgd": {}}})
    for said, listed in ((1.9, 1.0), (2.1, 4.0), (25.0, 16.0), (26.0, 40.0), (900.0, 40.0)):
        [point, _] = first_points(KNOWN, [from_winner(KNOWN, winner(said), [], source="a job")], space, 2, 0)
        assert point.configuration.temperature == listed
