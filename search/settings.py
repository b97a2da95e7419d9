"""Settings of the database, the files and the worker, read from THERMOWELL_* when they are built."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, TypeAdapter, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from search.spec.scheduling import WorkerLabel

_S3 = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9._-]+)*/?")


class Settings(BaseSettings):
    """What the operator has decided. Built by whoever starts a process, never at import."""

    model_config = SettingsConfigDict(
        env_prefix="THERMOWELL_", extra="ignore", frozen=True, validate_default=True, hide_input_in_errors=True
    )

    var: Path = Field(Path("var"), description="where everything goes that has no place of its own")
    # Kept out of repr: it may carry a password.
    database_url: str = Field("", repr=False, description="SQLite below `var` unless given; or postgresql://...")
    database_password_file: Path | None = Field(
        None, description="the database's password is the one line of this file, and need not stand in database_url"
    )
    data_root: Path = Field(Path(), description="below it lie the data sets; `var`/data unless given")
    artifact_root: Path = Field(Path(), description="below it lie the files jobs leave; `var`/artifacts unless given")
    artifact_store: str | None = Field(
        None,
        description="s3://bucket/prefix, where these files lie instead, for machines without a common disk; needs "
        "thermowell[s3]. `artifact_root` then holds what a machine makes or brings for itself",
    )
    lease_seconds: float = Field(120.0, gt=0, description="a worker silent for this long has lost its trials")
    poll_seconds: float = Field(1.0, gt=0, description="how often an idle worker asks for work")
    optuna_proxy: str | None = Field(
        None,
        pattern=r"^[^:/\s]+:\d{1,5}$",
        description="host:port of Optuna's gRPC storage proxy, through which a worker's sampler reads and writes; "
        "leases and results stay on its own connection to the database",
    )
    engine: Literal["auto", "loop", "bank", "processes"] = Field(
        "auto", description="how a worker trains; unless given, the fastest for the student, by a short measurement"
    )
    lanes: int | None = Field(
        None, ge=1, le=4096, description="students that a worker trains at once, at most; unless given, as measured"
    )
    threads: int | None = Field(None, ge=1, description="torch's threads in a worker; as measured unless given")
    plugins: str = Field(
        "", description="installed distributions, or entry points, whose plugins a worker loads, with commas between"
    )
    labels: str = Field(
        "", description="words that jobs may ask of a worker, with commas between; gpu or cpu it has by itself"
    )
    checkpoint_seconds: float = Field(
        60.0, gt=0, description="how much training of a trial may be lost with its worker, where no rung comes before"
    )
    grace_seconds: float = Field(
        8.0, gt=0, description="how long a worker that is told to stop may take to end its epoch and save its students"
    )

    student_programs: bool = Field(
        True,
        description="whether a winner is also kept for torch.export and, where a worker has onnx, onnxscript and "
        "onnxruntime, for ONNX Runtime: some seconds at a job's end",
    )

    @model_validator(mode="before")
    @classmethod
    def _below_var(cls, values: dict[str, object]) -> dict[str, object]:
        var = Path(str(values.get("var") or "var"))
        values.setdefault("database_url", f"sqlite:///{var / 'thermowell.db'}")
        values.setdefault("data_root", var / "data")
        values.setdefault("artifact_root", var / "artifacts")
        if file := values.get("database_password_file"):
            values["database_url"] = _with_password(str(values["database_url"]), Path(str(file)))
        return values

    @model_validator(mode="after")
    def _known_database(self) -> Self:
        try:
            url = make_url(self.database_url)
        except (ArgumentError, ValueError):
            raise ValueError(
                "database_url must look like sqlite:///file or postgresql://user@host/name; several hosts are written "
                "postgresql://user@/name?host=a:5432&host=b:5432&target_session_attrs=read-write"
            ) from None
        if url.get_backend_name() not in ("sqlite", "postgresql", "postgres"):
            raise ValueError(f"database_url must be of sqlite or postgresql, not {url.get_backend_name()}")
        return self

    @field_validator("artifact_store")
    @classmethod
    def _bucket(cls, url: str | None) -> str | None:
        if url is not None and not _S3.fullmatch(url):
            raise ValueError(
                "artifact_store must look like s3://bucket or s3://bucket/prefix; credentials come from AWS_*"
            )
        return url

    @field_validator("labels")
    @classmethod
    def _words(cls, labels: str) -> str:
        TypeAdapter(tuple[WorkerLabel, ...]).validate_python(_split(labels))
        return labels

    @property
    def worker_labels(self) -> tuple[str, ...]:
        """The words in `labels`."""
        return _split(self.labels)

    @property
    def plugin_names(self) -> tuple[str, ...]:
        """The distributions in `plugins`."""
        return _split(self.plugins)

    @property
    def safe_database_url(self) -> str:
        """The database's address with its passwords hidden, for logs."""
        url = make_url(self.database_url)
        hidden = {name: "***" for name in ("password", "sslpassword") if name in url.query}
        return url.update_query_dict(hidden).render_as_string(hide_password=True)


def _split(labels: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in labels.split(",") if word.strip())


def _with_password(database_url: str, file: Path) -> str:
    """The address with the password that the file holds. ValueError where it cannot be read, is empty or has no use."""
    try:
        url = make_url(database_url)
    except (ArgumentError, ValueError):
        return database_url  # refused further on, in words of its own
    try:
        password = file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"database_password_file: {file} cannot be read ({type(error).__name__})") from None
    if not password:
        raise ValueError(f"database_password_file: {file} is empty")
    if url.get_backend_name() == "sqlite":
        raise ValueError("database_password_file: SQLite knows no passwords; name a PostgreSQL in database_url")
    return url.set(password=password).render_as_string(hide_password=False)
