"""Our tables, beside Optuna's in one database, and the truth where the two differ. Times are epoch seconds (UTC)."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
)

PREFIX = "tw_"
VERSION_TABLE = "tw_alembic_version"

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_JSON = JSON(none_as_null=True)  # None is NULL, never the JSON word null
_BIG_ID = BigInteger().with_variant(Integer, "sqlite")  # only INTEGER PRIMARY KEY counts by itself in SQLite

keys = Table(
    PREFIX + "keys",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("name", String(100), nullable=False),
    Column("secret_hash", String(64), nullable=False),
    Column("scopes", _JSON, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("last_used_at", Double),
    Column("revoked_at", Double),
    # the key's quota; without a number there is none
    Column("most_jobs", Integer),  # that have not ended
    Column("most_trials", Integer),  # in the budgets of these
    Column("most_parallel", Integer),  # trials under way at once
    Column("trains_for", String(16)),  # the owner whose trials it may claim, where that is not the key itself
)

# A browser that has signed in with a key. Only the hash of what it carries is kept.
sessions = Table(
    PREFIX + "sessions",
    metadata,
    Column("token_hash", String(64), primary_key=True),
    Column("key_id", ForeignKey(keys.c.id, ondelete="CASCADE"), nullable=False, index=True),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False, index=True),  # by the database's clock
)

jobs = Table(
    PREFIX + "jobs",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(100), nullable=False),
    Column("labels", _JSON, nullable=False),
    # the key that submitted it; "local" where the service is open on loopback
    Column("owner", String(16), nullable=False),
    Column("spec", _JSON, nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("resume_state", String(16)),  # what a paused job goes back to
    Column("problem", _JSON),  # {"type": slug, "detail": text}: why it failed
    Column("budget_trials", Integer, nullable=False),
    Column("budget_epochs", BigInteger),
    Column("budget_seconds", Double),
    Column("search_trials", Integer, nullable=False, server_default="0"),  # claimed against the budget, never undone
    Column("search_epochs", BigInteger, nullable=False, server_default="0"),  # reserved by claims, corrected at the end
    Column("search_stopped", Boolean, nullable=False, server_default=false()),  # by `stop`: no new search trials
    # its share of the workers, as the spec asked or as it was changed since
    Column("priority", Integer, nullable=False, server_default="10"),
    Column("most_parallel", Integer),  # trials under way at once
    Column("claimed_at", Double),  # when a worker last took trials of it
    Column("lost_workers", Integer, nullable=False, server_default="0"),  # in a row, that trained nothing else
    Column("request_id", String(64)),  # what the request was called that submitted it
    Column("traceparent", String(55)),  # the span of its submission (W3C), below which its workers' spans are
    Column("study", String(32), index=True),  # the study whose cell it is, where it is one's
    # of a cell of an adaptive study that may be handed more trials: search.states.Allotting
    Column("allotting", String(8)),
    # {"share": trials that it brings to the study, "trials": those it was handed, "blocks": [[setting, round], ...]}
    Column("allotment", _JSON),
    # who trains it, where that is not our own workers: external or command; and by which name they ask for its trials
    Column("trainer", String(16)),
    Column("queue", String(100), index=True),
    Column("next_trial", Integer, nullable=False, server_default="0"),
    Column(
        "last_event", Integer, nullable=False, server_default="0"
    ),  # a counter: sequences gap and commit out of order
    # what its first trials are and who advised them, decided when it was submitted: search.requests.advice
    Column("advice", _JSON),
    # up to this number of search trials points of `imports` may be waiting for their turn
    Column("imported_points", Integer, nullable=False, server_default="0"),
    Column("fixed", _JSON),  # {"views": n, "precision": ..., "device": ...}, set at the first claim
    Column("teacher", _JSON),  # trainers.spec.TeacherFacts, once known
    Column("round", Integer, nullable=False, server_default="0"),  # of confirmation; `extend` adds one if it had begun
    Column("test_opened_at", Double),  # when the test part was first read
    Column("test_seen_before", Boolean, nullable=False, server_default=false()),  # extended after that
    Column("created_at", Double, nullable=False),
    Column("started_at", Double),
    Column("paused_at", Double),  # since when the search's clock stands still: paused, or the search has ended
    Column("paused_seconds", Double, nullable=False, server_default="0"),
    Column("ended_at", Double),
    Column("updated_at", Double, nullable=False),
    Index(None, "created_at", "id"),
    Index(None, "owner", "created_at", "id"),
)

# Jobs that are crossed. A study outlives its jobs, which may be deleted one by one.
studies = Table(
    PREFIX + "studies",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(100), nullable=False),
    Column("owner", String(16), nullable=False),
    Column("spec", _JSON, nullable=False),  # search.studies.spec.StudySpec, with the budget of each cell in its base
    Column("cells", _JSON, nullable=False),  # search.studies.cells.Cell, in the order of their numbers
    # the Idempotency-Key that it was submitted with, hashed, and the sha256 of the request's body
    Column("request_key", String(64)),
    Column("body_hash", String(64)),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    UniqueConstraint("owner", "request_key"),
    Index(None, "created_at", "id"),
    Index(None, "owner", "created_at", "id"),
)

trials = Table(
    PREFIX + "trials",
    metadata,
    Column("id", _BIG_ID, primary_key=True, autoincrement=True),
    Column("job_id", ForeignKey(jobs.c.id, ondelete="CASCADE"), nullable=False),
    Column("number", Integer, nullable=False),  # within the job, from 0, in the order of claiming or planning
    Column("stage", String(16), nullable=False),
    Column("arm", String(16), nullable=False),
    Column("variant", String(16)),  # of estimate trials: winner, tuned or same_settings
    Column("round", Integer, nullable=False, server_default="0"),
    Column("origin", Integer),  # of select and estimate trials: the number of the trial whose configuration it is
    Column("configuration", _JSON),  # trainers.spec.Configuration; empty until Optuna was asked
    Column("advice", _JSON),  # {"origin": ..., "source": ..., "distance": ...}: who advised it, if anybody did
    Column("imported", String(200)),  # from where a finished trial was brought that was never trained for this job
    Column("seed", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempt", Integer, nullable=False, server_default="0"),  # how often it was claimed
    Column("losses", Integer, nullable=False, server_default="0"),  # how often its worker was lost
    Column("worker_id", String(64)),
    Column("optuna_number", Integer),
    # its end stands in Optuna's tables, or has no business there
    Column("mirrored", Boolean, nullable=False, server_default=false()),
    Column("value", Double),  # the objective at the last epoch
    Column("epoch", Integer, nullable=False, server_default="0"),  # the last one reported
    Column("metrics", _JSON),  # trainers.spec.Metrics of the last epoch
    Column("test_metrics", _JSON),
    # of trials that programs of others train:
    Column("last_token", String(32)),  # of the latest claim, which speaks until another is made
    Column("resume", String(500)),  # where that program goes on from after checkpoint_epoch, in its own words
    Column("sealed_test", _JSON),  # what it said of the test part, which nobody sees before the job is closed
    Column("log_tail", Text),
    Column("reason", _JSON),  # {"type": slug, "detail": text}: why it was pruned or failed
    # from where the next attempt goes on: a folder among the job's working files, and the epochs that are behind it
    Column("checkpoint", String(100)),
    Column("checkpoint_epoch", Integer),
    Column("created_at", Double, nullable=False),
    Column("started_at", Double),
    Column("ended_at", Double),
    Column("train_seconds", Double, nullable=False, server_default="0"),
    UniqueConstraint("job_id", "number"),
    CheckConstraint("attempt >= 0", name="attempt"),
    Index(None, "job_id", "state"),
    Index(None, "job_id", "stage", "arm"),
)

# One optuna number is one trial of ours: a second claim of it would be told twice.
Index("uq_tw_trials_optuna", trials.c.job_id, trials.c.arm, trials.c.optuna_number, unique=True)

# What the mirror lacks is looked for often, and is little.
Index("ix_tw_trials_unmirrored", trials.c.id, sqlite_where=~trials.c.mirrored, postgresql_where=~trials.c.mirrored)

# What was brought from elsewhere, each once: points to be tried, which have a place, and finished trials.
imports = Table(
    PREFIX + "imports",
    metadata,
    Column("job_id", ForeignKey(jobs.c.id, ondelete="CASCADE"), primary_key=True),
    Column("digest", String(64), primary_key=True),  # of the configuration, and of a finished trial's value
    Column("source", String(200), nullable=False),
    Column("place", Integer),  # of a point: how many search trials are paid for before it is tried
    Column("configuration", _JSON, nullable=False),
    Column("created_at", Double, nullable=False),
    Index(None, "job_id", "place"),
)

reports = Table(
    PREFIX + "reports",
    metadata,
    Column("trial_id", ForeignKey(trials.c.id, ondelete="CASCADE"), primary_key=True),
    Column("epoch", Integer, primary_key=True),
    Column("attempt", Integer, nullable=False),
    Column("train_loss", Double),
    Column("learning_rate", Double),
    Column("accuracy", Double),
    Column("nll", Double),
    Column("ece", Double),
    Column("teacher_agreement", Double),
    Column("teacher_entropy", Double),
    Column("metrics", _JSON),  # of programs of others: all that they reported, whatever its name
    Column("seconds", Double, nullable=False),
    Column("reported_at", Double, nullable=False),
)

# A worker's right to one running trial, or to the closing work of one job. Every write is fenced by `token`.
leases = Table(
    PREFIX + "leases",
    metadata,
    Column("subject", String(64), primary_key=True),  # "trial:<id>" or "job:<id>"
    Column("token", String(32), nullable=False, unique=True),
    Column("job_id", ForeignKey(jobs.c.id, ondelete="CASCADE"), nullable=False, index=True),
    Column("trial_id", ForeignKey(trials.c.id, ondelete="CASCADE"), index=True),
    Column("worker_id", String(64), nullable=False, index=True),
    Column("acquired_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False, index=True),  # by the database's clock
    # of programs of others: how long it holds after each renewal, and how long without any report it does at all
    Column("seconds", Double),
    Column("stall_seconds", Double),
    Column("progress_at", Double),
)

events = Table(
    PREFIX + "events",
    metadata,
    Column("job_id", ForeignKey(jobs.c.id, ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("at", Double, nullable=False),
    Column("payload", _JSON, nullable=False),
)

workers = Table(
    PREFIX + "workers",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("host", String(255), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("lanes", Integer, nullable=False),
    Column("capabilities", _JSON, nullable=False),
    Column("engines", _JSON),  # what it trains with now, for which problem, and why: a list
    Column("labels", _JSON),  # what jobs may ask for: a list of words
    Column("silent_at", Double),  # when it counts as gone unless it is heard of again
    Column("database_errors", Integer, nullable=False, server_default="0"),  # times that the database did not answer
    Column("started_at", Double, nullable=False),
    Column("seen_at", Double, nullable=False),
    Column("stopped_at", Double),
)

idempotency = Table(
    PREFIX + "idempotency",
    metadata,
    Column("key", String(255), primary_key=True),
    Column("principal", String(16), primary_key=True),
    Column("body_hash", String(64), nullable=False),
    Column("job_id", ForeignKey(jobs.c.id, ondelete="CASCADE")),
    Column("created_at", Double, nullable=False),
)

artifacts = Table(
    PREFIX + "artifacts",
    metadata,
    Column("id", _BIG_ID, primary_key=True, autoincrement=True),
    Column("job_id", ForeignKey(jobs.c.id, ondelete="CASCADE"), nullable=False, index=True),
    Column("trial_id", ForeignKey(trials.c.id, ondelete="SET NULL")),
    Column("name", String(100), nullable=False),
    Column("media_type", String(100), nullable=False),
    Column("sha256", String(64), nullable=False),  # also its place: <root>/<first two>/<digest>
    Column("size", BigInteger, nullable=False),
    Column("created_at", Double, nullable=False),
    UniqueConstraint("job_id", "name"),
)

analyses = Table(
    PREFIX + "analyses",
    metadata,
    Column("job_id", ForeignKey(jobs.c.id, ondelete="CASCADE"), primary_key=True),
    Column("kind", String(32), primary_key=True),  # result, response, importances
    Column("document", Text, nullable=False),  # JSON, as the API serves it
    Column("computed_at", Double, nullable=False),
)
