"""What people read and look up, in a service whose trials are made up: pictures, studies, comparisons, trials."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from playwright.sync_api import Browser, expect

from search.claims import workers
from service.pages.jobs_page_one import TITLES
from service.plots.names import PLOTS
from tests.browser.furnished import FILE, LOG, Furnished, furnished
from tests.browser.site import LOOKS, Visit, loaded, visiting
from tests.service import server_fixtures
from tests.terminals import terminal

Open = Callable[..., Visit]
PAGES = {
    "studies": "/studies",
    "study": "/studies/{study}",
    "study-report": "/v1/studies/{study}/report",
    "jobs-of-a-study": "/jobs?study={study}",
    "jobs-failed": "/jobs?state=failed",
    "compare": "/compare?job={completed}&job={running}&job={answered}",
    "trial": "/jobs/{running}/trials/{trial}",
    "job-failed": "/jobs/{failed}",
    "report-so-far": "/v1/jobs/{running}/report",
    "docs": "/docs",
}
HEAVY = {"docs"}  # seconds for each look: by the slow tests alone
CUT = """() => {
  const box = document.documentElement.getBoundingClientRect();
  const texts = [...document.querySelectorAll("text")].map((e) => [e.textContent, e.getBoundingClientRect()]);
  return texts.filter(([, t]) => t.left < -1 || t.right > box.right + 1 || t.top < -1 || t.bottom > box.bottom + 1)
    .map(([words]) => words);
}"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Furnished]:
    with furnished(tmp_path_factory.mktemp("furnished")) as found:
        yield found


@pytest.fixture
def opened(browser: Browser, place: Furnished) -> Iterator[Open]:
    """Opens a window at a page of the service; checks at the end that nothing went wrong in it."""
    with ExitStack() as stack:

        def begin(path: str, width: int = 1280, scheme: str = "light") -> Visit:
            visit = stack.enter_context(visiting(browser, place.site, width, scheme))
            visit.go(place.path(path))
            return visit

        yield begin


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in HEAVY else ()) for name in PAGES]
)
def test_a_page_is_accessible_and_fits(opened: Open, name: str, width: int, scheme: str) -> None:
    at = opened(PAGES[name], width, scheme)
    if name == "study":
        expect(at.page.locator("#guidance img").first).to_be_visible()
    if name == "docs":
        at.page.locator("#operations-jobs-submitJob .opblock-summary-control").click()
        at.page.locator("#operations-jobs-listJobs .opblock-summary-control").click()
        expect(at.page.get_by_role("button", name="Try it out")).to_have_count(2)
    loaded(at.page)
    if name not in HEAVY:
        at.keep(name)
    at.check_page()


@pytest.mark.parametrize("width", [pytest.param(1280, marks=pytest.mark.slow), 390])
def test_no_label_of_a_picture_is_cut(opened: Open, place: Furnished, width: int) -> None:
    at = opened("/jobs/{completed}", width)
    options = "" if width > 640 else "?width=narrow"
    for name in PLOTS:
        page = at.go(place.path("/jobs/{completed}/pictures/") + f"{name}.svg{options}")
        assert page.evaluate(CUT) == [], name


def test_pictures_change_with_their_job_without_reloading(opened: Open, place: Furnished) -> None:
    at = opened("/jobs/{running}")
    page = at.page
    page.evaluate("window.sameDocument = true")
    assert loaded(page, "#pictures > figure img") == 3
    response = page.get_by_role("img", name=TITLES["response"])
    before = response.get_attribute("src") or ""
    server_fixtures.train(place.db, place.jobs.running, trials=1)
    expect(response).not_to_have_attribute("src", before)
    drawn = page.request.get(place.site.url + (response.get_attribute("src") or "")).text()
    assert re.search(r"from \d of \d trials", drawn)
    assert " UTC" in drawn
    page.get_by_text("More pictures ...").click()
    assert loaded(page) == len(TITLES)
    assert page.evaluate("window.sameDocument")
    page.get_by_role("link", name="Report so far").click()
    expect(page.get_by_role("status")).to_contain_text("The job is ")


