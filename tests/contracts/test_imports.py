"""Rows from elsewhere: points that a search tries first, and finished trials that cost it nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from search.claims.planner import trial_seed
from search.optuna_bridge import study
from search.records import Job
from search.requests import jobs, keys, results, trials
from search.requests.job_view import get_job_view
from search.states import Stage, TrialState
from search.storage import tables
from search.storage.db import Database
from search.storage.rows import optuna_study_name
from tests.claimed import Program, held_of, program
from tests.search import factories
from tests.search.factories import EPOCHS, ME, at_once, spec

SPACE: dict[str, Any] = {
    "temperature": {"low": 1, "high": 20},
    "kd_weight": 0.9,
    "optimizer": None,
    "parameters": {
        "lr": {"low": 1e-5, "high": 1e-3, "log": True},
        "layers": {"values": [2, 4, 6], "integer": True},
        "pooling": {"choices": ["cls", "mean"]},
        "bias": {"choices": [True, False]},
    },
}
GOOD = {"temperature": 4.0, "lr": 1e-4, "layers": 4, "pooling": "mean", "bias": True}


@pytest.fixture
def own(db: Database, tmp_path: Path) -> Iterator[Program]:
    with program(db, tmp_path / "var") as one:
        yield one


def send(own: Program, job: Job, kind: str, rows: list[dict[str, Any]], status: int = 200, **more: Any) -> Any:
    numbered = [{"row": number, "values": values} for number, values in enumerate(rows, 2)]
    body = {"as": kind, "source": "runs.csv", "rows": numbered} | more
    answer = own.client.post(f"/v1/jobs/{job.id}/imports", json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


def finished(count: int) -> list[dict[str, Any]]:
    return [GOOD | {"temperature": 2.0 + index / 4, "accuracy": 0.5 + index / 100} for index in range(count)]


def told(own: Program, job: Job) -> list[Any]:
    storage = study.optuna_storage(own.db)
    try:
        return storage.get_all_trials(storage.get_study_id_from_name(optuna_study_name(job.id)))
    finally:
        study.close_storage(storage)


def test_points_are_tried_first_in_their_order_and_paid_for(own: Program) -> None:
    job = own.submit(space=SPACE, budget={"trials": 4})
    points = [GOOD | {"temperature": value} for value in (3.0, 5.0)]
    answer = send(own, job, "points", points)
    assert (answer["taken"], answer["known"], answer["refused"], answer["note"]) == (2, 0, [], None)
    claims = own.claim()["claims"] + own.claim(client="v")["claims"]
    assert [claim["configuration"]["temperature"] for claim in claims] == [3.0, 5.0]
    assert claims[0]["configuration"]["parameters"] == {name: GOOD[name] for name in SPACE["parameters"]}
    assert claims[0]["configuration"]["label_weight"] == pytest.approx(0.1)
    shown = own.client.get(f"/v1/jobs/{job.id}/trials/0").json()
    assert (shown["advice"]["origin"], shown["advice"]["source"]) == ("given", "runs.csv, row 2")
    assert shown["imported"] is None
    own.complete(held_of(claims[0]), 0.5)
    assert own.claim(client="u")["claims"][0]["configuration"]["temperature"] not in (3.0, 5.0)
    assert [trial.params["temperature"] for trial in told(own, job)][:2] == [3.0, 5.0]


def test_points_of_a_job_that_our_workers_train(own: Program) -> None:
    job, _ = jobs.submit(own.db, spec(budget={"trials": 3}, warm_start={"mode": "none"}), ME)
    row = {"temperature": 4, "kd_weight": 0.5, "optimizer": "sgd", "learning_rate": 0.05, "sgd.weight_decay": 1e-4}
    answer = send(own, job, "points", [row, row | {"momentum": 5}])
    assert answer["taken"] == 1
    assert [(refused["row"], refused["field"]) for refused in answer["refused"]] == [(3, "momentum")]
    claim = factories.taken(own.db)
    assert claim.configuration is not None
    assert claim.configuration.optimizer is not None
    assert (claim.configuration.temperature, claim.configuration.optimizer.learning_rate) == (4.0, 0.05)
    assert "workers train this job" in send(own, job, "trials", [row | {"accuracy": 0.5}], 422)["detail"]


def test_finished_trials_cost_nothing_and_are_told_to_the_sampler_once(own: Program) -> None:
    job = own.submit(space=SPACE, budget={"trials": 3})
    rows = finished(5)
    assert send(own, job, "trials", rows, dry_run=True)["taken"] == 5
    assert jobs.get_job(own.db, job.id, ME).progress.trials_done == 0
    assert send(own, job, "trials", rows)["taken"] == 5
    again = send(own, job, "trials", [*rows, rows[0] | {"accuracy": 0.25}], source="another name.csv")
    assert (again["taken"], again["known"]) == (1, 5)
    progress = jobs.get_job(own.db, job.id, ME).progress
    assert (progress.search_done, progress.trials_done, progress.best_value, progress.epochs_done) == (0, 0, None, 0)
    mirrored = told(own, job)
    assert [(trial.state.name, trial.value) for trial in mirrored] == [
        ("COMPLETE", value) for value in (0.5, 0.51, 0.52, 0.53, 0.54, 0.25)
    ]
    assert mirrored[0].params == {"temperature": 2.0, "lr": 1e-4, "layers": 4.0, "pooling": "mean", "bias": True}
    listed = own.client.get(f"/v1/jobs/{job.id}/trials").json()["items"]
    assert [trial["imported"] for trial in listed][:2] == ["runs.csv, row 2", "runs.csv, row 3"]
    assert {(trial["stage"], trial["state"], trial["attempt"]) for trial in listed} == {("search", "completed", 0)}
    assert "runs.csv, row 2" in own.client.get(f"/v1/jobs/{job.id}/trials.csv").text
    page = own.client.get(f"/jobs/{job.id}/trials/0").text
    assert "search: imported" in page
    assert "imported from runs.csv, row 2" in page


def test_an_imported_trial_wins_through_fresh_seeds_alone(own: Program) -> None:
    job = own.submit(space=SPACE, budget={"trials": 2})
    best = GOOD | {"temperature": 7.5, "accuracy": 0.99}
    send(own, job, "trials", [*finished(4), best])
    stages: dict[str, int] = {}
    while (held := own.take()) is not None:
        stages[held.stage] = stages.get(held.stage, 0) + 1
        assert held.configuration is not None
        value = 0.8 if held.configuration["temperature"] == 7.5 else 0.4
        test = {"accuracy": 0.5} if held.stage == "estimate" else None
        document = {"epoch": EPOCHS, "metrics": {"accuracy": value + held.seed % 97 / 1e4}, "test": test}
        own.say(held, "complete", document)
    own.proposer.answer({"conclude": {}})
    assert stages["search"] == 2
    result = results.get_result(own.db, job.id, ME)
    assert result.winner.configuration.temperature == 7.5
    assert 0.8 <= (result.winner.validation.mean or 0) < 0.82  # of the fresh seeds: 0.99 is nobody's word here
    assert result.search_trials == 2
    assert any("5 finished trials were imported" in sentence for sentence in result.cautions)
    every = list(trials.iter_trials(own.db, job.id, ME))
    assert {trial.stage for trial in every if trial.imported} == {Stage.SEARCH}
    assert result.trials == len(every) - 5
    assert get_job_view(own.db, job.id, ME).trials


@pytest.mark.parametrize(
    ("values", "field", "words"),
    [
        ({"temperature": 20.5}, "temperature", "from 1 to 20"),
        ({"temperature": "hot"}, "temperature", "a finite number"),
        ({"temperature": True}, "temperature", "a finite number"),
        ({"temperature": "nan"}, "temperature", "a finite number"),
        ({"temperature": None}, "temperature", "the row has none"),
        ({"lr": 2e-3}, "lr", "from 1e-05 to 0.001"),
        ({"layers": 5}, "layers", "one of 2, 4, 6"),
        ({"pooling": "max"}, "pooling", "one of cls, mean"),
        ({"bias": "maybe"}, "bias", "one of true, false"),
        ({"kd_weight": 0.5}, "kd_weight", "0.9, which is fixed"),
        ({"label_weight": 0.9}, "label_weight", "0.1, which is fixed"),
        ({"accuracy": 83}, "accuracy", "a percentage"),
        ({"accuracy": None}, "accuracy", "what the finished trial reached"),
        ({"accuracy": "inf"}, "accuracy", "a finite number"),
    ],
)
def test_what_is_outside_of_the_space_is_refused_and_never_clipped(
    own: Program, values: dict[str, Any], field: str, words: str
) -> None:
    job = own.submit(space=SPACE)
    good = GOOD | {"accuracy": 0.5}
    answer = send(own, job, "trials", [good, good | values])
    [refused] = answer["refused"]
    assert (refused["row"], refused["field"]) == (3, field)
    assert words in refused["allowed"]
    assert answer["taken"] == 1
    assert [trial.value for trial in told(own, job)] == [0.5]


def test_unknown_columns_are_listed_with_near_names(own: Program) -> None:
    job = own.submit(space=SPACE)
    row = {name: value for name, value in GOOD.items() if name != "temperature"} | {"temprature": 4, "host": "n1"}
    answer = send(own, job, "points", [row])
    near = {column["name"]: column["near"] for column in answer["unknown"]}
    assert near == {"temprature": ["temperature"], "host": []}
    assert "--map temprature=temperature" in answer["refused"][0]["allowed"]


def test_texts_read_as_what_the_space_has(own: Program) -> None:
    job = own.submit(space=SPACE)
    texts = {name: str(value) for name, value in GOOD.items()} | {"value": "0.75", "kd_weight": "0.9"}
    assert send(own, job, "trials", [texts])["refused"] == []
    [trial] = told(own, job)
    assert (trial.params["bias"], trial.params["layers"], trial.value) == (True, 4.0, 0.75)


def test_points_beyond_the_budget_are_said_and_tried_once_it_is_extended(own: Program) -> None:
    job = own.submit(space=SPACE, budget={"trials": 1}, baselines={"share": 0})
    answer = send(own, job, "points", [GOOD | {"temperature": value} for value in (3.0, 5.0, 7.0)])
    assert "room for 1 of these 3" in answer["note"]
    jobs.extend_job(own.db, job.id, ME, trials=3)
    temperatures = []
    for _ in range(3):
        held = own.take()
        assert held is not None
        assert held.configuration is not None
        temperatures.append(held.configuration["temperature"])
        own.complete(held, 0.5)
    assert temperatures == [3.0, 5.0, 7.0]


def test_a_job_past_its_search_takes_nothing(own: Program) -> None:
    job = own.submit(space=SPACE)
    jobs.cancel_job(own.db, job.id, ME)
    answer = send(own, job, "points", [GOOD], 409)
    assert f"thermowell extend {job.id}" in answer["detail"]


def test_others_jobs_are_not_there_and_scope_train_does_not_import(own: Program) -> None:
    job = own.submit(space=SPACE)
    _, stranger = keys.create_key(own.db, "other", frozenset({"submit"}))
    _, trainer = keys.create_key(own.db, "node", frozenset({"train"}))
    body = {"as": "points", "source": "x", "rows": [{"row": 1, "values": GOOD}]}
    statuses = [
        own.client.post(f"/v1/jobs/{job.id}/imports", json=body, headers={"Authorization": f"Bearer {key}"}).status_code
        for key in (stranger, trainer)
    ]
    assert statuses == [404, 403]
    assert own.client.post("/v1/jobs/%00/imports", json=body).status_code in (401, 404)


@pytest.mark.parametrize("change", [{"as": "runs"}, {"rows": []}, {"source": ""}, {"source": "a\nb"}, {"more": 1}])
def test_orders_that_make_no_sense_are_refused(own: Program, change: dict[str, Any]) -> None:
    job = own.submit(space=SPACE)
    body = {"as": "points", "source": "x", "rows": [{"row": 1, "values": GOOD}]} | change
    assert own.client.post(f"/v1/jobs/{job.id}/imports", json=body).status_code == 422


def test_the_same_rows_at_once_are_told_once(own: Program) -> None:
    job = own.submit(space=SPACE)
    rows = finished(6)
    answers = at_once([lambda: send(own, job, "trials", rows) for _ in range(4)])
    assert sum(answer["taken"] for answer in answers) == 6
    assert len(told(own, job)) == 6
    with own.db.look() as connection:
        numbers = connection.execute(select(tables.trials.c.number, tables.trials.c.seed, tables.trials.c.state)).all()
    assert [tuple(row) for row in numbers] == [
        (number, trial_seed(job.spec["seed"], number), TrialState.COMPLETED) for number in range(6)
    ]
