"""The documentation site: every page of the repository has its place, and a link that leads nowhere ends the build."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from mkdocs.exceptions import PluginError

from docs import site

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("path", ["README.md", "docs/answer.md", "docs/decisions/README.md", "benchmarks/README.md"])
def test_a_file_has_one_place_and_the_place_one_file(path: str) -> None:
    assert site.repository_path(site.site_path(path)) == path


def test_links_of_other_sites_and_of_the_same_page_stay() -> None:
    assert site.target_of("README.md", "https://arxiv.org/abs/2603.02430") is None
    assert site.target_of("README.md", "#two-commands") is None
    assert site.target_of("docs/decisions/README.md", "../../examples/digits.yaml#L3") == "examples/digits.yaml"


def test_a_link_that_leads_nowhere_names_its_page() -> None:
    with pytest.raises(PluginError, match=r"docs/answer\.md links to nowhere\.md"):
        site.target_of("docs/answer.md", "nowhere.md")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("page", "line"),
    [
        ("docs/limits.md", "[a page that is not there](not-there.md)"),
        ("docs/limits.md", "[a heading that is not there](answer.md#not-there)"),
        ("docs/reference/api.md", "::: thermowell.api.not_there"),
        ("docs/page-without-place.md", "# A page that the navigation does not know"),
    ],
)
def test_a_build_ends_at_what_leads_nowhere(tmp_path: Path, page: str, line: str) -> None:
    """The real build of a copy, with one line more."""
    tree = tmp_path / "tree"
    left_out = shutil.ignore_patterns(".*", "__pycache__", "build", "var", "output", "*.parquet")
    shutil.copytree(ROOT, tree, ignore=left_out)
    with (tree / page).open("a") as text:
        text.write(f"\n{line}\n")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert Path(page).name in done.stderr or "not_there" in done.stderr
