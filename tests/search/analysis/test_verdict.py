"""The verdict as a function of a field's draws: what it must say, and what it can never say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from search.analysis.job.verdict import (
    ALIKE,
    BET,
    FAINT,
    UNSURE,
    WIDE,
    Decision,
    Field,
    Option,
    Slice,
    alike,
    decide,
    largest_distances,
)

DELTA = 0.002
T4, T1, LABELS = Option("t4", 4.0), Option("t1", 1.0), Option("label_only", None)


def searched(temperature: float, departures: int = 0) -> Option:
    return Option("joint", temperature, departures)


def field(options: Sequence[Option], points: Sequence[float], deviation: float = 0.1, default: float = 4.0) -> Field:
    """Options of these means, in points, each known as well as `deviation` says, apart from each other."""
    noise = np.random.default_rng(0).standard_normal((4000, len(points)))
    noise -= noise.mean(axis=0)  # so that means are what a test says
    draws = 0.9 + 0.01 * (np.array(points) + deviation * noise)
    return Field(options, draws, DELTA, default, 0.9, 0.005)


def flat(of: Field, loss: Sequence[float], deviation: float = 0.02) -> Field:
    """The field with a slice along T from 1 to 40: what each temperature loses, in points."""
    temperatures = np.geomspace(1, 40, len(loss))
    rng = np.random.default_rng(1)
    same = 0.9 - 0.01 * (np.array(loss) + deviation * rng.standard_normal((1000, len(loss))))
    return replace(of, along=lambda place: Slice(temperatures, np.maximum(same, 0.9), same))


def test_what_beats_every_other_choice_is_shown() -> None:
    decision = decide(field([searched(10.0), T4, T1, LABELS], [2.0, 1.0, 0.5, 0.0]))
    assert (decision.kind, decision.shown, decision.place, decision.rival) == ("use", True, 0, 1)
    assert [gain.place for gain in decision.gains] == [1, 2, 3]
    assert decision.gain is not None
    assert decision.gain.mean == pytest.approx(0.01)
    assert decision.losses == pytest.approx((0.0, 0.01, 0.015, 0.02))


def test_what_is_likely_better_is_a_better_bet() -> None:
    decision = decide(field([searched(10.0), T4, LABELS], [0.5, 0.0, -1.0], deviation=0.3))
    assert (decision.kind, decision.shown, decision.place) == ("use", False, 0)
    assert decision.gain is not None
    assert BET <= decision.gain.chance < 0.95


def test_what_gains_nothing_that_matters_leaves_the_default() -> None:
    for gain in (0.19, 0.0, -0.1):
        decision = decide(field([searched(10.0), T4, LABELS], [gain, 0.0, -1.0]))
        assert (decision.kind, decision.place) == ("keep", 1)


def test_of_defaults_that_are_as_good_the_trained_one_is_kept() -> None:
    twin = Option("joint", 4.0, trained=False)
    for loss, place in ((0.1, 1), (0.19, 1), (0.3, 2)):
        decision = decide(field([searched(10.0), T4, twin, LABELS], [0.0, -loss, -0.05, -1.0]))
        assert (decision.kind, decision.place) == ("keep", place)


def test_where_the_teacher_is_hardly_asked_no_other_temperature_is_recommended() -> None:
    faint, twin = replace(searched(38.6), share=FAINT - 0.01), Option("joint", 4.0, trained=False, share=FAINT - 0.01)
    decision = decide(field([faint, T4, twin, LABELS], [2.0, 0.0, 1.0, -1.0]))
    assert decision.place == 2
    assert decision.faint == 0
    decision = decide(field([faint, T4, LABELS], [0.1, 0.0, -1.0]))
    assert (decision.kind, decision.place, decision.faint) == ("keep", 1, None)
    enough = replace(faint, share=FAINT)
    decision = decide(field([enough, T4, twin, LABELS], [2.0, 0.0, 1.0, -1.0]))
    assert (decision.kind, decision.place, decision.faint) == ("use", 0, None)
    alone = decide(field([faint, replace(faint, temperature=10.0)], [1.0, 0.0]))  # there is no default T to return to
    assert alone.place == 0


@given(
    shares=st.lists(st.floats(0.0, 1.0), min_size=2, max_size=6),
    points=st.lists(st.floats(-3.0, 3.0), min_size=6, max_size=6),
)
@settings(max_examples=50, deadline=None)
def test_no_verdict_recommends_a_temperature_with_hardly_a_teacher(shares: list[float], points: list[float]) -> None:
    temperatures = np.geomspace(1, 40, len(shares))
    options = [replace(searched(float(t)), share=s) for t, s in zip(temperatures, shares, strict=True)]
    options = [*options, T4, LABELS]
    decision = decide(field(options, [*points[: len(shares)], 0.0, 0.0], deviation=0.3))
    option = options[decision.place]
    assert option.group == "label_only" or option.share >= FAINT or alike(option.temperature, 4.0)


def test_the_default_is_ones_own() -> None:
    options = [searched(10.0), searched(2.0), T4]
    assert decide(field(options, [0.1, 0.0, -3.0], default=2.0)).place == 1
    assert decide(field(options, [0.1, 0.0, -3.0])).kind == "use"


def test_temperatures_that_lose_nothing_are_between() -> None:
    known = field([searched(10.0), T4, LABELS], [0.1, 0.0, -1.0])
    decision = decide(flat(known, [0.0] * 12, deviation=0.01))
    assert (decision.kind, decision.shown, decision.between) == ("keep", True, pytest.approx((1.0, 40.0)))
    half = decide(flat(known, [0.0] * 6 + [3.0] * 6))
    assert half.between is not None
    assert half.between[0] == 1.0
    assert 4.0 < half.between[1] < 9.0
    unsure = decide(flat(known, [0.0] * 12, deviation=0.1))
    assert unsure.kind == "keep"
    assert not unsure.shown


@pytest.mark.parametrize("deviation", [0.05, 0.1, 0.15, 0.3])
def test_a_range_is_stated_where_hardly_a_loss_in_it_is_likely_to_matter(deviation: float) -> None:
    """Each temperature loses nothing, as expected; of many together some may."""
    known = flat(field([searched(10.0), T4, LABELS], [0.1, 0.0, -1.0]), [0.0] * 12, deviation)
    assert known.along is not None
    line = known.along(1)
    assert line is not None
    decision = decide(known)
    places = np.flatnonzero(np.isclose(line.temperatures[:, None], decision.between or ()).any(axis=1))
    loss = line.best[:, [int(line.best.mean(axis=0).argmax())]] - line.same
    if decision.between is None:
        nearest = int(np.abs(np.log(line.temperatures / 4.0)).argmin())
        wide = [loss[:, nearest - below : nearest + 3 - below] for below in range(3)]  # the narrowest to be stated
        assert max(float((of_three > DELTA).any(axis=1).mean()) for of_three in wide) > UNSURE
    else:
        stated = loss[:, places[0] : places[-1] + 1]
        assert float((stated > DELTA).any(axis=1).mean()) <= UNSURE
        assert decision.between[1] >= WIDE * decision.between[0]


def test_a_range_that_says_no_more_than_its_middle_is_none() -> None:
    known = field([searched(10.0), T4, LABELS], [0.1, 0.0, -1.0])
    near, enough = [3.0] * 4 + [0.0] * 2 + [3.0] * 6, [3.0] * 4 + [0.0] * 3 + [3.0] * 5
    narrow, wide = decide(flat(known, near)), decide(flat(known, enough))
    assert (narrow.kind, narrow.shown, narrow.between) == ("keep", False, None)
    assert wide.between == pytest.approx((40 ** (4 / 11), 40 ** (6 / 11)))


def test_temperatures_may_be_of_any_size() -> None:
    known = field([searched(10.0), T4, LABELS], [0.1, 0.0, -1.0])
    same = np.full((1000, 3), 0.9)
    line = Slice(np.array([5e-324, 4.0, 1e308]), same, same)
    decision = decide(replace(known, along=lambda place: line))
    assert (decision.kind, decision.between) == ("keep", (5e-324, 1e308))


def test_a_default_that_is_better_than_all_else_is_used() -> None:
    known = field([searched(10.0), T4, T1, LABELS], [-2.0, 0.0, -2.0, -2.0])
    decision = decide(flat(known, [9.0] * 4 + [0.0] + [9.0] * 7))
    assert (decision.kind, decision.shown, decision.place) == ("use", True, 1)


def test_labels_that_nothing_beats_are_trained_on() -> None:
    decision = decide(field([searched(10.0), T4, T1, LABELS], [-0.5, -0.6, -1.0, 0.0]))
    assert (decision.kind, decision.shown, decision.place) == ("labels", True, 3)
    near = decide(field([searched(2.0), T4, LABELS], [0.02, -2.0, 0.0]))
    assert (near.kind, near.shown) == ("labels", False), "the simplest that loses nothing"


def test_between_what_nobody_can_tell_it_is_not_decided() -> None:
    decision = decide(field([searched(10.0), T4, LABELS], [0.5, 0.0, -1.0], deviation=1.0))
    assert (decision.kind, decision.shown, decision.place, decision.rival) == ("undecided", False, 0, 1)
    labels = decide(field([searched(10.0), T4, LABELS], [0.0, -1.0, 0.1], deviation=1.0))
    assert (labels.kind, labels.place) == ("undecided", 2)


def test_a_fixed_temperature_is_not_compared_with_itself() -> None:
    decision = decide(field([searched(4.0), T4, LABELS], [1.0, 0.0, -5.0]))
    assert [gain.place for gain in decision.gains] == [2]
    alone = decide(field([searched(6.0)], [0.0], default=6.0))
    assert (alone.kind, alone.gains, alone.rival) == ("keep", (), None)


def test_settings_that_are_as_good_give_way_to_the_simplest() -> None:
    decision = decide(field([searched(10.0, 3), searched(9.0, 1), T4], [3.0, 2.99, 0.0]))
    assert decision.place == 1


def test_the_intervals_hold_all_differences_at_once() -> None:
    """For equal and independent ones it is the studentized range (Tukey 1953)."""
    draws = np.random.default_rng(0).standard_normal((40_000, 5))
    reach = float(np.quantile(largest_distances(draws), 0.9))
    assert reach == pytest.approx(stats.studentized_range.ppf(0.9, 5, np.inf) / np.sqrt(2), abs=0.03)
    assert largest_distances(draws[:, :1]).tolist() == [0.0] * len(draws)


temperatures = st.floats(1.0, 40.0)
others = st.lists(st.one_of(temperatures.map(searched), st.sampled_from([T4, T1, LABELS])), max_size=6)


@st.composite
def fields(draw: st.DrawFn) -> Field:
    options = [searched(draw(temperatures)), *draw(others)]
    points = draw(st.lists(st.floats(-2, 2), min_size=len(options), max_size=len(options)))
    return field(options, points, draw(st.floats(0, 2)), draw(st.sampled_from([1.0, 4.0, 6.0])))


@given(fields())
@settings(max_examples=300, deadline=None)
def test_whatever_the_field_the_verdict_contradicts_nothing(known: Field) -> None:
    decision: Decision = decide(known)
    means = known.draws.mean(axis=0)
    option = known.options[decision.place]
    lost = float(means.max() - means[decision.place])
    assert lost <= DELTA + 1e-12, "nothing is recommended that is expected to lose what matters"
    for gain in decision.gains:
        other = known.options[gain.place]
        assert gain.low <= gain.mean <= gain.high
        usual = other.temperature is not None and alike(other.temperature, known.default_temperature)
        by_search = other.group == "joint" and not usual
        mine = option.group == "label_only" or alike(option.temperature, known.default_temperature)
        assert not by_search or mine, "what the search tried is no choice that one would make without it"
        if option.temperature is not None and other.temperature is not None:
            assert max(option.temperature / other.temperature, other.temperature / option.temperature) > ALIKE
    if decision.kind == "keep":
        assert option.temperature is not None
        assert option.group != "label_only"
        assert max(option.temperature, known.default_temperature) <= ALIKE * min(
            option.temperature, known.default_temperature
        )
    if decision.kind == "labels":
        assert option.group == "label_only"
    if decision.kind == "use":
        assert decision.gain is None or decision.gain.mean > 0
    if decision.shown and decision.kind == "use":
        assert all(gain.low > 0 for gain in decision.gains)
    assert decide(known) == decision
