"""The next free lane on any database: shares by priority, caps, what workers must have, quotas of keys."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import pytest
from sqlalchemy import update

from search.claims import claiming, leases, workers
from search.claims.claiming import Claim
from search.errors import IllegalMove, QuotaExceeded, SpecInvalid
from search.records import Job, Key, Principal, Quota
from search.requests import dashboard_queries, fleet_counts, jobs, keys
from search.spec.scheduling import FleetSpec
from search.states import JobState
from search.storage import tables
from search.storage.db import Database
from tests.search import factories

HUGE = {"budget": {"trials": 500}, "baselines": {"share": 0.0}}


def submitted(db: Database, name: str, principal: Principal = factories.ME, **fleet: Any) -> Job:
    return factories.submitted(db, principal, name=name, fleet=fleet, **HUGE)


def claimed(db: Database, lanes: int, most: int = 1) -> list[Claim]:
    """What a worker with so many lanes takes, as it would: `most` at a time, nothing ends meanwhile."""
    taken: list[Claim] = []
    while len(taken) < lanes:
        more = claiming.claim_many(
            db, "w", 60.0, min(most, lanes - len(taken)), fixed=lambda _: factories.FIXED, room=lambda *_: True
        )
        if not more:
            break
        taken += more
    return taken


def shares(taken: list[Claim]) -> dict[str, int]:
    return dict(Counter(claim.spec.name for claim in taken))


@pytest.mark.parametrize("most", [1, 4, 16])
def test_lanes_are_shared_by_priority(db: Database, most: int) -> None:
    submitted(db, "usual")
    submitted(db, "urgent", priority=30)
    submitted(db, "rest", priority=5)
    got = shares(claimed(db, 45, most))
    assert got["urgent"] == pytest.approx(30, abs=most)
    assert got["usual"] == pytest.approx(10, abs=most)
    assert got["rest"] == pytest.approx(5, abs=most)


def test_a_small_job_behind_a_huge_one_begins_at_once(db: Database) -> None:
    submitted(db, "huge", priority=100)
    assert shares(claimed(db, 20)) == {"huge": 20}
    small = submitted(db, "small", priority=1)
    assert factories.taken(db).job_id == small.id


def test_nobody_starves_where_one_lane_is_free_at_a_time(db: Database) -> None:
    """Trials end at once: nobody has any under way, and who has waited long enough for its priority is next."""
    submitted(db, "high", priority=40)
    submitted(db, "low")
    names = list[str]()
    while "low" not in names and len(names) < 60:
        claim = factories.taken(db)
        factories.train(db, claim)
        names.append(claim.spec.name)
    assert set(names) == {"high", "low"}


def test_a_cap_holds_and_leaves_the_rest_to_others(db: Database) -> None:
    submitted(db, "capped", parallel=3, priority=100)
    assert shares(claimed(db, 10, most=8)) == {"capped": 3}
    submitted(db, "free")
    assert shares(claimed(db, 10, most=8)) == {"free": 10}


def test_a_share_changes_while_it_is_searched(db: Database) -> None:
    job = submitted(db, "capped", parallel=2)
    assert len(claimed(db, 10)) == 2
    changed = jobs.share_job(db, job.id, factories.ME, {"parallel": 5, "priority": 20})
    assert (changed.parallel, changed.priority) == (5, 20)
    assert len(claimed(db, 10)) == 3
    assert jobs.share_job(db, job.id, factories.ME, {"parallel": None}).parallel is None
    assert len(claimed(db, 10)) == 10
    for wrong in ({"priority": 0}, {"priority": 101}, {"parallel": 0}):
        with pytest.raises(SpecInvalid):
            jobs.share_job(db, job.id, factories.ME, wrong)
    jobs.cancel_job(db, job.id, factories.ME)
    with pytest.raises(IllegalMove):
        jobs.share_job(db, job.id, factories.ME, {"priority": 20})


def seen(db: Database, name: str, *labels: str, memory_gb: float | None = 8.0, lease: float = 60.0) -> None:
    said = {"device": "cpu", "memory_gb": memory_gb}
    workers.worker_seen(db, name, host="here", pid=1, lanes=1, capabilities=said, labels=labels, lease_seconds=lease)


def test_a_job_says_which_worker_it_waits_for(db: Database) -> None:
    job = submitted(db, "picky", labels=["gpu"], memory_gb=16)

    def waits() -> str | None:
        return jobs.get_job(db, job.id, factories.ME).progress.waits_for

    assert waits() == "a worker with gpu and 16 GB of memory"
    seen(db, "small", "gpu")
    assert waits() == "a worker with gpu and 16 GB of memory"
    seen(db, "gone", "gpu", memory_gb=80, lease=-1.0)
    assert waits() is not None
    seen(db, "large", "gpu", memory_gb=80)
    assert waits() is None


def test_a_job_says_behind_whom_it_waits(db: Database) -> None:
    first = submitted(db, "first", priority=20)
    assert factories.taken(db).job_id == first.id
    second = submitted(db, "second")
    seen(db, "w1")

    def waits() -> str | None:
        return jobs.get_job(db, second.id, factories.ME).progress.waits_for

    assert waits() is None, "a claim may take a moment"
    with db.write() as connection:
        connection.execute(update(tables.jobs).values(updated_at=tables.jobs.c.updated_at - 60))
    assert waits() == "a free lane, behind first (priority 20); its own priority is 10"
    with db.write() as connection:
        connection.execute(update(tables.jobs).where(tables.jobs.c.id == first.id).values(owner="another"))
    assert waits() == "a free lane, behind 1 job of others; its own priority is 10"


def test_a_job_says_what_a_worker_prepares_for_it(db: Database) -> None:
    job = submitted(db, "compiled")

    def told(seconds: float | None) -> str | None:
        preparing = {"job": job.id, "words": "compiling", "seconds": seconds}
        said = {"device": "cpu", "preparing": preparing}
        workers.worker_seen(db, "w1", host="here", pid=1, lanes=0, capabilities=said)
        return jobs.get_job(db, job.id, factories.ME).progress.preparing

    assert jobs.get_job(db, job.id, factories.ME).progress.preparing is None
    assert told(40.4) == "compiling, about 40 s left"
    assert told(0.2) == "compiling, soon done"
    assert told(None) == "compiling"
    seen(db, "w1")
    assert jobs.get_job(db, job.id, factories.ME).progress.preparing is None


def test_what_a_worker_prepares_moves_the_pages_that_show_it(db: Database) -> None:
    job, other = submitted(db, "compiled"), submitted(db, "another")

    def standing(words: str | None, seconds: float | None = None) -> list[str]:
        preparing = {"preparing": {"job": job.id, "words": words, "seconds": seconds}} if words else {}
        workers.worker_seen(db, "w1", host="here", pid=1, lanes=0, capabilities={"device": "cpu"} | preparing)
        return [dashboard_queries.preparations(db, job_id) for job_id in (job.id, None, other.id)]

    steps = [standing(*said) for said in ((None,), ("measuring",), ("compiling", 41.0), ("compiling", 25.0), (None,))]
    mine, any_job, others = zip(*steps, strict=True)
    assert all(before != after for told in (mine, any_job) for before, after in itertools.pairwise(told))
    assert set(others) == {""}
    assert standing("compiling", 44.0) == standing("compiling", 42.0)


@pytest.mark.parametrize(
    ("asked", "labels", "memory", "lacks"),
    [
        ({}, (), None, []),
        ({"labels": ["gpu"]}, ("gpu", "fast"), None, []),
        ({"labels": ["gpu", "fast"]}, ("gpu",), 80, ["fast"]),
        ({"memory_gb": 16}, ("gpu",), 15.9, ["16 GB of memory"]),
        ({"memory_gb": 16}, ("gpu",), None, ["16 GB of memory"]),
        ({"memory_gb": 16}, (), 16, []),
    ],
)
def test_what_a_worker_lacks(
    asked: dict[str, Any], labels: tuple[str, ...], memory: float | None, lacks: list[str]
) -> None:
    assert FleetSpec.model_validate(asked).lacking(labels, memory) == lacks


def owner(db: Database, **quota: int) -> tuple[Key, Principal]:
    key, _ = keys.create_key(db, "somebody", ["submit"], Quota(**quota))
    return key, Principal(key.id, key.name, key.scopes)


def test_a_quota_of_jobs_counts_those_that_have_not_ended(db: Database) -> None:
    key, me = owner(db, jobs=2)
    first = submitted(db, "a", me)
    submitted(db, "b", me)
    with pytest.raises(QuotaExceeded, match=f"2 unfinished jobs at once and has 2.*keys quota {key.id}"):
        submitted(db, "c", me)
    submitted(db, "d", factories.OTHER)
    jobs.cancel_job(db, first.id, me)
    submitted(db, "c", me)
    assert keys.quota_use(db, key.id) == Quota(jobs=2, trials=1000, parallel=0)


def test_a_quota_of_trials_counts_budgets_and_raises(db: Database) -> None:
    _, me = owner(db, trials=600)
    job = submitted(db, "a", me)
    with pytest.raises(QuotaExceeded, match="at most 100"):
        submitted(db, "b", me)
    assert jobs.extend_job(db, job.id, me, trials=600).budget_trials == 600
    with pytest.raises(QuotaExceeded):
        jobs.extend_job(db, job.id, me, trials=601)


def test_a_quota_of_parallel_trials_is_of_all_jobs_together(db: Database) -> None:
    key, me = owner(db, parallel=3)
    submitted(db, "a", me)
    submitted(db, "b", me)
    assert len(claimed(db, 10, most=4)) == 3
    submitted(db, "c", factories.OTHER)
    assert shares(claimed(db, 5)) == {"c": 5}
    keys.set_quota(db, key.id, Quota(parallel=5))
    assert sum(shares(claimed(db, 1)).values()) == 1


def test_two_requests_at_once_do_not_both_take_the_last_place(db: Database) -> None:
    _, me = owner(db, jobs=1)

    def submit(name: str) -> Job | None:
        try:
            return submitted(db, name, me)
        except QuotaExceeded:
            return None

    made = factories.at_once([lambda n=n: submit(f"job {n}") for n in range(6)])  # type: ignore[misc]
    assert sum(job is not None for job in made) == 1


def test_workers_at_once_do_not_exceed_a_cap(db: Database) -> None:
    job = submitted(db, "capped", parallel=3)
    taken = factories.at_once([lambda n=n: factories.take(db, f"w{n}") for n in range(8)])  # type: ignore[misc]
    assert sum(claim is not None for claim in taken) == 3
    assert jobs.get_job(db, job.id, factories.ME).state is JobState.RUNNING


def test_quotas_that_cannot_be(db: Database) -> None:
    for wrong in ({"jobs": 0}, {"trials": -1}, {"parallel": 2**31}):
        with pytest.raises(ValueError, match="a quota of"):
            owner(db, **wrong)


def test_a_job_and_its_claims_know_the_request_that_asked(db: Database) -> None:
    job, _ = jobs.submit(db, factories.spec(), factories.ME, request_id="ci-4711")
    assert job.request_id == "ci-4711"
    assert factories.taken(db).request_id == "ci-4711"


def test_figures_tell_whether_the_fleet_keeps_up(db: Database) -> None:
    factories.submitted(db)
    before = fleet_counts.count(db)
    assert (before.queue, before.lanes, before.lanes_busy, before.epochs) == (1, 0, 0, 0)
    seen(db, "w")
    seen(db, "gone", lease=-1.0)
    factories.train(db, factories.taken(db))
    factories.taken(db, "gone", factories.EXPIRED)
    stale = fleet_counts.count(db)
    assert (stale.lanes, stale.lanes_busy, stale.stale_leases) == (1, 1, 1)
    assert (stale.epochs, stale.train_seconds) == (factories.EPOCHS, pytest.approx(0.1))
    leases.reap(db)
    factories.taken(db)
    after = fleet_counts.count(db)
    assert (after.stale_leases, after.losses, after.retries) == (0, 1, 1)
