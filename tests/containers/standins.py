"""What stands in for the base images of Docker Hub, which a machine without it cannot pull: Debian, bootstrapped here.

`python:3.11-slim-bookworm` becomes Debian 12 with its own Python 3.11, `postgres:16` Debian 12 with its PostgreSQL 15
and an entry point that keeps the real one's word where docker-compose.yml relies on it. Where the real ones are at
hand, they are taken.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.containers.engine import Engine, NoEngine
from tests.containers.packages import configuration, served

ROOT = "thermowell-tests/debian:bookworm-1"  # the number rises with what goes into it
PYTHON = "thermowell-tests/python:3.11-slim-bookworm"
POSTGRES = "thermowell-tests/postgres:15"
REAL = ("python:3.11-slim-bookworm", "postgres:16")
PACKAGES = "python3,python3-venv,ca-certificates"
BOOTSTRAP_SECONDS = 400.0
POSTGRES_SECONDS = 240.0


@dataclass(frozen=True, slots=True)
class Bases:
    """The images to build and run on."""

    python: str
    postgres: str


@contextmanager
def bases(engine: Engine, directory: Path) -> Iterator[Bases]:
    """The two base images; as long as this is open, a build from them reaches pip's packages. NoEngine."""
    if all(map(engine.has_image, REAL)):
        yield Bases(*REAL)
        return
    if not engine.has_image(ROOT):
        _bootstrap(engine, directory / "debian")
    folder = directory / "python"
    folder.mkdir()
    with served(configuration(), folder, engine.address_of_this_machine()):
        (folder / "Dockerfile").write_text(f"FROM {ROOT}\nCOPY pip* /etc/\n")
        engine.docker("build", "--quiet", "--tag", PYTHON, folder)
        engine.docker(
            "build", "--quiet", "--tag", POSTGRES, "--build-arg", f"BASE={ROOT}", Path(__file__).with_name("postgres"),
            timeout=POSTGRES_SECONDS,
        )  # fmt: skip
        yield Bases(PYTHON, POSTGRES)


def _bootstrap(engine: Engine, root: Path) -> None:
    debootstrap = shutil.which("debootstrap", path=f"/usr/sbin:{engine.environment['PATH']}")
    if debootstrap is None:
        raise NoEngine(
            "there is no debootstrap to make base images with (Debian and Ubuntu: apt-get install debootstrap)"
        )
    if os.geteuid() != 0:
        raise NoEngine("no base images are at hand, and only root may make their stand-ins")
    command = [debootstrap, "--variant=minbase", f"--include={PACKAGES}", "bookworm", str(root), *_mirror()]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=BOOTSTRAP_SECONDS, check=False)
        if done.returncode != 0:
            raise NoEngine(f"debootstrap failed: {(done.stdout + done.stderr)[-2000:]}")
        archive = root.with_suffix(".tar")
        subprocess.run(["tar", "-C", root, "--numeric-owner", "-cf", archive, "."], check=True)
        engine.docker("import", "--change", 'CMD ["bash"]', archive, ROOT, timeout=180)
        archive.unlink()
    except subprocess.TimeoutExpired:
        raise NoEngine(f"debootstrap did not end within {BOOTSTRAP_SECONDS:g} s") from None
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _mirror() -> list[str]:
    """Where apt takes Debian 12 from on this machine; debootstrap knows a place by itself where apt names none."""
    apt = shutil.which("apt-get")
    if apt is None:
        return []
    command = [apt, "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Codename: bookworm"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()[:1]
