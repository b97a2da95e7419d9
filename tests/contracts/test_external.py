"""Trials over HTTP: what only programs of others meet, on SQLite and on PostgreSQL."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update
from typer.testing import CliRunner

from search.analysis.job import build
from search.claims import leases
from search.claims.reaper import Reaper
from search.optuna_bridge import study
from search.proposer import process
from search.records import Job, Principal
from search.requests import jobs, keys, results, studies, trials
from search.requests.external import Order, Selection
from search.requests.job_view import get_job_view
from search.states import Allotting, JobState, TrialState
from search.storage import tables
from search.storage.db import Database
from search.storage.rows import optuna_study_name
from search.studies.spec import StudySpec
from service import cli
from tests.claimed import Gone, Held, Program, expire, held_of, own_spec, program
from tests.search.factories import ADMIN, EPOCHS, ME, OTHER, at_once, open_sealed, spec


@pytest.fixture
def own(db: Database, tmp_path: Path) -> Iterator[Program]:
    with program(db, tmp_path / "var", artifact_limit=4096) as one:
        yield one


def taken(own: Program, name: str = "w", **order: Any) -> Held:
    held = own.take(name) if not order else held_of(own.claim(client=name, **order)["claims"][0])
    assert held is not None
    return held


def finish(own: Program, held: Held, value: float = 0.5) -> None:
    test = {"accuracy": 0.125} if held.stage == "estimate" else None
    own.say(held, "complete", {"epoch": EPOCHS, "metrics": {"accuracy": value}, "test": test})


def finish_all(own: Program) -> None:
    while (held := own.take()) is not None:
        finish(own, held, 0.5 + held.number / 1000)


def one(own: Program, job: Job, number: int) -> Any:
    return trials.get_trial(own.db, job.id, number, ME)[0]


def problem(own: Program, held: Held, verb: str, document: Any, status: int = 422) -> str:
    return str(own.say(held, verb, document, status)["detail"])


def test_a_claim_says_why_there_is_nothing_and_when_to_come_again(own: Program) -> None:
    assert own.claim(queue="nobody")["done"]
    assert "was ever submitted" in own.claim(queue="nobody")["why"]
    job = own.submit(fleet={"parallel": 1})
    held = taken(own)
    answer = own.claim(client="other")
    assert (answer["claims"], answer["done"]) == ([], False)
    assert f"1 trial of job {job.id} being trained" in answer["why"]
    assert 0 < answer["retry_after"] <= 10
    own.give_back(held)
    jobs.pause_job(own.db, job.id, ME)
    assert f"thermowell resume {job.id}" in own.claim()["why"]
    jobs.cancel_job(own.db, job.id, ME)
    answer = own.claim()
    assert (answer["done"], answer["retry_after"]) == (True, None)
    assert "cancelled" in answer["why"]


@pytest.mark.parametrize(
    "order",
    [{}, {"queue": "q", "job": "a"}, {"queue": "q", "client": ""}, {"queue": "q", "wait_seconds": 31}, {"queue": 1}],
)
def test_a_claim_that_makes_no_sense_is_refused(own: Program, order: dict[str, Any]) -> None:
    answer = own.client.post("/v1/claims", json={"client": "w"} | order)
    assert answer.status_code == 422
    assert answer.json()["type"] == "/problems/request-invalid"


def test_jobs_that_are_not_there_or_are_trained_by_workers_are_not_claimed(own: Program) -> None:
    job, _ = jobs.submit(own.db, spec(), ME)
    for body, status in (({"job": "0" * 16}, 404), ({"study": "\0"}, 404), ({"job": job.id}, 409)):
        answer = own.client.post("/v1/claims", json={"client": "w"} | body)
        assert answer.status_code == status, answer.text
    assert own.claim()["claims"] == []
    own.submit()
    from tests.search import factories

    assert [taken(own).job_id, factories.taken(own.db).job_id][1] == job.id
    assert {factories.taken(own.db).job_id for _ in range(3)} == {job.id}  # our workers take none of others


def test_by_job_and_by_study(own: Program) -> None:
    first, second = own.submit(), own.submit()
    assert taken(own, job=second.id, queue=None).job_id == second.id
    with own.db.write() as connection:
        connection.execute(update(tables.jobs).where(tables.jobs.c.id == first.id).values(study="5"))
    with own.db.write() as connection:
        row = {"id": "5", "name": "s", "owner": ME.id, "spec": {}, "cells": [], "created_at": 0.0, "updated_at": 0.0}
        known = {name: value for name, value in row.items() if name in tables.studies.c}
        connection.execute(tables.studies.insert().values(**known))
    assert taken(own, study="5", queue=None).job_id == first.id


def test_what_was_claimed_is_taken_up_again_with_a_new_token(own: Program) -> None:
    job = own.submit()
    before = taken(own, "n1")
    own.say(
        before, "reports", {"reports": [{"epoch": 1, "metrics": {"accuracy": 0.4}}], "resume": {"epoch": 1, "at": "x"}}
    )
    own.say(before, "reports", {"reports": [{"epoch": 2, "metrics": {"accuracy": 0.5}}]})
    [again] = own.claim(client="n1", take_up=True)["claims"]
    assert (again["trial"], again["attempt"], again["resume"]) == (before.number, 2, {"epoch": 1, "at": "x"})
    assert again["token"] != before.token
    assert again["configuration"] == before.configuration
    with pytest.raises(Gone):
        own.report(before, 2, 0.9)
    held = held_of(again)
    own.report(held, 2, 0.6)
    assert [report.accuracy for report in trials.get_trial(own.db, job.id, 0, ME)[1]] == [0.4, 0.6]
    assert own.claim(client="n2", take_up=True)["claims"][0]["trial"] == 1  # who holds nothing takes a new one


def test_another_goes_on_where_it_was_left(own: Program) -> None:
    own.submit()
    held = taken(own)
    own.say(held, "reports", {"reports": [{"epoch": 1, "metrics": {}}], "resume": {"epoch": 1, "at": "s3://b/1"}})
    assert "of which nothing was reported" in problem(
        own, held, "reports", {"reports": [{"epoch": 1, "metrics": {}}], "resume": {"epoch": 2, "at": "x"}}
    )
    own.give_back(held)
    assert own.claim(client="other")["claims"][0]["resume"] == {"epoch": 1, "at": "s3://b/1"}


def pruned_job(own: Program) -> Job:
    pruner = {"name": "median", "min_epochs": 1, "reduction_factor": 2, "startup_trials": 1}
    return own.submit(pruner=pruner, budget={"trials": 4})


def test_a_pruned_trial_has_ended_by_the_time_its_program_knows(own: Program) -> None:
    job = pruned_job(own)
    good = taken(own)
    for epoch in range(1, EPOCHS + 1):
        own.report(good, epoch, 0.9)
    finish(own, good, 0.9)
    bad = taken(own)
    said = {"reports": [{"epoch": 1, "metrics": {"accuracy": 0.1, "f1": 0.2}, "seconds": 2.0}]}
    assert own.say(bad, "reports", said) == {"stop": "pruned"}
    trial = one(own, job, bad.number)
    assert (trial.state, trial.value, trial.epoch, trial.metrics) == (
        TrialState.PRUNED, 0.1, 1, {"accuracy": 0.1, "f1": 0.2},
    )  # fmt: skip
    assert own.say(bad, "reports", said) == {"stop": "pruned"}  # said twice
    assert not own.renew(bad)
    storage = study.optuna_storage(own.db)
    told = storage.get_all_trials(storage.get_study_id_from_name(optuna_study_name(job.id)))[1]
    study.close_storage(storage)
    assert (told.state.name, told.value, told.intermediate_values) == ("PRUNED", 0.1, {1: 0.1})
    with own.db.look() as connection:
        assert connection.execute(select(tables.trials.c.mirrored).where(tables.trials.c.number == 1)).scalar_one()
    assert "already, as pruned" in problem(own, bad, "complete", {"epoch": 1, "metrics": {"accuracy": 0.1}}, 409)


def test_a_rung_needs_the_objective(own: Program) -> None:
    pruned_job(own)
    held = taken(own)
    assert "did you mean acuracy" in problem(
        own, held, "reports", {"reports": [{"epoch": 1, "metrics": {"acuracy": 0.1}}]}
    )


def test_renewing_is_no_progress(own: Program) -> None:
    job = own.submit(trainer={"external": {"queue": "q", "stall_seconds": 100}})
    held = taken(own)
    assert own.renew(held)
    assert leases.reap(own.db, leases.silent_others(1e9)).trials == []
    with own.db.write() as connection:
        connection.execute(update(tables.leases).values(progress_at=tables.leases.c.progress_at - 200))
    assert leases.reap(own.db, leases.silent_others(1e9)).trials == [(job.id, 0)]
    assert not own.renew(held)
    assert one(own, job, 0).state is TrialState.WAITING


def test_a_report_sets_the_stall_back(own: Program) -> None:
    own.submit(trainer={"external": {"queue": "q", "stall_seconds": 100}})
    held = taken(own)
    with own.db.write() as connection:
        connection.execute(update(tables.leases).values(progress_at=tables.leases.c.progress_at - 200))
    own.report(held, 1, 0.5)
    assert leases.reap(own.db, leases.silent_others(1e9)).trials == []


def test_what_comes_late_is_taken_while_nobody_else_has_begun(own: Program) -> None:
    job = own.submit()
    held = taken(own)
    own.reap()
    assert one(own, job, 0).state is TrialState.WAITING
    own.report(held, 1, 0.4)  # it trains, so that it is its trial again
    assert one(own, job, 0).state is TrialState.RUNNING
    own.reap()
    finish(own, held, 0.7)
    trial = one(own, job, 0)
    assert (trial.state, trial.value) == (TrialState.COMPLETED, 0.7)
    assert taken(own).number == 1


def test_a_race_of_a_late_holder_and_a_new_one_has_one_winner(own: Program) -> None:
    job = own.submit(budget={"trials": 1}, baselines={"share": 0})
    held = taken(own, "late")
    own.reap()

    def late() -> str:
        try:
            finish(own, held, 0.25)
        except Gone:
            return "gone"
        return "taken"

    def claim() -> str:
        claims = own.claim(client="new")["claims"]
        return "gone" if not claims or claims[0]["stage"] != "search" else "taken"

    assert sorted(at_once([late, claim])) == ["gone", "taken"]
    assert one(own, job, 0).state in (TrialState.COMPLETED, TrialState.RUNNING)


def test_saying_the_end_twice_is_saying_it_once(own: Program) -> None:
    job = own.submit()
    held = taken(own)
    document = {"epoch": EPOCHS, "metrics": {"accuracy": 0.5}}
    assert own.say(held, "complete", document) == own.say(held, "complete", document) == {"state": "completed"}
    assert jobs.get_job(own.db, job.id, ME).progress.trials_done == 1
    assert "already, as completed" in problem(own, held, "fail", {"type": "crashed"}, 409)
    other = taken(own)
    own.diverge(other)
    own.diverge(other)
    assert jobs.get_job(own.db, job.id, ME).progress.trials_done == 2


@pytest.mark.parametrize("kind", ["diverged", "infeasible"])
def test_what_says_something_of_the_configuration_is_told_as_the_worst(own: Program, kind: str) -> None:
    job = own.submit()
    own.say(taken(own), "fail", {"type": kind, "detail": "no"})
    storage = study.optuna_storage(own.db)
    [told] = storage.get_all_trials(storage.get_study_id_from_name(optuna_study_name(job.id)))
    study.close_storage(storage)
    assert (told.state.name, told.value) == ("PRUNED", 0.0)


def test_three_crashes_in_a_row_pause_the_job(own: Program) -> None:
    job = own.submit(budget={"trials": 20})
    for _ in range(3):
        own.say(taken(own), "fail", {"type": "crashed", "detail": "no module named torch", "log_tail": "a\0b" * 20_000})
    paused = jobs.get_job(own.db, job.id, ME)
    assert paused.state is JobState.PAUSED
    assert paused.problem is not None
    assert "no module named torch" in paused.problem.detail
    assert f"thermowell resume {job.id}" in paused.problem.detail
    tail = one(own, job, 0).log_tail
    assert len(tail) == 20_000
    assert "\0" not in tail
    assert own.client.get(f"/v1/jobs/{job.id}/trials/0").json()["log_tail"] == tail
    jobs.resume_job(own.db, job.id, ME)
    own.say(taken(own), "fail", {"type": "crashed", "detail": "again"})
    assert jobs.get_job(own.db, job.id, ME).state is JobState.RUNNING  # whoever resumes it begins anew


def test_the_end_of_a_log_is_kept_with_a_trial_and_shown_on_its_page(own: Program) -> None:
    job = own.submit()
    result = {"epoch": EPOCHS, "metrics": {"accuracy": 0.5}, "log_tail": "x" * 30_000 + "<b>last\0words"}
    own.say(taken(own), "complete", result)
    tail = own.client.get(f"/v1/jobs/{job.id}/trials/0").json()["log_tail"]
    assert len(tail) == 20_000
    assert tail.endswith("<b>last\N{REPLACEMENT CHARACTER}words")
    page = own.client.get(f"/jobs/{job.id}/trials/0", headers={"Accept": "text/html"}).text
    assert "&lt;b&gt;last\N{REPLACEMENT CHARACTER}words" in page


def test_the_test_part_is_asked_for_in_estimates_alone_and_sealed_until_the_end(own: Program) -> None:
    job = own.submit()
    held = taken(own)
    said = {"epoch": EPOCHS, "metrics": {"accuracy": 0.5}, "test": {"accuracy": 0.4}}
    assert "estimates alone" in problem(own, held, "complete", said)
    finish(own, held)
    while (held := own.take()) is not None:  # type: ignore[assignment]
        finish(own, held, 0.5 + held.number / 1000)
        if held.stage == "estimate" and jobs.get_job(own.db, job.id, ME).state is JobState.CONFIRMING:
            shown = own.client.get(f"/v1/jobs/{job.id}/trials/{held.number}").text
            assert "0.125" not in shown
            assert one(own, job, held.number).test_metrics is None
    own.proposer.answer({"conclude": {}})
    open_sealed(own.db, job, lambda: own.proposer.answer({"conclude": {}}))
    assert jobs.get_job(own.db, job.id, ME).state is JobState.COMPLETED
    result = results.get_result(own.db, job.id, ME)
    assert result.winner.test is not None
    assert result.winner.test["accuracy"].mean == 0.125
    assert any("kept the test part to itself" in sentence for sentence in result.cautions)
    asked = {(claim["stage"], claim["test"]) for claim in own.claims}
    assert asked == {("search", False), ("baseline", False), ("select", False), ("estimate", True)}


def test_what_a_program_said_of_the_test_part_stays_sealed_where_nothing_is_decided(
    own: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    decided = build.decide
    monkeypatch.setattr(build, "decide", lambda field: replace(decided(field), kind="undecided", shown=False))
    job = own.submit()
    finish_all(own)
    own.proposer.answer({"conclude": {}})
    seen = own.client.get(f"/v1/jobs/{job.id}").json()
    assert (seen["state"], seen["test_opened_at"]) == ("completed", None)
    assert own.client.get(f"/v1/jobs/{job.id}/result").json()["test_sealed"]
    paths = ("result", "trials?limit=200", "trials.csv", "events")
    assert not any("0.125" in own.client.get(f"/v1/jobs/{job.id}/{path}").text for path in paths)
    opened = own.client.post(f"/v1/jobs/{job.id}/open-test").json()
    assert (opened["state"], opened["test_opened_at"] is None) == ("analysing", False)
    own.proposer.answer({"conclude": {}})
    result = own.client.get(f"/v1/jobs/{job.id}/result").json()
    assert (result["winner"]["test"]["accuracy"]["mean"], result["test_sealed"]) == (0.125, False)


def test_whatever_is_measured_is_a_column_and_a_panel_by_its_name(own: Program) -> None:
    objective = {"metric": "map@5", "direction": "maximize", "low": 0, "high": 1, "unit": "%"}
    job = own.submit(objective=objective, confirmation={"delta": 0.01})
    held = taken(own)
    metrics = {"accuracy": 0.5, "map@5": 0.25}
    own.say(held, "reports", {"reports": [{"epoch": 1, "metrics": metrics, "seconds": 0.1}]})
    own.say(held, "complete", {"epoch": EPOCHS, "metrics": metrics})
    (row,) = csv.DictReader(io.StringIO(own.client.get(f"/v1/jobs/{job.id}/trials.csv").text))
    assert (row["validation_accuracy"], row["validation_map@5"], row["test_map@5"]) == ("0.5", "0.25", "")
    assert "map@5" in own.client.get(f"/jobs/{job.id}/trials/{held.number}/curve.svg").text
    command = ["trials", job.id, "--url", str(own.client.base_url)]
    listing = CliRunner().invoke(cli.build(), command, env={"COLUMNS": "120"}).stdout
    assert re.search(r"map@5 *\n.* 25\.0 %", listing)


def test_what_cannot_be_is_refused_with_the_way_out(own: Program) -> None:
    own.submit()
    held = taken(own)
    for metrics, words in (
        ({"acc": 0.5}, "did you mean acc"),
        ({}, "there is nothing"),
        ({"accuracy": 83.0}, "accuracy must be from 0 to 1, got 83"),
    ):
        assert words in problem(own, held, "complete", {"epoch": EPOCHS, "metrics": metrics})
    for value in ("NaN", "Infinity", "-Infinity"):
        body = f'{{"epoch": {EPOCHS}, "metrics": {{"accuracy": {value}}}}}'
        headers = {"Lease-Token": held.token, "Content-Type": "application/json"}
        answer = own.client.post(f"/v1/jobs/{held.job_id}/trials/0/complete", content=body, headers=headers)
        assert answer.status_code == 422
        assert "type diverged" in answer.text
    late = {"reports": [{"epoch": EPOCHS + 1, "metrics": {"accuracy": 0.5}}]}
    assert f"from 1 to {EPOCHS}" in problem(own, held, "reports", late)
    finish(own, held)


def test_a_token_is_worth_nothing_without_its_key(own: Program) -> None:
    own.submit()
    held = taken(own)
    _, owner = keys.create_key(own.db, "other", frozenset({"submit"}))
    mine = {"Authorization": f"Bearer {owner}"}
    answers = [
        own.client.post(
            f"/v1/jobs/{held.job_id}/trials/0/{verb}", json=body, headers=mine | {"Lease-Token": held.token}
        )
        for verb, body in (
            ("reports", {"reports": [{"epoch": 1, "metrics": {"accuracy": 0.5}}]}),
            ("complete", {"epoch": 1, "metrics": {"accuracy": 0.5}}),
            ("fail", {"type": "crashed"}),
            ("return", None),
        )
    ]
    assert [answer.status_code for answer in answers] == [404] * 4
    file = f"/v1/jobs/{held.job_id}/trials/0/artifacts/student.bin"
    assert own.client.put(file, content=b"x", headers=mine | {"Lease-Token": held.token}).status_code == 404
    renewed = own.client.post("/v1/leases/renew", json={"tokens": [held.token]}, headers=mine)
    assert renewed.json()["leases"] == {held.token: "lost"}
    assert own.client.post("/v1/claims", json={"queue": "q", "client": "w"}, headers=mine).json()["claims"] == []
    unsigned = own.client.post(f"/v1/jobs/{held.job_id}/trials/0/return", headers={"Lease-Token": held.token})
    assert unsigned.status_code == 401  # a key exists by now


def test_a_key_that_trains_for_an_owner_trains_and_does_nothing_else(own: Program) -> None:
    owner, _ = keys.create_key(own.db, "owner", frozenset({"submit"}))
    job, _ = jobs.submit(own.db, own_spec(), Principal(owner.id, "owner", owner.scopes))
    hers = own.submit()
    _, node = keys.create_key(own.db, "node", frozenset({"train"}), trains_for=owner.id)
    headers = {"Authorization": f"Bearer {node}"}
    answer = own.client.post("/v1/claims", json={"queue": "q", "client": "w", "most": 3}, headers=headers).json()
    assert {claim["job"] for claim in answer["claims"]} == {job.id}
    held = held_of(answer["claims"][0])
    done = own.client.post(
        f"/v1/jobs/{job.id}/trials/{held.number}/complete",
        json={"epoch": EPOCHS, "metrics": {"accuracy": 0.5}},
        headers=headers | {"Lease-Token": held.token},
    )
    assert done.json() == {"state": "completed"}
    for path in ("/v1/jobs", f"/v1/jobs/{job.id}", f"/v1/jobs/{job.id}/trials", "/v1/workers", "/v1/me"):
        assert own.client.get(path, headers=headers).status_code == 403
    assert own.client.post(f"/v1/jobs/{job.id}/cancel", headers=headers).status_code == 403
    assert own.client.post("/v1/claims", json={"job": hers.id, "client": "w"}, headers=headers).status_code == 404
    for scopes, whose in ((["train", "read"], owner.id), (["train"], "no id")):
        with pytest.raises(ValueError, match="key"):
            keys.create_key(own.db, "n", scopes, trains_for=whose)  # type: ignore[arg-type]


def test_a_key_without_the_scope_claims_nothing(own: Program) -> None:
    own.submit()
    _, secret = keys.create_key(own.db, "reader", frozenset({"read", "dashboard"}))
    headers = {"Authorization": f"Bearer {secret}"}
    assert own.client.post("/v1/claims", json={"queue": "q", "client": "w"}, headers=headers).status_code == 403


def put(own: Program, held: Held, name: str, content: bytes, **headers: str) -> Any:
    path = f"/v1/jobs/{held.job_id}/trials/{held.number}/artifacts/{name}"
    return own.client.put(path, content=content, headers={"Lease-Token": held.token, **headers})


def test_a_file_of_a_trial_is_kept_whole_or_not_at_all(own: Program) -> None:
    job = own.submit()
    held = taken(own)
    digest = base64.b64encode(hashlib.sha256(b"weights").digest()).decode()
    kept = put(own, held, "student.bin", b"weights", **{"Content-Digest": f"sha-256=:{digest}:"})
    assert kept.status_code == 201, kept.text
    assert kept.json()["name"] == "trial-0-student.bin"
    assert own.client.get(f"/v1/jobs/{job.id}/artifacts/trial-0-student.bin").content == b"weights"
    wrong = put(own, held, "student.bin", b"weighs", **{"Content-Digest": f"sha-256=:{digest}:"})
    assert wrong.status_code == 422
    assert put(own, held, "big", b"x" * 5000).status_code == 413
    assert put(own, held, "..%2F..%2Fetc", b"x").status_code in (404, 422)
    finish(own, held)
    assert put(own, held, "student.bin", b"late").status_code == 409
    assert own.client.get(f"/v1/jobs/{job.id}/artifacts/trial-0-student.bin").content == b"weights"


def test_an_outage_of_the_service_costs_nobody_a_trial(own: Program) -> None:
    job = own.submit()
    held = taken(own, lease_seconds=100)
    time = [0.0]
    reaper = Reaper(own.db, 10.0, 1.0, lambda: time[0], of_others=True)
    expire(own.db)
    if own.db.dialect == "postgresql":  # its server has been up for some seconds alone
        own.db.up_seconds = lambda _: 1e9  # type: ignore[method-assign]

    def wait(seconds: int) -> list[tuple[str, int]]:
        found = []
        for _ in range(seconds):
            time[0] += 1.0
            found += reaper.run().trials
        return found

    assert wait(99) == []  # the service has been there for less than the lease's own period
    time[0] += 500.0  # it was frozen
    assert wait(100) == []
    assert own.renew(held)
    assert wait(5) == []
    expire(own.db)
    assert wait(1) == [(job.id, 0)]


def test_replicas_hand_out_each_trial_once(own: Program) -> None:
    """Each API has a process of its own that proposes; what they share is the database."""
    own.submit(budget={"trials": 12}, baselines={"share": 0})
    replicas = [process.Proposer(own.db.url, 30.0) for _ in range(2)]

    def claim_all(replica: process.Proposer, name: str) -> list[int]:
        numbers, order = [], Order(Selection(queue="q"), name, 60.0).document(ME)
        while (claims := replica.answer(json.loads(json.dumps(order)))["claims"]) and claims[0]["stage"] == "search":
            numbers.append(claims[0]["trial"])
        return numbers

    try:
        first, second = replicas
        calls = [lambda: claim_all(first, "a"), lambda: claim_all(second, "b"), lambda: claim_all(second, "c")]
        assert sorted(number for numbers in at_once(calls) for number in numbers) == list(range(12))
    finally:
        for replica in replicas:
            replica.close()


def test_several_at_once_are_proposed_one_knowing_of_the_other(own: Program) -> None:
    own.submit(budget={"trials": 8})
    claims = own.claim(most=4)["claims"]
    assert 1 <= len(claims) <= 4
    assert len({json.dumps(claim["configuration"]) for claim in claims}) == len(claims)
    assert len({claim["token"] for claim in claims}) == len(claims)


def test_trials_that_depend_on_none_are_claimed_together(own: Program) -> None:
    """All of them whatever the cap, and what they are does not depend on what others come to, or when."""
    search: dict[str, Any] = {"budget": {"trials": 12}, "sampler": {"startup_trials": 6}}
    first = own.submit(**search)
    claims = own.claim(most=12)["claims"]
    assert [claim["trial"] for claim in claims] == list(range(6))
    jobs.cancel_job(own.db, first.id, ME)
    second, one_by_one = own.submit(**search), []
    for value in (0.9, 0.1, 0.5, 0.3, 0.8, 0.2):
        held = taken(own, job=second.id, queue=None)
        one_by_one.append(held.configuration)
        finish(own, held, value)
    assert one_by_one == [claim["configuration"] for claim in claims]
    assert len(own.claim(most=12)["claims"]) == 3  # a quarter of the search: these learn from each other


def test_admin_trains_anything_and_strangers_see_nothing(own: Program) -> None:
    job = own.submit()
    assert jobs.get_job(own.db, job.id, ADMIN).id == job.id
    with pytest.raises(Exception, match="no such job"):
        jobs.get_job(own.db, job.id, OTHER)


def test_parameters_and_a_metric_of_ones_own(own: Program) -> None:
    """No optimizer, a metric in points, and parameters of each kind: to the answer, with curves of that metric."""
    job = own.submit(
        objective={"metric": "eval_f1", "direction": "maximize", "low": 0, "high": 100},
        confirmation={"finalists": 2, "select_seeds": 1, "estimate_seeds": 2, "delta": 0.3},
        space={
            "temperature": {"low": 1, "high": 20},
            "optimizer": None,
            "parameters": {
                "lr": {"low": 1e-5, "high": 1e-3, "log": True},
                "t_hidden": {"low": 1, "high": 10, "temperature": True},
                "pooling": {"choices": ["cls", "mean"]},
            },
        },
    )
    seen = set()
    while (held := own.take()) is not None:
        assert held.configuration is not None
        parameters = held.configuration["parameters"]
        seen.add(parameters["pooling"])
        if held.arm in ("t1", "t4"):
            assert parameters["t_hidden"] == held.configuration["temperature"] == {"t1": 1, "t4": 4}[held.arm]
        value = 80 - abs(held.configuration["temperature"] - 6)
        own.say(held, "reports", {"reports": [{"epoch": 1, "metrics": {"eval_f1": value / 2, "loss": 1.0}}]})
        own.say(held, "complete", {"epoch": EPOCHS, "metrics": {"eval_f1": value}})
    own.proposer.answer({"conclude": {}})
    assert seen == {"cls", "mean"}
    result = results.get_result(own.db, job.id, ME)
    assert result.metric == "eval_f1"
    assert result.winner.validation.mean is not None
    assert 60 < result.winner.validation.mean <= 80
    shown = get_job_view(own.db, job.id, ME)
    assert shown.curves[0].values[0] == shown.curves[0].values[-1] / 2
    assert any("ignore the seed" in sentence for sentence in result.cautions)
    curve = own.client.get(f"/v1/jobs/{job.id}/trials/0").json()["curve"]
    assert curve[0]["metrics"]["loss"] == 1.0
    assert curve[0]["accuracy"] is None


def test_a_claim_says_that_a_study_hands_out_more(own: Program) -> None:
    job = own.submit()
    with own.db.write() as connection:
        cell = update(tables.jobs).where(tables.jobs.c.id == job.id)
        connection.execute(cell.values(state=JobState.RUNNING, allotting=Allotting.DUE))
    answer = own.claim()
    assert (answer["claims"], answer["done"]) == ([], False)
    assert f"job {job.id} has trained what its study has handed it" in answer["why"]
    assert 0 < answer["retry_after"] <= 10


@pytest.mark.slow
@pytest.mark.usefixtures("few_draws")
@pytest.mark.parametrize("storage_url", ["sqlite"], indirect=True)
def test_an_adaptive_study_is_handed_out_beside_the_api(own: Program) -> None:
    """No worker of the service is there: the process that proposes hands out, and every cell comes to its answer."""
    base = own_spec(space={"optimizer": {"sgd": {}}}, budget={"trials": 12}, confirmation={"level": "none"}).model_dump(
        mode="json", exclude_none=True, exclude={"name"}
    )
    trials_of = {"name": "adaptive", "temperatures": [1.0, 20.0], "settings": 2}
    document = {"name": "own", "base": base, "factors": {"training.epochs": [3, 6]}, "trials": trials_of}
    found = studies.submit_study(own.db, StudySpec.model_validate(document), ME)[0]
    counts = Counter[str]()
    while not (answer := own.claim(study=found.id, queue=None))["done"]:
        if not answer["claims"]:
            own.proposer.answer({"conclude": {}})  # unless the service was first
            continue
        held = held_of(answer["claims"][0])
        counts[held.job_id] += held.stage == "search"
        epoch = answer["claims"][0]["epochs"]
        test = {"accuracy": 0.5} if held.stage == "estimate" else None
        metrics = {"accuracy": 0.5 + 0.1 * (held.seed % 7) / 7}
        own.say(held, "complete", {"epoch": epoch, "metrics": metrics, "test": test})
    assert studies.get_study(own.db, found.id, ME).jobs == {JobState.COMPLETED: 2}
    assert 16 < sum(counts.values()) <= 24
