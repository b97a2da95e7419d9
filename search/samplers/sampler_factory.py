"""Construction of a job's sampler, Optuna's or ours, with its seed."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import optuna
from optuna.trial import FrozenTrial

from search.samplers import space
from search.samplers.gaussian_process import MOST, GaussianSampler
from search.samplers.listed import ListedSampler
from search.samplers.tpe import Columns, ColumnsTPESampler
from search.spec.job import SamplerSpec, SpaceSpec
from search.states import Arm
from search.surrogate.encoding import Encoding
from search.surrogate.slices import Slice
from trainers.registry import losses
from trainers.spec import Method, digest


def build_sampler(
    spec: SamplerSpec,
    searched: SpaceSpec,
    arm: Arm,
    job_seed: int,
    trial: int,
    columns: Columns | None = None,
    method: Method = losses.PLAIN,
    arm_trials: Sequence[tuple[Arm, FrozenTrial]] | None = None,
) -> optuna.samplers.BaseSampler:
    """A sampler for one proposal: of this trial of a job of this method, in this arm's study. Of a list it proposes its
    numbers alone.

    With `columns`, brought up to date for this proposal, TPE is quicker over many trials, and proposes the same; and
    where they hold more trials than gp learns from (gaussian.MOST), TPE proposes in its place.

    With `arm_trials`, trials of other arms, gp takes the arm for a slice of the space of all, and learns from them too.

    Its seed comes from the trial's number within the job, which no two workers share: no two propose the same
    points, and one worker alone proposes the same points whenever the job is run again, whether or not it died in
    between. qmc and gp's first trials keep one seed per study: all workers walk along one scrambled Sobol sequence. The
    next index of qmc's is stored by Optuna with the study; gp's is the trial's number.
    """
    trial_seed, shared = int(digest([job_seed, str(arm), trial])[:8], 16), int(digest([job_seed, str(arm)])[:8], 16)
    if spec.name == "gp" and (columns is None or columns.learnt() <= MOST):
        if arm_trials is None:
            encoding: Encoding | Slice = Encoding.of(searched, arm, method)
        else:
            encoding = Slice(searched, arm, method)
        return GaussianSampler(encoding, spec.startup_trials, shared, trial, trial_seed, arm_trials or ())
    sampler, listed, whole = (
        _free(spec, trial_seed, shared, columns),
        space.listed_values(searched),
        space.whole(searched),
    )
    return ListedSampler(sampler, listed, whole) if listed or whole else sampler


def even_walk(
    searched: SpaceSpec, arm: Arm, job_seed: int, trial: int, method: Method = losses.PLAIN
) -> optuna.samplers.BaseSampler:
    """What proposes the trial's own place of the study's even walk, as gp's first trials are: it computes nothing that
    could fail.
    """
    shared = int(digest([job_seed, str(arm)])[:8], 16)
    return GaussianSampler(Encoding.of(searched, arm, method), None, shared, trial, 0)


def _free(spec: SamplerSpec, seed: int, shared: int, columns: Columns | None) -> optuna.samplers.BaseSampler:
    """A sampler that proposes any number of a range; `shared` is the seed of the whole study."""
    with warnings.catch_warnings():
        # `group` and QMCSampler are marked experimental: their interface may change, which the type checker and the
        # tests of every sampler would show.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        if spec.name == "random":
            return optuna.samplers.RandomSampler(seed=seed)
        if spec.name == "qmc":
            return optuna.samplers.QMCSampler(
                scramble=True,
                seed=shared,
                independent_sampler=_tpe(spec, seed, columns),
                warn_independent_sampling=False,
            )
        # An optimizer's own settings exist only in its own trials. cmaes and qmc propose jointly only what all
        # trials have; the rest is left to TPE, and Optuna's warning about it says nothing new.
        if spec.name == "cmaes":
            return optuna.samplers.CmaEsSampler(
                seed=seed,
                n_startup_trials=spec.startup_trials,
                independent_sampler=_tpe(spec, seed, columns),
                warn_independent_sampling=False,
            )
        return _tpe(spec, seed, columns)


def _tpe(spec: SamplerSpec, seed: int, columns: Columns | None) -> optuna.samplers.TPESampler:
    """Multivariate within each group of settings that occur together: the space is conditional on the optimizer."""
    if columns is not None:
        return ColumnsTPESampler(columns, spec.startup_trials, seed)
    return optuna.samplers.TPESampler(
        n_startup_trials=spec.startup_trials, multivariate=True, group=True, constant_liar=True, seed=seed
    )
