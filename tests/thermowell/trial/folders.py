"""The agent's side of the files of a trial, as little of it as a test needs."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from thermowell.trial.folder import append_line, read_lines


def claim(**changes: Any) -> dict[str, Any]:
    """A claim's document."""
    configuration = {"temperature": 4.0, "kd_weight": 0.75, "label_weight": 0.25, "optimizer": None}
    configuration |= {"student_temperature": None, "parameters": {"lr": 0.01, "pooling": "cls"}}
    document: dict[str, Any] = {
        "job": "0123456789abcdef", "trial": 3, "attempt": 1, "stage": "search", "arm": "joint", "seed": 11,
        "configuration": configuration, "objective": "accuracy", "direction": "maximize", "epochs": 4, "rungs": [],
        "resume": None, "test": False, "command": None, "arguments": {},
    }  # fmt: skip
    return document | changes


def make(folder: Path, **changes: Any) -> Path:
    """A folder with a trial."""
    folder.mkdir(exist_ok=True)
    (folder / "trial.json").write_text(json.dumps(claim(**changes)))
    return folder


@contextmanager
def deciding(folder: Path, decide: Callable[[dict[str, Any]], str | None] = lambda _: None) -> Iterator[None]:
    """Decides about every report in the folder, in order, while this is open."""
    over = threading.Event()

    def work() -> None:
        count = 0
        while not over.wait(0.002):
            for report in list(read_lines(folder / "reports.jsonl"))[count:]:
                append_line(folder / "decisions.jsonl", {"epoch": report["epoch"], "stop": decide(report)})
                count += 1

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def result(folder: Path) -> Any:
    """What the script wrote in the end."""
    return json.loads((folder / "result.json").read_text())
