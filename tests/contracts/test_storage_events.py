"""A job's events rise by one, without gaps, and none is seen before a smaller one."""

from __future__ import annotations

import threading

import pytest

from search.claims import reporting
from search.errors import NotFound
from search.requests import jobs
from search.states import TrialState
from search.storage import events
from search.storage.db import Database
from search.storage.events import read_events
from tests.search.factories import (  # fmt: skip
    DIVERGED,
    ME,
    OTHER,
    at_once,
    attach,
    lose,
    opened,
    submitted,
    take,
    taken,
    train,
    train_all,
)


def test_numbers_are_dense_while_many_write(db: Database, storage_url: str) -> None:
    job = submitted(db, budget={"trials": 24})
    ended = threading.Event()

    def follow() -> list[int]:
        """As a client does: what comes after the last one seen; any number that is skipped is lost for good."""
        seen: list[int] = []
        while not ended.is_set() or read_events(db, job.id, ME, seen[-1] if seen else 0):
            seen += [event.number for event in read_events(db, job.id, ME, seen[-1] if seen else 0, limit=7)]
        return seen

    def work() -> list[int]:
        with opened(storage_url) as own:
            train_all(own)
        return []

    def work_to_the_end() -> list[int]:
        try:
            at_once([work] * 6)
        finally:
            ended.set()
        return []

    followed, _ = at_once([follow, work_to_the_end])
    assert followed == list(range(1, len(followed) + 1))
    assert len(followed) > 2 * 24


def test_events_tell_a_trials_way(db: Database) -> None:
    job = submitted(db, baselines={"share": 0}, budget={"trials": 5})
    lose(db)
    first = taken(db)
    train(db, first, 0.5)
    for state in (TrialState.PRUNED, TrialState.FAILED):
        claim = taken(db)
        attach(db, claim)
        reporting.finish(db, claim.token, claim.trial_id, state, reason=DIVERGED)
    train(db, taken(db), 0.25)  # not the best
    train(db, taken(db), 0.75)
    told = [(event.kind, event.payload.get("trial")) for event in read_events(db, job.id, ME)]
    assert told[:-1] == [
        ("submitted", None),
        ("state", None),
        ("trial_started", 0),
        ("trial_lost", 0),
        ("trial_started", 0),
        ("best", 0),
        ("trial_finished", 0),
        ("trial_started", 1),
        ("trial_pruned", 1),
        ("trial_started", 2),
        ("trial_failed", 2),
        ("trial_started", 3),
        ("trial_finished", 3),
        ("trial_started", 4),
        ("best", 4),
        ("trial_finished", 4),
    ]
    assert told[-1] == ("state", None)
    assert take(db) is not None


def test_reading_goes_on_after_any_number(db: Database) -> None:
    job = submitted(db)
    jobs.pause_job(db, job.id, ME)
    assert [event.number for event in read_events(db, job.id, ME, after=1)] == [2]
    assert [event.number for event in read_events(db, job.id, ME, limit=1)] == [1]
    assert [event.number for event in read_events(db, job.id, ME, after=-(10**40))] == [1, 2]
    assert read_events(db, job.id, ME, after=10**40) == []


def test_news_say_whether_they_are_the_last(db: Database) -> None:
    job = submitted(db)
    assert [len(events.read_news(db, job.id, ME, after, 9)[0]) for after in (0, 1, 10**40)] == [1, 0, 0]
    assert not events.read_news(db, job.id, ME, 1, 9)[1]
    jobs.cancel_job(db, job.id, ME)
    said = [events.read_news(db, job.id, ME, after, limit) for after, limit in ((0, 1), (0, 9), (2, 9))]
    assert [([event.number for event in found], ended) for found, ended in said] == [
        ([1], False),
        ([1, 2], True),
        ([], True),
    ]
    with pytest.raises(NotFound):
        events.read_news(db, job.id, OTHER, 0, 9)


def test_what_is_rolled_back_leaves_no_gap(db: Database) -> None:
    job = submitted(db)
    try:
        with db.write() as connection:
            events.emit(connection, job.id, "state", {})
            raise KeyError
    except KeyError:
        pass
    jobs.pause_job(db, job.id, ME)
    assert [event.number for event in read_events(db, job.id, ME)] == [1, 2]
