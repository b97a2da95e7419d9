"""Studies from before the Gaussian process became the default sampler go on with the one that their jobs have."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

STUDIES = sa.table("tw_studies", sa.column("id", sa.String()), sa.column("spec", sa.JSON()))


def upgrade() -> None:
    """Writes the default of then into every base that names no sampler. Jobs have theirs written out since ever.

    Otherwise a study that is extended would not know its own cells any more, and train all of them a second time.
    """
    connection = op.get_bind()
    for study_id, spec in connection.execute(sa.select(STUDIES.c.id, STUDIES.c.spec)).all():
        base = spec["base"]
        sampler = base.get("sampler") or {}
        if isinstance(sampler, dict) and "name" not in sampler:
            changed = {**spec, "base": {**base, "sampler": {"name": "tpe", **sampler}}}
            connection.execute(sa.update(STUDIES).where(STUDIES.c.id == study_id).values(spec=changed))


def downgrade() -> None:
    """Nothing: what is written out is what it was."""
