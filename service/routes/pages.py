"""The jobs pages: the list, a job with what can be done to it, and the form for a new one. All work without script."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Annotated, Any, Literal

from fastapi import APIRouter, File, Form, Query, Request, UploadFile
from starlette.responses import RedirectResponse, Response

from search import units
from search.analysis.priors import context
from search.claims.artifacts import list_artifacts
from search.claims.workers import list_workers
from search.errors import FieldProblem, IllegalMove, NotReady, SpecInvalid, Unreadable
from search.records import Event, Job, Preflight, Principal, Trial
from search.requests import jobs as job_requests
from search.requests import preflight as preflights
from search.requests.advice import Priors, get_advice
from search.requests.dashboard_queries import best_temperatures, pulse, recent_events, study_number
from search.requests.job_list import JobFilter, Sort, browse_jobs
from search.requests.jobs import (
    cancel_job,
    delete_job,
    extend_job,
    get_job,
    open_test,
    pause_job,
    resume_job,
    stop_job,
)
from search.requests.results import get_result
from search.requests.studies import list_studies
from search.requests.trials import list_trials
from search.spec.parsing import default_spec_yaml
from search.states import TERMINAL_JOBS, JobState, Stage, TrialState
from search.storage.db import Database
from service import prefix
from service.auth import Reader, Submitter, check_form
from service.pages import jobs_page, jobs_page_one, jobs_page_spec, spec_words
from service.pages.templating import page
from service.routes.jobs import database
from service.routes.signing import visitor_of
from service.routes.turns import in_turn
from service.schemas import Cursor, JobId
from thermowell.api.answers import Result
from thermowell.api.files import is_student_file

PER_PAGE = 25
MOST_STUDIES = 100
"""In the choice of a study."""
router = APIRouter(include_in_schema=False)


@router.get("/")
def show_first() -> Response:
    """People come in at their jobs."""
    return RedirectResponse(prefix.at("/jobs"), 303)


@router.get("/jobs")
def show_jobs(
    request: Request,
    principal: Reader,
    q: Annotated[str, Query(max_length=200)] = "",
    state: Annotated[JobState | Literal[""], Query()] = "",
    study: Annotated[str, Query(max_length=32)] = "",
    sort: Sort = "newest",
    cursor: Cursor = None,
    done: str = "",
) -> Response:
    """The list, newest first unless asked for otherwise; a study's jobs are one row of it."""
    db = database(request)
    criteria = JobFilter(q, state or None, study or None, sort)
    listing = browse_jobs(db, principal, criteria, cursor=cursor, limit=PER_PAGE)
    jobs = [row for row in listing.items if isinstance(row, Job)]
    entries = {entry.job.id: entry for entry in _entries(db, jobs, principal)}
    return page(
        "jobs.html",
        visitor_of(request, principal),
        rows=[
            entries[row.id] if isinstance(row, Job) else jobs_page.study_entry(row, principal) for row in listing.items
        ],
        studies=list_studies(db, principal, limit=MOST_STUDIES).items,
        nobody_works=_nobody_works(request, jobs),
        wanted=criteria,
        filtered=criteria != JobFilter(),
        address=jobs_page.address,
        states=list(JobState),
        sorts=jobs_page.SORTS,
        older=jobs_page.address(criteria, listing.next_cursor) if listing.next_cursor else None,
        done=jobs_page_one.DONE.get(done),
    )


@router.get("/jobs/new")
def show_form(request: Request, principal: Submitter, like: str | None = None) -> Response:
    """The form, with a spec that runs as it is: the default one, or that of another job."""
    text = default_spec_yaml() if like is None else spec_words.spec_yaml(get_job(database(request), like, principal))
    return _form(request, principal, text)


