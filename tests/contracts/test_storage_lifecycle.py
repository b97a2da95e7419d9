"""Whatever users and workers do, in whatever order, a job keeps its word and comes to an end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select

from search.claims import finalization, leases, reporting
from search.claims.attempts import Failure
from search.claims.claiming import Claim
from search.errors import IllegalMove, LeaseLost, SpecInvalid
from search.records import Job, Reason
from search.requests import jobs
from search.requests.trials import list_trials
from search.states import JOB_MOVES, TERMINAL_JOBS, TERMINAL_TRIALS, JobState, Stage, TrialState
from search.storage.db import Database
from search.storage.events import read_events
from search.storage.tables import leases as lease_rows
from search.storage.tables import trials as trial_rows
from tests.search.factories import DIVERGED, EPOCHS, EXPIRED, ME, attach, epoch, submitted, take, train

ENDS = st.sampled_from([TrialState.COMPLETED, TrialState.PRUNED, TrialState.FAILED])


class Lifecycle(RuleBasedStateMachine):
    """One job at a time, a few workers, and a user who cannot decide. Held claims may have been fenced meanwhile."""

    db: Database

    @initialize(
        trials=st.integers(1, 5), epochs=st.none() | st.integers(EPOCHS, 4 * EPOCHS), share=st.sampled_from([0, 0.3])
    )
    def submit(self, trials: int, epochs: int | None, share: float) -> None:
        budget = {"trials": trials} if epochs is None else {"trials": trials, "epochs": epochs}
        self.job = submitted(self.db, budget=budget, baselines={"share": share})
        self.held: list[Claim] = []
        self.closings: list[finalization.ClosingClaim] = []

    @rule(lease=st.sampled_from([60.0, EXPIRED]))
    def claim(self, lease: float) -> None:
        claim = take(self.db, "w", lease)
        if claim is not None:
            assert self.now().state in (JobState.RUNNING, JobState.CONFIRMING)
            self.held.append(claim)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), end=ENDS, reported=st.integers(0, EPOCHS))
    def finish(self, data: st.DataObject, end: TrialState, reported: int) -> None:
        claim = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
        try:
            attach(self.db, claim)
            for number in range(1, reported + 1):
                reporting.report(self.db, claim.token, claim.trial_id, epoch(number))
            value = 0.5 if end is TrialState.COMPLETED else None
            reporting.finish(self.db, claim.token, claim.trial_id, end, value=value, reason=DIVERGED)
        except LeaseLost:
            assert claim.token not in self.tokens()

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        claim = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
        self.allowed(lambda: leases.give_back(self.db, claim.token))

    @rule()
    def reap(self) -> None:
        leases.reap(self.db)

    @precondition(lambda self: self.held)
    @rule()
    def renew(self) -> None:
        tokens = [claim.token for claim in self.held]
        assert leases.renew(self.db, "w", tokens, 60.0) == self.tokens() & set(tokens)

    @rule(act=st.sampled_from([jobs.stop_job, jobs.pause_job, jobs.resume_job]))
    def act(self, act: Callable[..., Job]) -> None:
        self.allowed(lambda: act(self.db, self.job.id, ME))

    @rule(more=st.integers(0, 2))
    def extend(self, more: int) -> None:
        self.allowed(lambda: jobs.extend_job(self.db, self.job.id, ME, trials=self.now().budget_trials + more))

    @rule(lease=st.sampled_from([60.0, EXPIRED]))
    def claim_closing(self, lease: float) -> None:
        claim = finalization.claim_closing(self.db, "w", lease)
        if claim is not None:
            assert self.now().state is JobState.ANALYSING
            self.closings.append(claim)

    @precondition(lambda self: self.closings)
    @rule()
    def close(self) -> None:
        claim = self.closings.pop()
        self.allowed(lambda: finalization.open_test(self.db, claim.token, claim.job_id))
        self.allowed(lambda: finalization.complete(self.db, claim.token, claim.job_id, {}))

    @precondition(lambda self: self.closings)
    @rule(lasting=st.booleans())
    def fail_closing(self, lasting: bool) -> None:
        failure = Failure("ValueError: why", lasting)
        self.allowed(lambda: leases.fail_attempt(self.db, self.closings[-1].token, failure))

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def not_ready(self, data: st.DataObject) -> None:
        claim = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
        self.allowed(lambda: leases.fail_attempt(self.db, claim.token, Failure("MemoryError: ")))

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def suspend(self, data: st.DataObject) -> None:
        claim = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
        self.allowed(lambda: reporting.suspend_job(self.db, claim.token, Reason("dataset-missing", "fetch it")))

    @precondition(lambda self: self.held)
    @rule(rarely=st.integers(0, 9))
    def fail(self, rarely: int) -> None:
        if rarely == 0:
            self.allowed(lambda: reporting.fail_job(self.db, self.held[0].token, Reason("dataset-missing", "fetch it")))

    @rule(rarely=st.integers(0, 9))
    def cancel(self, rarely: int) -> None:
        if rarely == 0:
            self.allowed(lambda: jobs.cancel_job(self.db, self.job.id, ME))

    @invariant()
    def moves_are_legal_and_events_dense(self) -> None:
        told = read_events(self.db, self.job.id, ME, limit=10_000)
        assert [event.number for event in told] == list(range(1, len(told) + 1))
        state = JobState.QUEUED
        for event in told:
            if event.kind == "state":
                assert event.payload["from"] == state
                assert event.payload["to"] in JOB_MOVES[state]
                state = JobState(event.payload["to"])
        assert state is self.now().state

    @invariant()
    def budget_is_kept(self) -> None:
        job = self.now()
        searched = list_trials(self.db, self.job.id, ME, stage=Stage.SEARCH, limit=1000).items
        assert len(searched) <= job.budget_trials
        if job.budget_epochs is not None:
            reserved = sum(trial.epoch if trial.state in TERMINAL_TRIALS else EPOCHS for trial in searched)
            assert reserved <= job.budget_epochs

    @invariant()
    def leases_are_of_running_trials(self) -> None:
        with self.db.read() as connection:
            held = select(lease_rows.c.trial_id).where(lease_rows.c.job_id == self.job.id)
            leased = Counter(connection.scalars(held.where(lease_rows.c.trial_id.is_not(None))))
            running = trial_rows.c.job_id == self.job.id, trial_rows.c.state == TrialState.RUNNING
            assert leased == Counter(connection.scalars(select(trial_rows.c.id).where(*running)))
        if self.now().state in TERMINAL_JOBS:
            assert self.tokens() == set()
            assert all(trial.state in TERMINAL_TRIALS for trial in self.trials())

    def teardown(self) -> None:
        """Left alone, the job ends: nothing that anybody did may have left it waiting for nobody."""
        if hasattr(self, "job"):
            self.allowed(lambda: jobs.resume_job(self.db, self.job.id, ME))
            for claim in self.held:
                self.allowed(lambda claim=claim: leases.give_back(self.db, claim.token))  # type: ignore[misc]
            for closer in self.closings:
                self.allowed(lambda closer=closer: leases.give_back(self.db, closer.token))  # type: ignore[misc]
            leases.reap(self.db)
            while (claim := take(self.db)) is not None:
                train(self.db, claim)
            closer = finalization.claim_closing(self.db, "w", 60.0)
            if closer is not None:
                finalization.complete(self.db, closer.token, closer.job_id, {})
            assert self.now().state in TERMINAL_JOBS
            assert all(trial.state in TERMINAL_TRIALS for trial in self.trials())

    def allowed(self, call: Callable[[], object]) -> None:
        """Does it, or is refused in so many words, and then nothing has changed."""
        before = self.now().updated_at
        try:
            call()
        except (IllegalMove, LeaseLost, SpecInvalid):
            assert self.now().updated_at == before

    def now(self) -> Job:
        return jobs.get_job(self.db, self.job.id, ME)

    def trials(self) -> list[object]:
        return list(list_trials(self.db, self.job.id, ME, limit=1000).items)

    def tokens(self) -> set[str]:
        with self.db.read() as connection:
            return set(connection.scalars(select(lease_rows.c.token).where(lease_rows.c.job_id == self.job.id)))


@pytest.mark.slow
def test_no_order_of_calls_breaks_a_job(db: Database) -> None:
    class OnThis(Lifecycle):
        pass

    OnThis.db = db
    examples = 16 if db.dialect == "sqlite" else 8
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        OnThis,
        settings=settings(max_examples=examples, stateful_step_count=30, suppress_health_check=list(HealthCheck)),
    )
