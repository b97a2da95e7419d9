"""`python -m search.analysis`: what an unfinished job's trials say so far, as JSON from stdin to stdout.

A program of its own, at the lowest priority and on one thread: whoever asks for it, the API or a person, neither
carries the numerics in its own process nor takes a worker's processor from it.
"""

from __future__ import annotations

import os
import sys

os.nice(19)
os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

from search.analysis.aside import Question  # noqa: E402 - the numerics read the environment as they load
from search.analysis.build import build_interim  # noqa: E402
from search.spec import JobSpec  # noqa: E402


def main() -> int:
    """Reads a question, writes an Interim."""
    asked = Question.model_validate_json(sys.stdin.buffer.read())
    found = build_interim(
        job_id=asked.job_id,
        event=asked.event,
        spec=JobSpec.model_validate(asked.spec),
        trials=asked.trials,
        teacher=asked.teacher,
        search_stopped=asked.search_stopped,
        test_seen_before=asked.test_seen_before,
        wall_seconds=asked.wall_seconds,
        now=asked.now,
    )
    sys.stdout.write(found.model_dump_json())
    return 0


if __name__ == "__main__":
    sys.exit(main())
