"""API keys over HTTP, for admins."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request

from search import public
from service.auth import Admin
from service.errors import problems
from service.jobs import database
from service.schemas import KeyCreated, KeyList, KeyOut, KeyRequest

router = APIRouter(prefix="/v1/keys", tags=["keys"])


@router.get("", operation_id="listKeys", response_model=KeyList, summary="List keys")
def list_keys(request: Request, principal: Admin) -> KeyList:
    """All keys without their secrets, revoked ones too."""
    return KeyList(items=[KeyOut.model_validate(key) for key in public.list_keys(database(request))])


@router.post(
    "",
    operation_id="createKey",
    status_code=201,
    response_model=KeyCreated,
    summary="Make a key",
    responses=problems("request-invalid", "too-large"),
)
def create_key(request: Request, principal: Admin, wanted: KeyRequest) -> KeyCreated:
    """The secret is in this answer and nowhere else: only its hash is kept."""
    key, secret = public.create_key(database(request), wanted.name, frozenset(wanted.scopes))
    return KeyCreated(**KeyOut.model_validate(key).model_dump(), secret=secret)


@router.delete(
    "/{key_id}",
    operation_id="revokeKey",
    status_code=204,
    summary="Revoke a key",
    responses=problems("not-found", "request-invalid"),
)
def revoke_key(
    request: Request, principal: Admin, key_id: Annotated[str, Path(pattern=r"^[0-9A-Za-z_-]{1,64}$")]
) -> None:
    """From now on the key opens nothing; its jobs stay."""
    public.revoke_key(database(request), key_id)
