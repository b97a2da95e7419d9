"""What was brought from elsewhere: points that a search tries first, and finished trials that cost it nothing."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds a table and two columns."""
    op.add_column("tw_jobs", sa.Column("imported_points", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("tw_trials", sa.Column("imported", sa.String(200)))
    op.create_table(
        "tw_imports",
        sa.Column("job_id", sa.String(32), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("source", sa.String(200), nullable=False),
        sa.Column("place", sa.Integer()),
        sa.Column("configuration", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["tw_jobs.id"], name="fk_tw_imports_job_id_tw_jobs", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "digest", name="pk_tw_imports"),
    )
    op.create_index("ix_tw_imports_job_id_place", "tw_imports", ["job_id", "place"])


def downgrade() -> None:
    """Takes them away: imported trials stay, as trials of the search."""
    op.drop_table("tw_imports")
    op.drop_column("tw_trials", "imported")
    op.drop_column("tw_jobs", "imported_points")
