"""The jobs pages as a browser without script has them: what they show, what their forms do, and whom they refuse."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from html import unescape

import httpx
import pytest

from search.errors import FieldProblem
from search.records import LOCAL_OWNER, SCOPES, Principal
from search.requests import jobs as job_requests
from search.requests.jobs import delete_job, get_job, list_jobs
from search.requests.keys import revoke_key
from search.spec.parsing import default_spec_yaml, parse_spec
from search.storage.db import Database
from search.storage.store import open_store
from search.storage.tables import jobs as job_table
from service.auth import SESSION_COOKIE
from service.pages import jobs_page_one
from service.pages.jobs_page_spec import excerpts, read_spec
from service.routes import job_pictures, page_updates, pages, signing, study_pages
from service.settings import Settings
from tests.search import factories
from tests.service import server_fixtures
from tests.service.problems import refused
from tests.service.server_fixtures import Jobs, serving
from tests.service.test_auth import ROUTES

Headers = dict[str, str]
HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


class Window:
    """A browser window: it keeps cookies, names its origin in what it sends, and knows the forms of its last page."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=url, headers=HTML, timeout=20)
        self.last = ""

    def get(self, path: str, **options: object) -> httpx.Response:
        return self._shown(self.http.get(path, **options))  # type: ignore[arg-type]

    def post(self, path: str, fields: dict[str, str] | None = None, **options: object) -> httpx.Response:
        origin = {"Origin": str(self.http.base_url).rstrip("/")}
        return self._shown(self.http.post(path, data=fields or {}, headers=HTML | origin, **options))  # type: ignore[arg-type]

    def send(self, path: str, **fields: str) -> httpx.Response:
        """A form of the last page, with what it carries unseen."""
        carried = re.search(r'name="form_token" value="([^"]*)"', self.last)
        assert carried, self.last
        return self.post(path, {"form_token": carried[1]} | fields)

    def sign_in(self, headers: Headers, next: str = "/jobs") -> httpx.Response:
        secret = headers["Authorization"].partition(" ")[2]
        return self.post("/signin", {"key": secret, "next": next})

    def _shown(self, answer: httpx.Response) -> httpx.Response:
        self.last = answer.text
        return answer


@pytest.fixture
def window(client: httpx.Client) -> Iterator[Window]:
    opened = Window(str(client.base_url))
    yield opened
    opened.http.close()


