"""Weights that are sent over HTTP: converted by a process of its own, and refused with what is wrong with them."""

from __future__ import annotations

import io
import json
import os
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
from typer.testing import CliRunner

from search.requests import weights as sending
from service import cli
from service.settings import Settings
from tests.service.conftest import serving
from tests.service.problems import refused
from thermowell import Client
from thermowell.api.files import sent_name
from trainers import weight_files
from trainers.derived import digest_of
from trainers.spec import Model
from trainers.zoo import models, weights

MODEL = Model("cnn", {"width": 4, "depth": 2})
CNN = {"model": "cnn", "arguments": json.dumps(MODEL.arguments), "channels": 1, "size": 8}


def saved(content: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream)
    return stream.getvalue()


def state() -> dict[str, torch.Tensor]:
    return models.build(MODEL, 1, (8, 8), 7, seed=3).state_dict()


def send(client: httpx.Client, content: bytes, name: str = "own.pth", **query: Any) -> httpx.Response:
    return client.post("/v1/weights", params={"name": name, **query}, content=content, timeout=120)


def stored(settings: Settings) -> set[str]:
    """The digests of files that lie where weights do."""
    return {path.name for path in settings.artifact_root.glob("??/*")}


@pytest.fixture
def without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "_has_converter", lambda: False)


@pytest.mark.slow
def test_is_converted_as_the_command_does_it_here(client: httpx.Client, settings: Settings, tmp_path: Path) -> None:
    """By the client, by the command, and by the program that both run: one digest."""
    path = tmp_path / "own.pth"
    path.write_bytes(saved({"state_dict": {f"module.{name}": tensor for name, tensor in state().items()}}))
    weight_files.add(path, tmp_path / "here", MODEL, 1, (8, 8), None)
    url = str(client.base_url)
    with Client(url) as asking:
        kept = asking.add_weights(path, model="cnn", arguments=MODEL.arguments, channels=1, size=8)
        assert kept.artifact == digest_of(tmp_path / "here")
        assert kept.classes == 7
        assert "unwrapped: state_dict, module." in kept.lines
    tensors = weights.load_artifact(settings.artifact_root, kept.artifact)
    assert all(torch.equal(tensors[name], tensor) for name, tensor in state().items())
    of_model = ["--model", "cnn", "--arguments", CNN["arguments"], "--channels", "1", "--size", "8"]
    command = CliRunner().invoke(cli.build(), ["weights", "add", str(path), "--url", url, *map(str, of_model)])
    assert (command.exit_code, command.stdout.strip()) == (0, kept.artifact)


class Evil:
    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.place),)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda folder: {"a": torch.zeros(2), "b": Evil(folder / "ran")},
            "which are not read, for they could run code",
        ),
        (lambda _: {"a": torch.zeros(1).expand(10**6, 10**6)}, "memory"),  # 4 TB of a file of a kilobyte
    ],
    ids=["code", "bomb"],
)
def test_what_a_conversion_does_not_survive_is_refused(
    client: httpx.Client, settings: Settings, tmp_path: Path, make: Callable[[Path], Any], words: str
) -> None:
    before = stored(settings)
    problem = refused(send(client, saved(make(tmp_path))), 422, "weights-refused")
    assert words in problem["detail"]
    assert not (tmp_path / "ran").exists()
    assert stored(settings) == before
    assert client.get("/healthz").status_code == 200


