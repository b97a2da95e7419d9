"""The cost of an answer is counted rightly, and a simulated job is what a real one with the same seeds is."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from benchmarks import figures
from benchmarks.searching.cost import __main__ as command
from benchmarks.searching.cost import cost, coverage, methods, played, raw, side, verdict
from benchmarks.searching.cost.ground import TRY, Ground
from benchmarks.searching.cost.jobs import Job, Search, confirmed
from benchmarks.searching.cost.spec import job_spec
from benchmarks.searching.cost.steps import Step, as_shipped, within
from search.states import Arm, Stage


def test_failures_are_paid_for() -> None:
    found = cost.ert([100, 100, 50, 50], [True, False, True, False])
    assert found.value == 150
    assert (found.hits, found.runs, found.bound) == (2, 4, False)
    assert found.low <= found.value <= found.high


def test_who_never_hits_has_a_lower_bound_alone() -> None:
    found = cost.ert([10, 20], [False, False])
    assert (found.value, found.bound) == (30, True)


def test_a_ratio_is_the_median_over_contexts() -> None:
    cheap, dear = cost.ert([10] * 9, [True] * 9), cost.ert([40] * 9, [True] * 9)
    found = cost.ratio([cheap, cheap, dear], [dear, dear, dear])
    assert (found["median"], found["worst"]) == (0.25, 1.0)
    assert found["low"] == found["high"] == 0.25  # nothing varies


def test_a_share_has_wilsons_interval() -> None:
    found = cost.share([True] * 9 + [False])
    assert found["share"] == 0.9
    assert found["low"] == pytest.approx(0.596, abs=1e-3)
    assert found["high"] == pytest.approx(0.982, abs=1e-3)


def test_hits_that_have_their_chance_in_common_count_as_fewer() -> None:
    alone = cost.share([True] * 30 + [False] * 10)
    together = cost.share([True] * 30 + [False] * 10, [place // 5 for place in range(40)])
    assert together["share"] == alone["share"]
    assert together["low"] < alone["low"] < alone["high"] < together["high"]


def test_a_budget_pays_for_whole_steps_alone() -> None:
    steps = [Step(4, 0, 0, 9, 0.5), Step(5, 1, 0, 3, 0.9), Step(6, 2, 0, 9, 0.6)]
    assert within(steps, 15) == (steps[:2], 12)
    assert as_shipped(steps[:2]) == 4  # the better one was not trained as far


def test_a_place_on_the_grid_is_the_cell_of_its_values(ground: Ground) -> None:
    names = list(ground.grid.optimizers)
    for number in (0, 7, 123, 400, 719):
        cell = ground.cell(number)
        temperature, weight, rate, decay = ground.grid.coordinates(number)
        assert ground.flat(temperature, weight, names.index(cell.optimizer), rate, decay) == number


def test_jobs_that_differ_in_budget_alone_share_their_search(ground: Ground) -> None:
    def job(shared: Search | None, trials: int) -> Job:
        spec = job_spec(ground, 3, trials, False)
        return Job(ground, spec, shared or Search(ground, spec, Arm.JOINT)).run()

    shared = Search(ground, job_spec(ground, 3, 8, False), Arm.JOINT)
    for trials in (8, 14):
        assert job(shared, trials).trials == job(None, trials).trials


def test_a_job_pays_for_choosing_and_estimating(ground: Ground) -> None:
    spec = job_spec(ground, 1, 8, False)  # of a seed where more than one may be the best
    epochs = Job(ground, spec, Search(ground, spec, Arm.JOINT)).run().epochs()
    assert epochs["search"] == 8 * ground.length
    assert epochs["estimate"] == 4 * spec.confirmation.estimate_seeds * ground.length
    assert 0 < epochs["select"] <= 9 * ground.length


def test_our_confirmation_trains_what_a_peer_has_found_on_fresh_seeds(ground: Ground) -> None:
    steps = side.search("random", ground, 0, 8 * ground.length)
    job = confirmed(ground, job_spec(ground, 0, 1, False), steps)
    assert job.epochs()["search"] == sum(step.epochs for step in steps)
    assert job.winner in {step.cell for step in steps}
    tried = {trial.seed for trial in job.trials if trial.stage is Stage.SEARCH}
    assert tried.isdisjoint(trial.seed for trial in job.trials if trial.stage is not Stage.SEARCH)


@pytest.mark.parametrize("method", ["random", "optuna_tpe", "optuna_tpe_hyperband"])
def test_a_search_is_the_same_twice_and_keeps_to_its_budget(method: str, ground: Ground) -> None:
    steps = side.search(method, ground, 1, 6 * ground.length)
    assert steps == side.search(method, ground, 1, 6 * ground.length)
    assert sum(step.epochs for step in steps) < 7 * ground.length
    assert played.judged(ground, methods.BY_NAME[method], 1, steps)["shipped"]["8"][1] == as_shipped(steps)


def test_only_some_runs_are_confirmed(ground: Ground) -> None:
    method = methods.Method("random", "here", confirmed=1, most=8)
    steps = side.search("random", ground, 0, 8 * ground.length)
    assert "confirmed" in played.judged(ground, method, 0, steps)
    assert "confirmed" not in played.judged(ground, method, 1, steps)


def test_jobs_that_share_a_search_confirm_it_on_seeds_of_their_own(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coverage, "TRIALS", 12)
    rows = coverage.covered(ground, 0)
    assert len(rows) == coverage.CONFIRMATIONS
    assert ["set_holds" in row for row in rows] == [True, False, False, False, False]
    assert len({row["epochs"]["search"] for row in rows}) == 1
    widths = {tuple(width for _, _, width in row["gains"]) for row in rows}
    assert len(widths) == coverage.CONFIRMATIONS
    for chance, expected, upper in (row["stated"] for row in rows):
        assert 0 <= chance <= 1
        assert 0 <= expected <= upper
    assert len({tuple(row["stated"]) for row in rows}) > 1  # each job's own fresh seeds are heard
    blind = coverage.covered(ground, 0, sampler={"name": "random"})
    assert [row["stated"] for row in blind] != [row["stated"] for row in rows]


def test_what_is_stated_of_the_winner_is_held_against_it(ground: Ground) -> None:
    ranked = sorted(ground.soft, key=ground.regret)
    good, poor = ranked[0], ranked[-1]

    def rows(stated: float, bound: float) -> list[dict[str, Any]]:
        """A quarter of the winners is the best; the others are as poor as can be."""
        common = {"epochs": {"search": 1}, "gains": [[True, True, 0.01]]}
        return [
            {"search": job, "winner": poor if job % 4 else good, "stated": [stated, 0.1, bound], **common}
            for job in range(200)
        ]

    def missed(stated: float, bound: float) -> list[str]:
        said = verdict.headline({TRY: ground}, {TRY: {raw.COVERAGE: rows(stated, bound)}})
        assert said["winner_chance_stated"]["by_context"] == {TRY: pytest.approx(stated)}
        assert said["shortfall_bound_points"]["median"] == bound
        return [one for one in said["goals_missed"] if "winner" in one or "shortfall" in one]

    enough = ground.regret(poor)
    assert missed(0.25, enough) == missed(0.3, enough) == []  # 0.3 lies within the interval of a quarter of 200
    assert missed(0.4, enough) == [f"winner_within_tolerance in {TRY}: 0.25, stated 0.4"]
    assert missed(0.25, enough / 2) == [f"shortfall_bound_coverage in {TRY}: 0.25, goal 0.87"]


def test_slow_methods_get_as_much_time_as_others_and_fewer_runs(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[raw.Piece] = []
    seconds = {"optuna_gp": 3.0, "random": 1.0}

    def one(piece: raw.Piece, before: Path | None) -> raw.Done:
        made.append(piece)
        return raw.Done(piece, [], seconds[piece.method])

    monkeypatch.setattr(raw, "one", one)
    monkeypatch.setattr(raw, "ProcessPoolExecutor", ThreadPoolExecutor)
    chosen = [methods.Method("optuna_gp", "here", chunk=1, runs=4), methods.Method("random", "here", chunk=1, runs=12)]
    raw.make(raw.pieces([TRY], chosen, 0, False), 1, 60)
    assert len(made) == 16
    for count in (8, 12, 16):
        assert sum(piece.method == "optuna_gp" for piece in made[:count]) == count // 4


def test_the_command_keeps_its_pieces_and_says_what_it_promises(
    cache: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(methods, "BUDGETS", (8, 16))
    monkeypatch.setattr(coverage, "TRIALS", 16)
    said = []
    for _ in range(2):
        assert command.main(["--tiny", "--processes", "1", "--keep", "t"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert [line for line in lines[4:-1] if len(line) > 80 and not line.startswith("missed")] == []
        said.append(json.loads(lines[-1]))
    assert len(list(cache.glob("search/*.jsonl"))) >= 5
    said = [{key: value for key, value in one.items() if key not in ("when", "machine", "commit")} for one in said]
    assert said[0] == said[1]
    page = figures.written("<!-- figures: search_cost t -->\n<!-- end -->\n", cache / "results")
    assert "| ours | confirmed | " in page
    assert "| synthetic | 5 | " in page
    promised = "cost_vs_grid cost_vs_best_peer regret_points winner_within_tolerance confidence_set_coverage"
    promised += " winner_chance_stated shortfall_bound_coverage shortfall_bound_points"
    promised += " gain_coverage confidence_set_width warm_start_saving misled_cost goals_missed"
    promised += " regret_vs_gpsampler regret_vs_tpe regret_vs_bohb regret_vs_smac regret_after_8 regret_after_16"
    promised += " regret_after_32 set_width_vs_before regret_at_12 regret_at_24"
    assert set(promised.split()) <= set(said[0])
