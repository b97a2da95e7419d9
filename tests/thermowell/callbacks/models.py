"""A small real model of each framework on the same few numbers, trained under a trial: what the tests' scripts run.

    python -m tests.thermowell.callbacks.models huggingface|lightning|keras [FOLDER]

Prints the epochs that were trained as the last line.
"""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path
from typing import Any

EPOCHS = 4


def data() -> tuple[Any, Any]:
    """Points of two classes."""
    import torch

    generator = torch.Generator().manual_seed(0)
    points = torch.randn(32, 4, generator=generator)
    return points, (points.sum(1) > 0).long()


def huggingface(trial: Any, folder: Path) -> int:
    """Trains by Hugging Face's Trainer; the epochs that it took."""
    import torch
    import transformers

    import thermowell

    points, labels = data()

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(4, 2)

        def forward(self, points: Any, labels: Any) -> dict[str, Any]:
            logits = self.layer(points)
            return {"loss": torch.nn.functional.cross_entropy(logits, labels), "logits": logits}

    rows = [{"points": point, "labels": label} for point, label in zip(points, labels, strict=True)]
    arguments = transformers.TrainingArguments(
        output_dir=str(folder / "out"), num_train_epochs=EPOCHS, per_device_train_batch_size=8, eval_strategy="epoch",
        save_strategy="epoch", report_to=[], use_cpu=True, disable_tqdm=True, seed=trial.seed, logging_strategy="no",
        dataloader_pin_memory=False,
    )  # fmt: skip
    trainer = transformers.Trainer(
        Net(), arguments, train_dataset=rows, eval_dataset=rows, callbacks=[thermowell.huggingface.Callback(trial)],
        compute_metrics=lambda scores: {"accuracy": float((scores.predictions.argmax(-1) == scores.label_ids).mean())},
    )  # fmt: skip
    trainer.train(resume_from_checkpoint=trial.resume.at if trial.resume else None)
    trainer.evaluate()
    return round(trainer.state.epoch)


def lightning(trial: Any, folder: Path) -> int:
    """Trains by Lightning's Trainer; the epochs that it took."""
    import lightning.pytorch as pl
    import torch
    from lightning.pytorch.callbacks import ModelCheckpoint

    import thermowell

    class Net(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(4, 2)

        def training_step(self, batch: Any, _: int) -> Any:
            return torch.nn.functional.cross_entropy(self.layer(batch[0]), batch[1])

        def validation_step(self, batch: Any, _: int) -> None:
            right = (self.layer(batch[0]).argmax(-1) == batch[1]).float().mean()
            self.log("accuracy", right, sync_dist=True)

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), 0.1)

    rows = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*data()), batch_size=8)
    ranks = int(os.environ.get("WORLD_SIZE", "1"))
    trainer = pl.Trainer(
        max_epochs=EPOCHS, accelerator="cpu", devices=ranks, strategy="ddp" if ranks > 1 else "auto", logger=False,
        enable_progress_bar=False, enable_model_summary=False, default_root_dir=folder,
        callbacks=[thermowell.lightning.Callback(trial), ModelCheckpoint(folder / "out", save_last=True)],
    )  # fmt: skip
    trainer.fit(Net(), rows, rows, ckpt_path=trial.resume.at if trial.resume else None)
    return int(trainer.current_epoch)


def keras(trial: Any, folder: Path) -> int:
    """Trains by Keras on torch; the epochs behind the trial's start that it took."""
    import keras as real

    import thermowell

    points, labels = (part.numpy() for part in data())
    model = real.Sequential([real.Input((4,)), real.layers.Dense(2)])
    loss = real.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, metrics=[real.metrics.SparseCategoricalAccuracy(name="accuracy")])
    file = folder / "student.weights.h5"
    if trial.resume:
        model.load_weights(trial.resume.at)
    callbacks = [
        real.callbacks.ModelCheckpoint(str(file), save_weights_only=True),
        thermowell.keras.Callback(trial, resume=file),
    ]
    start = trial.left().start - 1
    history = model.fit(points, labels, epochs=EPOCHS, initial_epoch=start, verbose=0, callbacks=callbacks)
    return start + len(history.epoch)


def main() -> None:
    """Trains one trial by the framework that is named."""
    import thermowell

    framework = {"huggingface": huggingface, "lightning": lightning, "keras": keras}[sys.argv[1]]
    for trial in thermowell.trials(epochs=EPOCHS):
        with trial:
            epochs = framework(trial, Path(sys.argv[2]))
            trial.complete()
            print(f"rank {os.environ.get('RANK', '0')}: {epochs} epochs, {trial.stopped}", flush=True)


if __name__ == "__main__":
    os.environ.setdefault("KERAS_BACKEND", "torch")
    warnings.simplefilter("ignore")
    main()