def words(answer: httpx.Response) -> str:
    """What stands on a page, without its marks."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", answer.text)))


# Coming in and going out


def test_a_key_opens_pages_dashboard_and_api(window: Window, key: Callable[..., Headers], jobs: Jobs) -> None:
    admin = key("admin")
    for path, back in (("/jobs?state=running", "/jobs%3Fstate%3Drunning"), ("/dashboard", "/dashboard")):
        led = window.get(path)
        assert (led.status_code, led.headers["location"]) == (303, f"/signin?next={back}")
    entered = window.sign_in(admin, next="/jobs?state=running")
    assert (entered.status_code, entered.headers["location"]) == (303, "/jobs?state=running")
    for path in ("/jobs", f"/jobs/{jobs.completed.id}", "/dashboard", f"/v1/jobs/{jobs.completed.id}/report", "/v1/me"):
        assert window.get(path).status_code == 200, path
    window.get("/jobs")
    assert window.send("/signout").headers["location"] == "/signin"
    assert window.get("/jobs").status_code == 303


def test_the_cookie_is_for_this_service_alone(window: Window, key: Callable[..., Headers]) -> None:
    answer = window.sign_in(key("read"))
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "path=/" in cookie
    assert "secure" not in cookie
    secret = key("read")["Authorization"].partition(" ")[2]
    unknown = window.http.post("/signin", data={"key": secret}, headers={"X-Forwarded-Proto": "https"})
    assert "secure" not in unknown.headers["set-cookie"].lower(), "no trusted proxy says so"


def test_a_wrong_key_is_told_and_sets_nothing(window: Window, key: Callable[..., Headers]) -> None:
    key("read")
    answer = window.post("/signin", {"key": "tw_0123456789ab_nothing", "next": "/dashboard"})
    assert answer.status_code == 401
    assert "unknown, or was revoked" in words(answer)
    assert 'value="/dashboard"' in answer.text
    assert "set-cookie" not in answer.headers


def test_the_form_is_no_way_to_guess_keys(settings: Settings, key: Callable[..., Headers]) -> None:
    reader = key("read")
    with serving(settings.model_copy(update={"failures_per_minute": 3})) as url:
        window = Window(url)
        tried = [window.post("/signin", {"key": f"tw_0123456789ab_guess{number}"}).status_code for number in range(5)]
        assert tried == [401, 401, 401, 429, 429]
        assert window.sign_in(reader).status_code == 429
        window.http.close()


def test_signing_in_leads_nowhere_else(window: Window, key: Callable[..., Headers]) -> None:
    reader = key("read")
    for next in ("//evil.example", "/\\evil.example", "https://evil.example", "", "jobs", "/a\r\nb"):
        assert window.sign_in(reader, next=next).headers["location"] == "/jobs"


def test_an_open_service_asks_for_no_key(window: Window) -> None:
    assert window.get("/signin").headers["location"] == "/jobs"
    assert window.get("/").headers["location"] == "/jobs"
    page = words(window.get("/jobs"))
    assert "open to this machine" in page
    assert "Sign out" not in page


def test_a_session_ends_with_its_key(window: Window, db: Database, key: Callable[..., Headers]) -> None:
    headers = key("read")
    window.sign_in(headers)
    assert window.get("/jobs").status_code == 200
    revoke_key(db, headers["Authorization"].split("_")[1])
    assert window.get("/jobs").status_code == 303


def test_a_session_ends_with_its_time(settings: Settings, db: Database, key: Callable[..., Headers]) -> None:
    headers = key("read")
    with serving(settings.model_copy(update={"session_seconds": 1e-6})) as url:
        window = Window(url)
        window.sign_in(headers)
        assert SESSION_COOKIE in window.http.cookies
        assert window.get("/jobs").status_code == 303
        window.http.close()


def test_scripts_are_not_met_with_the_browsers_own_dialog(client: httpx.Client, key: Callable[..., Headers]) -> None:
    key("read")
    for headers in ({"Sec-Fetch-Mode": "cors"}, {"Cookie": f"{SESSION_COOKIE}=gone"}):
        answer = client.get("/jobs/changes", headers=headers)
        refused(answer, 401, "unauthenticated")
        assert [one.split()[0] for one in answer.headers.get_list("www-authenticate")] == ["Bearer"]


# Forms that somebody else made


def test_a_session_changes_nothing_without_its_pages_word(
    window: Window, client: httpx.Client, db: Database, key: Callable[..., Headers], jobs: Jobs
) -> None:
    window.sign_in(key("admin"))
    other = Window(str(client.base_url))
    other.sign_in(key("admin"))
    other.get("/jobs/new")
    pause = f"/jobs/{jobs.running.id}/pause"
    assert window.post(pause).status_code == 403
    window.last = other.last  # the form of another session
    assert "not made for your session" in words(window.send(pause))
    assert window.post("/signout", {"form_token": "x"}).status_code == 403
    assert get_job(db, jobs.running.id, server_fixtures.LOCAL).state == "running"
    window.get(f"/jobs/{jobs.running.id}")
    assert window.send(pause).status_code == 303
    assert get_job(db, jobs.running.id, server_fixtures.LOCAL).state == "paused"
    other.http.close()


def test_a_cookie_alone_changes_nothing(window: Window, key: Callable[..., Headers], jobs: Jobs) -> None:
    """Also not over the API and in the dashboard, whose forms are not ours."""
    window.sign_in(key("admin"))
    for origin in ({}, {"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "same-site"}):
        for path in (f"/v1/jobs/{jobs.running.id}/pause", f"/jobs/{jobs.running.id}/pause", "/api/studies"):
            refused(window.http.post(path, headers={"Accept": "*/*"} | origin), 403, "cross-origin")


def test_a_page_of_our_own_may_use_the_api_by_its_session(
    window: Window, key: Callable[..., Headers], jobs: Jobs
) -> None:
    window.sign_in(key("admin"))
    assert window.post(f"/v1/jobs/{jobs.running.id}/pause").json()["state"] == "paused"


# What is shown


WAITS = "waiting for a worker|waits for a free lane, behind going"  # the second once it has waited for a moment


def test_the_list(reader: httpx.Client, jobs: Jobs) -> None:
    page = words(reader.get("/jobs", headers=HTML))
    assert re.search(r"going running searching.* 2 of 23 T = 8\.6 88\.8 % best so far, one seed", page)
    assert re.search(r"done completed answered .* 64 of 64 T = 3\.4 90\.2 % the answer, on fresh seeds", page)
    assert re.search(rf"waiting queued ({WAITS}).* nothing found yet", page)
    some = words(reader.get("/jobs?state=queued", headers=HTML))
    assert re.search(WAITS, some)
    assert "searching" not in some
    assert "No job is paused" in words(reader.get("/jobs?state=paused", headers=HTML))


def test_more_jobs_than_fit_on_a_page(window: Window, db: Database) -> None:
    for place in range(pages.PER_PAGE):
        server_fixtures.submit(db, name=f"many-{place}")
    first = window.get("/jobs")
    older = re.search(r'href="(/jobs\?cursor=[^"]+)">Older', first.text)
    assert older
    second = words(window.get(unescape(older[1])))
    assert "many-0" not in second
    assert "going" in second
    assert "Older jobs" not in second


def test_the_list_tells_jobs_whose_teacher_is_no_single_model(window: Window, db: Database) -> None:
    taught = server_fixtures.document()["teacher"]
    server_fixtures.submit(db, name="from logits", teacher={"source": "logits", "artifact": "a" * 64})
    server_fixtures.submit(
        db, name="from two", teacher={"source": "ensemble", "members": [taught, taught | {"seed": 1}]}
    )
    page = window.get("/jobs").text
    assert "mlp from given logits, on digits" in page
    assert "mlp from an ensemble of 2, on digits" in page


def test_a_running_job(reader: httpx.Client, jobs: Jobs) -> None:
    page = words(reader.get(f"/jobs/{jobs.running.id}", headers=HTML))
    assert re.search(r"In training trial .* 2 1\.36 0 of 2 AdamW 0\.03 0\.0001 0\.9 search", page)
    assert re.search(r"Best trials of the search .* 1 8\.6 88\.8 % SGD .* 0 1 86\.6 %", page)
    assert "trial 1 ended at epoch 2 with 88.8 %" in page
    assert "the teacher is ready: 97.0 % on validation" in page
    assert "Stop the search" in page
    assert "Resume" not in page
    assert "team: audio" in page


def test_a_job_says_its_share_and_which_worker_it_waits_for(window: Window, db: Database) -> None:
    asked = {"fleet": {"labels": ["gpu"], "priority": 40, "parallel": 2}}
    me = Principal(LOCAL_OWNER, "local", frozenset(SCOPES))
    job, _ = job_requests.submit(db, factories.spec(**asked), me)
    page = words(window.http.get(f"/jobs/{job.id}"))
    assert "waits for a worker with gpu" in words(window.http.get("/jobs"))
    assert "waits for a worker with gpu" in page
    assert "priority 40, at most 2 trials at once" in page


def test_an_answered_job(reader: httpx.Client, jobs: Jobs) -> None:
    answer = reader.get(f"/jobs/{jobs.completed.id}", headers=HTML)
    result = reader.get(f"/v1/jobs/{jobs.completed.id}/result").json()
    assert result["verdict"]["headline"] in unescape(answer.text)
    assert result["verdict"]["action"] in unescape(answer.text)
    assert f'href="/v1/jobs/{jobs.completed.id}/report"' in answer.text
    assert f'href="/v1/jobs/{jobs.completed.id}/artifacts/student.safetensors"' in answer.text
    page = words(answer)
    assert "Delete this job" in page
    assert "Pause" not in page


def test_names_are_text_and_never_markup(window: Window, db: Database) -> None:
    job = server_fixtures.submit(db, labels={"note": "<script>alert(1)</script>"})
    answer = window.get(f"/jobs/{job.id}")
    assert "<script>alert" not in answer.text
    assert "note: <script>alert(1)</script>" in unescape(answer.text)


def test_pages_load_nothing_else_and_are_not_kept(reader: httpx.Client, jobs: Jobs) -> None:
    for path in ("/jobs", "/jobs/new", f"/jobs/{jobs.completed.id}", "/jobs/none"):
        answer = reader.get(path, headers=HTML)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "style=" not in answer.text
        assert re.findall(r"<(?:script|style)[^>]*>(?!</script>)", answer.text) == []
        for address in re.findall(r'(?:src|href)="([^"#]+)"', answer.text):
            assert address.startswith("/"), address
            assert not address.startswith("//")


def test_what_pages_are_made_of_is_served_to_anybody(reader: httpx.Client) -> None:
    page = reader.get("/jobs", headers=HTML).text
    assets = set(re.findall(r'"(/assets/[^"]+)"', page))
    kinds = {reader.get(address).headers["content-type"].partition(";")[0] for address in assets}
    assert kinds == {"text/css", "text/javascript", "image/svg+xml"}
    assert reader.get("/assets/../frame.py").status_code == 404


@pytest.mark.parametrize(("path", "status"), [("/jobs/none", 404), ("/v1/jobs/none", 404), ("/jobs?state=x", 422)])
def test_problems_are_pages_for_browsers_alone(reader: httpx.Client, path: str, status: int) -> None:
    shown = reader.get(path, headers=HTML)
    assert shown.status_code == status
    assert shown.headers["content-type"].startswith("text/html")
    assert "To the jobs" in words(shown)
    slug = {404: "not-found", 422: "request-invalid"}[status]
    refused(reader.get(path), status, slug)


# What a read-only key sees


def test_a_reader_is_offered_nothing_that_it_may_not_do(
    window: Window, db: Database, key: Callable[..., Headers]
) -> None:
    headers = key("read")
    mine = Principal(headers["Authorization"].split("_")[1], "read", frozenset({"read"}))
    job = server_fixtures.submit(db, mine, name="mine")
    window.sign_in(headers)
    assert "New job" not in words(window.get("/jobs"))
    page = words(window.get(f"/jobs/{job.id}"))
    assert "mine" in page
    for word in ("What you can do", "Cancel", "Extend", "Dashboard", "Start another"):
        assert word not in page
    forms = window.last
    assert window.get("/jobs/new").status_code == 403
    assert "Sign out" in words(window.get("/jobs/new"))
    window.last = forms
    for move in ("stop", "pause", "resume", "cancel", "delete", "extend"):
        answer = window.send(f"/jobs/{job.id}/{move}", trials="9")
        assert answer.status_code == 403
        assert "lacks the scope 'submit'" in words(answer)
        window.last = forms
    assert window.send("/jobs", spec=default_spec_yaml()).status_code == 403
    assert get_job(db, job.id, mine).state == "queued"
    assert len(list_jobs(db, mine).items) == 1


# What can be done


def test_every_move(window: Window, db: Database, jobs: Jobs) -> None:
    job_id = jobs.running.id

    def state() -> str:
        return get_job(db, job_id, server_fixtures.LOCAL).state

    window.get(f"/jobs/{job_id}")
    told = window.get(window.send(f"/jobs/{job_id}/pause").headers["location"])
    assert jobs_page_one.DONE["pause"] in words(told)
    assert state() == "paused"
    assert "Resume" in words(told)
    window.send(f"/jobs/{job_id}/resume")
    assert state() == "running"
    window.get(f"/jobs/{job_id}")
    window.send(f"/jobs/{job_id}/extend", trials="9")
    assert get_job(db, job_id, server_fixtures.LOCAL).budget_trials == 9
    window.get(f"/jobs/{job_id}")
    window.send(f"/jobs/{job_id}/stop")
    stopped = get_job(db, job_id, server_fixtures.LOCAL)
    assert stopped.search_stopped
    assert "Stop the search" not in words(window.get(f"/jobs/{job_id}"))
    window.send(f"/jobs/{job_id}/cancel")
    assert state() == "cancelled"
    window.get(f"/jobs/{job_id}")
    gone = window.send(f"/jobs/{job_id}/delete")
    assert gone.headers["location"] == "/jobs?done=delete"
    assert "Deleted." in words(window.get(gone.headers["location"]))
    assert window.get(f"/jobs/{job_id}").status_code == 404


def test_a_sealed_test_part_is_opened_on_its_page(window: Window, jobs: Jobs, db: Database) -> None:
    path = f"/jobs/{jobs.completed.id}"
    assert "Open the test part" not in words(window.get(path))
    with db.write() as connection:
        connection.execute(job_table.update().values(test_opened_at=None))
    assert "Open the test part of this job" in words(window.get(path))
    opened = window.send(f"{path}/open-test")
    assert jobs_page_one.DONE["open-test"] in words(window.get(opened.headers["location"]))
    seen = get_job(db, jobs.completed.id, server_fixtures.LOCAL)
    assert (seen.state, seen.test_opened_at is None) == ("analysing", False)


def test_a_move_that_came_too_late_says_why(window: Window, jobs: Jobs) -> None:
    window.get(f"/jobs/{jobs.running.id}")
    answer = window.send(f"/jobs/{jobs.cancelled.id}/pause")
    assert answer.status_code == 409
    assert "a cancelled job cannot be paused: it has ended; submit its spec again" in words(answer)
    assert "dropped" in words(answer)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"trials": "4"}, "trials must be a new total above 4"),
        ({"trials": "many"}, "trials must be a whole number, got 'many'"),
        ({"seconds": "60"}, "seconds is not limited"),
        ({}, "trials give a new total"),
    ],
)
def test_a_budget_that_cannot_be(window: Window, jobs: Jobs, fields: dict[str, str], said: str) -> None:
    window.get(f"/jobs/{jobs.running.id}")
    answer = window.send(f"/jobs/{jobs.running.id}/extend", **fields)
    assert answer.status_code == 422
    assert said in words(answer)


# A new job


def test_the_form_submits_what_it_shows(window: Window, db: Database) -> None:
    page = window.get("/jobs/new")
    shown = re.search(r"<textarea[^>]*>\n(.*)</textarea>", page.text, re.DOTALL)
    assert shown
    text = unescape(shown[1])
    assert text == default_spec_yaml()
    once = re.search(r'name="once" value="([^"]+)"', page.text)
    assert once
    as_sent = text.replace("\n", "\r\n")
    first = window.send("/jobs", spec=as_sent, once=once[1])
    assert first.status_code == 303
    job_id = first.headers["location"].split("/")[2].partition("?")[0]
    assert get_job(db, job_id, server_fixtures.LOCAL).spec == parse_spec(text, "yaml").model_dump(
        mode="json", exclude_none=True
    )
    window.last = page.text
    assert window.send("/jobs", spec=as_sent, once=once[1]).headers["location"] == first.headers["location"]
    window.last = page.text
    assert (
        window.send("/jobs", spec=as_sent + "# changed", once=once[1]).headers["location"] != first.headers["location"]
    )


def test_a_file_counts_instead_of_the_text(window: Window, db: Database) -> None:
    window.get("/jobs/new")
    document = default_spec_yaml().replace("name: ", "name: from-file-", 1)
    answer = window.post("/jobs", {"spec": "nonsense"}, files={"file": ("spec.yaml", document.encode("utf-8-sig"))})
    assert answer.status_code == 303, words(answer)
    assert list_jobs(db, server_fixtures.LOCAL).items[0].name.startswith("from-file-")


def test_a_job_begins_from_another_ones_spec(window: Window, db: Database, jobs: Jobs) -> None:
    page = window.get(f"/jobs/new?like={jobs.completed.id}")
    shown = re.search(r"<textarea[^>]*>\n(.*)</textarea>", page.text, re.DOTALL)
    assert shown
    window.send("/jobs", spec=unescape(shown[1]))
    assert list_jobs(db, server_fixtures.LOCAL).items[0].spec == jobs.completed.spec


def test_a_spec_can_be_checked_without_submitting(window: Window, db: Database) -> None:
    before = len(list_jobs(db, server_fixtures.LOCAL).items)
    window.get("/jobs/new")
    answer = window.send("/jobs", spec=default_spec_yaml(), then="check")
    assert answer.status_code == 200
    assert "can be submitted as it is" in words(answer)
    assert len(list_jobs(db, server_fixtures.LOCAL).items) == before


YAML = "schema_version: 1\nname: x\ndataset:\n  name: digitz\ntraining: {epochs: many}\n"
JSON = (
    '{\n"schema_version": 1,\n\t"name": "x",\n"dataset": {\n\t"name": "digitz"},\n"training":\n {"epochs": "many"}}\n'
)


@pytest.mark.parametrize(("text", "lines"), [(YAML, (4, 5)), (JSON, (5, 7)), (YAML.replace("\n", "\r\n"), (4, 5))])
def test_each_problem_stands_at_its_line(window: Window, text: str, lines: tuple[int, int]) -> None:
    window.get("/jobs/new")
    answer = window.send("/jobs", spec=text)
    assert answer.status_code == 422
    page = words(answer)
    assert f"Line {lines[0]} : dataset.name unknown data set 'digitz': did you mean digits?" in page
    assert f"Line {lines[1]} : training.epochs must be" in page
    wrong = re.findall(r'<li id="line-(\d+)" class="wrong">', answer.text)
    assert {str(line) for line in lines} <= set(wrong)
    assert "digitz" in answer.text.partition("<textarea")[2]


def test_any_text_may_be_sent(window: Window) -> None:
    form = window.get("/jobs/new").text
    for text in ("", "   ", "{", "[1", "- a", "a: *b", "x" * 300_000, "\x00", "name: [", "{}"):
        window.last = form
        answer = window.send("/jobs", spec=text)
        assert answer.status_code == 422, text[:20]
        assert "The spec was refused" in words(answer)


def test_excerpts_leave_out_what_is_right() -> None:
    text = "\n".join(f"line {number}" for number in range(1, 21))
    problems = [FieldProblem("a", "wrong", line) for line in (2, 4, 15, 15)]
    groups = excerpts(text, [*problems, FieldProblem("b", "nowhere")])
    assert [[line.number for line in group] for group in groups] == [list(range(1, 7)), list(range(13, 18))]
    assert [len(line.problems) for group in groups for line in group if line.problems] == [1, 1, 2]
    assert read_spec(default_spec_yaml()).name


# Liveness


def changed(stream: Iterator[str]) -> None:
    """Returns at the next word that something has changed."""
    for line in stream:
        if line == "event: changed":
            return
    raise AssertionError("the stream has ended")


def test_a_page_is_told_of_changes(client: httpx.Client, db: Database, jobs: Jobs) -> None:
    for path in ("/jobs/changes", f"/jobs/{jobs.running.id}/changes"):
        with client.stream("GET", path) as stream:
            lines = stream.iter_lines()
            changed(lines)
            server_fixtures.train(db, jobs.running, trials=1)
            changed(lines)


def test_a_stream_says_when_its_job_is_gone(client: httpx.Client, db: Database, jobs: Jobs, settings: Settings) -> None:
    with client.stream("GET", f"/jobs/{jobs.cancelled.id}/changes") as stream:
        lines = stream.iter_lines()
        changed(lines)
        delete_job(db, jobs.cancelled.id, server_fixtures.LOCAL, open_store(settings))
        changed(lines)
        assert "event: changed" not in list(lines)


def test_streams_end_with_the_service(settings: Settings) -> None:
    with serving(settings) as url, httpx.stream("GET", f"{url}/jobs/changes", timeout=20) as stream:
        lines = stream.iter_lines()
        changed(lines)


def test_every_page_is_in_the_table_of_who_may() -> None:
    free = {"GET /", "GET /signin", "POST /signin", "POST /signout", "GET /jobs/changes"}  # the last one is tried above
    routes = [
        route for room in (signing, page_updates, pages, job_pictures, study_pages) for route in room.router.routes
    ]
    found = {f"{method} {route.path}" for route in routes for method in route.methods}  # type: ignore[attr-defined]
    assert {
        one.format(job_id="x", study_id="x", number=0, picture="gains" if "compare" in one else "response")
        for one in found
    } - free <= set(ROUTES)
