"""A search under the faults of its machines. `make chaos`: jobs are searched to their end while workers are
killed, frozen past their leases and told to stop, connections are cut, the database is restarted, or fails over to its
standby, and the artifact disk fills and empties; then nothing may be lost, doubled or left behind. So it is of programs
of others and of the API that they speak to. A single worker that is killed again and again must come to the answer of a
calm one.
"""

from __future__ import annotations

import argparse
import io
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy

from benchmarks.common import facts, output
from benchmarks.serving import chaos_checks, chaos_others
from benchmarks.serving.chaos_disk import DiskFaults, failing_disk
from benchmarks.serving.chaos_failover import FailedOver, Restarted
from benchmarks.serving.chaos_faults import Faults, Fleet
from search.errors import DatabaseUnavailable
from search.records import SCOPES, Job, Principal
from search.requests import jobs
from search.schema import migrate
from search.spec.job import JobSpec
from search.states import TERMINAL_JOBS, TERMINAL_TRIALS, JobState
from search.storage import tables
from search.storage.db import Database, open_database
from tests.postgres import running_postgres
from tests.processes import Processes
from tests.standby import running_pair

LEASE_SECONDS = 6.0
TOLD_EVERY = 60.0  # seconds
ALONE_SECONDS = 2.0  # the lease of a worker that has nobody beside it
ME = Principal("chaos", "chaos", frozenset(SCOPES))
# A restart stops the server at once: what it has said to be committed must be on its disk by then.
DURABLE = {"synchronous_commit": "on"}


@dataclass(frozen=True, slots=True)
class Size:
    """How much is searched, by how many, and what befalls them. Seconds."""

    workers: int
    jobs: int
    trials: int  # of each job's search
    restarts: int  # of the database, or failovers to its standby
    fault_every: float
    patience: float


# A worker that has been killed takes some four seconds of a core to start again: twice as many faults would leave two
# cores nothing to search with.
FULL = {
    "postgresql": Size(8, 10, 200, 3, 4.0, 1500.0),
    "standby": Size(8, 4, 200, 4, 4.0, 900.0),
    "sqlite": Size(2, 2, 60, 0, 4.0, 400.0),
}
QUICK = {
    "postgresql": Size(4, 3, 30, 3, 2.0, 200.0),
    "standby": Size(3, 2, 20, 2, 3.0, 200.0),
    "sqlite": Size(2, 1, 20, 0, 4.0, 120.0),
}
ALONE = ("postgresql", "sqlite")


def spec(name: str, trials: int, seed: int) -> JobSpec:
    """Real digits and real students, as small as they come: what is tried here is everything around them."""
    return JobSpec.model_validate(
        {
            "name": name,
            "dataset": {"name": "digits", "train_size": 100},
            "teacher": {"model": {"name": "mlp"}, "training": {"epochs": 2}, "optimizer": {}},
            "student": {"name": "mlp", "arguments": {"width": 8}},
            "training": {"epochs": 4},
            "pruner": {"name": "median", "min_epochs": 2},
            "budget": {"trials": trials},
            "baselines": {"share": 0.02},
            "confirmation": {"finalists": 2, "select_seeds": 1, "estimate_seeds": 2},
            "seed": seed,
        }
    )


def environment(database: str, root: Path, lease_seconds: float) -> dict[str, str]:
    """The settings of every worker."""
    return {
        "THERMOWELL_DATABASE_URL": database,
        "THERMOWELL_VAR": str(root),
        "THERMOWELL_LEASE_SECONDS": str(lease_seconds),
        "THERMOWELL_POLL_SECONDS": "0.2",
        "THERMOWELL_THREADS": "1",
        "THERMOWELL_ENGINE": "loop",
    }


