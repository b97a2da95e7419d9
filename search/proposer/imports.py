"""Imports: rows from elsewhere become points that a search tries first, or finished trials that it learns from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from search.claims import imported
from search.claims.imported import Entry, Kind, Stored
from search.errors import ImportRefused
from search.optuna_bridge import proposals, study
from search.proposer.rows import Row, RowReader
from search.records import Principal
from search.storage.db import Database
from thermowell.api.imports import RefusedField

LONGEST_SOURCE = 200


def import_rows(
    db: Database,
    storage: study.Storage,
    principal: Principal,
    job_id: str,
    kind: Kind,
    source: str,
    rows: Sequence[Row],
    dry_run: bool,
) -> dict[str, Any]:
    """What was stored of the rows, or would be; which are refused, and why. NotFound; IllegalMove; ImportRefused."""
    spec = imported.open_job(db, principal, job_id)
    if kind == "trials" and spec.trainer is None:
        raise ImportRefused(
            "the service's own workers train this job, with views of the data and initial weights of its own: what "
            "another program reached is no value of its objective, and would mislead its search. Import the rows as "
            "points: they are trained here first"
        )
    reader, entries, refusals = RowReader(spec), list[Entry](), list[RefusedField]()
    for row in rows:
        configuration, wrong = reader.configuration(row)
        value, wrong_value = reader.value(row) if kind == "trials" else (None, [])
        refusals += [*wrong, *wrong_value]
        if configuration is not None and not wrong_value:
            entries.append(Entry(f"{source}, row {row.number}"[-LONGEST_SOURCE:], configuration, value))
    if dry_run:
        outcome = imported.look_up(db, principal, job_id, entries)
    else:
        tell = proposals.finished_teller(storage, job_id, spec) if kind == "trials" else None
        outcome = imported.store(db, principal, job_id, entries, tell)
    return {
        "taken": outcome.new,
        "known": outcome.repeated,
        "refused": [{**asdict(refusal), "value": _sent(refusal.value)} for refusal in refusals],
        "unknown": [{"name": name, "near": close} for name, close in reader.unknown(rows)],
        "note": _note(kind, outcome),
    }


def _sent(value: Any) -> Any:
    """A refused value as it is answered: what JSON cannot say, in words."""
    return value if value is None or isinstance(value, bool | int) else str(value)[:100]


def _note(kind: Kind, outcome: Stored) -> str | None:
    if kind == "points" and outcome.new > outcome.room:
        return (
            f"the budget has room for {outcome.room} of these {outcome.new} points: the others are tried when it is "
            "extended"
        )
    return None
