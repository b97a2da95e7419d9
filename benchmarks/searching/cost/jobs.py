"""A whole job of this service, simulated: its own decisions, samplers, pruners, finalists and gains on recorded curves,
one student at a time, without a database, a clock or a network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import optuna
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from benchmarks.searching.cost.ground import Ground
from benchmarks.searching.cost.steps import Step, last_values
from search import configurations
from search.analysis.job.finalists import choose_finalists
from search.claims import planner
from search.claims.lifecycle import chosen_of
from search.pruners import pruner_factory
from search.records import Trial
from search.samplers import sampler_factory, space
from search.samplers.advised import AdvisedSampler
from search.samplers.tpe import Columns
from search.spec.job import JobSpec
from search.states import Arm, JobState, Stage, TrialState
from trainers.spec import Configuration

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MEMBERS = 1
"""Hyperparameters that the choice of finalists averages over: a worker takes 12, which is twice as slow."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A trial of a search that has ended, as the plan and the analysis need it."""

    configuration: Mapping[str, Any]
    seed: int
    state: TrialState
    value: float
    epoch: int


@dataclass
class Search:
    """One arm's study in memory: the n-th trial of a job is asked for, trained and told, and kept.

    `advised` are the first trials' configurations. Sampler and pruner know nothing of a job's budget, so that jobs
    which differ in it alone share their joint search, which is over before a baseline has a trial.
    """

    ground: Ground
    spec: JobSpec
    arm: Arm
    advised: Sequence[Configuration] = ()
    ended: list[Ended] = field(default_factory=list)

    def __post_init__(self) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        name = f"{self.spec.seed} {self.arm}"  # from which Hyperband draws its brackets
        self._study = optuna.create_study(study_name=name, direction=self.spec.objective.direction)
        self._pruner, self._rungs = pruner_factory.build_pruner(self.spec), sorted(pruner_factory.rungs(self.spec))
        self._columns = Columns()

    def trial(self, place: int, number: int, searches: Mapping[Arm, Search]) -> Ended:
        """The arm's trial at this place, from 0, which is the job's trial of that number, beside all its `searches`."""
        while len(self.ended) <= place:
            self.ended.append(self._train(len(self.ended), number - place + len(self.ended), searches))
        return self.ended[place]

    def add(self, configuration: Configuration, ended: Ended) -> None:
        """A trial that somebody else has proposed and trained, as if it were the study's own."""
        self._study.sampler = AdvisedSampler(configuration)
        trial = self._study.ask()
        space.suggest(trial, self.spec.space, self.arm)
        trial.report(ended.value, ended.epoch)
        if ended.state is TrialState.PRUNED:
            self._study.tell(trial, state=OptunaState.PRUNED)
        else:
            self._study.tell(trial, ended.value)
        self.ended.append(ended)

    def _of_other_arms(self, searches: Mapping[Arm, Search]) -> list[tuple[Arm, FrozenTrial]] | None:
        """The trials that tell something of this arm's, as a worker reads them; None where it is searched by itself."""
        if getattr(self.spec.baselines, "by", "arm") == "arm":  # a checkout that is compared with may be from before it
            return None
        from search.surrogate import slices

        others = [arm for arm in slices.together(self.arm, True) if arm is not self.arm]
        return [(arm, trial) for arm in others for trial in searches[arm]._study.get_trials(deepcopy=False)]

    def _train(self, place: int, number: int, searches: Mapping[Arm, Search]) -> Ended:
        self._columns.update(self._study.get_trials(deepcopy=False))
        others = self._of_other_arms(searches)
        more: dict[str, Any] = {} if others is None else {"arm_trials": others}
        sampler: optuna.samplers.BaseSampler = sampler_factory.build_sampler(
            self.spec.sampler, self.spec.space, self.arm, self.spec.seed, number, self._columns, **more
        )
        if self.arm is Arm.JOINT and place < len(self.advised):
            sampler = AdvisedSampler(self.advised[place])
        self._study.sampler = sampler
        trial = self._study.ask()
        configuration = space.suggest(trial, self.spec.space, self.arm)
        seed = planner.trial_seed(self.spec.seed, number)
        curve = self.ground.curve(self.ground.grid.index(configuration), seed)
        told = configurations.to_json(configuration)
        for rung in self._rungs:
            value = self.ground.value(curve, rung)
            trial.report(value, rung)
            if self._pruner.prune(self._study, self._study._storage.get_trial(trial._trial_id)):
                self._study.tell(trial, state=OptunaState.PRUNED)
                return Ended(told, seed, TrialState.PRUNED, value, rung)
        value = self.ground.value(curve, self.ground.length)
        self._study.tell(trial, value)
        return Ended(told, seed, TrialState.COMPLETED, value, self.ground.length)


