"""What the timeline of a process counts, and that it sees what a module does."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.common.facts import ROOT
from benchmarks.engines import timeline


@pytest.mark.parametrize(
    ("stack", "expected"),
    [
        ([("search.worker.engine_cache", "step"), ("search.worker.process", "_loop")], "train"),
        ([("trainers.training.evaluate", "nll"), ("search.worker.engine_cache", "step")], "evaluate"),
        ([("trainers.engines.bank", "_train"), ("trainers.engines.choose", "choose")], "measure engines"),
        ([("importlib._bootstrap", "_find_and_load"), ("search.worker.job_finalizer", "_close")], "imports"),
        ([("search.worker.processes", "run")], "other"),  # a name that begins alike is another module's
    ],
)
def test_the_outermost_purpose_is_counted(stack: list[timeline.Place], expected: str) -> None:
    assert timeline.activity(stack) == expected


def test_shares_and_totals() -> None:
    document = {
        "seconds": {"1": {"train": 3, "write": 1}, "0": {"imports": 5}},
        "processor_seconds": {"train": 0.5},
    }
    assert timeline.shares(document) == [(0, {"imports": 1.0}), (1, {"train": 0.75, "write": 0.25})]
    assert timeline.totals(document) == {"imports": 1.0, "train": 0.75, "write": 0.25}
    assert timeline.rows(document) == [["   0  imports 100"], ["   1  train 75, write 25"]]
    assert ["train", "0.8", "0.5"] in timeline.spent(document)


def test_a_module_is_observed(tmp_path: Path) -> None:
    (tmp_path / "busy.py").write_text(
        "import sys, time\nend = time.monotonic() + 0.3\nwhile time.monotonic() < end: pass\nprint(sys.argv[1])\n"
    )
    file = tmp_path / "timeline.json"
    command = [sys.executable, "-m", "benchmarks.engines.timeline", str(file), "busy", "--word"]
    environment = {"PYTHONPATH": f"{ROOT}:{tmp_path}"}
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert run.stdout == "--word\n"
    document = json.loads(file.read_text())
    assert sum(timeline.totals(document).values()) > 0
    assert document["processor_seconds"]["other"] > 0.05
