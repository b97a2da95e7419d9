"""Who advises whom, what a job begins with, and that every point is tried once: on every database."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from sqlalchemy import insert, update

from search import configurations
from search.analysis.priors.context import Context, of_program, of_spec
from search.analysis.priors.evidence import Evidence, Settings
from search.claims import claiming, leases
from search.records import Job, Principal
from search.requests import jobs
from search.requests.advice import Priors, begin_with, get_advice, priors
from search.requests.trials import list_trials
from search.spec.job import JobSpec
from search.states import JobState, Stage
from search.storage import tables
from search.storage.db import Database
from tests.claimed import own_spec
from tests.search import factories
from thermowell.api.answers import Contestant, Estimate, ResponseCurve, Result, TemperatureResponse, TemperatureSet
from trainers.spec import Configuration, Optimizer

TABLE = (
    Evidence("literature", "a paper", "read", Context(classes=10), 3.0, ((3.0, 1.0),), Settings(kd_weight=0.7), 0.5),
)
KNOWN = Priors(TABLE)
WINNER = Configuration(temperature=6.0, kd_weight=0.9, label_weight=0.1, optimizer=Optimizer("sgd", 0.05, 1e-4, 0.9))
FACTS = {"fingerprint": "f", "classes": 10, "train_images": 1078, "validation": {"teacher_entropy": 0.25}}


def finished(
    db: Database, principal: Principal, winner: Configuration = WINNER, asked: JobSpec | None = None, **changes: Any
) -> Job:
    """A completed job with an answer: the winner, and the temperatures from 4 to 9 as good."""
    job = jobs.submit(db, asked or factories.spec(**changes), principal)[0]
    sets = TemperatureSet(intervals=[(4.0, 9.0)], confidence=0.9, censored_low=False, censored_high=False)
    curve = ResponseCurve(
        optimizer=None, points=[], best_temperature=winner.temperature, confidence_set=sets, equivalent_set=sets
    )
    response = TemperatureResponse(
        job_id=job.id, metric="accuracy", direction="maximize", overall=curve, per_optimizer=[], observations=[],
        softness=[], method="", delta=0.002, computed_at="",
    )  # fmt: skip
    documents = {"result": result(job.id, winner), "response": response}
    with db.write() as connection:
        done = update(tables.jobs).where(tables.jobs.c.id == job.id)
        connection.execute(done.values(state=JobState.COMPLETED, teacher=FACTS))
        for kind, document in documents.items():
            row = {"job_id": job.id, "kind": kind, "document": document.model_dump_json(), "computed_at": 0.0}
            connection.execute(insert(tables.analyses).values(**row))
    return job


def result(job_id: str, winner: Configuration) -> Result:
    estimate = Estimate(mean=0.9, interval=None, standard_deviation=None, values=[0.9], seeds=[1])
    contestant = Contestant(
        arm="joint", variant="winner", origin_trial=0, configuration=configurations.to_json(winner), validation=estimate
    )
    return Result(
        job_id=job_id, metric="accuracy", direction="maximize", winner=contestant, baselines=[], gains=[], summary="",
        estimand="", conventions="", cautions=[], test_seen_before=False, search_trials=4, trials=9, epochs=27,
        wall_seconds=1.0, computed_at="",
    )  # fmt: skip


def warm(mode: str, **changes: Any) -> dict[str, Any]:
    """Changes to a spec such that its first trials are advised: up to 4 of 16."""
    return {"budget": {"trials": 16}, "warm_start": {"mode": mode, "share": 0.25, **changes}}


def begun(db: Database, mode: str, principal: Principal = factories.ME, known: Priors = KNOWN, **changes: Any) -> Job:
    return jobs.submit(db, factories.spec(**(warm(mode) | changes)), principal, None, known)[0]


def origins(job: Job) -> list[str]:
    return [] if job.advice is None else [point["origin"] for point in job.advice["points"]]


def test_what_each_mode_begins_with(db: Database) -> None:
    assert origins(begun(db, "none")) == []
    assert origins(begun(db, "history")) == []  # nothing has finished yet
    assert origins(begun(db, "literature")) == ["literature", "space"]
    finished(db, factories.ME)
    history = begun(db, "history")
    assert set(origins(history)) == {"history", "space"}
    assert origins(history)[-1] == "space"
    assert history.advice is not None
    assert history.advice["points"][0]["distance"] == pytest.approx(0.0)  # that job's teacher is this one's too
    assert history.advice["points"][0]["source"] == "small"
    near = Priors([dataclasses.replace(TABLE[0], context=of_spec(factories.spec(), FACTS), strength=1.0)])
    assert set(origins(begun(db, "both", known=near))) == {"history", "literature", "space"}


def test_the_same_submission_begins_with_the_same(db: Database) -> None:
    finished(db, factories.ME)
    assert begun(db, "both").advice == begun(db, "both").advice
    assert begun(db, "both").advice != begun(db, "both", seed=1).advice


def test_own_guesses_come_first_and_count(db: Database) -> None:
    guess = {"temperature": 12.0, "optimizer": "sgd", "learning_rate": 0.2, "source": "a hunch"}
    job = begun(db, "literature", warm_start={"mode": "literature", "share": 0.25, "points": [guess]})
    assert origins(job) == ["given", "literature", "space"]
    assert job.advice is not None
    first = job.advice["points"][0]
    assert (first["source"], first["configuration"]["temperature"]) == ("a hunch", 12.0)
    assert first["configuration"]["optimizer"]["learning_rate"] == 0.2
    assert origins(begun(db, "none", warm_start={"points": [guess]})) == ["given"]


def test_the_job_says_to_its_trials_who_advised_them(db: Database) -> None:
    job = begun(db, "literature")
    assert job.advice is not None
    for point in job.advice["points"]:
        claim = factories.taken(db)
        assert claim.configuration == configurations.from_json(point["configuration"])
        assert claim.advice == {name: point[name] for name in ("origin", "source", "distance")}
        assert claim.optuna_number is None  # Optuna has yet to hear of it
    free = factories.taken(db)
    assert (free.configuration, free.advice) == (None, None)
    shown = list_trials(db, job.id, factories.ME).items
    assert [trial.advice["origin"] if trial.advice else None for trial in shown] == [*origins(job), None]


def test_a_lost_trial_keeps_what_it_was_advised(db: Database) -> None:
    begun(db, "literature")
    lost = factories.lose(db)
    again = factories.taken(db)
    assert (again.trial_id, again.attempt) == (lost.trial_id, 2)
    assert (again.configuration, again.advice) == (lost.configuration, lost.advice)


def test_many_workers_take_each_point_once(db: Database) -> None:
    for _ in range(3):
        finished(db, factories.ME)
    job = begun(db, "history")
    claims = factories.at_once([lambda name=f"w{n}": factories.take(db, name) for n in range(8)])  # type: ignore[misc]
    taken = [claim for claim in claims if claim is not None and claim.advice is not None]
    assert len(claims) == 8
    assert len(taken) == len(origins(job)) > 2
    assert job.advice is not None
    wanted = [configurations.from_json(point["configuration"]) for point in job.advice["points"]]
    assert sorted(map(repr, wanted)) == sorted(repr(claim.configuration) for claim in taken)


def test_baselines_are_advised_by_nobody(db: Database) -> None:
    begun(db, "literature", budget={"trials": 16, "epochs": 16 * factories.EPOCHS})
    claims = [factories.taken(db) for _ in range(20)]
    assert all(claim.advice is None for claim in claims if claim.stage is not Stage.SEARCH)
    assert any(claim.stage is Stage.BASELINE for claim in claims)


def told(db: Database, principal: Principal, known: Priors = KNOWN) -> list[tuple[str, str | None]]:
    advice = get_advice(db, of_spec(factories.spec()), principal, known, "history")
    return [(source.source, source.job_id) for source in advice.sources]


def test_others_jobs_advise_nobody_unless_the_operator_says_so(db: Database) -> None:
    mine = finished(db, factories.ME, name="mine")
    theirs = finished(db, factories.OTHER, name="secret project", dataset={"name": "npz", "path": "secret/birds.npz"})
    assert told(db, factories.ME) == [("mine", mine.id)]
    assert told(db, factories.OTHER) == [("secret project", theirs.id)]
    assert {job_id for _, job_id in told(db, factories.ADMIN)} == {mine.id, theirs.id}
    shared = dataclasses.replace(KNOWN, sharing="all")
    assert told(db, factories.ME, shared) == [("mine", mine.id), ("a job of another owner", None)]
    advice = get_advice(db, of_spec(factories.spec()), factories.ME, shared, "history")
    for secret in (theirs.id, "secret", "birds", factories.OTHER.id):
        assert secret not in advice.model_dump_json()
    job = begun(db, "history", known=shared)
    assert "secret" not in str(job.advice)


def test_a_nearer_job_weighs_more(db: Database) -> None:
    near = finished(db, factories.ME, name="near")
    far = finished(
        db, factories.ME, dataclasses.replace(WINNER, temperature=30.0), name="far", training={"epochs": 3000}
    )
    advice = get_advice(db, of_spec(factories.spec(), FACTS), factories.ME, KNOWN, "history")
    assert [source.job_id for source in advice.sources] == [near.id, far.id]
    assert [source.distance for source in advice.sources] == pytest.approx([0.0, 3.0])
    assert advice.sources[0].weight == pytest.approx(1 / (1 + 2.718281828**-3))
    assert sum(one.weight for one in advice.temperatures) == pytest.approx(1)
    assert (advice.sources[0].low, advice.sources[0].high) == pytest.approx((4.0, 9.0), rel=0.1)
    median = next(one.temperature for one in advice.quantiles if one.share == 0.5)
    assert median == pytest.approx(6.0, rel=0.05)


def test_a_job_that_searched_no_temperature_says_nothing_of_it(db: Database) -> None:
    finished(db, factories.ME, space={"temperature": 4.0})
    advice = get_advice(db, of_spec(factories.spec()), factories.ME, KNOWN, "history")
    assert advice.sources == []
    assert advice.temperatures == []
    assert "no history" in advice.gaps[0]


def test_jobs_of_other_methods_say_nothing(db: Database) -> None:
    """T = 6 of z-scored logits is not T = 6 of plain ones."""
    finished(db, factories.ME, distillation={"method": "zscore"})
    assert get_advice(db, Context(), factories.ME, KNOWN, "history").sources == []
    asked = factories.spec(warm_start={"mode": "both"}, distillation={"method": "zscore"}, budget={"trials": 16})
    begun = begin_with(db, asked, factories.ME, KNOWN)
    assert begun is not None
    assert {point["origin"] for point in begun["points"]} <= {"history", "space"}
    assert any(point["configuration"]["temperature"] == WINNER.temperature for point in begun["points"])
    assert begin_with(db, factories.spec(warm_start={"mode": "history"}), factories.ME, KNOWN) is None


def test_advice_names_what_it_does_not_cover(db: Database) -> None:
    spec = factories.spec(dataset={"name": "CIFAR100"}, training={"epochs": 9_000})
    advice = get_advice(db, of_spec(spec), factories.ME, priors(), "both")
    assert any("sharpness of the teacher" in gap for gap in advice.gaps)
    assert any("CIFAR" not in gap and "student" in gap for gap in advice.gaps)
    assert advice.sources_known == len(priors().table)
    assert 1 <= advice.effective_sources <= advice.sources_known


def test_a_claim_of_a_job_without_advice_is_as_before(db: Database) -> None:
    factories.submitted(db)
    claim = factories.taken(db)
    assert isinstance(claim, claiming.Claim)
    assert claim.configuration is None
    leases.give_back(db, claim.token)


def test_the_stored_spec_is_the_one_that_came(db: Database) -> None:
    job = begun(db, "both")
    assert JobSpec.model_validate(job.spec).warm_start.mode == "both"


OWN_SPACE: dict[str, Any] = {
    "optimizer": None,
    "parameters": {
        "lr": {"low": 0.001, "high": 0.1, "log": True},
        "layers": {"low": 1, "high": 8, "integer": True},
        "pooling": {"choices": ["cls", "mean"]},
    },
}
OWN_WINNER = Configuration(
    temperature=6.0, kd_weight=0.9, label_weight=0.1, optimizer=None,
    parameters={"lr": 0.02, "layers": 3, "pooling": "mean"},
)  # fmt: skip


def own(mode: str = "both", queue: str = "q", **changes: Any) -> JobSpec:
    """A job that a program of its own trains, such that its first trials are advised."""
    return own_spec(**({"trainer": {"external": {"queue": queue}}, "space": OWN_SPACE} | warm(mode) | changes))


def test_a_program_is_advised_by_its_own_history_alone(db: Database) -> None:
    assert begin_with(db, own(), factories.ME, KNOWN) is None
    finished(db, factories.ME)  # ours, trained by the service
    finished(db, factories.OTHER, OWN_WINNER, own(), name="theirs")
    finished(db, factories.ME, OWN_WINNER, own(queue="another"))
    finished(db, factories.ME, OWN_WINNER, own(objective={"metric": "nll"}))
    for known in (KNOWN, dataclasses.replace(KNOWN, sharing="all")):
        assert begin_with(db, own(), factories.ME, known) is None
        assert begin_with(db, own(), factories.ADMIN, known) is None
    mine = finished(db, factories.ME, OWN_WINNER, own(name="mine"))
    begun = begin_with(db, own(), factories.ME, KNOWN)
    assert begun is not None
    assert {point["origin"] for point in begun["points"]} == {"history", "space"}
    first = begun["points"][0]
    assert (first["source"], first["distance"]) == ("mine", 0.0)  # what a program says nothing of is the same
    assert first["configuration"]["parameters"] == dict(OWN_WINNER.parameters)
    assert begin_with(db, own("literature"), factories.ME, KNOWN) is None
    advice = get_advice(db, of_program(own()), factories.ME, KNOWN)
    assert [source.job_id for source in advice.sources] == [mine.id]
    assert advice.gaps[0].startswith("Own history only: ")


def test_a_program_of_others_advises_none_of_the_services_jobs(db: Database) -> None:
    finished(db, factories.ME, OWN_WINNER, own())
    assert get_advice(db, Context(), factories.ME, KNOWN, "history").sources == []
    assert begin_with(db, factories.spec(**warm("history")), factories.ME, KNOWN) is None


def test_what_a_space_no_longer_allows_has_its_default(db: Database) -> None:
    finished(db, factories.ME, OWN_WINNER, own())
    narrow = OWN_SPACE["parameters"] | {"lr": {"low": 0.03, "high": 0.1, "default": 0.05}, "pooling": ["cls", "max"]}
    begun = begin_with(db, own(space=OWN_SPACE | {"parameters": narrow}), factories.ME, KNOWN)
    assert begun is not None
    assert begun["points"][0]["configuration"]["parameters"] == {"lr": 0.05, "layers": 3, "pooling": "cls"}


def test_a_guess_of_parameters_is_tried_first(db: Database) -> None:
    guess = {"temperature": 5.0, "parameters": {"layers": 7, "pooling": "mean"}, "source": "a hunch"}
    job = jobs.submit(db, own(warm_start={"points": [guess]}), factories.ME)[0]
    assert job.advice is not None
    [point] = job.advice["points"]
    assert point["configuration"]["parameters"] == {"lr": pytest.approx(0.01), "layers": 7, "pooling": "mean"}
    assert JobSpec.model_validate(job.spec).warm_start.points[0].parameters == guess["parameters"]


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"width": 3}, "parameters.width is no parameter of the space, which has layers, lr, pooling"),
        ({"lr": 1.0}, "parameters.lr must be from 0.001 to 0.1, got 1"),
        ({"layers": 2.5}, "parameters.layers must be a whole number from 1 to 8, got 2.5"),
        ({"pooling": "max"}, "parameters.pooling must be one of cls, mean, got max"),
        ({"lr": "fast"}, "parameters.lr must be from 0.001 to 0.1, got fast"),
    ],
)
def test_a_guess_outside_of_the_parameters_is_refused(parameters: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=f"warm_start.points.0.{words}"):
        own(warm_start={"points": [{"temperature": 5.0, "parameters": parameters}]})
