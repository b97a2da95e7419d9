"""Every route, asked in every way: by HEAD as by GET, by methods that it has not, with headers that nobody expects."""

from __future__ import annotations

import http.client
import itertools
import random
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute
from fastapi.sse import EventSourceResponse

from search.storage.db import Database
from service.app import ROOMS, create_app
from service.routes import lookup, openapi
from service.routes.methods import OtherMethods
from service.settings import Settings
from tests.service.problems import refused
from tests.service.server_fixtures import Jobs, serving

MakeKey = Callable[..., dict[str, str]]
ROUTERS: list[APIRouter] = [*(room.router for room in ROOMS), lookup.open_router, openapi.router]
ROUTES = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]
FILLED = {
    "trials/{number}": "trials/0", "{name}": "student.safetensors", "{picture}": "response", "{slug}": "not-found",
    "{study_id}": "0" * 16, "{key_id}": "0" * 8, "factors/{number}": "factors/0",
}  # fmt: skip
BESIDE = [
    *("/openapi.json", "/assets/pages.css", "/docs/assets/swagger-ui.css", "/assets/nothing"),
    *("/dashboard", "/static/bundle.js", "/favicon.ico", "/api/studies", "/api/meta"),
]
QUERY = {"/v1/jobs/{job_id}/export": "?format=torchdistill", "/v1/advice": "?data=digits"}
VARIES = ("date", "x-request-id", "content-length")


def path_of(template: str, jobs_there: Jobs) -> str:
    path = template.replace("{job_id}", jobs_there.completed.id)
    for name, value in FILLED.items():
        path = path.replace(name, value)
    assert "{" not in path, path
    return path + QUERY.get(template, "")


def is_read(route: APIRoute) -> bool:
    return "GET" in route.methods and route.response_class is not EventSourceResponse


def test_every_router_of_the_application_is_among_them(settings: Settings) -> None:
    app = create_app(settings)
    [others] = [route for route in app.router.routes if isinstance(route, OtherMethods)]
    app.state.db.close()
    assert {route.path for route in others._routes} == {route.path for route in ROUTES}
    assert set(app.openapi()["paths"]) <= {route.path for route in ROUTES}


@pytest.mark.parametrize("path", [*sorted({route.path for route in ROUTES if is_read(route)}), *BESIDE])
def test_head_is_get_without_a_body(reader: httpx.Client, jobs: Jobs, path: str) -> None:
    asked = path_of(path, jobs)
    for headers in ({}, {"Accept": "text/html"}):
        got, head = reader.get(asked, headers=headers), reader.head(asked, headers=headers)
        assert head.status_code == got.status_code
        assert head.content == b""
        left = {name: value for name, value in got.headers.items() if name not in VARIES}
        assert {name: value for name, value in head.headers.items() if name not in VARIES} == left
        if "content-length" in got.headers:  # what tells the time, or counts requests, is a little longer or shorter
            difference = int(head.headers["content-length"]) - int(got.headers["content-length"])
            assert abs(difference) <= (2000 if path == "/metrics" else 8)


def test_head_needs_the_key_that_get_needs(settings: Settings, key: MakeKey, jobs: Jobs) -> None:
    key("admin")
    looker = key("read")
    with serving(settings) as url, httpx.Client(base_url=url, timeout=20) as asking:
        for route in ROUTES:
            if is_read(route):
                path = path_of(route.path, jobs)
                assert asking.head(path).status_code == asking.get(path).status_code, path
                mine = asking.head(path, headers=looker).status_code
                assert mine == asking.get(path, headers=looker).status_code, path


def test_streams_have_no_head(reader: httpx.Client, jobs: Jobs) -> None:
    streams = [route for route in ROUTES if route.response_class is EventSourceResponse]
    assert len(streams) == 4
    for route in streams:
        answer = reader.head(path_of(route.path, jobs))
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET")


@pytest.mark.parametrize("path", sorted({route.path for route in ROUTES}))
def test_405_names_all_methods_of_a_path(reader: httpx.Client, jobs: Jobs, path: str) -> None:
    allowed = set().union(*(route.methods for route in ROUTES if route.path == path))
    if any(is_read(route) for route in ROUTES if route.path == path):
        allowed.add("HEAD")
    for method in {"PUT", "PATCH", "OPTIONS", "DELETE", "INVENTED"} - allowed:
        answer = reader.request(method, path_of(path, jobs))
        # /jobs/new is also a name that /jobs/{job_id} takes, and so on
        assert allowed <= set(answer.headers["allow"].split(", "))
        refused(answer, 405, "method-not-allowed")
    for headers in ({}, {"Accept": "text/html"}):
        answer = reader.request("PATCH", path_of(path, jobs), headers=headers)
        assert (answer.status_code, bool(answer.headers["allow"])) == (405, True)


