"""The shapes along training, of the learning rate and of the temperature: a summary by name."""

from __future__ import annotations

from collections.abc import Mapping

SCHEDULES: Mapping[str, str] = {
    "constant": "the optimizer's learning rate throughout",
    "cosine": "half a cosine from the optimizer's learning rate to 0",
    "step": "multiplied by step_factor at each of step_epochs",
}

TEMPERATURE_SCHEDULES: Mapping[str, str] = {
    "constant": "T is space.temperature throughout",
    "linear": "in equal steps from space.temperature to space.final_temperature",
    "cosine": "half a cosine from the one to the other",
    "step": "the one, and after step_at of the training the other",
}
