"""Twenty screens of a service with made-up jobs, beside those that lie in docs/screens: nothing has moved unnoticed.

`SCREENS=write pytest -m slow tests/browser/test_screens.py` writes them anew; look at what differs. Small differences
pass: another Chromium draws letters a little otherwise, and plots bear the moment of their data.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from PIL import Image, ImageChops
from playwright.sync_api import Browser, Page

from search.storage.db import open_database
from service.settings import Settings
from tests.service import server_fixtures
from tests.service.server_fixtures import Jobs, serving

SCREENS = Path(__file__).parents[2] / "docs" / "screens"
LOOKS = ((1280, "light"), (390, "dark"))
SMALLER = 4  # pixels of a side that become one
NOTICED = 32  # of 255 levels of grey
TOLERATED = 0.01  # of the smaller picture's pixels may differ by more
PAGES = {
    "jobs": "/jobs",
    "job-completed": "/jobs/{completed}",
    "job-running": "/jobs/{running}",
    "job-queued": "/jobs/{queued}",
    "trial": "/jobs/{completed}/trials/0",
    "compare": "/compare?job={completed}&job={running}",
    "new": "/jobs/new",
    "report": "/v1/jobs/{completed}/report",
    "missing": "/jobs/none",
    "docs": "/docs",
}
STEADY = """() => {
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    texts.currentNode.data = texts.currentNode.data
      .replace(/\\b[0-9a-f]{16}\\b/g, "0123456789abcdef")
      .replace(/\\b\\d{4}-\\d\\d-\\d\\d\\b/g, "2026-01-01")
      .replace(/\\b\\d{1,2} [A-Z][a-z]{2} \\d{4}\\b/g, "1 Jan 2026")
      .replace(/\\b\\d\\d:\\d\\d(:\\d\\d)?\\b/g, (time) => "12:00:00".slice(0, time.length))
      .replace(/\\b[0-9.]+( ms| s)\\b/g, "1$1");
  }
  scrollTo(0, 0);
}"""


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Jobs]]:
    """The address of a service that is open to this machine, and its jobs, whose trials are made up."""
    var = tmp_path_factory.mktemp("screens")
    jobs = server_fixtures.furnish(var)
    db = open_database(f"sqlite:///{var / 'thermowell.db'}")
    with db.write() as connection:  # as it is some minutes later, with a worker that is still heard
        connection.exec_driver_sql("UPDATE tw_jobs SET updated_at = updated_at - 600")
        connection.exec_driver_sql("UPDATE tw_reports SET reported_at = reported_at - 600")
        connection.exec_driver_sql("UPDATE tw_workers SET silent_at = silent_at + 86400")
        connection.exec_driver_sql("UPDATE tw_leases SET expires_at = expires_at + 86400")
    db.close()
    with serving(Settings.model_validate({"var": var, "lease_seconds": 1e6, "show_seconds": 3600.0})) as url:
        yield url, jobs


@pytest.fixture(scope="module")
def pages(browser: Browser) -> Iterator[dict[tuple[int, str], Page]]:
    """A window for each look."""
    with ExitStack() as stack:
        windows = {}
        for width, scheme in LOOKS:
            viewport = {"width": width, "height": 900 if width > 600 else 844}
            context = browser.new_context(viewport=viewport, color_scheme=scheme)  # type: ignore[arg-type]
            stack.callback(context.close)
            windows[width, scheme] = context.new_page()
        yield windows


def differing(one: Image.Image, other: Image.Image) -> float:
    """The share of pixels that differ visibly, of the pictures made smaller."""
    if one.size != other.size:
        return 1.0
    size = one.width // SMALLER, one.height // SMALLER
    small = [picture.convert("L").resize(size, Image.Resampling.BOX) for picture in (one, other)]
    histogram = ImageChops.difference(*small).histogram()
    return sum(histogram[NOTICED:]) / (size[0] * size[1])


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), LOOKS)
@pytest.mark.parametrize("name", PAGES)
def test_a_screen_looks_as_it_did(
    furnished: tuple[str, Jobs],
    pages: dict[tuple[int, str], Page],
    tmp_path: Path,
    name: str,
    width: int,
    scheme: str,
) -> None:
    url, jobs = furnished
    ids = {kind: getattr(jobs, kind).id for kind in ("completed", "running", "queued")}
    page, path = pages[width, scheme], tmp_path / "screen.png"
    page.goto(url + PAGES[name].format(**ids), wait_until="load")
    if name == "docs":
        page.locator("#operations-jobs-listJobs").wait_for()
    page.evaluate(STEADY)
    page.screenshot(path=path, animations="disabled", caret="hide")
    kept = SCREENS / f"{name}-{width}-{scheme}.png"
    with Image.open(path) as image:
        if os.environ.get("SCREENS") == "write":
            SCREENS.mkdir(exist_ok=True)
            image.convert("RGB").quantize(96).save(kept, optimize=True)
        with Image.open(kept) as before:
            share = differing(image, before)
    assert share <= TOLERATED, f"{share:.1%} of {kept.name} differ: look at {path}, and write it anew where it is right"


def test_what_moves_is_noticed() -> None:
    """A button's worth of a page that goes elsewhere, and a colour that is another."""
    page = Image.new("RGB", (390, 844), "#ffffff")
    moved = page.copy()
    page.paste("#1d232b", (20, 100, 180, 140))
    moved.paste("#1d232b", (20, 130, 180, 170))
    assert differing(page, page) == 0
    assert differing(page, moved) > TOLERATED
    assert differing(page, Image.new("RGB", (390, 844), "#15181c")) > TOLERATED
