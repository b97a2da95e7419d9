"""Weights that are sent: converted, checked and kept, for specs to name by their digest."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool

from search.errors import WeightsRefused
from search.requests import weights
from search.storage import disk_faults
from service.auth import Submitter
from service.errors import problems
from thermowell.api.files import KeptWeights
from trainers.preprocessing import PRESETS

router = APIRouter(prefix="/v1", tags=["spec"])
_LONGEST = 10_000


@router.post(
    "/weights",
    operation_id="addWeights",
    status_code=201,
    response_model=KeptWeights,
    summary="Send a file of weights",
    responses=problems("request-invalid", "weights-refused", "converter-missing", "too-large", "store-unavailable"),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def add_weights(
    request: Request,
    principal: Submitter,
    name: Annotated[str, Query(pattern=weights.NAME, description="the file's name: it says what is in it")],
    model: Annotated[
        str | None, Query(max_length=200, description="which it has to fill: a name as a spec has it")
    ] = None,
    arguments: Annotated[str, Query(max_length=_LONGEST, description="the model's, as a JSON object")] = "{}",
    channels: Annotated[int, Query(ge=1, le=3, description="of the images that it takes")] = 3,
    size: Annotated[int | None, Query(ge=1, le=1024, description="of these, where shapes depend on it")] = None,
    preprocessing: Annotated[
        str | None,
        Query(max_length=_LONGEST, description="a preset, or a JSON object; what the file says unless given"),
    ] = None,
) -> KeptWeights:
    """Keeps weights or logits: safetensors, or what torch has saved, of which tensors alone are read, by a process of
    its own with limits of memory and time. The answer's `artifact` is for `teacher.artifact` of a spec and its like. A
    file that no job names is deleted after THERMOWELL_WEIGHTS_DAYS.
    """
    order = weights.Order(
        model=None if model is None else {"name": model, "arguments": _object("arguments", arguments)},
        channels=channels,
        size=size or 0,
        preprocessing=None if preprocessing is None else _preparation(preprocessing),
    )
    with disk_faults.scratch() as folder:
        path = folder / name
        with path.open("wb") as content:
            async for chunk in request.stream():
                content.write(chunk)
        async with request.app.state.converting:  # one at a time: each may take a machine's memory
            state = request.app.state
            days = state.settings.weights_days
            return await run_in_threadpool(weights.add, state.db, state.files, path, order, days)


def _preparation(text: str) -> dict[str, Any]:
    if text in PRESETS:
        return {"preset": text}
    return {"preset": "custom", **_object("preprocessing", text)}


def _object(name: str, text: str) -> dict[str, Any]:
    """WeightsRefused for what is no JSON object."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise WeightsRefused(f"{name} must be a JSON object, such as {{}}")
    return document
