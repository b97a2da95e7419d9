"""Reads an exported file as mdistiller's own tools/train.py does, and prints what came of it as JSON.

Run by a Python that has yacs, tqdm and tensorboardX: CHECKOUT FILE.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import torch


def main(checkout: str, file: str) -> dict[str, Any]:
    sys.path.insert(0, checkout)
    from mdistiller.distillers import distiller_dict
    from mdistiller.engine import trainer_dict
    from mdistiller.engine.cfg import CFG
    from mdistiller.engine.utils import adjust_learning_rate
    from mdistiller.models import cifar_model_dict

    torch.manual_seed(0)
    CFG.merge_from_file(file)
    CFG.freeze()
    teacher, student = (
        cifar_model_dict[name][0](num_classes=100) for name in (CFG.DISTILLER.TEACHER, CFG.DISTILLER.STUDENT)
    )
    distiller = distiller_dict[CFG.DISTILLER.TYPE](student, teacher, CFG)
    distiller.eval()
    images, targets = torch.randn(8, 3, 32, 32), torch.arange(8)
    losses = distiller.forward_train(image=images, target=targets)[1]
    trainer = trainer_dict[CFG.SOLVER.TRAINER]
    wrapped = type("Trainer", (), {"distiller": type("Wrapped", (), {"module": distiller})})
    optimizer = trainer.init_optimizer(wrapped, CFG)
    with torch.no_grad():
        logits = {"student": student(images)[0].tolist(), "teacher": teacher(images)[0].tolist()}
    group = optimizer.param_groups[0]
    return {
        "loss": sum(loss.item() for loss in losses.values()),
        "targets": targets.tolist(),
        "optimizer": [type(optimizer).__name__, group["lr"], group["weight_decay"], group["momentum"]],
        "rates": [adjust_learning_rate(epoch, CFG, optimizer) for epoch in range(1, CFG.SOLVER.EPOCHS + 1)],
        "models": [type(teacher).__name__, type(student).__name__],
        **logits,
    }


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
