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
