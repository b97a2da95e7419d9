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


@pytest.mark.parametrize("name", ["trial", "errors.py"])
def test_a_training_script_needs_nothing_that_the_oldest_python_lacks(name: str) -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("vermin")), "-t=3.9-", "--no-tips", "--violations", str(PACKAGE / name)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_a_training_script_needs_no_package(tmp_path: Path) -> None:
    script = (
        f"import sys; sys.path.insert(0, {str(PACKAGE.parent)!r})\n"
        "import thermowell\n"
        "for trial in thermowell.trials(epochs=1):\n"
        "    with trial:\n"
        "        trial.report(1, accuracy=trial.configuration.kd_weight)\n"
        "        trial.complete()\n"
        "names = {name.split('.')[0] for name in sys.modules} - {'thermowell', '__main__'}\n"
        "print(sorted(names - sys.stdlib_module_names))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, check=False, cwd=tmp_path, env={}
    )
    assert done.stdout.splitlines()[1:] == ["complete at epoch 1: accuracy 0.55", "[]"], done.stderr
    assert "no service is named" in done.stderr


def test_unknown_name_is_an_attribute_error() -> None:
    import thermowell

    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        thermowell.Nothing  # noqa: B018
