# Made from thermowell/aio by tests/thermowell/test_sync.py: change that file, and write this one anew.
"""The client: submit, wait, and read the answer."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from thermowell import bar, protocol
from thermowell.api.advice import Advice
from thermowell.api.answers import Importances, Interactions, Result, TemperatureResponse
from thermowell.api.document import read_document
from thermowell.api.files import KeptWeights, is_student_file, sent_name
from thermowell.api.imports import ImportOutcome
from thermowell.api.jobs import Artifact, Event, Job, JobDetail, Preflight
from thermowell.api.trials import Trial, TrialDetail
from thermowell.api.workers import Worker
from thermowell.drawing import Drawing, Format, Picture, to_figure
from thermowell.errors import Unreachable
from thermowell.parts import Part
from thermowell.protocol import Json
from thermowell.sending import document
from thermowell.sync.studies import Studies
from thermowell.sync.transport import Transport

if TYPE_CHECKING:
    from typing import Self

    import plotly.graph_objects

DEFAULT_URL = "http://127.0.0.1:8000"
POLL_SECONDS = (0.1, 2.0)  # from the first wait to the longest
PAGE = 1000
IMPORTED_AT_ONCE = 200


class Client(Studies):
    """One service, asked with one key.

    `url` and `key` are taken from THERMOWELL_URL and THERMOWELL_KEY where they are not given; without either it is the
    service on this machine, open to it alone. Every method may raise Refused, with the problem as the service said it,
    and Unreachable, after which asking again may help. Jobs are named by their id, or by what a method answered;
    so are studies.
    `http` carries requests that have no method here, JSON in and out.
    """

    def __init__(self, url: str | None = None, key: str | None = None, timeout: float = 30.0) -> None:
        address = (url or os.environ.get("THERMOWELL_URL") or DEFAULT_URL).rstrip("/")
        self.url = address if "://" in address else f"http://{address}"  # as people write it: localhost:8000
        self.http = Transport(self.url, key or os.environ.get("THERMOWELL_KEY"), timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Gives the connections back."""
        self.http.close()

    def submit(
        self,
        spec: Mapping[str, Any] | Part | Path | str | bytes,
        *,
        media_type: str | None = None,
        idempotency_key: str | None = None,
    ) -> JobDetail:
        """The job that a spec became: a thermowell.Spec, a mapping, the name of a YAML or JSON file, or text.

        Text is YAML, of which JSON is a part, unless `media_type` says otherwise. The same `idempotency_key` with the
        same spec is the same job, however often it is sent. OSError where a file cannot be read.
        """
        content, media = document(spec)
        headers = {"Content-Type": media_type or media}
        if idempotency_key:
            headers["Idempotency-Key"] = idempotency_key
        return read_document(
            JobDetail, (self.http.request("POST", "/v1/jobs", content=content, headers=headers)).json()
        )

    def check(
        self, spec: Mapping[str, Any] | Part | Path | str | bytes, *, media_type: str | None = None
    ) -> Preflight | None:
        """What a spec's job would lack on the workers that are alive, and how long it would take; submits nothing.

        Invalid where it would be refused. None where the service is older and says nothing of it. OSError as `submit`.
        """
        content, media = document(spec)
        headers = {"Content-Type": media_type or media}
        verdict = (self.http.request("POST", "/v1/spec/validate", content=content, headers=headers)).json()
        if not verdict["valid"]:
            raise protocol.spec_refusal(verdict["errors"])
        preflight = verdict.get("preflight")
        return None if preflight is None else read_document(Preflight, preflight)

    def job(self, job: str | Job) -> JobDetail:
        """A job as it is now."""
        return read_document(JobDetail, self.http.get(_path(job)))

    def jobs(self, *, state: str | None = None, name: str | None = None, label: str | None = None) -> Iterator[Job]:
        """Your jobs, newest first; an admin sees everybody's. `label` is written key=value."""
        for item in self._pages("/jobs", 200, state=state, name=name, label=label):
            yield read_document(Job, item)

    def wait(self, job: str | Job, *, timeout: float | None = None, progress: bool = True) -> JobDetail:
        """The job once it has ended: completed, failed or cancelled. `progress` draws a bar: in a
        notebook as HTML, elsewhere on the error output.

        TimeoutError after `timeout` seconds; neither that nor an interrupt stops the job. Bears a service that is away
        for a minute.
        """
        start, pause, answered = time.monotonic(), POLL_SECONDS[0], time.monotonic()
        with bar.shown(progress) as show:
            while True:
                try:
                    current, answered = self.job(job), time.monotonic()
                except Unreachable:
                    if time.monotonic() - answered > protocol.PATIENCE_SECONDS:
                        raise
                else:
                    show(current)
                    if current.ended:
                        return current
                remaining = float("inf") if timeout is None else start + timeout - time.monotonic()
                if remaining <= 0:
                    raise TimeoutError(f"job {_id(job)} has not ended within {timeout:g} s; it goes on")
                time.sleep(min(pause, remaining))
                pause = min(pause * 1.5, POLL_SECONDS[1])

    def events(self, job: str | Job, after: int = 0) -> Iterator[Event]:
        """A job's events after number `after`, as they happen, until it ends; connects again where that breaks."""
        for event in self.http.events(_id(job), after):
            yield read_document(Event, event)

    def cancel(self, job: str | Job) -> JobDetail:
        """Ends a job now: running trials are dropped and nothing is answered."""
        return self._move(job, "cancel")

    def stop(self, job: str | Job) -> JobDetail:
        """Ends the search; what there is goes on to confirmation and is answered."""
        return self._move(job, "stop")

    def pause(self, job: str | Job) -> JobDetail:
        """Hands out no new trials until the job is resumed."""
        return self._move(job, "pause")

    def resume(self, job: str | Job) -> JobDetail:
        """Lets a paused job go on."""
        return self._move(job, "resume")

    def extend(
        self, job: str | Job, *, trials: int | None = None, epochs: int | None = None, seconds: float | None = None
    ) -> JobDetail:
        """Gives a job new, larger totals; a completed one searches on."""
        totals = {"trials": trials, "epochs": epochs, "seconds": seconds}
        return self._move(job, "extend", {name: total for name, total in totals.items() if total is not None})

    def open_test(self, job: str | Job) -> JobDetail:
        """Opens the test part of a job that decided nothing; an extension after that is marked as having seen it."""
        return self._move(job, "open-test")

    def share(
        self, job: str | Job, *, priority: int | None = None, parallel: int | Literal["no cap"] | None = None
    ) -> JobDetail:
        """Changes a job's share of the workers: its priority (20 gets twice what 10 gets), its cap of trials."""
        changes: dict[str, Any] = {} if priority is None else {"priority": priority}
        if parallel is not None:
            changes["parallel"] = None if parallel == "no cap" else parallel
        return self._move(job, "share", changes)

    def delete(self, job: str | Job) -> None:
        """Forgets a job that has ended, with its trials, its answer and its files."""
        self.http.request("DELETE", f"/v1{_path(job)}")

    def trials(
        self,
        job: str | Job,
        *,
        sort: Literal["number", "-number", "value", "-value"] = "number",
        stage: str | None = None,
        arm: str | None = None,
        state: str | None = None,
    ) -> Iterator[Trial]:
        """A job's trials, page by page; `sort="-value"` begins with the most accurate."""
        for item in self._pages(f"{_path(job)}/trials", PAGE, sort=sort, stage=stage, arm=arm, state=state):
            yield read_document(Trial, item)

    def trial(self, job: str | Job, number: int) -> TrialDetail:
        """One trial with its learning curve."""
        return read_document(TrialDetail, self.http.get(f"{_path(job)}/trials/{number}"))

    def import_rows(
        self,
        job: str | Job,
        rows: Sequence[tuple[int, Mapping[str, Any]]],
        *,
        kind: Literal["points", "trials"],
        source: str,
        dry_run: bool = False,
    ) -> ImportOutcome:
        """Brings rows from elsewhere, each with its number, as points to be tried first or as finished trials.

        Rows outside of the job's space are refused and listed; sending the same ones again changes nothing.
        """
        outcome: ImportOutcome | None = None
        for start in range(0, len(rows), IMPORTED_AT_ONCE):
            together = [
                {"row": number, "values": dict(values)} for number, values in rows[start : start + IMPORTED_AT_ONCE]
            ]
            body = {"as": kind, "source": source, "rows": together, "dry_run": dry_run}
            part = read_document(ImportOutcome, self.http.post(f"{_path(job)}/imports", body))
            outcome = part if outcome is None else outcome.joined(part)
        return outcome or ImportOutcome(dry_run=dry_run, taken=0, known=0)

    def result(self, job: str | Job) -> Result:
        """The answer. Refused with the slug `not-ready` while there is none."""
        return read_document(Result, self.http.get(f"{_path(job)}/result"))

    def response(self, job: str | Job) -> TemperatureResponse:
        """Quality as a function of the temperature, with its band."""
        return read_document(TemperatureResponse, self.http.get(f"{_path(job)}/response"))

    def plot(self, job: str | Job, picture: Picture) -> Drawing:
        """One of the report's pictures."""
        return Drawing((self.http.request("GET", f"/v1{_path(job)}/report/{picture}.svg")).text)

    def figure(self, job: str | Job, picture: Picture) -> plotly.graph_objects.Figure:
        """The same as a figure of Plotly's, to look into or to change. PlotlyMissing where that is not installed."""
        return to_figure(self.http.get(f"{_path(job)}/report/{picture}.json"))

    def importances(self, job: str | Job) -> Importances:
        """How much each setting moved the objective."""
        return read_document(Importances, self.http.get(f"{_path(job)}/importances"))

    def interactions(self, job: str | Job) -> Interactions:
        """How much T and each other setting act together, and a map of both."""
        return read_document(Interactions, self.http.get(f"{_path(job)}/interactions"))

    def report(self, job: str | Job) -> str:
        """The report, as a page of HTML that needs nothing else."""
        return (self.http.request("GET", f"/v1{_path(job)}/report")).text

    def export(self, job: str | Job, format: Format) -> str:
        """The winner as a configuration file of another project; its comments say what it cannot express."""
        return (self.http.request("GET", f"/v1{_path(job)}/export", params={"format": format})).text

    def artifacts(self, job: str | Job) -> list[Artifact]:
        """The files that a job left."""
        return [read_document(Artifact, item) for item in (self.http.get(f"{_path(job)}/artifacts"))["items"]]

    def download(self, job: str | Job, name: str, to: str | Path = ".") -> Path:
        """Writes one of the job's files to a path, or under its own name into a folder; answers where it is."""
        target = Path(to, name) if Path(to).is_dir() else Path(to)
        target.write_bytes((self.http.request("GET", f"/v1{_path(job)}/artifacts/{name}")).content)
        return target

    def student(self, job: str | Job, to: str | Path = "student") -> Path:
        """Writes all files of the job's winning student into a folder, which is made if need be; answers where it is.

        `python student.py PICTURE` there needs torch, pillow and safetensors, and nothing of this project.
        """
        names = [file.name for file in self.artifacts(job) if is_student_file(file.name)]
        target = Path(to)
        target.mkdir(parents=True, exist_ok=True)
        for name in names:
            self.download(job, name, target / name)
        return target

    def add_weights(
        self,
        file: str | Path,
        *,
        model: str | None = None,
        arguments: Mapping[str, Any] | None = None,
        channels: int = 3,
        size: int | None = None,
        preprocessing: str | Mapping[str, Any] | None = None,
        timeout: float = 600.0,
    ) -> KeptWeights:
        """Sends a file of weights (.safetensors, .pth, .pt, .bin, .ckpt or .tar), which the service converts and keeps.

        With a model's name it is looked whether it fills that model. `preprocessing` is a preset or what
        `teacher.preprocessing` has. Refused with the slug `weights-refused`; OSError where the file cannot be read.
        """
        path = Path(file)
        if isinstance(preprocessing, Mapping):
            preprocessing = json.dumps(dict(preprocessing))
        query: dict[str, Any] = {"name": sent_name(path.name), "model": model, "channels": channels, "size": size}
        query |= {"arguments": json.dumps(dict(arguments)) if arguments else None, "preprocessing": preprocessing}
        response = self.http.request(
            "POST",
            "/v1/weights",
            params={key: value for key, value in query.items() if value is not None},
            content=path.read_bytes(),
            headers={"Content-Type": "application/octet-stream"},
            timeout=timeout,
        )
        return read_document(KeptWeights, response.json())

    def advice(
        self,
        mode: str = "both",
        *,
        data: str | None = None,
        classes: int | None = None,
        train_images: int | None = None,
        optimizer: Sequence[str] | None = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        label_smoothing: float | None = None,
        teacher_entropy: float | None = None,
        student: str | None = None,
        student_init: str | None = None,
        metric: str | None = None,
        queue: str | None = None,
        most_sources: int = 20,
    ) -> Advice:
        """What is known of a setting before anything is trained in it: from the literature, finished jobs, or both.

        What is left out of the setting is neither near nor far. `label_smoothing` is the teacher's, `teacher_entropy`
        the mean entropy of its softmax at T = 1 in nats. With `queue`, a queue or a command of trainings of one's own,
        it is what their own finished jobs say.
        """
        setting: dict[str, Any] = {
            "data": data, "classes": classes, "train_images": train_images, "optimizer": optimizer, "epochs": epochs,
            "batch_size": batch_size, "label_smoothing": label_smoothing, "teacher_entropy": teacher_entropy,
            "student": student, "student_init": student_init, "metric": metric, "queue": queue,
        }  # fmt: skip
        return read_document(Advice, self.http.get("/advice", mode=mode, most_sources=most_sources, **setting))

    def workers(self) -> list[Worker]:
        """Who trains, alive ones first."""
        return [read_document(Worker, item) for item in (self.http.get("/workers"))["items"]]

    def _move(self, job: str | Job, verb: str, body: Mapping[str, Any] | None = None) -> JobDetail:
        return read_document(JobDetail, self.http.post(f"{_path(job)}/{verb}", body))

    def _pages(self, path: str, limit: int, **query: Any) -> Iterator[Json]:
        cursor: str | None = None
        while True:
            page = self.http.get(path, cursor=cursor, limit=limit, **query)
            yield from page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                return


def _id(job: str | Job) -> str:
    return job if isinstance(job, str) else job.id


def _path(job: str | Job) -> str:
    return f"/jobs/{quote(_id(job), safe='')}"
