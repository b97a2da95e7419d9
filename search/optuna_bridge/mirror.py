"""Writes of whole trials into Optuna's tables, with few statements, in a transaction that may be our own tables'.

Optuna's storage commits every parameter, report and attribute by itself, and reads the row again before each; what it
leaves behind is what is written here, table by table, and what others of its storages read.
"""

from __future__ import annotations

import copy
import functools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState
from sqlalchemy import (
    Connection,
    Float,
    Integer,
    String,
    Table,
    bindparam,
    cast,
    delete,
    func,
    insert,
    literal,
    null,
    or_,
    select,
    union_all,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from search.storage.db import Database

STUDIES: Table = models.StudyModel.__table__
TRIALS: Table = models.TrialModel.__table__
PARAMS: Table = models.TrialParamModel.__table__
VALUES: Table = models.TrialValueModel.__table__
STEPS: Table = models.TrialIntermediateValueModel.__table__
USER: Table = models.TrialUserAttributeModel.__table__
SYSTEM: Table = models.TrialSystemAttributeModel.__table__
_MANY = 500  # trials that are asked for one by one; beyond, it is quicker to read all


class MirrorStorage(optuna.storages.RDBStorage):
    """Optuna's storage in our database: whole trials are written and read by our connections, the rest is its own."""

    def __init__(self, database: Database, url: str, **options: Any) -> None:
        self.database = database
        super().__init__(url, **options)

    def _create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> FrozenTrial:
        template = template_trial or optuna.trial.create_trial(state=OptunaState.RUNNING)
        with self.database.write() as connection:
            return insert_trial(connection, study_id, template)

    def _get_trials(
        self, study_id: int, states: Any, included_trial_ids: set[int], trial_id_greater_than: int
    ) -> list[FrozenTrial]:
        """As Optuna's, in two statements instead of seven; a study that is gone has no trials."""
        after = trial_id_greater_than
        included = sorted(trial_id for trial_id in included_trial_ids if trial_id <= after)
        partial_read = after > -1 and len(included) <= _MANY
        if partial_read and states is None:
            with self.database.look() as connection:
                return list(_read_news(connection, study_id, after, included))
        criteria = TRIALS.c.study_id == study_id
        if partial_read:
            criteria &= or_(TRIALS.c.trial_id > after, TRIALS.c.trial_id.in_(included))
        if states is not None:
            criteria &= TRIALS.c.state.in_(list(states))
        with self.database.read() as connection:
            return list(read_trials(connection, criteria))


def insert_trial(connection: Connection, study_id: int, template: FrozenTrial) -> FrozenTrial:
    """Adds a trial to a study, with all that the template has, and answers it with its number. KeyError."""
    # whoever adds a trial holds the study: numbers have no gaps, and ids rise as they become visible
    if connection.execute(_LOCK, {"study": study_id}).one_or_none() is None:
        raise KeyError(f"there is no study {study_id}")
    added = copy.copy(template)
    added.datetime_start = template.datetime_start or datetime.now()
    row = {
        "study": study_id,
        "state": template.state,
        "datetime_start": _stored_time(added.datetime_start),
        "datetime_complete": _stored_time(template.datetime_complete),
    }
    added._trial_id, added.number = connection.execute(_ADD, row).one()
    _insert(connection, PARAMS, added._trial_id, parameter_rows(template))
    _insert(connection, USER, added._trial_id, attribute_rows(template.user_attrs))
    _insert(connection, SYSTEM, added._trial_id, attribute_rows(template.system_attrs))
    _insert(connection, STEPS, added._trial_id, step_rows(template.intermediate_values))
    _insert(connection, VALUES, added._trial_id, value_rows(template.values or ()))
    return added


def study_id_of(connection: Connection, name: str) -> int | None:
    """The id of a study; None where there is none."""
    return connection.execute(_STUDY, {"study": name}).scalar_one_or_none()


def report_step(connection: Connection, study_id: int, number: int, step: int, value: float) -> None:
    """Notes what a trial reached at a step; what was noted before stays. KeyError where there is no such trial."""
    trial_id = connection.execute(_BY_NUMBER, {"study": study_id, "one": number}).scalar_one_or_none()
    if trial_id is None:
        raise KeyError(f"there is no trial {number} in study {study_id}")
    _insert(connection, STEPS, trial_id, step_rows({step: value}), unless=("trial_id", "step"))


def end_trial(
    connection: Connection,
    study_id: int,
    number: int,
    state: OptunaState,
    value: float | None,
    steps: Mapping[int, float],
    attributes: Mapping[str, Any],
) -> bool:
    """Ends a trial that has not ended; what was reported at a step before stays. False where it had, or is gone.

    A pruned trial has the value of its last step, as `study.tell` has it.
    """
    parameters = {"study": study_id, "one": number, "state": state, "datetime_complete": _stored_time(datetime.now())}
    trial_id = connection.execute(_END, parameters).scalar_one_or_none()
    if trial_id is None:
        return False
    _insert(connection, STEPS, trial_id, step_rows(steps), unless=("trial_id", "step"))
    if state is OptunaState.PRUNED:
        last = select(STEPS.c.intermediate_value).where(STEPS.c.trial_id == trial_id)
        value = connection.execute(last.order_by(STEPS.c.step.desc()).limit(1)).scalar_one_or_none()
    _insert(connection, VALUES, trial_id, value_rows([] if value is None else [value]))
    _insert(connection, USER, trial_id, attribute_rows(attributes), unless=("trial_id", "key"))
    return True


def delete_studies(connection: Connection, names: Sequence[str]) -> None:
    """Deletes the studies of these names, those that exist, with all that is theirs.

    A storage of Optuna's would do it, and reads all its migrations first, which holds everybody up for a second.
    """
    query = select(STUDIES.c.study_id).where(STUDIES.c.study_name.in_(names))
    studies = list(connection.scalars(query.order_by(STUDIES.c.study_id).with_for_update()))
    if not studies:
        return
    of_trials = select(TRIALS.c.trial_id).where(TRIALS.c.study_id.in_(studies))
    for table in reversed(models.BaseModel.metadata.sorted_tables):  # those that refer to others come first
        if "trial_id" in table.c and table is not TRIALS:
            connection.execute(delete(table).where(table.c.trial_id.in_(of_trials)))
        elif "study_id" in table.c:
            connection.execute(delete(table).where(table.c.study_id.in_(studies)))


def read_trials(connection: Connection, criteria: Any) -> Iterator[FrozenTrial]:
    """The trials for which a condition on Optuna's `trials` holds, by id: one statement for them, one for all else."""
    rows = connection.execute(select(TRIALS).where(criteria).order_by(TRIALS.c.trial_id)).all()
    if len(rows) > _MANY:
        of_trials = select(TRIALS.c.trial_id).where(criteria)
        yield from _assemble(rows, connection.execute(_details(lambda table: table.c.trial_id.in_(of_trials))))
    elif rows:
        yield from _assemble(rows, connection.execute(_DETAILS, {"trials": [row.trial_id for row in rows]}))


def _read_news(connection: Connection, study_id: int, after: int, included: Sequence[int]) -> Iterator[FrozenTrial]:
    """A study's trials with ids above `after`, and those `included`: what is read before each proposal.

    Two statements that may see two states: of a trial that the first saw running the second may see the value, which is
    left out, as it will be read again.
    """
    rows = connection.execute(_NEWS, {"study": study_id, "after": after, "included": included}).all()
    if rows:
        yield from _assemble(rows, connection.execute(_DETAILS, {"trials": [row.trial_id for row in rows]}))


def _assemble(rows: Sequence[Any], details: Iterable[Any]) -> Iterator[FrozenTrial]:
    trials = {row.trial_id: _empty(row) for row in rows}
    values: dict[int, dict[int, float]] = {}
    # as Optuna, in the order of their ids: a study's parameters keep the order in which they were asked for
    for kind, _, trial_id, key, step, number, text in details:
        trial = trials[trial_id]
        if kind == "param":
            distribution = _distribution(text)
            trial.distributions[key] = distribution
            trial.params[key] = distribution.to_external_repr(number)
        elif kind == "user":
            trial.user_attrs[key] = json.loads(text)
        elif kind == "system":
            trial.system_attrs[key] = json.loads(text)
        elif kind == "step":
            of_type = models.TrialIntermediateValueModel.TrialIntermediateValueType[text]
            to_value = models.TrialIntermediateValueModel.stored_repr_to_intermediate_value
            trial.intermediate_values[step] = to_value(number, of_type)
        else:
            if not trial.state.is_finished():
                continue
            to_number = models.TrialValueModel.stored_repr_to_value
            values.setdefault(trial_id, {})[step] = to_number(number, models.TrialValueModel.TrialValueType[text])
    for trial_id, trial in trials.items():
        if trial_id in values:
            trial.values = [value for _, value in sorted(values[trial_id].items())]
        yield trial


def _details(criteria: Callable[[Table], Any]) -> Any:
    """Everything that belongs to the trials that are `criteria` by a condition on each of its tables: kind, id, trial,
    key, step, number, text.
    """

    def part(kind: str, table: Table, *columns: Any) -> Any:
        identity = next(iter(table.primary_key.columns))
        selected = (literal(kind).label("kind"), identity.label("part"), table.c.trial_id, *columns)
        return select(*selected).where(criteria(table))

    no_text, no_step, no_number = cast(null(), String), cast(null(), Integer), cast(null(), Float)
    parts = union_all(
        part("param", PARAMS, PARAMS.c.param_name, no_step, PARAMS.c.param_value, PARAMS.c.distribution_json),
        part("user", USER, USER.c.key, no_step, no_number, USER.c.value_json),
        part("system", SYSTEM, SYSTEM.c.key, no_step, no_number, SYSTEM.c.value_json),
        part("step", STEPS, no_text, STEPS.c.step, STEPS.c.intermediate_value,
             cast(STEPS.c.intermediate_value_type, String)),
        part("value", VALUES, no_text, VALUES.c.objective, VALUES.c.value, cast(VALUES.c.value_type, String)),
    )  # fmt: skip
    return parts.order_by("part")


# What is said for every trial is built once: SQLAlchemy takes as long to put these together as PostgreSQL to answer.
_LOCK = select(STUDIES.c.study_id).where(STUDIES.c.study_id == bindparam("study")).with_for_update()
_STUDY = select(STUDIES.c.study_id).where(STUDIES.c.study_name == bindparam("study"))
_NEWEST = select(TRIALS.c.number).where(TRIALS.c.study_id == bindparam("study")).order_by(TRIALS.c.trial_id.desc())
_ADD = (
    insert(TRIALS)
    .values(
        number=func.coalesce(_NEWEST.limit(1).scalar_subquery(), -1) + 1,
        study_id=bindparam("study"),
        state=bindparam("state"),
        datetime_start=bindparam("datetime_start"),
        datetime_complete=bindparam("datetime_complete"),
    )
    .returning(TRIALS.c.trial_id, TRIALS.c.number)
)
# The id of a trial; from the newest on, since it is the newest that are written of.
_BY_NUMBER = (
    select(TRIALS.c.trial_id)
    .where(TRIALS.c.study_id == bindparam("study"), TRIALS.c.number == bindparam("one"))
    .order_by(TRIALS.c.trial_id.desc())
    .limit(1)
)
_END = (
    update(TRIALS)
    .where(
        TRIALS.c.trial_id == _BY_NUMBER.scalar_subquery(),
        TRIALS.c.state.in_((OptunaState.RUNNING, OptunaState.WAITING)),
    )
    .returning(TRIALS.c.trial_id)
)
_NEWS = (
    select(TRIALS)
    .where(
        TRIALS.c.study_id == bindparam("study"),
        or_(TRIALS.c.trial_id > bindparam("after"), TRIALS.c.trial_id.in_(bindparam("included", expanding=True))),
    )
    .order_by(TRIALS.c.trial_id)
)
_DETAILS = _details(lambda table: table.c.trial_id.in_(bindparam("trials", expanding=True)))


def _empty(row: Any) -> FrozenTrial:
    return FrozenTrial(
        number=row.number,
        state=row.state,
        value=None,
        datetime_start=_local(row.datetime_start),
        datetime_complete=_local(row.datetime_complete),
        params={},
        distributions={},
        user_attrs={},
        system_attrs={},
        intermediate_values={},
        trial_id=row.trial_id,
    )


def _insert(
    connection: Connection,
    table: Table,
    trial_id: int,
    rows: Iterable[Mapping[str, Any]],
    unless: Sequence[str] | None = None,
) -> None:
    """Adds rows of one trial; with `unless`, those columns tell which of them are there already, and stay."""
    full_rows = [{"trial_id": trial_id, **row} for row in rows]
    if not full_rows:
        return
    statement = (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(table)
    if unless is not None:
        statement = statement.on_conflict_do_nothing(index_elements=unless)
    connection.execute(statement, full_rows)


def parameter_rows(trial: FrozenTrial) -> Iterator[dict[str, Any]]:
    """A trial's parameters as rows of PARAMS, without the trial's id."""
    for name, value in trial.params.items():
        distribution = trial.distributions[name]
        yield {
            "param_name": name,
            "param_value": distribution.to_internal_repr(value),
            "distribution_json": optuna.distributions.distribution_to_json(distribution),
        }


def attribute_rows(attributes: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Attributes as rows of USER or SYSTEM."""
    return ({"key": key, "value_json": json.dumps(value)} for key, value in attributes.items())


def step_rows(steps: Mapping[int, float]) -> Iterator[dict[str, Any]]:
    """Intermediate values as rows of STEPS."""
    for step, value in steps.items():
        number, kind = models.TrialIntermediateValueModel.intermediate_value_to_stored_repr(value)
        yield {"step": step, "intermediate_value": number, "intermediate_value_type": kind}


def value_rows(values: Sequence[float]) -> Iterator[dict[str, Any]]:
    """A trial's values, one for each objective, as rows of VALUES."""
    for objective, value in enumerate(values):
        number, kind = models.TrialValueModel.value_to_stored_repr(value)
        yield {"objective": objective, "value": number, "value_type": kind}


def _stored_time(moment: datetime | None) -> datetime | None:
    """Optuna's local times, which carry no zone, as its tables hold them: UTC without a zone."""
    return None if moment is None else moment.astimezone(UTC).replace(tzinfo=None)


def _local(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=UTC).astimezone().replace(tzinfo=None)


@functools.lru_cache(maxsize=1024)
def _distribution(text: str) -> BaseDistribution:
    """All trials of a study share theirs, and nobody changes one."""
    return optuna.distributions.json_to_distribution(text)
