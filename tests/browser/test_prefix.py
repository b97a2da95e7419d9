"""A browser's way below a prefix of a shared host, behind a real nginx; whatever leads outside of it fails the test."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests import nginx
from tests.browser.site import PATIENCE, Site, spec, visiting
from tests.nginx import PREFIX


@pytest.mark.slow
def test_signing_in_and_submitting_below_a_prefix(browser: Browser, site: Site, tmp_path: Path) -> None:
    with (
        nginx.before(site.url, tmp_path / "nginx") as address,
        visiting(browser, replace(site, url=address)) as at,
    ):
        page = at.page
        page.goto(f"{address}/")
        expect(page).to_have_url(re.compile(rf"{PREFIX}/signin"))
        at.sign_in("admin")
        page.get_by_role("navigation", name="Service").get_by_role("link", name="New job").click()
        page.get_by_label("Spec, as YAML or JSON").fill(spec("below", trials=1, epochs=1))
        page.get_by_role("button", name="Submit").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("below")
        page.evaluate("window.sameDocument = true")
        expect(page.locator(".badge")).to_have_text("completed", timeout=PATIENCE * 1000)  # by the stream of changes
        assert page.evaluate("window.sameDocument")
        page.get_by_role("link", name="Report").click()
        expect(page).to_have_title(re.compile("below"))
        page.go_back()
        page.get_by_role("main").get_by_role("link", name="Dashboard").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Optuna Dashboard cannot be shown here")
        page.go_back()
        page.get_by_role("navigation", name="Service").get_by_role("link", name="API").click()
        expect(page.locator("#operations-jobs-listJobs")).to_be_visible()
        page.go_back()
        with at.site.api() as api:
            [job] = [one for one in api.get("/jobs").json()["items"] if one["name"] == "below"]
            assert api.delete(f"/jobs/{job['id']}").status_code == 204
        at.noticed.expected.append("404")  # the job's page, which is told that the job is gone, and leaves
        expect(page).to_have_url(f"{address}/jobs")
        at.sign_out()
        expect(page).to_have_url(f"{address}/signin")
