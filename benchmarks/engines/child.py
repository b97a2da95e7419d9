"""Protocol of one side of a race: one JSON object a line on its input and output: ready, then a turn whenever asked.

Free of the rest of the project, so that a peer's program can use it in its own environment.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

Epoch = Callable[[], int]
"""Trains for one epoch and answers how many student images that were, all students together."""


def serve(build: Callable[[dict[str, Any]], tuple[Epoch, dict[str, Any]]]) -> None:
    """Builds from the options in argv[1], trains one epoch to warm up, says so, and takes turns until told to end.

    What `build` answers beside the epoch is said along. Whatever the libraries print goes to stderr.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def say(**values: Any) -> None:
        answers.write(json.dumps(values) + "\n")
        answers.flush()

    started = time.perf_counter()
    epoch, facts = build(json.loads(sys.argv[1]))
    built = time.perf_counter()
    epoch()
    first = time.perf_counter()
    epoch()
    say(ready=True, build_s=built - started, first_epoch_s=first - built, epoch_s=time.perf_counter() - first, **facts)
    for line in sys.stdin:
        asked = json.loads(line)
        if asked["do"] == "turn":
            say(**_turn(epoch, asked["seconds"]))
        elif asked["do"] == "profile":
            say(operators=_profile(epoch, asked["top"]))
        else:
            break


def _turn(epoch: Epoch, seconds: float) -> dict[str, Any]:
    """Whole epochs, one at least, until so many seconds have passed."""
    images, started = 0, time.perf_counter()
    while True:
        images += epoch()
        passed = time.perf_counter() - started
        if passed >= seconds:
            return {"images": images, "seconds": passed}


def _profile(epoch: Epoch, top: int) -> list[dict[str, Any]]:
    """The operators that took most of one epoch by their own time on the CPU, and their share of all of it."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU]) as seen:
        epoch()
    events = sorted(seen.key_averages(), key=lambda event: -event.self_cpu_time_total)
    total = sum(event.self_cpu_time_total for event in events)
    return [
        {"operator": event.key, "share": event.self_cpu_time_total / total, "calls": event.count}
        for event in events[:top]
    ]
