"""Examples of everything that is said of trials over HTTP, by operation: one trial from its claim to its end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

JOB, TOKEN = "9f2c41d07be3a658", "5f1d0c9be2a74c6f8d3b1e0a7c94d218"
_CLAIM = {
    "job": JOB,
    "trial": 17,
    "attempt": 2,
    "token": TOKEN,
    "stage": "search",
    "arm": "joint",
    "seed": 118351,
    "configuration": {
        "temperature": 3.7,
        "kd_weight": 0.9,
        "label_weight": 0.1,
        "optimizer": None,
        "student_temperature": None,
        "parameters": {"learning_rate": 0.0001, "pooling": "mean"},
    },
    "objective": "eval_f1",
    "direction": "maximize",
    "epochs": 6,
    "rungs": [2, 4],
    "resume": {"epoch": 3, "at": "s3://bucket/17/3"},
    "test": False,
    "renew_every": 40.0,
    "command": None,
    "arguments": {},
}
_NOTHING = {
    "claims": [],
    "done": False,
    "retry_after": 5.0,
    "why": f"4 trials of job {JOB} being trained; the next ones follow from them, or its caps allow no more at once",
}
_OVER = {
    "claims": [],
    "done": True,
    "retry_after": None,
    "why": f"every job of queue bert-kd has ended; the last one, {JOB}, completed",
}
_STUDENT = {"choices": ["tiny", "mini"]}


@dataclass(frozen=True, slots=True)
class Examples:
    """Of one operation: what is sent and what is answered, each by what it shows."""

    sent: Mapping[str, Any] = field(default_factory=dict)
    answered: Mapping[str, Any] = field(default_factory=dict)
    token: bool = False


EXAMPLES: Mapping[str, Examples] = {
    "claimTrials": Examples(
        sent={
            "the next trial of a queue": {"queue": "bert-kd", "client": "n7-0", "wait_seconds": 20, "take_up": True},
            "four trials of one job": {"job": JOB, "client": "n7-0", "most": 4, "lease_seconds": 600},
        },
        answered={
            "a trial to train": {"claims": [_CLAIM], "done": False, "retry_after": None, "why": None},
            "nothing at the moment": _NOTHING,
            "nothing any more": _OVER,
        },
    ),
    "renewLeases": Examples(
        sent={"all that one trains": {"tokens": [TOKEN, "0" * 32]}},
        answered={"one that goes on, and one that another has": {"leases": {TOKEN: "current", "0" * 32: "lost"}}},
    ),
    "reportEpochs": Examples(
        sent={
            "an epoch": {"reports": [{"epoch": 4, "metrics": {"eval_f1": 0.81, "eval_loss": 0.62}, "seconds": 92}]},
            "an epoch, and from where to go on": {
                "reports": [{"epoch": 4, "metrics": {"eval_f1": 0.81}, "seconds": 92}],
                "resume": {"epoch": 4, "at": "s3://bucket/17/4"},
            },
        },
        answered={"go on": {"stop": None}, "stop, it has ended": {"stop": "pruned"}},
        token=True,
    ),
    "completeTrial": Examples(
        sent={
            "a result": {"epoch": 6, "metrics": {"eval_f1": 0.83}},
            "an estimate, where the claim said test": {
                "epoch": 6, "metrics": {"eval_f1": 0.83}, "test": {"eval_f1": 0.82},
            },
        },
        answered={"taken": {"state": "completed"}},
        token=True,
    ),
    "failTrial": Examples(
        sent={
            "diverged": {"type": "diverged", "detail": "the loss was nan at epoch 3"},
            "no room": {"type": "infeasible", "detail": "CUDA out of memory at batch_size 64"},
            "a crash": {"type": "crashed", "detail": "KeyError: 'labels'", "log_tail": "Traceback ..."},
        },
        answered={"taken": {"state": "failed"}},
        token=True,
    ),
    "returnTrial": Examples(answered={"others go on with it": {"state": "waiting"}}, token=True),
    "putTrialArtifact": Examples(
        answered={"kept": {"name": "trial-17-student.bin", "sha256": "0" * 64, "size": 1048576}}, token=True
    ),
    "importRows": Examples(
        sent={
            "finished trials": {
                "as": "trials", "source": "runs.csv", "dry_run": True,
                "rows": [{"row": 2, "values": {"temperature": 4.0, "kd_weight": 0.9, "eval_f1": 0.81}}],
            }
        },
        answered={
            "one is not of the space": {
                "dry_run": True, "taken": 11, "known": 0,
                "refused": [{"row": 7, "field": "temperature", "value": 90, "allowed": "from 1 to 20"}],
                "unknown": [{"name": "lr", "near": ["learning_rate"]}], "note": None,
            }
        },
    ),
    "putAgent": Examples(
        sent={
            "a command": {
                "host": "node-7", "slots": 2, "commands": {"bert-kd": {"arguments": {"student": _STUDENT}, "gpus": 1}},
            }
        }
    ),
    "listAgents": Examples(
        answered={
            "one agent": {
                "items": [
                    {
                        "unreadable": None, "agent": "node-7", "host": "node-7", "slots": 2, "command": "bert-kd",
                        "arguments": {"student": _STUDENT}, "seen_at": "2026-01-01T12:00:00Z",
                    }
                ]
            }
        }
    ),
}  # fmt: skip


def add(operation: dict[str, Any]) -> None:
    """Adds an operation's examples to its description, where it has some."""
    examples = EXAMPLES.get(operation.get("operationId", ""))
    if examples is None:
        return
    if examples.sent:
        operation["requestBody"]["content"]["application/json"]["examples"] = _named(examples.sent)
    if examples.answered:
        status = next(status for status in ("200", "201") if status in operation["responses"])
        operation["responses"][status]["content"]["application/json"]["examples"] = _named(examples.answered)
    for parameter in operation.get("parameters", []):
        if examples.token and parameter["name"] == "Lease-Token":
            parameter["example"] = TOKEN


def _named(examples: Mapping[str, Any]) -> dict[str, Any]:
    return {name: {"summary": name, "value": value} for name, value in examples.items()}
