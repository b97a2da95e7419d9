# Made of the schema and the registry by tests/architecture/test_spec_builders.py: write it anew there.
"""Builders of job specs, with completion: `Spec(name=..., dataset=Dataset(name=...), ...)`, to be submitted as it is.

What is not given is the service's default, and a part may be a dict as well, as in YAML. Names of plugins and of timm's
models are as good as those that are listed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from thermowell.parts import Part
from thermowell.space import AdamSpace as AdamSpace
from thermowell.space import Choices as Choices
from thermowell.space import LionSpace as LionSpace
from thermowell.space import NAdamSpace as NAdamSpace
from thermowell.space import OptimizerSpace as OptimizerSpace
from thermowell.space import ParameterChoices as ParameterChoices
from thermowell.space import ParameterRange as ParameterRange
from thermowell.space import ParameterValues as ParameterValues
from thermowell.space import Range as Range
from thermowell.space import RMSpropSpace as RMSpropSpace
from thermowell.space import SgdSpace as SgdSpace
from thermowell.space import Space as Space
from thermowell.teaching import Clusters as Clusters
from thermowell.teaching import Dataset as Dataset
from thermowell.teaching import FixedOptimizer as FixedOptimizer
from thermowell.teaching import Initial as Initial
from thermowell.teaching import LabelMap as LabelMap
from thermowell.teaching import Member as Member
from thermowell.teaching import Model as Model
from thermowell.teaching import Origin as Origin
from thermowell.teaching import Preprocessing as Preprocessing
from thermowell.teaching import Pretraining as Pretraining
from thermowell.teaching import Schedule as Schedule
from thermowell.teaching import Student as Student
from thermowell.teaching import Teacher as Teacher
from thermowell.teaching import Training as Training


@dataclass(kw_only=True)
class Baseline(Part):
    """label-only, T=1 and T=4, each searched with this share of the search's trials on top of them.

    by: surface: one surface over all trials proposes them, and the finalists of all arms run in one race; arm: each
        is searched and raced by itself
    default_temperature: what the verdict keeps where T makes no difference that matters; 4 unless given
    """

    share: float | None = None
    by: Literal["surface", "arm"] | None = None
    default_temperature: float | None = None


@dataclass(kw_only=True)
class Budget(Part):
    """When the joint search ends: at the first of these to be reached. Never overshot by trials or epochs.

    trainings: of everything together; of 16 or more three quarters search, unless trials is given
    epochs: summed over the trials of the search
    seconds: wall-clock since the first trial, pauses left out
    hours: the same as 3600 times as many seconds: then the search ends and is confirmed
    """

    trials: int | None = None
    trainings: int | None = None
    epochs: int | None = None
    seconds: float | None = None
    hours: float | None = None


@dataclass(kw_only=True)
class Confirmation(Part):
    """Fresh seeds: the finalists of every arm on up to select_seeds, then the winners on estimate_seeds.

    level: none trains the winner once more and nothing else; quick takes fewer seeds; full unless given
    finalists: of each arm, at most: those that may be truly best
    select_seeds: at most; a finalist drops out once it is shown to be worse than another
    delta: differences of the objective below this do not matter; needed of a metric of your own
    """

    level: Literal["none", "quick", "full"] | None = None
    finalists: int | None = None
    select_seeds: int | None = None
    estimate_seeds: int | None = None
    confidence: float | None = None
    delta: float | None = None


@dataclass(kw_only=True)
class Distillation(Part):
    """The distillation term of every trial but the baselines', which use plain KL.

    method: ctkd learns T, from space.temperature on; mse has none
    alpha: dkd: of the target class against the rest, 1 unless given
    beta: dkd: of the others among themselves, 8; dist: of classes of an image, 2
    gamma: dist: of the images of a class, 2
    schedule: T along training, from space.temperature to space.final_temperature
    step_at: step: after which share of the training, half unless given
    """

    method: Literal["kl", "zscore", "dkd", "mse", "dist", "ctkd", "wsld"] | str | None = None
    alpha: float | None = None
    beta: float | None = None
    gamma: float | None = None
    schedule: Literal["constant", "linear", "cosine", "step"] | None = None
    step_at: float | None = None


@dataclass(kw_only=True)
class ExternalTrainer(Part):
    """Trials are claimed over HTTP by any program that trains for this queue.

    queue: which programs train it: those that ask for this queue's trials
    about: what is trained on what, in your own words
    stall_seconds: a trial that reports no epoch for so long is given to another, though renewed
    """

    queue: str | None = None
    about: str | None = None
    stall_seconds: float | None = None


@dataclass(kw_only=True)
class FirstGuess(Part):
    """A configuration to begin with; what is left out is drawn at random, and parameters have their defaults.

    parameters: of space.parameters, by name
    source: whose guess it is: the trial carries it
    """

    temperature: float
    kd_weight: float | None = None
    label_weight: float | None = None
    optimizer: Literal["sgd", "adam", "adamw", "lion", "rmsprop", "nadam"] | None = None
    learning_rate: float | None = None
    weight_decay: float | None = None
    momentum: float | None = None
    parameters: Mapping[str, Any] | None = None
    source: str | None = None


@dataclass(kw_only=True)
class Fleet(Part):
    """A job's share of the workers, and what those must have that train it.

    priority: 20 gets twice the lanes that 10 gets
    parallel: trials under way at once, at most
    labels: a worker must have all of them, e.g. gpu
    memory_gb: of the device that trains: a worker's, at least
    """

    priority: int | None = None
    parallel: int | None = None
    labels: Sequence[str] | None = None
    memory_gb: float | None = None


@dataclass(kw_only=True)
class Grid(Part):
    """A grid in the place of a sampler: rounds of all temperatures x all settings, each round on a seed of its own.

    temperatures: rising; unless given a list in space.temperature, or 1, 2, 4, 10, 20 and the ends of its range
    settings: of each optimizer, spread evenly over the rest of the space
    """

    temperatures: Sequence[float] | None = None
    settings: int | None = None


@dataclass(kw_only=True)
class Spec(Part):
    """A distillation job: which student, which teacher, which data, what to search and how much to spend.

    trainer: who trains the trials, where that is not the service's own workers
    dataset: needed where trainer is left out
    teacher: needed where trainer is left out
    student: needed where trainer is left out
    grid: in the place of the sampler: all temperatures with the same settings and seeds, for a study
    seed: every seed of the job is derived from it
    """

    name: str
    labels: Mapping[str, Any] | None = None
    trainer: Trainer | Mapping[str, Any] | None = None
    dataset: Dataset | Mapping[str, Any] | None = None
    teacher: Teacher | Mapping[str, Any] | None = None
    student: Student | Mapping[str, Any] | None = None
    training: Training | Mapping[str, Any] | None = None
    distillation: Distillation | Mapping[str, Any] | None = None
    space: Space | Mapping[str, Any] | None = None
    objective: Objective | Mapping[str, Any] | None = None
    sampler: Sampler | Mapping[str, Any] | None = None
    grid: Grid | Mapping[str, Any] | None = None
    warm_start: WarmStart | Mapping[str, Any] | None = None
    pruner: Pruner | Mapping[str, Any] | None = None
    budget: Budget | Mapping[str, Any] | None = None
    baselines: Baseline | Mapping[str, Any] | None = None
    confirmation: Confirmation | Mapping[str, Any] | Literal["none", "quick", "full"] | None = None
    fleet: Fleet | Mapping[str, Any] | None = None
    seed: int | None = None
    precision: Literal["auto", "fp32", "bf16"] | None = None


@dataclass(kw_only=True)
class Objective(Part):
    """What is optimized on the validation part, at a trial's last epoch.

    metric: accuracy, nll, ece; mean_average_precision of several labels; any name where the training is your own
    direction: known of accuracy, nll and ece; needed of any other metric
    low: of your own metric: what it is never below, if anything
    high: of your own metric: what it is never above, if anything
    unit: of your own metric, for display; %: a share, shown in per cent
    """

    metric: str | None = None
    direction: Literal["maximize", "minimize"] | None = None
    low: float | None = None
    high: float | None = None
    unit: str | None = None


@dataclass(kw_only=True)
class Pruner(Part):
    """Which trials are stopped early, at rungs: epochs min_epochs, min_epochs * reduction_factor, ...

    startup_trials: median and curve: trials that must have ended before
    chance: curve: stop below this chance to end among as many as there are finalists
    """

    name: Literal["none", "auto", "median", "successive_halving", "hyperband", "stratified", "curve"] | None = None
    min_epochs: int | None = None
    reduction_factor: int | None = None
    startup_trials: int | None = None
    chance: float | None = None


@dataclass(kw_only=True)
class Sampler(Part):
    """Which sampler proposes, gp of ours or another of Optuna's; startup trials are random, gp's spread evenly."""

    name: Literal["gp", "tpe", "cmaes", "qmc", "random"] | None = None
    startup_trials: int | None = None


@dataclass(kw_only=True)
class Trainer(Part):
    """Who trains the trials: give `external`, or `command` with its `arguments`; left out, the service's own workers.

    command: a command that an agent offers
    arguments: of the command, as its operator allows them
    """

    external: ExternalTrainer | Mapping[str, Any] | None = None
    command: str | None = None
    arguments: Mapping[str, Any] | None = None


@dataclass(kw_only=True)
class WarmStart(Part):
    """The first trials of the joint search, from the literature's table, from finished jobs, or as named here.

    mode: history: of finished jobs that you may read; of a program's own: its queue's
    share: of budget.trials at most, and never more than sampler.startup_trials or 8; one is a draw
    points: tried first, in this order
    """

    mode: Literal["none", "literature", "history", "both"] | None = None
    share: float | None = None
    points: Sequence[FirstGuess | Mapping[str, Any]] | None = None
