"""The page tells the whole answer by itself, and what users wrote stays text."""

from __future__ import annotations

import dataclasses
import functools
import html
import re
from html.parser import HTMLParser
from typing import Any, get_args

import numpy as np
import pytest
import yaml

from search import units
from search.records import Reason
from search.requests.job_view import JobView
from search.spec.job import JobSpec, SamplerSpec
from search.states import JobState, Stage, TrialState
from service.pages import dashboard_note, report, spec_words
from service.plots import names
from tests import synthetic

SPEC = synthetic.spec(labels={"team": "vision"})
TRIALS = synthetic.Builder(SPEC, synthetic.ridge, 0.004, np.random.default_rng(0)).job()


@functools.cache
def documents() -> dict[str, Any]:
    return synthetic.documents(SPEC, TRIALS)


@functools.cache
def job_view() -> JobView:
    return synthetic.job_view(SPEC, TRIALS, documents())


VOID = {"meta", "br", "link", "img"}


class Page(HTMLParser):
    """What a page holds, and whether its elements are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def page(picture_base: str | None = "/v1/jobs/j/report", **changes: Any) -> str:
    return report.render(dataclasses.replace(job_view(), **changes), picture_base=picture_base)


def words(text: str) -> str:
    plain = html.unescape(re.sub(r"<[^>]+>", " ", re.sub(r"<style>.*?</style>", "", text, flags=re.DOTALL)))
    return re.sub(r"\s+", " ", plain.replace("\N{NO-BREAK SPACE}", " "))


def test_the_answer_comes_first_and_every_doubt_is_told() -> None:
    said = words(page())
    summary = documents()["result"].summary
    assert "team: vision" in said
    assert summary in said[: said.index("Temperature response")]
    for caution in documents()["result"].cautions:
        assert caution in said
    assert documents()["result"].estimand in said
    assert documents()["result"].conventions in said
    assert documents()["response"].method in said


def test_how_the_search_proposed_is_told_in_words() -> None:
    assert "sampler gp (Gaussian process, knowledge gradient)" in words(page())
    told = [spec_words.sampler({"name": name}) for name in get_args(SamplerSpec.model_fields["name"].annotation)]
    assert [one for one in told if " (" not in one] == ["random"]


def test_the_page_is_whole_html_with_every_picture() -> None:
    parsed = Page(page())
    tags = [tag for tag, _ in parsed.elements]
    assert tags.count("svg") == 2 * (len(names.PLOTS) - len(report.LIVE)) == 24
    assert tags.count("h1") == 1
    assert ("html", {"lang": "en"}) in parsed.elements
    ids = [attributes["id"] for _, attributes in parsed.elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_it_loads_nothing_and_runs_nothing() -> None:
    parsed = Page(page())
    assert not {"script", "link", "iframe", "img", "object"} & {tag for tag, _ in parsed.elements}
    for _, attributes in parsed.elements:
        assert "src" not in attributes
        assert not [name for name in attributes if name.startswith("on")]
        assert str(attributes.get("href", "#")).startswith(("#", "/v1/jobs/j/report/"))
    assert "@import" not in page()
    assert "url(" not in page()


def test_pictures_are_linked_only_where_they_are_served() -> None:
    for name in set(names.PLOTS) - set(report.LIVE):
        for kind in ("svg", "png"):
            assert f'href="/v1/jobs/j/report/{name}.{kind}"' in page()
    assert ".svg" not in page(picture_base=None)
    assert ".png" not in page(picture_base=None)


def test_the_spec_on_the_page_is_the_spec() -> None:
    assert "thermowell submit spec.yaml --watch" in page()
    [block] = re.findall(r"<pre>(.*?)</pre>", page(), flags=re.DOTALL)
    assert JobSpec.model_validate(yaml.safe_load(html.unescape(block))) == SPEC


def test_gains_are_told_with_their_intervals() -> None:
    said = words(page())
    for gain in documents()["result"].gains:
        assert f"{100 * (gain.mean or 0.0):.1f} points".replace("-", "−") in said
    assert said.count("tuned for it, with a share of the budget") == 3


def test_it_tells_how_sure_it_is_of_its_winner() -> None:
    found = documents()["result"].shortfall
    said = words(page())
    assert f"{units.chance(found.chance_within_delta)} chance to be within 0.2 points of the best" in said
    assert f"shortfall from the best of the space {units.shortfall('accuracy', found)}" in said
    assert found.method in said
    older = words(page(result=documents()["result"].model_copy(update={"shortfall": None})))
    assert "chance to be within" not in older
    assert found.method not in older


def test_how_it_was_found_is_counted() -> None:
    stopped = {trial.number for trial in TRIALS if trial.stage is Stage.SEARCH and trial.number % 4 == 0}
    trials = [synthetic.pruned(trial) if trial.number in stopped else trial for trial in TRIALS]
    said = words(page(trials=trials))
    assert f"search trials {64 - len(stopped)} completed, {len(stopped)} pruned" in said
    assert "estimate trials 35 completed" in said
    assert "98.0 % validation accuracy" in said
    assert "1:35 min" in said


def test_the_best_single_trials_are_listed_best_first() -> None:
    text = page()
    listed = [int(number) for number in re.findall(r'<tr><td class="n">(\d+)</td>', text)]
    search = [trial for trial in TRIALS if trial.stage is Stage.SEARCH and trial.state is TrialState.COMPLETED]
    best = sorted(search, key=lambda trial: -(trial.value or 0.0))[: report.BEST_TRIALS]
    assert listed == [trial.number for trial in best]


@pytest.mark.parametrize("field", ["name", "labels", "spec"])
def test_what_users_wrote_stays_text(field: str) -> None:
    attack = "</pre><script>alert(1)</script>{{ 'bo' ~ 'om' }}"
    job = synthetic.job(SPEC)
    value = {"name": attack, "labels": {"a": attack}, "spec": dict(job.spec) | {"name": attack}}[field]
    text = page(job=dataclasses.replace(job, **{field: value}))
    assert "<script" not in text
    assert "boom" not in text
    assert attack in html.unescape(text)
    Page(text)


def test_an_answer_without_response_baselines_or_teacher_is_told_too() -> None:
    spec = synthetic.spec(
        space={"temperature": 4.0},
        budget={"trials": 4},
        baselines={"share": 0.0},
        confirmation={"estimate_seeds": 2},
        objective={"metric": "nll"},
    )
    trials = [
        dataclasses.replace(trial, test_metrics=None)
        for trial in synthetic.Builder(spec, lambda c: 1 - synthetic.ridge(c), 0.01, np.random.default_rng(0)).job()
        if trial.variant != "same_settings"
    ]
    documents = synthetic.documents(spec, trials, softness=[], teacher=None)
    job = synthetic.job(spec, teacher=None, fixed=None)
    text = report.render(synthetic.job_view(spec, trials, documents, job=job), picture_base=None)
    Page(text)
    assert "No baseline was trained." in text
    assert "nats" in text


def test_a_failed_winner_is_told() -> None:
    trials = [
        dataclasses.replace(synthetic.diverged(trial), test_metrics=None) if trial.variant == "winner" else trial
        for trial in TRIALS
    ]
    text = page(trials=trials, **synthetic.documents(SPEC, trials))
    Page(text)
    assert "No answer: the configuration that was chosen" in text


def test_a_sealed_test_part_is_said_in_the_place_of_its_figures() -> None:
    trials = [dataclasses.replace(trial, test_metrics=None) for trial in TRIALS]
    documents = synthetic.documents(SPEC, trials)
    result = documents["result"].model_copy(update={"test_sealed": True})
    text = page(trials=trials, **(documents | {"result": result}))
    Page(text)
    assert "test accuracy" in text
    assert "sealed: nothing is decided, and nobody has asked for it" in text
    assert "sealed" not in page()


def test_the_same_standing_gives_the_same_page() -> None:
    assert page() == page()


@pytest.mark.parametrize(
    ("state", "problem", "said"),
    [
        (JobState.RUNNING, None, "The job is running: 64 of 64 search trials have ended"),
        (JobState.CANCELLED, None, "The job is cancelled"),
        (JobState.FAILED, Reason("dataset-missing", "CIFAR10 is not there."), "The job has failed: CIFAR10 is not"),
    ],
)
def test_a_job_without_an_answer_tells_how_far_it_is(state: JobState, problem: Reason | None, said: str) -> None:
    job = synthetic.job(SPEC, state=state, problem=problem)
    text = page(job=job, final=False, result=None)
    Page(text)
    told = words(text)
    assert said in told
    assert ("There is no answer yet" in told) == (state is JobState.RUNNING)
    assert "There is no answer" in told
    assert ("Load this page again" in told) == (state is JobState.RUNNING)
    assert "The best single trials" in told


def test_an_answer_that_is_still_being_measured_says_so() -> None:
    told = words(page(job=synthetic.job(SPEC, state=JobState.CONFIRMING), final=False))
    assert f"So far: {documents()['result'].verdict.headline}" in told
    assert documents()["result"].verdict.action in told
    assert "The best candidate so far" in told


def test_the_note_says_the_answer_the_doubts_and_the_spec() -> None:
    told = dashboard_note.note(job_view())
    shown = unescaped(told)
    verdict = documents()["result"].verdict
    assert f"**{verdict.headline}** {verdict.action}" in shown
    for caution in documents()["result"].cautions:
        assert f"- {caution}" in shown
    [block] = re.findall(r"```yaml\n(.*?)```", told, flags=re.DOTALL)
    assert JobSpec.model_validate(yaml.safe_load(block)) == SPEC
    running = dataclasses.replace(job_view(), final=False, result=None, job=synthetic.job(SPEC, state=JobState.RUNNING))
    assert "The best so far is trial 12 with 93.0 %, on one seed." in dashboard_note.note(running)


def unescaped(markdown: str) -> str:
    """Markdown's text, as it is shown."""
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", markdown)


