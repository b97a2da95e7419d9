"""Runs of one seed share their luck along T, kd_weight and decay as recorded ones do, and nothing else changes."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
from pathlib import Path

import numpy as np
import pytest

from benchmarks.searching import luck as measured
from tests.trainers import tables
from trainers import run
from trainers.replay import luck, synthetic
from trainers.replay.grid import Grid, Settings
from trainers.replay.world import World, load
from trainers.run import Roots

ALONG = ("T", "kd_weight", "weight decay")
ACROSS = ("learning rate", "optimizer")
TOLERANCE, OF_TABLES, OF_TABLES_EARLY = 0.07, 0.12, 0.2
"""Of correlations: where the recorded ones are the same in all cells; of tables, at the end and early on."""
ACROSS_TOO = 0.15
"""What a seed's effect, the mean over its recorded runs, may leave where nothing is in common by their making."""
GRID = Grid(
    temperatures=(1.0, 2.0, 4.0, 8.0, 16.0, 40.0),
    kd_weights=(0.5, 0.7, 0.9),
    optimizers={
        "sgd": Settings((0.01, 0.1, 1.0), (5e-4, 5e-3), 0.9),
        "adamw": Settings((0.001, 0.01, 0.1), (0.01, 0.1)),
    },
)
CELLS = range(len(GRID.cells()))


def shared(fall: float) -> World:
    """Runs whose residuals' correlation is `fall` to the power of their distance, at one learning rate."""
    chance = np.random.default_rng(0)
    runs = synthetic.runs(seeds=6, epochs=3, grid=GRID)
    values = np.empty_like(runs.accuracy)
    panels: dict[tuple[object, ...], list[int]] = {}
    for number, cell in enumerate(GRID.cells()):
        panels.setdefault((cell.label_only, cell.optimizer, cell.learning_rate), []).append(number)
    for cells in panels.values():
        places = np.asarray([GRID.coordinates(cell) for cell in cells])
        root = np.linalg.cholesky(fall ** np.abs(places[:, None] - places[None]).sum(-1))
        values[cells] = 0.8 + 0.01 * np.einsum("ij,jse->ise", root, chance.standard_normal(values[cells].shape))
    return World(dataclasses.replace(runs, accuracy=values), luck="shared")


@pytest.fixture(scope="module")
def alike() -> World:
    return shared(0.7)


@pytest.mark.parametrize("fall", [0.001, 0.3, 0.6])
def test_neighbours_share_as_much_luck_as_recorded_ones(fall: float) -> None:
    world = shared(fall)
    deviations = measured.recorded(world), measured.drawn(world, range(400))
    for share in (0.4, 1.0):
        expected, drawn = (measured.correlations(world, each, share) for each in deviations)
        assert [drawn[axis] for axis in ALONG] == pytest.approx([expected[axis] for axis in ALONG], abs=TOLERANCE)
        assert [drawn[axis] for axis in ACROSS] == pytest.approx([0.0, 0.0], abs=ACROSS_TOO)


@pytest.mark.parametrize(
    "name",
    [
        "fashion-whole-16",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("digits-cnn-20", "digits-mlp-60", "fashion-mlp-30")),
    ],
)
def test_the_world_of_benchmarks_has_the_correlations_of_its_table(name: str) -> None:
    world = load(name)
    assert (world.luck, world.sealed) == ("shared", False)
    deviations = measured.recorded(world), measured.drawn(world, range(150))
    for share, best in measured.LOOKS.values():
        expected, drawn = (measured.correlations(world, each, share, best) for each in deviations)
        for axis in ALONG:
            within = OF_TABLES if share == 1.0 else OF_TABLES_EARLY
            assert (drawn[axis] is None) == (expected[axis] is None)
            assert drawn[axis] is None or drawn[axis] == pytest.approx(expected[axis], abs=within), (share, best, axis)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 12])
def test_neighbours_lead_to_neighbours_one_place_away(count: int) -> None:
    each = luck.moves(count)
    assert list(range(count)) in each
    for move in each:
        assert all(abs(place - there) <= 1 and 0 <= there < count for place, there in enumerate(move))
        assert all(abs(one - other) == 1 for one, other in itertools.pairwise(move))


def test_donors_are_neighbours_and_every_recorded_seed_is_as_likely(alike: World) -> None:
    """So the mean residual is nothing, and curves are of the pool of the world whose luck is apart."""
    apart, seeds = World(alike.runs), range(3000)
    for cell in (0, 40, CELLS[-1]):
        donors = [alike._donor(cell, seed) for seed in seeds]
        assert set(donors) <= {apart._donor(cell, seed) for seed in seeds}
        assert len(set(donors)) >= 12  # each seed's, at both weight decays
        shares = np.bincount([donor[1] for donor in donors]) / len(seeds)
        assert shares == pytest.approx([1 / 6] * 6, abs=0.03)


def test_runs_scatter_as_in_the_world_whose_luck_is_apart(alike: World) -> None:
    apart = World(alike.runs)
    np.testing.assert_array_equal(apart.truth, alike.truth)
    for world in (apart, alike):
        runs = np.stack([world.curves(CELLS, [seed] * len(CELLS)) for seed in range(300)])
        assert runs.std(0).mean() == pytest.approx(world.residual_sd.mean(), rel=0.03)
        assert (runs.mean(0) - world.truth).mean() == pytest.approx(0.0, abs=0.0005)


def test_a_run_does_not_depend_on_what_else_is_drawn(alike: World) -> None:
    again = World(alike.runs, luck="shared")
    together = alike.curves([3, 4, 90], [7, 8, 7])
    for place, (cell, seed) in enumerate([(3, 7), (4, 8), (90, 7)]):
        np.testing.assert_array_equal(together[place], again.curve(cell, seed))


def test_held_out_seeds_have_no_part_in_the_luck(alike: World) -> None:
    other = alike.runs.accuracy.copy()
    other[:, 0] = np.random.default_rng(1).random(other[:, 0].shape)
    both = (alike.runs, dataclasses.replace(alike.runs, accuracy=other))
    without, changed = (World(runs, held_out=(0,), luck="shared") for runs in both)
    for seed in range(5):
        seeds = [seed] * len(CELLS)
        np.testing.assert_array_equal(without.curves(CELLS, seeds), changed.curves(CELLS, seeds))


def test_the_trainer_of_recorded_runs_draws_what_it_always_has(tmp_path: Path) -> None:
    tables.lay(tmp_path)
    ready = run.prepare(tables.PROBLEM, Roots(tmp_path, tmp_path))
    assert isinstance(ready, run.Replayed)
    assert ready.world.luck == "apart"
    donors = [ready.world._donor(cell, seed) for cell in range(len(ready.world.grid.cells())) for seed in range(20)]
    assert hashlib.sha256(repr(donors).encode()).hexdigest()[:16] == "43e157abfa22d8d0"
