"""Requests that nobody with good intentions sends: malformed, hostile, huge and racing.

Each is refused with the problem that the list names, and afterwards nothing is there that was not there before.
"""

from __future__ import annotations

import json
import socket
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from search.records import Scope
from tests.service.problems import refused
from tests.service.server_fixtures import Jobs, document

JSON, YAML = {"Content-Type": "application/json"}, {"Content-Type": "application/yaml"}
SUBMIT = "/v1/jobs"
LIST = ("GET", "/v1/jobs")
KEYS = ("POST", "/v1/keys", JSON)
FOREIGN = {"Origin": "https://evil.example"}
BILLION_LAUGHS = b"a: &a [x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a]\nc: [*b, *b, *b, *b]\n"


def spec(**changes: Any) -> bytes:
    return json.dumps(document(**changes)).encode()


def dataset(**changes: Any) -> bytes:
    return spec(dataset={"name": "npz"} | changes)


def teacher(**changes: Any) -> bytes:
    return spec(teacher={"source": "weights", "model": {"name": "mlp"}} | changes)


def student(**changes: Any) -> bytes:
    return spec(student={"name": "mlp"} | changes)


# What a spec can be, other than a spec: all are posted to the submit route.
SPECS: Mapping[str, tuple[Mapping[str, str], bytes, int, str]] = {
    # malformed
    "nothing": (JSON, b"", 422, "spec-invalid"),
    "nothing as YAML": (YAML, b"", 422, "spec-invalid"),
    "a NUL": (JSON, b"\x00", 422, "spec-invalid"),
    "a NUL in YAML": (YAML, b"name: a\x00b\n", 422, "spec-invalid"),
    "no UTF-8": (JSON, b'{"name": "\xff\xfe"}', 422, "spec-invalid"),
    "no UTF-8 in YAML": (YAML, b"name: \xff\xfe\n", 422, "spec-invalid"),
    "UTF-16": (JSON, json.dumps(document()).encode("utf-16"), 422, "spec-invalid"),
    "half a document": (JSON, spec()[:-10], 422, "spec-invalid"),
    "two documents": (JSON, spec() + spec(), 422, "spec-invalid"),
    "two documents in YAML": (YAML, b"name: a\n---\nname: b\n", 422, "spec-invalid"),
    "a list": (JSON, b"[]", 422, "spec-invalid"),
    "a number": (JSON, b"17", 422, "spec-invalid"),
    "null": (JSON, b"null", 422, "spec-invalid"),
    "a word": (YAML, b"digits", 422, "spec-invalid"),
    "NaN": (JSON, spec(seed=0).replace(b'"seed": 0', b'"seed": NaN'), 422, "spec-invalid"),
    "infinity": (JSON, spec(seed=0).replace(b'"seed": 0', b'"seed": Infinity'), 422, "spec-invalid"),
    "a number that overflows": (JSON, spec(training={"epochs": 2}).replace(b"0.05", b"1e999"), 422, "spec-invalid"),
    "an integer of 5,000 digits": (JSON, b'{"seed": ' + b"9" * 5000 + b"}", 422, "spec-invalid"),
    "the same in YAML": (YAML, b"seed: " + b"9" * 5000 + b"\n", 422, "spec-invalid"),
    "a key twice": (JSON, b'{"name": "a", "name": "b"}', 422, "spec-invalid"),
    "a key twice in YAML": (YAML, b"name: a\nname: b\n", 422, "spec-invalid"),
    "a tab for a space in YAML": (YAML, b"dataset:\n\tname: digits\n", 422, "spec-invalid"),
    "a key that is a list": (YAML, b"? [a, b]\n: c\n", 422, "spec-invalid"),
    "an unknown field": (JSON, spec(surprise=1), 422, "spec-invalid"),
    "a field of Python's": (JSON, spec(__class__="x"), 422, "spec-invalid"),
    "a field of JavaScript's": (JSON, spec(__proto__={"admin": True}), 422, "spec-invalid"),
    "a version to come": (JSON, spec(schema_version=2), 422, "spec-invalid"),
    "a version that is a word": (JSON, spec(schema_version="1"), 422, "spec-invalid"),
    # hostile: code, aliases, tags, paths, weights
    "a YAML bomb": (YAML, BILLION_LAUGHS, 422, "spec-invalid"),
    "an alias": (YAML, b"name: &n digits\ndataset: {name: *n}\n", 422, "spec-invalid"),
    "an alias of itself": (YAML, b"a: &a [*a]\n", 422, "spec-invalid"),
    "a merge key": (YAML, b"<<: {name: a}\nname: b\n", 422, "spec-invalid"),
    "a tag that runs code": (YAML, b"!!python/object/apply:os.system ['id']\n", 422, "spec-invalid"),
    "a tag in a field": (YAML, b"name: !!python/name:os.system\n", 422, "spec-invalid"),
    "a tag of one's own": (YAML, b"name: !evil a\n", 422, "spec-invalid"),
    "binary": (YAML, b"name: !!binary aGVsbG8=\n", 422, "spec-invalid"),
    "a path upwards": (JSON, dataset(path="../secret.npz"), 422, "spec-invalid"),
    "a path upwards in the middle": (JSON, dataset(path="a/../../secret.npz"), 422, "spec-invalid"),
    "a path upwards, encoded": (JSON, dataset(path="%2e%2e/secret.npz"), 422, "spec-invalid"),
    "a path from the root": (JSON, dataset(path="/etc/passwd"), 422, "spec-invalid"),
    "a path from home": (JSON, dataset(path="~/secret.npz"), 422, "spec-invalid"),
    "a path with a NUL": (JSON, dataset(path="a\x00.npz"), 422, "spec-invalid"),
    "a path with a newline": (JSON, dataset(path="a.npz\n"), 422, "spec-invalid"),
    "a path with backslashes": (JSON, dataset(path="..\\secret.npz"), 422, "spec-invalid"),
    "a path to a drive": (JSON, dataset(path="C:\\secret.npz"), 422, "spec-invalid"),
    "a path that is hidden": (JSON, dataset(path=".ssh/id_rsa"), 422, "spec-invalid"),
    "a path with an empty part": (JSON, dataset(path="a//b.npz"), 422, "spec-invalid"),
    "a path of other letters": (JSON, dataset(path="a\u2215b.npz"), 422, "spec-invalid"),
    "an address for a path": (JSON, dataset(path="http://169.254.169.254/"), 422, "spec-invalid"),
    "no path": (JSON, dataset(), 422, "spec-invalid"),
    "a path where none belongs": (JSON, spec(dataset={"name": "digits", "path": "a.npz"}), 422, "spec-invalid"),
    "a data set that is a path": (JSON, spec(dataset={"name": "../../digits"}), 422, "spec-invalid"),
    "a data set that is a module": (JSON, spec(dataset={"name": "os.system"}), 422, "spec-invalid"),
    "a model that is a module": (JSON, spec(student={"name": "torch.hub.load"}), 422, "spec-invalid"),
    "a model that is an address": (JSON, spec(student={"name": "https://example.org/m"}), 422, "spec-invalid"),
    "a model that is Python's": (JSON, spec(student={"name": "__import__('os')"}), 422, "spec-invalid"),
    "an argument of another model": (JSON, student(arguments={"weights": "x"}), 422, "spec-invalid"),
    "an argument that is a list": (JSON, student(arguments={"width": [1]}), 422, "spec-invalid"),
    "a teacher from a path": (JSON, teacher(artifact="../student.pt"), 422, "spec-invalid"),
    "a teacher from an address": (JSON, teacher(artifact="https://example.org/w.pt"), 422, "spec-invalid"),
    "a teacher of upper case": (JSON, teacher(artifact="A" * 64), 422, "spec-invalid"),
    "a teacher without weights": (JSON, teacher(), 422, "spec-invalid"),
    "a template in a name": (JSON, spec(name="{{7*7}}"), 422, "spec-invalid"),
    "a script in a name": (JSON, spec(name="<script>alert(1)</script>"), 422, "spec-invalid"),
    "SQL in a name": (JSON, spec(name="'; DROP TABLE tw_jobs; --"), 422, "spec-invalid"),
    "a format in a name": (JSON, spec(name="%s%n{0.__class__}"), 422, "spec-invalid"),
    "a newline in a name": (JSON, spec(name="a\nb"), 422, "spec-invalid"),
    "a newline at a name's end": (JSON, spec(name="a\n"), 422, "spec-invalid"),
    "an escape in a name": (JSON, spec(name="\x1b[31mred"), 422, "spec-invalid"),
    "an empty name": (JSON, spec(name=""), 422, "spec-invalid"),
    "a surrogate in a name": (JSON, b'{"name": "\\ud800"}', 422, "spec-invalid"),
    "a surrogate in a label": (JSON, spec(labels={"team": "x"}).replace(b'"x"', b'"\\ud800"'), 422, "spec-invalid"),
    "an escape in a label": (JSON, spec(labels={"team": "\x1b[2J"}), 422, "spec-invalid"),
    "a label's key with a NUL": (JSON, spec(labels={"a\x00": "b"}), 422, "spec-invalid"),
    # too much of it
    "more bytes than a spec may have": (YAML, b"name: a\n" + b"# pad\n" * 50_000, 422, "spec-invalid"),
    "a name of 101 letters": (JSON, spec(name="a" * 101), 422, "spec-invalid"),
    "a path of 100,000 letters": (JSON, dataset(path="a/" * 50_000), 422, "spec-invalid"),
    "33 labels": (JSON, spec(labels={f"l{i}": "x" for i in range(33)}), 422, "spec-invalid"),
    "a label of 201 letters": (JSON, spec(labels={"l": "x" * 201}), 422, "spec-invalid"),
    "lists in lists": (JSON, b"[" * 100_000, 422, "spec-invalid"),
    "lists in lists, closed": (JSON, b"[" * 50_000 + b"]" * 50_000, 422, "spec-invalid"),
    "lists in lists in YAML": (YAML, b"a: " + b"[" * 50_000, 422, "spec-invalid"),
    "groups in groups in YAML": (YAML, b"a: " + b"{a: " * 10_000, 422, "spec-invalid"),
    "too many trials": (JSON, spec(budget={"trials": 10**6}), 422, "spec-invalid"),
    "trials without end": (JSON, spec(budget={"trials": 10**30}), 422, "spec-invalid"),
    "no trial": (JSON, spec(budget={"trials": 0}), 422, "spec-invalid"),
    "fewer trials than none": (JSON, spec(budget={"trials": -1}), 422, "spec-invalid"),
    "half a trial": (JSON, spec(budget={"trials": 0.5}), 422, "spec-invalid"),
    "trials that are a word": (JSON, spec(budget={"trials": "many"}), 422, "spec-invalid"),
    "no time": (JSON, spec(budget={"trials": 4, "seconds": 0}), 422, "spec-invalid"),
    "epochs without end": (JSON, spec(training={"epochs": 10**9}), 422, "spec-invalid"),
    "a batch without end": (JSON, spec(training={"epochs": 2, "batch_size": 10**9}), 422, "spec-invalid"),
    "a student without end": (JSON, student(arguments={"width": 10**9}), 422, "spec-invalid"),
    "images without end": (JSON, spec(dataset={"name": "digits", "image_size": 10**6}), 422, "spec-invalid"),
    "views without end": (JSON, spec(teacher={**document()["teacher"], "views": 10**6}), 422, "spec-invalid"),
    "a seed beyond": (JSON, spec(seed=2**63), 422, "spec-invalid"),
    "a seed below": (JSON, spec(seed=-1), 422, "spec-invalid"),
    "a temperature of zero": (JSON, spec(space={"temperature": 0}), 422, "spec-invalid"),
    "a temperature below zero": (JSON, spec(space={"temperature": {"low": -1, "high": 4}}), 422, "spec-invalid"),
    "a temperature without end": (JSON, spec(space={"temperature": 1e300}), 422, "spec-invalid"),
    "a range upside down": (JSON, spec(space={"temperature": {"low": 4, "high": 1}}), 422, "spec-invalid"),
    "a range of nothing": (JSON, spec(space={"temperature": {"low": 4, "high": 4}}), 422, "spec-invalid"),
    "no optimizer": (JSON, spec(space={"optimizer": {}}), 422, "spec-invalid"),
    "an optimizer of its own": (JSON, spec(space={"optimizer": {"eval": {}}}), 422, "spec-invalid"),
    # said to be something else
    "a form": ({"Content-Type": "application/x-www-form-urlencoded"}, b"name=a", 415, "media-type-unsupported"),
    "plain text": ({"Content-Type": "text/plain"}, spec(), 415, "media-type-unsupported"),
    "no type": ({}, spec(), 415, "media-type-unsupported"),
    "XML": ({"Content-Type": "application/xml"}, b"<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]>", 415,
            "media-type-unsupported"),
    "a pickle": ({"Content-Type": "application/octet-stream"}, b"\x80\x04\x8c\x05posix\x94\x8c\x06system", 415,
                 "media-type-unsupported"),
    "a pickle said to be JSON": (JSON, b"\x80\x04\x8c\x05posix\x94\x8c\x06system", 422, "spec-invalid"),
    "compressed": (JSON | {"Content-Encoding": "gzip"}, b"\x1f\x8b\x08\x00", 415, "media-type-unsupported"),
    "an idempotency key with a space": (JSON | {"Idempotency-Key": "a b"}, spec(), 422, "request-invalid"),
    "an idempotency key of 256 letters": (JSON | {"Idempotency-Key": "a" * 256}, spec(), 422, "request-invalid"),
}  # fmt: skip