ATTACK = "<img src=x onerror=alert(1)> [click](javascript:1) **bold** `code`\n\n# head\n- item ![](http://evil.example/x)\x1b[31m\u202e"


def test_whatever_a_note_quotes_is_text() -> None:
    """A problem's detail, the answer's summary and its doubts may all name what users named."""
    failed = dataclasses.replace(synthetic.job(SPEC, state=JobState.FAILED), problem=Reason("no-trials", ATTACK))
    result = documents()["result"].model_copy(update={"summary": ATTACK, "cautions": [ATTACK]})
    for view in (
        dataclasses.replace(job_view(), final=False, result=None, job=failed),
        dataclasses.replace(job_view(), result=result),
        dataclasses.replace(job_view(), final=False, result=result),
    ):
        told = dashboard_note.note(view).partition("## The spec")[0]
        assert "alert" in told
        bare = re.sub(r"\\[!-/:-@\[-`{-~]", "", told)
        assert not set("<>`") & set(
            bare.replace(f"`{view.job.id}`", "").replace("`/v1/jobs/", "").replace("/trials`", "")
        )
        assert bare.count("](") == 1, "the report's link alone"
        assert not re.search(r"[\x00-\x09\x0b-\x1f\u202e]", told)
        assert [line for line in told.splitlines() if line.startswith("# ")] == [f"# {SPEC.name}"]


def test_what_users_wrote_does_nothing_in_a_note() -> None:
    attack = "# <img src=x>\n```\n[click](javascript:1)"
    job = synthetic.job(SPEC)
    changed = dataclasses.replace(job, name=attack, spec=dict(job.spec) | {"name": attack})
    told = dashboard_note.note(dataclasses.replace(job_view(), job=changed))
    head, _, spec = told.partition("## The spec")
    assert "<img" not in head.replace("\\<", "")
    assert "[click](" not in head
    assert spec.lstrip().startswith("````yaml"), "the fence is longer than any in the spec"
