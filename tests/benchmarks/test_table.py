"""The table's builder: whoever is killed goes on where it stood, and the table is the same as if nobody had been."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks.table import build
from benchmarks.table.contexts import Planned, planned
from benchmarks.table.spec import spec
from search.spec.job import JobSpec
from tests.processes import Processes
from trainers.replay import world
from trainers.run import Roots

PATIENCE = 90.0
ROOT = Path(__file__).parents[2]
CHILD = """
import sys
from pathlib import Path
from benchmarks.table import build, contexts
from trainers.run import Roots
build.has_compiler = lambda: False
folder = Path(sys.argv[1])
build.train_alone(contexts.planned(tiny=True)[0], Roots(folder, folder), folder / "shards")
"""


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> Planned:
    monkeypatch.setattr(build, "has_compiler", lambda: False)
    return planned(tiny=True)[0]


@pytest.mark.slow
def test_a_build_that_is_killed_goes_on(tiny: Planned, tmp_path: Path, processes: Processes) -> None:
    roots, shards = Roots(tmp_path, tmp_path), tmp_path / "shards"
    child = processes.start(sys.executable, "-c", CHILD, tmp_path, cwd=ROOT)
    first = shards / tiny.name / "000.npz"
    until = time.monotonic() + PATIENCE
    while not first.is_file():
        assert time.monotonic() < until, child.output()
        time.sleep(0.01)
    child.signal(signal.SIGKILL)
    child.wait()
    kept = first.stat().st_mtime_ns
    trained = build.train_missing(tiny, roots, shards)
    assert first.stat().st_mtime_ns == kept
    assert trained < len(build.work(tiny))
    assert build.complete(tiny, shards)
    whole = build.assemble(tiny, roots, shards, {"by": "a test"})
    calm = tmp_path / "calm"
    assert build.train_missing(tiny, roots, calm) == len(build.work(tiny))
    again = build.assemble(tiny, roots, calm, {"by": "a test"})
    np.testing.assert_allclose(whole.accuracy, again.accuracy)
    assert whole.accuracy.shape == (len(tiny.grid.cells()), tiny.seeds, len(tiny.epochs))
    build.write(whole, tmp_path / "tables")
    known = world.load(tiny.name, tmp_path / "tables")
    assert known.context.train_images == 200
    assert 0 < known.truth[:, -1].max() <= 1
    assert JobSpec.model_validate(spec(known.context, known.grid)).dataset.path == "tiny.parquet"


def test_the_contexts_are_as_they_were_promised() -> None:
    contexts = planned()
    assert len({one.name for one in contexts}) == len(contexts) >= 6
    sealed, opened = ([one for one in contexts if one.sealed is which] for which in (True, False))
    assert len(sealed) == 3
    elsewhere = {one.problem.data.path or one.problem.data.name for one in opened}
    assert any((one.problem.data.path or one.problem.data.name) not in elsewhere for one in sealed)
    assert sum(one.problem.student.name == "cnn" for one in contexts) >= 2
    for one in contexts:
        assert len(one.grid.temperatures) >= 12
        assert one.seeds >= 3
        assert len(one.grid.cells()) >= 150
        assert one.epochs[-1] == one.problem.training.epochs
        assert sorted(set(one.epochs)) == one.epochs
