"""On every database: which job is shown next, by whom, how often; and how a job stands, before and after its end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import optuna
import optuna_dashboard
import pytest
from optuna_dashboard._custom_plot_data import get_plotly_graph_objects

from search.claims import finalization, reporting
from search.optuna_bridge import proposals, study
from search.optuna_bridge.dashboard import PREFIX, Figure, dashboard_change, write_dashboard_change
from search.records import Artifact
from search.requests import jobs, plot_queue
from search.requests.job_view import MOST_POINTS, get_job_view
from search.states import JobState, Stage, TrialState
from search.storage.db import Database
from search.storage.folder import Folder
from search.storage.rows import optuna_study_name
from tests import synthetic
from tests.search import factories
from tests.search.factories import ME
from thermowell.api.answers import Interim

LONG = 60.0


@pytest.fixture
def storage(db: Database) -> Iterator[study.Storage]:
    opened = study.optuna_storage(db)
    yield opened
    study.close_storage(opened)


def trained(db: Database, trials: int = 2) -> str:
    """A job of which so many trials have ended."""
    job = factories.submitted(db)
    for _ in range(trials):
        factories.train(db, factories.taken(db))
    return job.id


def event(db: Database, job_id: str) -> int:
    return get_job_view(db, job_id, ME).event


def interim(db: Database, job_id: str) -> Interim:
    found = synthetic.documents(synthetic.spec(), synthetic.few())
    response = found["response"].model_copy(update={"job_id": job_id})
    return Interim(
        event=event(db, job_id),
        result=None,
        response=response,
        importances=found["importances"],
        interactions=found["interactions"],
    )


def test_a_job_is_shown_by_one_at_a_time_and_again_when_something_has_happened(db: Database) -> None:
    assert plot_queue.claim_showing(db, LONG) is None
    job_id = trained(db)
    assert plot_queue.claim_showing(db, LONG) == job_id
    assert plot_queue.claim_showing(db, LONG) is None, "somebody is at it"
    plot_queue.mark_shown(db, job_id, event(db, job_id), 0.0)
    assert plot_queue.claim_showing(db, LONG) is None, "nothing has happened since"
    factories.train(db, factories.taken(db))
    assert plot_queue.claim_showing(db, LONG) == job_id


def test_what_happens_while_a_job_is_shown_is_shown_next_after_a_rest(db: Database) -> None:
    job_id = trained(db)
    plot_queue.claim_showing(db, LONG)
    before = event(db, job_id)
    factories.train(db, factories.taken(db))
    plot_queue.mark_shown(db, job_id, before, LONG)
    assert plot_queue.claim_showing(db, LONG) is None
    plot_queue.release_showing(db, job_id, 0.0)
    assert plot_queue.claim_showing(db, LONG) == job_id


def test_of_many_at_once_one_shows(db: Database) -> None:
    job_id = trained(db)
    answers = factories.at_once([lambda: plot_queue.claim_showing(db, LONG)] * 6)
    assert [answer for answer in answers if answer is not None] == [job_id]


def test_who_dies_is_followed_by_another(db: Database) -> None:
    job_id = trained(db)
    assert plot_queue.claim_showing(db, factories.EXPIRED) == job_id
    assert plot_queue.claim_showing(db, LONG) == job_id


def test_jobs_take_turns(db: Database) -> None:
    ids = {factories.submitted(db).id, factories.submitted(db).id}
    assert {factories.taken(db).job_id, factories.taken(db).job_id} == ids
    assert {plot_queue.claim_showing(db, LONG), plot_queue.claim_showing(db, LONG)} == ids


def test_a_deleted_job_is_shown_no_more(db: Database, tmp_path: Path) -> None:
    job_id = trained(db)
    assert plot_queue.to_be_shown(db, job_id) is not None
    jobs.cancel_job(db, job_id, ME)
    jobs.delete_job(db, job_id, ME, Folder(tmp_path))
    assert plot_queue.to_be_shown(db, job_id) is None
    assert plot_queue.claim_showing(db, LONG) is None
    plot_queue.mark_shown(db, job_id, 3, 0.0)


def test_the_question_holds_the_jobs_trials_and_none_is_asked_of_an_empty_job(db: Database) -> None:
    job_id = trained(db)
    found = plot_queue.to_be_shown(db, job_id)
    assert found is not None
    job_view, question = found
    assert question is not None
    assert question.trials == list(job_view.trials)
    assert [trial.state for trial in question.trials] == [TrialState.COMPLETED] * 2
    assert question.event == job_view.event == event(db, job_id)
    assert question.spec == job_view.job.spec
    empty = factories.submitted(db, name="empty")
    factories.attach(db, factories.taken(db))
    found = plot_queue.to_be_shown(db, empty.id)
    assert found is not None
    assert found[1] is None


def test_what_is_known_so_far_stands_until_there_is_an_answer(db: Database) -> None:
    job_id = trained(db)
    before = get_job_view(db, job_id, ME)
    assert (before.final, before.result, before.importances) == (False, None, None)
    assert [one.trial for one in before.response.observations] == [0, 1]
    assert [t for t, _ in before.response.softness] == [1.0, 2.0]
    said = interim(db, job_id)
    assert plot_queue.keep_interim(db, said)
    assert plot_queue.keep_interim(db, said), "again, in its own place"
    after = get_job_view(db, job_id, ME)
    assert (after.final, after.response, after.interactions) == (False, said.response, said.interactions)
    assert after.event == before.event, "looking changes nothing"


def test_learning_curves_are_those_that_trials_reported(db: Database) -> None:
    job_id = trained(db)
    running = factories.taken(db)
    factories.attach(db, running)
    reporting.report(db, running.token, running.trial_id, factories.epoch(1, 0.25))
    curves = get_job_view(db, job_id, ME).curves
    assert [(curve.trial, curve.state) for curve in curves] == [
        (0, TrialState.COMPLETED),
        (1, TrialState.COMPLETED),
        (2, TrialState.RUNNING),
    ]
    assert [list(curve.epochs) for curve in curves] == [[1, 2, 3], [1, 2, 3], [1]]
    assert [list(curve.values) for curve in curves] == [[0.0] * 3, [0.001] * 3, [0.25]]
    assert [curve.temperature for curve in curves] == [1.0, 2.0, 3.0]


def test_long_curves_are_thinned_and_keep_their_end(db: Database) -> None:
    epochs = 5 * MOST_POINTS + 3
    job = factories.submitted(db, training={"epochs": epochs})
    claim = factories.taken(db)
    factories.attach(db, claim)
    said = [(claim.token, claim.trial_id, factories.epoch(number, number / 1000)) for number in range(1, epochs + 1)]
    reporting.report_all(db, said)
    [curve] = get_job_view(db, job.id, ME).curves
    assert len(curve.epochs) <= MOST_POINTS + 1
    assert (curve.epochs[0], curve.epochs[-1], curve.values[-1]) == (1, epochs, epochs / 1000)


def test_plots_note_and_files_stand_beside_the_study_and_others_stay(db: Database, storage: study.Storage) -> None:
    job = factories.submitted(db)
    claim = factories.taken(db)
    assert dashboard_change(db, job.id, {}, "no study yet", []) is None
    number, drawn = proposals.ask(storage, claim, "w")
    reporting.attach(db, claim.token, claim.trial_id, number, drawn)
    made = optuna.load_study(study_name=optuna_study_name(job.id), storage=storage)
    optuna_dashboard.save_plotly_graph_object(made, Figure({"data": []}), graph_object_id="mine")
    made._storage.set_study_system_attr(made._study_id, "artifacts:1-2", json.dumps({"artifact_id": "1-2"}))

    def put(figures: dict[str, Figure], note: str, files: list[Artifact]) -> dict[str, object]:
        change = dashboard_change(db, job.id, figures, note, files)
        assert change is not None
        write_dashboard_change(db, change)
        return made._storage.get_study_system_attrs(made._study_id)

    def shown(attributes: dict[str, object]) -> dict[str, object]:
        found = get_plotly_graph_objects(attributes)
        return {name: json.loads(text) for name, text in found.items()}

    long = {"data": [{"y": list(range(5000))}], "layout": {"title": {"text": "long"}}}
    first, second = (
        Artifact(name, "text/plain", digit * 64, 3, None, job.created_at) for name, digit in (("a", "a"), ("b", "b"))
    )
    attributes = put({"one": Figure(long), "two": Figure({"data": [1]})}, "# Note", [first])
    assert shown(attributes) == {PREFIX + "one": long, PREFIX + "two": {"data": [1]}, "mine": {"data": []}}
    assert optuna_dashboard.get_note(made) == "# Note"
    assert {key for key in attributes if key.startswith("artifacts:")} == {"artifacts:1-2", f"artifacts:{'a' * 64}"}
    # Shorter, fewer, and another file: nothing of what was there before is left over.
    attributes = put({"one": Figure({"data": [2]})}, "# Note", [second])
    assert shown(attributes) == {PREFIX + "one": {"data": [2]}, "mine": {"data": []}}
    assert {key for key in attributes if key.startswith("artifacts:")} == {"artifacts:1-2", f"artifacts:{'b' * 64}"}
    meta = json.loads(str(attributes[f"artifacts:{'b' * 64}"]))
    assert (meta["filename"], meta["mimetype"]) == ("b", "text/plain")
    unchanged = dashboard_change(db, job.id, {"one": Figure({"data": [2]})}, "# Note", [second])
    assert unchanged is not None
    assert (unchanged.changed, unchanged.gone) == ({}, [])


def test_a_study_that_was_deleted_meanwhile_is_left_alone(db: Database, storage: study.Storage) -> None:
    job = factories.submitted(db)
    proposals.ask(storage, factories.taken(db), "w")
    change = dashboard_change(db, job.id, {"one": Figure({"data": []})}, "note", [])
    assert change is not None
    study.delete_studies(db, job.id)
    write_dashboard_change(db, change)
    assert dashboard_change(db, job.id, {}, "", []) is None


def test_an_answer_takes_the_place_of_what_was_known_so_far(db: Database) -> None:
    job_id = trained(db)
    plot_queue.keep_interim(db, interim(db, job_id))
    plot_queue.claim_showing(db, LONG)
    factories.train_all(db)
    claim = finalization.claim_closing(db, "w", LONG)
    assert claim is not None
    documents = synthetic.documents(synthetic.spec(), synthetic.few())
    finalization.complete(db, claim.token, job_id, documents)
    assert jobs.get_job(db, job_id, ME).state is JobState.COMPLETED
    assert plot_queue.claim_showing(db, LONG) == job_id, "at once, whoever was at it"
    job_view = get_job_view(db, job_id, ME)
    assert job_view.final
    assert job_view.result == documents["result"]
    assert job_view.interactions == documents["interactions"]
    assert not plot_queue.keep_interim(db, interim(db, job_id)), "it came too late"
    found = plot_queue.to_be_shown(db, job_id)
    assert found is not None
    assert found[1] is None
    extended = jobs.extend_job(db, job_id, ME, trials=6)
    assert extended.state is JobState.RUNNING
    again = get_job_view(db, job_id, ME)
    assert (again.final, again.result) == (False, None), "an earlier answer is not this search's"
    assert {trial.stage for trial in again.trials} == set(Stage)
