"""The service's log: a line of JSON for each thing that happens, and a traceback that gives no variable away."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from structlog.testing import capture_logs

from service import server
from service.app import create_app
from service.settings import Settings
from tests.processes import Processes

PROGRAM = """
import structlog
from service.server import configure_logging

def fail(secret):
    raise ValueError("no")

configure_logging()
try:
    fail("a" + "b" * 8)
except ValueError:
    structlog.get_logger().exception("it failed")
"""


def test_tracebacks_show_no_variables(processes: Processes) -> None:
    logging = processes.start(sys.executable, "-c", PROGRAM)
    assert logging.wait() == 0
    [line] = logging.output().splitlines()
    logged = json.loads(line)
    assert logged["event"] == "it failed"
    assert "ValueError: no" in logged["exception"]
    assert "bbbbbbbb" not in line


def test_a_service_on_a_database_without_tables_says_so_when_it_starts(tmp_path: Path) -> None:
    with capture_logs() as lines:
        server.say_readiness(create_app(Settings(var=tmp_path)))
    assert [line["log_level"] for line in lines] == ["warning"]
    assert "run `thermowell migrate`" in lines[0]["error"]
