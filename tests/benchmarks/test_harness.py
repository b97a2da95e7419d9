"""Counts and comparisons of the benchmarks, and what they say when a side fails."""

from __future__ import annotations

import dataclasses
import functools
import sys
import tempfile
from pathlib import Path

import pytest

from benchmarks.common import facts, output, peers
from benchmarks.common.repetitions import paired, spread
from benchmarks.engines import forms, job, limits, memory, throughput
from benchmarks.engines.turns import Racer, Side, SideFailed, race, started
from search.spec.job import JobSpec
from trainers.spec import Model

LOG = functools.partial(tempfile.TemporaryFile, "w+")
# a side that trains 10 images in an epoch of a hundredth of a second
SIDE = """
import sys, time
from benchmarks.engines.child import serve
def epoch():
    time.sleep(0.01)
    return 10
print("libraries may print what they like")
serve(lambda options: (epoch, {"given": options["given"]}))
"""


def test_an_interval_of_paired_differences() -> None:
    interval = paired([0.9, 0.8, 0.7], [0.8, 0.8, 0.8])
    assert interval.mean == pytest.approx(0.0)
    assert interval.high == pytest.approx(4.3027 * 0.1 / 3**0.5, rel=1e-4)  # Student's t with two degrees
    assert interval.low == pytest.approx(-interval.high)


def test_spread_is_relative_to_the_median() -> None:
    assert spread([9.0, 10.0, 12.0]) == pytest.approx(0.3)


@pytest.mark.parametrize(("value", "words"), [(49.123, "49.1"), (151.4, "151"), (3_081_234.0, "3,080,000")])
def test_rates_show_three_figures(value: float, words: str) -> None:
    assert output.rate(value) == words


def test_a_side_takes_turns_and_all_processes_count() -> None:
    side = Side("two", [[sys.executable, "-c", SIDE, '{"given": 7}']] * 2)
    with started(side, LOG) as racer:
        race([racer], rounds=2, seconds=0.05)
    summary = racer.summary()
    assert summary["given"] == 7
    assert len(summary["turns"]) == 2
    assert 0 < summary["images_per_s"] <= 2000
    assert all(process.poll() is not None for process in racer.processes)


def test_a_side_that_fails_says_why() -> None:
    side = Side("broken", [[sys.executable, "-c", "raise SystemExit('no such model')"]])
    with pytest.raises(SideFailed, match=r"(?s)broken.*no such model"), started(side, LOG):
        pass


def test_the_best_of_ours_is_compared_with_the_better_loop() -> None:
    rows = [
        {"kind": "loop", "side": "loop, 1 thr", "images_per_s": 10.0},
        {"kind": "loop", "side": "loop, 2 thr", "images_per_s": 20.0},
        {"kind": "bank", "side": "bank eager, K=8, 2 thr", "images_per_s": 60.0},
        {"kind": "peer", "side": "torchdistill, 2 thr", "images_per_s": 5.0},
        {"kind": "peer", "side": "torchdistill, 2 procs", "images_per_s": 8.0},
    ]
    ratios = throughput.compare("resnet8x4", rows)
    assert ratios["resnet8x4_vs_loop"] == 3.0
    assert ratios["resnet8x4_vs_processes"] is None
    assert ratios["resnet8x4_vs_torchdistill"] == 12.0
    assert ratios["resnet8x4_vs_mdistiller"] is None


@pytest.mark.parametrize("accelerator", [False, True])
@pytest.mark.parametrize("problem", ["mlp", "cnn8", "cnn28", "resnet8x4"])
def test_every_problem_has_a_loop_and_names_that_fit(problem: str, accelerator: bool) -> None:
    quick, full = (set(forms.of(problem, short, accelerator)) for short in (True, False))
    assert quick <= full
    assert any(form.kind == "loop" for form in quick)
    assert all(len(form.name) <= 30 for form in full)
    assert len({form.name for form in full}) == len(full)


def test_a_checkout_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MDISTILLER", "/nowhere/at/all")
    with pytest.raises(peers.PeerMissing, match="MDISTILLER"):
        forms.of("resnet8x4", True, False)


def test_a_checkout_is_a_side_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("REPDISTILLER", str(tmp_path))
    assert "repdistiller" in {form.engine for form in forms.of("resnet8x4", True, False)}


