"""Studies over HTTP: jobs that differ in the levels of factors, submitted, followed, added to, and what they say."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse

from search import public
from search.public import Guidance, StudyDetail
from service.auth import Reader, Submitter
from service.errors import problems
from service.pages import guidance_page
from service.routes.jobs import database, media_of
from service.routes.results import PAGE_HEADERS
from service.schemas import Cursor
from service.schemas_studies import StudyDetailOut, StudyId, StudyOut, StudyPage

STUDY_SPEC = {"$ref": "#/components/schemas/StudySpec"}
STUDY_EXTENSION = {"$ref": "#/components/schemas/StudyExtension"}
router = APIRouter(prefix="/v1/studies", tags=["studies"])


def _body(schema: dict[str, str], description: str) -> dict[str, Any]:
    content = {media: {"schema": schema} for media in ("application/json", "application/yaml")}
    return {"requestBody": {"required": True, "description": description, "content": content}}


@router.post(
    "",
    operation_id="submitStudy",
    status_code=201,
    response_model=StudyDetailOut,
    summary="Submit a study",
    responses={
        **problems("media-type-unsupported", "too-large", "spec-invalid", "idempotency-mismatch", "request-invalid"),
        **problems("quota-exceeded"),
        201: {
            "description": "Submitted, with all of its jobs",
            "headers": {"Location": {"description": "the study", "schema": {"type": "string"}}},
        },
        200: {
            "description": "This Idempotency-Key was used with the same body: the study it made",
            "model": StudyDetailOut,
        },
    },
    openapi_extra=_body(STUDY_SPEC, "A base job, factors to cross, a design, repeats and a budget."),
)
async def submit_study(
    request: Request,
    response: Response,
    principal: Submitter,
    idempotency_key: Annotated[
        str | None,
        Header(
            pattern=r"^[\x21-\x7e]{1,255}$",
            description="makes sending twice safe: the second request answers with the first one's study",
        ),
    ] = None,
) -> StudyDetailOut:
    """Validates every cell of a study (JSON or YAML) and queues all of their jobs, or none."""
    media = media_of(request)
    body = await request.body()
    replay = (idempotency_key, hashlib.sha256(body).hexdigest()) if idempotency_key else None

    def work() -> tuple[StudyDetail, bool]:
        known: public.Priors = request.app.state.priors
        study = public.parse_study(body, media)
        return public.submit_study(database(request), study, principal, replay, known, request.state.request_id)

    study, created = await run_in_threadpool(work)
    response.headers["Location"] = f"/v1/studies/{study.id}"
    if not created:
        response.status_code = 200
        response.headers["Idempotency-Replayed"] = "true"
    return StudyDetailOut.of(study)


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
    page = public.list_studies(database(request), principal, cursor=cursor, limit=limit)
    return StudyPage(items=[StudyOut.of(study) for study in page.items], next_cursor=page.next_cursor)


@router.get(
    "/{study_id}",
    operation_id="getStudy",
    response_model=StudyDetailOut,
    summary="Read a study",
    responses=problems("not-found", "request-invalid"),
)
def get_study(request: Request, study_id: StudyId, principal: Reader) -> StudyDetailOut:
    """Its cells, each with its job: how far that is, its best T with an interval, and its gain over T = 4."""
    return StudyDetailOut.of(public.get_study(database(request), study_id, principal))


@router.get(
    "/{study_id}/guidance",
    operation_id="getGuidance",
    response_model=Guidance,
    summary="What moves the best T",
    responses=problems("not-found", "not-ready", "request-invalid"),
)
def get_guidance(request: Request, study_id: StudyId, principal: Reader) -> Guidance:
    """Which factors move the best T, by how much, with intervals, from the cells that are answered so far."""
    return public.get_guidance(database(request), study_id, principal)


@router.get(
    "/{study_id}/report",
    operation_id="getStudyReport",
    response_class=HTMLResponse,
    summary="The guidance as a page",
    responses={
        **problems("not-found", "not-ready", "request-invalid"),
        200: {
            "description": "A page that needs nothing else",
            "content": {"text/html": {"schema": {"type": "string"}}},
        },
    },
)
def get_study_report(request: Request, study_id: StudyId, principal: Reader) -> HTMLResponse:
    """The guidance for people: the paragraph, the cells, a picture for each factor, and what is not covered."""
    found = public.get_guidance(database(request), study_id, principal)
    return HTMLResponse(guidance_page.render(found), headers=PAGE_HEADERS)


@router.post(
    "/{study_id}/extend",
    operation_id="extendStudy",
    response_model=StudyDetailOut,
    summary="Extend a study",
    responses={
        **problems("media-type-unsupported", "too-large", "spec-invalid", "not-found", "illegal-move"),
        **problems("request-invalid", "quota-exceeded"),
    },
    openapi_extra=_body(STUDY_EXTENSION, "Factors or levels to add, a number of repeats, or of cells of a fraction."),
)
async def extend_study(request: Request, study_id: StudyId, principal: Submitter) -> StudyDetailOut:
    """Adds levels, factors or repeats. The jobs that are there stay as they are; asking twice adds nothing."""
    media = media_of(request)
    body = await request.body()

    def work() -> StudyDetail:
        known: public.Priors = request.app.state.priors
        more = public.parse_extension(body, media)
        return public.extend_study(database(request), study_id, principal, more, known, request.state.request_id)

    return StudyDetailOut.of(await run_in_threadpool(work))


@router.post(
    "/{study_id}/cancel",
    operation_id="cancelStudy",
    response_model=StudyDetailOut,
    summary="Cancel a study",
    responses=problems("not-found", "request-invalid"),
)
def cancel_study(request: Request, study_id: StudyId, principal: Submitter) -> StudyDetailOut:
    """Ends all of its jobs that have not ended; what is answered stays."""
    return StudyDetailOut.of(public.cancel_study(database(request), study_id, principal))
