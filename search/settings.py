"""Where do the database and the files live, and how does a worker behave? Read from THERMOWELL_* when it is built."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError


class Settings(BaseSettings):
    """What the operator has decided. Built by whoever starts a process, never at import."""

    model_config = SettingsConfigDict(env_prefix="THERMOWELL_", extra="ignore", frozen=True, validate_default=True)

    var: Path = Field(Path("var"), description="where everything goes that has no place of its own")
    # Kept out of repr: it may carry a password.
    database_url: str = Field("", repr=False, description="SQLite below `var` unless given; or postgresql://...")
    data_root: Path = Field(Path(), description="below it lie the data sets; `var`/data unless given")
    artifact_root: Path = Field(Path(), description="below it lie the files jobs leave; `var`/artifacts unless given")
    lease_seconds: float = Field(120.0, gt=0, description="a worker silent for this long has lost its trials")
    poll_seconds: float = Field(1.0, gt=0, description="how often an idle worker asks for work")
    lanes: int = Field(1, ge=1, le=4096, description="students that a worker trains at once")
    threads: int | None = Field(None, ge=1, description="torch's threads in a worker; all cores unless given")

    @model_validator(mode="before")
    @classmethod
    def _below_var(cls, values: dict[str, object]) -> dict[str, object]:
        var = Path(str(values.get("var") or "var"))
        values.setdefault("database_url", f"sqlite:///{var / 'thermowell.db'}")
        values.setdefault("data_root", var / "data")
        values.setdefault("artifact_root", var / "artifacts")
        return values

    @model_validator(mode="after")
    def _known_database(self) -> Self:
        try:
            url = make_url(self.database_url)
        except ArgumentError:
            raise ValueError("database_url must look like sqlite:///file or postgresql://user@host/name") from None
        if url.get_backend_name() not in ("sqlite", "postgresql", "postgres"):
            raise ValueError(f"database_url must be of sqlite or postgresql, not {url.get_backend_name()}")
        return self

    @property
    def safe_database_url(self) -> str:
        """The database's address with its password hidden, for logs."""
        return make_url(self.database_url).render_as_string(hide_password=True)
