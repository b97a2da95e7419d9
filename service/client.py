"""The client under its old name, for one release: `thermowell.Client` and `thermowell.api` have taken its place."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from thermowell.api.advice import Advice as Advice
from thermowell.api.answers import Importances as Importances
from thermowell.api.answers import Interactions as Interactions
from thermowell.api.answers import Result as Result
from thermowell.api.answers import TemperatureResponse as TemperatureResponse
from thermowell.api.jobs import Artifact as Artifact
from thermowell.api.jobs import Event as Event
from thermowell.api.jobs import Job as Job
from thermowell.api.jobs import JobDetail as JobDetail
from thermowell.api.studies import Study as Study
from thermowell.api.studies import StudyCell as StudyCell
from thermowell.api.studies import StudyDetail as StudyDetail
from thermowell.api.trials import Trial as Trial
from thermowell.api.trials import TrialDetail as TrialDetail
from thermowell.api.workers import Worker as Worker
from thermowell.drawing import Drawing as Drawing
from thermowell.errors import Refused as Refused
from thermowell.errors import Unreachable as Unreachable
from thermowell.frames import to_frame
from thermowell.protocol import Json as Json
from thermowell.sync.client import Client

if TYPE_CHECKING:
    import pandas

warnings.warn(
    "service.client goes with the next release: use thermowell.Client (pip install thermowell-client), and "
    "thermowell.to_frame for tables",
    DeprecationWarning,
    stacklevel=2,
)


class Thermowell(Client):
    """thermowell.Client with the methods that have other names there."""

    def trials_dataframe(self, job: str | Job) -> pandas.DataFrame:
        """All trials of a job: `thermowell.to_frame(client.trials(job))`."""
        return to_frame(self.trials(job))

    def result_dataframe(self, job: str | Job) -> pandas.DataFrame:
        """The winner and the baselines: `thermowell.to_frame(client.result(job))`."""
        return to_frame(self.result(job))

    def response_dataframe(self, job: str | Job) -> pandas.DataFrame:
        """The points of the temperature response: `thermowell.to_frame(client.response(job))`."""
        return to_frame(self.response(job))

    def response_plot(self, job: str | Job) -> Drawing:
        """The temperature response as the report draws it: `client.plot(job, "response")`."""
        return self.plot(job, "response")