def storm(kind: str, size: Size, seed: int) -> dict[str, Any]:
    """Many workers on one database, everything befalls them, and what did not hold afterwards."""
    begun = time.monotonic()
    with _database(kind) as (server, url, root), failing_disk(root / "artifacts") as disk:
        database = open_database(url)
        migrate(database)
        submitted = [jobs.submit(database, spec(f"storm-{i}", size.trials, seed + i), ME)[0] for i in range(size.jobs)]
        programs = Processes(root)
        fleet = Fleet(programs, environment(url, root, LEASE_SECONDS), size.workers)
        name = url.split("?")[0].rsplit("/", 1)[1] if server else None
        others = Faults(
            fleet, random.Random(seed), size.fault_every, 1.5 * LEASE_SECONDS, server, name, size.restarts
        )  # fmt: skip
        faults = DiskFaults(disk, others)
        try:
            in_time = _until_ended(database, submitted, fleet, faults, begun + size.patience)
            fleet.end()
            found = chaos_checks.violations(database, ME, submitted)
        finally:
            _end_quietly(programs)
            database.close()
    if not in_time:
        found.insert(0, f"not all jobs ended within {size.patience:.0f} s")
    return {
        "database": kind,
        "workers": size.workers,
        "jobs": size.jobs,
        "search_trials": size.jobs * size.trials,
        "faults": dict(sorted(faults.counts.items())),
        "seconds": round(time.monotonic() - begun, 1),
        "violations": found + fleet.unexpected,
    }


def alone(kind: str, trials: int, patience: float, seed: int) -> dict[str, Any]:
    """One worker, calm and then killed again and again, on the same spec: the answers must not differ."""
    answers, counts, in_time = [], {}, True
    begun = time.monotonic()
    for calm in (True, False):
        with _database(kind) as (_, url, root):
            database = open_database(url)
            migrate(database)
            job = jobs.submit(database, spec("alone", trials, seed), ME)[0]
            programs = Processes(root)
            fleet = Fleet(programs, environment(url, root, ALONE_SECONDS), 1)
            faults = _Murderer(fleet, random.Random(seed))
            try:
                until = time.monotonic() + patience
                in_time &= _until_ended(database, [job], fleet, None if calm else faults, until)
                fleet.end()
                ended = jobs.get_job(database, job.id, ME)
                answers.append(chaos_checks.answer(database, ME, ended) if ended.state is JobState.COMPLETED else None)
            finally:
                _end_quietly(programs)
                database.close()
            counts = {"kill": faults.kills}
    calm_answer, killed_answer = answers
    return {
        "database": kind,
        "trials": trials,
        "faults": counts,
        "seconds": round(time.monotonic() - begun, 1),
        "in_time": in_time,
        "equal_to_calm": calm_answer is not None and calm_answer == killed_answer,
    }


@dataclass(slots=True)
class _Murderer:
    """Kills the only worker once it has got on by a random share of the work: never before it has done any, so that
    the search comes to its end on a slow machine too.

    The next one starts when the lease of what it trained is over: one that comes earlier takes the next trial first,
    and the sampler is asked in another order than in the calm run.
    """

    fleet: Fleet
    chance: random.Random
    kills: int = 0
    _at: float | None = None  # the share of the work at which it is killed

    def strike(self, share: float) -> None:
        working = self.fleet.working()
        if not working:
            return
        if self._at is None:
            self._at = share + self.chance.uniform(0.01, 0.2)
        elif self._at <= share < 1:
            working[0].process.kill()
            working[0].process.wait()
            self.kills, self._at = self.kills + 1, None
            time.sleep(ALONE_SECONDS)  # by the database's clock; nobody is there to tell


def _until_ended(
    database: Database, submitted: list[Job], fleet: Fleet, faults: DiskFaults | _Murderer | None, deadline: float
) -> bool:
    """Keeps the fleet full and strikes it until every job has ended; False where the deadline comes first."""
    total = sum(job.spec["budget"]["trials"] for job in submitted)
    said = time.monotonic()
    while time.monotonic() < deadline:
        fleet.refill()
        try:
            going_on, done = _progress(database)
        except DatabaseUnavailable:
            continue  # it is being restarted, by us
        if not going_on:
            return True
        if faults is not None:
            faults.strike(min(1.0, done / total))
        if time.monotonic() > said + TOLD_EVERY:
            said = time.monotonic()
            print(f"{done} trials have ended, {going_on} jobs go on", file=sys.stderr, flush=True)
        time.sleep(0.1)  # what happens here happens in other processes, and none of them tells us
    return False


