"""Proposals: a job's sampler is asked, and its answer is a trial of Optuna's study.

A trial is thought up in memory, and where Optuna's tables lie beside ours it is written into both in one transaction.
Only workers ask: samplers need numerics that a service which starts without them does not have.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import optuna
import sqlalchemy
import structlog
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from search.claims.claiming import Claim
from search.claims.imported import Entry
from search.optuna_bridge import mirror, study
from search.optuna_bridge.draft import Draft
from search.samplers import sampler_factory, space
from search.samplers.advised import AdvisedSampler
from search.spec.job import JobSpec
from search.states import Arm, Stage
from search.storage.rows import optuna_study_name
from search.surrogate import slices
from trainers.registry import losses
from trainers.spec import Configuration

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Proposal:
    """What to train, and the trial that is to stand in Optuna's study; nobody else knows of it yet."""

    study: str
    trial: FrozenTrial
    configuration: Configuration


def propose(storage: study.Storage, claim: Claim, worker: str = "") -> Proposal:
    """What to train next in the arm's study, which is created at the first call. Nothing is written of the trial.

    It carries what people look for in Optuna Dashboard: its number in the job, its stage, the student's seed and who
    trains it. What an earlier attempt asked for, which died before it was attached, is failed first: a sampler must
    not take it for one that is being trained.
    """
    name = optuna_study_name(claim.job_id, claim.arm)
    with study.converted():
        known = study.known_study(storage, name, claim.spec.objective.direction)
        trials = storage.get_all_trials(known.study_id, deepcopy=False)
        if claim.attempt > 1:
            before = [
                trial.number
                for trial in trials
                if trial.state is OptunaState.RUNNING and trial.user_attrs.get("trial") == claim.number
            ]
            for number in before:
                study.fail_running(storage, name, number)
            if before:
                trials = storage.get_all_trials(known.study_id, deepcopy=False)
        known.columns.update(trials)
        method = claim.spec.distillation.method

        def proposed(sampler: optuna.samplers.BaseSampler) -> Proposal:
            draft = Draft(storage, known.study_id, known.directions, trials, _attributes(claim, worker))
            configuration = space.suggest(draft.begin(name, sampler), claim.spec.space, claim.arm, method)
            return Proposal(name, draft.trial, space.checked(configuration, claim.spec.space, claim.arm, method))

        if claim.configuration is not None:  # it was advised
            return proposed(AdvisedSampler(claim.configuration))
        spec = claim.spec
        of_job = (spec.space, claim.arm, spec.seed, claim.number)
        try:
            shared = spec.sampler.name == "gp" and spec.baselines.by != "arm"  # no other sampler learns from other arms
            arm_trials = _trials_of_other_arms(storage, claim) if shared else None
            return proposed(sampler_factory.build_sampler(spec.sampler, *of_job, known.columns, method, arm_trials))
        except study.NUMERICAL as error:  # a proposal is owed in any case: no job fails for its sampler
            job = {"job": claim.job_id, "trial": claim.number, "sampler": spec.sampler.name}
            detail = f"{type(error).__name__}: {error}"[:500]
            _log.warning("a proposal failed; it is the next place of an even walk", **job, error=detail)
            return proposed(sampler_factory.even_walk(*of_job, method))


def _trials_of_other_arms(storage: study.Storage, claim: Claim) -> list[tuple[Arm, FrozenTrial]]:
    """Those that tell something of this arm's; an arm that nobody has asked for yet has none."""
    pairs: list[tuple[Arm, FrozenTrial]] = []
    for arm in slices.together(claim.arm, claim.spec.distillation.method == losses.PLAIN):
        if arm is not claim.arm:
            with suppress(KeyError):
                known = study.known_study(storage, optuna_study_name(claim.job_id, arm))
                pairs += [(arm, trial) for trial in storage.get_all_trials(known.study_id, deepcopy=False)]
    return pairs


def numbering(storage: study.Storage, proposal: Proposal) -> Callable[[sqlalchemy.Connection], int]:
    """What writes the proposed trial, in the caller's transaction, and answers its number in the study.

    Behind a proxy it is written at once, and what is answered knows the number.
    """
    study_id = study.known_study(storage, proposal.study).study_id
    if study.mirror_of(storage):
        return lambda connection: mirror.insert_trial(connection, study_id, proposal.trial).number
    with study.converted():
        number = storage.get_trial_number_from_id(storage.create_new_trial(study_id, template_trial=proposal.trial))
    return lambda _: number


def finished_teller(
    storage: study.Storage, job_id: str, spec: JobSpec
) -> Callable[[sqlalchemy.Connection, int, Entry], int]:
    """What writes a finished trial from elsewhere into the joint search's study, in the caller's transaction, and
    answers its number there: samplers learn from it as from any other.
    """
    name = optuna_study_name(job_id)
    with study.converted():
        state = study.known_study(storage, name, spec.objective.direction)

    def tell(connection: sqlalchemy.Connection, number: int, entry: Entry) -> int:
        attributes = {"trial": number, "stage": str(Stage.SEARCH), "imported": entry.source}
        draft = Draft(storage, state.study_id, state.directions, [], attributes)
        sampler = AdvisedSampler(entry.configuration)
        space.suggest(draft.begin(name, sampler), spec.space, Arm.JOINT, spec.distillation.method)
        finished = draft.trial
        finished.state, finished.value, finished.datetime_complete = OptunaState.COMPLETE, entry.value, datetime.now()
        return mirror.insert_trial(connection, state.study_id, finished).number

    return tell


def ask(storage: study.Storage, claim: Claim, worker: str = "") -> tuple[int, Configuration]:
    """A proposal that is written by itself: its number, and what to train; for who attaches it afterwards."""
    proposal = propose(storage, claim, worker)
    with study.converted():
        study_id = study.known_study(storage, proposal.study).study_id
        number = storage.get_trial_number_from_id(storage.create_new_trial(study_id, template_trial=proposal.trial))
    return number, proposal.configuration


def take_over(storage: study.Storage, claim: Claim, number: int, worker: str) -> None:
    """Notes who trains a trial now that an earlier attempt has asked for."""
    with study.converted():
        try:
            trial_id = study.id_of(storage, optuna_study_name(claim.job_id, claim.arm), number)
            storage.set_trial_user_attr(trial_id, "worker", worker)
            storage.set_trial_user_attr(trial_id, "attempt", claim.attempt)
        except (KeyError, optuna.exceptions.UpdateFinishedTrialError):
            return


def _attributes(claim: Claim, worker: str) -> dict[str, Any]:
    attributes = {
        "trial": claim.number,  # the dashboard numbers a study's trials, we number a job's
        "stage": str(claim.stage),
        "seed": claim.seed,
        "worker": worker,
    }
    return (
        attributes
        if claim.advice is None
        else attributes | {"advice": f"{claim.advice['origin']}: {claim.advice['source']}"}
    )