@router.post("/jobs")
@in_turn
def submit(
    request: Request,
    principal: Submitter,
    spec: Annotated[str, Form()] = "",
    file: Annotated[UploadFile | None, File()] = None,
    then: Annotated[str, Form()] = "submit",
    once: Annotated[str, Form()] = "",
    form_token: Annotated[str, Form()] = "",
) -> Response:
    """A job from the text or the file; a refused one comes back with each problem at its line."""
    check_form(request, form_token)
    text = _text(spec, file)
    try:
        job_spec = jobs_page_spec.read_spec(text)
    except SpecInvalid as refused:
        return _form(request, principal, text, refused.problems)
    if then == "check":
        preflight = preflights.check(database(request), job_spec, principal)
        if job_spec.trainer is not None:  # of others' data and models nothing is known
            return _form(request, principal, text, preflight=preflight)
        priors: Priors = request.app.state.priors
        advice = get_advice(database(request), context.of_spec(job_spec), principal, priors, most_sources=1)
        return _form(request, principal, text, preflight=preflight, hint=jobs_page_spec.hint(advice))
    # pressing twice is submitting once; what was changed in between is another job
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    replay = (f"{once} {digest}", digest) if once else None
    job, _ = job_requests.submit(
        database(request), job_spec, principal, replay, request.app.state.priors, request.state.request_id
    )
    return RedirectResponse(prefix.at(f"/jobs/{job.id}?done=submitted"), 303)


def _text(pasted: str, file: UploadFile | None) -> str:
    """What was sent, with plain line ends, as forms do not have them."""
    text = pasted
    if file is not None and file.size:
        text = file.file.read().decode("utf-8-sig", "replace")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _form(
    request: Request,
    principal: Principal,
    text: str,
    problems: Sequence[FieldProblem] = (),
    *,
    preflight: Preflight | None = None,
    hint: str = "",
) -> Response:
    return page(
        "new.html",
        visitor_of(request, principal),
        422 if problems else 200,
        text=text,
        problems=problems,
        excerpts=jobs_page_spec.excerpts(text, problems),
        valid=preflight is not None,
        preflight=preflight,
        hint=hint,
        once=secrets.token_urlsafe(12),
    )


@router.get("/jobs/{job_id}")
def show_job(request: Request, job_id: JobId, principal: Reader, done: str = "") -> Response:
    """A job with its progress, its lanes and what can be done to it."""
    return _job_page(request, job_id, principal, done=done)


def _job_page(
    request: Request,
    job_id: str,
    principal: Principal,
    status: int = 200,
    refused: Sequence[FieldProblem] = (),
    done: str = "",
) -> Response:
    db = database(request)
    job = get_job(db, job_id, principal)
    running = list_trials(db, job_id, principal, state=TrialState.RUNNING, limit=jobs_page_one.LANES)
    result = _result(db, job, principal)
    entry = _entries(db, [job], principal)[0]
    files = list_artifacts(db, job_id, principal) if result is not None else []
    pictures, more_pictures = jobs_page_one.pictures(job)
    return page(
        "job.html",
        visitor_of(request, principal),
        status,
        job=job,
        student=[file.name for file in files if is_student_file(file.name)],
        preparations=list(units.preparations(job.teacher or {})),
        entry=entry,
        clock=jobs_page_one.clock(job, entry.phase),
        searched=jobs_page.search_trials(job.progress),
        metric=jobs_page.metric_of(job).label,
        sanity=() if result is None else result.sanity,
        teacher=units.teacher_worth(job.teacher),
        lines=() if result is None else units.first_lines(result.verdict, result.summary),
        study=study_number(db, job_id, principal),
        nobody_works=_nobody_works(request, [job]),
        troubles=jobs_page_one.troubles(job),
        actions=jobs_page_one.actions(job),
        pictures=pictures,
        more_pictures=more_pictures,
        version=hashlib.sha256(pulse(db, principal, job_id).encode()).hexdigest()[:12],
        budgets=jobs_page_one.budgets(job),
        running=jobs_page_one.lanes(job, running.items),
        more_running=max(0, job.progress.trials_running - jobs_page_one.LANES),
        best=jobs_page_one.lanes(job, _best(db, job, principal)),
        happenings=jobs_page_one.happenings(job, _events(db, job, principal)),
        spec=spec_words.spec_yaml(job),
        refused=refused,
        done=jobs_page_one.DONE.get(done),
    )


