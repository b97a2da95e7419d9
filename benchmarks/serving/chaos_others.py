"""Trials of programs of others under faults: clients are killed, frozen past their leases and cut off, replicas of the
API are killed and stopped, the database loses its connections and is restarted; then every trial has ended once, and
what the service has said to have taken is what is stored.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy

from benchmarks.common import facts, output
from benchmarks.serving import chaos_checks, chaos_others_client
from benchmarks.serving.chaos_failover import Restarted
from benchmarks.serving.overhead import DURABLE
from search.errors import DatabaseUnavailable
from search.records import SCOPES, Principal
from search.requests import jobs, trials
from search.schema import migrate
from search.spec.job import JobSpec
from search.states import TERMINAL_JOBS, TERMINAL_TRIALS
from search.storage import tables
from search.storage.db import Database, open_database
from tests.lines import Line
from tests.postgres import running_postgres
from tests.processes import Processes, Started, free_port

ME = Principal("local", "local", frozenset(SCOPES))
AWAY = (0.8, 1.6)  # lease periods: how long somebody is frozen, or behind a line that is down


@dataclass(frozen=True, slots=True)
class Size:
    """How much is searched, by how many, and how often each fault comes."""

    clients: int
    trials: int  # of all jobs' searches
    faults: dict[str, int]
    patience: float  # seconds


FULL = Size(
    16,
    1000,
    {"kill": 12, "freeze": 8, "cut": 6, "partition": 4, "api kill": 3, "api stop": 2, "sessions": 4, "database": 3},
    400.0,
)
SMALL = Size(
    4,
    60,
    {"kill": 2, "freeze": 1, "cut": 2, "partition": 1, "api kill": 1, "api stop": 1, "sessions": 1, "database": 1},
    200.0,
)


def specs(count: int) -> list[JobSpec]:
    """Two jobs of one queue: one that trains all to their ends, one that stops some and asks a sampler that learns."""
    own = {"trainer": {"external": {"queue": "q", "stall_seconds": 10}}, "training": {"epochs": 4}}
    own |= {"baselines": {"share": 0}, "confirmation": {"level": "none"}}
    own["space"] = {"temperature": {"low": 1, "high": 20}, "kd_weight": {"low": 0.1, "high": 1}, "optimizer": None}
    half = count // 2
    kinds: list[dict[str, Any]] = [
        {"name": "whole", "budget": {"trials": half}, "sampler": {"name": "random"}},
        {"name": "stopped", "budget": {"trials": count - half}, "sampler": {"name": "tpe"},
         "pruner": {"name": "median", "min_epochs": 2}},
    ]  # fmt: skip
    return [JobSpec.model_validate(own | kind) for kind in kinds]


@dataclass(slots=True)
class Clients:
    """Programs that train: those that were killed begin anew, under their names by turns and under new ones."""

    programs: Processes
    lines: Sequence[Line]
    folder: Path
    members: dict[str, Started] = field(default_factory=dict)
    frozen: dict[str, float] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    _begun: int = 0

    def start(self, name: str | None = None) -> None:
        """One more, or one that comes again under its name; half use the package, half requests of their own."""
        self._begun += 1
        name = name or f"client-{self._begun}"
        line = self.lines[self._begun % len(self.lines)]
        way = "package" if self._begun // len(self.lines) % 2 else "requests"
        self.members[name] = self.programs.start(
            sys.executable, "-S", "-m", "benchmarks.serving.chaos_others_client", way, str(line.port), name,
            str(self.folder / f"{name}.taken"), env={"PYTHONPATH": str(facts.ROOT)}, cwd=self.folder,
        )  # fmt: skip

    def awake(self) -> list[str]:
        """The names of those that train now."""
        return [name for name, each in self.members.items() if name not in self.frozen and each.process.poll() is None]

    def kill(self, name: str, *, anew: bool) -> None:
        """Ends one at once; it comes again under its name, or another does."""
        member = self.members.pop(name)
        member.signal(signal.SIGKILL)
        member.process.wait()
        self.start(None if anew else name)

    def freeze(self, name: str, seconds: float) -> None:
        """Stops one for so long."""
        self.members[name].signal(signal.SIGSTOP)
        self.frozen[name] = time.monotonic() + seconds

    def wake(self, *, everybody: bool = False) -> None:
        """Lets those go on whose time is over."""
        for name, until in list(self.frozen.items()):
            if everybody or time.monotonic() >= until:
                self.members[name].signal(signal.SIGCONT)
                del self.frozen[name]

    def finish(self, seconds: float) -> None:
        """Waits until all have ended by themselves, as they do once every job has; who does not is written down."""
        self.wake(everybody=True)
        until = time.monotonic() + seconds
        for name, member in self.members.items():
            try:
                status = member.wait(max(0.1, until - time.monotonic()))
            except AssertionError:
                self.wrong.append(f"{name} does not end: {member.output()[-500:]}")
                continue
            if status:
                self.wrong.append(f"{name} ended with {status}: {member.output()[-800:]}")

    def taken(self) -> list[dict[str, Any]]:
        """What they noted."""
        return [json.loads(line) for file in self.folder.glob("*.taken") for line in file.read_text().splitlines()]


@dataclass(slots=True)
class Replicas:
    """Processes of the API over one database, each at a port of its own."""

    programs: Processes
    environment: dict[str, str]
    ports: list[int]
    members: list[Started] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def start(self) -> None:
        """All of them; they are ready."""
        for port in self.ports:
            self.members.append(self._started(port))
        for port, member in zip(self.ports, self.members, strict=True):
            member.until_answers(f"http://127.0.0.1:{port}/readyz")

    def end(self, number: int, kind: signal.Signals) -> None:
        """Ends one, and begins it anew."""
        member = self.members[number]
        member.signal(kind)
        self._note(member.wait(30.0), member)
        self.members[number] = self._started(self.ports[number])

    def stop(self) -> None:
        """Ends all in good order; who does not is written down."""
        for member in self.members:
            member.signal(signal.SIGTERM)
        for member in self.members:
            self._note(member.wait(30.0), member)

    def _started(self, port: int) -> Started:
        return self.programs.thermowell("serve", "--port", str(port), env=self.environment)

    def _note(self, status: int, member: Started) -> None:
        if status not in (0, -signal.SIGKILL, -signal.SIGTERM):
            self.wrong.append(f"an API ended with {status}: {member.output()[-800:]}")


@dataclass(slots=True)
class Storm:
    """Everything that befalls them, in an order drawn from a seed, each at its share of the work."""

    clients: Clients
    replicas: Replicas
    server: Restarted
    database: str
    chance: random.Random
    order: list[str]
    counts: Counter[str] = field(default_factory=Counter)
    _up_at: dict[Line, float] = field(default_factory=dict)

    def strike(self, share: float) -> None:
        """Whatever is due, at this share (0 to 1) of all work."""
        self.clients.wake()
        self._bring_up()
        struck = self.counts.total()
        if struck < len(self.order) and share >= (struck + 1) / (len(self.order) + 2):
            self._befall(self.order[struck])
            self.counts[self.order[struck]] += 1

    def calm(self) -> None:
        """Nothing more befalls anybody."""
        self._bring_up(everything=True)
        self.clients.wake(everybody=True)

    def _befall(self, kind: str) -> None:
        lines = self.clients.lines
        if kind in ("kill", "freeze"):
            victim = self.chance.choice(self.clients.awake())
            if kind == "kill":
                self.clients.kill(victim, anew=self.counts["kill"] % 2 == 1)
            else:
                self.clients.freeze(victim, self._away())
        elif kind == "cut":
            for line in lines:
                line.cut()
        elif kind == "partition":
            line = self.chance.choice(lines)
            line.take_down()
            self._up_at[line] = time.monotonic() + self._away()
        elif kind.startswith("api"):
            number = self.chance.randrange(len(self.replicas.members))
            self.replicas.end(number, signal.SIGKILL if kind == "api kill" else signal.SIGTERM)
        elif kind == "sessions":
            self._end_sessions()
        else:
            self.server.strike()

    def _away(self) -> float:
        return self.chance.uniform(*AWAY) * chaos_others_client.LEASE_SECONDS

    def _end_sessions(self) -> None:
        """Ends half of the database's connections, in the middle of whatever they do."""
        with psycopg.connect(host=self.server.directory, user="postgres", autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = %s AND pid <> pg_backend_pid() AND random() < 0.5",
                [self.database],
            )

    def _bring_up(self, *, everything: bool = False) -> None:
        for line, at in list(self._up_at.items()):
            if everything or time.monotonic() >= at:
                line.bring_up()
                del self._up_at[line]


