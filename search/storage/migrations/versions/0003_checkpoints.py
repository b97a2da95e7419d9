"""Trials that go on from a checkpoint, and workers that say what they train with."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the columns; trials that wait have no checkpoint, and start over."""
    op.add_column("tw_trials", sa.Column("checkpoint", sa.String(length=100)))
    op.add_column("tw_trials", sa.Column("checkpoint_epoch", sa.Integer()))
    op.add_column("tw_workers", sa.Column("engines", sa.JSON()))


def downgrade() -> None:
    """Drops them; what waits with a checkpoint starts over."""
    op.drop_column("tw_workers", "engines")
    op.drop_column("tw_trials", "checkpoint_epoch")
    op.drop_column("tw_trials", "checkpoint")
