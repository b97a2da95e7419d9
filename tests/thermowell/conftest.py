"""Both clients of a real service, whose fixtures are those of the service's own tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.service.conftest import db as db
from tests.service.conftest import furnished as furnished
from tests.service.conftest import jobs as jobs
from tests.service.conftest import reader as reader
from tests.service.conftest import settings as settings
from tests.thermowell.blocking import asynchronous
from thermowell import Client

Connect = Callable[..., Any]


@pytest.fixture(params=["sync", "async"])
def connect(request: pytest.FixtureRequest) -> Connect:
    """Makes a client: the synchronous one, or the asynchronous one behind the same methods."""
    return Client if request.param == "sync" else asynchronous
