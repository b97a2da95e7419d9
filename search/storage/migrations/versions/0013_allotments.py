"""Trials that an adaptive study hands out to its cells."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds two columns."""
    op.add_column("tw_jobs", sa.Column("allotting", sa.String(8)))
    op.add_column("tw_jobs", sa.Column("allotment", sa.JSON(none_as_null=True)))


def downgrade() -> None:
    """Takes them away: what was handed out has begun, and cells go on with what they have."""
    op.drop_column("tw_jobs", "allotment")
    op.drop_column("tw_jobs", "allotting")
