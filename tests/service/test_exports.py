"""The winner in other projects' words: their own loaders read it, and what they would train is what was found."""

from __future__ import annotations

import json
import math
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
import yaml
from yacs.config import CfgNode

from benchmarks.common import peers
from search.spec.job import JobSpec
from service.exports import mdistiller, torchdistill
from service.exports.winner import Winner
from tests.service import server_fixtures
from tests.service.server_fixtures import Jobs
from trainers.spec import Configuration, Optimizer
from trainers.training import losses

LOADERS = Path(__file__).with_name("loaders")
SGD = Optimizer("sgd", 0.05, 5e-4, 0.9)
ADAMW = Optimizer("adamw", 1e-5, 1e-5)
STEPS = {"epochs": 40, "batch_size": 16, "schedule": {"name": "step", "step_epochs": [1, 30], "step_factor": 0.2}}
# What mdistiller's mdistiller/engine/cfg.py accepts, by type: yacs refuses unknown keys and other types.
KEYS: dict[str, Any] = {
    "EXPERIMENT": {"PROJECT": "", "NAME": "", "TAG": ""},
    "DATASET": {"TYPE": "", "NUM_WORKERS": 2, "TEST": {"BATCH_SIZE": 64}},
    "DISTILLER": {"TYPE": "", "TEACHER": "", "STUDENT": ""},
    "SOLVER": {
        "TRAINER": "", "BATCH_SIZE": 1, "EPOCHS": 1, "LR": 0.1, "LR_DECAY_STAGES": [1], "LR_DECAY_RATE": 0.1,
        "WEIGHT_DECAY": 0.1, "MOMENTUM": 0.1, "TYPE": "",
    },
    "LOG": {"TENSORBOARD_FREQ": 1, "SAVE_CHECKPOINT_FREQ": 1, "PREFIX": "", "WANDB": True},
    "KD": {"TEMPERATURE": 4, "LOSS": {"CE_WEIGHT": 0.1, "KD_WEIGHT": 0.9}},
}  # fmt: skip


def winner(configuration: Configuration, model: str = "wrn", **changes: Any) -> Winner:
    """A winner on CIFAR-100 whose models all three projects have: a wide residual network, or ResNets."""
    students = {"wrn": {"depth": 16, "width": 1}, "resnet": {"depth": 20}}
    taught = {"model": {"name": "resnet", "arguments": {"depth": 56}}, "training": {"epochs": 2}}
    common = {
        "dataset": {"name": "CIFAR100", "augmentation": "crop_flip"},
        "teacher": taught | {"optimizer": {"name": "sgd"}},
        "student": {"name": model, "arguments": students[model]},
        "training": STEPS,
    }
    spec = server_fixtures.document("exported", **(common | changes))
    return Winner(JobSpec.model_validate(spec), configuration, "0" * 16, "A summary: of one line.", 100)


def expected_loss(read: dict[str, Any], configuration: Configuration) -> float:
    """What this project would minimize on the same logits."""
    return losses.student_loss(
        torch.tensor(read["student"]),
        torch.tensor(read["teacher"]),
        torch.tensor(read["targets"]),
        teacher_temperature=configuration.temperature,
        student_temperature=configuration.temperature,
        kd_weight=configuration.kd_weight,
        label_weight=configuration.label_weight,
    ).item()


