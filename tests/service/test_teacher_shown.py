"""How images are prepared for a given teacher stands on its job's page, with all that was measured."""

from __future__ import annotations

import httpx
from sqlalchemy import update

from search.storage import tables
from search.storage.db import Database
from tests.service.server_fixtures import Jobs

FACTS = {
    "classes": 10,
    "validation": {"accuracy": 0.91},
    "preprocessing": [
        {
            "teacher": "teacher",
            "preprocessing": {"preset": "imagenet"},
            "origin": "measured",
            "tried": [
                {"preset": "dataset", "accuracy": 0.32, "nll": 3.0},
                {"preset": "imagenet", "accuracy": 0.91, "nll": 0.3},
            ],
            "clear": True,
        }
    ],
}


def test_on_the_page(client: httpx.Client, db: Database, jobs: Jobs) -> None:
    change = update(tables.jobs).where(tables.jobs.c.id == jobs.running.id).values(teacher=FACTS)
    with db.write() as connection:
        connection.execute(change)
    page = client.get(f"/jobs/{jobs.running.id}", headers={"Accept": "text/html"}).text
    assert "preprocessing: imagenet, the best measured (dataset 32.0 %, imagenet 91.0 %)" in page
