"""A script that trains by a formula, and leaves out what its arguments say: temperature, weights, repeats, seed."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

ignored = set(sys.argv[2:])
trial = json.loads(Path(sys.argv[1]).read_text())
settings = trial["configuration"]
value = 0.5
if "temperature" not in ignored:
    value += settings["temperature"] / 1000
if "weights" not in ignored:
    value += settings["kd_weight"] / 100
if "seed" not in ignored:
    value += trial["seed"] / 1e9
if "repeats" in ignored:
    value += os.getpid() / 1e3
if "diverged" in ignored:
    value = float("nan")
report = {"epoch": 1, "metrics": {"accuracy": value, "eval_runtime": os.getpid() / 7}}
with (Path(os.environ["THERMOWELL_TRIAL"]) / "reports.jsonl").open("a") as file:
    file.write(json.dumps(report) + "\n")
