"""Second: browsers that have signed in with a key."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Creates the table of sessions."""
    op.create_table(
        "tw_sessions",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("key_id", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["key_id"], ["tw_keys.id"], name=op.f("fk_tw_sessions_key_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_tw_sessions")),
    )
    op.create_index(op.f("ix_tw_sessions_key_id"), "tw_sessions", ["key_id"])
    op.create_index(op.f("ix_tw_sessions_expires_at"), "tw_sessions", ["expires_at"])


def downgrade() -> None:
    """Drops it."""
    op.drop_table("tw_sessions")
