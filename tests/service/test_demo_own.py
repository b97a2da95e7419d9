"""`thermowell demo-own`: service, agent and a script of one's own give a whole answer on one terminal."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from service.terminal.console import Exit
from tests.processes import Processes

SCRIPT = Path(__file__).parents[1] / "thermowell" / "agent" / "script.py"
JOB = """
name: own
trainer: {external: {queue: own}}
training: {epochs: 2}
budget: {trials: 8}
space: {temperature: {low: 1, high: 20}, kd_weight: {low: 0.1, high: 1}, optimizer: null}
confirmation: {finalists: 2, select_seeds: 1, estimate_seeds: 2, delta: 0.05}
"""


def test_an_example_that_is_not_there_is_named(processes: Processes, tmp_path: Path) -> None:
    demo = processes.thermowell("demo-own", "--example", tmp_path / "none", "--dir", tmp_path / "demo")
    assert demo.wait() == Exit.USAGE
    assert "--example" in demo.output()


@pytest.mark.slow
def test_the_whole_answer_comes_from_a_script(processes: Processes, tmp_path: Path) -> None:
    shutil.copy(SCRIPT, tmp_path / "script.py")
    (tmp_path / "train.py").write_text("import sys\n\nsys.argv.append('result')\nimport script\n")
    (tmp_path / "job.yaml").write_text(JOB)
    demo = processes.thermowell("demo-own", "--example", tmp_path, "--dir", tmp_path / "demo")
    assert demo.wait(200) == Exit.OK, demo.output()
    for words in ("What to use: ", "search trials", "T = 4", "From the first command to this answer"):
        assert words in demo.output()
    assert (tmp_path / "demo" / "report.html").exists()
