"""A service over jobs and a study whose trials are made up: every page has something to show at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy

from search.claims import artifacts, reporting
from search.storage import tables
from search.storage.db import Database, open_database
from search.storage.folder import Folder
from search.studies.records import StudyDetail
from service.settings import Settings
from tests.browser.site import Site
from tests.service import server_fixtures
from tests.service.server_fixtures import Jobs, serving
from trainers.spec import EpochReport, Metrics

LOG = "reading data\nepoch 1 of 2: accuracy 0.61"
FILE = "curve.csv"


@dataclass(frozen=True)
class Furnished:
    """The service, which is open to this machine, what is in it, and the way into its database."""

    site: Site
    db: Database
    jobs: Jobs
    study: StudyDetail  # of three cells: two are answered, the last has failed
    trial: int  # of the running job: in training, with a curve, a log and a file

    def path(self, template: str) -> str:
        """An address with the ids of what is in the service."""
        ids = {kind: getattr(self.jobs, kind).id for kind in ("completed", "running", "queued", "cancelled")}
        cells = {"answered": self.study.cells[0].job_id, "failed": self.study.cells[-1].job_id}
        return template.format(**ids, **cells, study=self.study.id, trial=self.trial)


@contextmanager
def furnished(folder: Path) -> Iterator[Furnished]:
    """The service over a new database in this folder."""
    jobs = server_fixtures.furnish(folder)
    db = open_database(f"sqlite:///{folder / 'thermowell.db'}")
    root = folder / "artifacts"
    levels = {"training.epochs": [2, 3, 5]}
    study = server_fixtures.cross(db, root, answered=2, name="lengths", factors=levels)
    trial = _train(db, root, jobs)
    with db.write() as connection:  # as it is some minutes later, with a worker that is still heard
        connection.exec_driver_sql("UPDATE tw_jobs SET updated_at = updated_at - 600")
        connection.exec_driver_sql("UPDATE tw_reports SET reported_at = reported_at - 600")
        connection.exec_driver_sql("UPDATE tw_workers SET silent_at = silent_at + 86400")
        connection.exec_driver_sql("UPDATE tw_leases SET expires_at = expires_at + 86400")
    settings = {"var": folder, "lease_seconds": 1e6, "show_seconds": 3600.0, "stream_poll_seconds": 0.05}
    try:
        with serving(Settings.model_validate(settings)) as url:
            yield Furnished(Site(url, {}, {}), db, jobs, study, trial)
    finally:
        db.close()


def _train(db: Database, root: Path, jobs: Jobs) -> int:
    """A trial of the running job that has reported an epoch, with the end of its log and a file; its number."""
    claim = server_fixtures.claim_one(db, jobs.running)
    assert claim is not None
    reached = Metrics(0.61, 1.1, 0.08, 0.8, 1.2)
    reporting.report(db, claim.token, claim.trial_id, EpochReport(0, str(claim.trial_id), 1, 1.3, 0.1, 0.01, reached))
    file = root / FILE
    file.write_text("epoch,accuracy\n1,0.61\n")
    name = f"trial-{claim.number}-{FILE}"
    artifacts.store(db, Folder(root), claim.token, name, "text/csv", file, claim.trial_id)
    with db.write() as connection:
        rows = tables.trials.c.id == claim.trial_id
        connection.execute(sqlalchemy.update(tables.trials).where(rows).values(log_tail=LOG))
    return claim.number
