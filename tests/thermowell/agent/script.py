"""A training of somebody's, of the standard library alone: what it does at each epoch is said in its arguments."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

folder = Path(os.environ["THERMOWELL_TRIAL"])
trial = json.loads(Path(sys.argv[1]).read_text())
mode = sys.argv[2]


def report(epoch: int, metrics: dict[str, float]) -> str | None:
    """Adds a line and waits for its decision."""
    with (folder / "reports.jsonl").open("a") as sink:
        sink.write(json.dumps({"epoch": epoch, "metrics": metrics, "seconds": 0.5}) + "\n")
    while True:
        if (folder / "decisions.jsonl").exists():
            for line in (folder / "decisions.jsonl").read_text().splitlines():
                decision = json.loads(line)
                if decision["epoch"] == epoch:
                    return decision["stop"]
        time.sleep(0.005)


def main() -> int:
    """Trains; the exit status."""
    print(f"attempt {trial['attempt']}", flush=True)
    if mode == "crash":
        raise RuntimeError("no such data set")
    if mode == "dump":
        keep = {"environment": dict(os.environ), "trial": trial, "argv": sys.argv, "cwd": os.getcwd()}
        Path(sys.argv[3], f"{trial['trial']}.json").write_text(json.dumps(keep))
    if mode == "busy":
        return 75
    if mode in ("hang", "gate"):
        Path(sys.argv[3], str(os.getpid())).touch()
        while mode == "hang" or not Path(sys.argv[3], "go").exists():
            time.sleep(0.01)
    name = "acuracy" if mode == "misnamed" else trial["objective"]
    quality = 0.5 + trial["trial"] / 1000
    for epoch in range(1, trial["epochs"] + 1):
        value = float("nan") if mode == "nan" else quality
        if report(epoch, {name: value}) is not None:
            return 0
    if mode == "result":
        (folder / "artifacts" / "student.bin").write_bytes(b"weights")
        test = {name: 0.125} if trial["test"] else None
        result = {"epoch": trial["epochs"], "metrics": {name: quality}, "test": test}
        (folder / "result.json").write_text(json.dumps(result))
    if mode == "infeasible":
        (folder / "result.json").write_text('{"fail": {"type": "infeasible", "detail": "too large for this GPU"}}')
        return 1
    return 0


sys.exit(main())
