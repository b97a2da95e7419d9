"""Shares of the fleet: priorities, caps, labels and quotas; what a request is called from the API to the worker."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

QUOTAS = ("most_jobs", "most_trials", "most_parallel")


def upgrade() -> None:
    """Adds the columns; jobs that are there share alike, and keys that are there have no quota."""
    op.add_column("tw_jobs", sa.Column("priority", sa.Integer(), nullable=False, server_default="10"))
    op.add_column("tw_jobs", sa.Column("most_parallel", sa.Integer()))
    op.add_column("tw_jobs", sa.Column("claimed_at", sa.Double()))
    op.add_column("tw_jobs", sa.Column("lost_workers", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("tw_jobs", sa.Column("request_id", sa.String(length=64)))
    for quota in QUOTAS:
        op.add_column("tw_keys", sa.Column(quota, sa.Integer()))
    op.add_column("tw_workers", sa.Column("labels", sa.JSON()))
    op.add_column("tw_workers", sa.Column("silent_at", sa.Double()))
    op.add_column("tw_workers", sa.Column("database_errors", sa.Integer(), nullable=False, server_default="0"))


def downgrade() -> None:
    """Drops them."""
    for column in ("database_errors", "silent_at", "labels"):
        op.drop_column("tw_workers", column)
    for quota in reversed(QUOTAS):
        op.drop_column("tw_keys", quota)
    for column in ("request_id", "lost_workers", "claimed_at", "most_parallel", "priority"):
        op.drop_column("tw_jobs", column)
