"""Below a prefix of a shared host, behind a real nginx: nothing that the service names leads anywhere else."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest
from pydantic import ValidationError

from search.storage.db import Database
from service import prefix
from service.app import create_app
from service.routes.dashboard import PATHS
from service.settings import Settings
from tests import nginx
from tests.nginx import PREFIX
from tests.service import server_fixtures
from tests.service.server_fixtures import Jobs, serving
from thermowell.errors import Refused
from thermowell.sync.client import Client

HTML = {"Accept": "text/html"}
WAYS = {  # how the service learns of its prefix, and whether nginx takes it away
    "header": ({"trusted_proxies": (ipaddress.ip_network("127.0.0.1"),)}, True, True),
    "setting": ({"root_path": PREFIX}, True, False),
    "setting, not stripped": ({"root_path": PREFIX}, False, False),
}
MakeKey = Callable[..., dict[str, str]]


@pytest.fixture(params=["header", *(pytest.param(way, marks=pytest.mark.slow) for way in list(WAYS)[1:])])
def below(request: pytest.FixtureRequest, settings: Settings, tmp_path: Path) -> Iterator[str]:
    """The address of a service behind nginx."""
    changes, strip, tell = WAYS[request.param]
    with (
        serving(settings.model_copy(update=changes)) as url,
        nginx.before(url, tmp_path / "nginx", strip=strip, tell=tell) as address,
    ):
        yield address


@pytest.fixture
def secret(key: MakeKey) -> str:
    return key("admin")["Authorization"].partition(" ")[2]


class Addresses(HTMLParser):
    """All that a page may make a browser ask for: (address, whether a form sends something there)."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, bool]] = []
        self.feed(page)
        scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
        self.found += [(one, False) for text in scripts for one in re.findall(r"[\"'](/[a-z][^\"'\s]*)[\"']", text)]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        for name in ("href", "src", "data-changes", "data-home"):
            if given.get(name):
                self.found.append((given[name] or "", False))
        if tag == "form":
            self.found.append((given.get("action") or "", given.get("method") == "post"))


def crawl(http: httpx.Client, base: str, begin: str) -> dict[str, int]:
    """Every address that pages, and pages that they lead to, name, and the status it is answered with."""
    wanted, statuses = [(begin, False)], {}
    while wanted:
        address, sent = wanted.pop()
        assert address.startswith(base + "/"), f"outside: {address}"
        if address in statuses:
            continue
        with http.stream("GET", address, headers=HTML, follow_redirects=False) as answer:
            statuses[address] = answer.status_code
            if answer.headers.get("content-type", "").startswith("text/event-stream"):
                continue  # it is there; what it says is said elsewhere
            answer.read()
        if "location" in answer.headers:
            wanted.append((urljoin(address, answer.headers["location"]), False))
        if sent:
            assert answer.status_code in (200, 405), f"no form leads to {address}"
            assert answer.status_code == 200 or "POST" in answer.headers["allow"]
        else:
            assert answer.status_code in (200, 303, 307, 308), f"{answer.status_code} {address}"
        if answer.headers.get("content-type", "").startswith("text/html"):
            wanted += [(urljoin(address, one).partition("#")[0], form) for one, form in Addresses(answer.text).found]
    return statuses


def test_no_page_leads_outside_or_nowhere(below: str, secret: str, jobs: Jobs) -> None:
    with httpx.Client(timeout=20) as http:
        signin = http.get(f"{below}/", headers=HTML, follow_redirects=True)
        assert signin.url.path == f"{PREFIX}/signin"
        assert signin.url.params["next"] in (f"{PREFIX}/", f"{PREFIX}/jobs")
        crawl(http, below, f"{below}/signin")
        sent = {"key": secret, "next": signin.url.params["next"]}
        entered = http.post(f"{below}/signin", data=sent, headers={**HTML, "Origin": below.removesuffix(PREFIX)})
        assert (entered.status_code, entered.headers["location"]) == (303, sent["next"])
        [cookie] = http.cookies.jar
        assert cookie.path == PREFIX
        statuses = crawl(http, below, f"{below}/")
        page = http.get(f"{below}/jobs/{jobs.queued.id}").text
        token = re.search(r'name="form_token" value="([^"]*)"', page)
        assert token
        fields, origin = {"form_token": token[1]}, {"Origin": below.removesuffix(PREFIX)}
        for path, then in (
            (f"/jobs/{jobs.queued.id}/pause", f"/jobs/{jobs.queued.id}?done=pause"),
            (f"/jobs/{jobs.cancelled.id}/delete", "/jobs?done=delete"),
            ("/signout", "/signin"),
        ):
            answer = http.post(below + path, data=fields, headers=origin)
            assert (answer.status_code, answer.headers["location"]) == (303, PREFIX + then)
        assert not list(http.cookies.jar)
    seen = {address.removeprefix(below) for address in statuses}
    report = f"/v1/jobs/{jobs.completed.id}/report"
    assert {"/jobs", "/jobs/new", "/docs", "/openapi.json", "/dashboard", report, f"{report}/response.svg"} <= seen
    assert {"/jobs/changes", f"/jobs/{jobs.running.id}/stop", f"/jobs/{jobs.running.id}/changes"} <= seen
    assert len([one for one in seen if one.startswith(("/assets/", "/docs/assets/"))]) > 4


