"""`python -m search.analysis.job`: what an unfinished job's trials say so far, as JSON from stdin to stdout.

A program of its own, at the lowest priority and on one thread: whoever asks for it, the API or a person, neither
carries the numerics in its own process nor takes a worker's processor from it.
"""

from __future__ import annotations

import os
import sys

os.nice(19)
os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

from search.analysis.job.build import build_interim  # noqa: E402
from search.analysis.job.question import Question  # noqa: E402 - the numerics read the environment as they load
from search.spec.job import JobSpec  # noqa: E402


def main() -> int:
    """Reads a question, writes an Interim."""
    question = Question.model_validate_json(sys.stdin.buffer.read())
    interim = build_interim(
        job_id=question.job_id,
        event=question.event,
        spec=JobSpec.model_validate(question.spec),
        trials=question.trials,
        teacher=question.teacher,
        search_stopped=question.search_stopped,
        test_seen_before=question.test_seen_before,
        wall_seconds=question.wall_seconds,
        now=question.now,
    )
    sys.stdout.write(interim.model_dump_json())
    return 0


if __name__ == "__main__":
    sys.exit(main())
