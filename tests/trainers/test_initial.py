"""Students that do not begin at random: with the same weights in every engine, seed and job, made once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier

import pytest
import torch
from torch import Tensor

from tests.trainers.elsewhere import lay, quarters
from tests.trainers.problems import SGD, assignment, problem, teacher
from trainers import run
from trainers.engines.bank import BankEngine
from trainers.engines.engine import Engine
from trainers.engines.loop import LoopEngine
from trainers.engines.processes import ProcessesEngine
from trainers.errors import CheckpointInvalid, TeacherInvalid
from trainers.spec import EpochReport, Initial, Model, Problem, Training
from trainers.teaching import initial
from trainers.teaching.weight_cache import cached
from trainers.training.epoch import predict
from trainers.zoo import weights

TRAINED = Initial("trained", Training(2, 32), SGD)
PRETRAINED = Initial("pretrained", pretrained_on=quarters())
FINETUNED = Initial("finetuned", Training(2, 32), SGD, quarters())
ENGINES: dict[str, Callable[[run.Prepared, int], Engine]] = {
    "loop": LoopEngine,
    "bank": BankEngine,
    "processes": lambda prepared, lanes: ProcessesEngine(prepared, lanes, 2),
}


def begun(start: Initial) -> Problem:
    """A small CNN, which has norms, that begins so; its teacher hardly matters."""
    return problem(student=Model("cnn", {"width": 4}), teacher=teacher(training=Training(1, 16)), initial=start)


def prepare(wanted: Problem, roots: run.Roots) -> run.Prepared:
    made = run.prepare(wanted, roots, "cpu")
    assert isinstance(made, run.Prepared)
    return made


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> run.Roots:
    """Roots with the other data, in which what is made once stays made."""
    folder = tmp_path_factory.mktemp("initial")
    lay(folder)
    return run.Roots(folder, folder)


@pytest.fixture(params=list(ENGINES))
def opened(request: pytest.FixtureRequest) -> Iterator[Callable[[run.Prepared, int], Engine]]:
    engines: list[Engine] = []

    def one(prepared: run.Prepared, lanes: int) -> Engine:
        engines.append(ENGINES[request.param](prepared, lanes))
        return engines[-1]

    yield one
    for engine in engines:
        engine.close()


def state(engine: Engine, lane: int, folder: Path) -> dict[str, Tensor]:
    engine.save_student(lane, folder / "student.safetensors")
    return weights.load(folder / "student.safetensors")


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def losses(engine: Engine, epochs: int) -> list[float]:
    reports = [report for _ in range(epochs) for report in engine.step_epoch()]
    return [report.train_loss for report in reports if isinstance(report, EpochReport)]


def test_every_student_begins_with_the_same_weights(
    opened: Callable[[run.Prepared, int], Engine], shared: run.Roots, tmp_path: Path
) -> None:
    ready = prepare(begun(TRAINED), shared)
    engine = opened(ready, 2)
    lanes = [engine.admit(assignment(str(seed), seed)) for seed in (1, 2)]
    states = [state(engine, lane, tmp_path) for lane in lanes]
    assert ready.start is not None
    assert all(same(one, dict(ready.start)) for one in states)
    engine.step_epoch()
    after = [state(engine, lane, tmp_path) for lane in lanes]
    assert not same(*after)  # the seed still makes the order
    engine.evict(lanes[0])
    assert same(state(engine, engine.admit(assignment("c", 3)), tmp_path), dict(ready.start))


def test_it_goes_on_after_a_rest(
    opened: Callable[[run.Prepared, int], Engine], shared: run.Roots, tmp_path: Path
) -> None:
    ready = prepare(begun(TRAINED), shared)
    engine = opened(ready, 1)
    lane = engine.admit(assignment())
    losses(engine, 1)
    engine.save_lane(lane, tmp_path / "rest")
    through = losses(engine, 2)
    engine.evict(lane)
    engine.admit(assignment(), tmp_path / "rest")
    assert losses(engine, 2) == through
    elsewhere = opened(prepare(begun(Initial()), shared), 1)
    with pytest.raises(CheckpointInvalid, match="another problem"):
        elsewhere.admit(assignment(), tmp_path / "rest")


def test_engines_agree(shared: run.Roots) -> None:
    ready = prepare(begun(TRAINED), shared)
    said = []
    for name in ("loop", "bank"):
        engine = ENGINES[name](ready, 1)
        engine.admit(assignment())
        said.append(losses(engine, 2))
    assert said[0] == pytest.approx(said[1], rel=1e-4)


def test_random_weights_are_each_trials_own(shared: run.Roots) -> None:
    ready = prepare(begun(Initial()), shared)
    assert ready.start is None
    one, other = (initial.student(ready, seed).state_dict() for seed in (1, 2))
    assert not same(one, other)


def test_each_source_makes_its_own(shared: run.Roots) -> None:
    starts = {}
    for name, start in {
        "trained": TRAINED,
        "pretrained": PRETRAINED,
        "finetuned": FINETUNED,
        "head": replace(FINETUNED, finetune="head"),
        "seed": replace(TRAINED, seed=1),
    }.items():
        found = prepare(begun(start), shared).start
        assert found is not None
        starts[name] = dict(found)
    names = list(starts)
    for i, name in enumerate(names):
        assert not any(same(starts[name], starts[other]) for other in names[i + 1 :])
    changed = {key for key, tensor in starts["head"].items() if not torch.equal(tensor, starts["pretrained"][key])}
    assert changed == {"head.weight", "head.bias"}
    assert len(list((shared.store / "pretrained").rglob("*.safetensors"))) == 1


def test_what_is_trained_beforehand_knows_the_task(shared: run.Roots) -> None:
    ready = prepare(begun(replace(TRAINED, training=Training(12, 32))), shared)
    model = initial.student(ready, seed=0)
    logits = predict(model, ready.validation_images, ready.normalise, "fp32")
    assert float((logits.argmax(-1) == ready.validation_labels).float().mean()) > 0.5  # chance is 0.1


def test_jobs_with_other_teachers_and_lengths_share_it(shared: run.Roots) -> None:
    one = begun(TRAINED)
    prepare(one, shared)
    before = sorted((shared.store / "initial").rglob("*.safetensors"))
    other = replace(one, teacher=teacher(training=Training(2, 16)), training=Training(1, 16), views=1)
    prepare(other, shared)
    assert sorted((shared.store / "initial").rglob("*.safetensors")) == before
    assert one.fingerprint() != replace(one, initial=Initial()).fingerprint()


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (Initial("trained"), "need a training and an optimizer"),
        (Initial("pretrained"), "need data that they are pretrained on"),
        (replace(TRAINED, optimizer=replace(SGD, learning_rate=1e30)), "with whose weights all begin diverged"),
    ],
)
def test_students_that_cannot_begin(start: Initial, words: str, shared: run.Roots) -> None:
    with pytest.raises(TeacherInvalid, match=words):
        prepare(begun(start), shared)


def test_who_comes_second_waits_for_the_first(tmp_path: Path) -> None:
    gate, made = Barrier(2), []

    def make() -> dict[str, Tensor]:
        made.append(1)
        return {"x": torch.arange(3)}

    def ask() -> dict[str, Tensor]:
        gate.wait(timeout=60)
        return cached(tmp_path / "deep" / "it.safetensors", make)

    with ThreadPoolExecutor(2) as pool:
        answers = [job.result(timeout=60) for job in [pool.submit(ask), pool.submit(ask)]]
    assert len(made) == 1
    assert same(*answers)
    (tmp_path / "deep" / "it.safetensors").unlink()
    with pytest.raises(RuntimeError, match="no luck"):
        cached(tmp_path / "deep" / "it.safetensors", _fails)
    assert not list((tmp_path / "deep").glob("*.safetensors"))


def _fails() -> dict[str, Tensor]:
    raise RuntimeError("no luck")
