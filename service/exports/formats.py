"""The export formats, in one function for the API, the command line and Python."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from search.records import Job
from service.exports import mdistiller, torchdistill
from service.exports.winner import Winner, winner_of
from thermowell.api.answers import Result

Format = Literal["torchdistill", "mdistiller"]
FORMATS: Mapping[Format, Callable[[Winner], str]] = {
    "torchdistill": torchdistill.export,
    "mdistiller": mdistiller.export,
}


def export(job: Job, result: Result, into: Format) -> str:
    """The winner of an answered job as YAML, with what it cannot say in comments on top."""
    return FORMATS[into](winner_of(job, result))
