"""The audit of dependencies: it fails on a known vulnerability, and says where it could not look."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

AUDIT = Path(__file__).parents[2] / ".ci" / "audit"
CLEAN = [{"name": name, "version": "1", "vulns": []} for name in ("a", "b", "c")]
SKIPPED = {"name": "ours", "skip_reason": "not found"}
BAD = {"name": "d", "version": "2", "vulns": [{"id": "CVE-1", "fix_versions": ["3"]}]}


def audit(tmp_path: Path, dependencies: list[dict[str, Any]] | None) -> subprocess.CompletedProcess[str]:
    """Runs it with a pip-audit that reports these packages, or cannot reach its database."""
    (tmp_path / "python").symlink_to(sys.executable)
    report = tmp_path / "report.json"
    if dependencies is not None:
        report.write_text(json.dumps({"dependencies": dependencies}))
    tool = tmp_path / "pip-audit"
    tool.write_text(
        '#!/bin/sh\nwhile [ "$1" != --output ]; do shift; done\n'
        f'cp {report} "$2" 2>/dev/null || echo "no route to the database" >&2\nexit 1\n'
    )
    tool.chmod(0o755)
    return subprocess.run([AUDIT, tmp_path], capture_output=True, text=True, check=False)


def test_a_known_vulnerability_fails_and_says_what_to_take(tmp_path: Path) -> None:
    done = audit(tmp_path, [*CLEAN, BAD])
    assert done.returncode == 1
    assert "VULNERABLE: d 2: CVE-1 (fixed in: 3)" in done.stdout


def test_a_clean_environment_passes_though_some_packages_are_nobody_s(tmp_path: Path) -> None:
    done = audit(tmp_path, [*CLEAN, SKIPPED])
    assert (done.returncode, done.stderr) == (0, "")
    assert "knows 3 of 4 packages" in done.stdout


@pytest.mark.parametrize("dependencies", [None, [SKIPPED, SKIPPED], []])
def test_what_could_not_be_looked_up_is_said_loudly(tmp_path: Path, dependencies: list[dict[str, Any]] | None) -> None:
    done = audit(tmp_path, dependencies)
    assert done.returncode == 0
    assert "WARNING: THE DEPENDENCIES WERE NOT AUDITED" in done.stderr
