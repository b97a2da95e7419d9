"""The dashboard's door: whom it lets look, whom it lets change, and whether the dashboard works behind it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import httpx
import optuna
import pytest

from search import public
from search.public import Database
from tests.service.problems import refused

Headers = dict[str, str]


@pytest.fixture
def study(db: Database) -> Iterator[int]:
    """The id of a study with one trial."""
    storage = public.optuna_storage(db)
    made = optuna.create_study(study_name="thermowell-test", storage=storage)
    made.tell(made.ask({"temperature": optuna.distributions.FloatDistribution(1, 40)}), 0.9)
    yield made._study_id
    public.close_storage(storage)


def names(client: httpx.Client, headers: Headers) -> list[str]:
    summaries = client.get("/api/studies", headers=headers).json()["study_summaries"]
    return [summary["study_name"] for summary in summaries]


def test_it_shows_studies_to_who_may_look(client: httpx.Client, key: Callable[..., Headers], study: int) -> None:
    looker = key("dashboard")
    assert names(client, looker) == ["thermowell-test"]
    assert client.get(f"/api/studies/{study}", headers=looker).json()["trials"][0]["values"] == [0.9]


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


@pytest.mark.parametrize(
    "path", ["//api/studies", "/api//studies", "/API/studies", "/dashboard/../api/studies/1", "/api"]
)
def test_no_other_spelling_gets_past_the_door(client: httpx.Client, key: Callable[..., Headers], path: str) -> None:
    key("admin")
    assert client.delete(path).status_code in (401, 404)
    assert client.get(path).status_code in (401, 404)


def test_its_page_finds_its_script(client: httpx.Client) -> None:
    page = client.get("/dashboard", follow_redirects=True)
    assert (page.status_code, page.url.path) == (200, "/dashboard")
    scripts = re.findall(r'src="([^"]+)"', page.text)
    assert scripts
    for script in scripts:
        found = client.get(script)
        assert (found.status_code, "javascript" in found.headers["content-type"]) == (200, True)
