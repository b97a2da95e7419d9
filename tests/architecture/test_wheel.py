"""A wheel carries every file that the checkout has, and both distributions carry the same package `thermowell`."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ["service", "search", "trainers", "thermowell"]
OF_THE_CLIENT = {"pyproject.toml", "README.md", "LICENSE"}
"""Files of thermowell/ that belong to the distribution `thermowell-client`, not to the package."""
LEFT_OUT = shutil.ignore_patterns("__pycache__", ".*", "*.egg-info", "build")


def build(source: Path, target: Path) -> set[str]:
    """The files that the wheel of a source tree carries, its metadata left out."""
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", target, source],
        check=True,
    )
    [wheel] = target.glob("thermowell*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if name.split("/")[0] in ROOMS}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, folder)
    for room in ROOMS:
        shutil.copytree(ROOT / room, folder / room, ignore=LEFT_OUT)
    return folder


def package_files(source: Path, room: str) -> set[str]:
    paths = {str(path.relative_to(source)) for path in (source / room).rglob("*") if path.is_file()}
    return paths - {f"thermowell/{name}" for name in OF_THE_CLIENT}


def test_wheel_carries_every_file(source: Path, tmp_path: Path) -> None:
    assert build(source, tmp_path) == set().union(*(package_files(source, room) for room in ROOMS))


def test_client_carries_its_package_alone(source: Path, tmp_path: Path) -> None:
    expected = package_files(source, "thermowell")
    assert build(source / "thermowell", tmp_path) == expected


def test_distributions_have_one_version_and_one_license() -> None:
    server, client = (
        tomllib.loads((ROOT / folder / "pyproject.toml").read_text())["project"] for folder in (".", "thermowell")
    )
    assert server["version"] == client["version"]
    assert {"pydantic", "httpx", "tqdm"} <= {name.split(">")[0] for name in server["dependencies"]}
    assert (ROOT / "LICENSE").read_text() == (ROOT / "thermowell" / "LICENSE").read_text()
