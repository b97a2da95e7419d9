"""Studies: jobs that differ in the levels of factors; a job tells of which study it is a cell."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the table and the column; jobs from before belong to no study."""
    op.create_table(
        "tw_studies",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("owner", sa.String(length=16), nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("cells", sa.JSON(), nullable=False),
        sa.Column("request_key", sa.String(length=64)),
        sa.Column("body_hash", sa.String(length=64)),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tw_studies"),
        sa.UniqueConstraint("owner", "request_key", name="uq_tw_studies_owner_request_key"),
    )
    op.create_index("ix_tw_studies_created_at_id", "tw_studies", ["created_at", "id"])
    op.create_index("ix_tw_studies_owner_created_at_id", "tw_studies", ["owner", "created_at", "id"])
    op.add_column("tw_jobs", sa.Column("study", sa.String(length=32)))
    op.create_index("ix_tw_jobs_study", "tw_jobs", ["study"])


def downgrade() -> None:
    """Drops them; the jobs stay, as jobs of their own."""
    op.drop_index("ix_tw_jobs_study", "tw_jobs")
    op.drop_column("tw_jobs", "study")
    op.drop_table("tw_studies")
