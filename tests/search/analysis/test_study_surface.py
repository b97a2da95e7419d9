"""All jobs of a grid read off one surface: tables, hyperparameters, draws, and what follows for a study's questions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from search import units
from search.analysis.study import questions, surface
from search.analysis.study.cells import Cell
from search.analysis.study.design import Point, design_of
from search.analysis.study.quantities import COSTS, GAIN, WIDTH
from search.analysis.study.runs import Runs
from search.analysis.study.tables import Tables, tables_of

ALONG = np.log2([1.0, 2.0, 4.0, 10.0, 20.0])
POINTS = np.array([[0.1, 0.7], [0.5, 0.2], [0.9, 0.5]])
LENGTHS = np.array([[np.log(0.5), 0.6], [np.log(2.0), 0.8]])


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few sweeps, few steps, and three questions."""
    monkeypatch.setattr("search.analysis.study.gibbs.WARM", 40)
    monkeypatch.setattr("search.analysis.study.gibbs.KEPT", 120)
    monkeypatch.setattr(surface, "STEPS", 60)
    monkeypatch.setattr(questions, "COSTS", (COSTS[4],))


def runs(fall: float, rng: np.random.Generator, *, seeds: int = 2, noise: float = 0.004, gap: float = 0.02) -> Runs:
    """A whole grid: `fall` for each squared octave from T = 4, labels alone worse by `gap`, seeds with luck."""
    places = np.append(ALONG, np.nan)
    mean = 0.9 - fall * np.nan_to_num(places - 2) ** 2 - gap * np.isnan(places)
    table = mean[:, None] - 0.1 * (POINTS[:, 0] - 0.5) ** 2
    luck = 0.01 * rng.standard_normal(seeds)
    values = table + luck[:, None, None] + noise * rng.standard_normal((seeds, *table.shape))
    return Runs(
        octaves=np.tile(np.repeat(places, len(POINTS)), seeds),
        settings=np.tile(POINTS, (len(places) * seeds, 1)),
        seeds=np.repeat(np.arange(seeds), table.size),
        values=values.ravel(),
        lengths=LENGTHS,
        along=ALONG,
        paired=True,
    )


def study(falls: dict[str, float], noise: dict[str, float] | None = None) -> list[Cell]:
    """Three repeats of each level of one factor."""
    rng = np.random.default_rng(4)
    return [
        Cell(
            f"{level}{repeat}",
            {"a": level},
            {"replicate": str(repeat)},
            delta=0.01,
            runs=runs(fall, rng, noise=(noise or {}).get(level, 0.004)),
        )
        for level, fall in falls.items()
        for repeat in range(3)
    ]


def tables(cells: Sequence[Cell]) -> Tables:
    found = tables_of([cell.runs for cell in cells if cell.runs is not None])
    assert found is not None
    return found


def model(cells: Sequence[Cell]) -> surface._Model:
    points = [Point(cell.levels, cell.replicate) for cell in cells]
    return surface._Model(tables(cells), design_of(points), points)


def test_tables_have_each_job_s_means_and_its_part_of_the_noise() -> None:
    cells = study({"calm": 0.002, "loud": 0.002}, {"calm": 0.002, "loud": 0.012})
    found = tables(cells)
    assert found.values.shape == (6, 18)
    assert np.isnan(found.octaves).tolist() == [False] * 15 + [True] * 3
    first = cells[0].runs
    assert first is not None
    best = first.values.reshape(2, 6, 3).mean(axis=0)[:, 1]
    assert found.undo(found.values[None])[0, 0].reshape(6, 3)[:5, 1] == pytest.approx(best[:5], abs=0.002)
    assert found.noise[3:].mean() > 2 * found.noise[:3].mean()
    order = np.random.default_rng(0).permutation(36)
    mixed = replace(
        first,
        **{name: getattr(first, name)[order] for name in ("octaves", "settings", "seeds", "values")},
    )
    again = tables([replace(cells[0], runs=mixed), *cells[1:]])
    assert again.values == pytest.approx(found.values), "in any order"


def test_jobs_that_are_not_whole_grids_of_one_form_have_no_tables() -> None:
    rng = np.random.default_rng(0)
    whole = runs(0.002, rng)
    names = ("octaves", "settings", "seeds", "values")
    missing = replace(whole, **{name: getattr(whole, name)[:-1] for name in names})
    twice = replace(whole, **{name: np.append(getattr(whole, name), getattr(whole, name)[:1], 0) for name in names})
    fewer = replace(whole, **{name: getattr(whole, name)[whole.octaves != ALONG[0]] for name in names})
    single = replace(whole, seeds=np.arange(len(whole.seeds)), paired=False)
    constant = replace(whole, values=np.full_like(whole.values, 0.5))
    assert tables_of([whole, whole]) is not None
    assert tables_of([whole]) is None
    assert tables_of([constant, constant]) is None
    for other in (missing, twice, fewer, single):
        assert tables_of([whole, other]) is None
    assert tables_of([runs(0.002, rng, seeds=1), runs(0.002, rng, seeds=3)]) is not None, "any number of rounds"


