"""On every database: what cannot be drawn or logged elsewhere is tried a few times, ever less often, and anew later."""

from __future__ import annotations

import pytest
from sqlalchemy import select, update

from search.claims import finalization
from search.records import Trouble
from search.requests import jobs, plot_queue, troubles
from search.requests.job_view import get_job_view
from search.requests.plot_queue import DRAWINGS, TRACKINGS
from search.states import JobState
from search.storage import tables
from search.storage.db import Database
from tests import synthetic
from tests.search import factories
from tests.search.factories import ME

LONG, AT_ONCE = 60.0, 0.0
WHY = "ValueError: no such figure"


def trained(db: Database) -> str:
    job = factories.submitted(db)
    factories.train(db, factories.taken(db))
    return job.id


def still(db: Database) -> str:
    """A job that nobody works on, so that nothing happens to it."""
    job_id = trained(db)
    jobs.pause_job(db, job_id, ME)
    return job_id


def event(db: Database, job_id: str) -> int:
    found = plot_queue.news(db, job_id)
    assert found is not None
    return found.event


def fail(db: Database, job_id: str, first_pause: float = AT_ONCE) -> Trouble:
    """A child that draws the job has ended by an error."""
    assert plot_queue.claim_showing(db, LONG) == job_id
    trouble = plot_queue.fail_showing(db, job_id, event(db, job_id), WHY, first_pause)
    assert trouble is not None
    return trouble


def due_in(db: Database, job_id: str, kind: str = "shown") -> float:
    of_kind = (tables.analyses.c.job_id == job_id) & (tables.analyses.c.kind == kind)
    with db.read() as connection:
        at = connection.execute(select(tables.analyses.c.computed_at).where(of_kind)).scalar_one()
        return float(at) - db.now(connection)


def rest(db: Database) -> None:
    """Every pause is over."""
    with db.write() as connection:
        connection.execute(update(tables.analyses).values(computed_at=0.0))


def test_a_job_that_cannot_be_drawn_is_tried_a_few_times_and_says_why(db: Database) -> None:
    job_id = still(db)
    for attempt in range(1, DRAWINGS + 1):
        trouble = fail(db, job_id)
        assert (trouble.attempts, trouble.detail) == (attempt, WHY)
        assert (trouble.again_at is None) == (attempt == DRAWINGS)
        assert jobs.get_job(db, job_id, ME).undrawn == trouble == get_job_view(db, job_id, ME).job.undrawn
    for _ in range(3):
        assert plot_queue.claim_showing(db, LONG) is None


def test_pauses_grow(db: Database) -> None:
    job_id, before = still(db), 0.0
    for attempt in range(DRAWINGS - 1):
        fail(db, job_id, 60.0)
        assert plot_queue.claim_showing(db, LONG) is None
        assert due_in(db, job_id) == pytest.approx(60 * 2**attempt, abs=15)
        assert due_in(db, job_id) > before
        before = due_in(db, job_id)
        rest(db)


def test_a_job_that_stands_still_is_tried_anew_when_it_changes(db: Database) -> None:
    job_id = still(db)
    for _ in range(DRAWINGS):
        fail(db, job_id, 60.0)
        with db.write() as connection:
            of_shown = tables.analyses.c.kind == "shown"
            connection.execute(update(tables.analyses).where(of_shown).values(computed_at=0.0))
    assert plot_queue.claim_showing(db, LONG) is None
    jobs.share_job(db, job_id, ME, {"priority": 20})
    assert fail(db, job_id).attempts == 1
    jobs.resume_job(db, job_id, ME)
    assert fail(db, job_id).attempts == 1, "it stands otherwise"


def test_a_job_that_always_changes_is_not_tried_for_each_change(db: Database) -> None:
    job_id = trained(db)
    for attempt in range(1, 2 * DRAWINGS):
        assert fail(db, job_id, 60.0).attempts == attempt
        jobs.share_job(db, job_id, ME, {"priority": 10 + attempt})
        assert plot_queue.claim_showing(db, LONG) is None, "not before the pause is over"
        if attempt >= DRAWINGS:
            assert due_in(db, job_id) > 900
        rest(db)


