"""API keys over HTTP, for admins."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request

from search.requests import keys as key_requests
from service.auth import Admin
from service.errors import problems
from service.routes.jobs import database
from service.schemas import KeyList, KeyRequest, QuotaRequest, sent
from thermowell.api.keys import Key, KeyCreated

KeyId = Annotated[str, Path(pattern=r"^[0-9A-Za-z_-]{1,64}$")]
router = APIRouter(prefix="/v1/keys", tags=["keys"])


@router.get("", operation_id="listKeys", response_model=KeyList, summary="List keys")
def list_keys(request: Request, principal: Admin) -> KeyList:
    """All keys without their secrets, revoked ones too."""
    return KeyList.model_construct(items=[sent(Key, key) for key in key_requests.list_keys(database(request))])


@router.post(
    "",
    operation_id="createKey",
    status_code=201,
    response_model=KeyCreated,
    summary="Make a key",
    responses=problems("request-invalid", "too-large"),
)
def create_key(request: Request, principal: Admin, key_request: KeyRequest) -> KeyCreated:
    """The secret is in this answer and nowhere else: only its hash is kept."""
    quota = key_request.quota_over(request.app.state.settings.key_quota)
    scopes, owner = frozenset(key_request.scopes), key_request.trains_for
    key, secret = key_requests.create_key(database(request), key_request.name, scopes, quota, owner)
    return sent(KeyCreated, key, secret=secret)


@router.put(
    "/{key_id}/quota",
    operation_id="setQuota",
    response_model=Key,
    summary="Give a key another quota",
    responses=problems("not-found", "request-invalid", "too-large"),
)
def set_quota(request: Request, principal: Admin, key_id: KeyId, quota: QuotaRequest) -> Key:
    """For what the key asks from now on; what it has already stays."""
    return sent(Key, key_requests.set_quota(database(request), key_id, quota.quota()))


@router.delete(
    "/{key_id}",
    operation_id="revokeKey",
    status_code=204,
    summary="Revoke a key",
    responses=problems("not-found", "request-invalid"),
)
def revoke_key(request: Request, principal: Admin, key_id: KeyId) -> None:
    """From now on the key opens nothing; its jobs stay."""
    key_requests.revoke_key(database(request), key_id)
