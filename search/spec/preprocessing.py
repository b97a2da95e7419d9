"""The part of a spec that says how images are prepared for a given teacher."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from search.spec.fields import LEAST, Part, Sensible
from trainers import preprocessing as trained

_Channels = Annotated[tuple[float, ...], Field(min_length=1, max_length=3)]
_Pixels = Annotated[int, Field(ge=4, le=1024)]


def _sides(value: Any) -> Any:
    return [value, value] if isinstance(value, int) and not isinstance(value, bool) else value


class PreprocessingSpec(Part):
    """How images become what a given teacher takes. A preset's name alone means that preset."""

    preset: trained.Preset | None = Field(
        None,
        description="; ".join(f"{name}: {words}" for name, words in trained.SUMMARIES.items())
        + "; without it and without mean and std: what the file says, or else the one that is best on validation",
    )
    mean: _Channels | None = Field(None, description="of each channel, in the value range")
    std: Annotated[tuple[Annotated[float, Sensible(LEAST)], ...], Field(min_length=1, max_length=3)] | None = None
    value_range: tuple[float, float] = Field((0.0, 1.0), description="to which 0..255 is scaled, before the mean")
    size: Annotated[tuple[_Pixels, _Pixels], BeforeValidator(_sides)] | None = Field(
        None, description="height and width, or one number; the data's unless given"
    )
    interpolation: trained.Interpolation = "bilinear"
    crop: float = Field(1.0, ge=0.1, le=1, description="the share of the resized image, in its middle, that is kept")
    channel_order: trained.ChannelOrder | None = Field(None, description="the data's unless given")

    @model_validator(mode="after")
    def _moments(self) -> Self:
        if (self.mean is None) != (self.std is None):
            raise ValueError("mean and std are given together, or neither is")
        if self.preset is not None and self.mean is not None:
            raise ValueError(f"mean and std are those of the preset {self.preset}: leave it or them out")
        if self.mean is None and self.value_range != (0.0, 1.0):
            raise ValueError("value_range belongs to a mean and std of its own")
        if self.value_range[0] >= self.value_range[1]:
            raise ValueError("value_range must rise")
        if self.std is not None and min(self.std) <= 0:
            raise ValueError("std must be positive")
        channels = {3} if self.channel_order in ("rgb", "bgr") else {1} if self.channel_order else {1, 3}
        for name, values in (("mean", self.mean), ("std", self.std)):
            if values is not None and len(values) != 1 and len(values) not in channels:
                raise ValueError(f"{name} must have one number, or one for each channel")
        return self

    def to_trained(self) -> trained.Preprocessing:
        """In the trainers' words."""
        preset: trained.PresetName = self.preset or ("measured" if self.mean is None else "custom")
        return trained.Preprocessing(
            preset=preset,
            mean=self.mean or (),
            std=self.std or (),
            value_range=self.value_range,
            size=self.size,
            interpolation=self.interpolation,
            crop=self.crop,
            channel_order=self.channel_order,
        )


def _named(value: Any) -> Any:
    return {"preset": value} if isinstance(value, str) else value


Preprocessed = Annotated[
    PreprocessingSpec,
    BeforeValidator(
        _named,
        json_schema_input_type=Annotated[str, Field(json_schema_extra={"enum": list(trained.PRESETS)})]
        | PreprocessingSpec,
    ),
]
"""A preprocessing, or a preset's name."""
