"""The simulated world of replayed runs: the truth of a cell, and residuals as the recorded runs had them.

truth = the smoothed cell means (`smoothing`). A run of (cell, seed) = truth + the seed's effect, which it shares with
all cells of its optimizer, + a whole residual curve of one recorded run among the cell's neighbours. Both kinds of
chance have mean zero by construction, so that the truth is what many runs average to (but for clipping to 0..1). Which
recorded run that is, its donor, is drawn for each cell apart, or with a luck that neighbours share as recorded runs do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trainers.errors import DatasetMissing
from trainers.replay import runs as recorded
from trainers.replay import smoothing
from trainers.replay.context import Context
from trainers.replay.grid import Grid
from trainers.replay.luck import SharedLuck
from trainers.replay.runs import Runs

TABLES = Path(__file__).parents[2] / "benchmarks" / "table"
"""Where the repository keeps its tables."""
Floats = NDArray[np.float64]
Luck = Literal["apart", "shared"]
"""How donors of one seed hang together: not at all, as the trainer of recorded runs has always drawn them, or along
temperature, kd_weight and weight decay, as runs of one seed do.
"""


@dataclass(frozen=True, slots=True)
class Chance:
    """How runs of one metric scatter: `residuals` [cells, seeds, E] around raw cell means, the seeds' effects taken
    out; `effects` [seeds, cells, E], such that effects times independent standard normal numbers, summed over seeds,
    is one more seed's effect.
    """

    residuals: Floats
    effects: Floats


class World:
    """One context's runs. With `held_out` seeds, the truth and all chance come from the other seeds alone."""

    def __init__(self, runs: Runs, held_out: Sequence[int] = (), luck: Luck = "apart") -> None:
        training_seeds = [seed for seed in range(runs.seeds) if seed not in set(held_out)]
        if len(training_seeds) < 2 or not set(held_out) <= set(range(runs.seeds)):
            raise ValueError(f"of {runs.seeds} seeds, two must remain when {list(held_out)} are held out")
        self.runs, self.seeds, self.held_out, self.luck = runs, tuple(training_seeds), tuple(held_out), luck
        self.name, self.sealed = runs.context.name, runs.context.sealed
        self.context: Context = runs.context
        self.grid: Grid = runs.grid
        self.epochs = runs.epochs
        self._neighbours = smoothing.neighbours(runs.grid)
        self._surface = np.empty(len(runs.grid.cells()), dtype=np.int64)
        for number, cells in enumerate(smoothing.surfaces(runs.grid)):
            self._surface[cells] = number
        self._key = blake2b(repr((self.name, self.seeds)).encode(), digest_size=16).digest()
        self._logs = np.log(self.epochs)
        self._normals = lru_cache(4096)(self._draw_normals)

    @cached_property
    def truth(self) -> Floats:
        """The smoothed mean validation accuracy [cells, E]."""
        return _between(self._smooth(self._accuracy, self._chance), 0.0, 1.0)

    @cached_property
    def nll_truth(self) -> Floats:
        """The smoothed mean negative log-likelihood [cells, E], in nats."""
        return self._smooth(self._nll, self._nll_chance)

    def curve(self, cell: int, seed: int) -> Floats:
        """One run's accuracy at `epochs` [E], which context, cell and seed determine; any whole number is a seed."""
        (curve,) = self.curves([cell], [seed])
        drawn: Floats = curve
        return drawn

    def curves(self, cells: Sequence[int], seeds: Sequence[int]) -> Floats:
        """Many runs at once [n, E], one of each pair of cell and seed; the same numbers as `curve`."""
        return _between(self.truth[list(cells)] + self._scatter(self._chance, cells, seeds), 0.0, 1.0)

    def at(self, curve: Floats, epoch: int) -> float:
        """A curve's value after `epoch` epochs: between those that are known, straight on a logarithmic scale."""
        return float(np.interp(np.log(epoch), self._logs, curve))

    def nll_curve(self, cell: int, seed: int) -> Floats:
        """The same run's negative log-likelihood [E]: of the same donor and the same seed's luck."""
        return _between(self.nll_truth[cell] + self._scatter(self._nll_chance, [cell], [seed])[0], 0.0, np.inf)

    def real(self, cell: int, seed_index: int) -> Floats:
        """The accuracy that a real student had, [E]; `seed_index` counts the recorded seeds from 0."""
        curve: Floats = self.runs.accuracy[cell, seed_index]
        return curve

    @cached_property
    def effect_share(self) -> float:
        """Which share of the variance of runs within a cell, at the last epoch, is the seeds' shared effect."""
        shared = (self._chance.effects[..., -1] ** 2).sum(0).mean()
        return float(shared / (shared + self._pooled(self._chance)[:, -1].mean()))

    @property
    def mean_variance(self) -> Floats:
        """The variance of a raw cell mean's chance [cells, E], as its neighbours' residuals tell it."""
        return self._pooled(self._chance) / len(self.seeds)

    @cached_property
    def residual_sd(self) -> Floats:
        """Standard deviation of one run around its truth [cells, E], the seeds' effects included."""
        deviation: Floats = np.sqrt(self._pooled(self._chance) + (self._chance.effects**2).sum(0))
        return deviation

    @property
    def _accuracy(self) -> Floats:
        return self.runs.accuracy[:, list(self.seeds)]

    @property
    def _nll(self) -> Floats:
        return self.runs.nll[:, list(self.seeds)]

    @cached_property
    def _chance(self) -> Chance:
        return self._scattered(self._accuracy)

    @cached_property
    def _nll_chance(self) -> Chance:
        return self._scattered(self._nll)

    @cached_property
    def _shared(self) -> SharedLuck:
        return SharedLuck(self.grid, len(self.seeds), self._key)

    def _scattered(self, values: Floats) -> Chance:
        """What is left of runs [cells, seeds, E] beside their cells' means, split into shared effects and residuals.

        A seed's effect on a surface is its residuals' mean over the surface's cells, weighted by the inverse of the
        neighbours' variance, so that cells which hardly train do not drown the others. Both are widened for the
        degrees of freedom that the cells' means have taken.
        """
        count = values.shape[1]
        deviations = values - values.mean(1, keepdims=True)
        wild = self._means_of_neighbours((deviations**2).sum(1) / (count - 1))
        effects = np.empty((count, *deviations[:, 0].shape))
        for cells in smoothing.surfaces(self.grid):
            weights = 1.0 / (wild[cells] + 1e-8)
            effects[:, cells] = ((deviations[cells] * weights[:, None]).sum(0) / weights.sum(0))[:, None]
        residuals = (deviations - effects.transpose(1, 0, 2)) * np.sqrt(count / (count - 1))
        return Chance(residuals, effects / np.sqrt(count - 1))

    def _smooth(self, values: Floats, chance: Chance) -> Floats:
        variances = self._pooled(chance) / values.shape[1]
        return smoothing.smooth(self.grid, values.mean(1), variances, self.runs.lengths)

    def _pooled(self, chance: Chance) -> Floats:
        """The variance of a cell's pool of residuals [cells, E]."""
        return self._means_of_neighbours((chance.residuals**2).mean(1))

    def _means_of_neighbours(self, values: Floats) -> Floats:
        return np.stack([values[near].mean(0) for near in self._neighbours])

    def _scatter(self, chance: Chance, cells: Sequence[int], seeds: Sequence[int]) -> Floats:
        """The seeds' effects and the donors' residuals of these runs [n, E]."""
        donors = [self._donor(cell, seed) for cell, seed in zip(cells, seeds, strict=True)]
        luck = np.stack([self._normals(seed) for seed in seeds])
        shared: Floats = np.einsum("ns,sne->ne", luck, chance.effects[:, list(cells)])
        return shared + chance.residuals[tuple(zip(*donors, strict=True))]

    def _donor(self, cell: int, seed: int) -> tuple[int, int]:
        if self.luck == "shared":
            return self._shared.donor(cell, seed)
        near = self._neighbours[cell]
        drawn = int.from_bytes(blake2b(b"%d,%d" % (cell, seed), digest_size=8, key=self._key).digest(), "big")
        place, run = divmod(drawn % (len(near) * len(self.seeds)), len(self.seeds))
        return int(near[place]), run

    def _draw_normals(self, seed: int) -> Floats:
        drawn = blake2b(b"seed,%d" % seed, digest_size=16, key=self._key).digest()
        return np.random.default_rng(int.from_bytes(drawn, "big")).standard_normal(len(self.seeds))


def _between(values: Floats, low: float, high: float) -> Floats:
    clipped: Floats = np.clip(values, low, high)
    return clipped


def load(name: str, folder: Path = TABLES, held_out: Sequence[int] = (), luck: Luck = "shared") -> World:
    """The world of that context as benchmarks see it; DatasetMissing where the folder has none of that name,
    DatasetInvalid.
    """
    if name not in (available := _files(folder)):
        raise DatasetMissing(f"there is no table {name!r}: there are {', '.join(available) or 'none'}")
    return World(recorded.read_runs(folder / f"{name}.parquet"), held_out, luck)


def names(sealed: bool | None = None, folder: Path = TABLES) -> tuple[str, ...]:
    """The contexts that have a table, sorted; only the sealed or only the open ones if asked."""
    available = _files(folder)
    if sealed is None:
        return available
    return tuple(name for name in available if recorded.read_context(folder / f"{name}.parquet").sealed is sealed)


def _files(folder: Path) -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in folder.glob("*.parquet") if not path.name.startswith(".")))
