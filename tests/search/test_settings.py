"""Settings are read when they are asked for, complete by themselves, and silent about passwords."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError
from sqlalchemy.engine import make_url

from search.errors import SettingsInvalid
from search.settings import Settings, misspelt, read_settings


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


SEVERAL = "postgresql://tw:secret@/tw?host=a:5432&host=b:5432&target_session_attrs=read-write&password=secret"


def test_several_hosts_are_kept_and_their_passwords_are_not_told() -> None:
    settings = Settings(database_url=SEVERAL)
    assert make_url(settings.database_url).query["host"] == ("a:5432", "b:5432")
    assert "secret" not in settings.safe_database_url
    assert "a%3A5432" in settings.safe_database_url


def test_who_writes_several_hosts_as_libpq_does_is_told_how_to_write_them() -> None:
    with pytest.raises(ValidationError, match="host=a:5432&host=b:5432") as refused:
        Settings(database_url="postgresql://tw:secret@a:5432,b:5433/tw")
    assert "secret" not in str(refused.value)


def test_passwords_are_not_told() -> None:
    settings = Settings(database_url="postgresql://tw:s3cret@db/tw")
    assert "s3cret" not in repr(settings) + str(settings) + settings.safe_database_url
    assert settings.safe_database_url == "postgresql://tw:***@db/tw"


@pytest.mark.parametrize("url", ["mysql://root:s3cret@db/tw", "not a url s3cret", ""])
def test_other_databases_are_refused_without_telling_the_password(url: str) -> None:
    with pytest.raises(ValidationError, match="database_url") as refused:
        Settings(database_url=url)
    assert "s3cret" not in str(refused.value)


def test_the_password_may_lie_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("p@ss/word: %\n")  # what an address would need escapes for
    monkeypatch.setenv("THERMOWELL_DATABASE_URL", "postgresql://tw@db/tw")
    monkeypatch.setenv("THERMOWELL_DATABASE_PASSWORD_FILE", str(tmp_path / "password"))
    settings = Settings()
    assert make_url(settings.database_url).password == "p@ss/word: %"
    assert "p@ss" not in repr(settings) + str(settings)
    assert settings.safe_database_url == "postgresql://tw:***@db/tw"
    again = Settings.model_validate(settings.model_dump(exclude_unset=True))
    assert again.database_url == settings.database_url


@pytest.mark.parametrize(
    ("content", "says"), [(None, "cannot be read"), ("\n", "is empty"), (b"\xff", "cannot be read")]
)
def test_a_password_file_that_holds_none_is_named(content: str | bytes | None, says: str, tmp_path: Path) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(ValidationError, match=f"{file} {says}"):
        Settings(database_url="postgresql://tw@db/tw", database_password_file=file)


def test_a_password_for_sqlite_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("s3cret")
    with pytest.raises(ValidationError, match="name a PostgreSQL in database_url") as refused:
        Settings(database_password_file=tmp_path / "password")
    assert "s3cret" not in str(refused.value)


def test_a_wrong_address_is_refused_without_telling_the_password_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("s3cret")
    with pytest.raises(ValidationError, match="database_url") as refused:
        Settings(database_url="mysql://root@db/tw", database_password_file=tmp_path / "password")
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize("wrong", [{"lease_seconds": 0}, {"poll_seconds": -1}, {"lanes": 0}, {"threads": 0}])
def test_impossible_settings_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        Settings(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("THERMOWELL_LANES", "s3cret", "THERMOWELL_LANES: must be a valid integer"),
        ("THERMOWELL_LANES", "0", "THERMOWELL_LANES: must be greater than or equal to 1"),
        ("THERMOWELL_ENGINE", "s3cret", "THERMOWELL_ENGINE: must be 'auto', 'loop', 'bank' or 'processes'"),
        ("THERMOWELL_DATABASE_URL", "mysql://root:s3cret@db", "THERMOWELL_DATABASE_URL: must be of sqlite"),
        ("THERMOWELL_ARTIFACT_STORE", "s3cret", "THERMOWELL_ARTIFACT_STORE: must look like s3://bucket"),
        ("THERMOWELL_LABELS", "GPU!", "THERMOWELL_LABELS: "),
    ],
)
def test_a_wrong_setting_is_told_by_its_variable_without_its_value(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, says: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsInvalid) as refused:
        read_settings(Settings)
    message = str(refused.value)
    assert message.startswith(says)
    assert "unset it for its default" in message
    assert "s3cret" not in message
    assert "pydantic" not in message


def test_a_variable_that_is_nearly_a_setting_is_warned_of() -> None:
    names = [
        "THERMOWELL_LANE",
        "THERMOWELL_DATABSE_URL",
        "THERMOWELL_LANES",
        "THERMOWELL_KEY",
        "THERMOWELL_IMAGE",
        "LANE",
    ]
    assert [warning.partition(" ")[0] for warning in misspelt(Settings, names)] == [
        "THERMOWELL_DATABSE_URL",
        "THERMOWELL_LANE",
    ]
    assert "THERMOWELL_LANES is one" in misspelt(Settings, names)[1]
