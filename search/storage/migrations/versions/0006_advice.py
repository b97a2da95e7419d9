"""Jobs that begin with what they were advised, and trials that tell by whom."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the columns; jobs from before were advised by nobody."""
    op.add_column("tw_jobs", sa.Column("advice", sa.JSON()))
    op.add_column("tw_trials", sa.Column("advice", sa.JSON()))


def downgrade() -> None:
    """Drops them; trials that wait with a configuration keep it."""
    op.drop_column("tw_trials", "advice")
    op.drop_column("tw_jobs", "advice")
