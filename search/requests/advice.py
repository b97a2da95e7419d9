"""Advice for a context and for a job's start, from the literature and the finished jobs of this database.

Whose jobs advise whom: those that somebody may read anyway, their own and for an admin everybody's. By the operator's
setting `advice_from: all` everybody's advise everybody; those that one may not read are then told of without id, name,
labels or data set, by their figures alone.
"""

from __future__ import annotations

import dataclasses
import heapq
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Connection, select

from search import configurations
from search.analysis.priors import literature, points
from search.analysis.priors.advise import advise
from search.analysis.priors.context import Context, distance, of_program, of_spec
from search.analysis.priors.evidence import Evidence, Settings, evenly, from_posterior, from_winner
from search.errors import Unreadable
from search.records import Principal
from search.requests.answers import Answer, answers_of
from search.spec.job import JobSpec, Ranged
from search.spec.warm_start import FirstGuess
from search.states import JobState
from search.storage.db import Database
from search.storage.stored import checked, readable
from search.storage.tables import jobs
from thermowell.api.advice import Advice, Mode
from thermowell.api.answers import ResponseCurve, Result

LATEST = 1_000
"""So many of the latest finished jobs are looked at."""
NEAREST = 32
"""Of these, the answers of so many of the nearest are read: further ones hardly weigh."""
_ANOTHERS = "a job of another owner"
Sharing = Literal["own", "all"]


@dataclass(frozen=True, slots=True)
class Priors:
    """What the operator has decided: the literature's table, and whose jobs advise whom."""

    table: Sequence[Evidence]
    sharing: Sharing = "own"


def priors(file: Path | None = None, sharing: Sharing = "own") -> Priors:
    """The packaged table, with an operator's file beside it. LiteratureInvalid."""
    return Priors(literature.evidence(file), sharing)


def get_advice(
    db: Database,
    context: Context,
    principal: Principal,
    prior_settings: Priors,
    mode: Mode = "both",
    most_sources: int = 20,
) -> Advice:
    """The distribution over T and settings in a context, with its sources and their distances."""
    with db.read() as connection:
        evidence = _evidence(connection, context, principal, prior_settings, mode)
    return checked(advise(context, evidence, mode, most_sources))


def begin_with(
    db: Database, spec: JobSpec, principal: Principal, prior_settings: Priors | None
) -> dict[str, Any] | None:
    """The first trials of a job as they are stored with it when it is submitted; None where it starts from nothing.

    The spec's own guesses come first; advice fills up to the share of the budget that the spec allows.
    """
    warm = spec.warm_start
    first = [_point_of_guess(spec, place, guess) for place, guess in enumerate(warm.points)]
    allowed = points.how_many(warm.share, spec.budget.trials, spec.sampler.startup_trials) - len(first)
    modes = ("history", "both") if spec.trainer is not None else ("literature", "history", "both")
    if warm.mode in modes and allowed > 0:  # the literature knows nothing of a program's data
        with db.read() as connection:
            context = _context(connection, spec, principal)
            evidence = _evidence(connection, context, principal, prior_settings or priors(), warm.mode)
        first += points.first_points(context, evidence, spec.space, allowed, spec.seed)
    if not first:
        return None
    point_documents = [
        dataclasses.asdict(point) | {"configuration": configurations.to_json(point.configuration)} for point in first
    ]
    return {"mode": warm.mode, "points": point_documents}


def _point_of_guess(spec: JobSpec, place: int, guess: FirstGuess) -> points.FirstPoint:
    optimizer_space = Settings(
        kd_weight=guess.kd_weight,
        label_weight=guess.label_weight,
        optimizer=guess.optimizer,
        **dict(guess.of_optimizer()),
    )
    seed = spec.seed + place
    configuration = points.complete_guess(spec.space, guess.temperature, optimizer_space, seed, guess.parameters)
    return points.FirstPoint(configuration, "given", guess.source)


def _evidence(
    connection: Connection, context: Context, principal: Principal, prior_settings: Priors, mode: Mode
) -> list[Evidence]:
    if context.program is not None:
        return _history_of_program(connection, context, principal)
    fields = mode in ("literature", "both") and context.method is None  # its rows are of plain KL at one T
    sources = list(prior_settings.table) if fields else []
    return sources + (
        _history(connection, context, principal, prior_settings.sharing) if mode in ("history", "both") else []
    )


