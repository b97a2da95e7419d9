"""Losses, optimizers and augmentations of plugins train as the registry's own do: in a loop, in a bank where two lanes
agree, and on from a checkpoint, with the fingerprint of their code in what is derived from them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests import distributions
from tests.trainers import problems
from thermowell import plugin
from trainers import plugin_check, plugin_codes, run
from trainers.data import datasets, plugin_views
from trainers.engines import bank_probe
from trainers.engines.bank import BankEngine
from trainers.engines.engine import Engine
from trainers.engines.loop import LoopEngine
from trainers.errors import DatasetInvalid, NameUnknown
from trainers.registry import plugins
from trainers.spec import Assignment, Data, Distillation, EpochReport, Optimizer
from trainers.zoo import weights

DIGITS = Data("digits", train_size=192)
HEAVY = Optimizer("acme/heavy", 0.05, weight_decay=1e-3, momentum=0.9)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    distributions.write(folder, "acme-kd", distributions.ARITHMETIC)
    return folder


@pytest.fixture(autouse=True)
def load(site: Path) -> Iterator[Callable[..., plugins.Plugins]]:
    with distributions.importable(site) as load:
        load("acme-kd")
        yield load
    distributions.write(site, "acme-kd", distributions.ARITHMETIC)


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> run.Roots:
    folder = tmp_path_factory.mktemp("store")
    return run.Roots(folder / "data", folder / "store")


def prepared(roots: run.Roots, complete: bool = True, **changes: Any) -> run.Prepared:
    problem = problems.problem(**({"data": DIGITS, "views": 1} | changes))
    ready = run.prepare(plugin_codes.complete(problem) if complete else problem, roots)
    assert isinstance(ready, run.Prepared)
    return ready


def trained(engine: Engine, path: Path, optimizer: Optimizer = problems.SGD) -> dict[str, Tensor]:
    """A student's weights after two epochs."""
    configuration = replace(problems.assignment().configuration, optimizer=optimizer)
    lane = engine.admit(Assignment("0", configuration, seed=3))
    for _ in range(2):
        (report,) = engine.step_epoch()
        assert isinstance(report, EpochReport)
    engine.save_student(lane, path)
    return weights.load(path)


def apart(first: dict[str, Tensor], second: dict[str, Tensor]) -> float:
    return max(float((tensor - second[name]).abs().max()) for name, tensor in first.items())


def test_a_loss_is_what_it_computes_in_the_loop_and_in_a_bank(roots: run.Roots, tmp_path: Path) -> None:
    plain, own = prepared(roots), prepared(roots, distillation=Distillation("acme/soft"))
    assert bank_probe.refusal(own) is None
    expected = trained(LoopEngine(plain), tmp_path / "kl")
    assert apart(expected, trained(LoopEngine(own), tmp_path / "loop")) < 1e-6
    assert apart(expected, trained(BankEngine(own, 2), tmp_path / "bank")) < 1e-5
    doubled = prepared(roots, distillation=Distillation("acme/soft", alpha=2.0))
    assert apart(expected, trained(LoopEngine(doubled), tmp_path / "doubled")) > 1e-3


def test_an_optimizer_is_what_it_computes_in_the_loop_and_in_a_bank(roots: run.Roots, tmp_path: Path) -> None:
    ready = prepared(roots, optimizers=(("acme/heavy", None),))
    assert bank_probe.refusal(ready) is None
    sgd = replace(HEAVY, name="sgd")
    expected = trained(LoopEngine(ready), tmp_path / "sgd", sgd)
    assert apart(expected, trained(LoopEngine(ready), tmp_path / "loop", HEAVY)) < 1e-6
    assert apart(expected, trained(BankEngine(ready, 2), tmp_path / "bank", HEAVY)) < 1e-5


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"distillation": Distillation("acme/reading")}, "two lanes cannot be trained"),
        ({"optimizers": (("acme/normed", None),)}, "with acme/normed: lane 0 of two"),
    ],
)
def test_what_no_bank_agrees_on_is_trained_in_the_loop_and_the_reason_said(
    roots: run.Roots, changes: dict[str, Any], words: str
) -> None:
    choice = run.choose(prepared(roots, **changes), most_lanes=2, work=4, store=roots.store, force="bank", threads=1)
    assert choice.engine == "loop"
    assert words in choice.reason