STUDIES = ("POST", "/v1/studies", JSON)


def study(**changes: Any) -> bytes:
    return json.dumps({"name": "a", "base": document(), "factors": {"training.epochs": [1, 2]}} | changes).encode()


# Requests of other kinds. {job} is a job that exists.
REQUESTS: Mapping[str, tuple[str, str, Mapping[str, str], bytes, int, str]] = {
    "a job that is a path": ("GET", "/v1/jobs/..%2f..%2fetc%2fpasswd", {}, b"", 404, "not-found"),
    "a job with a NUL": ("GET", "/v1/jobs/%00", {}, b"", 404, "not-found"),
    "a job that is SQL": ("GET", "/v1/jobs/'%20OR%201=1--", {}, b"", 404, "not-found"),
    "a job of 5,000 letters": ("GET", "/v1/jobs/" + "a" * 5000, {}, b"", 404, "not-found"),
    "a job that is no UTF-8": ("GET", "/v1/jobs/%ff%fe", {}, b"", 404, "not-found"),
    "a trial below none": ("GET", "/v1/jobs/{job}/trials/-1", {}, b"", 422, "request-invalid"),
    "a trial beyond": ("GET", "/v1/jobs/{job}/trials/99999999999999999999", {}, b"", 422, "request-invalid"),
    "a trial that is a word": ("GET", "/v1/jobs/{job}/trials/first", {}, b"", 422, "request-invalid"),
    "a trial that is not there": ("GET", "/v1/jobs/{job}/trials/100000", {}, b"", 404, "not-found"),
    "a file upwards": ("GET", "/v1/jobs/{job}/artifacts/..%2fthermowell.db", {}, b"", 404, "not-found"),
    "a file from the root": ("GET", "/v1/jobs/{job}/artifacts/%2fetc%2fpasswd", {}, b"", 404, "not-found"),
    "a file that is hidden": ("GET", "/v1/jobs/{job}/artifacts/.env", {}, b"", 422, "request-invalid"),
    "a file with a NUL": ("GET", "/v1/jobs/{job}/artifacts/a%00.txt", {}, b"", 422, "request-invalid"),
    "a file with a newline": ("GET", "/v1/jobs/{job}/artifacts/a%0aSet-Cookie:x", {}, b"", 422, "request-invalid"),
    "a file that is not there": ("GET", "/v1/jobs/{job}/artifacts/nothing.bin", {}, b"", 404, "not-found"),
    "a file of our pages upwards": ("GET", "/assets/..%2f..%2fapp.py", {}, b"", 404, "not-found"),
    "a picture that is none": ("GET", "/v1/jobs/{job}/report/..%2fx.svg", {}, b"", 404, "not-found"),
    "a format that is none": ("GET", "/v1/jobs/{job}/export?format=pickle", {}, b"", 422, "request-invalid"),
    "a page of none": ("GET", "/v1/jobs?limit=0", {}, b"", 422, "request-invalid"),
    "a page without end": ("GET", "/v1/jobs?limit=100000000", {}, b"", 422, "request-invalid"),
    "a page that is a word": ("GET", "/v1/jobs?limit=all", {}, b"", 422, "request-invalid"),
    "trials without end": ("GET", "/v1/jobs/{job}/trials?limit=1000000", {}, b"", 422, "request-invalid"),
    "an order that is SQL": ("GET", "/v1/jobs/{job}/trials?sort=number;DROP", {}, b"", 422, "request-invalid"),
    "a state that is none": ("GET", "/v1/jobs?state=hacked", {}, b"", 422, "request-invalid"),
    "a cursor made up": ("GET", "/v1/jobs?cursor=AAAA", {}, b"", 422, "cursor-invalid"),
    "a cursor with a quote": ("GET", "/v1/jobs?cursor=';--", {}, b"", 422, "request-invalid"),
    "a cursor without end": ("GET", "/v1/jobs?cursor=" + "a" * 5000, {}, b"", 422, "request-invalid"),
    "a label without a value": ("GET", "/v1/jobs?label=team", {}, b"", 422, "request-invalid"),
    "a name with a NUL": ("GET", "/v1/jobs?name=%00", {}, b"", 422, "request-invalid"),
    "events before the first": ("GET", "/v1/jobs/{job}/events?after=-1", {}, b"", 422, "request-invalid"),
    "events beyond": ("GET", "/v1/jobs/{job}/events?after=99999999999", {}, b"", 422, "request-invalid"),
    "events after a word": ("GET", "/v1/jobs/{job}/events", {"Last-Event-ID": "x"}, b"", 422, "request-invalid"),
    "fewer trials than there were": ("POST", "/v1/jobs/{job}/extend", JSON, b'{"trials": 1}', 422, "spec-invalid"),
    "more trials than may be": ("POST", "/v1/jobs/{job}/extend", JSON, b'{"trials": 1e99}', 422, "request-invalid"),
    "more of nothing": ("POST", "/v1/jobs/{job}/extend", JSON, b"{}", 422, "request-invalid"),
    "more of something else": ("POST", "/v1/jobs/{job}/extend", JSON, b'{"owner": "me"}', 422, "request-invalid"),
    "a move that is none": ("POST", "/v1/jobs/{job}/destroy", {}, b"", 404, "not-found"),
    "a study of nothing": (*STUDIES, b"", 422, "spec-invalid"),
    "a study that is a bomb": ("POST", "/v1/studies", YAML, BILLION_LAUGHS, 422, "spec-invalid"),
    "a study without end": (*STUDIES, study(factors={"seed": list(range(10**4))}), 422, "spec-invalid"),
    "a study of many factors without end": (
        *STUDIES, study(factors={f"student.arguments.a{i}": list(range(64)) for i in range(12)}), 422, "spec-invalid",
    ),
    "a study of repeats without end": (*STUDIES, study(replicates=10**9), 422, "spec-invalid"),
    "a factor of Python's": (*STUDIES, study(factors={"__class__.x": [1]}), 422, "spec-invalid"),
    "a factor upwards": (*STUDIES, study(factors={"training.../epochs": [1]}), 422, "spec-invalid"),
    "a level with an escape": (*STUDIES, study(factors={"training.epochs": {"\x1b[2J": 1}}), 422, "spec-invalid"),
    "a level that is a number without end": (
        *STUDIES, study(base=document(seed=0)).replace(b'"seed": 0', b'"seed": 1e999'), 422, "spec-invalid",
    ),
    "a study that is a template": (*STUDIES, study(name="{{7*7}}"), 422, "spec-invalid"),
    "a study of another origin": ("POST", "/v1/studies", JSON | FOREIGN, study(), 403, "cross-origin"),
    "a study that is a path": ("GET", "/v1/studies/..%2fjobs", {}, b"", 404, "not-found"),
    "a cursor of jobs for studies": ("GET", "/v1/studies?cursor=AAAA", {}, b"", 422, "cursor-invalid"),
    "studies without end": ("GET", "/v1/studies?limit=100000", {}, b"", 422, "request-invalid"),
    "a method that is none": ("PATCH", "/v1/jobs/{job}", JSON, b"{}", 405, "method-not-allowed"),
    "a method of another door": ("TRACE", "/v1/jobs", {}, b"", 405, "method-not-allowed"),
    "a key with a scope of its own": (*KEYS, b'{"name": "a", "scopes": ["root"]}', 422, "request-invalid"),
    "a key without scopes": (*KEYS, b'{"name": "a", "scopes": []}', 422, "request-invalid"),
    "a key whose name is a page": (*KEYS, b'{"name": "<b>", "scopes": ["read"]}', 422, "request-invalid"),
    "a key that is not there": ("DELETE", "/v1/keys/ffffffffffff", {}, b"", 404, "not-found"),
    "a key that is a path": ("DELETE", "/v1/keys/..%2fjobs", {}, b"", 404, "not-found"),
    "a page of another origin": ("POST", SUBMIT, JSON | FOREIGN, spec(), 403, "cross-origin"),
    "a page of no origin": ("POST", SUBMIT, JSON | {"Origin": "null"}, spec(), 403, "cross-origin"),
    "a page of another site": ("POST", SUBMIT, JSON | {"Sec-Fetch-Site": "cross-site"}, spec(), 403, "cross-origin"),
    "a name of another's": ("GET", "/v1/jobs", {"Host": "evil.example"}, b"", 421, "host-refused"),
    "a name that begins like ours": ("GET", "/v1/jobs", {"Host": "localhost.evil.example"}, b"", 421, "host-refused"),
    "credentials that are none": ("GET", "/v1/jobs", {"Authorization": "Bearer"}, b"", 401, "unauthenticated"),
    "credentials made up": ("GET", "/v1/jobs", {"Authorization": "Bearer tw_0_0"}, b"", 401, "unauthenticated"),
    "credentials of another kind": (*LIST, {"Authorization": "Negotiate x"}, b"", 401, "unauthenticated"),
    "credentials that do not decode": (*LIST, {"Authorization": "Basic %%%"}, b"", 401, "unauthenticated"),
    "credentials without end": (*LIST, {"Authorization": "Bearer " + "a" * 8000}, b"", 401, "unauthenticated"),
    "the dashboard, changed by a form": ("DELETE", "/api/studies/0", FOREIGN, b"", 403, "cross-origin"),
}  # fmt: skip


