"""Models of transformers from local folders, as teachers and students: offline, from safetensors, without code."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor

from search.spec.fields import DOOR
from search.spec.job import JobSpec
from tests import distributions
from tests.trainers import local_networks
from tests.trainers.problems import SGD, assignment, problem
from trainers import plugin_codes, run, student_files
from trainers.data import datasets
from trainers.engines import bank_probe
from trainers.engines.loop import LoopEngine
from trainers.errors import ModelUnavailable, TeacherInvalid
from trainers.preprocessing import MEASURED
from trainers.registry import local_models
from trainers.spec import Classes, Data, EpochReport, Initial, Model, Problem, Teacher, Training
from trainers.zoo import given, models, weights

DATA = Data("digits", train_size=300)
VIT, RESNET, BERT = Model("hf:vit"), Model("hf:nets/resnet"), Model("hf:bert")
MEAN, STD = [0.3], [0.4]


@cache
def trained(name: str) -> Any:
    """A network of a script that knows nothing of this project, trained on digits at its own normalization."""
    return local_networks.trained_on_digits(name, own_way, 90)


def own_way(pixels: Tensor) -> Tensor:
    return (pixels.float() / 255 - MEAN[0]) / STD[0]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The root, with three models in it, and no network."""
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("the network was asked"))
    root = tmp_path / "models"
    processor = {"image_mean": MEAN, "image_std": STD, "size": {"height": 8, "width": 8}, "resample": 2}
    for name, path in (("vit", root / "vit"), ("resnet", root / "nets" / "resnet")):
        trained(name).save_pretrained(path)
        (path / "preprocessor_config.json").write_text(json.dumps(processor))
    transformers.AutoModelForSequenceClassification.from_config(local_networks.configuration("bert")).save_pretrained(
        root / "bert"
    )
    local_models.set_root(root)
    yield root
    local_models.set_root(None)


def prepared(roots: run.Roots, **changes: Any) -> run.Prepared:
    ready = run.prepare(plugin_codes.complete(problem(**({"data": DATA, "views": 1} | changes))), roots, "cpu")
    assert isinstance(ready, run.Prepared)
    return ready


def given_teacher(model: Model, **changes: Any) -> Teacher:
    return Teacher("weights", model, artifact=model.name, preprocessing=MEASURED, **changes)


@pytest.mark.parametrize(("model", "name"), [(VIT, "vit"), (RESNET, "resnet")])
def test_is_worth_what_it_is_in_its_own_script(folder: Path, roots: run.Roots, model: Model, name: str) -> None:
    ready = prepared(roots, teacher=given_teacher(model))
    split = datasets.load(DATA, roots.data)
    with torch.no_grad():
        logits = trained(name)(own_way(split.validation.images)).logits
    right = int((logits.argmax(-1) == split.validation.labels).sum())
    assert round(ready.facts.validation.accuracy * ready.facts.validation_images) == right > 150
    assert torch.allclose(ready.validation_logits, logits, atol=1e-4)
    (fact,) = ready.facts.preprocessing
    assert (fact.origin, fact.preprocessing.size) == ("file", (8, 8))


def test_its_classes_are_mapped(folder: Path, roots: run.Roots) -> None:
    parity = Data("digits", train_size=300, classes=Classes("map", map=(0, 1) * 5))
    mapped = given_teacher(RESNET, class_map=((0, 2, 4, 6, 8), (1, 3, 5, 7, 9)))
    assert prepared(roots, data=parity, teacher=mapped).facts.validation.accuracy > 0.8


@pytest.mark.parametrize("model", [VIT, RESNET])
def test_students_are_the_same_in_the_loop_and_in_a_bank(folder: Path, roots: run.Roots, model: Model) -> None:
    ready = prepared(roots, student=model, teacher=given_teacher(RESNET), training=Training(1, 32))
    assert bank_probe.compare(ready) is None
    assert ready.problem.student.code == local_models.fingerprint(model.name)


