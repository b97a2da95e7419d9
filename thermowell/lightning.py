"""A trial as a callback of Lightning's Trainer: `callbacks=[thermowell.lightning.Callback(trial)]`."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from thermowell.trial.handle import Trial

# The same classes are distributed twice, and the Trainer of one knows nothing of the other's callbacks.
_ELDER = "pytorch_lightning" in sys.modules and "lightning.pytorch" not in sys.modules
_pytorch: Any = importlib.import_module("pytorch_lightning" if _ELDER else "lightning.pytorch")


class Callback(_pytorch.Callback):  # type: ignore[misc]
    """Reports what was logged up to the end of every epoch, and ends the training where the trial stops.

    Log the objective under its name on the validation part: `self.log("accuracy", value, sync_dist=True)`. Where a
    `ModelCheckpoint(save_last=True)` is among the callbacks a later attempt may go on:
    `trainer.fit(model, ckpt_path=trial.resume.at if trial.resume else None)`.
    """

    def __init__(self, trial: Trial) -> None:
        self.trial = trial

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps of this: the last report, since a later attempt may find nothing left to train."""
        return {"reported": self.trial.reported}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes up the last report of the attempt that wrote the checkpoint."""
        if state_dict.get("reported") is not None:
            self.trial.recall(*state_dict["reported"])

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        """Says where the last epoch's checkpoint lies, which is written behind all reports."""
        place = str(getattr(trainer.checkpoint_callback, "last_model_path", "") or "")
        if place and trainer.current_epoch > 0:
            self.trial.saved(place)

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Reports the epoch, on every rank; all of them get the same decision."""
        if not self.trial.ended:
            metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
            stops = self.trial.report(trainer.current_epoch + 1, metrics)
            trainer.should_stop = trainer.should_stop or stops
