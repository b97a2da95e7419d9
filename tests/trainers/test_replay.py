"""Recorded runs, shown again: the table's own numbers, the contract of an engine, and clear refusals."""

from __future__ import annotations

import builtins
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.trainers import tables
from trainers import run
from trainers.errors import CheckpointInvalid, DatasetInvalid, DatasetMissing, OffGrid, TestSplitSealed
from trainers.replay import smoothing, synthetic, world
from trainers.replay.runs import Runs
from trainers.run import Roots
from trainers.spec import Assignment, EpochReport, Model, TestPermit


@pytest.fixture
def ready(tmp_path: Path) -> run.Replayed:
    tables.lay(tmp_path)
    made = run.prepare(tables.PROBLEM, Roots(tmp_path, tmp_path))
    assert isinstance(made, run.Replayed)
    return made


def assignment(ready: run.Replayed, cell: int, seed: int = 5) -> Assignment:
    return Assignment(f"{cell}-{seed}", ready.world.grid.cells()[cell].configuration(), seed)


def shown(engine: Any) -> list[EpochReport]:
    said = engine.step_epoch()
    assert all(isinstance(one, EpochReport) for one in said)
    return list(said)


def test_a_table_comes_back_as_it_was_written(tmp_path: Path) -> None:
    made = tables.lay(tmp_path)
    known = world.load("synthetic", tmp_path)
    np.testing.assert_allclose(known.runs.accuracy, made.accuracy, atol=1e-5)
    assert known.context == made.context
    assert known.grid == made.grid
    assert world.names(folder=tmp_path) == ("synthetic",)
    assert world.names(sealed=True, folder=tmp_path) == ()


def test_what_many_runs_average_to_is_the_truth(ready: run.Replayed) -> None:
    known = ready.world
    for cell in (0, len(known.grid.cells()) - 1):
        count = 4000
        drawn = known.curves([cell] * count, list(range(count)))
        error = drawn.std(0) / np.sqrt(count)
        assert (np.abs(drawn.mean(0) - known.truth[cell]) < 5 * error + 1e-4).all()
        np.testing.assert_allclose(drawn.std(0), known.residual_sd[cell], rtol=0.15)


def test_truth_stays_among_what_neighbours_showed() -> None:
    """At the fastest rate many runs diverge: a surface that is smooth along T would swing above all of them."""
    grid = synthetic.GRID
    places = np.asarray([grid.coordinates(cell) for cell in range(len(grid.cells()))])
    wild = places[:, 2:3] == 2
    means = np.where(wild, 0.9 - 0.15 * places[:, :1], 0.9)
    variances = np.where(wild & (places[:, :1] > 2), 1.0, 1e-6)
    truth = smoothing.smooth(grid, means, variances, [(7.0, 3.0, 0.5, 6.0)] * len(smoothing.surfaces(grid)))
    for cell, near in enumerate(smoothing.neighbours(grid)):
        assert means[near].min() <= truth[cell, 0] <= means[near].max()


def test_runs_are_the_same_each_time_and_seeds_are_shared_by_cells(ready: run.Replayed, tmp_path: Path) -> None:
    known, again = ready.world, world.load("synthetic", tmp_path, luck="apart")
    np.testing.assert_array_equal(known.curve(3, 7), again.curve(3, 7))
    np.testing.assert_array_equal(known.curves([3, 4], [7, 8])[1], known.curve(4, 8))
    seeds = list(range(600))
    one, other = (known.curves([cell] * len(seeds), seeds)[:, -1] for cell in (0, 30))
    assert np.corrcoef(one, other)[0, 1] > 0.05, "a lucky seed is lucky everywhere"


def test_lanes_show_the_world_s_curves(ready: run.Replayed) -> None:
    engine = run.open_engine(ready, 2)
    lanes = {engine.admit(assignment(ready, cell)): cell for cell in (0, 40)}
    assert engine.free() == 0
    with pytest.raises(RuntimeError, match="occupied"):
        engine.admit(assignment(ready, 1))
    seen: dict[int, list[float]] = {lane: [] for lane in lanes}
    while said := shown(engine):
        for report in said:
            seen[report.lane].append(report.validation.accuracy)
    for lane, cell in lanes.items():
        np.testing.assert_allclose(seen[lane], ready.world.curve(cell, 5))
        engine.evict(lane)
    assert engine.free() == 2