@dataclass
class Job:
    """One job from its first claim to its analysis. `search` is the joint search, which other jobs may share; with
    another job's `trials` of its search, `state` and `chosen` finalists it goes on from there.
    """

    ground: Ground
    spec: JobSpec
    search: Search
    trials: list[Trial] = field(default_factory=list)
    state: JobState = JobState.RUNNING
    chosen: planner.FinalistChoice | None = None

    def run(self) -> Job:
        """Trains what the plan says until there is nothing more to train."""
        searches = {arm: Search(self.ground, self.spec, arm) for arm in Arm}
        searches[Arm.JOINT] = self.search
        places = dict.fromkeys(Arm, 0)
        while self.state in (JobState.RUNNING, JobState.CONFIRMING):
            coming = planner.decide(
                snapshot(self.spec, self.state, self.trials), lambda: finished(self.trials), lambda: self.chosen
            )
            if isinstance(coming, planner.NewTrial):
                number = len(self.trials)
                ended = searches[coming.arm].trial(places[coming.arm], number, searches)
                places[coming.arm] += 1
                self._add(coming.stage, coming.arm, None, None, ended)
            elif isinstance(coming, planner.PlanRows):
                self.state = JobState.CONFIRMING
                for row in coming.rows:
                    self._add(row.stage, row.arm, row.variant, row.origin, self._again(row))
            elif isinstance(coming, planner.Choose):
                self.chosen = chosen_of(choose_finalists("j", self.spec, self.trials, 0, NOW, members=MEMBERS))
            elif isinstance(coming, planner.MoveTo):
                self.state = coming.state
            else:
                raise RuntimeError(f"nothing is under way, and the plan waits: {coming}")
        return self

    @property
    def winner(self) -> int | None:
        """The confirmed winner's cell; None where the job has failed."""
        for trial in self.trials:
            if trial.variant == "winner":
                return self.cell(trial)
        return None

    def epochs(self) -> dict[str, int]:
        """What was trained, by stage."""
        return {str(stage): sum(trial.epoch for trial in self.trials if trial.stage is stage) for stage in Stage}

    def cell(self, trial: Trial) -> int:
        """A trial's cell."""
        return self.ground.grid.index(configurations.from_json(trial.configuration or {}))

    def _again(self, row: planner.PlannedTrial) -> Ended:
        cell = self.ground.grid.index(configurations.from_json(row.configuration))
        value = self.ground.value(self.ground.curve(cell, row.seed), self.ground.length)
        return Ended(row.configuration, row.seed, TrialState.COMPLETED, value, self.ground.length)

    def _add(self, stage: Stage, arm: Arm, variant: str | None, origin: int | None, ended: Ended) -> None:
        self.trials.append(record(len(self.trials), stage, arm, variant, origin, ended))


def snapshot(spec: JobSpec, state: JobState, trials: Sequence[Trial], round_: int = 0) -> planner.JobSnapshot:
    """What the plan sees of a job with these trials in this round of its confirmation, whose clock never runs out."""
    counts: dict[tuple[Stage, Arm], dict[TrialState, int]] = {}
    for trial in trials:
        if trial.stage in (Stage.SELECT, Stage.ESTIMATE) and trial.round != round_:
            continue
        states = counts.setdefault((trial.stage, trial.arm), {})
        states[trial.state] = states.get(trial.state, 0) + 1
    searched = [trial for trial in trials if trial.stage is Stage.SEARCH]
    return planner.JobSnapshot(
        spec=spec,
        state=state,
        round=round_,
        search_stopped=False,
        budget_trials=spec.budget.trials,
        budget_epochs=spec.budget.epochs,
        seconds_left=None,
        search_trials=len(searched),
        search_epochs=sum(trial.epoch for trial in searched),
        counts=counts,
    )


def finished(trials: Sequence[Trial]) -> list[planner.Finished]:
    """The trials as the plan reads those that have ended."""
    return [
        planner.Finished(t.number, t.stage, t.arm, t.round, t.origin, t.state, t.value, t.configuration, t.seed)
        for t in trials
    ]


def record(
    number: int, stage: Stage, arm: Arm, variant: str | None, origin: int | None, ended: Ended, round_: int = 0
) -> Trial:
    """An ended trial as the database would remember it."""
    return Trial(
        number=number,
        stage=stage,
        arm=arm,
        variant=variant,
        round=round_,
        origin=origin,
        state=ended.state,
        configuration=ended.configuration,
        seed=ended.seed,
        attempt=1,
        worker_id=None,
        optuna_number=None,
        value=ended.value,
        epoch=ended.epoch,
        metrics={"accuracy": ended.value},
        test_metrics=None,
        reason=None,
        created_at=NOW,
        started_at=NOW,
        ended_at=NOW,
        train_seconds=0.0,
    )


def confirmed(ground: Ground, spec: JobSpec, steps: Sequence[Step]) -> Job:
    """Our confirmation of what a peer has tried: its trials stand where our search's would, its budget is spent."""
    last = last_values(steps)
    known = Search(ground, spec, Arm.JOINT)
    for number, step in enumerate(last.values()):
        state = TrialState.COMPLETED if step.end >= ground.length else TrialState.PRUNED
        tried = ground.cell(step.cell).configuration()
        seed = planner.trial_seed(spec.seed, number)
        known.add(tried, Ended(configurations.to_json(tried), seed, state, step.value, step.end))
    budget = {"trials": max(1, len(last))}
    return Job(ground, spec.model_copy(update={"budget": spec.budget.model_copy(update=budget)}), known).run()