def _history(connection: Connection, context: Context, principal: Principal, sharing: Sharing) -> list[Evidence]:
    """What the nearest of the latest finished jobs of the same method say, of those that searched a temperature."""
    finished = select(jobs.c.id, jobs.c.name, jobs.c.owner, jobs.c.spec, jobs.c.teacher)
    finished = finished.where(jobs.c.state == JobState.COMPLETED)
    if sharing == "own" and not principal.may("admin"):
        finished = finished.where(jobs.c.owner == principal.id)
    newest = finished.order_by(jobs.c.created_at.desc(), jobs.c.id.desc()).limit(LATEST)
    near = []
    for place, row in enumerate(connection.execute(newest)):
        with suppress(Unreadable), readable(f"the spec of job {row.id}"):
            spec = JobSpec.model_validate(row.spec)
            # what others have trained is what they say it is: it advises nobody
            if spec.trainer is None and isinstance(spec.space.temperature, Ranged):
                theirs = of_spec(spec, row.teacher)
                if theirs.method == context.method:
                    near.append((distance(context, theirs), place, row, theirs))
    nearest = heapq.nsmallest(NEAREST, near, key=lambda source: source[:2])
    answers = answers_of(connection, [row.id for _, _, row, _ in nearest])
    sources = []
    for _, _, row, theirs in nearest:
        theirs_to_read = row.owner == principal.id or principal.may("admin")
        if row.id in answers:
            with suppress(Unreadable), readable(f"the answer of job {row.id}"):
                word = _evidence_of(answers[row.id], theirs, row.id if theirs_to_read else None, row.name)
                sources += [] if word is None else [word]
    return sources


def _history_of_program(connection: Connection, context: Context, principal: Principal) -> list[Evidence]:
    """What own finished jobs say that the same program trained: its reports advise nobody else."""
    finished = select(jobs.c.id, jobs.c.name, jobs.c.spec).where(
        jobs.c.state == JobState.COMPLETED,
        jobs.c.owner == principal.id,
        jobs.c.trainer.is_not(None),
        jobs.c.queue == context.program,
    )
    near = []
    for row in connection.execute(finished.order_by(jobs.c.created_at.desc(), jobs.c.id.desc()).limit(NEAREST)):
        with suppress(Unreadable), readable(f"the spec of job {row.id}"):
            theirs = of_program(spec := JobSpec.model_validate(row.spec))
            alike = theirs.method == context.method and context.metric in (None, theirs.metric)
            if alike and isinstance(spec.space.temperature, Ranged):
                near.append((row, theirs))
    answers = answers_of(connection, [row.id for row, _ in near])
    sources = []
    for row, theirs in near:
        if row.id in answers:
            with suppress(Unreadable), readable(f"the answer of job {row.id}"):
                word = _evidence_of(answers[row.id], theirs, row.id, row.name)
                sources += [] if word is None else [word]
    return sources


def _evidence_of(answer: Answer, context: Context, job_id: str | None, name: str) -> Evidence | None:
    """A job's word, None of one that could not tell; of a job that may not be read (without `job_id`) nothing that
    names it.
    """
    result, response = answer
    curve = response.overall if response is not None else None
    verdict = result.verdict
    if verdict is not None and verdict.kind == "undecided":
        return None
    evidence = _evidence_of_winner(result, curve, context, job_id, name)
    if verdict is None or (verdict.temperature is None and verdict.kind != "labels"):
        return evidence
    temperature = verdict.temperature if verdict.temperature is not None else evidence.temperature
    if verdict.kind == "keep" and verdict.between is not None:
        return from_posterior(evidence, evenly(*verdict.between), temperature=temperature, gain=0.0)
    if curve is None or len(curve.best_shares) != len(curve.points):
        return evidence
    shares = [(point.temperature, share) for point, share in zip(curve.points, curve.best_shares, strict=True)]
    usual = next((gain for gain in verdict.gains if gain.over == "t4"), None)
    gain = 0.0 if verdict.kind == "keep" else usual.mean if usual is not None and verdict.kind == "use" else None
    return from_posterior(evidence, shares, temperature=temperature, gain=gain)


def _evidence_of_winner(
    result: Result, curve: ResponseCurve | None, context: Context, job_id: str | None, name: str
) -> Evidence:
    return from_winner(
        context,
        configurations.from_json((result.verdict or result.winner).configuration.stored()),
        curve.equivalent_set.intervals if curve is not None else [],
        source=_ANOTHERS if job_id is None else name,
        job_id=job_id,
        censored=curve is not None and (curve.confidence_set.censored_low or curve.confidence_set.censored_high),
    )


def _context(connection: Connection, spec: JobSpec, principal: Principal) -> Context:
    """What is known of a job before its first trial."""
    if spec.trainer is not None:
        return of_program(spec)
    return _with_known_teacher(connection, spec, of_spec(spec), principal)


def _with_known_teacher(connection: Connection, spec: JobSpec, context: Context, principal: Principal) -> Context:
    """The context with the teacher's sharpness, where an own job has had this very teacher on these very data."""
    facts = select(jobs.c.spec, jobs.c.teacher).where(jobs.c.owner == principal.id, jobs.c.teacher.is_not(None))
    mine = spec.model_dump(mode="json", exclude_none=True, include={"dataset", "teacher"})
    for row in connection.execute(facts.order_by(jobs.c.created_at.desc(), jobs.c.id.desc()).limit(LATEST)):
        with suppress(Unreadable), readable("what is stored of a job's teacher"):
            if {name: row.spec.get(name) for name in mine} == mine:
                return of_spec(spec, row.teacher)
    return context
