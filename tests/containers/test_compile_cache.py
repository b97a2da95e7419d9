"""A worker compiles with nothing writable but its temporary folder and the cache's volume, and only once."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import json, os, torch
from torch._dynamo.utils import counters
torch.set_num_threads(1)
compiled = torch.compile(lambda x: (x * 2 + 1).sin().sum(), fullgraph=True, dynamic=False)
value = float(compiled(torch.ones(64)))
print(json.dumps({"value": value, "hits": counters["inductor"]["fxgraph_cache_hit"]}))
"""


def compile_once(cache: Path, temporary: Path) -> dict[str, float]:
    environment = {
        **os.environ, "HOME": "/proc/nowhere", "TMPDIR": str(temporary), "TORCHINDUCTOR_CACHE_DIR": str(cache),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, cwd="/", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    said: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return said


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
def test_the_cache_s_folder_is_all_that_is_kept_and_a_second_process_compiles_nothing(tmp_path: Path) -> None:
    cache, temporary = tmp_path / "compiled", tmp_path / "tmp"
    temporary.mkdir()
    first = compile_once(cache, temporary)
    programs = {path: path.stat().st_mtime_ns for path in cache.rglob("*.so")}
    assert programs
    assert not list(temporary.rglob("*.so"))  # a temporary folder that is mounted noexec would do
    shutil.rmtree(temporary)
    temporary.mkdir()
    second = compile_once(cache, temporary)
    assert second["value"] == first["value"]
    assert (first["hits"], second["hits"]) == (0, 1)
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("*.so")} == programs
