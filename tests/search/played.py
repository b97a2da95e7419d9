"""A job played to its end without workers, students or a database: its plan decides, its sampler proposes, and a
formula says what each trial comes to.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import optuna
from optuna.trial import TrialState as OptunaState

from search import configurations
from search.analysis.job.finalists import choose_finalists
from search.claims import planner
from search.claims.claiming import Claim
from search.claims.lifecycle import chosen_of
from search.claims.planner import Choose, Finished, JobSnapshot, MoveTo, NewTrial, PlanRows
from search.optuna_bridge import proposals, study
from search.pruners import pruner_factory
from search.records import Reason, Trial
from search.spec.job import JobSpec
from search.states import Arm, JobState, Stage, TrialState
from search.storage.rows import optuna_study_name
from thermowell.api.answers import Finalists
from trainers.spec import Configuration

START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Played:
    """A job that is played; `outcome` says what the trial of a number comes to, None where it diverges."""

    spec: JobSpec
    outcome: Callable[[int], float | None]
    trials: list[Trial] = field(default_factory=list)
    state: JobState = JobState.RUNNING
    finalists: Finalists | None = None
    storage: optuna.storages.BaseStorage = field(default_factory=optuna.storages.InMemoryStorage)

    def play(self, until: JobState = JobState.ANALYSING) -> None:
        """On, until it is in this state, or has failed."""
        while self.state not in (until, JobState.FAILED):
            following = planner.decide(self._snapshot(), self._finished, self._chosen)
            if isinstance(following, NewTrial):
                self._search(following.stage, following.arm)
            elif isinstance(following, MoveTo):
                self.state = following.state
            elif isinstance(following, PlanRows):
                self.state = JobState.CONFIRMING
                for row in following.rows:
                    configuration = configurations.from_json(row.configuration)
                    self._end(row.stage, row.arm, row.variant, row.origin, configuration, row.seed)
            else:
                assert isinstance(following, Choose)
                self.finalists = choose_finalists("j", self.spec, self.trials, 0, START, members=2)

    def _chosen(self) -> planner.FinalistChoice | None:
        return None if self.finalists is None else chosen_of(self.finalists)

    def _search(self, stage: Stage, arm: Arm) -> None:
        number = len(self.trials)
        claim = Claim(
            "j", number, number, stage, arm, None, 0, planner.trial_seed(self.spec.seed, number), 1, "", None, None,
            self.spec, {},
        )  # fmt: skip
        found, configuration = proposals.ask(self.storage, claim)
        trial = self._end(stage, arm, None, None, configuration, claim.seed)
        trial_id = study.id_of(self.storage, optuna_study_name("j", arm), found)
        worst = self.spec.objective.worst
        for epoch in (
            sorted(pruner_factory.rungs(self.spec)) if arm is Arm.JOINT else ()
        ):  # asked; here nobody is stopped
            reached = worst if trial.value is None else trial.value * (1 - 0.5 / epoch)
            study.should_prune(self.storage, claim, found, epoch, reached)
        if trial.value is None:
            self.storage.set_trial_intermediate_value(trial_id, 1, worst)
        state = OptunaState.COMPLETE if trial.value is not None else OptunaState.PRUNED
        self.storage.set_trial_state_values(trial_id, state, [worst if trial.value is None else trial.value])

    def _end(
        self, stage: Stage, arm: Arm, variant: str | None, origin: int | None, configuration: Configuration, seed: int
    ) -> Trial:
        number = len(self.trials)
        value, epochs = self.outcome(number), self.spec.training.epochs
        others = {"accuracy": 0.5, "nll": 1.0, "ece": 0.1, "teacher_agreement": 0.5, "teacher_entropy": 0.3}
        metrics = None if value is None else others | {self.spec.objective.metric: value}
        trial = Trial(
            number=number,
            stage=stage,
            arm=arm,
            variant=variant,
            round=0,
            origin=origin,
            state=TrialState.FAILED if value is None else TrialState.COMPLETED,
            configuration=configurations.to_json(configuration),
            seed=seed,
            attempt=1,
            worker_id="w",
            optuna_number=number if origin is None else None,
            value=value,
            epoch=1 if value is None else epochs,
            metrics=metrics,
            test_metrics=metrics if stage is Stage.ESTIMATE else None,
            reason=Reason("diverged", "the loss was no longer finite") if value is None else None,
            created_at=START,
            started_at=START,
            ended_at=START + timedelta(seconds=number),
            train_seconds=1.0,
        )
        self.trials.append(trial)
        return trial

    def _finished(self) -> list[Finished]:
        return [
            Finished(t.number, t.stage, t.arm, t.round, t.origin, t.state, t.value, t.configuration, t.seed)
            for t in self.trials
        ]

    def _snapshot(self) -> JobSnapshot:
        counts: dict[tuple[Stage, Arm], Counter[TrialState]] = {}
        for trial in self.trials:
            counts.setdefault((trial.stage, trial.arm), Counter())[trial.state] += 1
        searched = sum(trial.stage is Stage.SEARCH for trial in self.trials)
        budget: Any = self.spec.budget
        return JobSnapshot(
            self.spec, self.state, 0, False, budget.trials, None, None, searched, searched * self.spec.training.epochs,
            counts,
        )  # fmt: skip
