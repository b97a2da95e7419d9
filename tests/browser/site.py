"""The whole service as people run it, a server and a worker of their own, and pages that notice what goes wrong."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, Response, Route

from search.records import SCOPES, Scope
from search.requests.keys import create_key
from search.storage.db import open_database
from tests.processes import Processes, Started, free_port

OUTPUT = Path(os.environ.get("CI_OUTPUT") or Path(__file__).parents[1] / "output") / "browser"
PATIENCE = 120.0  # seconds for what takes some
PAGE_PATIENCE = 30_000.0  # milliseconds for what is there at once on an idle machine
WIDTHS = (1280, 390)
SCHEMES = ("light", "dark")
EVERY_DAY = {(390, "dark")}  # the others are looked at by the slow tests
LOOKS = [
    pytest.param(width, scheme, marks=() if (width, scheme) in EVERY_DAY else pytest.mark.slow)
    for width in WIDTHS
    for scheme in SCHEMES
]
SERIOUS = ("serious", "critical")
CUT = """() => [...document.querySelectorAll("figure svg")].filter((e) => e.getClientRects().length).flatMap((e) => {
  const box = e.getBoundingClientRect();
  const cut = (text) => text.left < box.left - 1 || text.right > box.right + 1 || text.bottom > box.bottom + 1;
  return [...e.querySelectorAll("text")].filter((t) => cut(t.getBoundingClientRect())).map((t) => t.textContent);
})"""
BROKEN = """() => [...document.images].filter((e) => e.complete && !e.naturalWidth && e.getClientRects().length)
  .map((e) => e.currentSrc)"""
LOADED = """(images) => Promise.all(images.map(async (image) => {
  image.loading = "eager";
  await image.decode();
  return image.naturalWidth;
}))"""
SCROLLED = """() => [...document.querySelectorAll("figure")].filter((e) => e.scrollWidth > e.clientWidth + 1).length"""
BLANK = '<svg xmlns="http://www.w3.org/2000/svg"/>'

# Real digits, a teacher of two epochs, students that learn in moments: small, and yet every stage is gone through.
SPEC = """\
schema_version: 1
name: {name}
labels: {{team: vision}}
dataset: {{name: digits, train_size: 200}}
teacher:
  model: {{name: mlp, arguments: {{width: 32}}}}
  training: {{epochs: 3}}
  optimizer: {{name: adamw, learning_rate: 0.01}}
student: {{name: mlp, arguments: {{width: 16}}}}
training: {{epochs: {epochs}, batch_size: 32}}
budget: {{trials: {trials}}}
baselines: {{share: 0.1}}
confirmation: {{finalists: 2, select_seeds: 1, estimate_seeds: 2}}
"""


def spec(name: str, trials: int = 4, epochs: int = 4) -> str:
    """A small spec as people write it."""
    return SPEC.format(name=name, trials=trials, epochs=epochs)


@dataclass(frozen=True)
class Site:
    """A running service with a worker, and a key of each kind."""

    url: str
    keys: dict[Scope, str]
    key_ids: dict[Scope, str]

    def api(self, scope: Scope = "admin") -> httpx.Client:
        """The API, asked with a key."""
        headers = {"Authorization": f"Bearer {self.keys[scope]}"}
        return httpx.Client(base_url=f"{self.url}/v1", headers=headers, timeout=30)

    def submit(self, text: str) -> str:
        """A job's id."""
        with self.api() as api:
            answer = api.post("/jobs", content=text, headers={"Content-Type": "application/yaml"})
        assert answer.status_code == 201, answer.text
        job_id: str = answer.json()["id"]
        return job_id

    def wait(self, job_id: str) -> dict[str, Any]:
        """The job as it ended."""
        with self.api() as api:
            for event in _events(api, job_id):
                if event == "end":
                    break
            job: dict[str, Any] = api.get(f"/jobs/{job_id}").json()
        return job


def _events(api: httpx.Client, job_id: str) -> Iterator[str]:
    with api.stream("GET", f"/jobs/{job_id}/events", timeout=PATIENCE) as stream:
        for line in stream.iter_lines():
            if line.startswith("event: "):
                yield line.removeprefix("event: ")


@contextmanager
def running(folder: Path) -> Iterator[Site]:
    """A migrated database, its keys, a server and a worker; all of it ends with the block."""
    port = free_port()
    env = {"THERMOWELL_VAR": str(folder / "var"), "THERMOWELL_PORT": str(port), "THERMOWELL_THREADS": "1"}
    env |= {"THERMOWELL_TRUSTED_PROXIES": "127.0.0.1"}  # a test puts one before it
    env |= {"THERMOWELL_POLL_SECONDS": "0.1", "THERMOWELL_STREAM_POLL_SECONDS": "0.1"}
    programs = Processes(folder)
    try:
        made = programs.thermowell("migrate", env=env)
        assert made.wait() == 0, made.output()
        db = open_database(f"sqlite:///{folder / 'var' / 'thermowell.db'}")
        keys = {scope: create_key(db, f"{scope}-key", [scope]) for scope in SCOPES}
        db.close()
        worker = programs.thermowell("worker", env=env)
        server = programs.thermowell("serve", env=env)
        site = Site(
            url=f"http://127.0.0.1:{port}",
            keys={scope: secret for scope, (_, secret) in keys.items()},
            key_ids={scope: key.id for scope, (key, _) in keys.items()},
        )
        until(lambda: _works(site), alive=(server, worker))
        yield site
    finally:
        programs.kill_all()


