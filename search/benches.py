"""Which problems does this worker have ready, and which trial sits on which lane of their engines?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from search.ledger import Claim
from trainers import run
from trainers.engine import Engine
from trainers.spec import Assignment, Configuration, EpochReport, LaneFailure, Problem

Prepare = Callable[[Problem], run.Prepared]


@dataclass(slots=True)
class Seat:
    """A trial that is being trained here."""

    claim: Claim
    configuration: Configuration
    optuna_number: int | None
    seconds: float = 0.0


@dataclass(slots=True)
class Bench:
    """One problem made ready, and its engine.

    `alone` is set once training has crashed with several trials on the lanes: from then on one at a time, so that the
    next crash shows whose it is.
    """

    prepared: run.Prepared
    lanes: int
    engine: Engine
    seats: dict[int, Seat] = field(default_factory=dict)
    alone: bool = False

    def takes(self) -> bool:
        """Whether another trial may sit down."""
        return not (self.alone and self.seats) and self.engine.free() > 0

    def admit(self, seat: Seat) -> None:
        """Seats a trial on a free lane."""
        claim = seat.claim
        lane = self.engine.admit(Assignment(str(claim.trial_id), seat.configuration, claim.seed))
        self.seats[lane] = seat

    def step(self) -> Sequence[EpochReport | LaneFailure]:
        """One epoch of every trial that sits here."""
        return self.engine.step_epoch()

    def evict(self, lane: int) -> Seat:
        """Takes a trial off its lane."""
        self.engine.evict(lane)
        return self.seats.pop(lane)

    def clear(self) -> list[Seat]:
        """Takes all trials off and opens a new engine: the old one crashed and may be in any state."""
        seats, self.seats = list(self.seats.values()), {}
        self.engine = run.open_engine(self.prepared, self.lanes)
        return seats


class Benches:
    """At most `most` problems are kept ready, those in use always; the longest unused goes first."""

    def __init__(self, prepare: Prepare, lanes: int, most: int = 4) -> None:
        self._prepare, self._lanes, self._most = prepare, lanes, most
        self._benches: dict[str, Bench] = {}  # the most recently asked for last

    def get(self, problem: Problem) -> Bench:
        """The bench of a problem; makes it ready where it is not, which may take as long as training the teacher.

        TrainingError where it cannot be made ready.
        """
        key = problem.fingerprint()
        bench = self._benches.pop(key, None)
        if bench is None:
            self._forget(self._most - 1)
            prepared = self._prepare(problem)
            bench = Bench(prepared, self._lanes, run.open_engine(prepared, self._lanes))
        self._benches[key] = bench
        return bench

    def taken(self) -> int:
        """How many trials sit on all lanes."""
        return sum(len(bench.seats) for bench in self._benches.values())

    def occupied(self) -> list[Bench]:
        """The benches with trials on them."""
        return [bench for bench in self._benches.values() if bench.seats]

    def seated(self) -> Iterator[tuple[Bench, int, Seat]]:
        """Every trial that sits somewhere, with its bench and lane."""
        for bench in list(self._benches.values()):
            for lane, seat in list(bench.seats.items()):
                yield bench, lane, seat

    def _forget(self, most: int) -> None:
        idle = [key for key, bench in self._benches.items() if not bench.seats]
        for key in idle[: max(0, len(self._benches) - most)]:
            del self._benches[key]
