"""Jobs whose traces go on in the workers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the column; jobs from before were submitted in no trace."""
    op.add_column("tw_jobs", sa.Column("traceparent", sa.String(length=55)))


def downgrade() -> None:
    """Drops it."""
    op.drop_column("tw_jobs", "traceparent")
