"""Views of images that a plugin's augmentation makes, each once from its seed, kept as pixels."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainers.data import pixel_storage
from trainers.disk_budget import DiskBudget
from trainers.errors import DatasetInvalid, NameUnknown
from trainers.order import generator
from trainers.registry import plugins

MOST_BYTES = 2**32
"""Of one view, which is made in memory; all of them may lie on disk."""


def draw(name: str, images: Tensor, split_seed: int, views: int, budget: DiskBudget | None = None) -> Tensor:
    """Views 0 .. views - 1 of images [n, C, H, W] (uint8), [views, n, C, H, W]; one does not depend on how many others
    are drawn. DatasetInvalid where one does not fit into memory or the plugin answers something else,
    DiskBudgetExceeded where all of them do not fit on disk.
    """
    try:
        _, function = plugins.code_of("augmentation", name)
    except NameUnknown as error:
        raise DatasetInvalid(str(error)) from error
    if images.numel() > MOST_BYTES:
        raise DatasetInvalid(
            f"a view by {name} takes {images.numel() / 2**30:.1f} GiB of memory, and may take "
            f"{MOST_BYTES / 2**30:.0f}: lower dataset.image_size or dataset.train_size"
        )
    pixels = pixel_storage.array(
        (views, *images.shape),
        np.dtype(np.uint8),
        budget,
        f"{views} views by {name}",
        "lower teacher.views, dataset.image_size or dataset.train_size",
    )
    for view in range(views):
        pixels[view] = _view(name, function, images, split_seed, view)
    return torch.from_numpy(pixels)


def _view(name: str, function: plugins.Function, images: Tensor, split_seed: int, view: int) -> NDArray[np.uint8]:
    seed = int(torch.randint(2**31, (), generator=generator(split_seed, "plugin", view)))
    try:
        answer = np.asarray(function(images.numpy().copy(), seed))
    except Exception as error:  # whatever somebody's function raises
        raise DatasetInvalid(f"{name} cannot make a view: {type(error).__name__}: {error}") from error
    if answer.dtype != np.uint8 or answer.shape != tuple(images.shape):
        raise DatasetInvalid(
            f"{name} made {answer.dtype} {list(answer.shape)} of uint8 {list(images.shape)}: a view must be as the "
            "images are"
        )
    return answer
