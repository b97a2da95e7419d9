"""Regrets at equal totals of trainings: who pays for what, and what a ratio of them says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import figures
from benchmarks.common.facts import ROOT
from benchmarks.searching.cost import __main__ as command
from benchmarks.searching.cost import methods, raw, regrets, side, whole
from benchmarks.searching.cost.ground import TRY, Ground
from benchmarks.searching.cost.steps import as_shipped, within
from benchmarks.searching.worlds import Noiseless, Recorded


def test_a_peer_keeps_to_each_total_and_confirms_within_it(ground: Ground) -> None:
    steps = side.search("random", ground, 0, 110 * ground.length)
    row = whole.of_peer(ground, 0, steps)
    for total in methods.TOTALS:
        for form in regrets.FORMS:
            assert row[form][str(total)][0] <= total * ground.length
        assert row["shipped"][str(total)][1] == as_shipped(steps[:total])
        tried, _ = within(steps, (total - 9) * ground.length)
        first = sorted(tried, key=lambda step: -step.value)[:3]
        assert row["practised"][str(total)][1] in {step.cell for step in first}


def test_a_confirmation_may_overturn_the_best_single_run(ground: Ground) -> None:
    rows = [whole.of_peer(ground, run, side.search("random", ground, run, 32 * ground.length)) for run in range(8)]
    assert any(row["practised"]["32"][1] != row["shipped"]["32"][1] for row in rows)


def test_all_trainings_of_a_whole_job_count_and_its_answer_is_the_verdicts(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whole, "TOTALS", (16,))
    ((trainings, answer, winner, best, distils),) = whole.at_totals(ground, 2)["totals"].values()
    assert trainings <= 16
    job = whole._played(Recorded(ground.name), 2, budget={"trainings": 16})
    assert ground.regret(best) <= ground.regret(winner)
    assert distils in ground.soft
    result = job.documents()["result"]
    of_answer = [one for one in result.verdict.alternatives if one.arm != "label_only"]
    assert distils == whole._cell(ground, max(of_answer, key=lambda one: one.mean).configuration)
    assert len(job.trials) == trainings
    assert (answer, winner) == tuple(
        whole._cell(ground, configuration)
        for configuration in (result.verdict.configuration, result.winner.configuration)
    )


def test_an_oracle_whose_runs_have_no_noise_sees_the_truth(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole, "TOTALS", (16,))
    ((_, _, winner, best, _),) = whole.at_totals(ground, 2, noiseless=True)["totals"].values()
    job = whole._played(Noiseless(ground.name), 2, budget={"trainings": 16})
    for trial in job.trials:
        assert trial.value == float(ground.final[whole._cell(ground, trial.configuration)])
    assert winner == whole._winner(ground, job)
    assert ground.regret(best) <= ground.regret(winner)


def _sides(ours: Any, *forms: Any, paired: bool = False) -> regrets.Sides:
    return [("a", np.asarray(ours, dtype=float), [np.asarray(form, dtype=float) for form in forms], paired)]


def test_a_ratio_is_against_the_better_form_budget_by_budget() -> None:
    one = regrets.ratio(_sides([[1.0, 1.0]], [[2.0, 8.0]], [[4.0, 4.0]]), floor=0.0)
    assert one is not None
    assert one["ratio"] == pytest.approx(8**-0.5, abs=1e-3)


def test_answers_without_regret_are_no_division_by_nothing() -> None:
    one = regrets.ratio(_sides([[0.0]] * 3, [[0.0]] * 3))
    assert one is not None
    assert (one["ratio"], one["low"], one["high"]) == (1.0, 1.0, 1.0)
    assert regrets.ratio([]) is None


def test_runs_of_one_seed_are_drawn_together_where_they_are_paired() -> None:
    luck = np.random.default_rng(1).uniform(0.1, 2, size=(30, 1))
    together = regrets.ratio(_sides(luck / 2, luck, paired=True), floor=0.0)
    apart = regrets.ratio(_sides(luck / 2, luck), floor=0.0)
    assert together is not None
    assert apart is not None
    assert (together["low"], together["high"]) == (0.5, 0.5)
    assert apart["low"] < 0.5 < apart["high"]


def test_labels_alone_have_no_regret_below_nothing(ground: Ground) -> None:
    best = max(ground.soft, key=lambda cell: ground.final[cell])
    values = regrets._regrets(ground, [[best, None]])
    assert values[0, 0] == 0
    assert values[0, 1] > 0


def test_a_goal_is_missed_by_its_bounds_too(ground: Ground) -> None:
    said: dict[str, Any] = {key: {"ratio": goal, "by_context": {}} for key, goal in regrets.GOALS.items()}
    said["regret_vs_gpsampler"] |= {"high": 0.9, "by_context": {"a": {"low": 0.7}}}
    said["set_coverage"] = {"share": 0.9}
    assert regrets.missed(said) == []
    said["regret_vs_gpsampler"] |= {"high": 1.1, "by_context": {"a": {"low": 1.05}}}
    said["regret_vs_tpe"] = None
    assert [line.split(":")[0] for line in regrets.missed(said)] == [
        "regret_vs_tpe", "regret_vs_gpsampler", "regret_vs_gpsampler in a",
    ]  # fmt: skip


@pytest.mark.slow
def test_a_checkout_beside_itself_plays_the_same_jobs(
    cache: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, home in (("ours", "ours"), ("before", "before")):
        monkeypatch.setitem(methods.BY_NAME, name, methods.Method(name, home, chunk=1, runs=1))  # type: ignore[arg-type]
    arguments = ["--only", "fashion-whole-16", "--methods", "ours,before", "--runs", "1", "--processes", "1"]
    assert command.main([*arguments, "--before", str(ROOT), "--keep", "t"]) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    for trials in regrets.AFTER:
        assert said[f"regret_after_{trials}"]["ratio"] == 1.0
    assert said["regret_vs_gpsampler"] is None
    assert "regret_vs_gpsampler: not measured" in said["regret_goals_missed"]
    page = figures.written("<!-- figures: search_regret t -->\n<!-- end -->\n", cache / "results")
    assert "| now | " in page


def test_the_commit_before_is_asked_for(cache: Path) -> None:
    with pytest.raises(ValueError, match="--before CHECKOUT"):
        raw.one(raw.Piece(TRY, False, "before", 0, 1))
