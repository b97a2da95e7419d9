"""Plugins: models and data sets of installed packages are trained as the project's own, and break nothing but
themselves.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tests import distributions
from tests.trainers import problems
from tests.trainers.test_teacher import put
from thermowell import plugin
from trainers import plugin_codes, run
from trainers.engines import bank_probe
from trainers.engines.engine import Engine
from trainers.errors import DatasetInvalid, ModelUnavailable, TrainingError
from trainers.preprocessing import MEASURED, UNCHANGED, Preprocessing
from trainers.registry import plugins
from trainers.spec import Data, EpochReport, Model, Problem, Teacher, Training
from trainers.zoo import models, weights

Load = Callable[..., plugins.Plugins]


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Load]:
    folder = tmp_path / "site"
    folder.mkdir()
    distributions.write(folder, "acme-kd", distributions.TABLE)
    with distributions.importable(folder) as load:
        yield load


@pytest.fixture
def roots(tmp_path: Path) -> run.Roots:
    return run.Roots(tmp_path / "data", tmp_path / "store")


def problem(data: str, model: str, **changes: Any) -> Problem:
    teacher = Teacher(model=Model(model), training=Training(4, 16), optimizer=problems.SGD)
    fields = {"data": Data(data), "teacher": teacher, "student": Model(model), "views": 1} | changes
    return plugin_codes.complete(problems.problem(**fields))


def test_a_package_is_loaded_where_it_is_named_alone(load: Load) -> None:
    assert not load().records
    for name in ("acme-kd", "ACME_kd", "acme-kd-entry"):
        found = load(name)
        assert not found.errors
        assert ("model", "acme/bag") in found.records
    again = plugins.Plugin.from_document(found.records["dataset", "acme/table"].document())
    assert again == found.records["dataset", "acme/table"]


def test_what_cannot_be_loaded_is_an_error_and_no_more(load: Load, tmp_path: Path) -> None:
    folder = tmp_path / "site"
    distributions.write(folder, "broken-kd", "import nothing_of_that_name")
    distributions.write(folder, "leaving-kd", "raise SystemExit(3)")
    distributions.write(folder, "empty-kd", "")
    distributions.write(folder, "bad-kd", "from thermowell import plugin\n@plugin.model('flat')\ndef flat(): ...")
    found = load("acme-kd", "broken-kd", "leaving-kd", "empty-kd", "bad-kd", "absent-kd")
    assert set(found.errors) == {"broken-kd", "leaving-kd", "empty-kd", "bad-kd", "absent-kd"}
    assert "nothing_of_that_name" in found.errors["broken-kd"]
    assert "acme-kd" in found.errors["absent-kd"]
    assert "owner/name" in found.errors["bad-kd"]
    assert len(found.records) == 6


def test_a_record_of_two_distributions_is_taken_from_neither(load: Load, tmp_path: Path) -> None:
    distributions.write(tmp_path / "site", "other-kd", distributions.TABLE)
    found = load("acme-kd", "other-kd")
    assert not found.records
    assert all("acme-kd" in why and "other-kd" in why for why in found.errors.values())


@pytest.mark.parametrize(
    ("data", "model"), [("acme/table", "acme/wide"), ("acme/words", "acme/bag"), ("acme/table", "mlp")]
)
def test_students_of_a_plugin_learn_in_a_loop_and_in_a_bank_alike(
    load: Load, roots: run.Roots, tmp_path: Path, data: str, model: str
) -> None:
    load("acme-kd")
    ready = run.prepare(problem(data, model), roots)
    assert isinstance(ready, run.Prepared)
    assert ready.facts.validation.accuracy > 0.6
    if model != "mlp":
        assert bank_probe.compare(ready) is None
    choice = run.choose(ready, most_lanes=2, work=4, store=roots.store, force="bank", threads=1)
    assert choice.engine == "bank"
    first, second = (_trained(engine, tmp_path / name) for name, engine in _engines(ready, choice))
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        assert float((tensor - second[name]).abs().max()) < 1e-4


@pytest.mark.parametrize(("model", "words"), [("acme/noisy", "lane 0 of two"), ("acme/reading", "cannot be trained")])
def test_a_student_that_a_bank_trains_otherwise_is_trained_in_the_loop_and_the_reason_said(
    load: Load, roots: run.Roots, model: str, words: str
) -> None:
    load("acme-kd")
    ready = run.prepare(problem("acme/table", model), roots)
    for force in (None, "bank"):
        choice = run.choose(ready, most_lanes=2, work=4, store=roots.store, force=force, threads=1)
        assert choice.engine == "loop"
        assert words in choice.reason


def test_other_code_is_another_problem_and_is_refused_in_its_place(
    load: Load, roots: run.Roots, tmp_path: Path
) -> None:
    load("acme-kd")
    before = problem("acme/table", "acme/wide")
    distributions.write(tmp_path / "site", "acme-kd", distributions.TABLE + "\n# another line\n")
    load("acme-kd")
    after = problem("acme/table", "acme/wide")
    for fingerprint in (Problem.fingerprint, Problem.teacher_fingerprint, Problem.initial_fingerprint):
        assert fingerprint(before) != fingerprint(after)
    with pytest.raises(ModelUnavailable, match="not the code that the job began with"):
        run.prepare(before, roots)


@pytest.mark.parametrize(
    ("data", "model", "words"),
    [
        ("acme/nothing", "mlp", "did you mean|there are acme/table"),
        ("acme/table", "acme/nothing", "THERMOWELL_PLUGINS"),
        ("acme/words", "mlp", "tokens"),
        ("acme/words", "acme/wide", "takes numbers"),
        ("acme/table", "acme/bag", "takes tokens"),
        ("acme/table", "cnn", "takes images"),
        ("acme/table", "resnet18", "takes images"),
    ],
)
def test_what_does_not_go_together_is_refused_with_the_way_out(
    load: Load, roots: run.Roots, data: str, model: str, words: str
) -> None:
    load("acme-kd")
    with pytest.raises(TrainingError, match=words):
        run.prepare(problem(data, model), roots)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("raise OSError('no such table')", "no such table"),
        ("return np.zeros((3, 2)), np.array([0, 1, 2])", "0 .. 1"),
        ("return np.zeros((3, 2)), np.array([0, 1])", "one for each"),
        ("return np.full((3, 2), np.nan), np.array([0, 1, 0])", "finite"),
    ],
)
def test_a_data_set_that_is_not_what_it_says_is_refused(
    load: Load, roots: run.Roots, tmp_path: Path, body: str, words: str
) -> None:
    source = "import numpy as np\nfrom thermowell import plugin\n"
    source += f"@plugin.dataset('own/set', classes=2, inputs='features')\ndef own(root, part):\n    {body}\n"
    distributions.write(tmp_path / "site", "own-kd", source)
    load("own-kd")
    with pytest.raises(DatasetInvalid, match=words):
        run.prepare(problem("own/set", "mlp"), roots)


def test_declarations_that_cannot_be_meant_are_refused() -> None:
    for name, arguments in (
        ("a/b", {"classes": 1}),
        ("a/b", {"classes": 2, "inputs": "tokens"}),
        ("a/b", {"classes": 2, "inputs": "sounds"}),
        ("ab", {"classes": 2}),
        ("a/b", {"classes": 2, "class_names": ["one"]}),
    ):
        with pytest.raises(ValueError, match=name):
            plugin.dataset(name, **arguments)


@pytest.mark.slow
def test_processes_load_the_plugins_of_their_parent(
    load: Load, roots: run.Roots, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'site'}:{Path(__file__).parents[2]}")
    load("acme-kd")
    ready = run.prepare(problem("acme/table", "acme/wide"), roots)
    choice = run.choose(ready, most_lanes=2, work=4, store=roots.store, force="processes", threads=2)
    loop = _trained(run.open_engine(ready, 1), tmp_path / "loop")
    children = _trained(run.open_engine(ready, choice), tmp_path / "processes")
    assert all(tensor.equal(children[name]) for name, tensor in loop.items())


def _engines(ready: run.Ready, choice: run.Choice) -> list[tuple[str, Engine]]:
    return [("loop", run.open_engine(ready, 1)), ("bank", run.open_engine(ready, choice))]


def _trained(engine: Engine, path: Path) -> dict[str, Any]:
    """A student's weights after all of its epochs."""
    try:
        lane = engine.admit(problems.assignment())
        for _ in range(3):
            (report,) = engine.step_epoch()
            assert isinstance(report, EpochReport)
        engine.save_student(lane, path)
    finally:
        engine.close()
    return weights.load(path)


