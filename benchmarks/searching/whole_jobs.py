"""A whole job on a world whose truth is known: its own plan, samplers, finalists and answer, one student at a time,
without a database, a clock or a network. It runs with this service's code and with that of the commit before.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import optuna

from benchmarks.searching.cost.jobs import NOW, Ended, finished, record, snapshot
from benchmarks.searching.worlds import World
from search import configurations
from search.analysis.job.build import build_documents
from search.analysis.job.finalists import choose_finalists
from search.claims import planner
from search.claims.lifecycle import chosen_of
from search.records import Trial
from search.samplers import sampler_factory, space
from search.samplers.tpe import Columns
from search.spec.job import JobSpec
from search.states import Arm, JobState, Stage, TrialState
from trainers.spec import Configuration

MEMBERS = 4
"""Hyperparameters that the choice of finalists averages over: a worker takes 12, which takes longer."""
FRESH = 2**40
"""The first of the seeds that no job's plan has."""
_SHARED = "arm_trials" in inspect.signature(sampler_factory.build_sampler).parameters
"""Whether an arm's proposals learn from the other arms' trials."""


def spec_of(world: World, seed: int, **parts: Any) -> JobSpec:
    """A job on this world, at the service's defaults but for `parts`."""
    return JobSpec.model_validate(
        {
            "name": world.name,
            "seed": seed,
            "dataset": {"name": "digits"},
            "teacher": {"source": "logits", "artifact": "0" * 64},
            "student": {"name": "mlp"},
            "space": world.space,
        }
        | parts
    )


@dataclass
class Job:
    """From its first claim to its analysis."""

    world: World
    spec: JobSpec
    trials: list[Trial] = field(default_factory=list)
    state: JobState = JobState.RUNNING
    chosen: planner.FinalistChoice | None = None
    round: int = 0

    def __post_init__(self) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._studies = {arm: optuna.create_study(direction=self.spec.objective.direction) for arm in Arm}
        self._columns = {arm: Columns() for arm in Arm}

    def run(self) -> Job:
        """Trains what the plan says until there is nothing more to train."""
        while self.state in (JobState.RUNNING, JobState.CONFIRMING):
            seen = snapshot(self.spec, self.state, self.trials, self.round)
            coming = planner.decide(seen, lambda: finished(self.trials), lambda: self.chosen)
            if isinstance(coming, planner.NewTrial):
                self._search(coming.stage, coming.arm)
            elif isinstance(coming, planner.PlanRows):
                self.state = JobState.CONFIRMING
                for row in coming.rows:
                    self._add(row.stage, row.arm, row.variant, row.origin, row.configuration, row.seed)
            elif isinstance(coming, planner.Choose):
                self.chosen = chosen_of(choose_finalists("j", self.spec, self.trials, self.round, NOW, members=MEMBERS))
            elif isinstance(coming, planner.MoveTo):
                self.state = coming.state
            else:
                raise RuntimeError(f"nothing is under way, and the plan waits: {coming}")
        return self

    def extend(self, trials: int) -> Job:
        """Searches on for so many more trials and confirms again, as `thermowell extend` lets a job do."""
        budget = self.spec.budget.model_copy(update={"trials": self.spec.budget.trials + trials})
        self.spec = self.spec.model_copy(update={"budget": budget})
        self.state, self.chosen, self.round = JobState.RUNNING, None, self.round + 1
        return self.run()

    def documents(self) -> Mapping[str, Any]:
        """What the service would answer."""
        return build_documents(
            job_id="j", spec=self.spec, trials=self.trials, softness=[], teacher=None, search_stopped=False,
            test_seen_before=False, wall_seconds=0.0, now=NOW,
        )  # fmt: skip

    def add_estimates(self, count: int) -> None:
        """Trains every contestant that was estimated on further fresh seeds, until it has had so many of them."""
        estimated = [trial for trial in self.trials if trial.stage is Stage.ESTIMATE]
        first = {(trial.arm, trial.variant): trial for trial in reversed(estimated)}
        trained = {(trial.arm, trial.variant, trial.seed) for trial in estimated}
        for trial in first.values():
            for seed in range(FRESH, FRESH + count):
                if (trial.arm, trial.variant, seed) not in trained:
                    self._add(Stage.ESTIMATE, trial.arm, trial.variant, trial.origin, trial.configuration or {}, seed)

    def contestants(self) -> dict[tuple[Arm, str], Configuration]:
        """The configurations that were estimated."""
        return {
            (t.arm, t.variant or ""): configurations.from_json(t.configuration or {})
            for t in self.trials
            if t.stage is Stage.ESTIMATE
        }

    def _search(self, stage: Stage, arm: Arm) -> None:
        number, study, columns = len(self.trials), self._studies[arm], self._columns[arm]
        columns.update(study.get_trials(deepcopy=False))
        more = {"arm_trials": self._others(arm)} if _SHARED else {}
        study.sampler = sampler_factory.build_sampler(
            self.spec.sampler, self.spec.space, arm, self.spec.seed, number, columns, **more
        )
        trial = study.ask()
        configuration = space.suggest(trial, self.spec.space, arm)
        self._add(
            stage, arm, None, None, configurations.to_json(configuration), planner.trial_seed(self.spec.seed, number)
        )
        study.tell(trial, self.trials[-1].value)

    def _others(self, arm: Arm) -> Any:
        from search.surrogate import slices

        if getattr(self.spec.baselines, "by", "arm") == "arm":
            return None
        return [(o, t) for o in slices.together(arm, True) if o is not arm for t in self._studies[o].get_trials(False)]

    def _add(
        self, stage: Stage, arm: Arm, variant: str | None, origin: int | None, told: Mapping[str, Any], seed: int
    ) -> None:
        value = self.world.value(configurations.from_json(told), seed)
        ended = Ended(dict(told), seed, TrialState.COMPLETED, value, self.spec.training.epochs)
        self.trials.append(record(len(self.trials), stage, arm, variant, origin, ended, self.round))
