"""Views of images that a plugin's augmentation makes, each once from its seed, kept as pixels."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from trainers.errors import DatasetInvalid, NameUnknown
from trainers.order import generator
from trainers.registry import plugins

MOST_BYTES = 2**32
"""Of all views together, which lie in memory."""


def draw(name: str, images: Tensor, split_seed: int, views: int) -> Tensor:
    """Views 0 .. views - 1 of images [n, C, H, W] (uint8), [views, n, C, H, W]; one does not depend on how many others
    are drawn. DatasetInvalid where they do not fit or the plugin answers something else.
    """
    try:
        _, function = plugins.code_of("augmentation", name)
    except NameUnknown as error:
        raise DatasetInvalid(str(error)) from error
    if views * images.numel() > MOST_BYTES:
        raise DatasetInvalid(
            f"{views} views by {name} take {views * images.numel() / 2**30:.1f} GiB, and may take "
            f"{MOST_BYTES / 2**30:.0f}: lower teacher.views, or dataset.image_size"
        )
    return torch.stack([_view(name, function, images, split_seed, view) for view in range(views)])


def _view(name: str, function: plugins.Function, images: Tensor, split_seed: int, view: int) -> Tensor:
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
    return torch.from_numpy(np.ascontiguousarray(answer))