def storm(size: Size, seed: int) -> dict[str, Any]:
    """The jobs' trials are trained to the end while everything befalls those who train; what did not hold then."""
    begun = time.monotonic()
    chance = random.Random(seed)
    order = [kind for kind, count in size.faults.items() for _ in range(count)]
    chance.shuffle(order)
    with running_postgres(settings=DURABLE) as server, _scene(server.create("others")) as (db, folder, replicas, lines):
        submitted = [jobs.submit(db, spec, ME)[0] for spec in specs(size.trials)]
        clients = Clients(replicas.programs, lines, folder)
        faults = Storm(clients, replicas, Restarted(server), "others", chance, order)
        for _ in range(size.clients):
            clients.start()
        violations = _until_ended(db, size, faults, begun + size.patience)
        faults.calm()
        clients.finish(60.0)
        replicas.stop()
        violations += chaos_checks.violations(db, ME, submitted) + list(_untrue(db, clients.taken()))
        told = _told(db)
    return {
        "database": "postgresql, trials of others",
        "workers": size.clients,
        "jobs": len(submitted),
        "search_trials": size.trials,
        "faults": dict(sorted(faults.counts.items())),
        "lost": told["trial_lost"],
        "late": told["trial_late"],
        "seconds": round(time.monotonic() - begun, 1),
        "violations": violations + clients.wrong + replicas.wrong,
    }


