"""The dashboard's door: whom it lets look, whom it lets change, and whether the dashboard works behind it."""

from __future__ import annotations

import http.client
import math
import re
from collections.abc import Callable, Iterator
from contextlib import closing

import httpx
import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from search.optuna_bridge.study import close_storage, optuna_storage
from search.storage.db import Database
from tests.service.problems import refused
from tests.service.server_fixtures import Jobs

Headers = dict[str, str]


@pytest.fixture
def study(db: Database) -> Iterator[int]:
    """The id of a study with one trial."""
    storage = optuna_storage(db)
    made = optuna.create_study(study_name="thermowell-test", storage=storage)
    made.tell(made.ask({"temperature": optuna.distributions.FloatDistribution(1, 40)}), 0.9)
    yield made._study_id
    close_storage(storage)


def names(client: httpx.Client, headers: Headers) -> list[str]:
    summaries = client.get("/api/studies", headers=headers).json()["study_summaries"]
    return [summary["study_name"] for summary in summaries]


def test_it_shows_studies_to_who_may_look(client: httpx.Client, key: Callable[..., Headers], study: int) -> None:
    looker = key("dashboard")
    assert names(client, looker) == ["thermowell-test"]
    assert client.get(f"/api/studies/{study}", headers=looker).json()["trials"][0]["values"] == [0.9]


def test_its_list_begins_with_searches_by_the_names_of_their_jobs(
    client: httpx.Client, db: Database, jobs: Jobs
) -> None:
    storage = optuna_storage(db)
    mine = f"thermowell-{jobs.completed.id}"
    for name in (mine, f"{mine}-t4", f"{mine}-label_only", "somebody-elses", f"thermowell-{'0' * 16}"):
        optuna.create_study(study_name=name, storage=storage)
    close_storage(storage)
    assert names(client, {})[::-1] == [  # as the page has them, the last one first
        f"thermowell-{'0' * 16}",
        "somebody-elses",
        f"done · {mine}",
        f"baseline, no distillation, of done · {mine}-label_only",
        f"baseline, T = 4, of done · {mine}-t4",
    ]
    first = client.get("/api/studies").json()["study_summaries"][-3]
    assert client.get(f"/api/studies/{first['study_id']}").json()["name"] == f"done · {mine}"
    assert mine in client.get(f"/csv/{first['study_id']}").headers["content-disposition"]


def test_only_an_admin_changes_anything(client: httpx.Client, key: Callable[..., Headers], study: int) -> None:
    looker, reader, admin = key("dashboard"), key("read"), key("admin")
    changes = (("DELETE", f"/api/studies/{study}"), ("PUT", f"/api/studies/{study}/note"), ("POST", "/api/studies"))
    for method, path in changes:
        for headers in (looker, reader):
            assert (
                "'admin'" in refused(client.request(method, path, headers=headers, json={}), 403, "forbidden")["detail"]
            )
        refused(client.request(method, path, json={}), 401, "unauthenticated")
    assert names(client, admin) == ["thermowell-test"]
    assert client.delete(f"/api/studies/{study}", headers=admin).status_code == 204
    assert names(client, admin) == []


def raw_status(client: httpx.Client, method: str, path: str, headers: Headers) -> int:
    """The status for a path as it is spelled: httpx takes what follows two slashes for a host, and resolves dots."""
    connection = http.client.HTTPConnection(client.base_url.host, client.base_url.port, timeout=20)
    with closing(connection):
        connection.request(method, path, headers=headers)
        return connection.getresponse().status