TWICE = """
import torch
from torch import nn
from thermowell import plugin

@plugin.model("acme/net")
def first(shape, classes):
    return nn.Linear(shape[0], classes)

also = first

@plugin.model("acme/net")
def second(shape, classes):
    return nn.Linear(shape[0], classes)

@plugin.model("acme/alone")
def alone(shape, classes):
    return nn.Linear(shape[0], classes)
"""


def test_a_record_that_a_distribution_has_twice_is_not_taken(load: Load, tmp_path: Path) -> None:
    distributions.write(tmp_path / "site", "acme-two", TWICE)
    found = load("acme-two")
    assert found.errors == {"acme/net": "acme-two has two of that name: rename one"}
    assert found.records.keys() == {("model", "acme/alone")}


EMPTY = """
import numpy as np
from thermowell import plugin

@plugin.dataset("acme/none", classes=2, inputs="KIND"VOCABULARY)
def none(root, part):
    return np.zeros(SHAPE, dtype=np.uint8), np.zeros(SHAPE[0], dtype=int)
"""


@pytest.mark.parametrize("kind", ["images", "features", "tokens"])
@pytest.mark.parametrize("shape", ["(0, 3, 4, 4)", "(9, 3, 0, 4)"])
def test_a_set_without_examples_is_refused(load: Load, tmp_path: Path, roots: run.Roots, kind: str, shape: str) -> None:
    source = EMPTY.replace("KIND", kind).replace("SHAPE[0]", shape[1]).replace("SHAPE", shape)
    distributions.write(
        tmp_path / "site", "acme-none", source.replace("VOCABULARY", ", vocabulary=3" * (kind == "tokens"))
    )
    assert not load("acme-none").errors
    with pytest.raises(DatasetInvalid, match="there must be one or more"):
        run.prepare(problem("acme/none", "mlp"), roots, "cpu")


