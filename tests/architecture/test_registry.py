"""One choice lives in one place: few files name an optimizer or a loss, and torch and the docs follow the records.

Where the tables of the docs differ, write them anew: `DOCS=write pytest tests/architecture/test_registry.py`.
"""

from __future__ import annotations

import ast
import functools
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from trainers.engines import bank_kernels
from trainers.registry.losses import LOSSES, LossRecord
from trainers.registry.optimizers import COMMON, OPTIMIZERS, SETTINGS, Interval, OptimizerRecord, Setting
from trainers.spec import Distillation, Optimizer
from trainers.training import methods, optim

ROOT = Path(__file__).parents[2]
GENERATED = [ROOT / "thermowell" / name for name in ("spec.py", "space.py", "teaching.py")]
"""Of the records themselves, by tests/architecture/test_spec_builders.py."""
PRODUCT = sorted(
    path
    for part in ("service", "search", "trainers", "thermowell")
    for path in (ROOT / part).rglob("*.*")
    if path not in GENERATED
)
MOST_FILES_OF_AN_OPTIMIZER, MOST_FILES_OF_A_LOSS = 4, 2


def strings(path: Path) -> Iterator[str]:
    """What a file says in strings that are no docstrings; all of it, where it is no Python."""
    if path.suffix != ".py":
        yield path.read_text("utf-8", errors="replace")
        return
    tree = ast.parse(path.read_text("utf-8"))
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            yield node.value


@functools.cache
def words() -> dict[str, set[str]]:
    """Each word that the product's files say literally, by file."""
    files = [path for path in PRODUCT if path.is_file() and "__pycache__" not in path.parts]
    return {
        str(path.relative_to(ROOT)): {word for text in strings(path) for word in re.findall(r"[\w-]+", text)}
        for path in files
    }


def naming(name: str) -> list[str]:
    """The product's files that name something literally."""
    return [file for file, said in words().items() if name in said]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_few_files_name_an_optimizer(name: str) -> None:
    """The record, the loop, the bank's kernel; and the literature's table, which is data."""
    assert {"trainers/registry/optimizers.py", "trainers/training/optim.py", "trainers/engines/bank_kernels.py"} <= {
        *naming(name)
    }
    assert len(naming(name)) <= MOST_FILES_OF_AN_OPTIMIZER, naming(name)


@pytest.mark.parametrize("name", LOSSES)
def test_two_files_name_a_loss(name: str) -> None:
    """The record, and the term in torch."""
    assert len(naming(name)) <= MOST_FILES_OF_A_LOSS, naming(name)
    assert {"trainers/registry/losses.py", "trainers/training/methods.py"} == {*naming(name)}


def test_every_record_has_its_code_and_no_code_is_without_a_record() -> None:
    assert list(optim.BINDINGS) == list(bank_kernels.BINDINGS) == list(OPTIMIZERS)
    assert list(methods.TERMS) == list(LOSSES)


def test_records_keep_to_the_fields_that_there_are() -> None:
    assert (*SETTINGS,) == tuple(Optimizer.__dataclass_fields__)[1:]
    for record in OPTIMIZERS.values():
        assert {setting.name for setting in record.settings} <= set(SETTINGS)
        assert set(record.setting_names()) >= set(COMMON)
        alike = [other for other in OPTIMIZERS.values() if other.group == record.group]
        assert all(other.settings == record.settings for other in alike), "a group has the same settings"
        assert all(setting.needs in (None, *record.setting_names()) for setting in record.settings)
    colours = [record.colour for record in OPTIMIZERS.values()]
    assert len(set(colours)) == len(colours)
    for loss in LOSSES.values():
        assert set(loss.weights) <= set(Distillation.__dataclass_fields__)


def cited(citation: str) -> str:
    return re.sub(r"arXiv:(\d+\.\d+)", r"[\1](https://arxiv.org/abs/\1)", citation)


def default(setting: Setting) -> str:
    value = setting.default
    if isinstance(value, Interval):
        return f"`{setting.name}` {value.low:g} to {value.high:g}"
    return f"`{setting.name}` {str(value).lower()}"


def optimizer_row(record: OptimizerRecord) -> str:
    settings = ", ".join(default(setting) for setting in record.settings)
    return f"| `{record.name}` | {record.label} | {settings} | {cited(record.citation)} |"


def loss_row(record: LossRecord) -> str:
    weights = ", ".join(f"`{name}` {weight.default:g}" for name, weight in record.weights.items())
    return f"| `{record.name}` | {record.formula} | {weights or record.remark} | {cited(record.citation)} |"


@pytest.mark.parametrize(
    ("begin", "rows"),
    [
        ("| `method` | term | settings | paper |", [loss_row(record) for record in LOSSES.values()]),
        ("| `optimizer` | name | settings unless given | paper |", [optimizer_row(one) for one in OPTIMIZERS.values()]),
    ],
    ids=["losses", "optimizers"],
)
def test_tables_of_the_docs_are_those_of_the_records(begin: str, rows: list[str]) -> None:
    file = ROOT / "docs" / "methods.md"
    text = file.read_text("utf-8")
    start = text.index(begin)
    end = text.index("\n\n", start)
    table = "\n".join([begin, "|" + "---|" * (begin.count("|") - 1), *rows])
    if os.environ.get("DOCS") == "write":
        file.write_text(text[:start] + table + text[end:], "utf-8")
    assert text[start:end] == table
