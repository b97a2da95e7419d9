"""Are settings read when they are asked for, complete by themselves, and silent about passwords?"""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from search.settings import Settings


def test_everything_lies_below_var() -> None:
    settings = Settings()
    assert settings.database_url == "sqlite:///var/thermowell.db"
    assert (settings.data_root, settings.artifact_root) == (Path("var/data"), Path("var/artifacts"))


def test_the_environment_counts_at_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THERMOWELL_VAR", "/srv/tw")
    monkeypatch.setenv("THERMOWELL_LEASE_SECONDS", "5")
    monkeypatch.setenv("THERMOWELL_DATA_ROOT", "/data")
    settings = Settings()
    assert settings.database_url == "sqlite:////srv/tw/thermowell.db"
    assert (settings.data_root, settings.artifact_root) == (Path("/data"), Path("/srv/tw/artifacts"))
    assert settings.lease_seconds == 5


def test_arguments_come_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THERMOWELL_LANES", "3")
    assert Settings().lanes == 3
    assert Settings(lanes=2).lanes == 2


def test_passwords_are_not_told() -> None:
    settings = Settings(database_url="postgresql://tw:s3cret@db/tw")
    assert "s3cret" not in repr(settings) + str(settings) + settings.safe_database_url
    assert settings.safe_database_url == "postgresql://tw:***@db/tw"


@pytest.mark.parametrize("url", ["mysql://root:s3cret@db/tw", "not a url s3cret", ""])
def test_other_databases_are_refused_without_telling_the_password(url: str) -> None:
    with pytest.raises(ValidationError, match="database_url") as refused:
        Settings(database_url=url)
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize("wrong", [{"lease_seconds": 0}, {"poll_seconds": -1}, {"lanes": 0}, {"threads": 0}])
def test_impossible_settings_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        Settings(**wrong)  # type: ignore[arg-type]
