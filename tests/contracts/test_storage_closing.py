"""The test part is opened once, after the confirmation, by whoever closes the job, and its answer stays."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select, update

from search.claims import artifacts, finalization, leases, reporting, workers
from search.errors import ArtifactCorrupt, IllegalMove, LeaseLost, NotFound, NotReady
from search.records import Job
from search.requests import jobs, results
from search.requests.trials import get_trial
from search.states import JobState, TrialState
from search.storage import tables
from search.storage.db import Database
from search.storage.events import read_events
from search.storage.folder import Folder
from tests.search.factories import ADMIN, EXPIRED, ME, OTHER, at_once, spec, submitted, taken, train_all  # fmt: skip
from thermowell.api.answers import Importances
from trainers.spec import Metrics, TeacherFacts

METRICS = Metrics(0.5, 0.6, 0.05, 0.9, 1.2)


def importances(job: Job, optimizer: float = 0.25) -> Importances:
    return Importances(
        job_id=job.id,
        evaluator="ped-anova",
        importances={"temperature": 1 - optimizer, "optimizer": optimizer},
        computed_at="2026-01-01T00:00:00+00:00",
    )


def id_of(db: Database, job: Job, number: int) -> int:
    with db.read() as connection:
        wanted = (tables.trials.c.job_id == job.id) & (tables.trials.c.number == number)
        return connection.execute(select(tables.trials.c.id).where(wanted)).scalar_one()  # type: ignore[no-any-return]


@pytest.fixture
def confirmed(db: Database) -> Job:
    """A job that waits to be closed."""
    job = submitted(db, baselines={"share": 0})
    train_all(db)
    return jobs.get_job(db, job.id, ME)


def test_one_worker_closes_a_job(db: Database, confirmed: Job) -> None:
    claims = at_once([lambda: finalization.claim_closing(db, "w", 60.0)] * 6)
    [claim] = [claim for claim in claims if claim is not None]
    assert (claim.job_id, claim.spec, claim.round) == (confirmed.id, spec(baselines={"share": 0}), 0)
    assert (claim.search_stopped, claim.test_seen_before) == (False, False)
    assert claim.wall_seconds > 0
    permit = finalization.open_test(db, claim.token, confirmed.id)
    assert finalization.open_test(db, claim.token, confirmed.id) == permit  # what was opened stays opened
    finalization.record_test(db, claim.token, id_of(db, confirmed, 0), METRICS)
    with pytest.raises(NotReady, match="analysing"):
        results.get_importances(db, confirmed.id, ME)
    finalization.complete(db, claim.token, confirmed.id, {"importances": importances(confirmed)})
    done = jobs.get_job(db, confirmed.id, ME)
    assert (done.state, done.test_opened_at and done.test_opened_at.timestamp()) == (
        JobState.COMPLETED,
        pytest.approx(permit.confirmed_at, abs=1e-5),
    )
    assert results.get_importances(db, confirmed.id, ME) == importances(confirmed)
    assert get_trial(db, confirmed.id, 0, ME)[0].test_metrics == {
        "accuracy": 0.5, "nll": 0.6, "ece": 0.05, "teacher_agreement": 0.9, "teacher_entropy": 1.2,
    }  # fmt: skip
    assert finalization.claim_closing(db, "w", 60.0) is None
    for read in (results.get_result, results.get_response):
        with pytest.raises(NotReady, match="completed and left no"):
            read(db, confirmed.id, ME)
        with pytest.raises(NotFound):
            read(db, confirmed.id, OTHER)


def test_the_test_part_stays_shut_for_everybody_else(db: Database, confirmed: Job) -> None:
    other = submitted(db)
    trial = taken(db)
    for token in (trial.token, "no token"):
        for job_id in (other.id, confirmed.id):
            with pytest.raises(LeaseLost):
                finalization.open_test(db, token, job_id)
    claim = finalization.claim_closing(db, "w", 60.0)
    assert claim is not None
    with pytest.raises(LeaseLost):
        finalization.open_test(db, claim.token, other.id)
    with pytest.raises(LeaseLost):
        finalization.record_test(db, trial.token, trial.trial_id, METRICS)
    with pytest.raises(LeaseLost):
        finalization.complete(db, trial.token, other.id, {})
    with pytest.raises(LeaseLost):
        finalization.complete(db, claim.token, other.id, {})
    finalization.record_test(db, claim.token, trial.trial_id, METRICS)  # of another job: nothing is written
    assert get_trial(db, other.id, 0, ME)[0].test_metrics is None
    assert jobs.get_job(db, confirmed.id, ME).test_opened_at is None


def test_a_lost_closing_is_taken_by_another(db: Database, confirmed: Job) -> None:
    lost = finalization.claim_closing(db, "lost", EXPIRED)
    assert lost is not None
    finalization.open_test(db, lost.token, confirmed.id)
    assert leases.reap(db).closings == [confirmed.id]
    claim = finalization.claim_closing(db, "w", 60.0)
    assert claim is not None
    assert not claim.test_seen_before  # nothing was decided since
    for late in (
        lambda: finalization.open_test(db, lost.token, confirmed.id),
        lambda: finalization.record_test(db, lost.token, 1, METRICS),
        lambda: finalization.complete(db, lost.token, confirmed.id, {}),
    ):
        with pytest.raises(LeaseLost):
            late()
    leases.give_back(db, claim.token)
    assert finalization.claim_closing(db, "w", 60.0) is not None


def test_an_extended_job_answers_anew(db: Database, confirmed: Job) -> None:
    for round_, optimizer in enumerate((0.25, 0.5)):
        claim = finalization.claim_closing(db, "w", 60.0)
        assert claim is not None
        assert (claim.round, claim.test_seen_before) == (round_, round_ > 0)
        finalization.open_test(db, claim.token, confirmed.id)
        finalization.complete(db, claim.token, confirmed.id, {"importances": importances(confirmed, optimizer)})
        assert results.get_importances(db, confirmed.id, ME).importances["optimizer"] == optimizer
        jobs.extend_job(db, confirmed.id, ME, trials=5 + round_)
        train_all(db)


def test_a_sealed_test_part_is_opened_by_asking_once(db: Database, confirmed: Job) -> None:
    with pytest.raises(IllegalMove, match="only one that is completed"):
        jobs.open_test(db, confirmed.id, ME)
    claim = finalization.claim_closing(db, "w", 60.0)
    assert claim is not None
    assert not claim.test_open
    finalization.complete(db, claim.token, confirmed.id, {"importances": importances(confirmed)})
    assert jobs.get_job(db, confirmed.id, ME).test_opened_at is None
    with pytest.raises(NotFound):
        jobs.open_test(db, confirmed.id, OTHER)
    answers = at_once([lambda: jobs.open_test(db, confirmed.id, ME)] * 6)
    assert {answer.state for answer in answers} == {JobState.ANALYSING}
    assert len({answer.test_opened_at for answer in answers} - {None}) == 1
    kinds = [event.kind for event in read_events(db, confirmed.id, ME)]
    assert kinds.count("test_opened") == 1
    assert results.get_importances(db, confirmed.id, ME)  # the answer stands until there is another
    claim = finalization.claim_closing(db, "w", 60.0)
    assert claim is not None
    assert claim.test_open
    finalization.open_test(db, claim.token, confirmed.id)
    finalization.complete(db, claim.token, confirmed.id, {"importances": importances(confirmed)})
    done = jobs.open_test(db, confirmed.id, ME)
    assert (done.state, done.test_opened_at) == (JobState.COMPLETED, answers[0].test_opened_at)


@pytest.mark.parametrize("asked", [False, True])
def test_an_extension_says_whether_the_test_part_was_opened_before(db: Database, confirmed: Job, asked: bool) -> None:
    for opened in (False, asked):
        claim = finalization.claim_closing(db, "w", 60.0)
        assert claim is not None
        assert (claim.test_open, claim.test_seen_before) == (opened, False)
        finalization.complete(db, claim.token, confirmed.id, {"importances": importances(confirmed)})
        if asked and not opened:
            jobs.open_test(db, confirmed.id, ME)
        elif not asked:
            break
    jobs.extend_job(db, confirmed.id, ME, trials=6)
    train_all(db)
    claim = finalization.claim_closing(db, "w", 60.0)
    assert claim is not None
    assert (claim.test_open, claim.test_seen_before) == (asked, asked)


def test_files_are_kept_by_digest_and_given_by_name(db: Database, confirmed: Job, tmp_path: Path) -> None:
    root, source = tmp_path / "store", tmp_path / "student"
    source.write_bytes(b"weights")
    claim = finalization.claim_closing(db, "w", 60.0)
    assert claim is not None
    stored = artifacts.store(
        db, Folder(root), claim.token, "student.safetensors", "application/x", source, id_of(db, confirmed, 0)
    )
    assert (stored.size, stored.trial, stored.sha256) == (7, 0, artifacts.digest_of(source))
    artifacts.store(db, Folder(root), claim.token, "copy", "application/x", source)
    assert [path.name for path in root.rglob("*") if path.is_file()] == [stored.sha256]
    assert [each.name for each in artifacts.list_artifacts(db, confirmed.id, ME)] == ["copy", "student.safetensors"]
    files = Folder(root)
    with artifacts.open_artifact(db, files, confirmed.id, "student.safetensors", ADMIN) as (found, path):
        assert (found, path.read_bytes()) == (stored, b"weights")
    for name in ("none", "", "..", "../student", "\x00", "a/b", str(source), "x" * 1000):
        with pytest.raises(NotFound), artifacts.open_artifact(db, files, confirmed.id, name, ME):
            pass
        if name != "none":
            with pytest.raises(ValueError, match="name"):
                artifacts.store(db, Folder(root), claim.token, name, "application/x", source)
    with pytest.raises(NotFound), artifacts.open_artifact(db, files, confirmed.id, "copy", OTHER):
        pass
    path.write_bytes(b"changed")
    corrupt = pytest.raises(ArtifactCorrupt, match=stored.sha256)
    with corrupt, artifacts.open_artifact(db, files, confirmed.id, "copy", ME):
        pass
    path.unlink()
    with pytest.raises(ArtifactCorrupt), artifacts.open_artifact(db, files, confirmed.id, "copy", ME):
        pass


def test_a_lost_lease_leaves_no_file(db: Database, confirmed: Job, tmp_path: Path) -> None:
    source = tmp_path / "student"
    source.write_bytes(b"weights")
    claim = finalization.claim_closing(db, "w", EXPIRED)
    assert claim is not None
    leases.reap(db)
    with pytest.raises(LeaseLost):
        artifacts.store(db, Folder(tmp_path / "store"), claim.token, "student", "application/x", source)
    assert artifacts.list_artifacts(db, confirmed.id, ME) == []
    assert [path for path in (tmp_path / "store").rglob("*") if path.is_file()] == []


def test_files_go_when_nothing_refers_to_them(db: Database, tmp_path: Path) -> None:
    root = tmp_path / "store"
    stored = {}
    for name, content in (("one", b"one"), ("two", b"two")):
        job = submitted(db, name=name, baselines={"share": 0})
        train_all(db)
        claim = finalization.claim_closing(db, "w", 60.0)
        assert claim is not None
        for file, what in (("own", content), ("shared", b"shared"), ("taught", b"teacher " + content)):
            (tmp_path / file).write_bytes(what)
            stored[name, file] = artifacts.store(db, Folder(root), claim.token, file, "application/x", tmp_path / file)
        (tmp_path / "own").write_bytes(content + b", newer")  # takes the older one's place
        stored[name, "newer"] = artifacts.store(db, Folder(root), claim.token, "own", "application/x", tmp_path / "own")
        finalization.complete(db, claim.token, job.id, {})
    teacher = {"source": "weights", "model": {"name": "mlp"}, "artifact": stored["one", "taught"].sha256}
    submitted(db, teacher=teacher)
    [one] = jobs.list_jobs(db, ME, name="one").items
    jobs.delete_job(db, one.id, ME, Folder(root))
    left = {path.name for path in root.rglob("*") if path.is_file()}
    kept = {("two", "newer"), ("two", "shared"), ("two", "taught"), ("one", "taught")}
    assert left == {stored[key].sha256 for key in kept}


def test_the_teacher_is_told_once(db: Database) -> None:
    job = submitted(db)
    claim = taken(db)
    facts = TeacherFacts("fingerprint", 10, 900, 100, METRICS)
    for _ in range(2):
        reporting.set_teacher(db, claim.token, facts)
    teacher = jobs.get_job(db, job.id, ME).teacher
    assert teacher is not None
    assert (teacher["classes"], teacher["validation"]["accuracy"]) == (10, 0.5)
    assert [event.kind for event in read_events(db, job.id, ME)].count("teacher_ready") == 1


def test_workers_are_alive_while_they_say_so(db: Database) -> None:
    said = {"host": "h", "pid": 1, "lanes": 2, "capabilities": {"device": "cpu"}}
    for name in ("first", "second"):
        workers.worker_seen(db, name, **said)  # type: ignore[arg-type]
    submitted(db)
    taken(db, "first")
    seen = {worker.id: worker for worker in workers.list_workers(db)}
    assert (seen["first"].running, seen["first"].alive, seen["first"].capabilities) == (1, True, {"device": "cpu"})
    assert seen["second"].running == 0
    workers.worker_stopped(db, "second")
    with db.write() as connection:
        silent = update(tables.workers).where(tables.workers.c.id == "first")
        connection.execute(silent.values(silent_at=tables.workers.c.seen_at - 1))
    assert not any(worker.alive for worker in workers.list_workers(db))
    trains = [{"engine": "bank", "lanes": 16}]
    workers.worker_seen(db, "second", **said, engines=trains)  # type: ignore[arg-type]
    [back, other] = workers.list_workers(db)
    assert (back.id, back.alive, back.stopped_at) == ("second", True, None)
    assert (back.engines, other.engines) == (trains, [])


def test_an_estimate_is_not_a_search(db: Database, confirmed: Job) -> None:
    """Only the search's values count as the best so far: estimates are of configurations that were chosen."""
    assert confirmed.progress.best_trial == 3
    assert confirmed.progress.trials_done > confirmed.progress.search_done == 4
    assert get_trial(db, confirmed.id, confirmed.progress.trials_done - 1, ME)[0].state is TrialState.COMPLETED
