"""The processes engine's own: one copy of the data, children that end with their parent, deaths that are noticed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from tests.trainers.problems import assignment
from trainers import run
from trainers.engines import shared_tensors
from trainers.engines.loop import LoopEngine
from trainers.engines.processes import ChildDied, ProcessesEngine
from trainers.spec import EpochReport, Optimizer

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@contextmanager
def opened(ready: run.Prepared, lanes: int, processes: int) -> Iterator[ProcessesEngine]:
    engine = ProcessesEngine(ready, lanes, processes)
    try:
        yield engine
    finally:
        engine.close()


def test_a_step_that_is_broken_off_closes_the_engine(ready: run.Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(ready, 1, 1) as engine:
        lane = engine.admit(assignment())

        def stopped(child: object, number: int) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(engine, "_receive", stopped)
        with pytest.raises(KeyboardInterrupt):
            engine.step_epoch()
        assert engine.pids() == []
        with pytest.raises(ChildDied, match="broken off by KeyboardInterrupt"):
            engine.evict(lane)


def until(reached: Callable[[], bool], seconds: float = 30.0) -> bool:
    """Whether it is reached in time."""
    deadline = time.monotonic() + seconds
    while not reached():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def numbers(said: EpochReport) -> tuple[object, ...]:
    return said.trial, said.epoch, said.train_loss, said.validation


def test_students_are_the_loop_s_to_the_bit_and_lanes_are_shared_out(ready: run.Prepared) -> None:
    ones = [assignment(name, seed) for seed, name in enumerate("abc")]
    expected = []
    for one in ones:
        loop = LoopEngine(ready)
        loop.admit(one)
        expected.append([numbers(report) for report in loop.step_epoch() if isinstance(report, EpochReport)])
    with opened(ready, 3, 2) as engine:
        assert engine.processes == 2
        started = time.perf_counter()
        lanes = [engine.admit(one) for one in ones]
        assert lanes == [0, 1, 2]
        reports = [report for report in engine.step_epoch() if isinstance(report, EpochReport)]
        wall = time.perf_counter() - started
        assert [report.lane for report in reports] == lanes
        assert [[numbers(report)] for report in reports] == expected
        assert 0 < sum(report.seconds for report in reports) <= wall  # shares of the wall-clock, which is one


def test_errors_come_out_as_they_were(ready: run.Prepared, tmp_path: Path) -> None:
    with opened(ready, 1, 1) as engine:
        lane = engine.admit(assignment(optimizer=Optimizer("sgd", 1e30)))
        engine.step_epoch()
        with pytest.raises(RuntimeError, match="failed") as caught:
            engine.save_lane(lane, tmp_path / "kept")
        assert "process_child.py" in caught.value.__notes__[0]  # with the child's traceback
        engine.evict(lane)  # and the engine goes on
        assert engine.free() == 1


def test_nothing_is_left_of_it(ready: run.Prepared) -> None:
    engine = ProcessesEngine(ready, 2, 2)
    assert not list(ready.roots.store.glob(".shared-*"))  # mapped by the children by then
    engine.close()
    engine.close()
    assert not list(ready.roots.store.glob(".shared-*"))


@linux
def test_a_child_that_dies_is_noticed_and_closes_the_engine(ready: run.Prepared) -> None:
    engine = ProcessesEngine(ready, 2, 2)
    engine.admit(assignment("a"))
    engine.admit(assignment("b"))
    victim, other = engine.pids()
    os.kill(victim, signal.SIGKILL)
    with pytest.raises(ChildDied, match=r"signal 9; lanes \[0\]"):
        engine.step_epoch()
    assert engine.pids() == []
    with pytest.raises(ChildDied, match="signal 9"):  # whoever comes later hears why
        engine.evict(1)
    with pytest.raises(ChildDied, match="signal 9"):
        engine.admit(assignment("c"))
    assert until(lambda: not alive(other))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_children_leave_stopping_to_their_parent(ready: run.Prepared, number: signal.Signals) -> None:
    with opened(ready, 1, 1) as engine:
        engine.admit(assignment())
        os.kill(engine.pids()[0], number)
        assert len(engine.step_epoch()) == 1


PARENT = """
import pathlib, sys
from tests.trainers.problems import assignment, problem
from trainers import run
from trainers.engines.processes import ProcessesEngine
from trainers.spec import Training

if __name__ == "__main__":
    folder = pathlib.Path(sys.argv[1])
    ready = run.prepare(problem(training=Training(100000, 32)), run.Roots(folder, folder), "cpu")
    engine = ProcessesEngine(ready, 2, 2)
    for name in "ab":
        engine.admit(assignment(name))
    print(*engine.pids(), flush=True)
    while engine.step_epoch():
        pass
"""


@linux
@pytest.mark.slow
def test_no_child_outlives_a_parent_that_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, script, tmp_path], env={**os.environ, "PYTHONPATH": str(root)}, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        left = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(left) == 2
        assert all(alive(pid) for pid in left)
        parent.kill()
        parent.wait()
        assert until(lambda: not any(alive(pid) for pid in left))


def test_a_parcel_shares_what_is_shared(tmp_path: Path) -> None:
    images = torch.arange(100_000, dtype=torch.int64).reshape(10, -1)
    value = {"a": images, "b": [images, images[:, ::2], torch.tensor(1.5), "words"], "half": torch.ones(3).half()}
    content = shared_tensors.save_tensors(value, tmp_path / "parcel")
    assert len(content) < 2000
    assert (tmp_path / "parcel").stat().st_size < 1.6 * images.nbytes  # the whole once, and every second column
    with pytest.raises(FileExistsError):
        shared_tensors.save_tensors(value, tmp_path / "parcel")
    back = shared_tensors.load_tensors(content, tmp_path / "parcel")
    (tmp_path / "parcel").unlink()
    assert torch.equal(back["a"], images)
    assert back["b"][0] is not images
    assert back["b"][0].data_ptr() == back["a"].data_ptr()
    assert torch.equal(back["b"][1], images[:, ::2])
    assert back["b"][2:] == [torch.tensor(1.5), "words"]
    assert back["half"].dtype == torch.float16


@pytest.mark.parametrize(("lanes", "processes"), [(0, 1), (1, 0)])
def test_nonsense_is_refused(ready: run.Prepared, lanes: int, processes: int) -> None:
    with pytest.raises(ValueError, match=r"needed|needs"):
        ProcessesEngine(ready, lanes, processes)
