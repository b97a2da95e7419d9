"""Installed distributions with plugins, written into a folder that Python imports from."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from trainers.registry import plugins

EXAMPLE = Path(__file__).parents[1] / "examples" / "plugin"
TABLE = """
import numpy as np
import torch
from torch import nn
from thermowell import plugin

@plugin.dataset("acme/table", classes=3, inputs="features", class_names=["low", "middle", "high"])
def table(root, part):
    chance = np.random.default_rng(0)
    rows = chance.normal(5, 3, (300, 6))
    return rows, np.digitize(rows[:, 0] + rows[:, 1], [9, 11])

@plugin.dataset("acme/words", classes=2, inputs="tokens", vocabulary=7)
def words(root, part):
    chance = np.random.default_rng(1)
    tokens = chance.integers(0, 7, (300, 5))
    return tokens, (tokens[:, 0] > tokens[:, 4]).astype(int)

@plugin.model("acme/bag", arguments={"width": plugin.Parameter("int", 8, 2, 64, "of an embedding")}, summary="a bag")
def bag(shape, classes, *, vocabulary, width):
    return nn.Sequential(nn.Embedding(vocabulary, width), nn.Flatten(), nn.Linear(shape[0] * width, classes))

@plugin.model("acme/wide", arguments={"width": plugin.Parameter("int", 8, 2, 64, "units")})
def wide(shape, classes, *, width):
    return nn.Sequential(nn.Linear(shape[0], width), nn.ReLU(), nn.Dropout(0.1), nn.Linear(width, classes))

class Noisy(nn.Linear):
    def forward(self, x):
        return super().forward(x) * (1 if torch._C._functorch.maybe_current_level() is None else 2)

class Reading(nn.Linear):
    def forward(self, x):
        return super().forward(x) * (1 + float(x.detach().mean() > 0))

@plugin.model("acme/noisy")
def noisy(shape, classes):
    return Noisy(shape[0], classes)

@plugin.model("acme/reading")
def reading(shape, classes):
    return Reading(shape[0], classes)
"""
TARGETS = """
import numpy as np
from thermowell import plugin

def drawn(count=240, classes=4):
    chance = np.random.default_rng(3)
    rows = chance.normal(size=(count, 5))
    return rows, rows[:, :classes] * 2 + chance.normal(size=(count, classes)) / 4

@plugin.dataset("acme/classes", classes=4, inputs="features")
def classes(root, part):
    rows, scores = drawn()
    return rows, scores.argmax(1)

@plugin.dataset("acme/shares", classes=4, inputs="features", targets="soft")
def shares(root, part):
    rows, scores = drawn()
    powers = np.exp(scores)
    return rows, powers / powers.sum(1, keepdims=True)

@plugin.dataset("acme/tags", classes=4, inputs="features", targets="several", class_names=["a", "b", "c", "d"])
def tags(root, part):
    rows, scores = drawn()
    return rows, (scores > 0.5).astype(int)

@plugin.dataset("acme/pictures", classes=4, inputs="images", targets="several")
def pictures(root, part):
    rows, tagged = tags(root, part)
    grey = np.clip(rows[:, :4] * 40 + 120, 0, 255).astype(np.uint8)
    return np.tile(grey.reshape(-1, 1, 2, 2), (1, 1, 2, 2)), tagged

@plugin.loss("acme/square", targets=("classes", "soft", "several"))
def square(student, teacher, labels, *, teacher_temperature, student_temperature):
    return (student - teacher).square().mean(-1)

@plugin.loss("acme/own", targets=["several"])
def own(student, teacher, labels, *, teacher_temperature, student_temperature):
    return ((student - teacher).square() * labels).mean(-1)

@plugin.loss("acme/narrow")
def narrow(student, teacher, labels, *, teacher_temperature, student_temperature):
    return (student - teacher).square().mean(-1)
"""
ARITHMETIC = """
import numpy as np
import torch.nn.functional as F
from thermowell import plugin

@plugin.loss("acme/soft", weights={"alpha": 1.0}, summary="kl as the project has it, alpha times")
def soft(student, teacher, labels, *, teacher_temperature, student_temperature, alpha):
    log_teacher = F.log_softmax(teacher / teacher_temperature, -1)
    log_student = F.log_softmax(student / student_temperature, -1)
    divergence = (log_teacher.exp() * (log_teacher - log_student)).sum(-1)
    return alpha * divergence * teacher_temperature * student_temperature

@plugin.loss("acme/reading")
def reading(student, teacher, labels, *, teacher_temperature, student_temperature):
    return (student - teacher).square().mean() * (1 + float(labels[0]))

RATE = plugin.Span(1e-3, 1.0)

@plugin.optimizer("acme/heavy", settings={"learning_rate": RATE, "weight_decay": 0.0, "momentum": 0.9})
def heavy(weight, gradient, first, second, *, step, learning_rate, weight_decay, momentum):
    gradient = gradient + weight_decay * weight
    first = momentum * first + gradient
    return weight - learning_rate * first, first, second

@plugin.optimizer("acme/normed", settings={"learning_rate": plugin.Span(1e-3, 1e-1), "weight_decay": 0.0})
def normed(weight, gradient, first, second, *, step, learning_rate, weight_decay):
    return weight - learning_rate * gradient / (gradient.norm() + 1e-6), first, second

@plugin.augmentation("acme/grain", summary="grey levels off by up to 8")
def grain(images, seed):
    noise = np.random.default_rng(seed).integers(-8, 9, images.shape)
    return np.clip(images + noise, 0, 255).astype(np.uint8)

@plugin.augmentation("acme/flat")
def flat(images, seed):
    return images[:, 0]

ROWS = plugin.Parameter("int", 300, 10, 1000, "how many")

@plugin.dataset("acme/sums", classes=2, inputs="features", arguments={"rows": ROWS})
def sums(root, part, *, rows):
    table = np.random.default_rng(2).normal(size=(rows, 4))
    return table, (table.sum(1) > 0).astype(int)
"""


def write(folder: Path, name: str, source: str, version: str = "1.0") -> None:
    """A distribution of that name, whose one module declares what the source says."""
    module = name.replace("-", "_")
    folder.joinpath(f"{module}.py").write_text(source)
    info = folder / f"{module}-{version}.dist-info"
    info.mkdir(exist_ok=True)
    info.joinpath("METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    info.joinpath("entry_points.txt").write_text(f"[thermowell.plugins]\n{name}-entry = {module}\n")


def install_example(folder: Path) -> Path:
    """A folder with `examples/plugin` installed from its own wheel, which is built without network."""
    source, wheels, site = folder / "source", folder / "wheels", folder / "site"
    shutil.copytree(EXAMPLE, source)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    build = [*pip, "wheel", "--no-build-isolation", "--no-deps", "--no-index", "-w", str(wheels), str(source)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = wheels.glob("*.whl")
    install = [*pip, "install", "--no-deps", "--no-index", "--target", str(site), str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    return site


@contextmanager
def importable(folder: Path) -> Iterator[Callable[..., plugins.Plugins]]:
    """Loads distributions of the folder by their names; all is forgotten afterwards."""
    before = set(sys.modules)
    sys.path.insert(0, str(folder))

    def load(*names: str) -> plugins.Plugins:
        for module in set(sys.modules) - before:
            if Path(getattr(sys.modules[module], "__file__", None) or "/").is_relative_to(folder):
                del sys.modules[module]
        importlib.invalidate_caches()
        return plugins.load(names)

    try:
        yield load
    finally:
        load()
        sys.path.remove(str(folder))