def test_a_student_begins_with_the_folders_weights_and_is_used_without_it(
    folder: Path, roots: run.Roots, tmp_path: Path
) -> None:
    beginning = Initial("weights", artifact="hf:vit")
    ready = prepared(roots, student=VIT, initial=beginning, teacher=given_teacher(RESNET), training=Training(1, 32))
    assert ready.start is not None
    assert torch.equal(ready.start["classifier.weight"], trained("vit").state_dict()["classifier.weight"])
    engine = LoopEngine(ready, 1)
    engine.admit(assignment())
    (report,) = engine.step_epoch()
    assert isinstance(report, EpochReport)
    engine.save_student(0, tmp_path / "student.safetensors")
    shutil.rmtree(folder / "nets")  # not read again
    architecture = json.loads(json.dumps(student_files.description(ready)["architecture"]))
    network = transformers.AutoModelForImageClassification.from_config(
        transformers.AutoConfig.for_model(**architecture["config"])
    )
    network.load_state_dict(weights.load(tmp_path / "student.safetensors"))
    with torch.no_grad():
        logits = network.eval()(ready.normalise(ready.validation_images)).logits
    accuracy = (logits.argmax(-1) == ready.validation_labels).double().mean()
    assert float(accuracy) == pytest.approx(report.validation.accuracy, abs=1e-9)


def test_a_new_head_on_its_features(folder: Path, roots: run.Roots) -> None:
    parity = Data("digits", train_size=300, classes=Classes("map", map=(0, 1) * 5))
    taught = Teacher(model=VIT, origin="hf:vit", finetune="head", training=Training(1, 32), optimizer=SGD)
    ready = prepared(roots, data=parity, teacher=taught)
    (path,) = (roots.store / "teachers").rglob("weights-*.safetensors")
    after, before = weights.load(path), trained("vit").state_dict()
    assert {name for name in after if not torch.equal(after[name], before[name])} == {
        "classifier.weight", "classifier.bias",
    }  # fmt: skip
    assert ready.train_logits.shape[-1] == 2


def test_sentences_as_tokens(folder: Path, roots: run.Roots, tmp_path: Path) -> None:
    """The set of a plugin, whose tokens go to AutoModelForSequenceClassification; padding is not looked at."""
    site = tmp_path / "site"
    site.mkdir()
    distributions.write(site, "acme-kd", distributions.TABLE)
    with distributions.importable(site) as load:
        load("acme-kd")
        sentences = plugin_codes.complete(
            problem(
                data=Data("acme/words"), student=BERT, views=1,
                teacher=Teacher(model=BERT, training=Training(1, 16), optimizer=SGD),
            )
        )  # fmt: skip
        assert sentences.student.vocabulary is not None
        ready = run.prepare(sentences, roots, "cpu")
    assert isinstance(ready, run.Prepared)
    network = models.build(ready.problem.student, ready.channels, ready.size, 3, seed=0).eval()
    weights.fill(network, given.load(roots.store, "hf:bert", ready.problem.student, ready.channels, ready.size), "own")
    own = transformers.AutoModelForSequenceClassification.from_pretrained(folder / "bert").eval()
    tokens = torch.tensor([[4, 5, 6, 0], [7, 8, 0, 0]])
    with torch.no_grad():
        expected = own(input_ids=tokens, attention_mask=(tokens != 0).long()).logits
        assert torch.allclose(network(tokens.float()), expected, atol=1e-6)


def test_changed_files_are_another_model(folder: Path, roots: run.Roots) -> None:
    before = plugin_codes.complete(problem(student=VIT, teacher=given_teacher(RESNET)))
    network = trained("vit")
    network.save_pretrained(folder / "vit", max_shard_size="2KB")
    os.remove(folder / "vit" / "model.safetensors")
    after = plugin_codes.complete(before)
    assert before.student.code != after.student.code
    assert before.fingerprint() != after.fingerprint()
    with pytest.raises(ModelUnavailable, match="not what the job began with"):
        models.build(before.student, 1, (8, 8), 10, seed=0)
    assert len(local_models.weight_files(folder / "vit")) > 1
    assert torch.equal(
        given.load(roots.store, "hf:vit", VIT, 1, (8, 8))["classifier.bias"], network.state_dict()["classifier.bias"]
    )
    with pytest.raises(TeacherInvalid, match="hf:vit has changed"):
        given.load(roots.store, f"hf:vit@{before.student.code}", VIT, 1, (8, 8))


OUT = (
    "hf:", "hf:/etc", "hf:..", "hf:../vit", "hf:vit/../../x", "hf:.hidden", "hf:a//b", "hf:vit/", "hf:a\\b", "hf:a b",
)  # fmt: skip


