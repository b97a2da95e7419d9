"""A newcomer's way through a browser: sign in, submit a spec, see it trained without reloading, open the answer."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.site import PATIENCE, Visit, spec
from tests.terminals import terminal

pytestmark = pytest.mark.slow  # each waits for a whole job; test_pages and test_doing look at pages every time

NewVisit = Callable[..., Visit]
COMPILING = re.compile(r"compiling, (about \d+ s left|soon done)")


def test_from_a_key_to_an_answer(visit: NewVisit) -> None:
    """One page from queued to completed: what it shows changes, and it is never loaded again."""
    at = visit(scope=None)
    page = at.go("/dashboard")
    expect(page).to_have_url(re.compile(r"/signin\?next=/dashboard$"))
    at.sign_in("admin")
    page.get_by_role("navigation", name="Service").get_by_role("link", name="New job").click()
    page.get_by_label("Spec, as YAML or JSON").fill(spec("journey", epochs=120))  # long enough to be watched
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("journey")
    expect(page.get_by_role("status").filter(has_text="Submitted")).to_be_visible()
    page.evaluate("window.sameDocument = true")
    expect(page.get_by_text("best so far, one seed")).to_be_visible(timeout=PATIENCE * 1000)  # while it is trained
    search = page.get_by_role("progressbar", name="Search trials")
    expect(search).to_have_js_property("value", 4, timeout=PATIENCE * 1000)
    expect(page.locator(".badge")).to_have_text("completed", timeout=PATIENCE * 1000)
    expect(page.locator("#said")).to_have_text("journey completed")
    expect(page.locator(".answer")).to_contain_text("T = ")
    assert page.evaluate("window.sameDocument")
    page.get_by_role("link", name="Report").click()
    expect(page).to_have_url(re.compile("/report$"))
    expect(page).to_have_title(re.compile("journey"))
    page.go_back()
    page.get_by_role("main").get_by_role("link", name="Dashboard").click()
    expect(page).to_have_url(re.compile(r"/dashboard/studies/\d+$"))
    expect(page.get_by_text(re.compile("thermowell-[0-9a-f]+")).first).to_be_visible()


def test_a_job_that_is_compiled_says_so_and_for_how_long(visit: NewVisit) -> None:
    """A real worker compiles for a job that is large enough to earn it back; page and terminal say so meanwhile."""
    at = visit()
    with at.site.api() as api:
        job_id = at.site.submit(spec("compiled", trials=90_000, epochs=40))
        page = at.go(f"/jobs/{job_id}")
        page.evaluate("window.sameDocument = true")
        address = {"THERMOWELL_URL": at.site.url, "THERMOWELL_KEY": at.site.keys["admin"]}
        with terminal("watch", job_id, env=address) as screen:
            expect(page.locator("#progress").get_by_text(COMPILING)).to_be_visible(timeout=PATIENCE * 1000)
            screen.until(lambda text: COMPILING.search(text) is not None, PATIENCE)
            expect(page.get_by_text("best so far, one seed")).to_be_visible(timeout=PATIENCE * 1000)
            screen.until(lambda text: "compiling" not in text, PATIENCE)
        expect(page.get_by_text("compiling")).to_have_count(0)
        assert page.evaluate("window.sameDocument")
        api.post(f"/jobs/{job_id}/cancel")


@pytest.mark.parametrize("width", [1280, 390])
def test_the_list_follows_without_reloading(visit: NewVisit, width: int) -> None:
    at = visit(width)
    page = at.go("/jobs")
    page.evaluate("window.sameDocument = true")
    job_id = at.site.submit(spec(f"appears-{width}", trials=1, epochs=1))
    job = page.get_by_role("article", name=f"appears-{width}")
    expect(job).to_be_visible()
    expect(job.get_by_text("completed", exact=True)).to_be_visible(timeout=PATIENCE * 1000)
    assert page.evaluate("window.sameDocument")
    with at.site.api() as api:
        assert api.delete(f"/jobs/{job_id}").status_code == 204
    expect(job).to_have_count(0)


def test_without_a_stream_the_page_asks_now_and_then(visit: NewVisit) -> None:
    at = visit()
    at.noticed.expected.append("503")
    at.page.route("**/jobs/changes", lambda route: route.fulfill(status=503))
    page = at.go("/jobs")
    with at.site.api() as api:
        job_id = at.site.submit(spec("polled", trials=1, epochs=1))
        expect(page.get_by_role("article", name="polled")).to_be_visible()
        api.post(f"/jobs/{job_id}/cancel")
