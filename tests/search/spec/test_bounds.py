"""More is refused of what comes in than of what is stored: truth values for numbers, and numbers that make no sense."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from search import scales
from search.errors import SpecInvalid
from search.spec.fields import DOOR
from search.spec.job import JobSpec, Range, SpaceSpec
from search.spec.parsing import parse_spec, spec_json_schema
from search.studies import cells
from search.studies.parsing import parse_extension, parse_study
from search.studies.spec import StudyExtension, StudySpec
from tests.migration.test_bounds import changed
from tests.search import specs_strategy as drawn

DOCUMENT: dict[str, Any] = {
    "name": "x",
    "dataset": {"name": "digits"},
    "teacher": {"model": {"name": "mlp"}, "training": {}, "optimizer": {}},
    "student": {"name": "mlp", "initial": {"source": "trained", "training": {}, "optimizer": {}}},
    "space": {"optimizer": {"sgd": {}, "adamw": {}}},
}
WHOLE = JobSpec.model_validate(DOCUMENT).model_dump(mode="json", exclude_none=True)
NOT_GIVEN = {
    "dataset.train_size", "dataset.image_size", "teacher.stop_epoch", "teacher.views", "space.label_weight",
    "budget.epochs", "budget.seconds", "fleet.parallel", "fleet.memory_gb", "space.student_temperature",
}  # fmt: skip


def numbers(part: Any, path: str = "") -> Iterator[str]:
    """The paths of all numbers of a document."""
    if isinstance(part, dict):
        for name, inner in part.items():
            yield from numbers(inner, f"{path}.{name}" if path else name)
    elif isinstance(part, int | float) and not isinstance(part, bool):
        yield path


NUMBERS = sorted({*numbers(WHOLE), *NOT_GIVEN})


@pytest.mark.parametrize("truth", [True, False])
@pytest.mark.parametrize("path", NUMBERS)
def test_true_is_no_number_anywhere(path: str, truth: bool) -> None:
    for media, text in (("json", json.dumps), ("yaml", yaml.safe_dump)):
        with pytest.raises(SpecInvalid) as refused:
            parse_spec(text(changed(WHOLE, path, truth)), media)  # type: ignore[operator, arg-type]
        [problem] = refused.value.problems
        assert (problem.path, problem.message) == (path, f"must be a number, got {str(truth).lower()}")


@pytest.mark.parametrize(
    "value", [[1, True], {"values": [True, 4]}, {"low": True, "high": 4}, {"low": 0.5, "high": True}]
)
def test_true_is_no_number_of_a_list_or_a_range(value: Any) -> None:
    with pytest.raises(SpecInvalid, match=r"space\.temperature.*must be a number"):
        parse_spec(json.dumps(changed(DOCUMENT, "space.temperature", value)), "json")


@pytest.mark.parametrize("path", ["replicates", "design.cells", "design.seed", "budget.trials", "schema_version"])
def test_true_is_no_number_of_a_study(path: str) -> None:
    study = {"name": "s", "base": DOCUMENT, "factors": {"training.epochs": [1, 2]}, "design": {"name": "full"}}
    with pytest.raises(SpecInvalid, match="must be a number, got true"):
        parse_study(json.dumps(changed(study, path, True)), "json")
    with pytest.raises(SpecInvalid, match="must be a number, got true"):
        parse_study(json.dumps(changed(study, "base.budget.trials", True)), "json")
    with pytest.raises(SpecInvalid, match="must be a number, got true"):
        parse_study(json.dumps(changed(study, "factors", {"budget.trials": [4, True]})), "json")
    with pytest.raises(SpecInvalid, match="must be a number, got true"):
        parse_extension(json.dumps({"replicates": True}), "json")


def test_what_python_takes_for_numbers_still_is_one_in_what_is_stored() -> None:
    assert JobSpec.model_validate(changed(DOCUMENT, "budget.trials", True)).budget.trials == 1
    for text in ("12", "1e1", "10.0"):  # words that are numbers are read as such, as ever
        assert parse_spec(json.dumps(changed(DOCUMENT, "space.temperature", text)), "json").space.temperature in (
            12,
            10,
        )


def test_a_stored_study_with_what_is_refused_now_is_extended_by_what_is_not() -> None:
    base = changed(changed(DOCUMENT, "budget.trials", True), "confirmation.confidence", 0.9999999999999999)
    study = StudySpec.model_validate({"name": "s", "base": base, "factors": {"training.epochs": [2]}})
    with pytest.raises(SpecInvalid) as refused:
        cells.expand(study)
    assert {one.path for one in refused.value.problems} == {"base.budget.trials", "base.confirmation.confidence"}
    more = cells.extend(study, [], StudyExtension(factors={"training.epochs": [4]}))
    assert [planned.spec.training.epochs for planned in more.new] == [2, 4]
    with pytest.raises(SpecInvalid, match=r"factors\.confirmation\.delta\.1e-300"):
        cells.extend(study, [], StudyExtension(factors={"confirmation.delta": [1e-300]}))


def test_json_schema_tells_the_bounds() -> None:
    told = spec_json_schema()["$defs"]["ConfirmationSpec"]["properties"]["confidence"]
    assert told["maximum"] == 0.999


POSITIVE = st.floats(5e-324, 1e300)


@given(POSITIVE, POSITIVE, st.floats(0, 1), st.booleans())
def test_a_share_of_a_range_and_its_value_belong_together(one: float, other: float, share: float, log: bool) -> None:
    low, high = min(one, other), max(one, other)
    value = scales.value_at(share, low, high, log)
    assert low <= value <= high
    assert (scales.value_at(0.0, low, high, log), scales.value_at(1.0, low, high, log)) == (low, high)
    found = scales.share_of(value, low, high, log)
    assert -1e-6 <= found <= 1 + 1e-6
    if high > low * (1 + 1e-3) and low > 1e-290:
        assert found == pytest.approx(share, abs=1e-6)
    assert math.isfinite(scales.share_of(1.0, low, high, log))


@given(st.data())
def test_what_the_door_lets_in_is_read_alike_from_the_store(data: st.DataObject) -> None:
    spec = JobSpec.model_validate(data.draw(drawn.documents()), context=DOOR)
    stored = spec.model_dump(mode="json", exclude_none=True)
    assert JobSpec.model_validate(stored) == spec == JobSpec.model_validate(copy.deepcopy(stored), context=DOOR)


def test_a_range_that_ends_in_neighbours_is_a_number() -> None:
    narrow = {"temperature": {"low": 4.0, "high": math.nextafter(4.0, 5.0)}}
    assert isinstance(SpaceSpec.model_validate(narrow).temperature, Range)
    with pytest.raises(SpecInvalid, match="low and high must be farther apart"):
        parse_spec(json.dumps(changed(DOCUMENT, "space", narrow)), "json")
