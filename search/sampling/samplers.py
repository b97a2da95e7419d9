"""Which of Optuna's samplers proposes the next configuration, and from which seed?"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import optuna

from search.sampling.listed import ListedSampler
from search.sampling.tpe import Columns, ColumnsTPESampler
from search.spec import SamplerSpec
from trainers.spec import digest


def build_sampler(
    spec: SamplerSpec,
    job_seed: int,
    study: str,
    trial: int,
    listed: Mapping[str, Sequence[float]] | None = None,
    columns: Columns | None = None,
) -> optuna.samplers.BaseSampler:
    """A sampler for one proposal; of the parameters in `listed` it proposes these numbers alone.

    With `columns`, brought up to date for this proposal, TPE is quicker over many trials, and proposes the same.

    Its seed comes from the trial's number within the job, which no two workers share: no two propose the same
    points, and one worker alone proposes the same points whenever the job is run again, whether or not it died in
    between. qmc alone keeps one seed
    per study: all workers walk along one scrambled Sobol sequence, whose next index Optuna stores with the study.
    """
    own, shared = int(digest([job_seed, study, trial])[:8], 16), int(digest([job_seed, study])[:8], 16)
    sampler = _free(spec, own, shared, columns)
    return ListedSampler(sampler, listed) if listed else sampler


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
        # An optimizer's own settings exist only in its own trials. gp, cmaes and qmc propose jointly only what all
        # trials have; the rest is left to TPE, and Optuna's warning about it says nothing new.
        if spec.name in ("gp", "cmaes"):
            kind = optuna.samplers.GPSampler if spec.name == "gp" else optuna.samplers.CmaEsSampler
            return kind(
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
