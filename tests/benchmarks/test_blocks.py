"""A surface that knows of shared luck, a sampler that is the product's where none is shared, and pools that no
confirmation draws from.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from scipy.stats import multivariate_normal

from benchmarks.searching import blocks, luck, paired_runs
from benchmarks.searching.blocks import BlockSearch, Method
from benchmarks.searching.cost.ground import TRY, open_ground
from benchmarks.searching.cost.jobs import Search
from benchmarks.searching.cost.spec import job_spec
from benchmarks.searching.shared_luck import LuckLikelihood, LuckProcess, Noise, SharedLuck, fitted
from search.analysis.job import field
from search.claims.contestants import confirmation_seeds
from search.states import Arm, Stage
from search.surrogate import surface
from search.surrogate.gp import GaussianProcess, Likelihood
from search.surrogate.slices import Slice
from trainers.replay import synthetic
from trainers.replay.world import World

GROUND = open_ground(TRY)
LUCK = SharedLuck(0.6, 1.0, 0.5, 5.0)
RNG = np.random.default_rng(0)
POINTS, SEEDS = RNG.random((9, 2)), np.arange(9) % 2
TARGETS = RNG.standard_normal(9)
NOISE = Noise(0.7, np.array([1.0, 3.0]))
CORRELATION = NOISE.between(POINTS, SEEDS, POINTS, SEEDS)
THETA = np.log([1.3, 0.4, 0.9, 0.2])


def test_runs_of_one_seed_are_alike_the_more_the_nearer_and_one_run_is_itself() -> None:
    points = np.array([[0.0, 0.0], [0.1, 0.0], [0.5, 0.0]])
    here = NOISE.between(points[:1], np.array([1]), np.concatenate([points, points[:1]]), np.array([1, 1, 1, 2]))[0]
    assert here == pytest.approx([1.0, 0.7 * math.exp(-0.1), 0.7 * math.exp(-0.5), 0.0])


def test_luck_is_shared_at_one_learning_rate_of_an_optimizer_alone() -> None:
    joint = Slice(job_spec(GROUND, 0, 8, False).space, Arm.JOINT)
    rates = LUCK.rates(joint)
    shared = sorted(rates[rates < 1000])
    assert shared == pytest.approx(sorted([math.log(40), 0.4 / 0.5, *[math.log(10) / 5] * 2]))
    assert len(rates) - len(shared) == 3  # two learning rates, and which optimizer it is


def test_its_likelihood_is_that_of_correlated_noise() -> None:
    likelihood = LuckLikelihood(POINTS, TARGETS, CORRELATION)
    value, gradient = likelihood(THETA)
    process = GaussianProcess(THETA, POINTS, TARGETS)
    covariance = process.kernel(POINTS, POINTS) + process.noise * CORRELATION
    assert value == pytest.approx(float(multivariate_normal(cov=covariance).logpdf(TARGETS)))
    assert gradient == pytest.approx(approx_fprime(THETA, lambda theta: likelihood(theta)[0]), rel=1e-4, abs=1e-4)


def test_without_shared_luck_it_is_the_products() -> None:
    apart = np.eye(9)
    own, product = LuckProcess(THETA, POINTS, TARGETS, apart), GaussianProcess(THETA, POINTS, TARGETS)
    assert np.array(own.standard(POINTS[:3] + 0.1)) == pytest.approx(np.array(product.standard(POINTS[:3] + 0.1)))
    assert LuckLikelihood(POINTS, TARGETS, apart)(THETA)[1] == pytest.approx(Likelihood(POINTS, TARGETS)(THETA)[1])


def test_a_run_is_foretold_by_runs_of_its_seed() -> None:
    process = LuckProcess(THETA, POINTS, TARGETS, CORRELATION)
    asked = np.repeat(POINTS[:1], 3, axis=0)
    correlation = NOISE.between(asked, np.array([0, 1, 7]), POINTS, SEEDS)
    covariance, variance = process.runs(POINTS[:1], asked, correlation)
    known, neighbour, fresh = variance
    assert known < 1e-6 < neighbour < fresh
    assert fresh == pytest.approx(process.standard(POINTS[:1])[1][0] ** 2 + process.noise)
    assert covariance[2, 0] == pytest.approx(process.standard(POINTS[:1])[1][0] ** 2)


def test_what_is_shared_is_fitted_to_recorded_runs() -> None:
    world = World(synthetic.runs())
    apart = fitted([world])
    assert apart.share < 0.3  # the formula's runs have a seed's effect alone in common
    runs = world.runs.accuracy
    number = {cell: place for place, cell in enumerate(world.grid.cells())}
    for place, cell in enumerate(world.grid.cells()):  # the luck of a learning rate's first cell is that of all others
        first = next(
            other for other in number if (other.optimizer, other.learning_rate) == (cell.optimizer, cell.learning_rate)
        )
        runs[place] += (runs[number[first]] - runs[number[first]].mean(0)) - (runs[place] - runs[place].mean(0))
    assert fitted([World(world.runs)]).share > 0.6


@pytest.mark.slow
def test_with_a_seed_for_each_trial_it_proposes_what_the_product_does() -> None:
    spec = job_spec(GROUND, 3, 13, False)
    product = Search(GROUND, spec, Arm.JOINT)
    own = BlockSearch(GROUND, spec, Arm.JOINT, method=Method("own", 100, luck=True), luck=LUCK)
    others = {arm: Search(GROUND, spec, arm) for arm in Arm}
    product.trial(12, 12, others)
    own.trial(12, 12, others)
    assert own.ended == product.ended


@pytest.mark.parametrize("method", [Method("turn", 2), Method("chosen", 2, luck=True, chosen=True)])
def test_a_pool_is_of_seeds_that_confirm_nothing_and_no_run_is_made_twice(method: Method) -> None:
    spec = job_spec(GROUND, 1, 14, False)
    search = BlockSearch(GROUND, spec, Arm.JOINT, method=method, luck=LUCK)
    search.trial(13, 13, dict.fromkeys(Arm, search))
    seeds = {ended.seed for ended in search.ended}
    confirming = {seed for stage in (Stage.SELECT, Stage.ESTIMATE) for seed in confirmation_seeds(spec, stage, 0)}
    assert seeds == set(blocks.pool_of(GROUND, spec, 2))
    assert not seeds & confirming
    assert len({(repr(ended.configuration), ended.seed) for ended in search.ended}) == 14


def test_the_product_is_itself_again_afterwards() -> None:
    before = field.whole_surface, surface.Likelihood
    with blocks.knowing(GROUND, None):
        assert field.whole_surface is before[0]
    blocks.measured(GROUND, 0, Method("chosen", 2, luck=True, chosen=True), LUCK, (11,))
    assert (field.whole_surface, surface.Likelihood) == before


def test_recorded_students_have_the_luck_of_few_seeds() -> None:
    ground = paired_runs.split(TRY, 0)
    assert blocks.pool_of(ground, job_spec(ground, 0, 8, False), 4) == [0, 1]
    assert [blocks.identity(ground, seed) for seed in (0, 1, 6, 9)] == [0, 1, 0, 1]
    assert blocks.identity(GROUND, 9) == 9
    assert luck.recorded(ground.world).shape[1] == ground.world.runs.seeds - 2
