"""Every ready study expands into jobs, of which those that should share a teacher do."""

from __future__ import annotations

from pathlib import Path

import pytest

from search.studies import cells
from search.studies.parsing import parse_study

EXAMPLES = sorted((Path(__file__).parents[3] / "examples" / "studies").glob("*.yaml"))
ACCELERATED = ("granularity", "method", "optimizer-by-length", "student-init", "teacher-origin")
READY = (*ACCELERATED, "augmentation", "batch-size", "classes", "teacher-size")
QUESTIONS = Path(__file__).parents[3] / "docs" / "study-questions.md"
# by study: crossings, and teachers in one repeat
SIZES = {
    "adaptive": (4, 1),
    "optimizer-by-length": (6, 1),
    "teacher-origin": (12, 6),
    "student-init": (8, 1),
    "granularity": (8, 4),
    "cifar100-granularity": (6, 3),
    "method": (12, 1),
    "cifar100-method": (16, 1),
    "augmentation": (16, 8),
    "batch-size": (12, 2),
    "classes": (16, 8),
    "teacher-size": (12, 6),
}


def test_there_is_one_of_each_at_both_scales_and_one_that_hands_out() -> None:
    assert {path.stem for path in EXAMPLES} == {*READY, "adaptive", *(f"cifar100-{name}" for name in ACCELERATED)}


def test_the_study_that_hands_out_begins_with_a_round() -> None:
    study = parse_study((EXAMPLES[0].parent / "adaptive.yaml").read_bytes(), "yaml")
    assert {(one.spec.budget.trials, one.share) for one in cells.expand(study).new} == {(20, 60)}


@pytest.mark.parametrize("name", READY)
def test_a_ready_study_compares_on_a_grid_and_its_questions_are_written_down(name: str) -> None:
    study = parse_study((EXAMPLES[0].parent / f"{name}.yaml").read_bytes(), "yaml")
    assert study.trials.name == "grid"
    assert f"\n| {name} | " in QUESTIONS.read_text()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_a_ready_study_expands(path: Path) -> None:
    study = parse_study(path.read_bytes(), "yaml")
    assert study.name == path.stem
    planned = cells.expand(study).new
    crossings, teachers = SIZES.get(path.stem) or SIZES[path.stem.removeprefix("cifar100-")]
    assert len(planned) == crossings * study.replicates
    first = [one.spec.problem(one.spec.views(), "fp32") for one in planned if one.cell.replicate == 0]
    assert len({problem.teacher_fingerprint() for problem in first}) == teachers
    data = {"CIFAR100"} if "cifar100" in path.stem else {"digits"}
    if "data" in study.factors:
        data.add("FashionMNIST")
    assert {one.spec.dataset.name for one in planned} == data
