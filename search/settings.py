"""Settings of the database, the files and the worker, read from THERMOWELL_* when they are built."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, Self, TypeVar

from pydantic import Field, TypeAdapter, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from search.errors import SettingsInvalid
from search.spec.scheduling import WorkerLabel

Kind = TypeVar("Kind", bound="Settings")
PREFIX = "THERMOWELL_"
OF_CLIENT = ("THERMOWELL_URL", "THERMOWELL_KEY")
SPINS = 1000
"""Turns that a thread of OpenMP waits for the next operator before it sleeps, as libgomp has it where threads outnumber
cores. By default it waits for about a millisecond, which keeps the core from whatever else is to run there.

With two other programs on two cores a small teacher took 72 s and 7 s on two threads, 2 to 4 s with this, and 1.4 s on
one thread. On idle cores it takes .85 s in place of .75, and a bank of 49 students trains 1.6 times as fast.
"""
_S3 = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9._-]+)*/?")


class Settings(BaseSettings):
    """What the operator has decided. Built by whoever starts a process, never at import."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, extra="ignore", frozen=True, validate_default=True, hide_input_in_errors=True
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
    disk_gb: float | None = Field(
        None,
        gt=0,
        description="GB (10**9 bytes) below `artifact_root` that a job may take for pixels, views and teacher's "
        "logits; as much as is free there unless given",
    )
    plugins: str = Field(
        "", description="installed distributions, or entry points, whose plugins a worker loads, with commas between"
    )
    hf_root: Path | None = Field(
        None,
        description="below it lie folders as Hugging Face's transformers save models, which specs name hf:PATH; needs "
        "thermowell[transformers]",
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

    weights_days: float = Field(
        30.0, gt=0, description="days after which a file of weights that was sent over HTTP and no job names is deleted"
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


def read_settings(kind: type[Kind], **overrides: object) -> Kind:
    """The settings as the environment has them, with these in place of some. SettingsInvalid, without their values."""
    try:
        settings = kind()
        if not overrides:
            return settings
        return kind.model_validate({**settings.model_dump(exclude_unset=True), **overrides})
    except ValidationError as invalid:
        errors = invalid.errors(include_url=False, include_input=False)
        raise SettingsInvalid("\n".join(_in_words(kind, error["loc"], error["msg"]) for error in errors)) from None


def misspelt(kind: type[Settings], names: Iterable[str]) -> list[str]:
    """Of the environment's variables those that are nearly a setting, each with the one that was meant."""
    known_names = [_variable(field) for field in kind.model_fields] + list(OF_CLIENT)
    unknown = sorted(name for name in names if name.startswith(PREFIX) and name not in known_names)
    near = {name: difflib.get_close_matches(name, known_names, n=1, cutoff=0.85) for name in unknown}
    return [f"{name} is no setting and is not read: {match[0]} is one" for name, match in near.items() if match]


def _variable(field: str) -> str:
    return f"{PREFIX}{field.upper()}"


def _in_words(kind: type[Settings], location: Sequence[int | str], message: str) -> str:
    """One problem; the project's own checks begin their sentence with the field that they refuse."""
    message = message.removeprefix("Value error, ").replace("Input should be", "must be", 1)
    first = re.match(r"\w*", message)
    if first and first[0] in kind.model_fields:
        location, message = (first[0],), message[first.end() :].removeprefix(":").strip()
    field = str(location[0]) if location else ""
    return f"{_variable(field) if field else 'settings'}: {message}. Set it anew, or unset it for its default"


def let_threads_sleep() -> None:
    """Sets how long threads of OpenMP spin, unless the environment says how they wait: torch reads it when imported."""
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", str(SPINS))


def use_one_thread() -> None:
    """Lets BLAS take one thread, unless the environment says how many: of matrices as small as those of an analysis,
    others cost more than they do. numpy reads it when imported.
    """
    if not {"OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"} & os.environ.keys():
        os.environ.update({"OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"})


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
        raise ValueError(
            f"database_password_file: {file} cannot be read ({type(error).__name__}): name one that can"
        ) from None
    if not password:
        raise ValueError(f"database_password_file: {file} is empty: write the password into it")
    if url.get_backend_name() == "sqlite":
        raise ValueError("database_password_file: SQLite knows no passwords; name a PostgreSQL in database_url")
    return url.set(password=password).render_as_string(hide_password=False)