@contextmanager
def _scene(url: str) -> Iterator[tuple[Database, Path, Replicas, list[Line]]]:
    """A database, two replicas of the API over it, and two lines to them."""
    with tempfile.TemporaryDirectory(prefix="thermowell-others-") as name:
        folder = Path(name)
        database = open_database(url)
        migrate(database)
        environment = {"THERMOWELL_DATABASE_URL": url, "THERMOWELL_VAR": name, "THERMOWELL_REAP_SECONDS": "1"}
        environment |= {"OMP_NUM_THREADS": "1", "THERMOWELL_REQUESTS_PER_MINUTE": "10000000"}
        replicas = Replicas(Processes(folder), environment, [free_port(), free_port()])
        lines = [Line("127.0.0.1", replicas.ports) for _ in range(2)]
        try:
            replicas.start()
            yield database, folder, replicas, lines
        finally:
            for line in lines:
                line.close()
            for each in replicas.programs.started:
                with suppress(ProcessLookupError):
                    each.process.kill()
                each.process.wait()
            database.close()


def _until_ended(db: Database, size: Size, faults: Storm, deadline: float) -> list[str]:
    """Strikes until every job has ended; what is wrong where the deadline comes first."""
    count = sqlalchemy.func.count()
    going_on = sqlalchemy.select(count).select_from(tables.jobs).where(tables.jobs.c.state.not_in(TERMINAL_JOBS))
    ended = sqlalchemy.select(count).select_from(tables.trials).where(tables.trials.c.state.in_(TERMINAL_TRIALS))
    done, unfinished = 0, 1
    while time.monotonic() < deadline:
        with suppress(DatabaseUnavailable), db.read() as connection:
            done, unfinished = connection.scalar(ended) or 0, connection.scalar(going_on) or 0
        if not unfinished:
            return []
        faults.strike(min(1.0, done / size.trials))
        time.sleep(0.1)  # what happens here happens in other processes, and none of them tells us
    return [f"not all jobs ended within {size.patience:.0f} s: {done} trials have"]


def _told(db: Database) -> Counter[str]:
    """How often each kind of event was told."""
    kinds = sqlalchemy.select(tables.events.c.kind, sqlalchemy.func.count()).group_by(tables.events.c.kind)
    with db.read() as connection:
        return Counter({row[0]: row[1] for row in connection.execute(kinds)})


def _untrue(db: Database, taken: Sequence[dict[str, Any]]) -> Iterator[str]:
    """What the service said to have taken and has not, or has taken twice."""
    tokens: dict[str, set[str]] = {}
    for note in taken:
        tokens.setdefault(note["place"], set()).add(note["token"])
        _, _, _, job_id, _, number = note["place"].split("/")
        trial = trials.get_trial(db, job_id, int(number), ME)[0]
        if trial.value != note["value"]:
            yield f"trial {number} of job {job_id} has {trial.value}, and {note['value']} was taken"
    for place, who in tokens.items():
        if len(who) > 1:
            yield f"the result of {place} was taken of {len(who)} attempts"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving.chaos_others", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the same, smaller, in about a minute")
    parser.add_argument("--seed", type=int, default=0, help="which faults come when")
    parser.add_argument("--keep", metavar="NAME", help="write results/NAME.json too")
    given = parser.parse_args()
    about = facts.gather()
    outcome = storm(SMALL if given.quick else FULL, given.seed)
    output.conclude(
        given.keep, {"benchmark": "chaos of others", "quick": given.quick, "seed": given.seed, **outcome}, about
    )
    return 1 if outcome["violations"] else 0


if __name__ == "__main__":
    sys.exit(main())