@pytest.mark.parametrize("path", sorted({r.path for r in ROUTES if r.methods & {"POST", "PUT", "DELETE"}}))
def test_a_body_comes_as_it_is(reader: httpx.Client, jobs: Jobs, path: str) -> None:
    """Whatever it was encoded by: nothing is inflated, so that nothing small can become something huge."""
    for route in ROUTES:
        for method in route.methods & {"POST", "PUT", "DELETE"} if route.path == path else ():
            asked = path_of(path, jobs)
            for encoding in ("gzip", "br", "zstd", "identity, gzip", "GZIP", "x"):
                answer = reader.request(method, asked, content=b"{}", headers={"Content-Encoding": encoding})
                assert "Content-Encoding" in refused(answer, 415, "media-type-unsupported")["detail"]
                assert answer.headers["accept-encoding"] == "identity"
    chunked = reader.request("POST", path_of(path, jobs), content=iter([b"{}"]), headers={"Content-Encoding": "gzip"})
    assert chunked.status_code == 415


def test_no_encoding_is_none(reader: httpx.Client) -> None:
    for headers in ({"Content-Encoding": "identity"}, {"Content-Encoding": ""}, {"Content-Encoding": "Identity"}):
        answer = reader.post("/v1/spec/validate", json={}, headers=headers)
        assert answer.status_code == 200
    assert reader.get("/v1/jobs", headers={"Content-Encoding": "gzip"}).status_code == 200  # there is no body


def test_every_reference_of_the_description_leads_somewhere(reader: httpx.Client) -> None:
    document = reader.get("/openapi.json").json()

    def references(part: Any) -> Iterator[str]:
        if isinstance(part, dict):
            yield from (one for name, one in part.items() if name == "$ref" and isinstance(one, str))
            for one in part.values():
                yield from references(one)
        elif isinstance(part, list):
            for one in part:
                yield from references(one)

    found = set(references(document))
    assert len(found) > 20
    for reference in found:
        part = document
        for name in reference.removeprefix("#/").split("/"):
            assert name in part, reference
            part = part[name]


# Nobody sends these on purpose, and none of them is a reason to fail.
ODD_HEADERS = [
    *(("Accept", one) for one in ("", "*/*", "text/html;q=bad", ",,;", "application/xml", "text/html, image/*;q=0")),
    *(("Accept-Encoding", one) for one in ("", "gzip", "br;q=1, *;q=0", "identity;q=0")),
    *(("Range", one) for one in ("bytes=0-3", "bytes=5-1", "bytes=-", "bytes=99999999-", "lines=1", "bytes=0-1,3-4")),
    *(("If-None-Match", one) for one in ("*", '"x"', "x", 'W/"x", "y"', '"')),
    *(("If-Modified-Since", one) for one in ("yesterday", "Thu, 01 Jan 1970 00:00:00 GMT", "Thu, 99 Foo 9999")),
    *(("If-Range", one) for one in ('"x"', "yesterday")),
    *(("Cookie", one) for one in ("", "thermowell_session=", "=;=;", 'thermowell_session="\\', "a=b; a=c")),
    *(("Content-Type", one) for one in ("", "x", "multipart/form-data", "application/json; charset=utf-99")),
    *(("Content-Length", one) for one in ("0",)),
    *(("Host", one) for one in ("localhost", "127.0.0.1:1", "[::1]", "[::1")),
    *(("Last-Event-ID", one) for one in ("-1", "x", "99999999999999999999")),
    *(("Referer", "\xff"), ("User-Agent", ""), ("Accept-Language", "\xe9"), ("Forwarded", "for=x;;"), ("Via", "1.1 x")),
    *(("X-Request-ID", one) for one in ("a b", "x" * 2000)), ("traceparent", "00-x-y-z"), ("Sec-Fetch-Mode", "x"),
]  # fmt: skip


def raw_get(url: str, path: str, headers: dict[str, str]) -> int:
    """The status of a request that carries these headers and no other but Host."""
    connection = http.client.HTTPConnection(url.partition("://")[2], timeout=20)
    connection.putrequest("GET", path, skip_host="Host" in headers, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name, value.encode("latin-1"))
    connection.endheaders()
    with closing(connection), connection.getresponse() as answer:
        return answer.status


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # bottle leaves parts of files open
def test_no_headers_make_a_route_fail(settings: Settings, db: Database, jobs: Jobs) -> None:
    """Each route without any header, and with odd ones: one at a time for some, in threes for all."""
    draw = random.Random(20261129)
    paths = sorted({path_of(route.path, jobs) for route in ROUTES if "GET" in route.methods})
    brief = settings.model_copy(update={"stream_seconds": 0.01})
    with serving(brief) as url:
        everywhere = [
            *paths,
            *BESIDE,
            "/",
            "/static/nothing",
            "/api/studies/99",
            "/artifacts/1/2",
            "/artifacts/x",
            "/csv/7",
            "/api/nothing",
        ]
        asked: list[tuple[str, dict[str, str]]] = [(path, {}) for path in everywhere]
        favourites = ("/favicon.ico", "/static/bundle.js", "/assets/pages.css", paths[-1])
        asked += [(path, dict([one])) for path, one in itertools.product(favourites, ODD_HEADERS)]
        asked += [(path, dict(draw.sample(ODD_HEADERS, 3))) for path in everywhere]
        for path, headers in asked:
            status = raw_get(url, path, headers)
            assert status < 500, f"{status} {path} {headers}"
