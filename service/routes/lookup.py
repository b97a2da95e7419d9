"""What there is to choose from and who is there: catalogue, spec, workers, and the caller's own key."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, HTTPException, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from search.claims import workers as worker_records
from search.errors import SpecInvalid
from search.requests import preflight
from search.requests.keys import get_quota, quota_use
from search.schema import check_ready
from search.spec.parsing import default_spec_yaml, parse_spec, spec_json_schema
from service import prefix
from service.auth import Reader
from service.errors import KINDS, FieldError, problems
from service.routes.jobs import SPEC_BODY, database
from service.routes.submitting import beside_plugins, media_of, schema_of
from service.routes.turns import Turns
from service.schemas import ProblemKind, SpecVerdict, Status, WorkerList, sent
from thermowell.api.keys import Me
from thermowell.api.workers import Worker
from trainers import catalogue

router = APIRouter(prefix="/v1")
open_router = APIRouter(tags=["operation"])


@router.get("/catalogue", operation_id="getCatalogue", summary="What a spec can name", tags=["spec"])
def get_catalogue(request: Request, principal: Reader) -> dict[str, Any]:
    """Datasets, models with their arguments, optimizers, schedules, augmentations, losses and objectives; with what
    living workers have of plugins, and of weights that a spec may name as `package:NAME`.
    """
    db = database(request)
    return catalogue.describe(worker_records.published_plugins(db), worker_records.published_weights(db))


@router.get("/spec/schema", operation_id="getSpecSchema", summary="JSON Schema of a spec", tags=["spec"])
def get_spec_schema(principal: Reader) -> dict[str, Any]:
    """For editors and validators. What depends on several fields at once is checked on submission alone."""
    return spec_json_schema()


@router.get(
    "/spec/default",
    operation_id="getSpecDefault",
    response_class=Response,
    summary="A spec to start from",
    tags=["spec"],
    responses={
        200: {"description": "YAML with comments", "content": {"application/yaml": {"schema": schema_of("JobSpec")}}},
    },
)
def get_spec_default(principal: Reader) -> Response:
    """Every field with its default and what it means; it can be submitted as it is."""
    return Response(default_spec_yaml(), media_type="application/yaml")


@router.post(
    "/spec/validate",
    operation_id="validateSpec",
    response_model=SpecVerdict,
    summary="Check a spec",
    tags=["spec"],
    responses=problems("media-type-unsupported", "too-large"),
    openapi_extra=SPEC_BODY,
)
async def validate_spec(request: Request, principal: Reader) -> SpecVerdict:
    """What submitting this would say, without submitting: always 200, with a verdict."""
    media = media_of(request)
    body = await request.body()
    try:
        turns: Turns = request.app.state.parsing
        spec = await turns.run(principal.id, beside_plugins, database(request), parse_spec, body, media)
    except SpecInvalid as refused:
        errors = [FieldError.model_validate(problem) for problem in refused.problems]
        return SpecVerdict(valid=False, spec=None, errors=errors)
    checked = await run_in_threadpool(preflight.check, database(request), spec, principal)
    return SpecVerdict(valid=True, spec=spec.model_dump(mode="json"), errors=[], preflight=checked)


@router.get("/workers", operation_id="listWorkers", response_model=WorkerList, summary="Who trains", tags=["operation"])
def list_workers(request: Request, principal: Reader) -> WorkerList:
    """Workers with their lanes, what they hold and when they were last seen."""
    workers = worker_records.list_workers(database(request))
    return WorkerList.model_construct(items=[sent(Worker, worker) for worker in workers])


@router.get("/me", operation_id="getMe", response_model=Me, summary="Whose key is this", tags=["operation"])
def get_me(request: Request, principal: Reader) -> Me:
    """The key behind the request, its scopes and its quota."""
    quota = get_quota(database(request), principal.id)
    usage = quota_use(database(request), principal.id)
    return sent(Me, principal, quota=quota, used=usage)


@open_router.get(
    "/problems/{slug}", operation_id="getProblem", summary="What a problem means", responses=problems("not-found")
)
def get_problem(slug: str) -> ProblemKind:
    """Where the `type` of a problem leads. Needs no key."""
    kind = KINDS.get(slug)
    if kind is None:
        raise HTTPException(404)
    return ProblemKind(type=prefix.at(f"/problems/{slug}"), title=kind.title, status=kind.status, meaning=kind.meaning)


@open_router.get("/healthz", operation_id="getHealth", summary="Does the service run?")
async def get_health() -> Status:
    """Answers as long as the process does, whatever its threads are busy with. Needs no key."""
    return Status(status="ok")


@open_router.get(
    "/readyz",
    operation_id="getReadiness",
    summary="Can the service work?",
    responses=problems("schema-missing", "database-unavailable"),
)
def get_readiness(request: Request) -> Status:
    """Whether the database answers, has the tables of this version and takes writes. Needs no key."""
    check_ready(database(request))
    return Status(status="ready")