def _best(db: Database, job: Job, principal: Principal) -> Sequence[Trial]:
    sort = "-value" if jobs_page.maximized(job) else "value"
    stage, state = Stage.SEARCH, TrialState.COMPLETED
    return list_trials(db, job.id, principal, sort=sort, stage=stage, state=state, limit=jobs_page_one.BEST).items


def _events(db: Database, job: Job, principal: Principal) -> Sequence[Event]:
    return recent_events(db, job.id, principal, jobs_page_one.EVENTS, excluded=jobs_page_one.LEFT_OUT)


def _entries(db: Database, jobs: Sequence[Job], principal: Principal) -> list[jobs_page.Entry]:
    best = {job.id: job.progress.best_trial for job in jobs if job.progress.best_trial is not None}
    temperatures = best_temperatures(db, best)
    results = {job.id: _result(db, job, principal) for job in jobs}
    return [jobs_page.entry(job, principal, temperatures.get(job.id), results[job.id]) for job in jobs]


def _result(db: Database, job: Job, principal: Principal) -> Result | None:
    """A completed job's answer, where it can be read."""
    if job.state is not JobState.COMPLETED:
        return None
    with suppress(Unreadable, NotReady):
        return get_result(db, job.id, principal)
    return None


def _nobody_works(request: Request, jobs: Sequence[Job]) -> bool:
    """Whether jobs wait and no worker is there for them."""
    if all(job.state in TERMINAL_JOBS or job.state is JobState.PAUSED for job in jobs):
        return False
    return not any(worker.alive for worker in list_workers(database(request)))


def _move(name: str, act: Callable[[Request, str, Principal], object], location: str = "/jobs/{job_id}") -> None:
    """Adds a route for one of the moves that need no more than the job's name."""

    def endpoint(
        request: Request, job_id: JobId, principal: Submitter, form_token: Annotated[str, Form()] = ""
    ) -> Response:
        check_form(request, form_token)
        try:
            act(request, job_id, principal)
        except IllegalMove as error:  # somebody, or the job itself, was faster
            return _job_page(request, job_id, principal, 409, [FieldProblem("", str(error))])
        return RedirectResponse(prefix.at(f"{location.format(job_id=job_id)}?done={name}"), 303)

    router.post(f"/jobs/{{job_id}}/{name}")(endpoint)


def _delete(request: Request, job_id: str, principal: Principal) -> None:
    delete_job(database(request), job_id, principal, request.app.state.files)


_move("open-test", lambda request, job_id, principal: open_test(database(request), job_id, principal))
_move("stop", lambda request, job_id, principal: stop_job(database(request), job_id, principal))
_move("pause", lambda request, job_id, principal: pause_job(database(request), job_id, principal))
_move("resume", lambda request, job_id, principal: resume_job(database(request), job_id, principal))
_move("cancel", lambda request, job_id, principal: cancel_job(database(request), job_id, principal))
_move("delete", _delete, location="/jobs")


@router.post("/jobs/{job_id}/extend")
def extend(
    request: Request,
    job_id: JobId,
    principal: Submitter,
    trials: Annotated[str, Form()] = "",
    epochs: Annotated[str, Form()] = "",
    seconds: Annotated[str, Form()] = "",
    form_token: Annotated[str, Form()] = "",
) -> Response:
    """New totals of the budget; empty ones stay as they are."""
    check_form(request, form_token)
    try:
        totals: dict[str, Any] = {"trials": _number("trials", trials, int), "epochs": _number("epochs", epochs, int)}
        totals["seconds"] = _number("seconds", seconds, float)
        extend_job(database(request), job_id, principal, **totals)
    except (SpecInvalid, IllegalMove) as error:
        problems = error.problems if isinstance(error, SpecInvalid) else [FieldProblem("", str(error))]
        return _job_page(request, job_id, principal, 409 if isinstance(error, IllegalMove) else 422, problems)
    return RedirectResponse(prefix.at(f"/jobs/{job_id}?done=extend"), 303)


def _number(name: str, text: str, kind: type[int] | type[float]) -> float | None:
    if not text.strip():
        return None
    try:
        return kind(text)
    except ValueError:
        expected = "a whole number" if kind is int else "a number"
        raise SpecInvalid([FieldProblem(name, f"must be {expected}, got {text[:40]!r}")]) from None
