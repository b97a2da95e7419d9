"""RepDistiller, from a checkout given by path, as a side of a race: its distillation loop, its loss, its ResNets and
its defaults for CIFAR-100. Run by the Python of `peers.repdistiller`.
"""

from __future__ import annotations

import argparse
import sys
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
    from distiller_zoo import DistillKL
    from helper.loops import train_distill, validate
    from models import model_dict

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    modules = nn.ModuleList([model_dict[name](num_classes=100) for name in ("resnet8x4", "resnet32x4")]).to(device)
    criteria = nn.ModuleList([nn.CrossEntropyLoss(), DistillKL(4), DistillKL(4)]).to(device)
    optimizer = torch.optim.SGD(modules[0].parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
    settings = argparse.Namespace(distill="kd", gamma=0.1, alpha=0.9, beta=0.0, print_freq=100)
    train, test = arrays(Path(options["root"]), options["images"])
    loader = DataLoader(Pictures(train, TRAIN, numbered=True), batch_size=options["batch"], shuffle=True)
    test_loader = DataLoader(Pictures(test, TEST), batch_size=options["batch"] // 2)

    def epoch() -> int:
        train_distill(1, loader, modules, criteria, optimizer, settings)
        validate(test_loader, modules[0], criteria[0], settings)
        return int(options["images"])

    return epoch, {"images": options["images"], "device": str(device)}


if __name__ == "__main__":
    serve(build)
