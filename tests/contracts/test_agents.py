"""What agents offer, who is told, and what a job waits for: on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from search.claims import workers
from search.records import Principal
from search.requests import jobs, keys, preflight
from search.storage import tables
from search.storage.db import Database
from tests.claimed import Program, held_of, own_spec, program
from tests.search.factories import ME

COMMAND = {"command": "bert-kd", "arguments": {"student": "tiny"}}
RULES = {"student": {"choices": ["tiny", "mini"]}}
CODE, OTHER_CODE = "a" * 64, "b" * 64


@pytest.fixture
def own(db: Database, tmp_path: Path) -> Iterator[Program]:
    with program(db, tmp_path / "var") as one:
        yield one


def offer(own: Program, name: str = "node-1", status: int = 204, **terms: Any) -> Any:
    body = {"host": "node", "slots": 2, "commands": {"bert-kd": {"arguments": RULES, **terms}}}
    answer = own.client.put(f"/v1/agents/{name}", json=body)
    assert answer.status_code == status, answer.text
    return answer


def waits(own: Program, job: str) -> str | None:
    return jobs.get_job(own.db, job, ME).progress.waits_for


def warnings(own: Program, **trainer: Any) -> list[str]:
    return [warning.type for warning in preflight.check(own.db, own_spec(trainer=COMMAND | trainer), ME).warnings]


def claim(own: Program, **order: Any) -> dict[str, Any]:
    return own.claim(queue=None, command="bert-kd", **order)


def test_a_job_waits_with_words_for_an_agent_that_offers_its_command(own: Program) -> None:
    job = own.submit(trainer=COMMAND).id
    words = "an agent that offers the command bert-kd: start one with `thermowell agent --commands FILE`"
    assert waits(own, job) == words
    assert own.client.get(f"/v1/jobs/{job}").json()["progress"]["waits_for"] == words
    assert own.client.get("/v1/jobs").json()["items"][0]["progress"]["waits_for"] == words
    assert warnings(own) == ["no-agent"]
    offer(own)
    assert waits(own, job) is None
    assert warnings(own) == []
    own.client.delete("/v1/agents/node-1")
    assert waits(own, job) == words


def test_an_agent_that_is_silent_offers_nothing(own: Program) -> None:
    job = own.submit(trainer=COMMAND).id
    offer(own)
    with own.db.write() as connection:
        connection.execute(update(tables.workers).values(silent_at=1.0))
    assert waits(own, job) is not None
    offer(own)
    assert waits(own, job) is None


def test_arguments_are_held_against_what_is_offered(own: Program) -> None:
    offer(own)
    assert warnings(own, arguments={"student": "huge"}) == ["argument-refused"]
    assert warnings(own, arguments={"student": "mini"}) == []
    offer(own, "node-2", arguments={"student": {"choices": ["huge"]}})
    assert warnings(own, arguments={"student": "huge"}) == []  # one that takes it is enough


def test_what_is_offered_is_listed(own: Program) -> None:
    offer(own)
    [item] = own.client.get("/v1/agents").json()["items"]
    assert (item["agent"], item["command"], item["slots"]) == ("node-1", "bert-kd", 2)
    assert item["arguments"] == RULES


def test_agents_are_no_workers(own: Program) -> None:
    offer(own)
    assert workers.list_workers(own.db) == []
    assert own.client.get("/v1/workers").json()["items"] == []
    with own.db.read() as connection:
        assert workers.living(connection) == []


@pytest.mark.parametrize(
    "terms", [{"arguments": {"a": {}}}, {"code": "x"}, {"argv": ["rm"]}, {"arguments": {"a": {"type": "text"}}}]
)
def test_an_offer_that_makes_no_sense_is_refused(own: Program, terms: dict[str, Any]) -> None:
    assert offer(own, status=422, **terms).json()["type"] == "/problems/request-invalid"


def test_a_command_gives_jobs_that_name_it_and_no_others(own: Program) -> None:
    own.submit(trainer={"external": {"queue": "bert-kd"}})
    job = own.submit(trainer=COMMAND)
    [document] = claim(own)["claims"]
    assert (document["job"], document["command"], document["arguments"]) == (job.id, "bert-kd", {"student": "tiny"})
    own.give_back(held_of(document))
    assert claim(own, client="other", owners=["nobody"])["claims"] == []
    assert claim(own, client="other", owners=["nobody", ME.id])["claims"][0]["job"] == job.id


def test_owners_are_named_by_their_keys(own: Program) -> None:
    key, secret = keys.create_key(own.db, "ops", frozenset({"read", "submit"}))
    job = jobs.submit(own.db, own_spec(trainer=COMMAND), Principal(key.id, "ops", key.scopes))[0]
    _, admin = keys.create_key(own.db, "admin", frozenset({"admin"}))
    own.client.headers["Authorization"] = f"Bearer {admin}"
    assert claim(own, owners=["dev"])["claims"] == []
    offer(own, owners=["dev"])
    mine = {"Authorization": f"Bearer {secret}"}
    assert own.client.get("/v1/agents", headers=mine).json()["items"] == []
    assert own.client.get(f"/v1/jobs/{job.id}", headers=mine).json()["progress"]["waits_for"] is not None
    offer(own, owners=["ops"])
    assert len(own.client.get("/v1/agents", headers=mine).json()["items"]) == 1
    assert own.client.get(f"/v1/jobs/{job.id}", headers=mine).json()["progress"]["waits_for"] is None
    assert claim(own, owners=["ops"])["claims"][0]["job"] == job.id


def test_a_key_offers_to_its_owners_jobs_alone(own: Program) -> None:
    other, _ = keys.create_key(own.db, "other", frozenset({"submit"}))
    mine = own.submit(trainer=COMMAND).id
    _, node = keys.create_key(own.db, "node", frozenset({"train"}), trains_for=other.id)
    own.client.headers["Authorization"] = f"Bearer {node}"
    offer(own)
    assert waits(own, mine) is not None
    assert own.client.get("/v1/agents").status_code == 403


def test_a_jobs_first_claim_fixes_the_code_of_all_its_trials(own: Program) -> None:
    job = own.submit(trainer=COMMAND)
    own.give_back(held_of(claim(own, code=CODE)["claims"][0]))
    for code in ({"code": OTHER_CODE}, {}):
        answer = claim(own, client="other", **code)
        assert answer["claims"] == []
        assert f"job {job.id} was begun with other code of the command (fingerprint {CODE[:12]}" in answer["why"]
    assert claim(own, client="other", code=CODE)["claims"][0]["trial"] == 0


@pytest.mark.parametrize("order", [{"queue": "q", "command": "c"}, {"queue": "q", "owners": ["a"]}, {"code": CODE}])
def test_a_claim_by_command_that_makes_no_sense_is_refused(own: Program, order: dict[str, Any]) -> None:
    assert own.client.post("/v1/claims", json={"client": "w"} | order).status_code == 422