def test_what_is_drawn_in_the_end_is_no_trouble_any_more(db: Database) -> None:
    job_id = still(db)
    fail(db, job_id)
    assert plot_queue.claim_showing(db, LONG) == job_id
    plot_queue.mark_shown(db, job_id, event(db, job_id), AT_ONCE)
    assert jobs.get_job(db, job_id, ME).undrawn is None


def test_an_answer_is_drawn_whatever_was_before(db: Database) -> None:
    job_id = trained(db)
    for _ in range(DRAWINGS):
        fail(db, job_id)
    factories.train_all(db)
    claim = finalization.claim_closing(db, "w", LONG)
    assert claim is not None
    finalization.complete(db, claim.token, job_id, synthetic.documents(synthetic.spec(), synthetic.few()))
    assert jobs.get_job(db, job_id, ME).undrawn is None
    assert plot_queue.claim_showing(db, LONG) == job_id


def track(db: Database, job_id: str, works: bool, first_pause: float = AT_ONCE) -> bool:
    """The job is drawn, and MLflow told of it, where that is due; whether it was."""
    assert plot_queue.claim_showing(db, LONG) == job_id
    news = plot_queue.news(db, job_id)
    assert news is not None
    if news.track and not works:
        plot_queue.fail_tracking(db, job_id, news.event, "OSError: refused", first_pause)
    plot_queue.mark_shown(db, job_id, news.event, AT_ONCE, tracked=news.track and works)
    return news.track


def test_plots_do_not_wait_for_mlflow_and_it_is_told_when_it_is_back(db: Database) -> None:
    job_id = trained(db)
    assert track(db, job_id, works=False, first_pause=60.0)
    trouble = jobs.get_job(db, job_id, ME).untracked
    assert trouble is not None
    assert (trouble.attempts, trouble.detail) == (1, "OSError: refused")
    assert plot_queue.claim_showing(db, LONG) is None, "the plots are drawn, and MLflow rests"
    factories.attach(db, factories.taken(db))
    assert not track(db, job_id, works=True), "plots alone"
    with db.write() as connection:
        of_kind = tables.analyses.c.kind == troubles.UNTRACKED
        document = connection.execute(select(tables.analyses.c.document).where(of_kind)).scalar_one()
        over = troubles.Noted.model_validate_json(document).model_copy(update={"rests_until": 0.0})
        values = {"document": over.model_dump_json(), "computed_at": 0.0}
        connection.execute(update(tables.analyses).where(of_kind).values(**values))
    assert track(db, job_id, works=True), "though nothing has happened since"
    assert jobs.get_job(db, job_id, ME).untracked is None
    assert plot_queue.claim_showing(db, LONG) is None


def test_mlflow_is_given_up_in_the_end_until_the_job_changes(db: Database) -> None:
    job_id = still(db)
    for _ in range(TRACKINGS):
        assert track(db, job_id, works=False)
    assert plot_queue.claim_showing(db, LONG) is None
    trouble = jobs.get_job(db, job_id, ME).untracked
    assert trouble is not None
    assert (trouble.attempts, trouble.again_at) == (TRACKINGS, None)
    jobs.share_job(db, job_id, ME, {"priority": 20})
    assert track(db, job_id, works=False)
    trouble = jobs.get_job(db, job_id, ME).untracked
    assert trouble is not None
    assert trouble.attempts == 1
    for _ in range(TRACKINGS - 1):
        assert track(db, job_id, works=False)
    assert jobs.cancel_job(db, job_id, ME).state is JobState.CANCELLED
    assert track(db, job_id, works=True), "how it ended is told"


def test_a_deleted_job_has_no_trouble(db: Database) -> None:
    assert plot_queue.news(db, "gone") is None
    assert plot_queue.fail_showing(db, "gone", 1, WHY, AT_ONCE) is None
    assert plot_queue.fail_tracking(db, "gone", 1, WHY, AT_ONCE) is None


def test_mlflow_is_told_how_a_job_ended_though_it_rests(db: Database) -> None:
    job_id = trained(db)
    assert track(db, job_id, works=False, first_pause=600.0)
    jobs.cancel_job(db, job_id, ME)
    assert track(db, job_id, works=True)
