"""The answer over HTTP: result, temperature response, importances, files, and the page that shows them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi import Path as PathParameter
from starlette.responses import FileResponse, HTMLResponse, Response

from search.claims import artifacts as artifact_store
from search.claims.artifacts import open_artifact
from search.records import Artifact, Principal
from search.requests import results as result_requests
from search.requests.job_view import JobView, get_job_view
from service import prefix
from service.auth import Reader
from service.errors import problems
from service.pages import png, report
from service.plots import names, plotly_renderer, svg_renderer
from service.routes.jobs import database
from service.routes.turns import in_turn
from service.schemas import ArtifactList, JobId
from thermowell.api.answers import Importances, Interactions, Result, TemperatureResponse

ANSWERS = problems("not-found", "not-ready", "unreadable", "request-invalid")
PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; base-uri 'none'; form-action 'none'"
PAGE_HEADERS = {"Content-Security-Policy": PAGE_POLICY, "Vary": "Accept", "Cache-Control": "private, no-cache"}
PAGE: dict[int | str, dict[str, Any]] = {
    200: {"description": "A page that needs nothing else", "content": {"text/html": {"schema": {"type": "string"}}}}
}
router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["answer"])


@router.get("/result", operation_id="getResult", response_model=Result, summary="The answer", responses=ANSWERS)
def get_result(request: Request, job_id: JobId, principal: Reader) -> Result:
    """The best temperature and settings, how good they are, and what they gain over what one would have done.

    Answered once the job is completed; `not-ready` before.
    """
    return result_requests.get_result(database(request), job_id, principal)


@router.get(
    "/response",
    operation_id="getResponse",
    response_model=TemperatureResponse,
    summary="The temperature response",
    responses=ANSWERS,
)
def get_response(request: Request, job_id: JobId, principal: Reader) -> TemperatureResponse:
    """Quality as a function of T with the other settings profiled out, with its band, overall and per optimizer."""
    return result_requests.get_response(database(request), job_id, principal)


@router.get(
    "/importances",
    operation_id="getImportances",
    response_model=Importances,
    summary="What mattered",
    responses=ANSWERS,
)
def get_importances(request: Request, job_id: JobId, principal: Reader) -> Importances:
    """How much each setting moved the objective."""
    return result_requests.get_importances(database(request), job_id, principal)


@router.get(
    "/interactions",
    operation_id="getInteractions",
    response_model=Interactions,
    summary="T with each other setting",
    responses=ANSWERS,
)
def get_interactions(request: Request, job_id: JobId, principal: Reader) -> Interactions:
    """How much T and each other setting act together, with an interval, and a map of both."""
    return result_requests.get_interactions(database(request), job_id, principal)


@router.get(
    "/artifacts",
    operation_id="listArtifacts",
    response_model=ArtifactList,
    summary="Files of a job",
    responses=problems("not-found", "request-invalid"),
)
def list_artifacts(request: Request, job_id: JobId, principal: Reader) -> ArtifactList:
    """What the job left: the winning student as safetensors with its configuration, and the report."""
    artifacts = artifact_store.list_artifacts(database(request), job_id, principal)
    return ArtifactList.model_construct(items=artifacts)


def _open_artifact(
    request: Request,
    job_id: JobId,
    name: Annotated[str, PathParameter(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$", examples=["student.safetensors"])],
    principal: Reader,
) -> Iterator[tuple[Artifact, Path]]:
    """A job's file, until it has been sent: a copy of what is in a bucket goes then."""
    with open_artifact(database(request), request.app.state.files, job_id, name, principal) as opened:
        yield opened


@router.get(
    "/artifacts/{name}",
    operation_id="getArtifact",
    response_class=FileResponse,
    summary="Download a file",
    responses={
        **problems("not-found", "request-invalid", "artifact-corrupt", "store-unavailable"),
        200: {
            "description": "The file, in the media type that its entry names",
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        },
    },
)
def get_artifact(opened: Annotated[tuple[Artifact, Path], Depends(_open_artifact)]) -> FileResponse:
    """One file of the job, whole; its digest is its `ETag`."""
    artifact, path = opened
    return FileResponse(
        path,
        media_type=artifact.media_type,
        filename=artifact.name,
        headers={"ETag": f'"{artifact.sha256}"', "X-Content-Type-Options": "nosniff"},
    )


@router.get(
    "/report",
    operation_id="getReport",
    response_class=HTMLResponse,
    summary="The answer as a page",
    responses={
        **ANSWERS,
        **PAGE,
    },
)
@in_turn
def get_report(request: Request, job_id: JobId, principal: Reader) -> HTMLResponse:
    """The answer for people: the best settings, the pictures, the gains, limitations and how to run it again.

    Before there is an answer: a page of how far the job is and what its trials say so far, for who asks for
    `text/html` by name, as browsers do; `not-ready` for others.
    """
    job_view = _job_view(request, job_id, principal, ("text/html",))
    base, back = prefix.at(f"/v1/jobs/{job_id}/report"), prefix.at(f"/jobs/{job_id}")
    page = report.render(job_view, picture_base=base, back=back)
    return HTMLResponse(page, headers=PAGE_HEADERS)


@router.get(
    "/report/{picture}.svg",
    operation_id="getPicture",
    response_class=Response,
    summary="A picture of the answer",
    responses={
        **ANSWERS,
        200: {"description": "An SVG", "content": {"image/svg+xml": {"schema": {"type": "string"}}}},
    },
)
@in_turn
def get_picture(
    request: Request,
    job_id: JobId,
    picture: names.Name,
    principal: Reader,
    width: Annotated[svg_renderer.Width, Query(description="of a page, or of a telephone held upright")] = "wide",
) -> Response:
    """One of the report's pictures by itself. Before there is an answer: as for the report, or `image/...` by name."""
    job_view = _job_view(request, job_id, principal, ("text/html", "image/"))
    return Response(
        svg_renderer.render(names.plot(picture, job_view), width), media_type="image/svg+xml", headers=PAGE_HEADERS
    )


@router.get(
    "/report/{picture}.png",
    operation_id="getPicturePng",
    response_class=Response,
    summary="A picture of the answer, in pixels",
    responses={
        **ANSWERS,
        200: {"description": "A PNG", "content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}},
    },
)
@in_turn
def get_picture_png(request: Request, job_id: JobId, picture: names.Name, principal: Reader) -> Response:
    """As the SVG, in its light colours and twice as dense as it is shown, for what takes pixels alone."""
    job_view = _job_view(request, job_id, principal, ("text/html", "image/"))
    return Response(
        png.draw_png(svg_renderer.render(names.plot(picture, job_view))), media_type="image/png", headers=PAGE_HEADERS
    )


@router.get(
    "/report/{picture}.json",
    operation_id="getPictureData",
    summary="A picture of the answer, as Plotly's JSON",
    responses=ANSWERS,
)
@in_turn
def get_picture_data(request: Request, job_id: JobId, picture: names.Name, principal: Reader) -> dict[str, Any]:
    """The data and the layout of the picture, for a figure to look into or to change. Before there is an answer: as
    for the report, for who asks for `application/json` by name.
    """
    job_view = _job_view(request, job_id, principal, ("application/json",))
    return plotly_renderer.render(names.plot(picture, job_view))


def _job_view(request: Request, job_id: str, principal: Principal, by_name: tuple[str, ...]) -> JobView:
    """How the job stands. Raises NotReady where it has no answer, and nothing that is asked for names a person."""
    db = database(request)
    if not any(name in request.headers.get("accept", "") for name in by_name):
        result_requests.get_result(db, job_id, principal)
    return get_job_view(db, job_id, principal)
