"""`import thermowell` needs the standard library alone, in the syntax of the oldest Python that it is offered for."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "thermowell"
OLDEST = (3, 9)
SOURCES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_syntax_is_that_of_the_oldest_python(path: Path) -> None:
    ast.parse(path.read_text(), feature_version=OLDEST)


def test_import_loads_the_standard_library_alone(tmp_path: Path) -> None:
    script = (
        "import sys; before = set(sys.modules); import thermowell\n"
        "names = {name.split('.')[0] for name in set(sys.modules) - before} - {'thermowell'}\n"
        "print(sorted(names - sys.stdlib_module_names))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(PACKAGE.parent)!r})\n{script}"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_unknown_name_is_an_attribute_error() -> None:
    import thermowell

    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        thermowell.Nothing  # noqa: B018