def test_a_student_goes_on_from_a_checkpoint_as_if_it_had_never_stopped(roots: run.Roots, tmp_path: Path) -> None:
    ready = prepared(roots, optimizers=(("acme/heavy", None),))
    configuration = replace(problems.assignment().configuration, optimizer=HEAVY)
    student, engine = Assignment("0", configuration, seed=3), LoopEngine(ready)
    engine.admit(student)
    engine.step_epoch()
    engine.save_lane(0, tmp_path / "checkpoint")
    resumed = LoopEngine(ready)
    resumed.admit(student, tmp_path / "checkpoint")
    resumed.step_epoch()
    resumed.save_student(0, tmp_path / "resumed")
    assert apart(trained(LoopEngine(ready), tmp_path / "whole", HEAVY), weights.load(tmp_path / "resumed")) == 0


def test_an_augmentation_makes_the_views_that_teacher_and_student_see(roots: run.Roots) -> None:
    images = datasets.load(DIGITS, roots.data).train.images
    first, second = plugin_views.draw("acme/grain", images, 0, 2)
    assert not first.equal(second)
    assert plugin_views.draw("acme/grain", images, 0, 1)[0].equal(first)
    assert not plugin_views.draw("acme/grain", images, 1, 1)[0].equal(first)
    ready = prepared(roots, data=replace(DIGITS, augmentation="acme/grain"), views=2)
    numbers = torch.tensor([5, 1])
    assert torch.equal(ready.views.batch(1, numbers), ready.normalise(second[numbers]))
    assert not torch.equal(ready.train_logits[0], ready.train_logits[1])
    with pytest.raises(DatasetInvalid, match="as the images are"):
        prepared(roots, data=replace(DIGITS, augmentation="acme/flat"))


def test_arguments_of_a_data_set_are_its_own(roots: run.Roots) -> None:
    few = Data("acme/sums", arguments={"rows": 100})
    assert len(datasets.load(few, roots.data).train.labels) == 60
    assert len(datasets.load(Data("acme/sums"), roots.data).train.labels) == 180
    with pytest.raises(DatasetInvalid, match="rows must be between 10 and 1000"):
        datasets.load(Data("acme/sums", arguments={"rows": 1}), roots.data)


def test_other_code_is_another_problem_and_is_refused_in_its_place(
    site: Path, roots: run.Roots, load: Callable[..., plugins.Plugins]
) -> None:
    named = problems.problem(
        data=replace(DIGITS, augmentation="acme/grain"),
        distillation=Distillation("acme/soft"),
        optimizers=(("acme/heavy", None),),
    )
    before = plugin_codes.complete(named)
    distributions.write(site, "acme-kd", distributions.ARITHMETIC + "\n# another line\n")
    load("acme-kd")
    after = plugin_codes.complete(named)
    assert before.fingerprint() != after.fingerprint()
    assert before.teacher_fingerprint() != after.teacher_fingerprint()
    assert before.distillation.code != after.distillation.code
    assert before.optimizers != after.optimizers
    codes = {plugin_codes.code_of(kind, name) for kind, name in plugin_codes.names(named)}
    assert codes == {after.distillation.code}, "of all three kinds: a worker claims by these"
    with pytest.raises(NameUnknown, match="not the code that the job began with"):
        LoopEngine(prepared(roots, distillation=before.distillation, complete=False))
    with pytest.raises(NameUnknown, match="not the code that the job began with"):
        LoopEngine(prepared(roots, optimizers=before.optimizers, complete=False))
    with pytest.raises(NameUnknown, match="THERMOWELL_PLUGINS"):
        LoopEngine(prepared(roots, distillation=Distillation("acme/nothing")))


def test_the_check_trains_with_each_and_says_what_does_not_hold(site: Path) -> None:
    lines = plugin_check.check("acme-kd", site)
    failed = {(line.record, line.check) for line in lines if not line.holds}
    assert failed == {
        ("acme/flat", "makes views"),
        ("acme/normed on digits", "a bank agrees with the loop"),
    }
    of_soft = {line.check for line in lines if line.record == "acme/soft on digits"}
    assert {"one seed, one student", "goes on from a checkpoint", "a bank agrees with the loop"} <= of_soft


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        ("loss", {"weights": {"delta": 1.0}}),
        ("optimizer", {"settings": {"learning_rate": 0.1}}),
        ("optimizer", {"settings": {"learning_rate": 0.1, "weight_decay": 0.0, "nesterov": 1.0}}),
        ("optimizer", {"settings": {"learning_rate": plugin.Span(0.0, 1.0), "weight_decay": 0.0}}),
    ],
)
def test_declarations_that_cannot_be_meant_are_refused(kind: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="a/b"):
        getattr(plugin, kind)("a/b", **arguments)


def test_documents_are_read_back() -> None:
    for record in plugins.loaded().records.values():
        assert plugins.Plugin.from_document(record.document()) == record
