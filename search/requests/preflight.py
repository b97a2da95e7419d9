"""Warnings of a spec before anything is trained: what its job would lack here, and how long it may take.

They keep no job from being submitted: data may come, and workers.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

from sqlalchemy import Connection

from search import units
from search.claims import agents, trial_counts
from search.claims.workers import LiveWorkers, lacking_plugins, living
from search.records import Preflight, Principal, SpecWarning
from search.requests.speeds import epochs_per_second
from search.spec.job import JobSpec
from search.spec.training import DatasetSpec, ModelSpec, TrainingSpec
from search.storage.db import Database
from trainers.catalogue import TIMM_PREFIX
from trainers.registry.datasets import get as get_dataset
from trainers.registry.plugins import is_plugin

MOST_NAMED = 5
Speed = Callable[[Connection, JobSpec, str, Collection[str]], float | None]


def check(db: Database, spec: JobSpec, principal: Principal) -> Preflight:
    """As `preflight`, in a transaction of its own."""
    with db.read() as connection:
        return preflight(connection, spec, principal.id)


def preflight(connection: Connection, spec: JobSpec, owner: str, speed_of: Speed = epochs_per_second) -> Preflight:
    """What would keep a job from being trained on the workers that are alive, and how long these would take.

    `speed_of` is what is asked for the speed of earlier jobs, which is read from many rows.
    """
    if spec.trainer is not None:
        return _of_programs(connection, spec, owner)
    workers = living(connection)
    plugins = spec.plugins()
    candidates = [
        worker
        for worker in workers
        if not spec.fleet.lacking(worker.labels, worker.memory_gb)
        and not lacking_plugins(plugins, None, worker.plugins)
    ]
    warnings = [
        *_workers(spec, workers, candidates),
        *_data(spec, candidates),
        *_packages(spec, candidates),
        *_batches(spec),
    ]
    outlook, seconds, shortfalls = _time(connection, spec, owner, candidates, speed_of)
    return Preflight(warnings=[*warnings, *shortfalls], expected=outlook, seconds=seconds)


def _of_programs(connection: Connection, spec: JobSpec, owner: str) -> Preflight:
    """Of data, packages and speed of others' programs nothing is known here; of commands, what agents offer."""
    trainings, exact = trial_counts.probable_trials(spec)
    number = f"{'' if exact else 'about '}{trainings:,} trainings in all"
    warnings = list(_commands(connection, spec, owner))
    return Preflight(
        warnings=warnings, expected=f"{number}; how long your own program takes is not known here", seconds=None
    )


def _commands(connection: Connection, spec: JobSpec, owner: str) -> Iterator[SpecWarning]:
    if spec.trainer is None or spec.trainer.command is None:
        return
    offers = agents.offers(connection)
    if missing := agents.missing(spec.trainer.command, owner, offers):
        yield SpecWarning("no-agent", "trainer.command", f"the job will wait for {missing}")
        return
    mine = [offer for offer in offers if offer.shown.command == spec.trainer.command and offer.serves(owner)]
    refusals = [offer.refusal(spec.trainer.arguments) for offer in mine]
    if refusals and all(refusals):
        detail = f"{refusals[0]}: as agent {mine[0].shown.agent} offers it, every trial will crash"
        yield SpecWarning("argument-refused", "trainer.arguments", detail)


def _workers(spec: JobSpec, workers: Sequence[LiveWorkers], candidates: Sequence[LiveWorkers]) -> Iterator[SpecWarning]:
    if not workers:
        yield SpecWarning(
            "no-worker", "fleet", "no worker is alive, so the job will wait: start one with `thermowell worker`"
        )
    elif not candidates:
        lacking = " and ".join([*spec.fleet.lacking((), None), *lacking_plugins(spec.plugins(), None, {})])
        yield SpecWarning(
            "no-worker",
            "fleet",
            f"none of the {len(workers)} workers that are alive has {lacking}, so the job will wait: start one that "
            "has (THERMOWELL_LABELS names its labels, THERMOWELL_PLUGINS its plugins, packages its weights), or ask "
            "for less",
        )


def _data(spec: JobSpec, candidates: Sequence[LiveWorkers]) -> Iterator[SpecWarning]:
    for path, data in _datasets(spec):
        lacking = [worker for worker in candidates if worker.data is not None and _lacks(worker, data)]
        if not lacking:
            continue
        hosts = _hosts(lacking, candidates)
        if data.path is None:
            detail = f"{data.name} is not below the data root of {hosts}: fetch it there with `thermowell data fetch "
            detail += f"{data.name}`, or the job fails"
        else:
            listing = sorted({name for worker in lacking for name in (worker.data.paths if worker.data else ())})
            names = ", ".join(listing[:MOST_NAMED]) + (" ..." if len(listing) > MOST_NAMED else "")
            detail = f"{data.path} is not below the data root of {hosts}: put it there, or the job fails. "
            detail += f"There: {names or 'nothing'}"
        yield SpecWarning("data-missing", path, detail)