def run(python: str, script: str, *arguments: Path | str) -> dict[str, Any]:
    """What a loader says of a file."""
    done = subprocess.run(
        [python, LOADERS / script, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("configuration", "model", "changes"),
    [
        (Configuration(temperature=6.2, kd_weight=0.9, label_weight=0.1, optimizer=SGD), "wrn", {}),
        (
            Configuration(temperature=1.5, kd_weight=1.0, label_weight=0.0, optimizer=ADAMW),
            "resnet",
            {"training": {"epochs": 10, "batch_size": 16}},
        ),
    ],
    ids=["sgd-steps", "adamw-cosine-no-labels"],
)
def test_torchdistill_reads_it_and_minimises_the_same(
    tmp_path: Path, configuration: Configuration, model: str, changes: dict[str, Any]
) -> None:
    chosen = winner(configuration, model, **changes)
    file = tmp_path / "winner.yaml"
    file.write_text(torchdistill.export(chosen))
    read = run(peers.python("torchdistill"), "read_torchdistill.py", file, tmp_path)
    assert read["loss"] == pytest.approx(expected_loss(read, configuration), rel=1e-4)
    optimizer = configuration.optimizer
    name = {"sgd": "SGD", "adamw": "AdamW"}[optimizer.name]
    momentum = optimizer.momentum if name == "SGD" else None
    assert read["optimizer"] == [name, optimizer.learning_rate, optimizer.weight_decay, momentum]
    training = chosen.spec.training
    assert read["epochs"] == training.epochs
    factor = {"step": 0.2, "cosine": 0.5 * (1 + math.cos(math.pi / training.epochs))}
    assert read["next_rate"] == pytest.approx(optimizer.learning_rate * factor[training.schedule.name])
    assert read["models"] == ["ResNet4Cifar", "WideResNet4Cifar" if model == "wrn" else "ResNet4Cifar"]


def mdistiller_keys(text: str, folder: Path) -> CfgNode:
    """The file as yacs reads it on top of mdistiller's keys."""
    file = folder / "winner.yaml"
    file.write_text(text)
    keys = CfgNode(KEYS)
    keys.merge_from_file(str(file))
    return keys


def test_yacs_reads_it_for_mdistiller(tmp_path: Path) -> None:
    text = mdistiller.export(winner(Configuration(temperature=6.2, kd_weight=0.9, label_weight=0.1, optimizer=SGD)))
    keys = mdistiller_keys(text, tmp_path)
    assert (keys.KD.TEMPERATURE, keys.KD.LOSS.CE_WEIGHT, keys.KD.LOSS.KD_WEIGHT) == (6, 0.1, 0.9)
    assert "T was 6.2" in text, "its T is a whole number"
    assert (keys.SOLVER.TYPE, keys.SOLVER.LR, keys.SOLVER.WEIGHT_DECAY, keys.SOLVER.MOMENTUM) == (
        "SGD",
        0.05,
        5e-4,
        0.9,
    )
    assert (list(keys.SOLVER.LR_DECAY_STAGES), keys.SOLVER.LR_DECAY_RATE) == ([1, 30], 0.2)
    assert (keys.DISTILLER.TEACHER, keys.DISTILLER.STUDENT, keys.DATASET.TYPE) == ("resnet56", "wrn_16_1", "cifar100")


def test_what_mdistiller_does_not_know_is_refused_there_and_said(tmp_path: Path) -> None:
    small = {"dataset": {"name": "digits"}, "student": {"name": "mlp", "arguments": {"width": 8}}}
    configuration = Configuration(temperature=4.0, kd_weight=1.0, label_weight=0.0, optimizer=ADAMW)
    text = mdistiller.export(winner(configuration, **small, training={"epochs": 40}))
    keys = mdistiller_keys(text, tmp_path)
    assert (keys.SOLVER.TYPE, keys.SOLVER.LR, keys.DATASET.TYPE, keys.DISTILLER.STUDENT) == (
        "AdamW",
        1e-5,
        "digits",
        "mlp",
    )
    for unsaid in ("knows SGD alone", "no data set digits", "no model mlp (width 8)", "half a cosine"):
        assert unsaid in text.replace("\n#  ", "").replace("  ", " ")
    assert "T was" not in text


def test_steps_follow_the_cosine(tmp_path: Path) -> None:
    keys = mdistiller_keys(
        mdistiller.export(
            winner(
                Configuration(temperature=4.0, kd_weight=0.9, label_weight=0.1, optimizer=SGD), training={"epochs": 240}
            )
        ),
        tmp_path,
    )
    for epoch in range(1, 220):  # to where the cosine has all but ended
        cosine = 0.5 * (1 + math.cos(math.pi * epoch / 240))
        stepped = keys.SOLVER.LR_DECAY_RATE ** sum(epoch > stage for stage in keys.SOLVER.LR_DECAY_STAGES)
        assert 0.7 / 1.02 < stepped / cosine < 1.42 * 1.02, epoch


@pytest.mark.skipif("MDISTILLER" not in os.environ, reason="mdistiller is not on PyPI: MDISTILLER=/path/to/a/checkout")
def test_mdistiller_reads_it_and_minimises_the_same(tmp_path: Path) -> None:
    configuration = Configuration(temperature=4.0, kd_weight=0.9, label_weight=0.1, optimizer=SGD)
    file = tmp_path / "winner.yaml"
    file.write_text(mdistiller.export(winner(configuration)))
    read = run(peers.python("mdistiller"), "read_mdistiller.py", os.environ["MDISTILLER"], file)
    assert read["loss"] == pytest.approx(expected_loss(read, configuration), rel=1e-4)
    assert read["optimizer"] == ["SGD", 0.05, 5e-4, 0.9]
    assert read["rates"][:3] == pytest.approx([0.05, 0.01, 0.01])
    assert read["rates"][29:31] == pytest.approx([0.01, 0.002])
    assert read["models"] == ["ResNet", "WideResNet"]


@pytest.mark.parametrize("into", ["torchdistill", "mdistiller"])
def test_over_http(reader: httpx.Client, jobs: Jobs, into: str) -> None:
    answer = reader.get(f"/v1/jobs/{jobs.completed.id}/export", params={"format": into})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/yaml")
    head = [line for line in answer.text.splitlines() if line.startswith("#")]
    assert f"job {jobs.completed.id} (done) for {into}" in head[0]
    assert max(map(len, head)) <= 104
    assert reader.get(f"/v1/jobs/{jobs.running.id}/export", params={"format": into}).status_code == 409
    assert reader.get(f"/v1/jobs/{jobs.completed.id}/export", params={"format": "keras"}).status_code == 422


def test_a_data_set_of_files_is_read_from_its_folders() -> None:
    folder = {"dataset": {"name": "image_folder", "path": "flowers", "augmentation": "shift"}}
    text = torchdistill.export(
        winner(Configuration(temperature=4.0, kd_weight=0.9, label_weight=0.1, optimizer=SGD), **folder)
    )
    plain = yaml.safe_load(text.replace("!import_call", "").replace("!import_get", ""))
    training = plain["datasets"]["image_folder/train"]["init"]["kwargs"]
    assert training["root"] == "./data/flowers/train"
    steps = [step["key"].rpartition(".")[2] for step in training["transform"]["init"]["kwargs"]["transforms"]]
    assert steps == ["Resize", "RandomCrop", "ToTensor"]


def test_where_things_come_from_is_said() -> None:
    """Neither project can say it: it stands in the file's head, for a winner that is not of the usual kind alone."""
    elsewhere = {"pretrained_on": {"dataset": {"name": "CIFAR10"}}}
    changes = {
        "dataset": {"name": "CIFAR100", "classes": "coarse"},
        "teacher": {
            "model": {"name": "resnet"}, "training": {"epochs": 2}, "optimizer": {}, "stop_epoch": 1,
            "origin": elsewhere | {"finetune": "head"},
        },
        "student": {"name": "wrn", "initial": {"source": "pretrained"} | elsewhere},
    }  # fmt: skip
    told = (
        "class_map in the job's student.json", "The teacher was pretrained on CIFAR10, then finetuned (head).",
        "The teacher was taken at epoch 1", "weights that were pretrained beforehand",
    )  # fmt: skip
    for export in (torchdistill.export, mdistiller.export):
        special = " ".join(
            export(winner(Configuration(temperature=4.0, kd_weight=0.9, label_weight=0.1, optimizer=SGD), **changes))
            .replace("#", "")
            .split()
        )
        plain = " ".join(
            export(winner(Configuration(temperature=4.0, kd_weight=0.9, label_weight=0.1, optimizer=SGD)))
            .replace("#", "")
            .split()
        )
        assert all(words in special and words not in plain for words in told)


def test_a_constant_learning_rate_has_no_schedule(tmp_path: Path) -> None:
    chosen = winner(
        Configuration(temperature=4.0, kd_weight=3.0, label_weight=1.0, optimizer=SGD),
        training={"epochs": 4, "schedule": {"name": "constant"}},
    )
    assert "scheduler" not in torchdistill.export(chosen)
    assert list(mdistiller_keys(mdistiller.export(chosen), tmp_path).SOLVER.LR_DECAY_STAGES) == []


@pytest.mark.parametrize("into", [torchdistill.export, mdistiller.export])
def test_what_is_not_plain_kl_at_one_temperature_is_said(into: Callable[[Winner], str]) -> None:
    """Both projects' files have plain KL: another term, a scheduled T and mixed images are for the reader to add."""
    common = {"space": {"final_temperature": 1}, "dataset": {"name": "CIFAR100", "augmentation": "crop_flip_mixup"}}
    told = winner(
        Configuration(temperature=6.0, kd_weight=0.9, label_weight=0.1, optimizer=SGD, final_temperature=1.0),
        distillation={"method": "dkd", "beta": 4, "schedule": "linear"},
        **common,
    )
    said = " ".join(into(told).replace("\n#", " ").split())
    assert "The distillation term was dkd (alpha 1, beta 4), not plain KL as here" in said
    assert "T went from 6 to 1 along a linear schedule" in said
    assert "Images and labels were mixed" in said
    assert "distillation term" not in into(
        winner(Configuration(temperature=6.0, kd_weight=0.9, label_weight=0.1, optimizer=SGD))
    )


@pytest.mark.parametrize("into", [torchdistill.export, mdistiller.export])
def test_a_teacher_that_is_no_single_model_is_said(into: Callable[[Winner], str]) -> None:
    member = {"model": {"name": "resnet", "arguments": {"depth": 56}}, "training": {"epochs": 2}, "optimizer": {}}
    members = [member, member | {"seed": 1, "label_smoothing": 0.1}]

    def said(teacher: dict[str, Any]) -> str:
        told = winner(Configuration(temperature=6.0, kd_weight=0.9, label_weight=0.1, optimizer=SGD), teacher=teacher)
        return " ".join(into(told).replace("\n#", " ").split())

    together = said({"source": "ensemble", "members": members})
    assert "the mean of the logits of 2 teachers" in together
    assert "The ensemble's teacher 1 was trained with label smoothing 0.1." in together
    assert "The teacher was given as logits" in said({"source": "logits", "artifact": "a" * 64})


@pytest.mark.parametrize("export", [torchdistill.export, mdistiller.export])
def test_labels_of_another_kind_are_said(export: Callable[[Winner], str]) -> None:
    data = {"name": "npz", "path": "own.npz", "targets": "several"}
    configuration = Configuration(temperature=4.0, kd_weight=0.9, label_weight=0.1, optimizer=SGD)
    text = " ".join(export(winner(configuration, dataset=data)).replace("#", "").split())
    assert "The data have several labels for each example; the losses here are those of one class" in text