def test_a_student_goes_on_from_its_checkpoint(ready: run.Replayed, tmp_path: Path) -> None:
    engine, other = run.open_engine(ready, 1), run.open_engine(ready, 1)
    one = assignment(ready, 3)
    lane = engine.admit(one)
    for _ in range(4):
        shown(engine)
    engine.save_lane(lane, tmp_path / "kept")
    with pytest.raises(FileExistsError):
        engine.save_lane(lane, tmp_path / "kept")
    other.admit(one, tmp_path / "kept")
    assert [report.epoch for report in shown(other)] == [5]
    assert shown(engine)[0].validation == dataclasses.replace(
        ready.metrics(ready.run(3, 5), 5, one.configuration.temperature)
    )
    with pytest.raises(CheckpointInvalid, match="another student"):
        run.open_engine(ready, 1).admit(assignment(ready, 4), tmp_path / "kept")


def test_between_two_known_epochs_it_is_drawn_straight(ready: run.Replayed) -> None:
    known = ready.world
    few = [0, 3, tables.EPOCHS - 1]
    runs: Runs = known.runs
    thinned = dataclasses.replace(
        runs, epochs=runs.epochs[few], accuracy=runs.accuracy[..., few], nll=runs.nll[..., few],
        ece=runs.ece[:, few], agreement=runs.agreement[:, few],
    )  # fmt: skip
    sparse = dataclasses.replace(ready, world=world.World(thinned))
    curve = sparse.world.curve(0, 1)
    values = [sparse.metrics(sparse.run(0, 1), epoch, 4.0).accuracy for epoch in range(1, tables.EPOCHS + 1)]
    np.testing.assert_allclose([values[place] for place in few], curve)
    assert min(curve[0], curve[1]) < values[1] < max(curve[0], curve[1])


def test_the_test_part_is_sealed_and_stands_for_validation(ready: run.Replayed, tmp_path: Path) -> None:
    engine = run.open_engine(ready, 1)
    one = assignment(ready, 2)
    lane = engine.admit(one)
    while shown(engine):
        pass
    engine.save_student(lane, tmp_path / "student.safetensors")
    with pytest.raises(TestSplitSealed):
        run.evaluate_test(ready, tmp_path / "student.safetensors", one.configuration, None)  # type: ignore[arg-type]
    tested = run.evaluate_test(ready, tmp_path / "student.safetensors", one.configuration, TestPermit("job", 1.0))
    assert tested.metrics.accuracy == pytest.approx(ready.world.curve(2, 5)[-1])
    right = np.unpackbits(np.frombuffer(tested.right, dtype=np.uint8), count=tested.images)
    assert right.mean() == pytest.approx(tested.metrics.accuracy, abs=1 / tested.images)


def test_softness_is_the_recorded_teacher_s(ready: run.Replayed) -> None:
    assert run.teacher_softness(ready, [1.0, 4.0, 40.0]) == pytest.approx([0.1, 1.2, 2.28])
    assert 0.1 < run.teacher_softness(ready, [2.0])[0] < 1.2


def test_what_is_off_the_grid_is_refused_with_what_is_on_it(ready: run.Replayed) -> None:
    one = assignment(ready, 0)
    off = dataclasses.replace(one, configuration=dataclasses.replace(one.configuration, temperature=4.4))
    engine = run.open_engine(ready, 1)
    with pytest.raises(OffGrid, match=r"temperature 4\.4 is not on the table's grid: it must be one of 1, "):
        engine.admit(off)
    assert engine.free() == 1


def test_another_problem_than_the_recorded_is_refused(tmp_path: Path) -> None:
    tables.lay(tmp_path)
    roots = Roots(tmp_path, tmp_path)
    with pytest.raises(DatasetInvalid, match="runs of another student"):
        run.prepare(dataclasses.replace(tables.PROBLEM, student=Model("mlp", {"width": 9})), roots)
    missing = dataclasses.replace(tables.PROBLEM, data=dataclasses.replace(tables.PROBLEM.data, path="no.parquet"))
    with pytest.raises(DatasetMissing, match=r"no\.parquet"):
        run.prepare(missing, roots)
    (tmp_path / "no.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(DatasetInvalid, match="not a parquet file"):
        run.prepare(missing, roots)


def test_without_pyarrow_the_way_out_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tables.lay(tmp_path)
    real = builtins.__import__

    def without(name: str, *rest: Any, **named: Any) -> Any:
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(DatasetInvalid, match=r"pip install 'thermowell\[replay\]'"):
        run.prepare(tables.PROBLEM, Roots(tmp_path, tmp_path))
