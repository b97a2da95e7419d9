"""A spec's text becomes a job spec, or a refusal that names each field, what is allowed, and the line."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from search.errors import FieldProblem, SpecInvalid
from search.spec.job import JobSpec
from search.spec.parsing import default_spec_yaml, markup, parse_spec, spec_json_schema, validation_errors
from search.spec.training import DatasetSpec

EXAMPLES = sorted((Path(__file__).parents[3] / "examples").glob("*.yaml"))
DIGEST = "0" * 64
TEACHER: dict[str, Any] = {"model": {"name": "cnn"}, "training": {}, "optimizer": {}}
SMALLEST: dict[str, Any] = {
    "name": "x",
    "dataset": {"name": "digits"},
    "teacher": TEACHER,
    "student": {"name": "mlp"},
}


def refused(text: str | bytes, media: Any = "yaml") -> tuple[FieldProblem, ...]:
    with pytest.raises(SpecInvalid) as caught:
        parse_spec(text, media)
    return caught.value.problems


def test_the_default_says_nothing_but_defaults() -> None:
    spec = parse_spec(default_spec_yaml(), "yaml")
    needed = {"name", "dataset", "teacher", "student"}
    bare = JobSpec.model_validate({name: spec.model_dump()[name] for name in needed})
    assert spec == bare
    assert spec.dataset == type(spec.dataset)()
    assert spec.space == type(spec.space)()


def test_the_default_shows_every_field() -> None:
    data = yaml.safe_load(default_spec_yaml())
    commented = {line.split("#")[1].split(":")[0].strip() for line in default_spec_yaml().splitlines() if "# " in line}
    absent = set()
    for path in (
        (),
        ("dataset",),
        ("teacher",),
        ("student",),
        ("training",),
        ("space",),
        ("budget",),
        ("pruner",),
        ("confirmation",),
    ):
        part = data
        for step in path:
            part = part[step]
        absent |= set(validation_errors.allowed_fields(path)) - set(part)
    assert absent <= commented


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_are_specs(path: Path) -> None:
    assert parse_spec(path.read_bytes(), "yaml").name


def test_there_are_examples() -> None:
    assert {"digits", "fashion-mnist", "cifar100"} <= {path.stem for path in EXAMPLES}


def test_json_and_yaml_say_the_same() -> None:
    text = json.dumps(SMALLEST)
    assert parse_spec(text, "json") == parse_spec(text, "yaml") == parse_spec(text.encode(), "json")


def test_yaml_numbers_are_numbers() -> None:
    text = json.dumps(SMALLEST)[:-1] + ", space: {temperature: {low: 1e-1, high: 1e+2}, optimizer: {sgd: , adamw: {}}}}"
    space = parse_spec(text, "yaml").space
    assert space.temperature == parse_spec(json.dumps(SMALLEST | {"space": {"temperature": {"low": 0.1, "high": 100}}}),
                                           "json").space.temperature  # fmt: skip
    assert set(space.optimizers()) == {"sgd", "adamw"}


@pytest.mark.parametrize(
    ("change", "path", "words"),
    [
        ({"nam": "y"}, "nam", "did you mean name?"),
        ({"space": {"optimiser": {}}}, "space.optimiser", "did you mean optimizer? allowed: temperature, kd_weight"),
        ({"space": {"temperature": "warm"}}, "space.temperature", "a number, a list of numbers, or a range"),
        ({"space": {"temperature": [1, 2, 2]}}, "space.temperature.values", "must rise"),
        ({"space": {"temperature": {"low": 3}}}, "space.temperature.high", "is missing"),
        ({"space": {"temperature": {"low": 3, "high": 1}}}, "space.temperature.low", "low must be below high"),
        ({"space": {"temperature": {"low": 0, "high": 1}}}, "space.temperature", "logarithmic range must be positive"),
        ({"space": {"temperature": {"low": 1, "high": 2, "steps": 3}}}, "space.temperature.steps", "low, high, log"),
        ({"space": {"temperature": -1}}, "space.temperature", "in (0, 10000]"),
        ({"space": {"kd_weight": {"low": 1, "high": 2}}}, "space.kd_weight", "needs a label_weight"),
        ({"space": {"optimizer": {}}}, "space.optimizer", "at least one of sgd, adam, adamw"),
        ({"space": {"optimizer": {"sgd": {"momentum": 2}}}}, "space.optimizer.sgd.momentum", "[0, 0.9999]"),
        ({"space": {"optimizer": {"rprop": {}}}}, "space.optimizer.rprop", "allowed: sgd, adam, adamw"),
        ({"student": {"name": "mlpp"}}, "student.name", "did you mean mlp?"),
        ({"student": {"name": "mlp", "arguments": {"widht": 3}}}, "student.arguments.widht", "did you mean width?"),
        ({"student": {"name": "mlp", "arguments": {"width": 0}}}, "student.arguments.width", "between 1 and 8192"),
        ({"student": {"name": "mlp", "arguments": {"width": [0]}}}, "student.arguments.width", "a number, a word"),
        ({"student": {"name": "mlp", "arguments": {"width": None}}}, "student.arguments.width", "a number, a word"),
        ({"dataset": {"name": "mnist"}}, "dataset.name", "did you mean MNIST"),
        ({"dataset": {"name": "npz"}}, "dataset.path", "path is needed"),
        ({"dataset": {"name": "npz", "path": "../x"}}, "dataset.path", "must match"),
        ({"dataset": {"name": "digits", "classes": "coarse"}}, "dataset.classes", "give {map: [...]}, one entry"),
        ({"dataset": {"name": "digits", "classes": "rough"}}, "dataset.classes", "fine, coarse, {map: [0, 0, 1, ...]}"),
        ({"dataset": {"name": "digits", "classes": {"map": [0, 1]}}}, "dataset.classes.map", "must have 10 entries"),
        ({"dataset": {"name": "digits", "classes": {"map": [0, 2]}}}, "dataset.classes.map", "without a gap"),
        ({"dataset": {"name": "digits", "classes": {"map": [0, 1, "x"]}}}, "dataset.classes.map.2", "a whole number"),
        ({"dataset": {"name": "digits", "classes": {"clusters": 10}}}, "dataset.classes.clusters", "must be below 10"),
        ({"dataset": {"name": "digits", "classes": {"clusters": 3}},
          "teacher": {"source": "logits", "artifact": DIGEST}},
         "dataset.classes", "a teacher that the job trains"),
        ({"teacher": TEACHER | {"stop_epoch": 21}}, "teacher.stop_epoch", "raise these"),
        ({"teacher": {"source": "logits", "artifact": DIGEST, "stop_epoch": 2}}, "teacher.stop_epoch", "source: train"),
        ({"teacher": TEACHER | {"origin": {"pretrained_on": {"dataset": {"name": "digits"}}}}},
         "teacher.origin.pretrained_on.dataset", "another one than the job's"),
        ({"student": {"name": "mlp", "initial": {"source": "trained"}}}, "student.initial.training", "is needed where"),
        ({"student": {"name": "mlp", "initial": {"pretrained_on": {"dataset": {"name": "MNIST"}}}}},
         "student.initial.pretrained_on", "not allowed where source is random"),
        ({"student": {"name": "mlp", "initial": {"seed": 1}}}, "student.initial.seed", "each trial's own"),
        ({"objective": {"metric": "Accuraci"}}, "objective.metric", "did you mean accuracy?"),
        ({"sampler": "tpe"}, "sampler", "must be a group of fields"),
        ({"budget": {"trials": 0}}, "budget.trials", "greater than or equal to 1"),
        ({"budget": {"epochs": 1}}, "budget.epochs", "at least one trial"),
        ({"schema_version": 2}, "schema_version", "must be 1"),
        ({"labels": {"a b!": "x"}}, "labels.a b!", "got 'a b!'"),
        ({"training": {"schedule": {"name": "step", "step_epochs": ["a"]}}}, "training.schedule.step_epochs.0", "who"),
        ({"training": {"schedule": {"warmup_epochs": 20}}}, "training.schedule.warmup_epochs", "below epochs"),
        ({"teacher": {"source": "weights"}}, "teacher.model", "model is needed where source is weights"),
        ({"pruner": {"name": "median", "min_epochs": 50}}, "pruner.min_epochs", "below training.epochs"),
        ({"name": None}, "name", "must be a word"),
        ({"seed": 1.5}, "seed", "a whole number"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("media", ["json", "yaml"])
def test_a_refusal_names_the_field(change: dict[str, Any], path: str, words: str, media: Any) -> None:
    [problem] = refused(json.dumps(copy.deepcopy(SMALLEST) | change), media)
    assert problem.path == path
    assert words in problem.message


def test_every_problem_is_named_with_its_line_in_their_order() -> None:
    text = "name: 12\nspace:\n  temperature: {low: 1,\n    high: x}\n  optimiser: {}\n"
    found = [(problem.path, problem.line) for problem in refused(text)]
    missing = [(path, 1) for path in ("name", "dataset", "teacher", "student")]
    assert found == [*missing, ("space.temperature.high", 4), ("space.optimiser", 5)]


@pytest.mark.parametrize(
    ("text", "path", "words", "line"),
    [
        ("a: 1\na: 2\n", "a", "stands twice, first on line 1", 2),
        ("a:\n  b: 1\n  b: 2\n", "a.b", "stands twice, first on line 2", 3),
        ("a: &x [1]\nb: *x\n", "", "aliases", 2),
        ("a: 1\nb: [", "", "not YAML", 2),
        ("a: !!python/object/apply:os.system [true]", "", "tag", 1),
        ("1: 2", "", "keys must be words", 1),
        ("? [1]\n: 2", "", "keys must be words", 1),
        ("- 1", "", "group of fields", 1),
        ("", "", "group of fields", 1),
        ("a: 1\n---\nb: 2", "", "another document", 2),
        ("a: " + "[" * 40 + "]" * 40, "", "nested deeper", 1),
        ("a: " + "9" * 5000, "", "not YAML", None),
        ("a: \x01", "", "not YAML", None),
        ("a: !!set {b}", "", "tag", 1),
        ("a: !!int 1:30", "", "no int", 1),
        ("a: !!binary aGVsbG8=", "", "tag", 1),
        ("x: [\n" + "a," * 20_000 + "]", "", "more than 20,000 keys and values", 2),
        ("%TAG !a! b\n" * 10 + "---\na: 1", "", "directives", None),
    ],
)
def test_yaml_that_is_refused(text: str, path: str, words: str, line: int | None) -> None:
    [problem] = refused(text)
    assert (problem.path, problem.line) == (path, line)
    assert words in problem.message


def test_documents_without_end_are_refused_before_they_cost_anything() -> None:
    """Neither notation takes more parts than a spec may have, and not every problem of thousands is explained."""
    for text in ("[" + "[]," * 30_000 + "1]", json.dumps({f"k{i}": [i] for i in range(10_001)})):
        for media in ("json", "yaml"):
            [problem] = refused(text, media)
            assert "more than 20,000 keys and values" in problem.message
    for media in ("json", "yaml"):
        problems = refused(json.dumps({f"k{i}": 1 for i in range(9_000)}), media)
        assert len(problems) == validation_errors.MOST_PROBLEMS + 1
        assert "the first 100 problems" in problems[-1].message


def test_yaml_is_parsed_by_libyaml_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not yaml.__with_libyaml__ or issubclass(markup._Events, yaml.CSafeLoader)
    texts: list[str] = []
    parse = yaml.parse
    monkeypatch.setattr(yaml, "parse", lambda text, loader: texts.append(text) or parse(text, loader))
    parse_spec(default_spec_yaml(), "yaml")
    assert len(texts) == 1


def test_a_yaml_without_libyaml_reads_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "a: &x !!str 1\nb:\n- {c: 'd', e: !!float 1}\n- [~, true, -2, 1e-3, 2026-01-01, no, !!seq []]\n"
    marked = markup.read_yaml(text)
    assert marked.data == {"a": "1", "b": [{"c": "d", "e": 1.0}, [None, True, -2, 0.001, "2026-01-01", "no", []]]}
    assert {path: marked.lines[path] for path in ((), ("a",), ("b",), ("b", 0, "e"), ("b", 1, 2))} == {
        (): 1, ("a",): 1, ("b",): 2, ("b", 0, "e"): 3, ("b", 1, 2): 4,
    }  # fmt: skip
    monkeypatch.setattr(markup, "_Events", yaml.SafeLoader)
    assert markup.read_yaml(text) == marked


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": 1, "a": 2}', "stands twice"),
        ('{"a": NaN}', "NaN"),
        ('{"a": 1', "not JSON"),
        ("[" * 50 + "]" * 50, "nested deeper"),
        ("[" * 100_000, "nested deeper"),
        ("[1]", "group of fields"),
        (b"\xff", "not UTF-8"),
        (" " * (markup.MAX_BYTES + 1), "at most 262144"),
    ],
)
def test_json_that_is_refused(text: str | bytes, words: str) -> None:
    [problem] = refused(text, "json")
    assert words in problem.message


def test_the_schema_accepts_and_names_what_the_spec_does() -> None:
    schema = spec_json_schema()
    assert json.loads(json.dumps(schema)) == schema
    assert set(schema["required"]) == {"name"}, (
        "a trainer of one's own needs no more; the built-in one asks for the rest"
    )
    assert [problem.path for problem in refused('{"name": "x"}', "json")] == ["dataset", "teacher", "student"]
    assert set(schema["properties"]) == set(JobSpec.model_fields)


@given(st.one_of(st.text(), st.binary()), st.sampled_from(["json", "yaml"]))
def test_any_text_is_a_spec_or_a_refusal(text: str | bytes, media: Any) -> None:
    assert refused(text, media)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(sorted(set(JobSpec.model_fields) - {"name"})), JSON))
def test_any_values_are_accepted_or_explained(changes: dict[str, Any]) -> None:
    try:
        parse_spec(json.dumps(SMALLEST | changes), "json")
    except SpecInvalid as refusal:
        for problem in refusal.problems:
            assert problem.message
            assert problem.path.split(".")[0] in {*JobSpec.model_fields, ""}


def test_a_layout_belongs_to_a_folder_of_pictures() -> None:
    folder = {"name": "image_folder", "path": "birds", "layout": "parts"}
    assert DatasetSpec.model_validate(folder).to_trained().layout == "parts"
    with pytest.raises(ValueError, match="layout belongs to image_folder"):
        DatasetSpec.model_validate({"name": "digits", "layout": "parts"})
    plain = DatasetSpec.model_validate({"name": "digits"})
    assert "layout" not in plain.model_dump(exclude_none=True), "stored specs and fingerprints stay as they were"
