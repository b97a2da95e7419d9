"""What every engine keeps, whatever it is made of: reports in order, the same numbers twice, lanes that do not disturb
each other, failures that stay in their lane, and students that come back from their file as they were.

A new engine joins by a line in ENGINES; `close` says how closely it must follow the loop, which is the measure.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import safetensors.torch
import torch

from tests.trainers.problems import SGD, assignment, problem
from trainers import run
from trainers.engines.bank import BankEngine
from trainers.engines.engine import Engine
from trainers.engines.loop import LoopEngine
from trainers.engines.processes import ProcessesEngine
from trainers.spec import Assignment, EpochReport, LaneFailure, Model, Optimizer, Tested, TestPermit, Training
from trainers.teaching.prepared import Prepared
from trainers.training import evaluate
from trainers.zoo import models

LAYER_BY_LAYER = "bank, layer by layer"
ENGINES: dict[str, Callable[[Prepared, int], Engine]] = {
    "loop": LoopEngine,
    "bank": BankEngine,
    LAYER_BY_LAYER: lambda prepared, lanes: BankEngine(prepared, lanes, batched=True),
    "processes": lambda prepared, lanes: ProcessesEngine(prepared, lanes, 2),
}
pytestmark = pytest.mark.usefixtures("one_thread")
PERMIT = TestPermit("job", confirmed_at=1.0)
STUDENTS = {
    "mlp": Model("mlp", {"width": 32, "dropout": 0.1}),
    "cnn": Model("cnn", {"width": 8}),
}


Pair = tuple[str, str]
PAIRS: list[Pair] = [
    (engine, student) for engine in ENGINES for student in STUDENTS if (engine, student) != (LAYER_BY_LAYER, "cnn")
]


@pytest.fixture(scope="module", params=PAIRS, ids=lambda pair: ", ".join(pair))
def pair(request: pytest.FixtureRequest) -> Pair:
    """An engine and a student that it trains."""
    chosen: Pair = request.param
    return chosen


@pytest.fixture
def opened(pair: Pair) -> Iterator[Callable[[Prepared, int], Engine]]:
    """Opens an engine of that kind; what was opened is closed when the test ends."""
    engines: list[Engine] = []

    def one(prepared: Prepared, lanes: int) -> Engine:
        engines.append(ENGINES[pair[0]](prepared, lanes))
        return engines[-1]

    yield one
    for engine in engines:
        engine.close()


@pytest.fixture(scope="module")
def ready(pair: Pair, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    folder = tmp_path_factory.mktemp("engines")
    return run.prepare(problem(student=STUDENTS[pair[1]]), run.Roots(folder, folder), "cpu")


def train(engine: Engine) -> list[EpochReport | LaneFailure]:
    """Everything that the engine has to say until it has nothing left to train."""
    said: list[EpochReport | LaneFailure] = []
    while step := engine.step_epoch():
        said.extend(step)
    return said


def numbers(reports: Sequence[EpochReport | LaneFailure]) -> list[tuple[object, ...]]:
    """What must be the same twice: all but the seconds and the lane."""
    answer: list[tuple[object, ...]] = []
    for report in reports:
        assert isinstance(report, EpochReport)
        answer.append((report.trial, report.epoch, report.train_loss, report.learning_rate, report.validation))
    return answer


def of(reports: Sequence[EpochReport | LaneFailure], trial: str) -> list[EpochReport | LaneFailure]:
    return [report for report in reports if report.trial == trial]


def test_reports_come_epoch_by_epoch_and_end(opened: Callable[[Prepared, int], Engine], ready: Prepared) -> None:
    engine = opened(ready, 1)
    lane = engine.admit(assignment("a"))
    reports = train(engine)
    assert [(report.lane, report.trial, report.epoch) for report in reports] == [(lane, "a", e) for e in (1, 2, 3)]
    assert engine.step_epoch() == []
    assert engine.free() == 0  # a finished student keeps its lane until it is evicted
    for report in reports:
        assert isinstance(report, EpochReport)
        assert report.seconds > 0
        assert math.isfinite(report.train_loss)
        figures = dataclasses.asdict(report.validation)
        assert figures.pop("mean_average_precision") is None  # of several labels alone
        assert all(map(math.isfinite, figures.values()))
        assert 0 <= report.validation.accuracy <= 1
    first, *_, last = reports
    assert isinstance(first, EpochReport)
    assert isinstance(last, EpochReport)
    assert first.learning_rate == pytest.approx(0.1)  # the end of warm-up
    assert 0 < last.learning_rate < first.learning_rate
    assert last.validation.nll < first.validation.nll
    assert last.validation.accuracy > 0.3  # it learns: chance is 0.1


def test_lanes_are_counted_and_refused(opened: Callable[[Prepared, int], Engine], ready: Prepared) -> None:
    engine = opened(ready, 2)
    assert (engine.lanes, engine.free()) == (2, 2)
    assert engine.step_epoch() == []
    lanes = [engine.admit(assignment("a")), engine.admit(assignment("b"))]
    assert sorted(lanes) == [0, 1]
    assert engine.free() == 0
    with pytest.raises(RuntimeError, match="occupied"):
        engine.admit(assignment("c"))
    engine.evict(lanes[0])
    assert engine.free() == 1
    with pytest.raises(RuntimeError, match="not occupied"):
        engine.evict(lanes[0])
    for lane in (lanes[0], -1, 2):
        with pytest.raises(RuntimeError, match="not occupied"):
            engine.save_student(lane, Path("never.safetensors"))
    assert engine.admit(assignment("c")) == lanes[0]
    with pytest.raises(ValueError, match="lane"):
        opened(ready, 0)


def test_the_same_twice_to_the_bit(opened: Callable[[Prepared, int], Engine], ready: Prepared, tmp_path: Path) -> None:
    runs = []
    for name in ("one", "two"):
        torch.manual_seed(hash(name) % 1000)  # the global state has no say
        engine = opened(ready, 1)
        lane = engine.admit(assignment("a", optimizer=Optimizer("adamw", 0.01, 0.01)))
        reports = train(engine)
        engine.save_student(lane, tmp_path / f"{name}.safetensors")
        runs.append(numbers(reports))
    assert runs[0] == runs[1]
    assert (tmp_path / "one.safetensors").read_bytes() == (tmp_path / "two.safetensors").read_bytes()


def test_seed_and_settings_matter(opened: Callable[[Prepared, int], Engine], ready: Prepared) -> None:
    changed = [
        assignment("a"),
        assignment("a", seed=2),
        assignment("a", temperature=8.0),
        assignment("a", student_temperature=2.0),
        assignment("a", kd_weight=0.5),
        assignment("a", label_weight=0.5),
        assignment("a", optimizer=dataclasses.replace(SGD, weight_decay=0.1)),
        assignment("a", optimizer=dataclasses.replace(SGD, momentum=0.5)),
        assignment("a", optimizer=Optimizer("adam", 0.1, 1e-4)),
    ]
    outcomes = []
    for one in changed:
        engine = opened(ready, 1)
        engine.admit(one)
        outcomes.append(numbers(train(engine))[-1][2])
    assert len(set(outcomes)) == len(changed)


def mixed() -> list[Assignment]:
    """Students that share nothing but the problem."""
    return [
        assignment("sgd", seed=1, temperature=1.0),
        assignment("nesterov", seed=2, optimizer=Optimizer("sgd", 0.05, 0.0, 0.9, nesterov=True)),
        assignment("adam", seed=3, temperature=20.0, optimizer=Optimizer("adam", 0.01, 1e-3)),
        assignment("adamw", seed=4, student_temperature=1.0, optimizer=Optimizer("adamw", 0.01, 0.1)),
        assignment("labels", seed=5, kd_weight=0.0, label_weight=1.0),
    ]


def close(engine: Engine, one: EpochReport | LaneFailure, other: EpochReport | LaneFailure) -> None:
    """The same student by another engine: equal up to the order of float32 sums, which training amplifies.

    A bank adds in an order of its own in every step. How exactly it agrees is asked in float64, where rounding hides
    nothing: `test_exactness`.
    """
    bank = isinstance(engine, BankEngine)
    share, few = (1e-2, 4.5) if bank else (1e-3, 1.5)
    assert isinstance(one, EpochReport)
    assert isinstance(other, EpochReport)
    assert (one.trial, one.epoch) == (other.trial, other.epoch)
    assert one.learning_rate == pytest.approx(other.learning_rate, rel=1e-6)
    assert one.train_loss == pytest.approx(other.train_loss, rel=share, abs=1e-4)
    assert one.validation.nll == pytest.approx(other.validation.nll, rel=share, abs=1e-4)
    assert one.validation.teacher_entropy == pytest.approx(other.validation.teacher_entropy, rel=1e-6)
    images = 359  # of which some lie so near a boundary that rounding decides
    assert abs(one.validation.accuracy - other.validation.accuracy) <= few / images
    assert abs(one.validation.teacher_agreement - other.validation.teacher_agreement) <= few / images


def test_lanes_do_not_disturb_each_other(opened: Callable[[Prepared, int], Engine], ready: Prepared) -> None:
    """In company, and admitted while others are under way, each reports what it reports in a loop of its own."""
    alone = {}
    for one in mixed():
        loop = LoopEngine(ready)
        loop.admit(one)
        alone[one.trial] = train(loop)
    engine = opened(ready, len(mixed()))
    said: list[EpochReport | LaneFailure] = []
    for one in mixed():
        engine.admit(one)
        said.extend(engine.step_epoch())
    said.extend(train(engine))
    for trial, expected in alone.items():
        for one_report, other in zip(of(said, trial), expected, strict=True):
            close(engine, one_report, other)


def test_a_lane_is_reused_without_a_trace(opened: Callable[[Prepared, int], Engine], ready: Prepared) -> None:
    fresh = opened(ready, 1)
    fresh.admit(assignment("b", seed=7))
    expected = numbers(train(fresh))
    engine = opened(ready, 1)
    lane = engine.admit(assignment("a", optimizer=Optimizer("adam", 0.1)))
    engine.step_epoch()
    engine.evict(lane)
    engine.admit(assignment("b", seed=7))
    assert numbers(train(engine)) == expected


def test_a_diverged_student_fails_alone(opened: Callable[[Prepared, int], Engine], ready: Prepared) -> None:
    engine = opened(ready, 2)
    bad = engine.admit(assignment("bad", optimizer=Optimizer("sgd", 1e30, 0.0, 0.9)))
    engine.admit(assignment("good"))
    said = train(engine)
    failures = [one for one in said if isinstance(one, LaneFailure)]
    assert [(one.lane, one.trial) for one in failures] == [(bad, "bad")]
    (failure,) = failures
    steps = 300 // 32
    assert failure.step >= 1
    assert (failure.step - 1) // steps + 1 == failure.epoch
    assert failure.last_finite_loss is None or math.isfinite(failure.last_finite_loss)
    assert "finite" in failure.reason
    assert len(of(said, "good")) == 3
    assert of(said, "bad")[-1] == failure  # nothing is reported after a failure
    assert engine.free() == 0
    engine.evict(bad)
    engine.admit(assignment("next"))
    assert len(train(engine)) == 3


def test_a_student_comes_back_from_its_file(
    opened: Callable[[Prepared, int], Engine], ready: Prepared, tmp_path: Path
) -> None:
    engine = opened(ready, 2)
    engine.admit(assignment("other", seed=9))
    lane = engine.admit(assignment("a"))
    last = of(train(engine), "a")[-1]
    assert isinstance(last, EpochReport)
    path = tmp_path / "kept" / "student.safetensors"
    engine.save_student(lane, path)
    assert [entry.name for entry in path.parent.iterdir()] == ["student.safetensors"]
    student = models.build(ready.problem.student, ready.channels, ready.size, ready.classes, seed=0)
    loaded = safetensors.torch.load_file(path)
    assert set(loaded) == set(student.state_dict())
    student.load_state_dict(loaded)
    with torch.no_grad():
        logits = student.eval()(ready.normalise(ready.validation_images))
    again = evaluate.measure(logits, ready.validation_labels, ready.validation_logits, 4.0)
    assert again.accuracy == pytest.approx(last.validation.accuracy)
    assert again.nll == pytest.approx(last.validation.nll, rel=1e-5)
    assert again.ece == pytest.approx(last.validation.ece, rel=1e-3, abs=1e-4)
    tested = run.evaluate_test(ready, path, assignment().configuration, PERMIT)
    assert isinstance(tested, Tested)
    assert tested.metrics.accuracy > 0.3


def test_a_batch_larger_than_the_data_is_one_step(opened: Callable[[Prepared, int], Engine], tmp_path: Path) -> None:
    small = run.prepare(problem(training=Training(2, 1000)), run.Roots(tmp_path, tmp_path), "cpu")
    engine = opened(small, 1)
    engine.admit(assignment("a"))
    assert [report.epoch for report in train(engine)] == [1, 2]
