"""First: jobs and their trials, what was reported and answered, and who may do what."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_UNMIRRORED = sa.text("NOT mirrored")


def upgrade() -> None:
    """Creates all tables."""
    op.create_table(
        "tw_jobs",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("owner", sa.String(length=16), nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("resume_state", sa.String(length=16)),
        sa.Column("problem", sa.JSON()),
        sa.Column("budget_trials", sa.Integer(), nullable=False),
        sa.Column("budget_epochs", sa.BigInteger()),
        sa.Column("budget_seconds", sa.Double()),
        sa.Column("search_trials", sa.Integer(), server_default="0", nullable=False),
        sa.Column("search_epochs", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("search_stopped", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("next_trial", sa.Integer(), server_default="0", nullable=False),
        sa.Column("last_event", sa.Integer(), server_default="0", nullable=False),
        sa.Column("fixed", sa.JSON()),
        sa.Column("teacher", sa.JSON()),
        sa.Column("round", sa.Integer(), server_default="0", nullable=False),
        sa.Column("test_opened_at", sa.Double()),
        sa.Column("test_seen_before", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("started_at", sa.Double()),
        sa.Column("paused_at", sa.Double()),
        sa.Column("paused_seconds", sa.Double(), server_default="0", nullable=False),
        sa.Column("ended_at", sa.Double()),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tw_jobs")),
    )
    op.create_index(op.f("ix_tw_jobs_created_at_id"), "tw_jobs", ["created_at", "id"])
    op.create_index(op.f("ix_tw_jobs_owner_created_at_id"), "tw_jobs", ["owner", "created_at", "id"])
    op.create_index(op.f("ix_tw_jobs_state"), "tw_jobs", ["state"])

    op.create_table(
        "tw_keys",
        sa.Column("id", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("secret_hash", sa.String(length=64), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("last_used_at", sa.Double()),
        sa.Column("revoked_at", sa.Double()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tw_keys")),
    )
    op.create_table(
        "tw_workers",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("lanes", sa.Integer(), nullable=False),
        sa.Column("capabilities", sa.JSON(), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("seen_at", sa.Double(), nullable=False),
        sa.Column("stopped_at", sa.Double()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tw_workers")),
    )
    op.create_table(
        "tw_analyses",
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("computed_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["tw_jobs.id"], name=op.f("fk_tw_analyses_job_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "kind", name=op.f("pk_tw_analyses")),
    )
    op.create_table(
        "tw_events",
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["tw_jobs.id"], name=op.f("fk_tw_events_job_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "number", name=op.f("pk_tw_events")),
    )
    op.create_table(
        "tw_idempotency",
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("principal", sa.String(length=16), nullable=False),
        sa.Column("body_hash", sa.String(length=64), nullable=False),
        sa.Column("job_id", sa.String(length=32)),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["tw_jobs.id"], name=op.f("fk_tw_idempotency_job_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("key", "principal", name=op.f("pk_tw_idempotency")),
    )
    op.create_table(
        "tw_trials",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("stage", sa.String(length=16), nullable=False),
        sa.Column("arm", sa.String(length=16), nullable=False),
        sa.Column("variant", sa.String(length=16)),
        sa.Column("round", sa.Integer(), server_default="0", nullable=False),
        sa.Column("origin", sa.Integer()),
        sa.Column("configuration", sa.JSON()),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempt", sa.Integer(), server_default="0", nullable=False),
        sa.Column("losses", sa.Integer(), server_default="0", nullable=False),
        sa.Column("worker_id", sa.String(length=64)),
        sa.Column("optuna_number", sa.Integer()),
        sa.Column("mirrored", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("value", sa.Double()),
        sa.Column("epoch", sa.Integer(), server_default="0", nullable=False),
        sa.Column("metrics", sa.JSON()),
        sa.Column("test_metrics", sa.JSON()),
        sa.Column("reason", sa.JSON()),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("started_at", sa.Double()),
        sa.Column("ended_at", sa.Double()),
        sa.Column("train_seconds", sa.Double(), server_default="0", nullable=False),
        sa.CheckConstraint("attempt >= 0", name=op.f("ck_tw_trials_attempt")),
        sa.ForeignKeyConstraint(["job_id"], ["tw_jobs.id"], name=op.f("fk_tw_trials_job_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tw_trials")),
        sa.UniqueConstraint("job_id", "number", name=op.f("uq_tw_trials_job_id_number")),
    )
    op.create_index(op.f("ix_tw_trials_job_id_stage_arm"), "tw_trials", ["job_id", "stage", "arm"])
    op.create_index(op.f("ix_tw_trials_job_id_state"), "tw_trials", ["job_id", "state"])
    op.create_index(
        "ix_tw_trials_unmirrored", "tw_trials", ["id"], sqlite_where=_UNMIRRORED, postgresql_where=_UNMIRRORED
    )
    op.create_index("uq_tw_trials_optuna", "tw_trials", ["job_id", "arm", "optuna_number"], unique=True)

    op.create_table(
        "tw_artifacts",
        sa.Column("id", _ID, autoincrement=True, nullable=False),
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("trial_id", _ID),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("media_type", sa.String(length=100), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["tw_jobs.id"], name=op.f("fk_tw_artifacts_job_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["trial_id"], ["tw_trials.id"], name=op.f("fk_tw_artifacts_trial_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tw_artifacts")),
        sa.UniqueConstraint("job_id", "name", name=op.f("uq_tw_artifacts_job_id_name")),
    )
    op.create_index(op.f("ix_tw_artifacts_job_id"), "tw_artifacts", ["job_id"])

    op.create_table(
        "tw_leases",
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("token", sa.String(length=32), nullable=False),
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("trial_id", _ID),
        sa.Column("worker_id", sa.String(length=64), nullable=False),
        sa.Column("acquired_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["tw_jobs.id"], name=op.f("fk_tw_leases_job_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["trial_id"], ["tw_trials.id"], name=op.f("fk_tw_leases_trial_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("subject", name=op.f("pk_tw_leases")),
        sa.UniqueConstraint("token", name=op.f("uq_tw_leases_token")),
    )
    op.create_index(op.f("ix_tw_leases_expires_at"), "tw_leases", ["expires_at"])
    op.create_index(op.f("ix_tw_leases_job_id"), "tw_leases", ["job_id"])
    op.create_index(op.f("ix_tw_leases_trial_id"), "tw_leases", ["trial_id"])
    op.create_index(op.f("ix_tw_leases_worker_id"), "tw_leases", ["worker_id"])

    op.create_table(
        "tw_reports",
        sa.Column("trial_id", _ID, nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("train_loss", sa.Double(), nullable=False),
        sa.Column("learning_rate", sa.Double(), nullable=False),
        sa.Column("accuracy", sa.Double(), nullable=False),
        sa.Column("nll", sa.Double(), nullable=False),
        sa.Column("ece", sa.Double(), nullable=False),
        sa.Column("teacher_agreement", sa.Double(), nullable=False),
        sa.Column("teacher_entropy", sa.Double(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("reported_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["trial_id"], ["tw_trials.id"], name=op.f("fk_tw_reports_trial_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("trial_id", "epoch", name=op.f("pk_tw_reports")),
    )


def downgrade() -> None:
    """Drops all tables, with all that they hold."""
    for table in (
        "tw_reports",
        "tw_leases",
        "tw_artifacts",
        "tw_trials",
        "tw_idempotency",
        "tw_events",
        "tw_analyses",
        "tw_workers",
        "tw_keys",
        "tw_jobs",
    ):
        op.drop_table(table)
