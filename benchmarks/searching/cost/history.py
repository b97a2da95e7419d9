"""Histories that a job begins with: winners of simulated jobs on other data, or one that misleads on purpose."""

from __future__ import annotations

import functools

from benchmarks.searching.cost.ground import TRY, Ground, open_ground
from benchmarks.searching.cost.jobs import Job, Search
from benchmarks.searching.cost.spec import job_spec
from search.analysis.priors import points
from search.analysis.priors.context import Context, Student
from search.analysis.priors.evidence import Evidence, from_winner
from search.spec.job import JobSpec
from search.states import Arm
from trainers.replay.world import names
from trainers.spec import Configuration

JOBS = 5
"""Different histories: of each context so many finished jobs, of which a run sees one."""
BUDGET = 64


def first(ground: Ground, spec: JobSpec, run: int, misled: bool) -> list[Configuration]:
    """The first trials' configurations; the last of them is a draw of the space, as the service has it.

    `misled`: a finished job of the very same context, with the worst of the truth as its winner. Otherwise one job of
    each open context whose data are others (where contexts share a data set, all of them are left out).
    """
    most = points.how_many(spec.warm_start.share, spec.budget.trials, spec.sampler.startup_trials)
    here = context_of(ground)
    evidence = [_false(ground)] if misled else _true(ground, run)
    return [point.configuration for point in points.first_points(here, evidence, spec.space, most, run)]


def known(ground: Ground) -> bool:
    """Whether there is a context with other data, so that there is a history at all."""
    return bool(_true(ground, 0))


def context_of(ground: Ground) -> Context:
    """A table's context in the words of the priors."""
    own = ground.world.context
    problem = own.problem
    training, student = problem.get("training", {}), str(problem.get("student", {}).get("name", "mlp"))
    kind: Student = "dense" if student == "mlp" else "convolutional"
    return Context(
        data=_data(ground),
        classes=own.classes,
        train_images=own.train_images,
        optimizers=tuple(ground.grid.optimizers),
        epochs=training.get("epochs", ground.length),
        batch_size=own.batch_size,
        label_smoothing=problem.get("teacher", {}).get("label_smoothing"),
        teacher_entropy=own.teacher_entropy,
        student=kind,
        student_init="pretrained" if "pretrained" in own.student_initialisation else "random",
        metric="accuracy",
    )


def _data(ground: Ground) -> str:
    return str(ground.world.context.problem.get("data", {}).get("name", ground.world.context.data))


def _false(ground: Ground) -> Evidence:
    worst = min(ground.soft, key=lambda cell: float(ground.final[cell]))
    return from_winner(context_of(ground), ground.cell(worst).configuration(), [], source="a misleading job")


def _true(ground: Ground, run: int) -> list[Evidence]:
    others = [open_ground(name) for name in names(sealed=False)] if ground.name != TRY else []
    return [_finished(other.name, run % JOBS) for other in others if _data(other) != _data(ground)]


@functools.cache
def _finished(name: str, job: int) -> Evidence:
    """What the job of that number in that context has found, but for its equivalent set, which needs the surface."""
    ground = open_ground(name)
    spec = job_spec(ground, 1_000_000 + job, BUDGET, False)
    winner = Job(ground, spec, Search(ground, spec, Arm.JOINT)).run().winner
    assert winner is not None  # each of its trials is trained to the end
    return from_winner(context_of(ground), ground.cell(winner).configuration(), [], source=f"{name} {job}")