def archive(*entries: tuple[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in entries:
            packed.writestr(name, content)
    return stream.getvalue()


SAFE = weights.safetensors.torch.save({"a": torch.zeros(3)})
REFUSED: dict[str, tuple[str, bytes, str]] = {
    "an archive that unpacks to more": ("own.pth", archive(("data.pkl", bytes(10**6))), "unpacks to more than it is"),
    "an archive cut off": ("own.pth", saved(state())[:-1000], "it is not whole"),
    "safetensors cut off": ("own.safetensors", SAFE[:-1], "it is not whole"),
    "a real archive of tar": ("own.pth.tar", b"ustar" * 200, "no file of weights that torch has saved"),
    "safetensors under another name": ("own.pth", SAFE[:-1], "it is not whole"),
    "a header beyond the file": ("own.safetensors", b"\xff" * 8 + b"{}", "it is no safetensors file"),
    "a header of many brackets": ("own.safetensors", (10**5).to_bytes(8, "little") + b"[" * 10**5, "no safetensors"),
    "no tensors": ("own.safetensors", (2).to_bytes(8, "little") + b"{}", "it holds no tensors"),
    "nothing": ("own.bin", b"", "no file of weights that torch has saved"),
    "a picture": ("own.pt", b"\x89PNG\r\n\x1a\n....", "no file of weights that torch has saved"),
    "a text": ("own.pt", b"cos\nsystem\n(S'true'\ntR.", "no file of weights that torch has saved"),
}


@pytest.fixture(scope="module")
def looking(furnished: tuple[Path, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A service that takes files of 100,000 bytes at most."""
    var = tmp_path_factory.mktemp("looking")
    settings = Settings.model_validate({"var": var / "none", "database_url": f"sqlite:///{furnished[0]}/thermowell.db"})
    with serving(settings.model_copy(update={"weights_limit": 200_000})) as url, httpx.Client(base_url=url) as asking:
        yield asking


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_file_of_weights_is_refused_at_once(looking: httpx.Client, case: str) -> None:
    name, content, words = REFUSED[case]
    assert words in refused(send(looking, content, name), 422, "weights-refused")["detail"]


def test_a_file_that_is_too_large_is_refused_before_it_is_sent(looking: httpx.Client) -> None:
    refused(send(looking, bytes(200_001)), 413, "too-large")
    refused(looking.post("/v1/weights", params={"name": "a.pt"}, content=iter([bytes(150_000)] * 2)), 413, "too-large")
    refused(looking.post("/v1/jobs", content=bytes(2 * 1024**2)), 413, "too-large")  # others are held to what they were


@pytest.mark.parametrize(
    "name",
    ["", ".pth", "../own.pth", "a/b.pth", "/etc/own.pth", "own.exe", "own.pth\n", "own.pth.zip", "-own.pth", "pth"],
)
def test_names_that_are_none_of_weights_are_refused(looking: httpx.Client, name: str) -> None:
    refused(send(looking, SAFE, name), 422, "request-invalid")


@pytest.mark.parametrize(
    ("query", "slug"),
    [
        ({"arguments": "[]", "model": "cnn"}, "weights-refused"),
        ({"preprocessing": "imagnet"}, "weights-refused"),
        ({"channels": 4}, "request-invalid"),
        ({"size": 10**6}, "request-invalid"),
    ],
)
def test_what_is_said_of_it_is_checked(looking: httpx.Client, query: dict[str, Any], slug: str) -> None:
    refused(send(looking, SAFE, "own.safetensors", **query), 422, slug)


def test_a_service_without_torch_takes_safetensors_as_they_are(
    client: httpx.Client, settings: Settings, without_torch: None
) -> None:
    answer = send(client, SAFE, "own.safetensors")
    assert answer.status_code == 201
    assert (settings.artifact_root / answer.json()["artifact"][:2] / answer.json()["artifact"]).read_bytes() == SAFE
    assert "it is deleted after 30 days in which no job names it" in answer.json()["lines"]
    (note,) = (settings.artifact_root / "sent").iterdir()
    assert note.name.startswith(answer.json()["artifact"])
    for name, content, query in (("own.pth", saved(state()), {}), ("own.safetensors", SAFE, CNN)):
        problem = refused(send(client, content, name, **query), 503, "converter-missing")
        assert "thermowell weights add" in problem["detail"]


@pytest.mark.parametrize(
    "name",
    [
        "epoch=9-step=100.ckpt",
        "model best (1).pth",
        "poids été.pt",
        "checkpoint.pth.tar",
        "-x.bin",
        "模型.pth",
        "é.pt",
        "（１）.ckpt",
        "a" * 300 + ".safetensors",
    ],
)
def test_a_file_is_sent_under_a_name_that_the_service_takes(name: str) -> None:
    taken = sent_name(name)
    assert re.fullmatch(sending.NAME.strip("^$"), taken)
    assert taken.endswith(Path(name).suffix)
