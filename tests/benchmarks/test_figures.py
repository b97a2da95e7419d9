"""What the benchmarks' pages publish is what was measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import figures
from benchmarks.common import output
from benchmarks.engines.throughput import GOALS

ABOUT = {
    "when": "2026-01-02T03:04:05+00:00",
    "commit": "abc",
    "machine": {"processor": "P", "cores": 2, "vector_units": ["avx2"], "memory_gib": 3, "accelerator": None,
                "load_before": 0.1},
    "versions": {"torch": "2"},
}  # fmt: skip
SIDES = [
    {"side": "loop, 1 thr", "kind": "loop", "images_per_s": 100.0, "spread": 0.1, "compile_s": 0.0},
    {"side": "bank compiled, K=8, 1 thr", "kind": "bank", "images_per_s": 250.0, "spread": 0.1, "compile_s": 9.0},
]
PROBLEM = {
    "words": "an MLP", "train_images": 5, "sides": SIDES, "failed": [{"side": "peer", "reason": "a\nb"}],
    "best": "bank", "cost": {"operations": 1e6, "bytes": 1e6}, "profiles": {"bank": [{"operator": "mm", "share": 0.5}]},
}  # fmt: skip
LIMITS = {"product": 1e9, "small_products": 1e9, "convolution": 1e9, "copy": 1e9}
SEARCH = {"median_s": {"loop": 9.0}, "runs": {"loop": [{"seconds": 9.0, "trials": 3, "epochs": 6}]}}
MEMORY = {
    "cases": [
        {"problem": "mlp", "engine": "bank", "lanes": 4, "ready_mib": 9, "peak_mib": 11, "mib_per_lane": 0.5},
        {
            "problem": "mlp",
            "engine": "bank",
            "batched": True,
            "lanes": 8,
            "ready_mib": 9,
            "peak_mib": 13,
            "mib_per_lane": 0.5,
            "mib_of_one_more": 0.25,
        },
    ]
}
INTERVAL = {"mean": -0.01, "low": -0.02, "high": 0.0, "deviation": 0.1, "pairs": 7}
RESULTS = {
    "t": {
        "mlp_vs_loop": 2.5, **ABOUT,
        "details": {"limits": LIMITS, "problems": [PROBLEM], "search": SEARCH, "memory": MEMORY},
    },
    "v": {**ABOUT, "details": {"cases": [{"case": "digits", "fresh": [[0.9, 0.8]], "differences": {"4": INTERVAL}}]}},
    "l": {
        **ABOUT, "reads_p99": 0.2, "clients": 200, "dashboard_p50": 2.5, "dashboard_clients": 8, "errors": 0,
        "dashboard_alone_p50": 0.5, "memory_mib_per_minute": 0.25, "memory_judged": False, "goals_missed": [],
        "details": {"sides": [{"side": "thermowell", "errors": {"read: 503": 2}, "kinds": {
            "read": {"requests": 1200, "p50": 0.1, "p99": 0.2}}}]},
    },
    "n": {
        **ABOUT, "answer_s": 200.4, "commands": 3, "decisions": 0, "own_first_trial_s": 15, "own_commands": 4,
        "own_decisions": 0, "training_first_trial_s": 9, "training_commands": 4, "training_decisions": 2,
        "details": {"demo": {"cloned": 1, "installed": 171}, "installed_gb": 5.6, "training_fields": ["name"]},
    },
    "p": {**ABOUT, "details": {"cases": [{"case": "digits", "difference": INTERVAL, "bf16_speed_over_fp32": 0.5}]}},
}  # fmt: skip


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ("throughput t", ["| mlp_vs_loop | 2.5x | 25x |", "| 2.5x | 9 s |", "peer did not run: b", "`mm` 50 %"]),
        ("search t", ["| loop | 9 s | 9 | 3 / 6 |"]),
        ("memory t", ["| mlp | bank | 4 | 2.0 | 0.50 | - |", "| mlp | bank, layer by layer | 8 | 4.0 | 0.50 | 0.25 |"]),
        ("views v", ["| digits | 2 in 1 | 85.00 | -1.00 [-2.00, +0.00] |"]),
        ("load l", ["| thermowell: read | 1,200 | 100 | 200 | 2 |", "2500 ms with 8", "+0.2 MiB", "missed: none"]),
        (
            "newcomer n",
            ["| clone to answer | 200 s | 3 | 0 |", "own, to its first trial | 9 s | 4 | 2 |", "170 s install"],
        ),
        ("precision p", ["| digits | 7 | -1.00 [-2.00, +0.00] | 0.5x |"]),
    ],
)
def test_blocks_are_made_from_results(block: str, expected: list[str], tmp_path: Path) -> None:
    for name, result in RESULTS.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(result))
    text = f"before\n<!-- figures: {block} -->\nold\n<!-- end -->\nafter\n"
    made = figures.written(text, tmp_path)
    assert all(words in made for words in expected)
    assert "old" not in made
    assert "commit abc, 2026-01-02" in made
    assert figures.written(made, tmp_path) == made


@pytest.mark.parametrize("page", figures.PAGES, ids=lambda page: str(page.parent.name))
def test_the_pages_show_the_kept_results(page: Path) -> None:
    text = page.read_text()
    assert figures.written(text) == text, "run `python -m benchmarks.figures`"


def test_every_goal_is_one_of_the_ratios_that_are_kept() -> None:
    for path in output.RESULTS.glob("throughput-full-*.json"):
        assert set(GOALS) <= set(json.loads(path.read_text()))
