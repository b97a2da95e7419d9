"""Every page at every width, light and dark: accessible, within its width, without errors."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import expect

from tests.browser.site import LOOKS, PATIENCE, Site, Visit, spec

NewVisit = Callable[..., Visit]
REFUSED = "schema_version: 1\nname: wrong\ndataset:\n  name: digitz\ntraining:\n  epochs: many\n"


@pytest.fixture(scope="module")
def long_job(site: Site) -> Iterator[str]:
    """The id of a job that does not end while the tests look at it."""
    job_id = site.submit(spec("long", trials=2000, epochs=20))
    yield job_id
    with site.api() as api:
        api.post(f"/jobs/{job_id}/cancel")


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_every_page(visit: NewVisit, answered: str, long_job: str, width: int, scheme: str) -> None:
    at = visit(width, scheme, scope=None)
    at.noticed.expected += ["422", "404"]  # a refused spec and a page that is not there
    page = at.go("/signin")
    at.look("signin")
    at.sign_in("admin")
    found = page.get_by_role("article", name="long").get_by_text("best so far, one seed")
    expect(found).to_be_visible(timeout=PATIENCE * 1000)
    at.look("jobs")
    at.go(f"/jobs/{long_job}")
    expect(page.get_by_role("heading", name="In training")).to_be_visible()
    at.look("job-running")
    page.get_by_text("Cancel ...").click()
    page.get_by_text("Extend the budget ...").click()
    at.look("job-actions")
    at.go(f"/jobs/{answered}")
    at.look("job-completed")
    at.go("/jobs/new")
    at.look("new")
    page.get_by_label("Spec, as YAML or JSON").fill(REFUSED)
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_role("alert")).to_contain_text("Line 4: dataset.name unknown data set 'digitz'")
    at.look("refused")
    at.go("/jobs/none")
    at.look("missing")
    at.go(f"/v1/jobs/{answered}/report")
    at.look("report")
    screens = page.evaluate("document.getElementById('details').getBoundingClientRect().top / window.innerHeight")
    assert screens <= 5, f"the report's details begin after {screens:.1f} screens"
    page.get_by_role("link", name="Back to the job").click()
    expect(page).to_have_url(f"{at.site.url}/jobs/{answered}")


def test_the_dashboard_shows_the_study(visit: NewVisit, answered: str) -> None:
    at = visit(scope="dashboard")
    page = at.go("/dashboard")
    expect(page.get_by_role("heading", name=re.compile(f"thermowell-{answered}$"))).to_be_visible()
    at.keep("dashboard")
