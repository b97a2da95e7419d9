"""The pages of studies, and the page that compares jobs."""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from search.requests.compared import compared_jobs
from search.requests.job_list import JobFilter
from search.requests.studies import get_guidance, get_study, list_studies
from service import prefix
from service.auth import Reader
from service.errors import problem_response
from service.pages import compare_page, jobs_page, study_page
from service.pages.templating import page
from service.plots import compared as compared_plots
from service.plots import svg_renderer
from service.plots.data import PlotData
from service.plots.factor import factor_plot
from service.routes.job_pictures import SVG_HEADERS
from service.routes.jobs import database
from service.routes.signing import visitor_of
from service.routes.turns import in_turn
from service.schemas import Cursor, StudyId

PER_PAGE = 25
JobIds = Annotated[list[str], Query(max_length=100, default_factory=list)]
router = APIRouter(include_in_schema=False)


@router.get("/studies")
def show_studies(request: Request, principal: Reader, cursor: Cursor = None) -> Response:
    """The list of studies, newest first."""
    listing = list_studies(database(request), principal, cursor=cursor, limit=PER_PAGE)
    return page(
        "studies.html",
        visitor_of(request, principal),
        lines=[study_page.line(study, principal) for study in listing.items],
        older=prefix.at(f"/studies?cursor={listing.next_cursor}") if listing.next_cursor else None,
    )


@router.get("/studies/{study_id}")
def show_study(request: Request, study_id: StudyId, principal: Reader) -> Response:
    """One study: its cells, how far each is, and what it has answered."""
    study = get_study(database(request), study_id, principal)
    return page(
        "study.html",
        visitor_of(request, principal),
        study=study,
        line=study_page.line(study, principal),
        trials=study_page.all_of(study),
        cells=study_page.cells(study),
        factors=[study_page.short(name) for name in study.factors],
        address=lambda **changes: jobs_page.address(JobFilter(), **changes),
    )


@router.get("/studies/{study_id}/guidance")
@in_turn
def show_guidance(request: Request, study_id: StudyId, principal: Reader) -> Response:
    """What a study says so far, as the part of its page that is loaded by itself: the first time it takes seconds."""
    guidance = get_guidance(database(request), study_id, principal)
    return page(
        "guidance_part.html",
        visitor_of(request, principal),
        guidance=guidance,
        study_id=study_id,
        finished=sum(cell.finished for cell in guidance.cells),
        jobs=sum(len(cell.jobs) for cell in guidance.cells),
        version=hashlib.sha256(guidance.model_dump_json().encode()).hexdigest()[:12],
    )


@router.get("/studies/{study_id}/factors/{number}.svg")
@in_turn
def show_factor(
    request: Request, study_id: StudyId, number: int, principal: Reader, width: svg_renderer.Width = "wide"
) -> Response:
    """The picture of one of a study's factors."""
    guidance = get_guidance(database(request), study_id, principal, questions=False)
    if not 0 <= number < len(guidance.factors):
        return problem_response("not-found", "the study has no such factor", request.url.path)
    plot = factor_plot(guidance, guidance.factors[number])
    return _picture(plot, width)


def _picture(plot: PlotData, width: svg_renderer.Width) -> Response:
    return Response(svg_renderer.render(plot, width), media_type="image/svg+xml", headers=SVG_HEADERS)


@router.get("/compare/{picture}.svg")
@in_turn
def show_compared(
    request: Request,
    picture: Literal["responses", "gains"],
    principal: Reader,
    job: JobIds,
    width: svg_renderer.Width = "wide",
) -> Response:
    """The compared jobs in one plot."""
    answers = [
        compared_plots.JobAnswer(item.job.name, jobs_page.metric_of(item.job), item.result, item.response)
        for item in compared_jobs(database(request), job[: compare_page.MOST_JOBS], principal)
    ]
    plot = compared_plots.responses(answers) if picture == "responses" else compared_plots.gains(answers)
    return _picture(plot, width)


@router.get("/compare")
def show_comparison(request: Request, principal: Reader, job: JobIds) -> Response:
    """Up to six jobs side by side."""
    job_ids, refused = list(dict.fromkeys(job)), ""
    if len(job_ids) > compare_page.MOST_JOBS:
        refused = f"At most {compare_page.MOST_JOBS} jobs fit beside each other: these are the first of {len(job_ids)}."
    if len(job_ids) < 2:
        refused = "Choose at least two jobs in the list, then press Compare."
    compared = compared_jobs(database(request), job_ids[: compare_page.MOST_JOBS], principal)
    return page(
        "compare.html",
        visitor_of(request, principal),
        compared=compared,
        query="&".join(f"job={item.job.id}" for item in compared),
        refused=refused,
        answers=compare_page.answers(compared),
        settings=compare_page.settings(compared),
        differences=compare_page.spec_differences(compared),
    )