LAZY = """
import warnings
from torch import nn
from thermowell import plugin

@plugin.model("acme/lazy", arguments={"width": plugin.Parameter("int", 8, 2, 64, "units")})
def lazy(shape, classes, *, width):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        first, norm = nn.LazyLinear(width), nn.LazyBatchNorm1d()
    return nn.Sequential(nn.Flatten(), first, norm, nn.ReLU(), nn.Linear(width, classes))
"""


def test_weights_that_find_their_shape_are_given_it(load: Load, tmp_path: Path, roots: run.Roots) -> None:
    distributions.write(tmp_path / "site", "acme-lazy", LAZY)
    load("acme-kd", "acme-lazy")
    built = models.build(Model("acme/lazy"), 6, (), 3, seed=1)
    assert built.training
    assert built.state_dict()["1.weight"].shape == (8, 6)
    assert int(built.state_dict()["2.num_batches_tracked"]) == 0
    again = models.build(Model("acme/lazy"), 6, (), 3, seed=1).state_dict()
    assert all(torch.equal(again[name], tensor) for name, tensor in built.state_dict().items())
    ready = run.prepare(problem("acme/table", "acme/lazy"), roots, "cpu")
    assert ready.facts.validation.accuracy > 0.4


@pytest.mark.parametrize("preparation", [None, MEASURED, UNCHANGED])
def test_weights_of_examples_that_are_no_images_see_them_as_students_do(
    load: Load, roots: run.Roots, preparation: Preprocessing | None
) -> None:
    load("acme-kd")
    state = models.build(Model("acme/wide"), 6, (), 3, seed=1).state_dict()
    given = Teacher("weights", Model("acme/wide"), artifact=put(roots.store, state), preprocessing=preparation)
    ready = run.prepare(problem("acme/table", "acme/wide", teacher=given), roots, "cpu")
    assert isinstance(ready, run.Prepared)
    model = models.build(Model("acme/wide"), 6, (), 3, seed=1).eval()
    with torch.no_grad():
        expected = model(ready.normalise(ready.validation_images))
    assert torch.allclose(ready.validation_logits, expected, atol=1e-5)
    other = dataclasses.replace(given, preprocessing=Preprocessing("half"))
    with pytest.raises(TrainingError, match=r"teacher\.preprocessing is of images, and the examples are features"):
        run.prepare(problem("acme/table", "acme/wide", teacher=other), roots, "cpu")
