"""Jobs and studies from before baselines were proposed by one surface go on as they began: each arm by itself."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

JOBS = sa.table("tw_jobs", sa.column("id", sa.String()), sa.column("spec", sa.JSON()))
STUDIES = sa.table("tw_studies", sa.column("id", sa.String()), sa.column("spec", sa.JSON()))
THEN = {"share": 0.25, "by": "arm"}


def upgrade() -> None:
    """Writes the way of then into every spec: of jobs, and of studies, whose cells would else be trained twice."""
    connection = op.get_bind()
    for job_id, spec in connection.execute(sa.select(JOBS.c.id, JOBS.c.spec)).all():
        if (changed := _as_then(spec)) is not None:
            connection.execute(sa.update(JOBS).where(JOBS.c.id == job_id).values(spec=changed))
    for study_id, spec in connection.execute(sa.select(STUDIES.c.id, STUDIES.c.spec)).all():
        if isinstance(spec, dict) and (base := _as_then(spec.get("base"))) is not None:
            connection.execute(sa.update(STUDIES).where(STUDIES.c.id == study_id).values(spec={**spec, "base": base}))


def downgrade() -> None:
    """Takes out the field that the version before does not know."""
    connection = op.get_bind()
    for job_id, spec in connection.execute(sa.select(JOBS.c.id, JOBS.c.spec)).all():
        connection.execute(sa.update(JOBS).where(JOBS.c.id == job_id).values(spec=_without(spec)))
    for study_id, spec in connection.execute(sa.select(STUDIES.c.id, STUDIES.c.spec)).all():
        changed = {**spec, "base": _without(spec["base"])}
        connection.execute(sa.update(STUDIES).where(STUDIES.c.id == study_id).values(spec=changed))


def _as_then(spec: Any) -> dict[str, Any] | None:
    """None where there is nothing to write: the spec cannot be read, or says it already."""
    if not isinstance(spec, dict):
        return None
    baselines = spec.get("baselines") or {}
    if not isinstance(baselines, dict) or "by" in baselines:
        return None
    return {**spec, "baselines": {**THEN, **baselines}}


def _without(spec: dict[str, Any]) -> dict[str, Any]:
    baselines = spec.get("baselines")
    if not isinstance(baselines, dict):
        return spec
    return {**spec, "baselines": {name: part for name, part in baselines.items() if name != "by"}}
