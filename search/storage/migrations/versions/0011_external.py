"""Trials that programs of others train: who trains a job, what they say of trials, and how long they may be silent."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_NUMBERS = ("train_loss", "learning_rate", "accuracy", "nll", "ece", "teacher_agreement", "teacher_entropy")
_JSON = sa.JSON(none_as_null=True)


def upgrade() -> None:
    """Adds columns; what a report of a built-in worker always has, one of others need not have."""
    op.add_column("tw_keys", sa.Column("trains_for", sa.String(16)))
    op.add_column("tw_jobs", sa.Column("trainer", sa.String(16)))
    op.add_column("tw_jobs", sa.Column("queue", sa.String(100)))
    op.create_index("ix_tw_jobs_queue", "tw_jobs", ["queue"])
    op.add_column("tw_trials", sa.Column("last_token", sa.String(32)))
    op.add_column("tw_trials", sa.Column("resume", sa.String(500)))
    op.add_column("tw_trials", sa.Column("sealed_test", _JSON))
    op.add_column("tw_trials", sa.Column("log_tail", sa.Text()))
    op.add_column("tw_leases", sa.Column("seconds", sa.Double()))
    op.add_column("tw_leases", sa.Column("stall_seconds", sa.Double()))
    op.add_column("tw_leases", sa.Column("progress_at", sa.Double()))
    with op.batch_alter_table("tw_reports") as reports:
        reports.add_column(sa.Column("metrics", _JSON))
        for name in _NUMBERS:
            reports.alter_column(name, existing_type=sa.Double(), nullable=True)


def downgrade() -> None:
    """Takes the columns away; reports without the numbers of built-in workers go with them."""
    reports = sa.table("tw_reports", *(sa.column(name, sa.Double()) for name in _NUMBERS))
    op.execute(sa.delete(reports).where(sa.or_(*(reports.c[name].is_(None) for name in _NUMBERS))))
    with op.batch_alter_table("tw_reports") as altered:
        for name in _NUMBERS:
            altered.alter_column(name, existing_type=sa.Double(), nullable=False)
        altered.drop_column("metrics")
    for name in ("progress_at", "stall_seconds", "seconds"):
        op.drop_column("tw_leases", name)
    for name in ("log_tail", "sealed_test", "resume", "last_token"):
        op.drop_column("tw_trials", name)
    op.drop_index("ix_tw_jobs_queue", "tw_jobs")
    op.drop_column("tw_jobs", "queue")
    op.drop_column("tw_jobs", "trainer")
    op.drop_column("tw_keys", "trains_for")
