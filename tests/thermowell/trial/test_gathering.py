"""Reports that wait for each other: what is sent, and when."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from thermowell.errors import Refused, refusal
from thermowell.trial import channels
from thermowell.trial.channels import ServiceChannel

CLAIM = {"job": "9f", "trial": 3, "token": "t", "rungs": []}


class Service:
    """What a channel sends, and what it is answered."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, Any]] = []
        self.answers: list[Any] = []
        self.reported = threading.Event()

    def post(self, path: str, document: Any = None, **_: Any) -> Any:
        self.requests.append((path.rsplit("/", 1)[1], document))
        answer = self.answers.pop(0) if self.answers else {"stop": None}
        self.reported.set()
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def epochs(self) -> list[list[int]]:
        """The epochs of each request that reports some."""
        return [[entry["epoch"] for entry in said["reports"]] for verb, said in self.requests if verb == "reports"]


def entry(epoch: int) -> dict[str, Any]:
    return {"epoch": epoch, "metrics": {"accuracy": 0.5}, "seconds": 0.001}


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    monkeypatch.setattr(channels, "EVERY", 600.0)
    return Service()


def channel(service: Service, **changes: Any) -> ServiceChannel:
    return ServiceChannel(service, CLAIM | changes, renews=False)  # type: ignore[arg-type]


def test_the_first_report_is_sent_at_once_and_later_ones_with_the_end(service: Service) -> None:
    speaking = channel(service)
    for epoch in range(1, 6):
        assert speaking.report(entry(epoch), None) is None
    speaking.complete({"epoch": 5, "metrics": {"accuracy": 0.5}})
    assert [verb for verb, _ in service.requests] == ["reports", "reports", "complete"]
    assert service.epochs == [[1], [2, 3, 4, 5]]


@pytest.mark.parametrize("end", ["fail", "give_back"])
def test_other_ends_send_what_waits_too(service: Service, end: str) -> None:
    speaking = channel(service)
    for epoch in (1, 2):
        speaking.report(entry(epoch), None)
    service.answers = [refusal({"type": "/problems/report-refused", "status": 422, "detail": "no"})]
    if end == "fail":
        speaking.fail("crashed", "x", "")
    else:
        speaking.give_back()
    assert [verb for verb, _ in service.requests] == ["reports", "reports", "return" if end == "give_back" else "fail"]


def test_where_a_pruner_decides_nothing_waits(service: Service) -> None:
    speaking = channel(service, rungs=[2])
    service.answers = [{"stop": None}, {"stop": "pruned"}]
    assert [speaking.report(entry(1), None), speaking.report(entry(2), None)] == [None, "pruned"]
    assert service.epochs == [[1], [2]]


def test_a_checkpoint_is_said_at_once_with_what_waits(service: Service) -> None:
    speaking = channel(service)
    for epoch in (1, 2):
        speaking.report(entry(epoch), None)
    speaking.report(entry(3), {"epoch": 3, "at": "x"})
    assert service.epochs == [[1], [2, 3]]
    assert service.requests[-1][1]["resume"] == {"epoch": 3, "at": "x"}


def test_what_waits_is_sent_when_its_time_is_over(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels, "EVERY", 0.05)
    speaking = channel(service)
    speaking.report(entry(1), None)
    service.reported.clear()
    speaking.report(entry(2), None)
    assert service.reported.wait(10)
    assert service.epochs == [[1], [2]]


def test_why_to_stop_is_known_at_the_next_report(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels, "EVERY", 0.0)
    speaking = channel(service)
    service.answers = [{"stop": "cancelled"}]
    assert speaking.report(entry(1), None) == "ended"
    assert speaking.report(entry(2), None) == "ended"
    assert service.epochs == [[1]]


def test_what_is_refused_later_is_raised_by_what_is_said_next(service: Service) -> None:
    speaking = channel(service)
    speaking.report(entry(1), None)
    speaking.report(entry(99), None)
    service.answers = [refusal({"type": "/problems/report-refused", "status": 422, "detail": "epochs go from 1"})]
    speaking._send_late()
    with pytest.raises(Refused, match="epochs go from 1"):
        speaking.complete({"epoch": 5, "metrics": {}})
    speaking.complete({"epoch": 5, "metrics": {}})
    assert service.requests[-1][0] == "complete"
