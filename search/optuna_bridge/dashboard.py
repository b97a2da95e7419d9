"""Writes of plots, a note and files beside a study in Optuna Dashboard.

Optuna Dashboard keeps them in attributes of the study, a few kilobytes in each. Its own functions say which, but
would write them one by one, a transaction each: a reader in between would see half of a plot and fail on it, and
SQLite's only writer would be kept a hundred times. Here they write into a batch (`beside`, which loads Optuna
Dashboard), and what differs from before goes to the database in one transaction (`write_beside`, which does not).
"""

from __future__ import annotations

import copy
import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import optuna
from optuna.artifacts.exceptions import ArtifactNotFound
from optuna.study._frozen import FrozenStudy
from sqlalchemy import column, delete, insert, select, table, update

from search import units
from search.claims.artifacts import place
from search.optuna_bridge.study import Storage
from search.records import Artifact
from search.storage.db import Database
from search.storage.rows import optuna_study_name
from search.storage.store import Store
from search.storage.tables import jobs
from thermowell.api.document import Document

_ATTRIBUTES = table("study_system_attributes", column("study_id"), column("key"), column("value_json"))
_STUDIES = table("studies", column("study_id"), column("study_name"))
_FILES, _PLOTS = "artifacts:", "dashboard:plot_data:"
_NAME = re.compile(r"thermowell-(?P<job>[0-9a-f]{16})(?:-(?P<arm>label_only|t1|t4))?")
_DIGEST, _UPLOAD = re.compile(r"[0-9a-f]{64}"), re.compile(r"[0-9a-f-]{1,63}")
PREFIX = "thermowell-"
"""Of the plots' ids: whatever else somebody saves in the study is left alone."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A plot as Plotly's JSON (https://plotly.com/javascript/reference): `data` and `layout`."""

    document: Mapping[str, Any]

    def to_json(self) -> str:
        """What Optuna Dashboard asks of a plot."""
        return json.dumps(self.document, separators=(",", ":"), allow_nan=False)


def with_shown_names(storage: Storage, db: Database) -> Storage:
    """The storage for Optuna Dashboard's eyes: its list calls a study by its job, and has a job's search before all
    baselines, since it shows the last one first. Whoever asks for a study by its name finds it by the one it has.
    """
    stored_studies = storage.get_all_studies

    def shown() -> list[FrozenStudy]:
        with db.read() as connection:
            names = {row.id: row.name for row in connection.execute(select(jobs.c.id, jobs.c.name))}
        searches, baselines = list[FrozenStudy](), list[FrozenStudy]()
        for study in stored_studies():
            match = _NAME.fullmatch(study.study_name)
            if match is not None and match["job"] in names:
                study = copy.copy(study)
                job = names[match["job"]]
                title = f"baseline, {units.ARMS[match['arm']]}, of {job}" if match["arm"] else job
                study.study_name = f"{title} · {study.study_name}"
            (baselines if match is not None and match["arm"] else searches).append(study)
        return [*baselines, *searches]

    storage.get_all_studies = shown  # type: ignore[method-assign]  # of this one alone, which is the dashboard's own
    return storage


class _Batch:
    """As much of a storage as Optuna Dashboard's functions use; changes stay here."""

    def __init__(self, attributes: Mapping[str, Any]) -> None:
        self.attributes = dict(attributes)

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        self.attributes[key] = value

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        return dict(self.attributes)


class _Study(optuna.Study):
    """As much of a study as Optuna Dashboard's functions use, over a batch."""

    def __init__(self, batch: _Batch, study_id: int) -> None:
        self._storage: Any = batch
        self._study_id = study_id


class DashboardChange(Document):
    """What is to change beside a study: attributes with their JSON, and those to be deleted."""

    study_id: int
    changed: dict[str, str]
    gone: list[str]


