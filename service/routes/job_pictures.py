"""Pictures for the pages of jobs, and the page of one trial."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from search.claims.artifacts import list_artifacts
from search.requests.dashboard_queries import recent_events
from search.requests.job_view import get_job_view
from search.requests.jobs import get_job
from search.requests.trials import get_trial
from service.auth import Reader
from service.pages import jobs_page, jobs_page_one
from service.pages.templating import HEADERS, page
from service.plots import names, svg_renderer
from service.plots.trial import trial_plot
from service.routes.jobs import database
from service.routes.signing import visitor_of
from service.routes.turns import in_turn
from service.schemas import JobId, TrialNumber

EVENTS = 2000
"""Of a job, of which those of one trial are shown."""
SVG_HEADERS = dict(HEADERS) | {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "Cache-Control": "private, max-age=3600",  # its address says of which moment it is
}
Version = Annotated[str, Query(alias="at", max_length=40)]
router = APIRouter(include_in_schema=False)


@router.get("/jobs/{job_id}/pictures/{picture}.svg")
@in_turn
def show_picture(
    request: Request,
    job_id: JobId,
    picture: names.Name,
    principal: Reader,
    width: svg_renderer.Width = "wide",
    at: Version = "",
) -> Response:
    """One of a job's plots, also while it runs."""
    view = get_job_view(database(request), job_id, principal)
    drawn = svg_renderer.render(names.plot(picture, view), width)
    return Response(drawn, media_type="image/svg+xml", headers=SVG_HEADERS)


@router.get("/jobs/{job_id}/trials/{number}")
def show_trial(request: Request, job_id: JobId, number: TrialNumber, principal: Reader) -> Response:
    """One trial: its settings, its curve, what happened to it, and its files."""
    db = database(request)
    job = get_job(db, job_id, principal)
    trial, reports = get_trial(db, job_id, number, principal)
    events = [e for e in recent_events(db, job_id, principal, EVENTS) if e.payload.get("trial") == number]
    return page(
        "trial.html",
        visitor_of(request, principal),
        job=job,
        trial=trial,
        lane=jobs_page_one.lanes(job, [trial])[0],
        metric=jobs_page.metric_of(job).label,
        settings=jobs_page_one.trial_settings(trial),
        measures=jobs_page_one.trial_measures(job, trial),
        version=f"{trial.attempt}-{trial.epoch}",
        epochs=len(reports),
        happenings=jobs_page_one.happenings(job, events),
        artifacts=[file for file in list_artifacts(db, job_id, principal) if file.trial == number],
    )


@router.get("/jobs/{job_id}/trials/{number}/curve.svg")
@in_turn
def show_curve(
    request: Request,
    job_id: JobId,
    number: TrialNumber,
    principal: Reader,
    width: svg_renderer.Width = "wide",
    at: Version = "",
) -> Response:
    """A trial's epochs."""
    db = database(request)
    trial, reports = get_trial(db, job_id, number, principal)
    drawn = svg_renderer.render(trial_plot(get_job(db, job_id, principal).spec, trial, reports), width)
    return Response(drawn, media_type="image/svg+xml", headers=SVG_HEADERS)
