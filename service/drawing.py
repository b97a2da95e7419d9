"""`python -m service.drawing`: what a job shows in Optuna Dashboard, computed and drawn, as JSON from stdin to stdout.

A program of its own at the lowest priority, started by the API (see service.plot_refresh): fitting, drawing and Optuna
Dashboard itself, which takes seconds to load, would hold the API's interpreter, and a worker on the same machine keeps
its processor. It reads the database and writes nothing: whoever waits for a lock should wait for nobody this slow.
"""

from __future__ import annotations

import hashlib
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from itertools import dropwhile

from pydantic import BaseModel, Field

from search.analysis.job import question as interim_question
from search.claims.artifacts import list_artifacts
from search.optuna_bridge.dashboard import DashboardChange, Figure, dashboard_change
from search.records import Artifact, Principal
from search.requests.job_view import JobView
from search.requests.plot_queue import to_be_shown
from search.storage.db import Database, open_database
from service import tracking
from service.pages import dashboard_note, report
from service.plots import names, plotly_renderer
from thermowell.api.answers import Interim

LONGEST_CAUSE = 500  # characters
_PASSWORD = re.compile(r"://[^/\s@]*@")
REPORT, REPORT_TYPE = "report.html", "text/html; charset=utf-8"


class DrawingRequest(BaseModel):
    """Which job is to be drawn, and where it is. On stdin, because the address may hold a password."""

    database_url: str
    job_id: str
    mlflow_uri: str | None = None
    root_path: str = ""


class DrawnPlots(BaseModel):
    """All that the API has to write down: of the job as it stood at its event of this number."""

    event: int
    interim: Interim | None
    report: str | None
    beside: DashboardChange | None
    untracked: str | None = Field(None, description="why MLflow does not know of it, though it should")


def draw(db: Database, job_id: str, mlflow_uri: str | None = None, root_path: str = "") -> DrawnPlots | None:
    """Asks the analysis where the job has not been answered, and draws; None where there is no such job any more."""
    pending = to_be_shown(db, job_id)
    if pending is None:
        return None
    job_view, question = pending
    interim = _interim_of(question) if question is not None and interim_question.interim_possible() else None
    if interim is not None:
        job_view = replace(
            job_view,
            result=interim.result,
            response=interim.response,
            importances=interim.importances,
            interactions=interim.interactions,
        )
    page = report.render(job_view, picture_base=None) if job_view.final else None
    plots = {
        str(name): Figure(plotly_renderer.render(make(job_view)))
        for name, make in names.PLOTS.items()
        if name in names.DASHBOARD
    }
    files = _files(db, job_view, page)
    words = dashboard_note.note(job_view, root_path)
    change = dashboard_change(db, job_id, plots, words, files)
    untracked = None if mlflow_uri is None else _tracked(db, job_view, mlflow_uri, words)
    return DrawnPlots(event=job_view.event, interim=interim, report=page, beside=change, untracked=untracked)


def _tracked(db: Database, job_view: JobView, uri: str, words: str) -> str | None:
    """Logs the job; why not, where that failed: the plots are there all the same."""
    try:
        tracking.track(db, job_view, uri, words)
    except Exception as error:  # whatever a server of somebody else's answers
        return in_short(f"{type(error).__name__}: {error}")
    return None


def _interim_of(question: interim_question.Question) -> Interim:
    process = subprocess.run(
        [sys.executable, *interim_question.PROGRAM],
        input=question.model_dump_json().encode(),
        capture_output=True,
    )
    if process.returncode != 0:
        sys.stderr.buffer.write(process.stderr)
        raise RuntimeError(f"the analysis ended by {cause(process.stderr, process.returncode)}")
    return Interim.model_validate_json(process.stdout)


def cause(complained: bytes, status: int) -> str:
    """By which error a program has ended, from what it wrote and its status: of a traceback the error itself, whole."""
    lines = complained.decode(errors="replace").strip().splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith("Traceback (most recent call last)")]
    error_lines = list(dropwhile(lambda line: line.startswith(" "), lines[starts[-1] + 1 :])) if starts else lines[-1:]
    ending = f"signal {signal.Signals(-status).name}" if status < 0 else f"status {status}"
    words = in_short(" ".join(error_lines))
    return (f"{ending}: {words}" if status < 0 else words) if words else f"{ending}, without a word"


def in_short(words: str) -> str:
    """An error's text in one line of a length that people read, without passwords of addresses."""
    return _PASSWORD.sub("://***@", " ".join(words.split()))[:LONGEST_CAUSE]


def _files(db: Database, job_view: JobView, page: str | None) -> list[Artifact]:
    """The job's files, and the report that will be one of them by the time anybody looks."""
    everybody = Principal("", "drawing", frozenset({"admin"}))
    files = [file for file in list_artifacts(db, job_view.job.id, everybody) if file.name != REPORT]
    if page is not None:
        content = page.encode()
        digest = hashlib.sha256(content).hexdigest()
        files.append(Artifact(REPORT, REPORT_TYPE, digest, len(content), None, job_view.job.updated_at))
    return files


def main() -> int:
    """Reads a DrawingRequest, writes the DrawnPlots, or nothing where there is no such job."""
    os.nice(19)
    order = DrawingRequest.model_validate_json(sys.stdin.buffer.read())
    db = open_database(order.database_url)
    try:
        drawn = draw(db, order.job_id, order.mlflow_uri, order.root_path)
    finally:
        db.close()
    if drawn is not None:
        sys.stdout.write(drawn.model_dump_json())
    return 0


if __name__ == "__main__":
    sys.exit(main())