def _datasets(spec: JobSpec) -> Iterator[tuple[str, DatasetSpec]]:
    """All data that a job reads, with their paths in the spec."""
    parts = spec.built_in_parts
    yield "dataset", parts.dataset
    for path, teacher in parts.teacher.each().items():
        if teacher.origin is not None and teacher.origin.pretrained_on is not None:
            yield f"{path}.origin.pretrained_on.dataset", teacher.origin.pretrained_on.dataset
    if parts.student.initial is not None and parts.student.initial.pretrained_on is not None:
        yield "student.initial.pretrained_on.dataset", parts.student.initial.pretrained_on.dataset


def _lacks(worker: LiveWorkers, data: DatasetSpec) -> bool:
    if worker.data is None or is_plugin(data.name):
        return False
    return data.name not in worker.data.sets if data.path is None else worker.data.lacks(data.path)


def _packages(spec: JobSpec, candidates: Sequence[LiveWorkers]) -> Iterator[SpecWarning]:
    lacking = [worker for worker in candidates if worker.extras is not None and "timm" not in worker.extras]
    for path, model in _models(spec):
        if model.name.startswith(TIMM_PREFIX) and lacking:
            yield SpecWarning(
                "package-missing",
                f"{path}.name",
                f"{model.name} needs timm, which {_hosts(lacking, candidates)} lacks: `pip install timm` there and "
                "start the worker again, or the job fails",
            )


def _models(spec: JobSpec) -> Iterator[tuple[str, ModelSpec]]:
    parts = spec.built_in_parts
    yield "student", parts.student
    for path, teacher in parts.teacher.each().items():
        if teacher.model is not None:
            yield f"{path}.model", teacher.model


def _hosts(workers: Sequence[LiveWorkers], candidates: Sequence[LiveWorkers]) -> str:
    """Workers by their machines, as far as they are worth naming."""
    if len(workers) == len(candidates):
        return "any worker that could train it" if len(candidates) > 1 else f"the worker on {workers[0].host}"
    hosts = sorted({worker.host for worker in workers})
    names = ", ".join(hosts[:MOST_NAMED]) + (" ..." if len(hosts) > MOST_NAMED else "")
    return f"{len(workers)} of {len(candidates)} workers ({names})"


def _batches(spec: JobSpec) -> Iterator[SpecWarning]:
    parts = spec.built_in_parts
    images = training_images(parts.dataset)
    if images is None:
        return
    trainings: list[tuple[str, TrainingSpec | None]] = [("training", spec.training)]
    trainings += [(f"{path}.training", teacher.training) for path, teacher in parts.teacher.each().items()]
    if parts.student.initial is not None:
        trainings.append(("student.initial.training", parts.student.initial.training))
    for path, training in trainings:
        if training is not None and training.batch_size > images:
            yield SpecWarning(
                "batch-too-large",
                f"{path}.batch_size",
                f"{training.batch_size:,} is more than the {images:,} images of the training part: an epoch is then a "
                "single step. Lower it",
            )


def training_images(data: DatasetSpec) -> int | None:
    """How many images the training part has; None where only the files can tell."""
    record = get_dataset(data.name)
    if data.train_size is not None or record.images is None:
        return data.train_size
    validation, test = data.validation_fraction, 0.0 if record.own_test_part else data.test_fraction
    return record.images - round(test * record.images) - round(validation * record.images)


def _time(
    connection: Connection, spec: JobSpec, owner: str, candidates: Sequence[LiveWorkers], speed_of: Speed
) -> tuple[str, float | None, list[SpecWarning]]:
    """How many trainings there are and how long they take on the workers that could train them."""
    trainings, exact = trial_counts.probable_trials(spec)
    number = f"{'' if exact else 'about '}{trainings:,} trainings in all"
    if not candidates:
        return f"{number}; how long they take is not known before a worker is alive that may train them", None, []
    speed = speed_of(connection, spec, owner, {worker.device for worker in candidates if worker.device})
    if speed is None:
        unknown = "no job of yours has trained this student on these data here"
        return f"{number}; how long they take is not known yet: {unknown}", None, []
    count, limit = len(candidates), spec.budget.seconds
    rate = speed * min(count, spec.fleet.parallel or count)
    search_seconds = spec.budget.trials * spec.training.epochs / rate
    confirmation_seconds = (trainings - spec.budget.trials) * spec.training.epochs / rate
    seconds = min(search_seconds, limit or search_seconds) + confirmation_seconds
    workers = "the worker that is alive" if count == 1 else f"the {count} workers that are alive"
    shortfalls = []
    if limit is not None and search_seconds > limit:
        trial_count = max(1, int(spec.budget.trials * limit / search_seconds))
        detail = (
            f"{units.duration(limit)} end the search after about {trial_count:,} of {spec.budget.trials:,} trials on "
        )
        shortfalls = [
            SpecWarning("time-short", "budget.seconds", f"{detail}{workers}: raise it, or lower budget.trials")
        ]
    return f"about {units.rough_duration(seconds)} on {workers}, {number}", seconds, shortfalls
