"""The recorded runs of one context, and how they lie in a parquet file: one row per run, one list per metric."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trainers import disk
from trainers.errors import DatasetInvalid, DatasetMissing
from trainers.replay.context import Context
from trainers.replay.grid import Grid, Settings
from trainers.replay.smoothing import Lengths

if TYPE_CHECKING:
    import pyarrow

FORMAT = 1
SCALE = 65_535  # of accuracies, which are stored as whole numbers: exact where fewer images validate
MOST_NLL = 60_000.0  # that 16 bits hold
_KEY = b"thermowell"


@dataclass(frozen=True)
class Runs:
    """Curves that students of this project drew: `accuracy` and `nll` [cells, seeds, E], at `epochs` [E] (from 1).

    `ece` and `agreement` [cells, E] are means over seeds. A run that diverged has, from then on, the accuracy and the
    nll of guessing. `lengths` are the smoother's, per surface. `built` says with what the runs were made.
    """

    context: Context
    grid: Grid
    epochs: NDArray[np.int64]
    accuracy: NDArray[np.float64]
    nll: NDArray[np.float64]
    ece: NDArray[np.float64]
    agreement: NDArray[np.float64]
    lengths: Sequence[Lengths]
    built: Mapping[str, Any]

    @property
    def seeds(self) -> int:
        """How many runs each cell has."""
        return int(self.accuracy.shape[1])


def write(runs: Runs, path: Path) -> None:
    """Writes the runs so that `path` either is complete or does not exist.

    Columns: cell and seed (numbers), accuracy (uint16, of SCALE) and nll (float16), each a list over the epochs;
    mean_ece and mean_agreement (float16) of the cell, which stand with its first run alone. The rest is JSON in the
    file's metadata, under `thermowell`.
    """
    import pyarrow.parquet

    cells, seeds, length = runs.accuracy.shape
    cell, seed = np.divmod(np.arange(cells * seeds), seeds)
    later_seeds = pyarrow.array(seed != 0)

    def lists(values: NDArray[Any], mask: pyarrow.Array | None = None) -> pyarrow.Array:
        return pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(values.reshape(-1)), length, mask=mask)

    columns = {
        "cell": pyarrow.array(cell.astype(np.uint16)),
        "seed": pyarrow.array(seed.astype(np.uint16)),
        "accuracy": lists(np.rint(runs.accuracy * SCALE).astype(np.uint16)),
        "nll": lists(np.minimum(runs.nll, MOST_NLL).astype(np.float16)),
        "mean_ece": lists(np.repeat(runs.ece, seeds, axis=0).astype(np.float16), later_seeds),
        "mean_agreement": lists(np.repeat(runs.agreement, seeds, axis=0).astype(np.float16), later_seeds),
    }
    table = pyarrow.table(columns, metadata={_KEY: json.dumps(_papers(runs), sort_keys=True)})
    with disk.whole(path, f"{path.name} cannot be written") as partial:
        pyarrow.parquet.write_table(table, partial, compression="zstd", compression_level=19)


def read_runs(path: Path) -> Runs:
    """What `write` wrote. DatasetMissing where there is no file, DatasetInvalid where it is none of ours."""
    pyarrow = _pyarrow()
    try:
        table = pyarrow.parquet.read_table(path)
    except FileNotFoundError as error:
        raise DatasetMissing(f"there is no table of runs {path.name!r} in its folder: put it there") from error
    except (OSError, pyarrow.ArrowException) as error:
        raise DatasetInvalid(f"{path.name} is not a parquet file: {error}") from error
    papers = _read_papers(table.schema, path)
    grid, epochs = _grid(papers["grid"]), np.asarray(papers["epochs"], dtype=np.int64)
    cells, length = len(grid.cells()), len(epochs)
    seeds = table.num_rows // cells
    order = np.asarray(table["cell"]).astype(np.int64) * seeds + np.asarray(table["seed"])
    if table.num_rows != cells * seeds or not np.array_equal(order, np.arange(cells * seeds)):
        raise DatasetInvalid(f"{path.name} does not have each of {cells} cells with each of {seeds} seeds, in order")

    def values(name: str) -> NDArray[np.float64]:
        return np.asarray(table[name].combine_chunks().flatten()).astype(np.float64)

    return Runs(
        context=Context.from_json(papers["context"]),
        grid=grid,
        epochs=epochs,
        accuracy=(values("accuracy") / SCALE).reshape(cells, seeds, length),
        nll=values("nll").reshape(cells, seeds, length),
        ece=values("mean_ece").reshape(cells, length),
        agreement=values("mean_agreement").reshape(cells, length),
        lengths=[(row[0], row[1], row[2], row[3]) for row in papers["lengths"]],
        built=papers["built"],
    )


def _papers(runs: Runs) -> dict[str, Any]:
    grid = runs.grid
    return {
        "format": FORMAT,
        "context": runs.context.to_json(),
        "grid": {
            "temperatures": grid.temperatures,
            "kd_weights": grid.kd_weights,
            "optimizers": {name: dataclasses.asdict(settings) for name, settings in grid.optimizers.items()},
        },
        "epochs": runs.epochs.tolist(),
        "lengths": [list(row) for row in runs.lengths],
        "built": dict(runs.built),
    }


def read_context(path: Path) -> Context:
    """The context alone, from the file's metadata."""
    pyarrow = _pyarrow()
    try:
        schema = pyarrow.parquet.read_schema(path)
    except (OSError, pyarrow.ArrowException) as error:
        raise DatasetInvalid(f"{path.name} is not a parquet file: {error}") from error
    return Context.from_json(_read_papers(schema, path)["context"])


def _pyarrow() -> Any:
    """The library, which only those need who replay. DatasetInvalid, with the way out, where it is missing."""
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise DatasetInvalid("recorded runs are read with pyarrow: pip install 'thermowell[replay]'") from error
    return pyarrow


def _read_papers(schema: pyarrow.Schema, path: Path) -> Mapping[str, Any]:
    try:
        papers: dict[str, Any] = json.loads((schema.metadata or {})[_KEY])
    except (KeyError, ValueError) as error:
        raise DatasetInvalid(f"{path.name} is a parquet file, but no table of runs: name another") from error
    if papers.get("format") != FORMAT:
        raise DatasetInvalid(f"{path.name} has format {papers.get('format')}, this version reads {FORMAT}")
    return papers


def _grid(document: Mapping[str, Any]) -> Grid:
    optimizers = {
        name: Settings(tuple(settings["learning_rates"]), tuple(settings["weight_decays"]), settings["momentum"])
        for name, settings in document["optimizers"].items()
    }
    return Grid(tuple(document["temperatures"]), tuple(document["kd_weights"]), optimizers)
