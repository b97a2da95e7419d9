"""What `thermowell agent --check FILE` says of an operator's file."""

from __future__ import annotations

from pathlib import Path

import pytest

from thermowell.agent import __main__ as agent
from thermowell.agent.inspection import FINE, WRONG, check

FINE_FILE = """
words:
  argv: [sh, train.sh, "{config}", "--student={student}", "--layers={layers}", "{{x}}", "{gpus}"]
  directory: FOLDER
  environment: {pass: [LOGNAME], set: {OMP_NUM_THREADS: "1"}, files: {TOKEN: FOLDER/token}}
  arguments: {student: {choices: [tiny, mini]}, layers: {type: int, low: 1, high: 12, default: 4}}
  gpus: 2
  code: ["FOLDER/*.sh"]
  owners: [ops]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "train.sh").write_text("exit 1")
    (tmp_path / "token").write_text("secret-word")
    path = tmp_path / "commands.yaml"
    path.write_text(FINE_FILE.replace("FOLDER", str(tmp_path)))
    return path


SURROUNDINGS = {"PATH": "/usr/bin:/bin", "LOGNAME": "somebody"}


def test_what_each_command_would_run_is_said_and_no_secret(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(file, SURROUNDINGS, ["0", "1"]) == FINE
    text = capsys.readouterr().out
    assert "sh train.sh '$THERMOWELL_TRIAL/trial.json' --student=tiny --layers=4 '{x}' 2\n" in text
    assert f"words: for jobs of ops, in {file.parent}, with 2 of 2 GPUs" in text
    assert "layers: a whole number from 1 to 12; 4 unless given" in text
    assert "code       1 files, fingerprint " in text
    assert "1 command, and nothing is wrong." in text
    assert "WRONG" not in text
    assert "note" not in text
    assert "secret-word" not in text
    assert "somebody" not in text


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("argv: [sh,", "argv: [no-such-program,", "words.argv.0: no program no-such-program is here"),
        ("argv: [sh,", "argv: [./none,", "words.argv.0: no program ./none is here"),
        ("train.sh", "none.sh", "words.argv.1: "),
        ("directory: FOLDER", "directory: FOLDER/none", "words.directory: "),
        ("FOLDER/token", "FOLDER/none", "words.environment.files.TOKEN: cannot read "),
        ("FOLDER/*.sh", "FOLDER/*.py", "words.code.0: no file here fits "),
        ("gpus: 2", "gpus: 4", "words.gpus: a trial takes 4 GPUs, and there are 2 here"),
        ("owners: [ops]", "owners: [ops]\nother: {argv: [], shell: true}", "other.shell: Extra inputs"),
        ("words:", "'two words':", "two words: 'two words' cannot be a command's name"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(
    file: Path, capsys: pytest.CaptureFixture[str], before: str, after: str, words: str
) -> None:
    file.write_text(FINE_FILE.replace(before, after).replace("FOLDER", str(file.parent)))
    assert check(file, SURROUNDINGS, ["0", "1"]) == WRONG
    assert f"WRONG  {words}" in capsys.readouterr().out


def test_what_only_may_be_wrong_is_a_note(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = FINE_FILE.replace("{{x}}", "{learning_rate}").replace("LOGNAME", "HF_HOME")
    file.write_text(text.replace("FOLDER", str(file.parent)))
    assert check(file, SURROUNDINGS, ["0", "1"]) == FINE
    shown = capsys.readouterr().out
    assert "note   words.argv.5: {learning_rate} is no argument" in shown
    assert "note   words.environment.pass: HF_HOME is not set here" in shown
    assert "'{learning_rate}'" in shown


def test_all_that_is_wrong_is_said_at_once(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text("a: {argv: []}\nb: {argv: [x], gpus: -1}\nc: {argv: [sh]}\n")
    assert check(file, SURROUNDINGS, []) == WRONG
    text = capsys.readouterr().out
    assert [place in text for place in ("a.argv:", "b.gpus:", "c: for jobs of everybody")] == [True] * 3


def test_it_is_an_option_of_the_agent(file: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert agent.main(["--check", str(file)]) in (FINE, WRONG)  # by the GPUs of this machine
    assert "words: for jobs of ops" in capsys.readouterr().out
    assert agent.main(["--check", str(tmp_path / "none.yaml")]) == agent.USAGE
    assert "cannot read" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        agent.main(["--check", str(file), "JOB", "--", "true"])
    assert "stands alone" in capsys.readouterr().err
