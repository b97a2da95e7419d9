"""`thermowell-client` in an environment of its own, beside a user's folder `service/`, against a real service."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from importlib import metadata, util
from pathlib import Path

import httpx
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.service.server_fixtures import Jobs

PACKAGE = Path(__file__).parents[2] / "thermowell"
SCRIPT = """
import service, sys, thermowell
assert service.__file__.startswith({here!r}), service.__file__
with thermowell.Client({url!r}) as client:
    job = client.job({job!r})
    result = client.result(job)
    print(job.state, result.metric, "<table" in job._repr_html_(), "<table" in result._repr_html_())
    try:
        client.job("nowhere")
    except thermowell.NotFound as refused:
        print(refused.status, refused.problem["type"])
print(sorted({{"search", "trainers", "torch", "sqlalchemy", "fastapi"}} & set(sys.modules)))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the client's wheel installed, and links to the packages that it depends on, and no others."""
    wheels, target = tmp_path_factory.mktemp("wheels"), tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "--quiet"]
    source = tmp_path_factory.mktemp("source") / "thermowell"  # a build leaves files where it is made
    shutil.copytree(PACKAGE, source, ignore=shutil.ignore_patterns("__pycache__", "build", "*.egg-info"))
    build = ["wheel", "--no-deps", "--no-build-isolation", "-w", str(wheels), str(source)]
    subprocess.run([*pip, *build], check=True)
    [wheel] = wheels.glob("thermowell_client-*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--no-index", "--target", str(target), str(wheel)], check=True)
    for module in _modules(wheel):
        found = util.find_spec(module)
        if found is not None and found.origin not in (None, "built-in", "frozen"):
            path = Path(str(found.origin))
            path = path.parent if path.name == "__init__.py" else path
            (target / path.name).symlink_to(path)
    return target


def test_client_works_beside_a_folder_of_the_users_own(
    installed: Path, reader: httpx.Client, jobs: Jobs, tmp_path: Path
) -> None:
    (tmp_path / "service").mkdir()
    (tmp_path / "service" / "__init__.py").write_text('"""A user\'s own package."""\n')
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(here=str(tmp_path), url=str(reader.base_url), job=jobs.completed.id))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [sys.executable, "-S", str(script)],  # without site-packages: nothing is there but what the wheel asks for
        env=environment | {"PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["completed accuracy True True", "404 /problems/not-found", "[]"]


def _modules(wheel: Path) -> list[str]:
    """The modules of all distributions that a wheel depends on, directly or not, extras left out."""
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        lines = archive.read(name).decode().splitlines()
    waiting = _names(line.removeprefix("Requires-Dist: ") for line in lines if line.startswith("Requires-Dist: "))
    owners: set[str] = set()
    while waiting:
        owner = waiting.pop()
        if owner not in owners:
            owners.add(owner)
            waiting |= _names(metadata.requires(owner) or [])
    modules = metadata.packages_distributions().items()
    return [module for module, distributions in modules if owners & set(map(canonicalize_name, distributions))]


def _names(requirements: Iterable[str]) -> set[str]:
    parsed = map(Requirement, requirements)
    return {
        canonicalize_name(requirement.name)
        for requirement in parsed
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""})
    }
