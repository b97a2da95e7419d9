"""What a check says of scripts that obey, and of those that do not."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.service.server_fixtures import Jobs
from thermowell.agent import check
from thermowell.agent.check import Outcome, findings

SCRIPT = Path(__file__).with_name("disobedient.py")
NAMES = ["temperature", "weights", "seed repeats", "seed counts"]


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.delenv("THERMOWELL_TRIAL", raising=False)
    monkeypatch.setattr(check.processes, "adopt_and_hide", lambda: None)  # of the tests' own process
    file = tmp_path / "job.json"
    file.write_text(
        json.dumps({"trainer": {"external": {"queue": "q"}}, "space": {"kd_weight": {"low": 0.5, "high": 1}}})
    )
    return str(file)


def checked(job: str, capsys: pytest.CaptureFixture[str], *ignored: str) -> tuple[int, dict[str, bool], str]:
    """The exit code, what is obeyed by name, and all that was printed."""
    code = check.main([job, "--", sys.executable, "-I", "-S", str(SCRIPT), "{config}", *ignored])
    text = capsys.readouterr().out
    lines = [line for line in text.splitlines() if line.startswith(("obeyed", "NOT OBEYED"))]
    return code, {name: line.startswith("obeyed") for name in NAMES for line in lines if f"  {name} " in line}, text


def test_a_script_that_obeys(job: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, obeyed, text = checked(job, capsys)
    assert (code, obeyed) == (0, dict.fromkeys(NAMES, True))
    assert text.count("trained ") == len(check.RUNS)
    assert "trained labels alone: accuracy 0.501118" in text


@pytest.mark.parametrize(
    ("ignored", "name"),
    [("temperature", "temperature"), ("weights", "weights"), ("repeats", "seed repeats"), ("seed", "seed counts")],
)
def test_each_thing_that_is_ignored_is_named(
    job: str, capsys: pytest.CaptureFixture[str], ignored: str, name: str
) -> None:
    code, obeyed, text = checked(job, capsys, ignored)
    assert code == 1
    assert obeyed == {each: each != name for each in NAMES}
    assert "what to do: " in text


def test_a_failure_is_said_before_anything_else(job: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, obeyed, text = checked(job, capsys, "diverged")
    assert (code, obeyed) == (1, {})
    assert "diverged: accuracy is nan at epoch 1" in text


def test_nearly_repeated_is_obeyed() -> None:
    results = {name: Outcome({"accuracy": 0.1 * place}) for place, name in enumerate(check.RUNS)}
    results["again"] = Outcome({"accuracy": 1e-9})
    results["seed"] = Outcome({"accuracy": 0.5})
    repeats = {finding.name: finding for finding in findings(results, "accuracy")}["seed repeats"]
    assert repeats.obeyed
    assert "nearly" in repeats.words


def test_a_job_of_the_service_is_named(jobs: Jobs, reader: object) -> None:
    url = str(reader.base_url)  # type: ignore[attr-defined]
    assert check.spec_of("going", url)["name"] == "going"
    assert check.spec_of(jobs.running.id, url)["name"] == "going"


def test_what_cannot_be_checked_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check.main([str(tmp_path / "none.yaml"), "--", "true"]) == 2
    assert "none.yaml" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        check.main(["job.yaml"])
    assert "after --" in capsys.readouterr().err
