"""Trials over HTTP: paged, sorted, one with its curve, and all as CSV."""

from __future__ import annotations

import csv
import io

import httpx
import pytest

from tests.service.problems import refused
from tests.service.server_fixtures import EPOCHS, Jobs


def test_list_says_what_each_trial_was(reader: httpx.Client, jobs: Jobs) -> None:
    items = reader.get(f"/v1/jobs/{jobs.completed.id}/trials").json()["items"]
    assert [trial["number"] for trial in items] == list(range(len(items)))
    assert {trial["stage"] for trial in items} == {"search", "baseline", "select", "estimate"}
    first = items[0]
    assert first["configuration"]["optimizer"]["name"] == "adamw"
    assert (first["state"], first["epoch"], first["metrics"]["accuracy"]) == ("completed", EPOCHS, first["value"])


@pytest.mark.parametrize("sort", ["value", "-value", "number", "-number"])
def test_pages_together_are_the_whole_list_in_order(reader: httpx.Client, jobs: Jobs, sort: str) -> None:
    address = f"/v1/jobs/{jobs.completed.id}/trials"
    whole = reader.get(address, params={"sort": sort}).json()
    assert whole["next_cursor"] is None
    field = sort.removeprefix("-")
    values = [trial[field] for trial in whole["items"]]
    assert values == sorted(values, reverse=sort.startswith("-"))
    seen: list[int] = []
    page = {"next_cursor": None}
    while not seen or page["next_cursor"]:
        cursor = {"cursor": page["next_cursor"]} if page["next_cursor"] else {}
        page = reader.get(address, params={"sort": sort, "limit": 7, **cursor}).json()
        seen += [trial["number"] for trial in page["items"]]
    assert seen == [trial["number"] for trial in whole["items"]]


def test_list_is_filtered(reader: httpx.Client, jobs: Jobs) -> None:
    address = f"/v1/jobs/{jobs.completed.id}/trials"
    found = reader.get(address, params={"stage": "estimate", "arm": "t4", "state": "completed"}).json()["items"]
    assert {(trial["stage"], trial["arm"], trial["configuration"]["temperature"]) for trial in found} == {
        ("estimate", "t4", 4.0)
    }
    assert {trial["variant"] for trial in found} == {"tuned", "same_settings"}
    assert reader.get(address, params={"state": "failed"}).json() == {"items": [], "next_cursor": None}


@pytest.mark.parametrize("query", ["sort=luck", "stage=lost", "arm=t2", "state=x", "limit=0", "limit=2000"])
def test_list_refuses_what_it_does_not_know(reader: httpx.Client, jobs: Jobs, query: str) -> None:
    refused(reader.get(f"/v1/jobs/{jobs.completed.id}/trials?{query}"), 422, "request-invalid")


def test_list_refuses_cursors_of_other_lists(reader: httpx.Client, jobs: Jobs) -> None:
    address = f"/v1/jobs/{jobs.completed.id}/trials"
    cursor = reader.get(address, params={"limit": 1}).json()["next_cursor"]
    refused(reader.get(address, params={"cursor": cursor, "sort": "value"}), 422, "cursor-invalid")
    refused(reader.get(address, params={"cursor": "made-up"}), 422, "cursor-invalid")
    refused(reader.get("/v1/jobs/unknown/trials"), 404, "not-found")


def test_one_trial_with_its_curve(reader: httpx.Client, jobs: Jobs) -> None:
    trial = reader.get(f"/v1/jobs/{jobs.completed.id}/trials/0").json()
    assert [report["epoch"] for report in trial["curve"]] == list(range(1, EPOCHS + 1))
    assert trial["curve"][-1]["accuracy"] == trial["value"]


@pytest.mark.parametrize(("number", "status"), [("999", 404), ("-1", 422), ("first", 422), (str(2**40), 422)])
def test_one_trial_refuses(reader: httpx.Client, jobs: Jobs, number: str, status: int) -> None:
    answer = reader.get(f"/v1/jobs/{jobs.completed.id}/trials/{number}")
    refused(answer, status, "not-found" if status == 404 else "request-invalid")


def test_csv_has_every_trial(reader: httpx.Client, jobs: Jobs) -> None:
    answer = reader.get(f"/v1/jobs/{jobs.completed.id}/trials.csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert jobs.completed.id in answer.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    trials = reader.get(f"/v1/jobs/{jobs.completed.id}/trials").json()["items"]
    assert [int(row["number"]) for row in rows] == [trial["number"] for trial in trials]
    assert float(rows[0]["temperature"]) == trials[0]["configuration"]["temperature"]
    assert (rows[0]["optimizer"], float(rows[0]["value"])) == ("adamw", trials[0]["value"])


def test_csv_of_a_job_without_trials_is_its_header(reader: httpx.Client, jobs: Jobs) -> None:
    answer = reader.get(f"/v1/jobs/{jobs.queued.id}/trials.csv")
    assert answer.text.startswith("number,stage,arm")
    assert len(answer.text.splitlines()) == 1


def test_csv_refuses_unknown_jobs(reader: httpx.Client) -> None:
    refused(reader.get("/v1/jobs/unknown/trials.csv"), 404, "not-found")
