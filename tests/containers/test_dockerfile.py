"""The contents of the two images, read from the Dockerfile without a daemon that could build it."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Stage:
    parent: str
    instructions: tuple[str, ...]

    def of(self, keyword: str) -> list[str]:
        return [each.split(maxsplit=1)[1] for each in self.instructions if each.split(maxsplit=1)[0] == keyword]


@pytest.fixture(scope="module")
def stages() -> dict[str, Stage]:
    """Stage by name, each instruction on one line and comments gone."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    found: dict[str, Stage] = {}
    for part in re.split(r"^FROM ", text, flags=re.MULTILINE)[1:]:
        head, *instructions = [re.sub(r"\s+", " ", line).strip() for line in part.splitlines() if line.strip()]
        parent, name = head.split(" AS ")
        found[name] = Stage(parent, tuple(instructions))
    return found


def ingredients(stages: dict[str, Stage], name: str) -> str:
    """All instructions of a stage, of those it starts from, and of those it copies from."""
    stage = stages[name]
    others = [stage.parent, *re.findall(r"--from=(\S+)", "\n".join(stage.instructions))]
    return "\n".join([*stage.instructions, *(ingredients(stages, each) for each in others if each in stages)])


def test_both_targets_exist_and_the_api_is_the_default(stages: dict[str, Stage]) -> None:
    assert {"api", "worker"} <= stages.keys()
    assert list(stages)[-1] == "api"


def test_base_can_be_replaced(stages: dict[str, Stage]) -> None:
    assert "ARG BASE=python:3.11-slim-bookworm" in (ROOT / "Dockerfile").read_text()
    assert stages["base"].parent == "${BASE}"


def test_api_has_no_torch(stages: dict[str, Stage]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    heavy = [re.split(r"[<>=\[]", each)[0] for each in project["optional-dependencies"]["worker"]]
    assert "torch" in heavy
    installed = [re.split(r"[<>=\[]", each)[0] for each in project["dependencies"]]
    assert not set(heavy) & set(installed)
    api = ingredients(stages, "api")
    assert "-r /opt/analysis.txt" in api
    assert "-r /opt/worker.txt" not in api
    assert "torch" not in "\n".join(stages["api"].instructions).lower()


def test_worker_has_torch_and_a_compiler(stages: dict[str, Stage]) -> None:
    worker = ingredients(stages, "worker")
    assert "-r /opt/worker.txt" in worker
    assert "'worker': extras['worker'] + extras['proxy']" in worker  # its sampler may go through Optuna's proxy
    assert "g++" in worker
    assert "python3-dev" in worker  # a compiled program includes Python.h
    (cache,) = [each for each in stages["worker"].of("ENV") if "TORCHINDUCTOR_CACHE_DIR" in each]
    assert f"install -d -o thermowell -g thermowell {cache.partition('=')[2]}" in worker
    assert '--extra-index-url "$TORCH_INDEX_URL"' in worker


@pytest.mark.parametrize("target", ["api", "worker"])
def test_runs_as_nobody_in_particular(stages: dict[str, Stage], target: str) -> None:
    assert stages[target].of("USER") == ["10001:10001"]
    after = stages[target].instructions.index("USER 10001:10001")
    assert not [each for each in stages[target].instructions[after:] if each.startswith(("RUN", "COPY"))]


def test_api_is_healthy_when_it_is_ready(stages: dict[str, Stage]) -> None:
    [check] = stages["api"].of("HEALTHCHECK")
    assert "/readyz" in check
    assert not stages["worker"].of("HEALTHCHECK")


def test_every_package_is_copied_and_not_ignored(stages: dict[str, Stage]) -> None:
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"]["include"]
    packages = {each.rstrip("*") for each in patterns}
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert packages <= {each.split()[0] for each in stages["wheel"].of("COPY")}
    assert all(f"!{each}" in ignored for each in packages)
    for target in ("api", "worker"):
        assert "--from=wheel /wheel /opt/wheel" in stages[target].of("COPY")


@pytest.mark.parametrize("target", ["api", "worker"])
def test_a_change_of_the_sources_leaves_the_dependencies_layer(stages: dict[str, Stage], target: str) -> None:
    assert [each.split()[0] for each in stages["lists"].of("COPY")] == ["pyproject.toml"]
    steps = list(stages[target].instructions)
    [dependencies] = [number for number, each in enumerate(steps) if "pip install" in each and ".txt" in each]
    copied = [each for each in steps[:dependencies] if each.startswith("COPY")]
    assert [each.split()[1] for each in copied] == ["--from=lists"]