def test_every_address_in_a_document_begins_with_the_prefix(below: str, secret: str, jobs: Jobs) -> None:
    with httpx.Client(timeout=20, headers={"Authorization": f"Bearer {secret}"}) as http:
        made = http.post(f"{below}/v1/jobs", json=server_fixtures.document())
        assert (made.status_code, made.headers["location"]) == (201, f"{PREFIX}/v1/jobs/{made.json()['id']}")
        assert http.get(urljoin(below, made.headers["location"])).status_code == 200
        done = http.get(f"{below}/v1/jobs/{jobs.completed.id}").json()
        for link in done["links"].values():
            with http.stream("GET", urljoin(below, link)) as answer:
                assert answer.status_code == 200, link
        assert done["links"]["self"] == f"{PREFIX}/v1/jobs/{jobs.completed.id}"
        problem = http.get(f"{below}/v1/jobs/{'0' * 16}").json()
        assert (problem["type"], problem["instance"]) == (
            f"{PREFIX}/problems/not-found",
            f"{PREFIX}/v1/jobs/{'0' * 16}",
        )
        assert http.get(urljoin(below, problem["type"])).json()["type"] == problem["type"]
        nothing = http.get(f"{below}/v1/nothing").json()
        assert nothing["type"] == f"{PREFIX}/problems/not-found"
        assert http.get(f"{below}/openapi.json").json()["servers"] == [{"url": PREFIX}]
        page = http.get(f"{below}/dashboard")
        assert page.status_code == 200
        assert "X-Forwarded-Prefix" in page.text
        assert http.get(f"{below}/api/studies").json() == {"study_summaries": []}


def test_the_client_takes_an_address_with_a_path(below: str, secret: str, jobs: Jobs) -> None:
    for address in (below, f"{below}/"):
        with Client(address, secret) as client:
            job = client.submit(json.dumps(server_fixtures.document()))
            assert client.job(job).id == job.id
            events = client.events(job)
            assert next(events).kind == "submitted"
            assert client.cancel(job).state == "cancelled"
            assert [event.kind for event in events][-1] == "state"
            assert "<svg" in client.plot(jobs.completed.id, "response").svg
            with pytest.raises(Refused) as refused:
                client.job("0" * 16)
            assert refused.value.slug == "not-found"


def test_signing_in_leads_nowhere_beside_the_prefix(below: str, secret: str) -> None:
    beside = [
        "/jobs",
        "/tools/other",
        f"{PREFIX}x/jobs",
        f"{PREFIX}/../other",
        f"{PREFIX}/%2e%2e/other",
        "//evil.example",
    ]
    for next in beside:
        answer = httpx.post(f"{below}/signin", data={"key": secret, "next": next})
        assert (answer.status_code, answer.headers["location"]) == (303, f"{PREFIX}/jobs"), next
    answer = httpx.post(f"{below}/signin", data={"key": secret, "next": f"{PREFIX}/jobs/new?like=x"})
    assert answer.headers["location"] == f"{PREFIX}/jobs/new?like=x"


def test_only_a_trusted_proxy_names_a_prefix(settings: Settings, db: Database) -> None:
    with serving(settings) as url:
        answer = httpx.get(f"{url}/", headers={"X-Forwarded-Prefix": "/evil"})
        assert answer.headers["location"] == "/jobs"
    trusting = settings.model_copy(
        update={"trusted_proxies": (ipaddress.ip_network("127.0.0.1"),), "root_path": "/own"}
    )
    with serving(trusting) as url:
        assert httpx.get(f"{url}/").headers["location"] == "/own/jobs"
        assert httpx.get(f"{url}/own").headers["location"] == "/own/jobs"
        assert httpx.get(f"{url}/own/").headers["location"] == "/own/jobs"
        assert httpx.get(f"{url}/ownjobs").status_code == 404
        for said, leads in (("/one", "/one/jobs"), ("/one/", "/one/jobs"), ("", "/jobs"), ("/evil, /one", "/one/jobs")):
            assert httpx.get(f"{url}/", headers={"X-Forwarded-Prefix": said}).headers["location"] == leads
        for wrong in (
            "evil",
            "//evil.example",
            "/a/../b",
            "/a?b",
            "https://evil.example",
            "/a b",
            '/"><script>',
            "/v1",
        ):
            answer = httpx.get(f"{url}/healthz", headers={"X-Forwarded-Prefix": wrong})
            assert answer.status_code == 422
            assert answer.json()["detail"].startswith("X-Forwarded-Prefix: ")


@pytest.mark.parametrize(
    "wrong", ["thermowell", "//x", "/x/../y", "/jobs", "/v1/x", "/a b", "/a?b", "/a#b", "/" + "x" * 300]
)
def test_a_prefix_that_makes_no_sense_is_refused(monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    monkeypatch.setenv("THERMOWELL_ROOT_PATH", wrong)
    with pytest.raises(ValidationError, match="/thermowell"):
        Settings()


@pytest.mark.parametrize(
    ("given", "taken"), [("", ""), ("/", ""), ("/a", "/a"), ("/a/", "/a"), ("/tools/a-b_1.c", "/tools/a-b_1.c")]
)
def test_prefixes_are_written_with_or_without_a_slash_at_the_end(given: str, taken: str) -> None:
    assert Settings(root_path=given).root_path == taken


def test_every_path_of_the_service_is_known_as_its_own(settings: Settings) -> None:
    """So that no prefix can be mistaken for one of them."""
    app = create_app(settings)
    paths = {*app.openapi()["paths"], "/docs", "/openapi.json", "/assets", "/signin", "/signout", "/jobs"}
    app.state.db.close()

    first = {path.split("/")[1] for path in (*paths, *PATHS)} - {""}
    assert first == prefix.OWN_PATHS