@pytest.mark.parametrize("name", OUT)
def test_no_path_leads_out_of_the_root(folder: Path, name: str) -> None:
    (folder.parent / "x").mkdir()
    shutil.copytree(folder / "vit", folder.parent / "x", dirs_exist_ok=True)
    with pytest.raises(ModelUnavailable, match="is no local model"):
        models.build(Model(name), 1, (8, 8), 10, seed=0)
    with pytest.raises(ValueError, match="is no name"):
        local_models.folder(name)
    document = {"name": "x", "dataset": {"name": "digits"}, "teacher": {"model": {"name": "cnn"}, "training": {}}}
    with pytest.raises(ValueError, match="no local model"):
        JobSpec.model_validate(document | {"student": {"name": name}}, context=DOOR)


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_no_link_leads_out_of_the_root(folder: Path, kind: str) -> None:
    outside = folder.parent / "outside"
    shutil.copytree(folder / "vit", outside)
    if kind == "folder":
        (folder / "linked").symlink_to(outside)
    else:
        shutil.copytree(folder / "vit", folder / "linked")
        os.remove(folder / "linked" / "model.safetensors")
        (folder / "linked" / "model.safetensors").symlink_to(outside / "model.safetensors")
    assert local_models.listing() == ["hf:bert", "hf:nets/resnet", "hf:vit"]
    assert local_models.fingerprint("hf:linked") is None
    with pytest.raises(ModelUnavailable, match="leads out of THERMOWELL_HF_ROOT"):
        models.build(Model("hf:linked"), 1, (8, 8), 10, seed=0)
    (folder / "within").symlink_to(folder / "vit")  # as caches have it
    assert local_models.fingerprint("hf:within") == local_models.fingerprint("hf:vit")


def test_pickled_weights_are_not_read(folder: Path, roots: run.Roots) -> None:
    os.remove(folder / "vit" / "model.safetensors")
    torch.save(trained("vit").state_dict(), folder / "vit" / "pytorch_model.bin")
    with pytest.raises(TeacherInvalid, match=r"no model\.safetensors: other files of weights are not read"):
        given.load(roots.store, "hf:vit", VIT, 1, (8, 8))


def test_an_index_leads_to_files_beside_it_alone(folder: Path, roots: run.Roots) -> None:
    index = {"weight_map": {"classifier.bias": "../bert/model.safetensors"}}
    (folder / "vit" / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(TeacherInvalid, match="no safetensors beside it"):
        given.load(roots.store, "hf:vit", VIT, 1, (8, 8))


def test_a_folders_own_code_is_never_run(folder: Path, tmp_path: Path) -> None:
    path = folder / "vit"
    (path / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Config: ...\nclass Net: ...\n")
    config = json.loads((path / "config.json").read_text())
    config |= {
        "model_type": "evil",
        "auto_map": {"AutoConfig": "evil.Config", "AutoModelForImageClassification": "evil.Net"},
    }
    (path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelUnavailable, match="cannot be made by transformers"):
        models.build(VIT, 1, (8, 8), 10, seed=0)
    assert not (tmp_path / "ran").exists()


def test_a_kernel_that_a_configuration_names_is_not_fetched(folder: Path) -> None:
    path = folder / "vit" / "config.json"
    config = json.loads(path.read_text()) | {"attn_implementation": "somebody/kernel", "_attn_implementation": "x/y"}
    path.write_text(json.dumps(config))
    assert models.build(VIT, 1, (8, 8), 10, seed=0).config._attn_implementation == "eager"


def test_what_is_not_there_is_said(folder: Path, roots: run.Roots) -> None:
    with pytest.raises(ModelUnavailable, match=r"hf:none is not here: there is no .*config\.json"):
        models.build(Model("hf:none"), 1, (8, 8), 10, seed=0)
    with pytest.raises(TeacherInvalid, match="weights hf:vit are of the model hf:vit, not of cnn"):
        given.load(roots.store, "hf:vit", Model("cnn"), 1, (8, 8))
    with pytest.raises(ModelUnavailable, match="knows 20 tokens, and the data have 30"):
        models.build(Model("hf:bert", vocabulary=30), 4, (), 3, seed=0)
    local_models.set_root(None)
    with pytest.raises(ModelUnavailable, match="needs THERMOWELL_HF_ROOT"):
        models.build(VIT, 1, (8, 8), 10, seed=0)


def test_in_a_spec() -> None:
    document = {
        "name": "x", "dataset": {"name": "digits"},
        "teacher": {"source": "weights", "model": {"name": "hf:nets/resnet"}},
        "student": {"name": "hf:vit", "initial": {"source": "weights", "artifact": "hf:vit"}},
    }  # fmt: skip
    spec = JobSpec.model_validate(document, context=DOOR)
    asked: Problem = spec.problem(1, "fp32")
    assert (asked.teacher.artifact, asked.initial.artifact) == ("hf:nets/resnet", "hf:vit")
    assert set(spec.plugins()) == {("model", "hf:vit"), ("model", "hf:nets/resnet")}