def test_there_are_more_than_a_hundred() -> None:
    assert len(SPECS) + len(REQUESTS) >= 100


@pytest.fixture(scope="module")
def unchanged(reader: httpx.Client) -> Iterator[None]:
    """After all of them there are the jobs and keys that there were."""

    def there() -> tuple[list[str], list[str]]:
        return (
            [job["id"] for job in reader.get("/v1/jobs?limit=200").json()["items"]],
            [each["id"] for each in reader.get("/v1/keys").json()["items"]],
        )

    before = there()
    yield
    assert there() == before


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("name", SPECS)
def test_what_is_no_spec(reader: httpx.Client, name: str) -> None:
    headers, content, status, slug = SPECS[name]
    problem = refused(reader.post(SUBMIT, headers=headers, content=content), status, slug)
    said = json.dumps(problem)
    assert len(said) < 20_000, "a refusal does not send back all that it was sent"
    assert "Traceback" not in said
    assert "site-packages" not in said
    if slug == "spec-invalid":
        assert problem["errors"], "it says what is wrong"


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("name", REQUESTS)
def test_what_is_no_request(reader: httpx.Client, jobs: Jobs, name: str) -> None:
    method, path, headers, content, status, slug = REQUESTS[name]
    answer = reader.request(method, path.format(job=jobs.completed.id), headers=headers, content=content)
    title = "The new budget was refused" if name == "fewer trials than there were" else None
    said = json.dumps(refused(answer, status, slug, title))
    assert "Traceback" not in said
    assert "site-packages" not in said


