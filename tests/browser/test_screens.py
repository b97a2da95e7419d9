"""Screens of a service with made-up jobs, beside those that lie in docs/screens: nothing has moved unnoticed.

`SCREENS=write pytest -m slow tests/browser/test_screens.py` writes them anew; look at what differs. TAKEN_WITH says by
which Chromium each was taken: that one is held to SAME; another one draws letters a little otherwise, and is held to
OTHER.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from PIL import Image, ImageChops
from playwright.sync_api import Browser, Page

from tests.browser.furnished import Furnished, furnished
from tests.browser.site import loaded

SCREENS = Path(__file__).parents[2] / "docs" / "screens"
LOOKS = ((1280, "light"), (390, "dark"))
SMALLER = 4  # pixels of a side that become one
NOTICED = 32  # of 255 levels of grey
SAME = 0.002  # of the smaller picture's pixels may differ by more, where the same Chromium took both
OTHER = 0.02
TAKEN_WITH = SCREENS / "chromium.json"
PAGES = {
    "jobs": "/jobs",
    "job-completed": "/jobs/{completed}",
    "job-running": "/jobs/{running}",
    "job-queued": "/jobs/{queued}",
    "trial": "/jobs/{completed}/trials/0",
    "compare": "/compare?job={completed}&job={running}",
    "study": "/studies/{study}",
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
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Furnished]:
    with furnished(tmp_path_factory.mktemp("screens")) as found:
        yield found


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


def tolerance(name: str, version: str) -> float:
    """How much of a screen may differ from the picture of this name, taken by a Chromium of this version."""
    return SAME if json.loads(TAKEN_WITH.read_text()).get(name) == version else OTHER


def keep(image: Image.Image, name: str, version: str) -> None:
    """Puts a screen in the place of the picture that was there, with the version of the Chromium that took it."""
    SCREENS.mkdir(exist_ok=True)
    image.convert("RGB").quantize(96).save(SCREENS / f"{name}.png", optimize=True)
    versions = json.loads(TAKEN_WITH.read_text()) if TAKEN_WITH.exists() else {}
    TAKEN_WITH.write_text(json.dumps(dict(sorted((versions | {name: version}).items())), indent=2) + "\n")


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), LOOKS)
@pytest.mark.parametrize("name", PAGES)
def test_a_screen_looks_as_it_did(
    place: Furnished,
    browser: Browser,
    pages: dict[tuple[int, str], Page],
    tmp_path: Path,
    name: str,
    width: int,
    scheme: str,
) -> None:
    page, path = pages[width, scheme], tmp_path / "screen.png"
    page.goto(place.site.url + place.path(PAGES[name]), wait_until="load")
    if name == "docs":
        page.locator("#operations-jobs-listJobs").wait_for()
    if name == "study":
        page.locator("#guidance img").first.wait_for(timeout=90_000)  # a service beside other tests computes it
        loaded(page)
    page.evaluate(STEADY)
    page.screenshot(path=path, animations="disabled", caret="hide")
    screen = f"{name}-{width}-{scheme}"
    with Image.open(path) as image:
        if os.environ.get("SCREENS") == "write":
            keep(image, screen, browser.version)
        with Image.open(SCREENS / f"{screen}.png") as before:
            share = differing(image, before)
    allowed = tolerance(screen, browser.version)
    assert share <= allowed, (
        f"{share:.2%} of {screen} differ, {allowed:.2%} may with Chromium {browser.version}: look at {path}, and write "
        "it anew where it is right"
    )


def test_each_screen_says_which_chromium_took_it() -> None:
    taken = json.loads(TAKEN_WITH.read_text())
    assert taken.keys() == {file.stem for file in SCREENS.glob("*.png")}
    assert taken.keys() == {f"{name}-{width}-{scheme}" for name in PAGES for width, scheme in LOOKS}
    assert tolerance("jobs-1280-light", taken["jobs-1280-light"]) == SAME
    assert tolerance("jobs-1280-light", "1.0") == OTHER


def test_what_moves_is_noticed() -> None:
    """A button's worth of a page that goes elsewhere, and a colour that is another."""
    page = Image.new("RGB", (390, 844), "#ffffff")
    moved = page.copy()
    page.paste("#1d232b", (20, 100, 180, 140))
    moved.paste("#1d232b", (20, 130, 180, 170))
    assert differing(page, page) == 0
    assert differing(page, moved) > OTHER
    assert differing(page, Image.new("RGB", (390, 844), "#15181c")) > OTHER