@pytest.mark.parametrize(
    "path",
    [
        *("/api/studies/{}", "//api/studies/{}", "///api/studies/{}", "/api//studies/{}", "/api/studies/{}/"),
        *("/API/studies/{}", "/%61pi/studies/{}", "/api%2fstudies/{}", "/./api/studies/{}", "/api/./studies/{}"),
        *("/dashboard/../api/studies/{}", "/static/../api/studies/{}", "/api/%2e%2e/api/studies/{}", "/api"),
        *("/dashboard//api/studies/{}", "/healthz/../api/studies/{}", "/api/studies/{};x", "/api\\studies\\{}"),
    ],
)
def test_no_other_spelling_gets_past_the_door(
    client: httpx.Client, key: Callable[..., Headers], study: int, path: str
) -> None:
    looker, admin = key("dashboard"), key("admin")
    for method in ("GET", "HEAD", "DELETE", "PUT", "POST"):
        assert raw_status(client, method, path.format(study), {}) in (401, 404)
    for method in ("DELETE", "PUT", "POST"):
        assert raw_status(client, method, path.format(study), looker) in (403, 404)
    assert names(client, admin) == ["thermowell-test"]


def test_its_page_finds_its_script(client: httpx.Client) -> None:
    page = client.get("/dashboard", follow_redirects=True)
    assert (page.status_code, page.url.path) == (200, "/dashboard")
    scripts = re.findall(r'src="([^"]+)"', page.text)
    assert scripts
    for script in scripts:
        found = client.get(script)
        assert (found.status_code, "javascript" in found.headers["content-type"]) == (200, True)


def trial(value: float | None = None, state: TrialState = TrialState.COMPLETE, **params: float) -> FrozenTrial:
    distributions = {name: optuna.distributions.FloatDistribution(1, 40) for name in params}
    return optuna.trial.create_trial(state=state, value=value, params=params, distributions=distributions)


ENDED: dict[str, list[FrozenTrial]] = {
    "none": [],
    "nothing to search": [trial(0.5), trial(0.6), trial(0.7)],
    "all failed": [trial(state=TrialState.FAIL, temperature=4)] * 3,
    "all stopped early": [trial(state=TrialState.PRUNED, temperature=4)] * 3,
    "one": [trial(0.5, temperature=4)],
    "all equal": [trial(0.5, temperature=number) for number in range(1, 7)],
    "infinite": [trial(math.inf, temperature=1), trial(0.5, temperature=2), trial(-math.inf, temperature=3)],
    "all infinite": [trial(math.inf, temperature=number) for number in range(1, 5)],
    "huge": [trial(1e308 * (-1) ** number, temperature=number) for number in range(1, 5)],
    "under way": [trial(state=TrialState.RUNNING, temperature=4), trial(state=TrialState.WAITING)],
    "some without": [trial(0.5), trial(0.6, temperature=2), trial(0.7, temperature=3)],
}
PLOTS = ("contour", "slice", "parallel_coordinate", "rank", "edf", "timeline", "pareto_front", "unknown")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", ENDED)
def test_no_study_makes_the_dashboard_fail(client: httpx.Client, db: Database, case: str) -> None:
    storage = optuna_storage(db)
    made = optuna.create_study(study_name=case, storage=storage, direction="maximize")
    made.add_trials(ENDED[case])
    close_storage(storage)
    at = f"/api/studies/{made._study_id}"
    assert len(client.get(at).raise_for_status().json()["trials"]) == len(ENDED[case])
    importances = client.get(f"{at}/param_importances").raise_for_status().json()["param_importances"]
    assert len(importances) == 1
    if case in ("none", "nothing to search"):
        assert importances == [[]]
    for plot in PLOTS:
        assert client.get(f"{at}/plot/{plot}").status_code in (200, 404, 422)
    assert refused(client.get(f"{at}?after=x"), 422, "request-invalid")["errors"][0]["path"] == "query.after"
    assert client.get(f"/csv/{made._study_id}").status_code == 200


def test_what_the_dashboard_does_not_have_is_not_found(client: httpx.Client, study: int) -> None:
    paths = [
        "/api/studies/99/plot/slice",
        "/artifacts/99/abc",
        f"/artifacts/{study}/999/abc",
        f"/api/studies/{'9' * 30}/plot/edf",
    ]
    for path in paths:
        refused(client.get(path), 404, "not-found")
    assert client.get("/api/studies/99").status_code == 404
    assert client.get("/csv/99").status_code == 404
    refused(client.post("/api/trials/999/tell", json={"state": "Fail"}), 404, "not-found")