def _works(site: Site) -> bool:
    try:
        with site.api() as api:
            return any(worker["alive"] for worker in api.get("/workers").json()["items"])
    except httpx.TransportError:
        return False


def until(happened: Callable[[], bool], alive: Sequence[Started] = ()) -> None:
    """Returns once something has happened in another process, where no event can be awaited."""
    deadline = time.monotonic() + PATIENCE
    while not happened():
        said = "\n".join(each.output() for each in alive)
        assert all(each.process.poll() is None for each in alive), said
        assert time.monotonic() < deadline, said
        time.sleep(0.05)


@dataclass
class Noticed:
    """What went wrong on the pages of a visit; `expected` holds patterns of what a test provokes."""

    origin: str
    wrong: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)
    loading: list[Request] = field(default_factory=list)

    def listen(self, context: BrowserContext) -> None:
        """Notices every error, refused or failed request, and stops whatever asks for another origin."""
        context.on("console", self._console)
        context.on("weberror", lambda error: self.wrong.append(f"script: {error.error}"))
        context.on("request", self._asked)
        context.on("requestfailed", self._failed)
        context.on("response", self._answered)
        context.route(
            self._is_foreign, lambda route, request: (self.wrong.append(f"outside: {request.url}"), route.abort())
        )

    def check(self) -> None:
        """Fails where something went wrong that no test has asked for."""
        left = [one for one in self.wrong if not any(re.search(pattern, one) for pattern in self.expected)]
        assert left == []

    def _asked(self, request: Request) -> None:
        if request.resource_type == "image":
            self.loading.append(request)

    def _is_foreign(self, url: str) -> bool:
        return not url.startswith((self.origin, "data:", "blob:", "about:"))

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.wrong.append(f"console: {message.text} ({message.location.get('url')})")

    def _failed(self, request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # by the browser itself: it left the page
            self.wrong.append(f"failed: {request.url} {request.failure}")

    def _answered(self, response: Response) -> None:
        if response.status >= 400:
            self.wrong.append(f"answered: {response.status} {response.url}")


@dataclass
class Visit:
    """A browser window of its own, with what went wrong in it."""

    site: Site
    page: Page
    noticed: Noticed
    width: int
    scheme: str

    def sign_in(self, scope: Scope) -> None:
        """As people do: by the form, with a key."""
        self.page.goto(f"{self.site.url}/signin")
        self.page.get_by_label("API key").fill(self.site.keys[scope])
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url(f"{self.site.url}/jobs")

    def sign_out(self, page: Page | None = None) -> None:
        """As people do, on this page or another of the visit, once its pictures are there."""
        self.end_pictures()
        (page or self.page).get_by_role("button", name="Sign out").click()

    def end_pictures(self) -> None:
        """Waits for those pictures that are loading and leaves later ones blank: after a sign-out or a deletion, which
        come next, the service would refuse them.
        """
        self.page.context.route("**/*", _blank_picture)
        while self.noticed.loading:
            self.noticed.loading.pop().response()  # returns once there is one, or will be none

    def go(self, path: str) -> Page:
        """The page at a path of the service."""
        self.page.goto(self.site.url + path)
        return self.page

    def look(self, name: str) -> None:
        """A picture for people first, which helps where the checks fail."""
        self.keep(name)
        self.check_page()

    def keep(self, name: str) -> None:
        """A picture of the whole page, for people to look at."""
        OUTPUT.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=OUTPUT / f"{name}-{self.width}-{self.scheme}.png", full_page=True)

    def check_page(self) -> None:
        """No serious violation of accessibility, and nothing beside the window."""
        found = Axe().run(self.page).response["violations"]
        serious = [one for one in found if one["impact"] in SERIOUS]
        assert serious == [], "\n".join(f"{one['id']}: {[node['html'] for node in one['nodes']]}" for one in serious)
        widths = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
        whole, shown = self.page.evaluate(widths)
        assert whole <= shown, f"{self.page.url} is {whole} pixels wide in a window of {shown}"
        assert self.page.evaluate(CUT) == [], "labels of plots are cut"
        assert self.page.evaluate(SCROLLED) == 0, "plots are wider than their frames"
        assert self.page.evaluate(BROKEN) == [], "pictures that cannot be shown"


def loaded(page: Page, selector: str = "figure img") -> int:
    """How many pictures there are, once each can be seen."""
    widths = page.locator(selector).evaluate_all(LOADED)
    assert all(width > 0 for width in widths), widths
    return len(widths)


def _blank_picture(route: Route) -> None:
    if route.request.resource_type == "image":
        route.fulfill(body=BLANK, content_type="image/svg+xml")
    else:
        route.fallback()


@contextmanager
def visiting(browser: Browser, site: Site, width: int = 1280, scheme: str = "light", **options: Any) -> Iterator[Visit]:
    """A window of this width; at its end nothing may have gone wrong. `options` are Playwright's, of a context."""
    viewport = {"width": width, "height": 900 if width > 600 else 844}
    context = browser.new_context(viewport=viewport, color_scheme=scheme, **options)  # type: ignore[arg-type]
    context.set_default_timeout(PAGE_PATIENCE)
    noticed = Noticed(site.url)
    noticed.listen(context)
    try:
        yield Visit(site, context.new_page(), noticed, width, scheme)
        noticed.check()
    finally:
        context.close()