def test_the_operations_of_an_mlp() -> None:
    """64-64-10: forward 2 (64 64 + 64 10); backward the same for the weights, and 2 64 10 for the hidden layer."""
    price = limits.cost(Model("mlp", {"width": 64}), 1, (8, 8), 10, batch=64)
    forward = 2 * (64 * 64 + 64 * 10)
    assert price.operations == forward + forward + 2 * 64 * 10
    assert price.bytes > 8 * 4 * 64 * 64 / 64


def test_facts_fit_a_terminal() -> None:
    assert all(len(line) <= 80 for line in facts.in_words(facts.gather()).splitlines())


def test_the_best_form_and_the_best_bank_are_looked_at() -> None:
    chosen = [forms.Form("loop", "loop"), forms.Form("bank", "bank", 8), forms.Form("bank", "processes", 2)]
    racers = [(form, Racer(Side(form.name, []), [], [])) for form in chosen]

    def seen(*rates: float) -> list[str]:
        rows = [{"images_per_s": rate} for rate in rates]
        return [racer.side.name.split(",")[0] for racer in throughput.best_of(racers, rows)]

    assert seen(9.0, 5.0, 99.0) == ["loop", "bank eager"]
    assert seen(4.0, 5.0, 99.0) == ["bank eager"]


def memory_row(problem: str, lanes: int, above: float, program: str = "") -> dict[str, object]:
    """A case of memory that takes so many MiB above ready."""
    return {
        "problem": problem, "engine": "loop" if lanes == 1 else "bank", "lanes": lanes,
        "batched": program == "batched", "compiled": program == "compiled",
        "ready_mib": 100.0, "peak_mib": 100.0 + above, "mib_per_lane": above / lanes,
    }  # fmt: skip


def test_memory_of_one_more_lane_is_told_from_what_lanes_share() -> None:
    """Ten MiB of a bank, and the hundred of a compiler, are there however many lanes it has; of two forms that are not
    compiled the one that takes more counts for its student.
    """
    rows = [
        memory_row("mlp", 1, 0.5),
        *(memory_row("mlp", lanes, 10 + 0.5 * lanes) for lanes in (4, 8)),
        *(memory_row("mlp", lanes, 0.25 * lanes, "batched") for lanes in (4, 8)),
        *(memory_row("mlp", lanes, 100 + 0.25 * lanes, "compiled") for lanes in (4, 8)),
        memory_row("cnn", 1, 2.0),
        *(memory_row("cnn", lanes, 2.0 * lanes) for lanes in (2, 4)),
    ]
    compared = memory.compare(rows)
    slopes = [case["mib_of_one_more"] for case in compared["cases"]]
    assert slopes == [None, None, 0.5, None, 0.25, None, 0.25, None, None, 2.0]
    assert memory.headline(compared) == {
        "lane_memory_vs_loop": 1.0,
        "mlp_lane_memory_vs_loop": 3.5, "mlp_compiled_lane_memory_vs_loop": 25.5, "cnn_lane_memory_vs_loop": 1.0,
        "mlp_one_more_vs_loop": 1.0, "mlp_compiled_one_more_vs_loop": 0.5, "cnn_one_more_vs_loop": 1.0,
    }  # fmt: skip


@pytest.mark.parametrize("scale", memory.CASES)
def test_of_each_form_memory_is_measured_with_fewer_lanes_first(scale: str) -> None:
    cases = [dataclasses.asdict(case) for case in memory.CASES[scale]]
    compared = memory.compare([{**case, "ready_mib": 0.0, "peak_mib": 1.0, "mib_per_lane": 1.0} for case in cases])
    banks = [case for case in compared["cases"] if case["engine"] == "bank"]
    assert [case["mib_of_one_more"] is None for case in banks] == [True, False] * (len(banks) // 2)
    assert cases[-1]["problem"] in compared["ratios"]


@pytest.mark.parametrize("scale", list(job.SHORT))
def test_a_search_finds_the_teacher_that_was_made_ready(scale: str) -> None:
    spec = job.document(scale)
    first, search = JobSpec.model_validate(job.of_teacher(spec)), JobSpec.model_validate(spec)
    fingerprints = [each.problem(each.views(), "fp32").teacher_fingerprint() for each in (first, search)]
    assert fingerprints[0] == fingerprints[1]
    assert first.budget.trials == 1
