"""Every plot of ours in Optuna Dashboard, and the report's pictures on a screen and on paper, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.site import Site, Visit, spec, until

pytestmark = pytest.mark.slow  # each waits for a whole job; test_pages and test_doing look at pages every time

NewVisit = Callable[..., Visit]

# What each plot's marks are in the document: points, lines and bands are paths, a map is an image.
PLOTS = {
    "Accuracy over temperature": (".scatterlayer .points path", ".scatterlayer .js-line", ".scatterlayer .js-fill"),
    "Temperature response by optimizer": (".scatterlayer .points path",),
    "Accuracy over epochs, by temperature": (".scatterlayer .js-line", ".colorbar .cbfill"),
    "Gain over what one would have done": (".scatterlayer .points path", ".scatterlayer .js-line"),
    "Softness of the teacher over temperature": (".scatterlayer .points path", ".scatterlayer .js-line"),
    "Accuracy against calibration": (".scatterlayer .points path",),
    "Spread between seeds": (".scatterlayer .points path",),
}

FILES = {"README.md", "report.html", "student.json", "student.py", "student.safetensors"}


@pytest.fixture(scope="module")
def study(site: Site, answered: str) -> int:
    """The number of the answered job's study, once all of it is shown there."""
    found: dict[str, Any] = {}

    def shown() -> bool:
        with httpx.Client(base_url=f"{site.url}/api", headers=headers(site), timeout=60) as api:
            for summary in api.get("/studies").json()["study_summaries"]:
                if summary["study_name"] == f"answered · thermowell-{answered}":
                    found["study"] = summary["study_id"]
                    artifacts = api.get(f"/studies/{summary['study_id']}").json()["artifacts"]
                    return {each["filename"] for each in artifacts} >= FILES
        return False

    until(shown)
    return int(found["study"])


def headers(site: Site) -> dict[str, str]:
    return {"Authorization": f"Bearer {site.keys['dashboard']}"}


def plot(page: Page, title: str, *, exact: bool = True) -> Locator:
    """The plots with this title, or, if not exact, with one that holds it."""
    return page.locator(".js-plotly-plot", has=page.locator(".gtitle").get_by_text(title, exact=exact))


def test_every_plot_is_drawn(visit: NewVisit, study: int) -> None:
    at = visit(scope="dashboard")
    page = at.go(f"/dashboard/studies/{study}")
    for title, marks in PLOTS.items():
        drawn = plot(page, title)
        expect(drawn).to_be_visible()
        for mark in marks:
            expect(drawn.locator(mark).first).to_be_attached()
    at.keep("dashboard")


def test_maps_are_drawn_where_there_are_enough_trials(visit: NewVisit, site: Site, study: int) -> None:
    with httpx.Client(base_url=f"{site.url}/api", headers=headers(site), timeout=60) as api:
        found = api.get(f"/studies/{study}").json()["plotly_graph_objects"]
    assert any("interactions" in each["id"] for each in found)
    page = visit(scope="dashboard").go(f"/dashboard/studies/{study}")
    maps = plot(page, "Temperature with each other setting")
    expect(maps).to_have_count(1)
    expect(maps.locator(".heatmaplayer image").first).to_be_attached()
    expect(maps.locator(".scatterlayer .points path").first).to_be_attached()


def test_the_note_says_the_answer(visit: NewVisit, site: Site, answered: str, study: int) -> None:
    with site.api() as api:
        verdict = api.get(f"/jobs/{answered}/result").json()["verdict"]
    page = visit(scope="dashboard").go(f"/dashboard/studies/{study}/note")
    expect(page.get_by_text(verdict["headline"])).to_be_visible()
    expect(page.get_by_role("heading", name="The spec")).to_be_visible()


def test_its_files_can_be_had_there(visit: NewVisit, site: Site, study: int) -> None:
    page = visit(scope="dashboard").go(f"/dashboard/studies/{study}")
    for name in sorted(FILES):
        expect(page.get_by_text(name).first).to_be_visible()
    with httpx.Client(base_url=site.url, headers=headers(site), timeout=60) as client:
        artifacts = client.get(f"/api/studies/{study}").json()["artifacts"]
        [digest] = [each["artifact_id"] for each in artifacts if each["filename"] == "report.html"]
        assert "best candidate" in client.get(f"/artifacts/{study}/{digest}").text
        assert httpx.get(f"{site.url}/artifacts/{study}/{digest}").status_code == 401


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_report_has_its_pictures(visit: NewVisit, answered: str, width: int, scheme: str) -> None:
    at = visit(width, scheme)
    page = at.go(f"/v1/jobs/{answered}/report")
    pictures = page.locator("figure svg").locator("visible=true")
    expect(pictures).to_have_count(12)
    for place in range(12):
        box = pictures.nth(place).bounding_box()
        assert box is not None
        assert box["width"] > 330, "large enough for its words"
        assert box["x"] + box["width"] <= width, "nothing to scroll to"
    begin = page.evaluate("document.getElementById('details').getBoundingClientRect().top + scrollY")
    assert width < 600 or begin <= 5 * 900, "the details begin within five screens"
    at.check_page()
    at.keep("report-whole")


def test_the_report_fits_on_paper(visit: NewVisit, answered: str) -> None:
    at = visit(700)
    page = at.go(f"/v1/jobs/{answered}/report")
    page.emulate_media(media="print")
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.pdf(format="A4").startswith(b"%PDF")


def test_a_job_under_way_has_a_page_of_what_there_is(visit: NewVisit, site: Site) -> None:
    job_id = site.submit(spec("under-way", trials=400))
    at = visit()
    page = at.go(f"/v1/jobs/{job_id}/report")
    expect(page.get_by_role("status")).to_contain_text("The job is ")
    expect(page.locator(".answer")).to_have_text(re.compile("There is no answer yet|So far: "))
    at.check_page()
    with site.api() as api:
        assert api.post(f"/jobs/{job_id}/cancel").status_code == 200
