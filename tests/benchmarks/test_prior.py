"""A prior mean says what its tables say, gives way to a search's own trials, and then is the product's surface."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.common import output
from benchmarks.searching import prior, prior_mean
from benchmarks.searching.cost.ground import TRY, open_ground
from benchmarks.searching.cost.spec import job_spec
from search.samplers import gaussian_process
from search.surrogate.surface import Surface
from tests.benchmarks.test_tiny import last_line

GROUND = open_ground(TRY)
CELLS = prior_mean.soft_cells(GROUND)
LENGTHS = np.array([[0.0, 0.5]] * 2)


def test_it_says_of_a_table_what_the_table_says() -> None:
    effects = prior_mean.fit([GROUND], ["learning_rate"])
    assert {effect.family for effect in effects} == {"adaptive", "momentum"}
    own = prior_mean.worth(effects, CELLS)
    truth = prior_mean.standardized(GROUND)
    assert np.corrcoef(own, truth)[0, 1] > 0.5
    assert prior_mean.worth(prior_mean.mirrored(effects), CELLS) == pytest.approx(-own)
    assert prior.agreement(GROUND, [GROUND])["all"] > prior.agreement(GROUND, [GROUND])["rates"]


def test_beyond_its_knots_and_of_other_families_it_says_nothing_more() -> None:
    effect = prior_mean.Effect("kd_weight", [0.6, 0.8], [1.0, 2.0], "momentum")
    expected = {("sgd", 0.5): 1.0, ("sgd", 0.7): 1.5, ("sgd", 0.9): 2.0}
    assert effect(CELLS) == pytest.approx([expected.get((cell.optimizer, cell.kd_weight), 0.0) for cell in CELLS])


def test_trials_decide_its_weight_and_many_do_without_it() -> None:
    feature = np.array([-1.0, 0.0, 0.0, 1.0])
    agreed, unknown, contrary = (prior_mean.weight_of(feature, sign * feature) for sign in (1, 0, -4))
    assert agreed > unknown > contrary == 0
    assert prior_mean.weight_of(np.tile(feature, 8), np.tile(feature, 8)) == 0


@pytest.mark.parametrize("count", [8, prior_mean.GONE])
def test_it_is_a_mean_of_the_products_surface_until_it_is_gone(count: int) -> None:
    rng = np.random.default_rng(0)
    points, places = rng.random((count, 2)), rng.random((20, 2))
    values = points[:, 0] + 0.01 * rng.standard_normal(count)
    own = Surface(points, values, np.random.default_rng(1), 2, LENGTHS, 150)
    mean = prior_mean.MeanSurface(points, values, np.random.default_rng(1), 2, LENGTHS, 150, lambda at: at[:, 0])
    same = [np.allclose(a, b) for a, b in zip(own.standard(places), mean.standard(places), strict=True)]
    same += [np.allclose(own.posterior(places, points[:1])[0], mean.posterior(places, points[:1])[0])]
    assert all(same) is (count == prior_mean.GONE)


def test_the_product_is_itself_again_afterwards() -> None:
    effects, spec = prior_mean.fit([GROUND], ["learning_rate"]), job_spec(GROUND, 0, 8, False)
    with prior_mean.departing_from(None, GROUND, spec):
        assert gaussian_process.Surface is Surface
    with prior_mean.departing_from(effects, GROUND, spec):
        assert gaussian_process.Surface is not Surface
    assert gaussian_process.Surface is Surface


def test_the_benchmark_goes_on_where_its_log_ends(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(output, "RESULTS", tmp_path)
    log = tmp_path / "log.jsonl"
    first = last_line(prior.main, ["--tiny", "--log", str(log)], capsys)
    assert set(first["off"]) == {method.name for method in prior.METHODS}
    monkeypatch.setattr(prior, "regrets", lambda *_: pytest.fail("it is in the log"))
    again = last_line(prior.main, ["--tiny", "--log", str(log), "--keep", "r"], capsys)
    assert again["off"] == first["off"]
    assert (tmp_path / "r.json").is_file()