def test_a_body_that_never_ends_is_cut_off(reader: httpx.Client) -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b"# more\n" * 10_000

    try:
        answer = reader.post(SUBMIT, headers=YAML, content=endless())
    except httpx.TransportError:
        pass  # the service has hung up in the middle of it, which is as good
    else:
        refused(answer, 413, "too-large")
    assert reader.get("/healthz").status_code == 200


@pytest.mark.parametrize(
    "sent",
    [
        b"GARBAGE\r\n\r\n",
        b"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
        b"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 50\r\n\r\nhello",
        b"GET /v1/jobs HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
        b"GET /v1/jobs HTTP/1.1\r\nHost: local\x00host\r\n\r\n",
    ],
)
def test_what_is_not_even_http(reader: httpx.Client, sent: bytes) -> None:
    with socket.create_connection((reader.base_url.host, reader.base_url.port or 80), timeout=10) as wire:
        wire.sendall(sent)
        answer = wire.recv(65_536)
    assert answer == b"" or answer.split(b" ")[1].startswith(b"4"), answer[:200]
    assert reader.get("/healthz").status_code == 200


def at_once(times: int, ask: Callable[[int], httpx.Response]) -> list[httpx.Response]:
    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(ask, range(times)))


def test_one_idempotency_key_and_many_bodies_at_once(client: httpx.Client) -> None:
    answers = at_once(
        12,
        lambda i: client.post(
            SUBMIT, headers=JSON | {"Idempotency-Key": "same"}, content=spec(name=f"racer-{i % 3}")
        ),
    )  # fmt: skip
    made = {answer.json()["id"] for answer in answers if answer.is_success}
    assert len(made) == 1
    [first] = [answer for answer in answers if answer.status_code == 201]
    for answer in answers:
        if answer.is_success:
            assert answer.json()["name"] == first.json()["name"]
        else:
            refused(answer, 422, "idempotency-mismatch")