@pytest.mark.parametrize("width", [1280, pytest.param(390, marks=pytest.mark.slow)])
def test_jobs_are_searched_sorted_and_compared(opened: Open, width: int) -> None:
    page = opened("/jobs", width).page
    listed = page.get_by_role("article")
    page.get_by_role("searchbox").fill("team=audio")
    page.keyboard.press("Enter")
    expect(listed.get_by_role("heading")).to_have_text([re.compile("going")])
    page.get_by_role("link", name="Clear").click()
    page.get_by_label("Order").select_option("by name")
    page.get_by_role("button", name="Show").click()
    names = ["done", "dropped", "going", "lengths", "waiting"]
    expect(listed.get_by_role("heading")).to_have_text([re.compile(name) for name in names])
    page.get_by_role("navigation", name="By state").get_by_role("link", name="failed").click()
    page.get_by_text("1 job found in it").click()
    expect(page.get_by_text("the data set is not below the data root")).to_be_visible()
    page.get_by_role("link", name="Clear").click()
    page.get_by_label("Study").select_option("lengths")
    page.get_by_role("button", name="Show").click()
    expect(listed).to_have_count(3)
    page.get_by_label("Compare lengths-000").check()
    page.get_by_label("Compare lengths-001").check()
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("heading", name="2 jobs compared")).to_be_visible()
    assert loaded(page) == 2
    different = page.get_by_role("region", name="spec differences").get_by_role("row")
    expect(different.get_by_role("rowheader")).to_have_text(["labels.training.epochs", "training.epochs"])


def test_a_study_is_found_and_read(opened: Open, place: Furnished) -> None:
    page = opened("/jobs").page
    row = page.get_by_role("article", name="lengths")
    expect(row.get_by_role("link", name="lengths-000")).to_be_hidden()
    row.get_by_text("3 jobs").click()
    expect(row.get_by_role("link", name="lengths-000")).to_be_visible()
    page.get_by_role("navigation", name="Service").get_by_role("link", name="Studies").click()
    page.get_by_role("link", name="lengths", exact=True).click()
    expect(page.get_by_role("progressbar", name="Cells", exact=True)).to_have_js_property("value", 3)
    expect(page.locator("#guidance img").first).to_be_visible()
    assert loaded(page) == 2, "the factor's picture and the optimizer's"
    reason = page.get_by_role("cell", name="the data set is not below the data root").bounding_box()
    table = page.get_by_role("region", name="Cells").get_by_role("table").bounding_box()
    assert reason
    assert table
    assert reason["width"] == pytest.approx(table["width"], abs=2), "the reason has the whole width of its row"
    page.get_by_role("link", name="001").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("lengths-001")
    page.go_back()
    page.get_by_role("link", name="Report", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("lengths")


def test_a_trial_is_reached_from_its_job_and_has_curve_log_and_file(opened: Open, place: Furnished) -> None:
    page = opened("/jobs/{running}").page
    page.get_by_role("region", name="In training").get_by_role("link", name=str(place.trial), exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(f"Trial {place.trial}")
    assert loaded(page) == 1
    expect(page.get_by_text(LOG)).to_be_visible()
    file = page.get_by_role("link", name=FILE).get_attribute("href") or ""
    assert "0.61" in page.request.get(place.site.url + file).text()


def test_what_a_worker_prepares_is_said_on_the_page_and_in_the_terminal(opened: Open, place: Furnished) -> None:
    def prepare(seconds: float | None) -> None:
        doing = {} if seconds is None else {"job": place.jobs.queued.id, "words": "compiling", "seconds": seconds}
        capabilities = {"device": "cpu"} | ({"preparing": doing} if doing else {})
        workers.worker_seen(place.db, "w9", host="here", pid=1, lanes=0, capabilities=capabilities)

    job, list_page = opened("/jobs/{queued}").page, opened("/jobs", 390, "dark").page
    prepare(40.4)
    for page in (job, list_page):
        expect(page.get_by_text(re.compile("compiling, about [34][0-9] s left"))).to_be_visible()
    with terminal("watch", "waiting", env={"THERMOWELL_URL": place.site.url}) as screen:
        screen.until(lambda text: "compiling, about " in text)
        prepare(None)
        screen.until(lambda text: "compiling" not in text)
    for page in (job, list_page):
        expect(page.get_by_text("compiling")).to_have_count(0)
