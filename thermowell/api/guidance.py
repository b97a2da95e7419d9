"""The guidance of a study, as it is served: plain documents. Temperatures are temperatures, effects are octaves.

An octave is a factor of two of T: an effect of 1 doubles the best T, one of -1 halves it.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from thermowell.api.answers import Interval
from thermowell.api.document import Document

Verdict = Literal["moves", "negligible", "cannot tell"]
SizeVerdict = Literal["matters", "negligible", "cannot tell"]
QuestionName = Literal["cost", "width", "gain"]


class Located(Document):
    """A best temperature with its interval, and the probability that it lies beyond an end of what was searched.

    An interval's end is at the range's end where the best temperature may lie beyond; the flags say so.
    """

    temperature: float
    interval: Interval
    below: float = Field(description="probability that the best T lies at or below the lowest that was searched")
    above: float = Field(description="probability that it lies at or above the highest that was searched")
    censored_low: bool = Field(description="whether the interval reaches the lowest temperature searched")
    censored_high: bool


class Measured(Document):
    """A quality or a gain, in the objective's own unit; the interval is None where nothing gives one."""

    mean: float
    interval: Interval | None


class LevelGuide(Document):
    """One level of a factor, averaged over the levels of the others."""

    level: str
    jobs: int = Field(description="finished jobs that tell of it")
    best: Located
    gain: Measured | None = Field(description="over T = 4 at its own best settings")


class Contrast(Document):
    """By how much the best T of one level differs from that of another."""

    level: str
    against: str
    octaves: float
    interval: Interval = Field(description="of the octaves")
    ratio: float = Field(description="the same as a factor of T")
    ratio_interval: Interval
    open_low: bool = Field(description="whether censoring leaves the interval's lower end open: it may lie lower")
    open_high: bool = Field(description="whether censoring leaves its upper end open")
    above_zero: float = Field(description="probability that the effect is positive")
    practical: float = Field(description="probability that the effect exceeds the practical size, either way")
    verdict: Verdict


class FactorGuide(Document):
    """What one factor does to the best T."""

    factor: str
    name: str = Field(description="the factor's name as people say it")
    levels: list[LevelGuide]
    contrasts: list[Contrast] = Field(description="each level against the first one")
    share: Measured = Field(description="of the variance of the best T over jobs")
    verdict: Verdict
    words: str


class InteractionGuide(Document):
    """Whether the effect of one factor depends on the level of another."""

    factors: tuple[str, str]
    levels: tuple[tuple[str, str], tuple[str, str]] = Field(description="of each factor, the two that are compared")
    octaves: float = Field(description="the effect of the first at the second's later level, less that at its earlier")
    interval: Interval
    share: Measured
    verdict: Verdict
    words: str


class CellGuide(Document):
    """One cell of the design: all jobs of the same levels."""

    levels: dict[str, str]
    jobs: list[str]
    finished: int
    best: Located | None
    by_optimizer: dict[str, Located] = Field(description="where its jobs searched several optimizers")
    quality: Measured | None
    tested: bool = Field(description="whether the quality is that on the test part")
    gain: Measured | None = Field(description="over T = 4 at its own best settings")


class Size(Document):
    """How large what is asked is at some levels, averaged over those of all other factors."""

    levels: dict[str, str]
    jobs: int = Field(description="finished jobs that tell of it")
    measured: Measured
    verdict: SizeVerdict | None = Field(
        description="matters: more than the margin beyond doubt; negligible: at most that; a width has none"
    )


class Effect(Document):
    """By how much what is asked differs between two levels of a factor; of two factors, how much one changes that."""

    factors: list[str]
    levels: list[tuple[str, str]] = Field(description="of each factor, the level and the one it is compared with")
    measured: Measured
    verdict: Verdict = Field(description="negligible: at most the margin, either way, beyond doubt")


class Question(Document):
    """Something that is asked of every job, and what moves it.

    `cost` is the quality lost at a `temperature` against the best T of the job, the other settings at their best for
    either; `width` the octaves of T within the margin of costs of the best, of those that were searched; `gain` what
    distilling at the best T gains over labels alone.
    """

    name: QuestionName
    temperature: float | None
    margin: float = Field(description="differences up to this do not matter: of quality, or octaves of a width")
    cells: list[Size]
    levels: list[Size]
    effects: list[Effect]
    within: float = Field(description="deviation that a job's own runs leave open, in the mean over jobs")
    between: float | None = Field(description="deviation between jobs of the same levels; null where none are repeated")
    runs: float = Field(description="runs of a job that it rests on, in the median")
    words: str


class Guidance(Document):
    """Which factors move the best T, by how much, and what the evidence does not cover."""

    study: str
    metric: str
    confidence: float
    practical: float = Field(description="octaves: what counts as an effect that matters")
    searched: tuple[float, float] | None = Field(description="the lowest and the highest T that were searched")
    factors: list[FactorGuide]
    interactions: list[InteractionGuide]
    cells: list[CellGuide]
    spread: Measured | None = Field(description="octaves: standard deviation between jobs that the factors leave")
    summary: str = Field(description="the guidance in a paragraph of plain words")
    limits: list[str] = Field(description="what the evidence does not cover")
    method: str
    unit: str | None = Field(None, description="in which a metric of one's own is shown")
    questions: list[Question] = Field([], description="read off all trials; empty where none has its runs at hand")
