"""The winner over HTTP, in the words of other projects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from search.requests.jobs import get_job
from search.requests.results import get_result
from service.auth import Reader
from service.errors import problems
from service.exports import mdistiller, torchdistill
from service.exports.winner import Winner, winner_of
from service.routes.jobs import database
from service.routes.turns import in_turn
from service.schemas import JobId

Format = Literal["torchdistill", "mdistiller"]
FORMATS: Mapping[Format, Callable[[Winner], str]] = {
    "torchdistill": torchdistill.export,
    "mdistiller": mdistiller.export,
}

router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["answer"])


@router.get(
    "/export",
    operation_id="exportWinner",
    response_class=Response,
    summary="The winner for another project",
    responses={
        **problems("not-found", "not-ready", "illegal-move", "unreadable", "request-invalid"),
        200: {
            "description": "A configuration file with comments",
            "content": {"application/yaml": {"schema": {"type": "object"}}},
        },
    },
)
@in_turn
def get_export(
    request: Request,
    job_id: JobId,
    principal: Reader,
    into: Annotated[Format, Query(alias="format", description="whose configuration file")],
) -> Response:
    """The winning configuration as a file of torchdistill or mdistiller; its comments say what it cannot express."""
    db = database(request)
    job, result = get_job(db, job_id, principal), get_result(db, job_id, principal)
    headers = {"Content-Disposition": f'attachment; filename="{job_id}-{into}.yaml"'}
    return Response(FORMATS[into](winner_of(job, result)), media_type="application/yaml", headers=headers)
