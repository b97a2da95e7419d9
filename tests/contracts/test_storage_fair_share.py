"""Lanes where many workers claim at once go to all jobs, in proportion to priority, below a key's quota."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from search.claims.claiming import Claim
from search.errors import IllegalMove, SpecInvalid
from search.records import Principal, Quota
from search.requests import jobs, keys
from search.storage.db import Database
from tests.search.factories import ME, at_once, opened, submitted, take, taken, train

HUGE = {"trials": 500}


def somebody(db: Database, quota: Quota) -> Principal:
    key, _ = keys.create_key(db, "somebody", frozenset({"submit"}), quota)
    return Principal(key.id, key.name, key.scopes)


def lanes(db: Database, url: str, workers: int, each: int) -> list[Claim]:
    """What so many workers take that claim at the same time, each over connections of its own."""

    def work(worker: str) -> list[Claim]:
        with opened(url) as own:
            return [claim for _ in range(each) if (claim := take(own, worker)) is not None]

    def of(worker: str) -> Callable[[], list[Claim]]:
        return lambda: work(worker)

    return [claim for claims in at_once([of(f"w{number}") for number in range(workers)]) for claim in claims]


def test_a_small_job_behind_a_huge_one_starts_with_the_next_free_lane(db: Database, storage_url: str) -> None:
    huge = submitted(db, name="huge", budget=HUGE)
    held = lanes(db, storage_url, 4, 4)
    assert {claim.job_id for claim in held} == {huge.id}
    small = submitted(db, name="small", budget={"trials": 2})
    train(db, held[0])  # the fleet was full: one lane is free now
    assert taken(db).job_id == small.id


def test_lanes_are_shared_in_proportion_to_priority_by_workers_that_claim_at_once(
    db: Database, storage_url: str
) -> None:
    low = submitted(db, name="low", budget=HUGE, fleet={"priority": 10})
    high = submitted(db, name="high", budget=HUGE, fleet={"priority": 30})
    held = lanes(db, storage_url, 4, 6)
    assert len({claim.trial_id for claim in held}) == 24
    # who claims in the same instant takes what nobody else is deciding about: each lane that becomes free puts it right
    for claim in list(held):
        train(db, claim)
        held.remove(claim)
        held.append(taken(db))
    assert Counter(claim.job_id for claim in held) == {low.id: 6, high.id: 18}


def test_a_share_that_no_spec_could_have_is_refused(db: Database) -> None:
    job = submitted(db)
    for changes in ({"priority": 0}, {"priority": 101}, {"parallel": 0}):
        with pytest.raises(SpecInvalid):
            jobs.share_job(db, job.id, ME, changes)
    jobs.cancel_job(db, job.id, ME)
    with pytest.raises(IllegalMove):
        jobs.share_job(db, job.id, ME, {"priority": 20})


def test_a_key_s_parallel_quota_holds_over_all_its_jobs(db: Database, storage_url: str) -> None:
    owner = somebody(db, Quota(parallel=5))
    for name in ("a", "b", "c"):
        submitted(db, owner, name=name, budget=HUGE)
    held = lanes(db, storage_url, 4, 4)
    assert len(held) == 5
    other = submitted(db, name="other", budget=HUGE)
    assert taken(db).job_id == other.id
    train(db, held[0])
    assert len([claim for claim in lanes(db, storage_url, 2, 3) if claim.job_id != other.id]) == 1
