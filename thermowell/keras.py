"""A trial as a callback of Keras, on any of its backends: `callbacks=[thermowell.keras.Callback(trial)]`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from thermowell.trial.handle import Trial


class Callback(keras.callbacks.Callback):  # type: ignore[misc]
    """Reports every epoch's metrics, and ends the training where the trial stops.

    The objective is a metric that `fit` shows, such as `val_accuracy`. `resume` is the file of a `ModelCheckpoint` that
    stands before this callback: a later attempt loads `trial.resume.at` and goes on with
    `fit(initial_epoch=trial.left().start - 1)`.
    """

    def __init__(self, trial: Trial, resume: str | Path | None = None) -> None:
        super().__init__()
        self.trial = trial
        self._resume = resume

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Reports the epoch; Keras counts them from 0."""
        if not self.trial.ended and self.trial.report(epoch + 1, dict(logs or {}), resume=self._resume):
            self.model.stop_training = True
