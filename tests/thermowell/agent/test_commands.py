"""An operator's file: what it may say, what a job may ask of it, and that no job's words become more than one word."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thermowell.agent.commands import Command, OwnCommand, filled, load
from thermowell.agent.processes import Gpus
from thermowell.errors import AgentError

FILE = """
bert-kd:
  argv: [torchrun, --standalone, "--nproc-per-node={gpus}", /srv/kd/train.py, "{config}", "--student={student}"]
  directory: /srv/kd
  environment: {pass: [HF_HOME], set: {OMP_NUM_THREADS: "1"}, files: {HF_TOKEN: TOKEN_FILE}}
  arguments:
    student: {choices: [tiny, mini]}
    layers: {type: int, low: 1, high: 12, default: 4}
    dropout: {type: float, low: 0, high: 1, default: 0.1}
    mixed: {type: bool, default: false}
    note: {type: text, pattern: "[a-z ]*", default: ""}
  gpus: 1
  grace_seconds: 30
  code: ["CODE/**/*.py"]
"""


def written(tmp_path: Path, text: str, name: str = "commands.yaml") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def bert(tmp_path: Path) -> Command:
    (tmp_path / "token").write_text("secret\n")
    text = FILE.replace("TOKEN_FILE", str(tmp_path / "token")).replace("CODE", str(tmp_path / "code"))
    return load(written(tmp_path, text))["bert-kd"]


def test_a_whole_file_is_read_as_yaml_and_as_json(tmp_path: Path) -> None:
    command = bert(tmp_path)
    document = {"bert-kd": command.model_dump(mode="json", by_alias=True, exclude_unset=True)}
    assert load(written(tmp_path, json.dumps(document), "commands.json")) == {"bert-kd": command}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "must name commands"),
        ("a: [", "is no YAML"),
        ("'a b': {argv: [x]}", "cannot be a command's name"),
        ("a: {}", "a.argv: Field required"),
        ("a: {argv: []}", "a.argv"),
        ("a: {argv: 'python train.py'}", "a.argv"),
        ("a: {argv: [x], shell: true}", "a.shell"),
        ("a: {argv: [x], gpus: 1.5}", "a part of one GPU, or whole ones"),
        ("a: {argv: [x], environment: {pass: [THERMOWELL_KEY]}}", "commands get none"),
        ("a: {argv: [x], environment: {files: {THERMOWELL_KEY: /k}}}", "commands get none"),
        ("a: {argv: [x], arguments: {b: {}}}", "give choices, or type"),
        ("a: {argv: [x], arguments: {b: {type: text}}}", "needs a pattern"),
        ("a: {argv: [x], arguments: {b: {type: int, high: 3, default: 4}}}", "the default must be at most 3"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(AgentError, match=words):
        load(written(tmp_path, text))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(AgentError, match="cannot read"):
        load(tmp_path / "none.yaml")


def test_arguments_have_their_defaults(tmp_path: Path) -> None:
    settled = bert(tmp_path).settled({"student": "mini", "dropout": 1})
    assert settled == {"student": "mini", "layers": 4, "dropout": 1, "mixed": False, "note": ""}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "needs the argument student"),
        ({"student": "huge"}, "one of tiny, mini"),
        ({"student": "tiny", "layers": 13}, "at most 12"),
        ({"student": "tiny", "layers": 1.5}, "a whole number"),
        ({"student": "tiny", "layers": True}, "a whole number"),
        ({"student": "tiny", "dropout": -0.1}, "at least 0"),
        ({"student": "tiny", "mixed": 1}, "true or false"),
        ({"student": "tiny", "note": "a;b"}, "a text like"),
        ({"student": "tiny", "note": "a\nb"}, "a text like"),
        ({"student": "tiny", "shell": "true"}, "no argument shell"),
    ],
)
def test_arguments_that_the_operator_does_not_allow_are_refused(
    tmp_path: Path, arguments: dict[str, Any], words: str
) -> None:
    with pytest.raises(AgentError, match=words):
        bert(tmp_path).settled(arguments)


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_a_value_stays_within_its_element(value: str) -> None:
    """Spaces, quotes, braces, `;`, `$(...)`, newlines: nothing splits and nothing is replaced twice."""
    assert filled(["run", "--name={name}", "{config}"], {"name": value, "config": "/c"}) == [
        "run", f"--name={value}", "/c",
    ]  # fmt: skip


@pytest.mark.parametrize("value", ["--output=/etc/passwd", "-c", "-"])
def test_a_value_never_becomes_an_option(value: str) -> None:
    with pytest.raises(AgentError, match="write '--name="):
        filled(["run", "{name}"], {"name": value})
    assert filled(["run", "--name={name}"], {"name": value}) == ["run", f"--name={value}"]


def test_numbers_and_switches_are_written_as_json_writes_them() -> None:
    values = {"low": -0.5, "count": 3, "on": True, "rate": 1e-5}
    assert filled(["{low}", "{count}", "{on}", "{rate}", "{{low}}"], values) == ["-0.5", "3", "true", "1e-05", "{low}"]


def test_a_placeholder_that_nobody_fills_is_named() -> None:
    with pytest.raises(AgentError, match=r"asks for \{lr\}, but there is learning_rate"):
        filled(["--lr={lr}"], {"learning_rate": 0.1})


def test_a_null_character_reaches_no_command() -> None:
    with pytest.raises(AgentError, match="null character"):
        filled(["--name={name}"], {"name": "a\0b"})


def test_a_command_gets_the_variables_that_are_listed_and_no_others(tmp_path: Path) -> None:
    surroundings = {"PATH": "/bin", "HF_HOME": "/hf", "AWS_SECRET_ACCESS_KEY": "s", "THERMOWELL_KEY": "k"}
    assert bert(tmp_path).variables(surroundings) == {
        "PATH": "/bin", "HF_HOME": "/hf", "OMP_NUM_THREADS": "1", "HF_TOKEN": "secret",
    }  # fmt: skip
    own = OwnCommand(argv=["x"]).variables(surroundings)
    assert own == {"PATH": "/bin", "HF_HOME": "/hf", "AWS_SECRET_ACCESS_KEY": "s"}


def test_a_secret_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    command = bert(tmp_path)
    (tmp_path / "token").unlink()
    with pytest.raises(AgentError, match="cannot read HF_TOKEN"):
        command.variables({})


def test_the_fingerprint_is_the_codes(tmp_path: Path) -> None:
    command, code = bert(tmp_path), tmp_path / "code" / "deep"
    code.mkdir(parents=True)
    digests = [command.fingerprint()]
    for name, text in (("a.py", "1"), ("a.py", "2"), ("b.txt", "3"), ("b.py", "")):
        (code / name).write_text(text)
        digests.append(command.fingerprint())
    assert digests[2] == digests[3]  # no code
    assert len(set(digests)) == 4
    assert Command(argv=["x"]).fingerprint() is None


def test_gpus_are_dealt_out_by_their_inherited_ids() -> None:
    gpus = Gpus(["3", "GPU-7a"])
    assert (gpus.count(0.5), gpus.count(1), gpus.count(2)) == (4, 2, 1)
    first, second, third = gpus.take(0.5), gpus.take(1), gpus.take(0.5)
    assert (first, second, third) == (["3"], ["GPU-7a"], ["3"])
    assert gpus.take(0.5) is None
    assert gpus.take(0) == []
    gpus.give_back(["3"], 0.5)
    assert (gpus.count(0.5), gpus.take(1)) == (1, None)
    gpus.give_back(["GPU-7a"], 1)
    gpus.give_back(["3"], 0.5)
    assert gpus.take(2) == ["3", "GPU-7a"]