def _end_quietly(programs: Processes) -> None:
    """Kills what is left; what the workers said, which `kill_all` prints for a failed test, is of no use here."""
    with redirect_stdout(io.StringIO()):
        programs.kill_all()


def _progress(database: Database) -> tuple[int, int]:
    """How many jobs have not ended, and how many trials of all stages have."""
    count = sqlalchemy.func.count()
    going_on = sqlalchemy.select(count).select_from(tables.jobs).where(tables.jobs.c.state.not_in(TERMINAL_JOBS))
    ended = sqlalchemy.select(count).select_from(tables.trials).where(tables.trials.c.state.in_(TERMINAL_TRIALS))
    with database.read() as connection:
        return connection.scalar(going_on) or 0, connection.scalar(ended) or 0


@contextmanager
def _database(kind: str) -> Iterator[tuple[Restarted | FailedOver | None, str, Path]]:
    """An empty database, the server or the pair of them behind it, and a folder for everything else."""
    with ExitStack() as opened:
        folder = opened.enter_context(tempfile.TemporaryDirectory(prefix="thermowell-chaos-"))
        server: Restarted | FailedOver | None = None
        if kind == "postgresql":
            server = Restarted(opened.enter_context(running_postgres(settings=DURABLE)))
        elif kind == "standby":
            server = FailedOver(opened.enter_context(running_pair(DURABLE)))
        yield server, server.create("chaos") if server else f"sqlite:///{folder}/thermowell.db", Path(folder)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving.chaos", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the same, smaller, in about two to four minutes")
    parser.add_argument("--seed", type=int, default=0, help="which faults come when")
    parser.add_argument("--keep", metavar="NAME", help="write results/NAME.json too")
    given = parser.parse_args()
    sizes = QUICK if given.quick else FULL
    about = facts.gather()
    print(facts.in_words(about))
    storms = [storm(kind, size, given.seed) for kind, size in sizes.items()]
    storms.append(chaos_others.storm(chaos_others.SMALL if given.quick else chaos_others.FULL, given.seed))
    singles = [alone(kind, 40 if given.quick else 100, 300.0, given.seed) for kind in ALONE]
    _print(storms, singles)
    well = not any(each["violations"] for each in storms) and all(each["equal_to_calm"] for each in singles)
    headline = {"benchmark": "chaos", "quick": given.quick, "seed": given.seed, "well": well}
    output.conclude(given.keep, headline | {"storms": storms, "alone": singles}, about)
    return 0 if well else 1


def _print(storms: list[dict[str, Any]], singles: list[dict[str, Any]]) -> None:
    def faults(each: dict[str, Any]) -> str:
        return ", ".join(f"{count} {kind}" for kind, count in each["faults"].items()) or "none"

    output.table(
        "Many workers, and everything befalls them",
        ("database", "workers", "jobs", "trials", "seconds", "violations"),
        [
            [each["database"], *(str(each[name]) for name in ("workers", "jobs", "search_trials", "seconds")),
             str(len(each["violations"]))]
            for each in storms
        ],
    )  # fmt: skip
    for each in storms:
        print(f"{each['database']}: {faults(each)}")
        for what in each["violations"]:
            print(f"  NOT KEPT: {what}")
    output.table(
        "One worker, killed again and again, against a calm one",
        ("database", "trials", "kills", "seconds", "same answer"),
        [
            [each["database"], str(each["trials"]), str(each["faults"]["kill"]), str(each["seconds"]),
             "yes" if each["equal_to_calm"] else "NO" if each["in_time"] else "NOT IN TIME"]
            for each in singles
        ],
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
