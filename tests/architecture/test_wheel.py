"""Does an installation from a wheel carry every file that the checkout has?"""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = ["service", "search", "trainers"]


def test_wheel_carries_every_file(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, source)
    for room in ROOMS:
        shutil.copytree(ROOT / room, source / room, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", tmp_path, source],
        check=True,
    )
    [wheel] = tmp_path.glob("thermowell-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        carried = {each for each in archive.namelist() if each.split("/")[0] in ROOMS}
    assert carried == {
        str(path.relative_to(source)) for room in ROOMS for path in (source / room).rglob("*") if path.is_file()
    }
