"""What a request's body says in numbers is numbers: true is none, though Python takes it for one."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.service.server_fixtures import Jobs


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/jobs/{job}/extend", {"trials": True}),
        ("/v1/jobs/{job}/extend", {"epochs": True}),
        ("/v1/jobs/{job}/extend", {"seconds": False}),
        ("/v1/jobs/{job}/share", {"priority": True}),
        ("/v1/jobs/{job}/share", {"parallel": True}),
        ("/v1/keys", {"name": "k", "scopes": ["read"], "quota": {"jobs": True}}),
    ],
)
def test_true_is_no_number_of_any_body(client: httpx.Client, jobs: Jobs, path: str, body: dict[str, Any]) -> None:
    refused = client.post(path.format(job=jobs.running.id), json=body)
    assert refused.status_code == 422, refused.text
    assert "must be a number, got" in refused.json()["detail"]
