"""True loss of whole jobs' verdicts: this service against the commit before, on worlds whose truth is known.

    python -m benchmarks.verdict [--quick] [--before CHECKOUT] [--worlds NAME,...] [--jobs N] [--keep NAME]

Each job is simulated from its first trial to its answer, at the default budget and at 12 and 24 trainings for
everything, in one process for this checkout and one for `--before`, job by job with the same seeds. True loss: the best
true value over all groups, labels alone included, less that of the configuration that the answer says to use.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.common import checkouts, facts, output
from benchmarks.common.facts import ROOT
from benchmarks.searching.worlds import KINDS
from benchmarks.verdict import figures

CONTEXTS = ("digits-cnn-20", "digits-mlp-60", "digits-weights-30", "fashion-mlp-30", "fashion-whole-16")
BUDGETS = ("default", "12", "24", "placebo-1", "placebo-4", "extended")
QUICK = ("flat", "four-best", "useless", "fashion-mlp-30")


def played(checkout: Path, worlds: Sequence[str], budgets: Sequence[str], jobs: int) -> list[dict[str, Any]]:
    """The jobs' rows by the code of a checkout, with this one's benchmarks."""
    with checkouts.played_with(checkout) as (folder, environment):
        command = [sys.executable, "-m", "benchmarks.verdict.side", ",".join(worlds), ",".join(budgets), str(jobs)]
        done = subprocess.run(command, env=environment, cwd=folder, stdout=subprocess.PIPE, text=True, check=False)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    if done.returncode:  # hours of other jobs are not thrown away for it
        ended = f"the jobs of {checkout} ended with {done.returncode} after {len(rows)} of them"
        print(f"{ended}: figures are of these", file=sys.stderr)
    return rows


def main(arguments: Sequence[str]) -> int:
    """Prints a table for each budget, and the figures as one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two jobs each on four worlds, default and 12 trainings")
    parser.add_argument("--before", type=Path, help="a checkout of the commit before, to be compared with")
    parser.add_argument("--worlds", help="by commas; all kinds and open contexts unless given")
    parser.add_argument("--budgets", help="by commas; " + ", ".join(BUDGETS) + " unless given")
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--keep", metavar="NAME", help="write results/NAME.json")
    given = parser.parse_args(arguments)
    worlds = given.worlds.split(",") if given.worlds else list(QUICK if given.quick else (*KINDS, *CONTEXTS))
    budgets = given.budgets.split(",") if given.budgets else ("default", "12") if given.quick else BUDGETS
    jobs = 2 if given.quick else given.jobs
    about = facts.gather()
    now = played(ROOT, worlds, budgets, jobs)
    before = played(given.before.resolve(), worlds, ["default"], jobs) if given.before else []
    said = figures.of(now, before)
    for budget in budgets:
        output.table(f"{budget}: {jobs} jobs on each world", *_table(now, before, budget))
    output.conclude(given.keep, {"benchmark": "verdict", "jobs": jobs, **said, **about}, {"now": now, "before": before})
    return 0


def _table(
    now: Sequence[Mapping[str, Any]], before: Sequence[Mapping[str, Any]], budget: str
) -> tuple[list[str], list[list[str]]]:
    rows = []
    for world in dict.fromkeys(row["world"] for row in now):
        own = [row for row in now if (row["world"], row["budget"]) == (world, budget)]
        if not own:
            continue
        old = [row["loss"] for row in before if row["world"] == world and budget == "default"]
        kinds = "/".join(str(sum(row["kind"] == kind for row in own)) for kind in figures.KINDS)
        rows.append(
            [
                world,
                f"{statistics.fmean(row['loss'] for row in own):.2f}",
                f"{statistics.fmean(old):.2f}" if old else "",
                f"{statistics.fmean(row['trainings'] for row in own):.0f}",
                kinds,
            ]
        )
    return ["", "loss", "before", "trainings", "/".join(figures.KINDS)], rows


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