def test_every_move_of_one_job_at_once(client: httpx.Client, jobs: Jobs) -> None:
    moves = ["pause", "resume", "stop", "cancel"] * 4
    answers = at_once(len(moves), lambda i: client.post(f"/v1/jobs/{jobs.running.id}/{moves[i]}"))
    for answer in answers:
        if not answer.is_success:
            refused(answer, 409, "illegal-move")
    assert client.get(f"/v1/jobs/{jobs.running.id}").json()["state"] == "cancelled"
    assert Counter(answer.status_code for answer in answers)[200] >= 1


def test_one_job_deleted_many_times_at_once(client: httpx.Client, jobs: Jobs) -> None:
    answers = at_once(8, lambda _: client.delete(f"/v1/jobs/{jobs.completed.id}"))
    assert sorted(answer.status_code for answer in answers) == [204] + [404] * 7
    for answer in answers:
        if answer.status_code == 404:
            refused(answer, 404, "not-found")


def test_a_key_revoked_in_the_middle_is_good_no_more(
    client: httpx.Client, key: Callable[..., Mapping[str, str]]
) -> None:
    scope: Scope = "admin"
    admin, victim = key(scope), key("submit")
    [found] = [each for each in client.get("/v1/keys", headers=admin).json()["items"] if each["name"] == "submit"]

    def ask(i: int) -> httpx.Response:
        if i == 5:
            return client.delete(f"/v1/keys/{found['id']}", headers=admin)
        return client.post(SUBMIT, headers={**victim, **JSON}, content=spec(name=f"late-{i}"))

    for answer in at_once(12, ask):
        assert answer.status_code in (201, 204, 401), answer.text
    refused(client.post(SUBMIT, headers={**victim, **JSON}, content=spec()), 401, "unauthenticated")
