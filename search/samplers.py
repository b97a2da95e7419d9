"""Which of Optuna's samplers proposes the next configuration, and from which seed?"""

from __future__ import annotations

import warnings

import optuna

from search.spec import SamplerSpec
from trainers.spec import digest


def build_sampler(
    spec: SamplerSpec, job_seed: int, study: str, trial: int, attempt: int
) -> optuna.samplers.BaseSampler:
    """A sampler for one proposal.

    Its seed comes from the trial's number within the job, which no two workers share: no two propose the same
    points, and one worker alone proposes the same points whenever the job is run again. qmc alone keeps one seed
    per study: all workers walk along one scrambled Sobol sequence, whose next index Optuna stores with the study.
    """
    seed = int(digest([job_seed, study, trial, attempt])[:8], 16)
    with warnings.catch_warnings():
        # `group` and QMCSampler are marked experimental: their interface may change, which the type checker and the
        # tests of every sampler would show.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        if spec.name == "random":
            return optuna.samplers.RandomSampler(seed=seed)
        if spec.name == "qmc":
            shared = int(digest([job_seed, study])[:8], 16)
            return optuna.samplers.QMCSampler(
                scramble=True, seed=shared, independent_sampler=_tpe(spec, seed), warn_independent_sampling=False
            )
        # An optimizer's own settings exist only in its own trials. gp, cmaes and qmc propose jointly only what all
        # trials have; the rest is left to TPE, and Optuna's warning about it says nothing new.
        if spec.name == "gp":
            return optuna.samplers.GPSampler(
                seed=seed,
                n_startup_trials=spec.startup_trials,
                independent_sampler=_tpe(spec, seed),
                warn_independent_sampling=False,
            )
        if spec.name == "cmaes":
            return optuna.samplers.CmaEsSampler(
                seed=seed,
                n_startup_trials=spec.startup_trials,
                independent_sampler=_tpe(spec, seed),
                warn_independent_sampling=False,
            )
        return _tpe(spec, seed)


def _tpe(spec: SamplerSpec, seed: int) -> optuna.samplers.TPESampler:
    """Multivariate within each group of settings that occur together: the space is conditional on the optimizer."""
    return optuna.samplers.TPESampler(
        n_startup_trials=spec.startup_trials, multivariate=True, group=True, constant_liar=True, seed=seed
    )
