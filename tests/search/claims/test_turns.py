"""Whose turn it is: in proportion to priority, a study's cells together as one, and a worker goes on with its cell."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from search.claims.turns import Turn, Waiting, turns

JOB = Waiting("job", None, 10, None, unbegun=False, leased=0, mine=0, waited=1.0, created_at=0.0)
CELL = replace(JOB, study="s")
waits = st.builds(
    Waiting,
    job_id=st.uuids().map(str),
    study=st.sampled_from([None, "a", "b"]),
    priority=st.integers(1, 100),
    most_parallel=st.none() | st.integers(1, 4),
    unbegun=st.booleans(),
    leased=st.integers(0, 5),
    mine=st.just(0),
    waited=st.floats(0, 1e6),
    created_at=st.floats(0, 1e9),
)


def order(*candidates: Waiting) -> list[str]:
    return [turn.job_id for turn in turns(candidates)]


@given(st.lists(waits, max_size=12, unique_by=lambda job: job.job_id))
def test_everybody_with_room_has_one_turn_and_shares_are_of_all(candidates: list[Waiting]) -> None:
    answer = turns(candidates)
    with_room = {job.job_id for job in candidates if job.most_parallel is None or job.leased < job.most_parallel}
    assert {turn.job_id for turn in answer} == with_room
    assert len(answer) == len(with_room)
    assert all(turn.share(16) >= 1 for turn in answer)
    by_group = {(job.study or job.job_id): turn for job in candidates for turn in answer if turn.job_id == job.job_id}
    assert sum(turn.priority for turn in by_group.values()) == (answer[0].total if answer else 0)
    assert order(*reversed(candidates)) == [turn.job_id for turn in answer], "whatever the order of the rows"


def test_a_study_of_many_cells_takes_no_more_than_a_job() -> None:
    cells = [replace(CELL, job_id=f"cell{n}", leased=1 if n < 3 else 0, unbegun=n >= 3) for n in range(20)]
    answer = turns([*cells, replace(JOB, leased=2)])
    assert answer[0] == Turn("job", False, 10, 20), "two trials under way are fewer than the study's three"
    assert answer[0].share(16) == 8
    assert answer[1].share(16) == 8


def test_a_worker_goes_on_with_its_cell_then_with_what_was_begun() -> None:
    mine = replace(CELL, job_id="mine", leased=9, mine=9)
    theirs = replace(CELL, job_id="theirs", leased=9)
    between = replace(CELL, job_id="between")
    fresh = replace(CELL, job_id="fresh", unbegun=True)
    assert order(theirs, fresh, between, mine) == ["mine", "between", "fresh", "theirs"]


def test_a_cell_at_its_cap_counts_in_its_study_and_has_no_turn() -> None:
    full = replace(CELL, job_id="full", most_parallel=3, leased=3)
    assert order(full, replace(CELL, job_id="other"), replace(JOB, leased=2)) == ["job", "other"]


def test_who_waited_longer_goes_first_among_equals() -> None:
    new = replace(CELL, job_id="new cell", waited=5.0)
    old = replace(CELL, job_id="old cell", waited=50.0, created_at=1.0)
    assert order(new, old, replace(JOB, waited=20.0)) == ["job", "new cell", "old cell"], "a study since its last claim"
