"""Claims of programs of others: taken, proposed and attached, so that what is handed out is ready to be trained."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from search import configurations
from search.claims import claiming, leases, reporting, trial_counts
from search.claims.claiming import Claim
from search.optuna_bridge import proposals, study
from search.pruners import pruner_factory
from search.records import Principal
from search.requests.external import Order, Selection, other_code
from search.spec.job import JobSpec
from search.states import Stage
from search.storage.db import Database

_STUDIES = tuple(threading.Lock() for _ in range(64))  # what a process remembers of a study is one thread's at a time


def claim_trials(db: Database, storage: study.Storage, principal: Principal, order: Order) -> list[Claim]:
    """The next trials, each with its configuration; none where there is nothing to train now."""
    holder, criteria = f"{principal.id}:{order.client}", order.selection.whose(principal)
    claims: list[Claim] = []
    if order.take_up:
        claims = claiming.take_up(db, holder, order.lease_seconds, order.most, criteria)
    if not claims:
        shared, room = partial(_fixed, order.selection), partial(_room, order.selection)
        take_next = partial(claiming.claim_many, db, holder, order.lease_seconds, order.most, fixed=shared, room=room)
        claims = take_next(criteria=criteria)
    ready: list[Claim] = []
    try:
        for claim in claims:
            ready.append(_proposed(db, storage, claim, holder))
    except BaseException:
        for claim in claims[len(ready) :]:
            leases.give_back(db, claim.token)
        raise
    return ready


def _proposed(db: Database, storage: study.Storage, claim: Claim, holder: str) -> Claim:
    """The claim with a configuration, for which the job's sampler is asked where no earlier attempt has."""
    if claim.heard:
        if claim.optuna_number is not None:
            proposals.take_over(storage, claim, claim.optuna_number, holder)
        return claim
    with _STUDIES[hash(claim.job_id) % len(_STUDIES)]:  # until it is written, so that the next one knows of it
        proposal = proposals.propose(storage, claim, holder)
        number = proposals.numbering(storage, proposal)
        attached = reporting.attach(db, claim.token, claim.trial_id, number, proposal.configuration)
    return replace(claim, optuna_number=attached, configuration=proposal.configuration)


def as_document(claim: Claim, lease_seconds: float) -> dict[str, Any]:
    """A claim as its program reads it."""
    assert claim.configuration is not None  # it was proposed
    return {
        "job": claim.job_id,
        "trial": claim.number,
        "attempt": claim.attempt,
        "token": claim.token,
        "stage": str(claim.stage),
        "arm": str(claim.arm),
        "seed": claim.seed,
        "configuration": configurations.to_json(claim.configuration),
        "objective": claim.spec.objective.metric,
        "direction": claim.spec.objective.direction,
        "epochs": claim.spec.training.epochs,
        "rungs": sorted(pruner_factory.rungs(claim.spec)) if claim.optuna_number is not None else [],
        "resume": {"epoch": claim.epoch, "at": claim.resume} if claim.epoch and claim.resume is not None else None,
        "test": claim.stage is Stage.ESTIMATE,
        "renew_every": lease_seconds / 3,
        "command": None if claim.spec.trainer is None else claim.spec.trainer.command,
        "arguments": {} if claim.spec.trainer is None else dict(claim.spec.trainer.arguments),
    }


def _fixed(selection: Selection, spec: JobSpec) -> dict[str, Any]:
    """What the trials of such a job share beyond its spec: who trains them, and with which code of a command."""
    shared: dict[str, Any] = {"trainer": None if spec.trainer is None else spec.trainer.kind}
    return shared if selection.code is None else shared | {"code": selection.code}


def _room(
    selection: Selection, _: str, spec: JobSpec, fixed: Any, stage: Stage, together: Sequence[Stage], running: int
) -> bool:
    """Whether one more trial of a stage is begun: a sampler that is asked for many at once proposes blindly. One of
    each stage is, so that no program stands idle beside a busy fleet. None is with other code than the first had.
    """
    if other_code(fixed, selection):
        return False
    most = trial_counts.at_once(spec, stage)
    return most is None or running < most or stage not in together
