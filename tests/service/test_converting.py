"""A spec from other projects' files: what was exported comes back with the same settings, and the rest is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from search.errors import SpecInvalid
from search.spec.job import JobSpec
from search.spec.parsing import parse_spec
from service import cli
from service.exports import from_mdistiller, from_torchdistill, mdistiller, torchdistill
from service.exports.conversion import Conversion, FileUnknown
from service.exports.winner import Winner
from service.terminal.console import Exit
from tests.service import server_fixtures
from trainers.spec import Configuration, Optimizer

SGD = Optimizer("sgd", 0.05, 5e-4, 0.9)
SCHEDULES: tuple[dict[str, Any], ...] = (
    {"name": "constant"},
    {"name": "step", "step_epochs": [2, 7], "step_factor": 0.2},
)
NETWORKS = st.sampled_from(
    [
        {"name": "resnet", "arguments": {"depth": 20, "width": 1}},
        {"name": "resnet", "arguments": {"depth": 110, "width": 1}},
        {"name": "wrn", "arguments": {"depth": 40, "width": 2}},
        {"name": "wrn", "arguments": {"depth": 16, "width": 1}},
    ]
)
SETTINGS = st.tuples(st.floats(1e-4, 1.0), st.floats(1e-6, 0.1))
TRAININGS = st.tuples(st.integers(10, 300), st.integers(1, 512), st.sampled_from(SCHEDULES))
WEIGHTS = st.tuples(st.floats(0.05, 4), st.floats(0.05, 2))


def configured(temperature: float, weights: tuple[float, float], optimizer: Optimizer) -> Configuration:
    return Configuration(temperature=temperature, kd_weight=weights[0], label_weight=weights[1], optimizer=optimizer)


def exported(model: dict[str, Any], configuration: Configuration, training: tuple[int, int, Any]) -> Winner:
    epochs, batch, schedule = training
    spec = server_fixtures.document(
        "exported",
        dataset={"name": "CIFAR100", "augmentation": "crop_flip"},
        student=model,
        teacher={"model": model, "training": {"epochs": 2}, "optimizer": {"name": "sgd"}},
        training={"epochs": epochs, "batch_size": batch, "schedule": schedule},
    )
    return Winner(JobSpec.model_validate(spec), configuration, "0" * 16, "A summary.", 100)


def same(conversion: Conversion, winner: Winner) -> None:
    """The spec's fixed settings are the winner's, its first trial has the winner's T, and T is searched."""
    spec = parse_spec(conversion.text("theirs", "theirs.yaml"), "yaml")
    parts, of_winner = spec.built_in_parts, winner.spec.built_in_parts
    assert (parts.dataset.name, parts.dataset.augmentation) == (of_winner.dataset.name, of_winner.dataset.augmentation)
    assert (parts.student.name, completed(parts.student)) == (of_winner.student.name, completed(of_winner.student))
    assert parts.teacher.model is not None
    assert completed(parts.teacher.model) == completed(of_winner.student)
    assert spec.training == winner.spec.training
    configuration, optimizer = winner.configuration, winner.configuration.known_optimizer
    assert spec.warm_start.points[0].temperature == pytest.approx(configuration.temperature)
    assert spec.space.kd_weight == pytest.approx(configuration.kd_weight)
    assert spec.space.label_weight == pytest.approx(configuration.label_weight)
    [(name, space)] = spec.space.optimizers().items()
    assert name == optimizer.name
    assert {key: getattr(optimizer, key) for key in space.numbers()} == pytest.approx(space.numbers())


def completed(model: Any) -> dict[str, Any]:
    return {"width": 1} | {key: value for key, value in model.arguments.items() if key != "dropout"}


