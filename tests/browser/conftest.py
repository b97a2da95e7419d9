"""A real Chromium before a real service, for all tests here: begin with `visit`, and `answered` for a finished job.

`visit(width=1280, scheme="light", scope="admin")` opens a window that has signed in (scope=None: not yet) and fails the
test where a console error, a failed request or a request to anywhere else was noticed. `site` is the running service.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Browser, Error, expect, sync_playwright

from search.records import Scope
from tests.browser.site import PAGE_PATIENCE, Site, Visit, running, spec, visiting

HOW_TO_GET_ONE = (
    "no Chromium here. On Debian: apt-get install chromium; elsewhere: .venv/bin/playwright install chromium"
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "browser" in item.path.parts:
            item.add_marker("browser")


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server and a worker, started once for all tests here."""
    with running(tmp_path_factory.mktemp("site")) as found:
        yield found


@pytest.fixture(scope="session")
def answered(site: Site) -> str:
    """The id of a job that the worker has trained and answered."""
    job_id = site.submit(spec("answered", trials=24))
    assert site.wait(job_id)["state"] == "completed"
    return job_id


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, or Playwright's own. Not for the session: its event loop would be in other tests' way."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    arguments = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []  # which root cannot have
    with sync_playwright() as playwright:
        try:
            started = playwright.chromium.launch(executable_path=path, args=arguments)
        except Error as error:
            pytest.fail(f"{HOW_TO_GET_ONE}\n{error}")
        expect.set_options(timeout=PAGE_PATIENCE)
        yield started
        started.close()


@pytest.fixture
def visit(browser: Browser, site: Site) -> Iterator[Callable[..., Visit]]:
    """Opens windows that have signed in; checks at the end that nothing went wrong in any of them."""
    with ExitStack() as stack:

        def begin(width: int = 1280, scheme: str = "light", scope: Scope | None = "admin", **options: Any) -> Visit:
            visit = stack.enter_context(visiting(browser, site, width, scheme, **options))
            if scope is not None:
                visit.sign_in(scope)
            return visit

        yield begin
