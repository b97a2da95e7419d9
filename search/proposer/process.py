"""`python -m search.proposer`: orders as lines of JSON from stdin, answers as lines to stdout, as each is done.

A program of its own, started by the API and kept: samplers and the analysis need numerics that the API starts without.
It ends with its stdin. Each order has an id, which its answer repeats; several are worked on at once.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import structlog

from search.errors import ThermowellError
from search.optuna_bridge import study
from search.optuna_bridge.repair import Repairer
from search.proposer import claims, imports
from search.proposer.conclusion import Concluder
from search.proposer.rows import Row
from search.records import Principal
from search.requests.external import Order, Selection
from search.storage.db import open_database
from search.worker.heartbeat import Heartbeat

THREADS = 8
_log = structlog.get_logger(__name__)


class Proposer:
    """Answers orders; one of each kind of work on whole jobs at a time."""

    def __init__(self, database_url: str, lease_seconds: float) -> None:
        self.db = open_database(database_url)
        self.storage = study.optuna_storage(self.db)
        name = f"proposer-{socket.gethostname()[:30]}-{os.getpid()}-{secrets.token_hex(3)}"
        self.heartbeat = Heartbeat(self.db, name, lease_seconds, lambda: None)
        self.heartbeat.start()
        self.repairer = Repairer(self.db, self.storage, lease_seconds)
        self.concluder = Concluder(self.db, name, lease_seconds, self.heartbeat, self.repairer)
        self._concluding = threading.Lock()
        self._repair_every, self._repaired_at = lease_seconds, time.monotonic()

    def answer(self, order: dict[str, Any]) -> dict[str, Any]:
        """What an order is answered with: `claims`, `imported`, or `concluded`."""
        if "claim" in order:
            details = order["claim"]
            claim_order = Order(Selection(**details.pop("selection")), **details)
            trials = claims.claim_trials(self.db, self.storage, _principal(order), claim_order)
            return {"claims": [claims.as_document(claim, claim_order.lease_seconds) for claim in trials]}
        if "import" in order:
            return {"imported": self._import(order["import"], _principal(order))}
        with self._concluding:
            if time.monotonic() - self._repaired_at >= self._repair_every:
                self.repairer.run()
                self._repaired_at = time.monotonic()
            return {"concluded": self.concluder.run()}

    def _import(self, order: dict[str, Any], principal: Principal) -> dict[str, Any]:
        rows = [Row(row["row"], row["values"]) for row in order["rows"]]
        place = (order["job"], order["as"], order["source"])
        return imports.import_rows(self.db, self.storage, principal, *place, rows, order["dry_run"])

    def close(self) -> None:
        """Ends the heartbeat and gives the connections back."""
        self.heartbeat.stop()
        study.close_storage(self.storage)
        self.db.close()


def _principal(order: dict[str, Any]) -> Principal:
    return Principal(**{**order["principal"], "scopes": frozenset(order["principal"]["scopes"])})


def respond(proposer: Proposer, order: dict[str, Any]) -> dict[str, Any]:
    """The answer to an order, or the problem that it met."""
    try:
        return proposer.answer(order)
    except ThermowellError as error:
        return {"problem": {"slug": error.slug, "detail": str(error)}}
    except Exception as error:
        _log.exception("an order failed")
        return {"problem": {"slug": "internal", "detail": f"{type(error).__name__}: {error}"[:500]}}


def serve(proposer: Proposer) -> None:
    """Answers every line until there are no more."""
    writing = threading.Lock()

    def work(line: bytes) -> None:
        order = json.loads(line)
        text = json.dumps({"id": order.pop("id"), **respond(proposer, order)}, allow_nan=False)
        with writing:
            sys.stdout.buffer.write(text.encode() + b"\n")
            sys.stdout.buffer.flush()

    with ThreadPoolExecutor(THREADS) as pool:
        for line in sys.stdin.buffer:
            pool.submit(work, line)


def main() -> int:
    """Reads where the database is, since that may hold a password, then orders; 0 when they end."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    first = json.loads(sys.stdin.buffer.readline())
    proposer = Proposer(first["database_url"], first["lease_seconds"])
    sys.stdout.buffer.write(b'{"ready": true}\n')
    sys.stdout.buffer.flush()
    try:
        serve(proposer)
    finally:
        proposer.close()
    return 0
