"""Requests to a service that is away, overloaded, or no such service."""

from __future__ import annotations

import http.server
import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from thermowell import NotFound, Refused, Unreachable
from thermowell.trial import connections, transport
from thermowell.trial.transport import Transport


@dataclass
class Script:
    """What a server answers, one after the other, and what it was asked."""

    answers: list[tuple[int, dict[str, str], Any]]
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Script]:
    one = Script([])
    monkeypatch.setattr(transport, "PAUSES", (0.001, 0.002))

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            one.requests.append((self.path, dict(self.headers), body))
            status, headers, document = one.answers.pop(0)
            if status == 0:
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            content = document if isinstance(document, bytes) else json.dumps(document).encode()
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_PUT = do_POST

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        one.url = f"http://127.0.0.1:{server.server_address[1]}"
        yield one
        server.shutdown()
        thread.join()


FINE = (200, {}, {"fine": True})


@pytest.fixture
def keeping(script: Script, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The ports from which a server was asked that keeps connections, each as it was opened."""
    ports: list[int] = []
    setup = http.server.BaseHTTPRequestHandler.setup

    def noted(handler: http.server.BaseHTTPRequestHandler) -> None:
        setup(handler)
        ports.append(handler.client_address[1])

    monkeypatch.setattr(http.server.BaseHTTPRequestHandler, "protocol_version", "HTTP/1.1")
    monkeypatch.setattr(http.server.BaseHTTPRequestHandler, "setup", noted)
    return ports


def test_a_connection_is_kept_for_the_next_request(script: Script, keeping: list[int]) -> None:
    script.answers = [FINE, (404, {}, {"type": "/problems/not-found"}), FINE]
    asking = Transport(script.url, patience=0)
    asking.post("/v1/x")
    with pytest.raises(NotFound):
        asking.post("/v1/x")
    asking.post("/v1/x")
    assert len(keeping) == 1


def test_one_that_was_closed_meanwhile_is_opened_anew(
    script: Script, keeping: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    script.answers = [FINE, (0, {}, None), FINE, FINE]
    asking = Transport(script.url, patience=0)
    asking.post("/v1/x")
    asking.post("/v1/x", {"a": 1})  # closed while it is asked: at once once more, over another
    assert [body for _, _, body in script.requests][1:] == [b'{"a": 1}'] * 2
    monkeypatch.setattr(connections, "IDLE_SECONDS", -1.0)
    asking.post("/v1/x")
    assert len(keeping) == 3


def test_a_forked_process_opens_its_own(script: Script, keeping: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    script.answers = [FINE, FINE]
    asking = Transport(script.url, patience=0)
    asking.post("/v1/x")
    monkeypatch.setattr(connections.os, "getpid", lambda: -1)
    asking.post("/v1/x")
    assert len(keeping) == 2


def test_a_proxy_is_spoken_to_as_ever(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    script.answers = [FINE, (503, {"Retry-After": "0"}, {}), FINE]
    monkeypatch.setenv("http_proxy", script.url)
    monkeypatch.setenv("no_proxy", "")
    assert Transport("http://elsewhere.example").post("/v1/x") == {"fine": True}
    assert Transport("http://elsewhere.example").post("/v1/x") == {"fine": True}
    assert {path for path, _, _ in script.requests} == {"http://elsewhere.example/v1/x"}


@pytest.mark.parametrize(
    "bad",
    [
        (0, {}, None),
        (500, {}, b"<html>"),
        (502, {}, {}),
        (503, {"Retry-After": "0"}, {"type": "/problems/database-unavailable", "detail": "away"}),
        (429, {"Retry-After": "0"}, {"type": "/problems/too-often", "detail": "slower"}),
        (429, {"Retry-After": "Thu, 01 Jan 1970 00:00:00 GMT"}, {}),
        (200, {}, b"half an ans"),
        (200, {"Content-Length": "99"}, b"{}"),
    ],
)
def test_what_passes_is_asked_again(script: Script, bad: Any) -> None:
    script.answers = [bad, bad, FINE]
    assert Transport(script.url, "secret", 60).post("/v1/x", {"a": 1}) == {"fine": True}
    assert [json.loads(body) for _, _, body in script.requests] == [{"a": 1}] * 3
    assert script.requests[2][1]["Authorization"] == "Bearer secret"


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        ((404, {}, {"type": "/problems/not-found", "detail": "no such job"}), NotFound, "no such job"),
        ((409, {}, {"type": "/problems/lease-lost", "detail": "gone"}), Refused, "gone"),
        (
            (422, {}, {"type": "/problems/request-invalid", "errors": [{"path": "a", "message": "bad"}]}),
            Refused,
            "a: bad",
        ),
        ((503, {}, {"type": "/problems/proposer-missing", "detail": "install analysis"}), Refused, "install analysis"),
        ((301, {"Location": "https://there"}, {}), Refused, "sends on to https://there"),
        ((404, {}, b"<html>"), Refused, "404 Not Found"),
        ((404, {}, [1]), Refused, "404 Not Found"),
    ],
)
def test_what_does_not_pass_is_not(script: Script, answer: Any, kind: type[Exception], words: str) -> None:
    script.answers = [answer]
    with pytest.raises(kind, match=words):
        Transport(script.url).post("/v1/x")
    assert len(script.requests) == 1


def test_retry_after_is_obeyed(script: Script) -> None:
    script.answers = [(503, {"Retry-After": "0.2"}, {}), FINE]
    start = time.monotonic()
    Transport(script.url).post("/v1/x")
    assert time.monotonic() - start >= 0.2


def test_patience_has_an_end(script: Script, caplog: pytest.LogCaptureFixture) -> None:
    script.answers = [(503, {}, {"detail": "starting"})] * 1000
    with pytest.raises(Unreachable, match="503: starting") as lost:
        Transport(script.url, patience=0.05).post("/v1/x")
    assert lost.value.status == 503
    assert 1 < len(script.requests) < 1000
    assert "the next attempt is in" in caplog.text


def test_nobody_there_is_unreachable() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{listener.getsockname()[1]}"  # as people write it
        with pytest.raises(Unreachable, match=r"cannot reach http://127.*refused"):
            Transport(address, patience=0).post("/v1/x")


def test_a_file_is_sent_whole_each_time(script: Script, tmp_path: Any) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 100_000)
    script.answers = [(503, {}, {}), FINE]
    with path.open("rb") as file:
        Transport(script.url).send("PUT", "/v1/f", file, {"Content-Length": "100000"})
    assert [len(body) for _, _, body in script.requests] == [100_000] * 2