def test_what_is_beside_whole_rounds_is_left_out() -> None:
    whole = runs(0.002, np.random.default_rng(0), seeds=3)
    best, names = whole.values.argmax(), ("octaves", "settings", "seeds", "values")
    confirmed = {name: np.append(getattr(whole, name), getattr(whole, name)[[best] * 8], 0) for name in names}
    confirmed["seeds"][-8:] = 3 + np.arange(8) % 4
    failed = {name: getattr(whole, name)[:-1] for name in names}
    found = tables_of([whole, replace(whole, **confirmed), replace(whole, **failed)])
    assert found is not None
    assert found.seeds.tolist() == [3, 3, 2]
    assert found.values[1] == pytest.approx(found.values[0], abs=0.2)


def test_the_gradient_is_that_of_the_likelihood() -> None:
    found = model(study({"flat": 0.0, "steep": 0.004}))
    theta = found._means + 0.3 * np.random.default_rng(0).standard_normal(len(found._means))
    gradient = found.slope(theta)[1]
    for place in range(0, len(theta), 3):
        step = 1e-5 * np.eye(len(theta))[place]
        slope = (found.slope(theta + step)[0] - found.slope(theta - step)[0]) / 2e-5
        assert gradient[place] == pytest.approx(slope, rel=1e-4, abs=1e-3)
    assert found.slope(found.likeliest())[0] < found.slope(found._means)[0] - 10


def test_rows_of_an_even_design_have_the_likelihood_of_the_whole() -> None:
    found = model(study({"flat": 0.0, "steep": 0.004}))
    jobs, places = found.tables.values.shape
    found.tables.noise[:] = 1.0  # as noisy as each other
    found._shares, found._squares, found._counts = found._rows()
    theta = found._means
    sizes, shape = found._sizes(theta), found._shapes(theta)[0]
    by_run = found._by_run(theta, shape)
    whole = sum(
        np.kron(across, np.tensordot(size, shape.pieces, axes=1))
        for across, size in zip(found._across, sizes, strict=True)
    )
    whole = whole + np.kron(np.eye(jobs), np.full((places, places), surface.LEVEL) + by_run / 2)
    values = found.tables.values.ravel()
    direct = 0.5 * (np.linalg.slogdet(whole)[1] + values @ np.linalg.solve(whole, values))
    of_runs = surface._likelihood(by_run[None], found.tables.scatter[None], np.array([found.tables.contrasts * 1.0]))[0]
    by_rows = found.slope(theta)[0] - of_runs - 0.5 * jobs * places * np.log(2)  # rows are in units of their noise
    assert by_rows == pytest.approx(direct, abs=0.01)


def test_an_effect_is_found_with_its_size_and_none_is_claimed_where_there_is_none() -> None:
    for steep, verdict in ((0.006, "moves"), (0.0, "negligible")):
        asked = questions.questions_of(study({"flat": 0.0, "steep": steep}), 0.9, units.measure("accuracy"), 0)
        assert [question.name for question in asked] == ["cost", "width", "gain"]
        [effect] = asked[0].effects
        assert effect.verdict == verdict
        assert effect.measured.interval is not None
        assert effect.measured.interval.low <= steep * 2.322**2 <= effect.measured.interval.high
        assert [effect.verdict for effect in asked[2].effects] == ["negligible"]
    assert asked == questions.questions_of(study({"flat": 0.0, "steep": 0.0}), 0.9, units.measure("accuracy"), 0)


def test_jobs_together_leave_less_open_than_each_alone() -> None:
    cells = study({"flat": 0.001, "steep": 0.001})
    together = questions.jobs_together(cells, 0.01, 0)
    alone = questions.jobs_that_tell(cells, 0.01, 0)
    for topic in (COSTS[4], WIDTH, GAIN):
        ours, theirs = (np.mean([job.quantities[topic].deviation for job in jobs]) for jobs in (together, alone))
        assert ours < theirs, topic


def test_where_one_job_is_not_whole_each_is_read_alone() -> None:
    cells = study({"flat": 0.001, "steep": 0.001})
    last = cells[-1].runs
    assert last is not None
    parts = {name: getattr(last, name)[:-1] for name in ("octaves", "settings", "seeds", "values")}
    cells[-1] = replace(cells[-1], runs=replace(last, **parts))
    assert questions.jobs_together(cells, 0.01, 0) == []
    assert questions.jobs_together([replace(cell, runs=None) for cell in cells], 0.01, 0) == []
