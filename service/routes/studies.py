"""Studies over HTTP: jobs that differ in the levels of factors, submitted, followed, added to, and what they say."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from starlette.responses import HTMLResponse

from search.requests import studies as study_requests
from search.requests.advice import Priors
from search.studies.parsing import parse_extension, parse_study
from search.studies.records import StudyDetail
from service.auth import Reader, Submitter
from service.errors import problems
from service.pages import guidance_page
from service.routes.jobs import database
from service.routes.results import PAGE, PAGE_HEADERS
from service.routes.submitting import (
    REFUSALS,
    IdempotencyKey,
    beside_plugins,
    body_of,
    location_of,
    media_of,
    replay_of,
    say_where,
)
from service.routes.turns import Turns, in_turn
from service.schemas import Cursor, StudyId, StudyPage, sent
from thermowell.api.guidance import Guidance
from thermowell.api.studies import Study
from thermowell.api.studies import StudyDetail as StudyDocument

router = APIRouter(prefix="/v1/studies", tags=["studies"])


@router.post(
    "",
    operation_id="submitStudy",
    status_code=201,
    response_model=StudyDocument,
    summary="Submit a study",
    responses={
        **REFUSALS,
        201: {
            "description": "Submitted, with all of its jobs",
            "headers": location_of("the study"),
        },
        200: {
            "description": "This Idempotency-Key was used with the same body: the study it made",
            "model": StudyDocument,
        },
    },
    openapi_extra=body_of("StudySpec", "A base job, factors to cross, a design, repeats and a budget."),
)
async def submit_study(
    request: Request,
    response: Response,
    principal: Submitter,
    idempotency_key: IdempotencyKey = None,
) -> StudyDocument:
    """Validates every cell of a study (JSON or YAML) and queues all of their jobs, or none."""
    media = media_of(request)
    body = await request.body()
    replay = replay_of(idempotency_key, body)

    turns: Turns = request.app.state.parsing
    study = await turns.run(principal.id, beside_plugins, database(request), parse_study, body, media)

    def work() -> tuple[StudyDetail, bool]:
        priors: Priors = request.app.state.priors
        return study_requests.submit_study(
            database(request), study, principal, replay, priors, request.state.request_id
        )

    detail, created = await turns.run(principal.id, work)
    say_where(response, f"/v1/studies/{detail.id}", created)
    return sent(StudyDocument, detail)


@router.get(
    "",
    operation_id="listStudies",
    response_model=StudyPage,
    summary="List studies",
    responses=problems("request-invalid", "cursor-invalid"),
)
def list_studies(
    request: Request,
    principal: Reader,
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> StudyPage:
    """Your own studies, newest first; an admin sees everybody's."""
    page = study_requests.list_studies(database(request), principal, cursor=cursor, limit=limit)
    return StudyPage.model_construct(items=[sent(Study, study) for study in page.items], next_cursor=page.next_cursor)


@router.get(
    "/{study_id}",
    operation_id="getStudy",
    response_model=StudyDocument,
    summary="Read a study",
    responses=problems("not-found", "request-invalid"),
)
def get_study(request: Request, study_id: StudyId, principal: Reader) -> StudyDocument:
    """Its cells, each with its job: how far that is, its best T with an interval, and its gain over T = 4."""
    return sent(StudyDocument, study_requests.get_study(database(request), study_id, principal))


@router.get(
    "/{study_id}/guidance",
    operation_id="getGuidance",
    response_model=Guidance,
    summary="What moves the best T",
    responses=problems("not-found", "not-ready", "request-invalid"),
)
@in_turn
def get_guidance(request: Request, study_id: StudyId, principal: Reader) -> Guidance:
    """Which factors move the best T, by how much, with intervals, from the cells that are answered so far."""
    return study_requests.get_guidance(database(request), study_id, principal)


@router.get(
    "/{study_id}/report",
    operation_id="getStudyReport",
    response_class=HTMLResponse,
    summary="The guidance as a page",
    responses={
        **problems("not-found", "not-ready", "request-invalid"),
        **PAGE,
    },
)
@in_turn
def get_study_report(request: Request, study_id: StudyId, principal: Reader) -> HTMLResponse:
    """The guidance for people: the paragraph, the cells, a picture for each factor, and what is not covered."""
    guidance = study_requests.get_guidance(database(request), study_id, principal)
    return HTMLResponse(guidance_page.render(guidance), headers=PAGE_HEADERS)


@router.post(
    "/{study_id}/extend",
    operation_id="extendStudy",
    response_model=StudyDocument,
    summary="Extend a study",
    responses={
        **problems("media-type-unsupported", "too-large", "spec-invalid", "not-found", "illegal-move"),
        **problems("request-invalid", "quota-exceeded"),
    },
    openapi_extra=body_of("StudyExtension", "Factors or levels to add, more repeats, or more cells of a fraction."),
)
async def extend_study(request: Request, study_id: StudyId, principal: Submitter) -> StudyDocument:
    """Adds levels, factors or repeats. The jobs that are there stay as they are; asking twice adds nothing."""
    media = media_of(request)
    body = await request.body()

    turns: Turns = request.app.state.parsing

    def work() -> StudyDetail:
        priors: Priors = request.app.state.priors
        more = parse_extension(body, media)
        return study_requests.extend_study(
            database(request), study_id, principal, more, priors, request.state.request_id
        )

    return sent(StudyDocument, await turns.run(principal.id, work))


@router.post(
    "/{study_id}/cancel",
    operation_id="cancelStudy",
    response_model=StudyDocument,
    summary="Cancel a study",
    responses=problems("not-found", "request-invalid"),
)
def cancel_study(request: Request, study_id: StudyId, principal: Submitter) -> StudyDocument:
    """Ends all of its jobs that have not ended; what is answered stays."""
    return sent(StudyDocument, study_requests.cancel_study(database(request), study_id, principal))
