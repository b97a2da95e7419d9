"""A stated budget of disk: what does not fit is refused before it is made, and what fits is written in pieces."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from tests.trainers.problems import assignment, problem, teacher
from trainers import run
from trainers.data import datasets, pixel_storage, plugin_views, views
from trainers.disk_budget import DiskBudget
from trainers.engines import shared_tensors
from trainers.errors import DiskBudgetExceeded, StorageFault
from trainers.registry import plugins
from trainers.spec import Data, Precision, Teacher, Training
from trainers.teaching import teacher as room
from trainers.zoo import weights

QUICK = teacher(training=Training(1, 64))
FEW = Data("digits", train_size=100, augmentation="shift")


def test_what_is_too_much_is_said_with_what_is_there_and_the_way_out(tmp_path: Path) -> None:
    budget = DiskBudget(tmp_path / "new", 10_000_000)
    budget.take("pictures", 4_000_000, "lower dataset.image_size")
    with pytest.raises(
        DiskBudgetExceeded,
        match=r"views need 7\.00 MB of disk; the budget of this job is 10\.00 MB \(THERMOWELL_DISK_GB\), of which are "
        r"taken: pictures 4\.00 MB; .* GB are free: lower teacher\.views, or raise THERMOWELL_DISK_GB",
    ):
        budget.take("views", 7_000_000, "lower teacher.views")
    budget.take("views", 6_000_000, "lower teacher.views")
    budget.anew().take("other pictures", 10_000_000, "")


def test_a_disk_without_room_is_no_fault_of_the_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=5_000_000))
    with pytest.raises(StorageFault, match=r"views need 7\.00 MB of disk; 5\.00 MB are free") as raised:
        DiskBudget(tmp_path).take("views", 7_000_000, "lower teacher.views")
    assert raised.value.errno == errno.ENOSPC


def test_logits_that_do_not_fit_are_refused_before_the_teacher_is_trained(roots: run.Roots) -> None:
    wanted = problem(data=FEW, teacher=QUICK)
    size = 2 * 100 * 10 * 4 + 359 * 10 * 4
    with pytest.raises(
        DiskBudgetExceeded,
        match=r"logits \(2 views of 100 images, 10 classes\) need 0.02 MB .*lower teacher.views or dataset.train_size",
    ):
        run.prepare(wanted, replace(roots, disk_bytes=size - 1), "cpu")
    assert not list(roots.store.rglob("*.safetensors"))
    ready = run.prepare(wanted, replace(roots, disk_bytes=size), "cpu")
    again = run.prepare(wanted, replace(roots, disk_bytes=1), "cpu")  # they are there
    assert torch.equal(ready.train_logits, again.train_logits)


def test_pictures_that_do_not_fit_are_refused_before_they_are_read(
    roots: run.Roots, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pixel_storage, "MEMORY_BYTES", 1000)
    monkeypatch.setattr(datasets, "distribute", None)
    with pytest.raises(DiskBudgetExceeded, match=r"lower dataset\.image_size or dataset\.train_size, or raise"):
        datasets.load(FEW, roots.data, DiskBudget(roots.store, 20_000))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_logits_are_written_in_pieces_into_the_bytes_of_one_file(
    roots: run.Roots, precision: Precision, monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces: list[int] = []
    predict = room.predict_batches

    def counted(model: torch.nn.Module, batches: Iterable[torch.Tensor], precision: Precision) -> torch.Tensor:
        logits = predict(model, batches, precision)
        pieces.append(len(logits))
        return logits

    monkeypatch.setattr(room, "predict_batches", counted)
    monkeypatch.setattr(views, "PREDICTION_BATCH", 30)
    ready = run.prepare(problem(data=FEW, teacher=QUICK, precision=precision), roots, "cpu")
    assert pieces == [30, 30, 30, 10] * 2
    (file,) = [path for path in roots.store.rglob("*.safetensors") if not path.name.startswith("weights-")]
    tensors = {"train": ready.train_logits, "validation": ready.validation_logits}
    assert file.read_bytes() == safetensors.torch.save(tensors)


def test_a_file_that_is_not_finished_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    shapes: dict[str, weights.Shape] = {"a": (torch.float16, (3,)), "b": (torch.float32, (2, 2))}
    with pytest.raises(ZeroDivisionError), weights.writing(path, shapes) as tensors:
        tensors["a"].fill_(1 / 0)
    assert not list(path.parent.iterdir())
    with weights.writing(path, shapes) as tensors:
        tensors["a"].fill_(1)
        tensors["b"].fill_(2)
    assert weights.size_of(shapes) == 22
    assert path.read_bytes() == safetensors.torch.save({"a": torch.ones(3).half(), "b": torch.full((2, 2), 2.0)})


def test_views_that_are_all_the_same_are_stored_once(roots: run.Roots, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = problem(data=Data("digits", train_size=100), teacher=QUICK, views=30)
    ready = run.prepare(wanted, roots, "cpu")
    assert ready.train_logits.shape == (30, 100, 10)
    (file,) = roots.store.rglob("1v-*.safetensors")
    assert file.stat().st_size < 100 * 10 * 4 + 359 * 10 * 4 + 1000
    older = file.with_name(file.name.removeprefix("1v-"))  # as it was stored, view by view
    weights.save({"train": ready.train_logits + 1, "validation": ready.validation_logits}, older)
    older.with_suffix(".json").write_text(file.with_suffix(".json").read_text())
    monkeypatch.setattr(room, "_taught", None)
    assert torch.equal(run.prepare(wanted, roots, "cpu").train_logits, ready.train_logits + 1)


def test_an_ensemble_is_the_mean_of_its_members_piece_by_piece(
    roots: run.Roots, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = tuple(replace(QUICK, seed=seed) for seed in range(2))
    data = FEW
    alone = [run.prepare(problem(data=data, teacher=member), roots, "cpu").train_logits for member in members]
    monkeypatch.setattr(room.logits, "PREDICTION_BATCH", 30)
    together = run.prepare(problem(data=data, teacher=Teacher("ensemble", members=members)), roots, "cpu")
    assert torch.equal(together.train_logits, alone[0] / 2 + alone[1] / 2)


def test_children_map_the_pixels_where_they_lie(roots: run.Roots, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixel_storage, "MEMORY_BYTES", 1000)
    pixels = pixel_storage.array((100, 1000), np.dtype(np.uint8), DiskBudget(roots.store))
    pixels[:] = np.arange(1000) % 251
    tensor = torch.from_numpy(pixels)
    repeated = torch.arange(1000.0).reshape(1, 10, 100).expand(50, -1, -1)
    value = {"all": tensor, "few": tensor[30:40], "alike": repeated}
    path = roots.data / "parcel"
    back = shared_tensors.load_tensors(shared_tensors.save_tensors(value, path), path)
    assert path.stat().st_size < 5000
    assert all(torch.equal(back[name], value[name]) for name in value)
    address = tensor.data_ptr()
    del pixels, tensor, value
    assert address not in pixel_storage._files


def test_a_plugins_views_lie_on_disk_within_the_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def shifted(images: Any, seed: int) -> Any:
        return images + np.uint8(seed % 7)

    monkeypatch.setattr(plugins, "code_of", lambda kind, name: (None, shifted))
    monkeypatch.setattr(pixel_storage, "MEMORY_BYTES", 1000)
    images = torch.arange(600, dtype=torch.uint8).reshape(6, 1, 10, 10)
    plain = plugin_views.draw("acme/shifted", images, 0, 3)
    mapped = plugin_views.draw("acme/shifted", images, 0, 3, DiskBudget(tmp_path, 1800))
    assert torch.equal(plain, mapped)
    assert pixel_storage.path_of(mapped) is not None
    assert pixel_storage.path_of(plain) is None
    with pytest.raises(DiskBudgetExceeded, match=r"3 views by acme/shifted need .* lower teacher\.views"):
        plugin_views.draw("acme/shifted", images, 0, 3, DiskBudget(tmp_path, 1799))


def test_processes_train_on_mapped_pixels_as_the_loop_does(roots: run.Roots, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixel_storage, "MEMORY_BYTES", 1000)
    ready = run.prepare(problem(data=FEW, teacher=QUICK), roots, "cpu")
    assert pixel_storage.path_of(ready.validation_images) is not None
    path = roots.store / "parcel"
    content = shared_tensors.save_tensors(ready, path)
    losses = []
    for prepared in (ready, shared_tensors.load_tensors(content, path)):
        engine = run.open_engine(prepared)
        engine.admit(assignment())
        losses.append(engine.step_epoch()[0].train_loss)  # type: ignore[union-attr]
    assert losses[0] == losses[1]