@settings(max_examples=25, deadline=None, phases=[Phase.generate], suppress_health_check=[HealthCheck.too_slow])
@given(
    model=NETWORKS, training=TRAININGS, numbers=SETTINGS, weights=WEIGHTS, temperature=st.floats(0.5, 60),
    momentum=st.sampled_from([0.0, 0.5, 0.9, 0.99]), adaptive=st.booleans(),
)  # fmt: skip
def test_what_torchdistill_is_given_comes_back(
    model: dict[str, Any],
    training: Any,
    numbers: Any,
    weights: Any,
    temperature: float,
    momentum: float,
    adaptive: bool,
) -> None:
    optimizer = Optimizer("adamw", *numbers) if adaptive else Optimizer("sgd", *numbers, momentum)
    winner = exported(model, configured(temperature, weights, optimizer), training)
    same(from_torchdistill.convert(torchdistill.export(winner)), winner)


@settings(max_examples=25, deadline=None, phases=[Phase.generate], suppress_health_check=[HealthCheck.too_slow])
@given(
    model=NETWORKS, training=TRAININGS, numbers=SETTINGS, weights=WEIGHTS, temperature=st.integers(1, 60),
    momentum=st.sampled_from([0.0, 0.5, 0.9, 0.99]),
)  # fmt: skip
def test_what_mdistiller_is_given_comes_back(
    model: dict[str, Any], training: Any, numbers: Any, weights: Any, temperature: int, momentum: float
) -> None:
    configuration = configured(float(temperature), weights, Optimizer("sgd", *numbers, momentum))
    winner = exported(model, configuration, training)
    same(from_mdistiller.convert(mdistiller.export(winner)), winner)


def plain(temperature: float = 4.0) -> Winner:
    configuration = configured(temperature, (0.9, 0.1), SGD)
    return exported({"name": "resnet", "arguments": {"depth": 20}}, configuration, (20, 64, SCHEDULES[0]))


def test_labels_without_weight_come_back_from_torchdistill() -> None:
    winner = exported(
        {"name": "resnet", "arguments": {"depth": 20}},
        configured(3.0, (0.7, 0.0), SGD),
        (20, 64, SCHEDULES[1]),
    )
    same(from_torchdistill.convert(torchdistill.export(winner)), winner)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"DISTILLER": {"TYPE": "CRD", "TEACHER": "resnet56", "STUDENT": "vgg8"}}, ["The method CRD", "vgg8"]),
        ({"CRD": {"LOSS": {}}}, ["Not taken over: CRD."]),
        ({"DATASET": {"TYPE": "tiny_imagenet"}}, ["The data set tiny_imagenet is not known here"]),
    ],
)
def test_what_mdistiller_says_beyond_a_spec_is_named(change: dict[str, Any], says: list[str]) -> None:
    document = yaml.safe_load(mdistiller.export(plain())) | change
    unsaid = " ".join(from_mdistiller.convert(yaml.safe_dump(document)).unsaid)
    assert [word for word in says if word not in unsaid] == []


@pytest.mark.parametrize(
    "text", ["a: [", "a: 2001-99-99", "[]", "models: {}\ntrain: {}\ndatasets: {}", "DISTILLER: {}\nSOLVER: {}", "1"]
)
@pytest.mark.parametrize("convert", [from_torchdistill.convert, from_mdistiller.convert])
def test_another_file_is_refused_and_says_what_is_needed(convert: Any, text: str) -> None:
    with pytest.raises(FileUnknown, match=r"needs|must be"):
        convert(text)


@pytest.mark.parametrize("project", [torchdistill, mdistiller])
def test_their_files_are_recognised_and_converted_by_the_command_line(project: Any, tmp_path: Path) -> None:
    name = project.__name__.rpartition(".")[2]
    file = tmp_path / "theirs.yaml"
    file.write_text(project.export(plain()))
    with pytest.raises(SpecInvalid, match=f"`thermowell spec from {name} FILE`"):
        parse_spec(file.read_bytes(), "yaml")
    done = CliRunner().invoke(cli.build(), ["spec", "from", name, str(file)])
    assert done.exit_code == Exit.OK, done.output
    spec = parse_spec(done.stdout, "yaml")
    assert spec.warm_start.points[0].temperature == 4.0
    assert "loads a teacher that was trained before" in " ".join(done.stdout.split("\n# "))
    other = CliRunner().invoke(cli.build(), ["spec", "from", name, str(Path(__file__))])
    assert other.exit_code == Exit.FAILED
