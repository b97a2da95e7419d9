"""The table's builder: whoever is killed goes on where it stood, and the table is the same as if nobody had been."""

from __future__ import annotations

import argparse
import dataclasses
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import ImageFont

from benchmarks.searching.cost import __main__ as cost
from benchmarks.table import build, packaged
from benchmarks.table.contexts import Planned, planned
from benchmarks.table.spec import spec
from search.spec.job import JobSpec
from tests.processes import Processes
from trainers.data import datasets
from trainers.replay import runs as recorded
from trainers.replay import world
from trainers.run import Roots
from trainers.spec import Data

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
    assert len(sealed) == 6
    elsewhere = {one.problem.data.path or one.problem.data.name for one in opened}
    assert any((one.problem.data.path or one.problem.data.name) not in elsewhere for one in sealed)
    assert sum(one.problem.student.name == "cnn" for one in contexts) >= 2
    for one in contexts:
        assert len(one.grid.temperatures) >= 12
        assert one.seeds >= 3
        assert len(one.grid.cells()) >= 150
        assert one.epochs[-1] == one.problem.training.epochs
        assert sorted(set(one.epochs)) == one.epochs


FRESH = ("glyphs-mlp-15", "letters-mlp-25", "satellite-mlp-15")
"""Sealed contexts on data that nothing else has seen."""


@pytest.mark.parametrize("name", [one.name for one in planned()])
def test_a_table_is_what_was_planned(name: str) -> None:
    (plan,) = (one for one in planned() if one.name == name)
    kept = recorded.read_runs(world.TABLES / f"{name}.parquet")
    assert (kept.context.sealed, kept.context.epochs) == (plan.sealed, plan.problem.training.epochs)
    assert kept.grid == plan.grid
    assert kept.accuracy.shape == (len(plan.grid.cells()), plan.seeds, len(plan.epochs))
    assert kept.context.data == plan.data_words
    assert {key: kept.context.problem["data"][key] for key in ("name", "path", "train_size", "split_seed")} == {
        key: getattr(plan.problem.data, key) for key in ("name", "path", "train_size", "split_seed")
    }


@pytest.mark.parametrize("name", FRESH)
def test_a_fresh_context_has_a_truth_and_is_sealed(name: str) -> None:
    known = world.load(name)
    last = dataclasses.replace(
        known.runs, epochs=known.runs.epochs[-1:], accuracy=known.runs.accuracy[..., -1:], nll=known.runs.nll[..., -1:],
        ece=known.runs.ece[:, -1:], agreement=known.runs.agreement[:, -1:],
    )  # fmt: skip
    truth = world.World(last).truth[:, -1]
    soft = [number for number, cell in enumerate(known.grid.cells()) if not cell.label_only]
    assert np.isfinite(truth).all()
    assert 0.5 < truth[soft].max() < known.context.teacher_accuracy + 0.02
    assert known.grid.kd_weights[0] <= 0.1
    assert known.grid.kd_weights[-1] == 1.0
    elsewhere = {one.problem.data.path for one in planned() if one.name != name}
    assert known.context.problem["data"]["path"] not in elsewhere
    assert name in world.names(sealed=True)
    assert name not in world.names(sealed=False)


def test_sealed_contexts_stay_closed_when_asked() -> None:
    def contexts(**options: Any) -> set[str]:
        given = {"tiny": False, "only": None, "quick": False, "open": False} | options
        return set(cost._contexts(argparse.Namespace(**given)))

    assert set(FRESH) < contexts()
    assert not set(world.names(sealed=True)) & (contexts(open=True) | contexts(quick=True))


def test_rows_of_numbers_become_small_images(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    letters = pd.DataFrame({"lettr": pd.Categorical(["B", "A"]), **{f"V{n}": [n, 15] for n in range(16)}})
    ground = pd.DataFrame({**{f"x.{n}": [n, 157] for n in range(36)}, "classes": pd.Categorical(["soil", "crop"])})
    monkeypatch.setattr(packaged, "_table", {"LetterRecognition": letters, "Satellite": ground}.__getitem__)
    for name, shape, top in ((packaged.LETTERS, (4, 4), 255), (packaged.SATELLITE, (9, 4), 157)):
        packaged.lay(name, tmp_path)
        split = datasets.load(Data("npz", path=name, validation_fraction=0.0, test_fraction=0.0), tmp_path)
        assert (split.size, split.classes) == (shape, 2)
        with np.load(tmp_path / name) as file:
            assert file["images"].max() == top
            assert file["labels"].tolist() == [1, 0]


def test_characters_of_fonts_are_drawn_once_and_no_font_is_in_two_parts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    packed: list[str] = []

    def unpacked(package: str, folder: Path) -> Path:
        packed.append(package)
        (target := folder / package).mkdir()
        source = ImageFont.load_default(12)
        assert isinstance(source, ImageFont.FreeTypeFont)
        (target / "whole.ttf").write_bytes(source.path.getvalue())
        return target

    monkeypatch.setattr(packaged, "_unpacked", unpacked)
    monkeypatch.setattr(packaged, "FONTS", ("a", "b", "c", "d"))
    packaged.lay(packaged.GLYPHS, tmp_path)
    packaged.lay(packaged.GLYPHS, tmp_path)
    assert packed == ["a", "b", "c", "d"]
    with np.load(tmp_path / packaged.GLYPHS) as file:
        characters = len(packaged.CHARACTERS)
        assert file["train_images"].shape == (3 * characters, packaged.PIXELS, packaged.PIXELS)
        assert file["val_labels"].tolist() == list(range(characters))
        assert file["val_images"].reshape(characters, -1).max(1).min() > 100
