"""Two ranks of one training, as torchrun or Lightning starts them: what the tests' scripts run.

    python -m tests.thermowell.trial.ranks_script torchrun|lightning QUEUE FOLDER

Each rank writes what it did with each trial into a file of its own.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from pathlib import Path
from typing import Any

EPOCHS, TRIALS = 3, 3


def count_requests() -> list[str]:
    """The paths that this process asks the service for, as they come."""
    from thermowell.trial import transport

    paths: list[str] = []
    send = transport.Transport.send

    def noted(self: Any, method: str, path: str, *rest: Any) -> Any:
        paths.append(path.rsplit("/", 1)[1])
        return send(self, method, path, *rest)

    transport.Transport.send = noted  # type: ignore[method-assign]
    return paths


def quality(number: int) -> float:
    """The first trial is good, and each later one is stopped at the first rung."""
    return 0.9 - 0.2 * number


def torchrun(trial: Any, _: Path) -> list[int]:
    """Trains over torchrun's store, and the last trial over a process group; the epochs that were reported."""
    import torch
    import torch.distributed as dist

    if trial.number == TRIALS - 1:
        dist.init_process_group("gloo")
    reported = []
    for epoch in trial.left():
        if dist.is_initialized():
            dist.all_reduce(torch.ones(1))  # hangs where a rank has stopped and the other has not
        reported.append(epoch)
        # what the second rank has measured itself is not what counts
        if trial.report(epoch, accuracy=quality(trial.number) if os.environ["RANK"] == "0" else 1.0):
            break
    return reported


def lightning(trial: Any, folder: Path) -> list[int]:
    """Trains by Lightning's Trainer, which starts the second rank itself; the epochs that were trained."""
    import lightning.pytorch as pl
    import torch

    import thermowell

    trained: list[int] = []

    class Net(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(4, 2)

        def training_step(self, batch: Any, _: int) -> Any:
            self.log("accuracy", quality(trial.number), on_step=False, on_epoch=True, sync_dist=True)
            return torch.nn.functional.cross_entropy(self.layer(batch[0]), batch[1])

        def on_train_epoch_end(self) -> None:
            trained.append(self.current_epoch + 1)

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), 0.1)

    points = torch.utils.data.TensorDataset(torch.randn(16, 4), torch.arange(16) % 2)
    trainer = pl.Trainer(
        max_epochs=trial.epochs, accelerator="cpu", devices=2, strategy="ddp", logger=False, enable_progress_bar=False,
        enable_model_summary=False, enable_checkpointing=False, default_root_dir=folder,
        callbacks=[thermowell.lightning.Callback(trial)],
    )  # fmt: skip
    trainer.fit(Net(), torch.utils.data.DataLoader(points, batch_size=4))
    return trained


def main() -> None:
    """Trains so many trials, and writes down what became of each."""
    import torch.distributed as dist  # who has its store has imported it

    import thermowell

    train, folder = {"torchrun": torchrun, "lightning": lightning}[sys.argv[1]], Path(sys.argv[3])
    requests, lines = count_requests(), []
    for trial in thermowell.trials(queue=sys.argv[2]):
        with trial:
            epochs = train(trial, folder)
            trial.complete()
        lines.append({"trial": trial.number, "seed": trial.seed, "epochs": epochs, "stopped": trial.stopped})
        if len(lines) == TRIALS:
            break
    rank = os.environ.get("RANK") or os.environ.get("LOCAL_RANK") or "0"
    (folder / f"rank-{rank}.json").write_text(json.dumps({"trials": lines, "requests": requests}))
    if dist.is_initialized():
        dist.destroy_process_group()  # threads of gloo that outlive their group abort the process at its end


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
