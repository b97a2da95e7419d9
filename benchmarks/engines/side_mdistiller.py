"""mdistiller, from a checkout given by path, as a side of a race: its trainer, its KD distiller, its ResNets and its
defaults for CIFAR-100. Run by the Python of `peers.mdistiller`.

It knows CUDA alone: where there is none, `.cuda()` is made to do nothing. Its checkpoints, which it writes after every
epoch, are left out: the epochs measured here are shorter than its own.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader

from benchmarks.engines.child import Epoch, serve
from benchmarks.engines.peer_data import TEST, TRAIN, Pictures, arrays


def build(options: dict[str, Any]) -> tuple[Epoch, dict[str, Any]]:
    """Options: checkout, images, root, threads, batch."""
    torch.set_num_threads(options["threads"])
    sys.path.insert(0, options["checkout"])
    if not torch.cuda.is_available():
        setattr(torch.Tensor, "cuda", lambda tensor, *_, **__: tensor)  # noqa: B010
    from mdistiller.distillers import distiller_dict
    from mdistiller.engine import trainer, trainer_dict
    from mdistiller.engine.cfg import CFG
    from mdistiller.models import cifar_model_dict

    trainer.save_checkpoint = lambda *_: None
    CFG.merge_from_list(
        [
            "LOG.WANDB",
            False,
            "LOG.PREFIX",
            tempfile.mkdtemp(),
            "DISTILLER.TYPE",
            "KD",
            "SOLVER.BATCH_SIZE",
            options["batch"],
        ]
    )
    teacher = cifar_model_dict["resnet32x4"][0](num_classes=100)
    student = cifar_model_dict["resnet8x4"][0](num_classes=100)
    distiller = distiller_dict["KD"](student, teacher, CFG)
    if torch.cuda.is_available():
        distiller = distiller.cuda()
    train, test = arrays(Path(options["root"]), options["images"])
    loaders = (
        DataLoader(Pictures(train, TRAIN, numbered=True), batch_size=options["batch"], shuffle=True),
        DataLoader(Pictures(test, TEST), batch_size=CFG.DATASET.TEST.BATCH_SIZE),
    )
    # without CUDA this wrapper hands everything on to the distiller, which is how it ships
    racing = trainer_dict[CFG.SOLVER.TRAINER]("race", nn.DataParallel(distiller), *loaders, CFG)

    def epoch() -> int:
        racing.train_epoch(1)
        return int(options["images"])

    return epoch, {"images": options["images"], "device": "cuda" if torch.cuda.is_available() else "cpu"}


if __name__ == "__main__":
    serve(build)
