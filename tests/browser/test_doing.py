"""What people do in a browser: steer a job by keyboard alone, repair a spec, do without script, meet their limits."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from search.records import Scope
from tests.browser.site import Site, Visit, spec

NewVisit = Callable[..., Visit]


@pytest.fixture
def job(site: Site, request: pytest.FixtureRequest) -> Iterator[str]:
    """The id of a job of its own, which is cancelled at the end where the test has left it."""
    job_id = site.submit(spec(re.sub(r"\W+", "-", request.node.name)[:60], trials=500, epochs=20))
    yield job_id
    with site.api() as api:
        api.post(f"/jobs/{job_id}/cancel")


def press(page: Page, name: str, key: str = "Enter") -> None:
    """Reaches a control by Tab, as who has no mouse does, and presses it."""
    for _ in range(60):
        page.keyboard.press("Tab")
        focused = page.evaluate("(document.activeElement.innerText || document.activeElement.value || '').trim()")
        if focused == name:
            page.keyboard.press(key)
            return
    raise AssertionError(f"{name} cannot be reached by Tab")


def test_by_keyboard_alone(visit: NewVisit, job: str) -> None:
    at = visit(scope="admin")
    page = at.go(f"/jobs/{job}")
    state = page.get_by_role("heading", level=1).locator(".badge")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # skips to the content
    expect(page.locator("main")).to_be_focused()
    press(page, "Pause")
    expect(state).to_have_text("paused")
    press(page, "Resume")
    expect(state).not_to_have_text("paused")
    press(page, "Cancel ...")
    press(page, "Cancel this job")
    expect(state).to_have_text("cancelled")
    press(page, "Delete ...", "Space")
    at.end_pictures()
    press(page, "Delete this job", "Space")
    expect(page).to_have_url(re.compile(r"/jobs\?done=delete$"))
    expect(page.get_by_text("Deleted.")).to_be_visible()


def test_what_a_visitor_is_at_stays_while_the_page_changes(visit: NewVisit, job: str) -> None:
    at = visit()
    page = at.go(f"/jobs/{job}")
    page.get_by_text("Extend the budget ...").click()
    field = page.get_by_role("spinbutton", name="Search trials")
    field.fill("700")
    with at.site.api() as api:
        api.post(f"/jobs/{job}/pause")
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    expect(page.locator("#said")).to_contain_text("paused")
    expect(field).to_be_focused()
    expect(field).to_have_value("700")
    field.press("Enter")
    expect(page.get_by_role("status").filter(has_text="Extended.")).to_be_visible()
    expect(page.get_by_role("progressbar", name="Search trials")).to_have_attribute("max", "700")
    page.get_by_role("button", name="Resume").focus()
    with at.site.api() as api:
        api.post(f"/jobs/{job}/cancel")
    expect(page.get_by_text("Delete ...")).to_be_visible()
    expect(page.locator("main")).to_be_focused()  # what had it is gone


def test_a_refused_spec_is_repaired_at_its_line(visit: NewVisit) -> None:
    at = visit()
    at.noticed.expected.append("422")
    page = at.go("/jobs/new")
    text = page.get_by_label("Spec, as YAML or JSON")
    wrong = spec("repaired").replace("name: digits", "name: digitz")
    text.fill(wrong)
    page.get_by_role("button", name="Check only").click()
    expect(page.get_by_role("alert")).to_be_focused()
    expect(page.locator(".gutter")).to_have_count(1)  # the page's script has come
    page.get_by_role("link", name="Line 4").click()
    expect(text).to_be_focused()
    chosen = text.evaluate("one => one.value.slice(one.selectionStart, one.selectionEnd)")
    assert chosen == "dataset: {name: digitz, train_size: 200}"
    text.fill(spec("repaired"))
    page.get_by_role("button", name="Check only").click()
    expect(page.get_by_text("This spec can be submitted as it is.")).to_be_visible()
    document = {"name": "spec.yaml", "mimeType": "application/yaml", "buffer": spec("from-a-file", trials=1).encode()}
    page.get_by_label("or a file").set_input_files(document)  # type: ignore[arg-type]
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("from-a-file")


def test_what_a_job_lacks_stands_on_its_page_until_a_worker_begins(visit: NewVisit) -> None:
    at = visit(390)
    text = spec("lacking").replace("batch_size: 32", "batch_size: 4096") + "fleet: {labels: [gpu]}\n"
    job_id = at.site.submit(text)
    page = at.go(f"/jobs/{job_id}")
    expect(page.get_by_text("none of the 1 workers that are alive has gpu, so the job will wait")).to_be_visible()
    expect(page.get_by_text("4,096 is more than the 200 images of the training part")).to_be_visible()
    expect(page.get_by_text("trainings in all")).to_be_visible()
    at.check_page()
    with at.site.api() as api:
        api.post(f"/jobs/{job_id}/cancel")
    expect(page.get_by_text("so the job will wait")).to_have_count(0)


def test_without_script(visit: NewVisit) -> None:
    at = visit(390, java_script_enabled=False)
    page = at.go("/jobs/new")
    page.get_by_label("Spec, as YAML or JSON").fill(spec("scriptless", trials=300))
    page.get_by_role("button", name="Submit").click()
    state = page.get_by_role("heading", level=1).locator(".badge")
    page.get_by_role("button", name="Pause").click()
    expect(state).to_have_text("paused")
    page.get_by_text("Cancel ...").click()
    page.get_by_role("button", name="Cancel this job").click()
    expect(state).to_have_text("cancelled")
    at.sign_out()
    expect(page).to_have_url(re.compile("/signin$"))


@pytest.mark.parametrize(("scope", "dashboard"), [("read", False), ("dashboard", True)])
def test_who_may_only_look_is_offered_nothing_else(visit: NewVisit, scope: Scope, dashboard: bool) -> None:
    at = visit(scope=scope)
    at.noticed.expected.append("403")
    page = at.page
    links = page.get_by_role("navigation", name="Service").get_by_role("link")
    expect(links).to_have_text(["Jobs", "Studies", *(["Dashboard"] if dashboard else []), "API"])
    expect(page.get_by_role("link", name="New job")).to_have_count(0)
    at.go("/jobs/new")
    expect(page.get_by_role("main")).to_contain_text("lacks the scope 'submit'")
    token = page.locator("input[name=form_token]").get_attribute("value") or ""
    forged = {"form_token": token, "spec": spec("forged")}
    answer = page.request.post(f"{at.site.url}/jobs", form=forged, headers={"Origin": at.site.url})
    assert answer.status == 403
    with at.site.api() as api:
        assert api.get("/jobs", params={"name": "forged"}).json()["items"] == []
    if not dashboard:
        at.go("/dashboard")
        expect(page.get_by_role("main")).to_contain_text("lacks the scope 'dashboard'")


def test_a_page_of_who_has_signed_out_elsewhere_asks_again(visit: NewVisit, job: str) -> None:
    at = visit()
    page = at.go(f"/jobs/{job}")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    other = page.context.new_page()
    other.goto(f"{at.site.url}/jobs")
    at.sign_out(other)
    expect(other).to_have_url(re.compile("/signin$"))
    with at.site.api() as api:
        api.post(f"/jobs/{job}/pause")
    expect(page).to_have_url(re.compile(r"/signin\?next="))
