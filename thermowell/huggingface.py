"""A trial as a callback of Hugging Face's Trainer: `callbacks=[thermowell.huggingface.Callback(trial)]`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import transformers

from thermowell.trial.documents import Json
from thermowell.trial.handle import Trial

PREFIX = "eval_"


class Callback(transformers.TrainerCallback):  # type: ignore[misc]
    """Reports every epoch's evaluation of the validation part, and ends the training where the trial stops.

    The Trainer must evaluate once an epoch (`eval_strategy="epoch"`). Metrics keep the names that it gives them, such
    as `eval_f1`; the objective may be named with or without `eval_`. With `save_strategy="epoch"` a later attempt may
    go on: `trainer.train(resume_from_checkpoint=trial.resume.at if trial.resume else None)`. What is evaluated behind
    the training, the test part for instance, is not reported.
    """

    def __init__(self, trial: Trial) -> None:
        self.trial = trial
        self._trains = False

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """From here on evaluations are the trial's."""
        self._trains = True

    def on_evaluate(self, args: Any, state: Any, control: Any, **context: Any) -> Any:
        """Reports an evaluation, on every rank; all of them get the same decision."""
        metrics = context.get("metrics")
        if self._trains and metrics and not self.trial.ended:
            stops = self.trial.report(max(1, round(state.epoch)), measured(self.trial, metrics))
            control.should_training_stop = control.should_training_stop or stops
        return control

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Says where the checkpoint lies that was written behind the evaluation."""
        if self._trains:
            self.trial.saved(Path(args.output_dir).absolute() / f"checkpoint-{state.global_step}")

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Evaluations that follow are the script's own."""
        self._trains = False


def measured(trial: Trial, metrics: Mapping[str, Any]) -> Json:
    """The numbers among an evaluation's metrics, with the objective under its own name."""
    values = {name: value for name, value in metrics.items() if isinstance(value, (int, float)) and name != "epoch"}
    objective = trial.objective
    if objective is not None and objective not in values and PREFIX + objective in values:
        values[objective] = values[PREFIX + objective]
    return values
