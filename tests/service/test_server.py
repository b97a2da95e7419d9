"""The service's log: a line of JSON for each thing that happens, and a traceback that gives no variable away."""

from __future__ import annotations

import json
import sys

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