def dashboard_change(
    db: Database, job_id: str, figures: Mapping[str, Figure], note: str, files: Sequence[Artifact]
) -> DashboardChange | None:
    """What puts these beside the job's study, in place of what was put there before; None where there is no study.

    Plots of other names, and files that other hands uploaded, stay. DatabaseUnavailable.
    """
    from optuna_dashboard import get_note, save_note, save_plotly_graph_object  # takes seconds

    with db.read() as connection:
        query = select(_STUDIES.c.study_id).where(_STUDIES.c.study_name == optuna_study_name(job_id))
        study_id = connection.execute(query).scalar_one_or_none()
        if study_id is None:
            return None
        stored_attributes = select(_ATTRIBUTES.c.key, _ATTRIBUTES.c.value_json).where(
            _ATTRIBUTES.c.study_id == study_id
        )
        before = {key: json.loads(value) for key, value in connection.execute(stored_attributes)}
    batch = _Batch({key: value for key, value in before.items() if not _is_ours(key)})
    study = _Study(batch, study_id)
    for name, figure in figures.items():
        save_plotly_graph_object(study, figure, graph_object_id=PREFIX + name)
    if get_note(study) != note:
        save_note(study, note)
    for file in files:
        meta = {"artifact_id": file.sha256, "filename": file.name, "mimetype": file.media_type, "encoding": None}
        batch.attributes[_FILES + file.sha256] = json.dumps(meta)
    after = batch.attributes
    changed = {key: json.dumps(value) for key, value in after.items() if key not in before or before[key] != value}
    return DashboardChange(study_id=study_id, changed=changed, gone=sorted(before.keys() - after.keys()))


def _is_ours(key: str) -> bool:
    """Whether this is a plot or a file that was put there from here; who puts fewer now takes the others away."""
    return key.startswith(_PLOTS + PREFIX) or (key.startswith(_FILES) and len(key) == len(_FILES) + 64)


def write_dashboard_change(db: Database, change: DashboardChange) -> None:
    """Writes the change down, all of it at once for whoever reads; nothing where the study is gone."""
    of_study = _ATTRIBUTES.c.study_id == change.study_id
    with db.write() as connection:
        study = select(_STUDIES.c.study_id).where(_STUDIES.c.study_id == change.study_id)
        if connection.execute(study).one_or_none() is None:
            return
        keys = set(connection.scalars(select(_ATTRIBUTES.c.key).where(of_study)))
        for key, value in change.changed.items():
            if key in keys:
                mine = of_study & (_ATTRIBUTES.c.key == key)
                connection.execute(update(_ATTRIBUTES).where(mine).values(value_json=value))
        new = [
            {"study_id": change.study_id, "key": key, "value_json": value}
            for key, value in change.changed.items()
            if key not in keys
        ]
        if new:
            connection.execute(insert(_ATTRIBUTES), new)
        if change.gone:
            connection.execute(delete(_ATTRIBUTES).where(of_study, _ATTRIBUTES.c.key.in_(change.gone)))


class Files:
    """Optuna's artifact store over ours: a file's id is its digest, so that nothing is kept twice.

    What people upload in the dashboard lies beside, under ids of its own; what jobs left is not removed from here,
    because their records refer to it (deleting the job removes it).
    """

    def __init__(self, files: Store) -> None:
        self._files = files

    def open_reader(self, artifact_id: str) -> BinaryIO:
        """The file's bytes. ArtifactNotFound."""
        try:
            with self._files.reading(_key(artifact_id)) as path:
                return path.open("rb")  # stays readable, also where the path is a copy that goes now
        except FileNotFoundError as error:
            raise ArtifactNotFound(artifact_id) from error

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        """Keeps what somebody uploads."""
        with self._files.adding(_key(artifact_id)) as path, path.open("wb") as file:
            shutil.copyfileobj(content_body, file)

    def remove(self, artifact_id: str) -> None:
        """Removes what somebody uploaded, if it is there. Files of jobs stay."""
        if len(artifact_id) != 64:
            self._files.delete(_key(artifact_id))


def _key(artifact_id: str) -> str:
    """Where a file of this id lies. ArtifactNotFound for what is no id."""
    if _DIGEST.fullmatch(artifact_id):
        return place(artifact_id)
    if _UPLOAD.fullmatch(artifact_id):
        return f"dashboard/{artifact_id}"
    raise ArtifactNotFound(artifact_id)
