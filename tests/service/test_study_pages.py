"""The pages of studies and of compared jobs, as a browser without script has them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import unescape

import httpx
import pytest

from search.analysis.study.cells import Cell
from search.requests import studies
from search.requests.studies import get_guidance, submit_study
from search.storage.db import Database
from search.studies.records import StudyDetail
from search.studies.spec import StudyExtension, StudySpec
from service.settings import Settings
from tests.service import server_fixtures
from tests.service.server_fixtures import Jobs
from tests.service.test_pages import HTML, words
from thermowell.api.guidance import Guidance


@pytest.fixture
def study(db: Database, settings: Settings) -> StudyDetail:
    """A study of two cells: one is answered, the other has failed."""
    return server_fixtures.cross(db, settings.artifact_root)


def get(client: httpx.Client, path: str) -> httpx.Response:
    answer = client.get(path, headers=HTML)
    assert answer.status_code == 200, answer.text
    return answer


def test_a_study_is_one_row_of_the_jobs_list(client: httpx.Client, study: StudyDetail) -> None:
    listed = get(client, "/jobs")
    assert re.search(r"crossed completed a study: 1 completed, 1 failed .* Cells 2 of 2 2 of 2 2 jobs", words(listed))
    assert "the data set is not below the data root" in words(listed)
    assert f'href="/studies/{study.id}"' in listed.text
    assert f'href="/v1/studies/{study.id}/report"' in listed.text
    cells = words(get(client, f"/jobs?study={study.id}"))
    assert "crossed-000" in cells
    assert "going" not in cells
    assert words(get(client, "/jobs?q=nothing-like-it")).count("No job is like that") == 1
    found = words(get(client, "/jobs?q=crossed-001&sort=name"))
    assert "1 job found in it" in found


def test_the_pages_of_studies(client: httpx.Client, study: StudyDetail) -> None:
    assert re.search(r"crossed completed .*epochs: 2, 3", words(get(client, "/studies")))
    page = get(client, f"/studies/{study.id}")
    told = words(page)
    assert re.search(r"000 completed 2 64 of 64 3\.\d ≤1 to \d+ 90\.\d % [+−]?[\d.]+", told)
    assert "001 failed" in told
    assert "the data set is not below the data root" in told
    assert f'href="/jobs/{study.cells[0].job_id}"' in page.text
    assert f'data-fragment="/studies/{study.id}/guidance"' in page.text
    part = get(client, f"/studies/{study.id}/guidance")
    assert "from 1 of 2 cells" in words(part)
    for address in re.findall(r'src="([^"]+\.svg[^"]*)"', part.text):
        assert get(client, unescape(address)).text.startswith("<svg")
    assert client.get(f"/studies/{study.id}/factors/99.svg").status_code == 404
    assert client.get("/studies/none", headers=HTML).status_code == 404


def test_jobs_are_compared(client: httpx.Client, study: StudyDetail, jobs: Jobs) -> None:
    chosen = [jobs.completed.id, jobs.running.id, study.cells[0].job_id]
    page = words(get(client, "/compare?" + "&".join(f"job={job_id}" for job_id in chosen)))
    assert "3 jobs compared" in page
    assert re.search(r"temperature 3\.\d+ – 3\.\d+", page)
    assert re.search(r"on validation 90\.\d+ % \(90 % interval .*\) 88\.8 %, the best single trial so far 90", page)
    assert re.search(r"Where their specs differ .*budget\.trials 24 4 24", page)
    assert "labels.team" in page
    assert "The winners' settings" in page
    for name, part in (("responses", "may be the best"), ("gains", "Gains over the tuned baselines")):
        assert part in get(client, f"/compare/{name}.svg?" + "&".join(f"job={job_id}" for job_id in chosen)).text
    one = words(get(client, f"/compare?job={jobs.running.id}"))
    assert "Choose at least two jobs" in one
    many = "&".join(f"job={job_id}" for job_id in [jobs.queued.id, jobs.cancelled.id, *chosen, study.cells[1].job_id])
    assert "6 jobs compared" in words(get(client, f"/compare?{many}"))
    assert client.get(f"/compare?job={jobs.running.id}&job=none").status_code == 404


def test_a_bar_of_what_has_failed_is_not_full(client: httpx.Client, study: StudyDetail) -> None:
    page = get(client, f"/jobs/{study.cells[1].job_id}")
    bars = re.findall(r'<progress max="(\d+)" value="(\d+)" aria-label="All trials"', page.text)
    assert bars
    assert all(int(value) < int(most) for most, value in bars)


def test_a_job_s_page_carries_its_pictures_and_they_change_with_it(
    client: httpx.Client, db: Database, jobs: Jobs
) -> None:
    def pictures() -> list[str]:
        page = get(client, f"/jobs/{jobs.running.id}")
        assert "Report so far" in words(page)
        return [unescape(address) for address in re.findall(r'<img src="([^"]+/pictures/[^"]+)"', page.text)]

    before = pictures()
    assert [re.findall(r"/(\w+)\.svg", address)[0] for address in before[:3]] == ["response", "best", "lanes"]
    drawn = get(client, before[0]).text
    assert "from 2 of 4 trials" in drawn
    assert " UTC" in drawn
    assert 'width="358"' in get(client, f"{before[0]}&width=narrow").text
    server_fixtures.train(db, jobs.running, trials=1)
    assert set(pictures()).isdisjoint(before)
    for address in pictures():
        assert get(client, address).text.startswith("<svg")


def test_a_trial_has_a_page_with_its_curve(client: httpx.Client, jobs: Jobs) -> None:
    assert f'href="/jobs/{jobs.running.id}/trials/1"' in get(client, f"/jobs/{jobs.running.id}").text
    page = get(client, f"/jobs/{jobs.running.id}/trials/1")
    shown = words(page)
    assert re.search(r"Trial 1 completed search; 2 of 2 epochs; accuracy 88\.8 %", shown)
    assert "optimizer SGD learning rate 0.02" in shown
    assert "negative log-likelihood 0.112 nats" in shown
    assert "trial 1 ended at epoch 2 with 88.8 %" in shown
    assert "trial 0 ended" not in shown
    [curve] = re.findall(r'<img src="([^"]+/curve[^"]+)"', page.text)
    assert "Trial 1 over its epochs" in get(client, unescape(curve)).text
    assert client.get(f"/jobs/{jobs.running.id}/trials/99", headers=HTML).status_code == 404


def test_the_page_of_a_study_says_that_its_trials_are_a_grid(client: httpx.Client, db: Database) -> None:
    base = server_fixtures.document(budget={"trials": 48})
    del base["name"]
    small = {"temperatures": [1, 4, 20], "settings": 2}
    for name, said in (("grid", "the same in every cell"), ("adaptive", "most of them where they tell most")):
        trials = {"name": name, **small}
        crossed = StudySpec(name="crossed", factors={"training.epochs": [2, 3]}, replicates=1, base=base, trials=trials)
        found, _ = submit_study(db, crossed, server_fixtures.LOCAL)
        shown = words(get(client, f"/studies/{found.id}"))
        assert f"trials on a grid, {said}" in shown
        assert client.get(f"/v1/studies/{found.id}").json()["trials"] == name
        assert ("2 queued; of its search trials 24 of 96 are handed out" in shown) == (name == "adaptive")


def test_a_picture_of_a_factor_needs_no_questions(db: Database, study: StudyDetail) -> None:
    pictured = get_guidance(db, study.id, server_fixtures.LOCAL, questions=False)
    asked = get_guidance(db, study.id, server_fixtures.LOCAL)
    assert asked.questions
    assert not pictured.questions
    assert (pictured.factors, pictured.cells, pictured.searched) == (asked.factors, asked.cells, asked.searched)


def test_page_pictures_and_report_share_one_guidance(
    client: httpx.Client, db: Database, study: StudyDetail, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed: list[str] = []
    compute = studies.compute_guidance

    def count(name: str, cells: Sequence[Cell]) -> Guidance:
        computed.append(name)
        return compute(name, cells)

    monkeypatch.setattr(studies, "compute_guidance", count)
    part = get(client, f"/studies/{study.id}/guidance").text
    pictures = re.findall(r'src="([^"]+\.svg[^"]*)"', part)
    assert pictures
    for address in (*map(unescape, pictures), f"/v1/studies/{study.id}/report", f"/studies/{study.id}/guidance"):
        assert get(client, address)
    assert client.get(f"/v1/studies/{study.id}/guidance").status_code == 200
    assert computed == ["crossed"]
    studies.extend_study(db, study.id, server_fixtures.LOCAL, StudyExtension(factors={"training.epochs": [4]}))
    anew = get(client, f"/studies/{study.id}/guidance").text
    assert len(computed) == 2
    assert not set(pictures) & set(re.findall(r'src="([^"]+\.svg[^"]*)"', anew)), "a browser keeps pictures by address"
