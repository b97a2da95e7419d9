"""What `pruner: auto` saves and loses: whole jobs at equal trials, beside the same jobs with none and with `curve`,
on open contexts alone.

    python -m benchmarks.searching.pruned [--minutes M] [--runs N] [--only NAMES] [--worlds NAMES] [--methods NAMES]
        [--log FILE] [--tiny] [--keep NAME]

In the world of benchmarks ("shared"), and on recorded students, of which methods see two seeds and the truth is made of
the others ("real"). Rows that the log has are not made again.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

from benchmarks.common import facts, output
from benchmarks.searching import paired_runs
from benchmarks.searching.cost import coverage
from benchmarks.searching.cost.ground import TRY, Ground
from benchmarks.searching.cost.jobs import Job, Search
from benchmarks.searching.cost.spec import job_spec
from benchmarks.searching.paired_runs import words
from search.analysis.job.joint_surface import answer_surface
from search.records import Trial
from search.states import Arm, Stage, TrialState
from trainers.replay.world import names

BUDGETS = (16, 32, 64)
RUNS = 400
METHODS = ("none", "auto", "curve")


def measured(ground: Ground, run: int, method: str, budgets: Sequence[int]) -> dict[str, float]:
    """Of a job's answer after each budget of one search, in points: its regret, and by how much that is more than with
    the search's stopped trials trained to their end; which share of the search's epochs was saved, and how many of
    its finalists, and its winner, would then have been trials that were stopped.

    After the last of the budgets what the response's sets and bands hold, and how wide the sets are as a share of the
    range of log T; the processor's seconds.
    """
    before = time.process_time()
    search: Search | None = None
    found: dict[str, float] = {}
    for budget in budgets:
        spec = job_spec(ground, run, budget, False, pruner={"name": method})
        search = search or Search(ground, spec, Arm.JOINT)
        job = Job(ground, spec, search).run()
        assert job.winner is not None  # some trials have ended
        found |= {f"{name}, {budget}": value for name, value in _of_stopping(ground, job, job.winner).items()}
    response = coverage._set(ground, spec, job, answer_surface(spec, job.trials))
    if response:
        held, of = response["band_holds"]
        found |= {"set holds": float(response["set_holds"]), "set, width": response["set_width"]}
        found["bands hold"] = held / of
    return found | {"seconds": round(time.process_time() - before, 2)}


def _of_stopping(ground: Ground, job: Job, winner: int) -> dict[str, float]:
    """What stopping saved one job and what it lost it."""
    searched = [trial for trial in job.trials if trial.stage is Stage.SEARCH]
    stopped = {trial.number for trial in searched if trial.state is TrialState.PRUNED}
    whole = len(searched) * ground.length
    saved = 1 - sum(trial.epoch for trial in searched) / whole
    regret = ground.regret(winner)
    found = {"winner": regret, "saved": saved, "stopped": len(stopped) / len(searched)}
    if not stopped:
        return found | {"loss": 0.0, "finalists": 0.0, "winners": 0.0}
    spared = Job(ground, job.spec, job.search, [trained(ground, job, trial) for trial in searched]).run()
    assert spared.winner is not None
    assert spared.chosen is not None
    first = next(trial for trial in spared.trials if trial.variant == "winner")
    return found | {
        "loss": regret - ground.regret(spared.winner),
        "finalists": float(len(stopped & set(spared.chosen.finalists[Arm.JOINT]))),
        "winners": float(first.origin in stopped),
    }


def trained(ground: Ground, job: Job, trial: Trial) -> Trial:
    """A trial of the search, trained to its end with the seed it had."""
    value = ground.value(ground.curve(job.cell(trial), trial.seed), ground.length)
    metrics = {"accuracy": value}
    return replace(trial, state=TrialState.COMPLETED, value=value, epoch=ground.length, metrics=metrics)


def main(arguments: Sequence[str]) -> int:
    """Prints each measure, and by how much it is more than with no pruner; and one JSON object."""
    options = paired_runs.parser_of(__doc__, RUNS, ",".join(METHODS)).parse_args(arguments)
    known = (TRY,) if options.tiny else names(sealed=False)
    contexts = options.only.split(",") if options.only else known
    worlds, methods = options.worlds.split(","), options.methods.split(",")
    budgets, runs = ((8, 24), 2) if options.tiny else (BUDGETS, options.runs)
    before = facts.gather()
    print(facts.in_words(before))
    in_order = product(range(runs), contexts, worlds, methods)
    keys = [(world, name, method, run) for run, name, world, method in in_order]
    with paired_runs.log_of(options.log) as log:
        rows = paired_runs.make(
            keys, lambda ground, _, method, run: measured(ground, run, method, budgets), options.minutes, log
        )
    details: dict[str, Any] = {}
    headline: dict[str, Any] = {"benchmark": "pruned", **before}
    for world in worlds:
        details[world] = by_context = paired_runs.summarised(rows, world, contexts, METHODS)
        headline[world] = paired_runs.over_contexts(by_context)
        for measure, of in by_context.items():
            _show(f"{world}: {measure}, and what it is more than with none", headline[world][measure], of)
    output.conclude(options.keep, headline, details)
    return 0


def _show(title: str, over_all: Mapping[str, Any], by_context: Mapping[str, Mapping[str, Any]]) -> None:
    body = []
    for method, parts in by_context.items():
        body.append([method, "all", words(over_all[method])])
        body += [["", name, words(part)] for name, part in parts.items()]
    output.table(title, ["", "context", ""], body)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
