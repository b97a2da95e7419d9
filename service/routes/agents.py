"""Agents over HTTP: what they offer, told with each heartbeat, and read by who submits jobs."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request

from search.claims import agents
from service.auth import Reader, Trainer
from service.errors import problems
from service.routes.jobs import database
from service.schemas import sent
from service.schemas_claims import AgentRequest, OfferList
from thermowell.api.workers import Offer

Name = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$", description="the agent's name as a client")]
router = APIRouter(prefix="/v1/agents", tags=["training"])


@router.put(
    "/{name}",
    operation_id="putAgent",
    status_code=204,
    summary="Say what an agent offers",
    responses=problems("request-invalid"),
)
def put_agent(request: Request, principal: Trainer, name: Name, body: AgentRequest) -> None:
    """To be said again every 20 seconds: after a minute of silence the agent offers nothing any more."""
    commands = {
        command: offer.model_dump(mode="json", exclude_defaults=True) for command, offer in body.commands.items()
    }
    agents.agent_seen(database(request), principal, name, body.host, body.slots, commands)


@router.delete(
    "/{name}",
    operation_id="deleteAgent",
    status_code=204,
    summary="Say that an agent ends",
    responses=problems("request-invalid"),
)
def delete_agent(request: Request, principal: Trainer, name: Name) -> None:
    """It offers nothing any more; its trials are given back by themselves."""
    agents.agent_stopped(database(request), principal, name)


@router.get("", operation_id="listAgents", response_model=OfferList, summary="What agents offer")
def list_agents(request: Request, principal: Reader) -> OfferList:
    """The commands that living agents run for one's jobs, with the arguments that these may give."""
    offers = agents.list_offers(database(request), principal)
    return OfferList.model_construct(items=[sent(Offer, offer) for offer in offers])
