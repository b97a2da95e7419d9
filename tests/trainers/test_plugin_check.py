"""The check of a plugin finds what its jobs would stumble over."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import distributions
from trainers import plugin_check
from trainers.plugin_check import Finding

FORGETFUL = """
import numpy as np
import torch
from torch import nn
from thermowell import plugin

@plugin.dataset("acme/drawn", classes=2, inputs="features")
def drawn(root, part):
    rows = np.random.default_rng().normal(size=(200, 4))
    return rows, np.arange(200) % 2

class Counting(nn.Linear):
    steps = 0
    def forward(self, x):
        self.steps += self.training
        return super().forward(x) * (1 + self.steps)

@plugin.model("acme/counting")
def counting(shape, classes):
    return Counting(shape[0], classes)

class Random(nn.Linear):
    def forward(self, x):
        return super().forward(x) + torch.randn(x.shape[0], 2, generator=torch.Generator().manual_seed(int(CLOCK())))

ticks = [0]
def CLOCK():
    ticks[0] += 1
    return ticks[0]

@plugin.model("acme/random")
def random(shape, classes):
    return Random(shape[0], classes)
"""


def findings(folder: Path, source: str, data: str = "") -> list[Finding]:
    distributions.write(folder, "acme-kd", source)
    with distributions.importable(folder):
        return plugin_check.check("acme-kd", folder, data)


def test_what_is_sound_holds(tmp_path: Path) -> None:
    sound = distributions.TABLE.partition("class Noisy")[0]
    lines = findings(tmp_path, sound)
    assert [line for line in lines if not line.holds] == []
    records = {line.record for line in lines}
    assert records == {"acme/table", "acme/words", "acme/bag on acme/words", "acme/wide on acme/table"}
    assert {line.check for line in lines} >= {"one seed, one student", "a bank agrees with the loop", "state names"}


def test_what_is_not_is_named(tmp_path: Path) -> None:
    failed = {(line.record, line.check) for line in findings(tmp_path, FORGETFUL) if not line.holds}
    assert failed >= {
        ("acme/drawn", "is the same twice"),
        ("acme/counting on acme/drawn", "goes on from a checkpoint"),
        ("acme/random on acme/drawn", "one seed, one student"),
    }


@pytest.mark.parametrize(("source", "words"), [("import no_such", "no_such"), (distributions.TABLE, "takes tokens")])
def test_what_cannot_be_trained_is_said(tmp_path: Path, source: str, words: str) -> None:
    lines = findings(tmp_path, source, data="acme/table")
    assert any(words in line.detail for line in lines if not line.holds)


def test_a_loss_of_several_labels_is_tried_on_a_set_that_has_them(tmp_path: Path) -> None:
    distributions.write(tmp_path, "acme-kd", distributions.TARGETS)
    with distributions.importable(tmp_path):
        found = plugin_check.check("acme-kd", tmp_path)
    assert not [line for line in found if not line.holds]
    assert ("acme/own on acme/tags", "a bank agrees with the loop") in {(line.record, line.check) for line in found}
    assert {line.detail for line in found if (line.record, line.check) == ("acme/tags", "is read")} == {
        "144 examples of shape [5] to train on, several labels for each example"
    }


FAILING = """
import torch
from torch import nn
from thermowell import plugin

@plugin.model("acme/shape")
def shape(shape, classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, classes + 1))

@plugin.model("acme/pair")
def pair(shape, classes):
    class Pair(nn.Linear):
        def forward(self, x):
            return super().forward(x.flatten(1)), x
    return Pair(64, classes)

@plugin.model("acme/raising")
def raising(shape, classes):
    class Raising(nn.Linear):
        def forward(self, x):
            if self.training:
                raise LookupError("nothing here")
            return super().forward(x.flatten(1))
    return Raising(64, classes)

@plugin.model("acme/names")
def names(shape, classes, ticks=[0]):
    ticks[0] += 1
    model = nn.Sequential(nn.Flatten())
    model.add_module(f"layer{ticks[0]}", nn.Linear(64, classes))
    return model

@plugin.loss("acme/broken")
def broken(student, teacher, labels, *, teacher_temperature, student_temperature):
    return student.no_such_thing()

@plugin.loss("acme/wide")
def wide(student, teacher, labels, *, teacher_temperature, student_temperature):
    return (student - teacher).square()

@plugin.loss("acme/infinite")
def infinite(student, teacher, labels, *, teacher_temperature, student_temperature):
    return (student - teacher).square().mean(-1) / 0

@plugin.optimizer("acme/fewer", settings={"learning_rate": plugin.Span(1e-3, 1.0), "weight_decay": 0.0})
def fewer(weight, gradient, first, second, *, step, learning_rate, weight_decay):
    return weight - learning_rate * gradient
"""


def test_code_that_fails_is_a_line_of_the_table(tmp_path: Path) -> None:
    lines = findings(tmp_path, FAILING, data="digits")
    failed = {line.record.partition(" ")[0] for line in lines if not line.holds}
    assert failed == {
        "acme/shape", "acme/pair", "acme/raising", "acme/names",
        "acme/broken", "acme/wide", "acme/infinite", "acme/fewer",
    }  # fmt: skip
    assert all(line.detail for line in lines if not line.holds)
