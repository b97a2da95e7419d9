"""The guidance of a study says what its jobs tell, and no more."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from itertools import product

import numpy as np
import pytest

from search.analysis.study.cells import CENSORED, Cell, Optimum, optimum_of
from search.analysis.study.design import Point, design_of
from search.analysis.study.guidance import compute_guidance
from search.analysis.study.guidance_table import markdown
from search.analysis.study.likelihood import BEYOND, grid_likelihood, unknown
from thermowell.api.answers import Estimate, Gain, Interval, ResponseCurve, ResponsePoint, TemperatureSet
from thermowell.api.guidance import Guidance

TEMPERATURES = tuple(float(one) for one in np.geomspace(1, 32, 41))
OCTAVES = np.log2(TEMPERATURES)
EVEN = tuple(np.linspace(0, 1, 41).round(6).tolist())
LISTED = (1.0, 2.0, 4.0, 7.0, 12.0, 32.0)


@pytest.fixture(autouse=True)
def _few_sweeps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.analysis.study.gibbs.WARM", 40)
    monkeypatch.setattr("search.analysis.study.gibbs.KEPT", 120)


def optimum(centre: float, width: float = 0.4) -> Optimum:
    """What a job tells whose best T lies at so many octaves, within so many; what lies beyond goes to the ends."""
    drawn = centre + width * np.random.default_rng(1).standard_normal(20_000)
    at = np.clip(np.rint(drawn / (OCTAVES[1] - OCTAVES[0])), 0, len(OCTAVES) - 1).astype(int)
    shares = np.bincount(at, minlength=len(OCTAVES)) / len(drawn)
    return Optimum(TEMPERATURES, tuple(shares))


def quality(mean: float, half: float = 0.004) -> Estimate:
    within = Interval(low=mean - half, high=mean + half, confidence=0.9)
    return Estimate(mean=mean, interval=within, standard_deviation=half, values=[mean] * 3, seeds=[0, 1, 2])


def gain(mean: float, half: float = 0.004) -> Gain:
    within = Interval(low=mean - half, high=mean + half, confidence=0.9)
    return Gain(over="t4", variant="tuned", mean=mean, interval=within, pairs=5, headline=True)


Truth = Callable[[Mapping[str, str]], float]


def study(truth: Truth, seed: int = 0, repeats: int = 3, **factors: tuple[str, ...]) -> list[Cell]:
    """Jobs of a full design whose best T is so many octaves, but for what seeds (0.2) and chance (0.3, 0.3) do."""
    rng = np.random.default_rng(seed)
    shared = 0.2 * rng.standard_normal(repeats)
    cells = []
    for levels in product(*factors.values()):
        named = dict(zip(factors, levels, strict=True))
        for repeat in range(repeats):
            best = truth(named) + shared[repeat] + 0.3 * rng.standard_normal()
            told = optimum(best + 0.3 * rng.standard_normal(), 0.3)
            cells.append(
                Cell(
                    job_id=f"{'-'.join(levels)}-{repeat}",
                    levels=named,
                    replicate={"seed": str(repeat)},
                    best=told,
                    quality=quality(0.9 + 0.001 * repeat),
                    gain=gain(0.002 * abs(best - 2)),
                    data="digits",
                )
            )
    return cells


def by_name(found: Guidance) -> dict[str, str]:
    return {one.factor: one.verdict for one in found.factors}


def test_finds_the_factor_that_moves_the_best_temperature_and_by_how_much() -> None:
    cells = study(lambda at: 2 + 1.5 * (at["optimizer"] == "sgd"), optimizer=("adamw", "sgd"), epochs=("10", "40"))
    found = compute_guidance("mine", cells)
    assert by_name(found) == {"optimizer": "moves", "epochs": found.factors[1].verdict}
    assert found.factors[1].verdict != "moves"
    (moved,) = found.factors[0].contrasts
    assert (moved.level, moved.against) == ("sgd", "adamw")
    assert moved.interval.low < 1.5 < moved.interval.high
    assert moved.interval.high - moved.interval.low < 1.5
    assert moved.ratio == pytest.approx(2**moved.octaves)
    assert moved.above_zero > 0.95 < moved.practical + 0.1
    assert found.factors[0].share.mean > 0.4 > found.factors[1].share.mean
    assert "optimizer moves the best T" in found.summary.replace("Optimizer", "optimizer")
    low, high = (level.best.temperature for level in found.factors[0].levels)
    assert low == pytest.approx(4, rel=0.4)
    assert high == pytest.approx(4 * 2**1.5, rel=0.4)


def test_the_same_cells_give_the_same_document_whatever_happened_before() -> None:
    cells = study(lambda at: 2.0, repeats=2, a=("x", "y"))
    assert compute_guidance("mine", cells) == compute_guidance("mine", cells)


def test_an_interaction_is_found_where_the_design_carries_it() -> None:
    cells = study(
        lambda at: 2.5 + 2.0 * (at["a"] == "1") * (at["b"] == "1"), a=("0", "1"), b=("0", "1"), repeats=4, seed=3
    )
    (found,) = compute_guidance("mine", cells).interactions
    assert found.factors == ("a", "b")
    assert found.verdict == "moves"
    assert found.interval.low < 2.0 < found.interval.high + 0.5
    assert "act together" in found.words


def test_intervals_hold_the_truth_and_no_effect_is_seldom_claimed() -> None:
    held, claimed = [], []
    for seed in range(6):
        cells = study(lambda at: 2 + 0.8 * (at["a"] == "1"), seed, 2, a=("0", "1"), b=("0", "1"))
        found = compute_guidance("mine", cells, seed=seed)
        first, second = found.factors
        held += [one.interval.low <= 0.8 <= one.interval.high for one in first.contrasts]
        held += [one.interval.low <= 0 <= one.interval.high for one in second.contrasts]
        claimed += [second.verdict == "moves", *(one.verdict == "moves" for one in found.interactions)]
    assert np.mean(held) >= 0.8
    assert np.mean(claimed) <= 0.15


def test_a_censored_optimum_is_beyond_the_edge_and_does_not_draw_others_to_it() -> None:
    """The jobs of one level have their best T an octave and a half above the range: that is all that they tell."""
    cells = study(lambda at: 3.0 if at["a"] == "low" else 6.5, a=("low", "high"), repeats=4)
    (factor,) = compute_guidance("mine", cells).factors
    low, high = factor.levels
    assert high.best.censored_high
    assert high.best.above > 0.9
    assert high.best.interval.high == 32.0
    assert not low.best.censored_high
    assert low.best.interval.low < 8 < low.best.interval.high < 20
    (moved,) = factor.contrasts
    assert moved.open_high
    assert not moved.open_low
    assert moved.verdict == "moves"
    assert "or more" in factor.words


def test_a_job_that_knows_nothing_of_its_optimum_says_nothing() -> None:
    """Of a flat response half of the draws have their best T at an end of the range; that is no evidence for it."""
    flat = Optimum(TEMPERATURES, tuple(unknown(EVEN)))
    assert np.allclose(grid_likelihood([flat]).likelihood, 1.0)
    assert unknown(EVEN)[0] > 0.1
    told = study(lambda at: 2.5, a=("0", "1"), repeats=3)
    mute = [Cell(f"mute-{n}", {"a": "0"}, {"seed": str(n)}, best=flat) for n in range(3)]
    (with_mute,) = compute_guidance("mine", [*told, *mute]).factors
    assert with_mute.levels[0].best.interval.low > 2.5
    assert with_mute.levels[0].best.interval.high < 16


def test_temperatures_of_a_list_count_where_they_are() -> None:
    at = np.log2(LISTED) / 5
    nothing = unknown(tuple(at.round(6).tolist()))
    assert nothing.sum() == pytest.approx(1)
    assert nothing[-1] > nothing[0] > nothing[1]  # the last stands for more than the first, and both are ends
    flat = grid_likelihood([Optimum(LISTED, tuple(nothing))])
    assert np.allclose(flat.likelihood, 1.0)
    told = grid_likelihood([Optimum(LISTED, (0.0, 0.0, 0.1, 0.8, 0.1, 0.0))])
    most = told.centres[told.likelihood[0] == told.likelihood.max()]
    assert most.min() == pytest.approx(math.log2(4 * 7) / 2, abs=0.13)
    assert most.max() == pytest.approx(math.log2(7 * 12) / 2, abs=0.13)


@pytest.mark.parametrize("repeats", [1, 2, 9])
def test_a_cell_whose_jobs_know_nothing_has_its_best_anywhere(repeats: int) -> None:
    """Not in the middle of the range, as the mean of their draws would have it, and the surer the more they are."""
    flat = Optimum(TEMPERATURES, tuple(unknown(EVEN)))
    mute = [Cell(f"mute-{n}", {"a": "0"}, {"seed": str(n)}, best=flat) for n in range(repeats)]
    told = study(lambda at: 2.5, a=("1", "2"), repeats=3)
    nowhere, somewhere, _ = compute_guidance("mine", [*mute, *told]).cells
    assert nowhere.best is not None
    assert nowhere.best.censored_low
    assert nowhere.best.censored_high
    assert somewhere.best is not None
    assert 1.5 < math.log2(somewhere.best.interval.low) < 2.5 < math.log2(somewhere.best.interval.high) < 3.5


def test_a_cell_leaves_to_a_job_that_knows_nothing_no_word() -> None:
    flat = Optimum(TEMPERATURES, tuple(unknown(EVEN)))
    told = study(lambda at: 2.5, a=("0", "1"), repeats=3)
    mute = [Cell(f"mute-{n}", {"a": "0"}, {"seed": str(n)}, best=flat) for n in range(3)]
    alone, beside = compute_guidance("mine", told).cells[0].best, compute_guidance("mine", [*told, *mute]).cells[0].best
    assert alone is not None
    assert beside is not None
    assert math.log2(beside.temperature) == pytest.approx(math.log2(alone.temperature), abs=0.15)
    assert not beside.censored_low


def test_the_likelihood_goes_on_beyond_the_range_as_at_its_end() -> None:
    found = grid_likelihood([optimum(9.0)])
    assert found.centres[0] > -BEYOND
    assert found.centres[-1] < 5 + BEYOND
    assert math.isclose(found.widths.sum(), 5 + 2 * BEYOND)
    assert found.likelihood[0, -1] == found.likelihood[0].max() > 10 * found.likelihood[0, 0]


def test_one_job_for_each_level_cannot_tell() -> None:
    cells = study(lambda at: 1.0 if at["a"] == "0" else 4.0, repeats=1, a=("0", "1"))
    found = compute_guidance("mine", cells)
    assert by_name(found) == {"a": "cannot tell"}
    assert "cannot tell" in found.summary
    assert "too few jobs" in found.factors[0].words
    assert any("one job" in limit for limit in found.limits)
    assert found.spread is None


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ([], "0 of 0 cells finished"),
        ([Cell("a", {"x": "1"}, state="running")], "0 of 1 cell finished. No finished job tells"),
        ([Cell("a", {"x": "1"}, best=optimum(2))], "one cell says nothing of what moves it"),
        ([Cell("a", {"x": "1"}, best=optimum(2)), Cell("b", {"x": "1"}, best=optimum(3))], "one cell says nothing"),
        (
            [Cell("a", {"x": "1"}, best=optimum(2)), Cell("b", {"x": "2"}, state="failed")],
            "No factor has two levels among the finished jobs",
        ),
        ([Cell("a", {"x": "1"}, best=Optimum(TEMPERATURES, (math.nan,) * 41))], "No finished job tells"),
        ([Cell("a", {"x": "1"}, best=Optimum((4.0,), (1.0,)))], "No finished job tells"),
    ],
)
def test_what_cannot_be_compared_is_answered_plainly(cells: list[Cell], said: str) -> None:
    found = compute_guidance("mine", cells)
    assert said in found.summary
    assert found.factors == [] == found.interactions
    assert markdown(found).startswith("# mine")
    assert Guidance.model_validate_json(found.model_dump_json()) == found


def test_where_all_are_censored_nothing_is_claimed() -> None:
    cells = study(lambda at: 9.0, a=("0", "1"), b=("0", "1"), repeats=2)
    found = compute_guidance("mine", cells)
    assert set(by_name(found).values()) == {"cannot tell"}
    assert all(level.best.censored_high for factor in found.factors for level in factor.levels)
    assert any("beyond the range" in limit for limit in found.limits)


def test_factors_that_change_together_are_not_told_apart() -> None:
    cells = [
        Cell(f"{level}-{n}", {"a": level, "b": level}, {"seed": str(n)}, best=optimum(2 + 2 * (level == "1")))
        for level in "01"
        for n in range(3)
    ]
    found = compute_guidance("mine", cells)
    assert by_name(found) == {"a": "cannot tell", "b": "cannot tell"}
    assert any("change together" in limit for limit in found.limits)


def test_optimizers_that_every_job_has_searched_are_a_factor_within_jobs() -> None:
    cells = [
        Cell(f"{level}-{n}", {"a": level}, {"seed": str(n)}, best=optimum(3), by_optimizer=both)
        for level in "01"
        for n in range(3)
        for both in [{"sgd": optimum(4 + 0.1 * n), "adamw": optimum(2 + 0.1 * n)}]
    ]
    found = compute_guidance("mine", cells)
    assert by_name(found)["optimizer"] == "moves"
    assert found.factors[1].contrasts[0].octaves == pytest.approx(-2, abs=0.4)
    assert set(found.cells[0].by_optimizer) == {"sgd", "adamw"}
    assert "best T, AdamW" in markdown(found)
    named = [Cell(c.job_id, {"space.optimizer": c.levels["a"]}, c.replicate, best=c.best) for c in cells]
    assert [one.name for one in compute_guidance("mine", named).factors] == ["optimizer"]


def test_a_design_carries_the_interactions_that_it_can_tell_from_chance() -> None:
    def points(**factors: str) -> list[Point]:
        return [Point(dict(zip(factors, at, strict=True))) for at in product(*factors.values())]

    assert design_of(points(a="01", b="01")).pairs == ()  # with it, nothing would be left
    assert design_of(points(a="01", b="01", c="01")).pairs == (("a", "b"), ("a", "c"), ("b", "c"))
    assert design_of([*points(a="01", b="01"), Point({"a": "0", "b": "0"})]).pairs == (("a", "b"),)
    assert design_of(points(a="01", b="012")[:-1]).pairs == ()  # a cell is missing
    assert design_of(points(a="01", b="0")).levels == {"a": ("0", "1")}


def test_repeats_that_go_together_are_one_random_effect() -> None:
    both = [Point({"a": a}, {"seed": s, "split": s, "job": a + s}) for a in "01" for s in "012"]
    assert [name for name, _ in design_of(both).blocks] == ["seed"]


def test_older_answers_give_their_confidence_set() -> None:
    def curve(low: bool, shares: list[float]) -> ResponseCurve:
        ends = TemperatureSet(intervals=[(1.0, 3.0)], confidence=0.9, censored_low=low, censored_high=False)
        points = [ResponsePoint(temperature=float(t), mean=0.9, low=0.8, high=0.95) for t in (1, 2, 4, 8)]
        return ResponseCurve(
            optimizer=None,
            points=points,
            best_temperature=2.0,
            confidence_set=ends,
            equivalent_set=ends,
            best_shares=shares,
        )

    old = optimum_of(curve(True, []))
    assert old is not None
    assert old.rough
    assert old.shares == pytest.approx((CENSORED, 1 - CENSORED, 0, 0))
    new = optimum_of(curve(True, [0.1, 0.5, 0.4, 0.0]))
    assert new is not None
    assert not new.rough
    assert new.shares == pytest.approx((0.1, 0.5, 0.4, 0))
    assert optimum_of(curve(True, [math.nan, 0.5, 0.5, 0.0])) is None
    assert optimum_of(curve(True, [0.5, 0.5])) is None
    cells = [Cell("a", {"x": "1"}, best=old), Cell("b", {"x": "2"}, best=new)]
    assert any("older" in limit for limit in compute_guidance("mine", cells).limits)


def test_quality_and_gain_of_a_cell_are_its_jobs_means() -> None:
    found = compute_guidance("mine", study(lambda at: 2.0, a=("0", "1"), repeats=3))
    for cell in found.cells:
        assert cell.finished == 3
        assert cell.quality is not None
        assert cell.quality.interval is not None
        assert cell.quality.mean == pytest.approx(0.901)
        assert cell.quality.interval.low < 0.901 < cell.quality.interval.high
    assert found.factors[0].levels[0].gain is not None
    assert "| digits" not in markdown(found)
    assert any("One data set (digits)" in limit for limit in found.limits)


def test_names_do_not_become_markup() -> None:
    cells = study(lambda at: 2.0, repeats=1, a=("x|y", "<b>"))
    assert "x\\|y" in markdown(compute_guidance("*mine*", cells))
    assert "\\*mine\\*" in markdown(compute_guidance("*mine*", cells))
