"""Augmented views: what they may do to an image, and that every engine and worker sees the same."""

from __future__ import annotations

import pytest
import torch

from trainers.data import augment, views
from trainers.spec import AugmentationName


def made(augmentation: AugmentationName, count: int = 3, seed: int = 0, size: int = 8) -> views.Views:
    images = torch.arange(20 * size * size, dtype=torch.int64).remainder(255).add(1).to(torch.uint8)
    normalise = views.Normaliser((0.0,), (1 / 255,), torch.device("cpu"))  # leaves the pixels as they are
    return views.Views(images.reshape(20, 1, size, size), normalise, augmentation, seed, count)


ALL = torch.arange(20)


def test_no_augmentation_shows_the_image_itself() -> None:
    shown = made("none")
    assert torch.equal(shown.batch(0, ALL), shown.batch(2, ALL))
    assert float(shown.batch(0, ALL).min()) >= 1


@pytest.mark.parametrize(("augmentation", "size", "far"), [("shift", 8, 1), ("shift", 32, 2), ("crop", 32, 4)])
def test_moves_reach_so_far_and_no_farther(augmentation: AugmentationName, size: int, far: int) -> None:
    moves = augment.draw(augmentation, 0, 4, 500, (size, size))
    assert moves.down.unique().tolist() == list(range(-far, far + 1))
    assert moves.right.unique().tolist() == list(range(-far, far + 1))
    assert not moves.mirrored.any()


def test_half_of_the_images_are_mirrored_by_crop_flip() -> None:
    mirrored = augment.draw("crop_flip", 0, 4, 500, (32, 32)).mirrored
    assert 0.4 < float(mirrored.double().mean()) < 0.6


def test_one_move_by_hand() -> None:
    image = torch.arange(1, 10, dtype=torch.uint8).reshape(1, 1, 3, 3)
    one = torch.tensor([1])
    down_right = augment.move_images(image, torch.tensor([0]), one, one, torch.tensor([False]))
    assert down_right[0, 0].tolist() == [[0, 0, 0], [0, 1, 2], [0, 4, 5]]
    mirrored = augment.move_images(image, torch.tensor([0]), one * 0, one * 0, torch.tensor([True]))
    assert mirrored[0, 0].tolist() == [[3, 2, 1], [6, 5, 4], [9, 8, 7]]
    both = augment.move_images(image, torch.tensor([0]), one * 0, -one, torch.tensor([True]))
    assert both[0, 0].tolist() == [[2, 1, 0], [5, 4, 0], [8, 7, 0]]


def test_views_differ_and_depend_on_the_split_seed_alone() -> None:
    shown = made("crop_flip")
    assert not torch.equal(shown.batch(0, ALL), shown.batch(1, ALL))
    assert torch.equal(shown.batch(1, ALL), made("crop_flip", count=2).batch(1, ALL))
    assert not torch.equal(shown.batch(1, ALL), made("crop_flip", seed=1).batch(1, ALL))


@pytest.mark.parametrize("augmentation", ["none", "shift", "crop_flip"])
def test_resident_and_gathered_views_are_equal(monkeypatch: pytest.MonkeyPatch, augmentation: AugmentationName) -> None:
    resident = made(augmentation)
    monkeypatch.setattr(views, "RESIDENT_BYTES", 0)
    gathered = made(augmentation)
    numbers = torch.tensor([[3, 1, 4], [1, 5, 9]])
    lanes = torch.tensor([[0], [2]])  # a view per lane
    assert torch.equal(resident.batch(lanes, numbers), gathered.batch(lanes, numbers))
    assert resident.batch(lanes, numbers).shape == (2, 3, 1, 8, 8)
    assert torch.equal(resident.batch(lanes, numbers)[1], resident.batch(2, numbers[1]))


@pytest.mark.parametrize("augmentation", ["none", "crop_flip"])
def test_streamed_views_are_equal_and_leave_the_pixels_where_they_are(augmentation: AugmentationName) -> None:
    pixels = torch.randint(0, 256, (20, 3, 8, 8), dtype=torch.uint8)
    normalise = views.Normaliser((0.1, 0.2, 0.3), (1.0, 0.5, 0.25), torch.device("cpu"))
    resident = views.Views(pixels, normalise, augmentation, 0, 3)
    streamed = views.Views(pixels, normalise, augmentation, 0, 3, streams=True)
    assert streamed.streams
    for numbers in (torch.tensor([3, 1, 4]), torch.tensor([[3, 1, 4], [1, 5, 9]])):
        assert torch.equal(resident.batch(1, numbers), streamed.batch(1, numbers))
    assert streamed.batch(2, torch.tensor([0])).shape == (1, 3, 8, 8)


def test_only_an_accelerator_may_be_too_small_for_the_images(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = torch.zeros(100, 1, 10, 10, dtype=torch.uint8)
    assert views.fits(pixels, torch.device("cpu"))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (30_000, 10**9))
    assert views.fits(pixels, torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (15_000, 10**9))
    assert not views.fits(pixels, torch.device("cuda"))


@pytest.mark.parametrize("channels", [1, 3])
def test_large_images_are_moved_by_copies_as_by_a_gather(monkeypatch: pytest.MonkeyPatch, channels: int) -> None:
    images = torch.arange(40 * channels * 70 * 60).remainder(253).to(torch.uint8).reshape(40, channels, 70, 60)
    moves = augment.draw("crop_flip", 0, 2, 40, (70, 60))
    numbers = torch.tensor([3, 39, 0, 3, 17, 8])
    chosen = [part[1, numbers] for part in (moves.down, moves.right, moves.mirrored)]
    copied = augment.move_images(images, numbers, *chosen)
    monkeypatch.setattr(augment, "LARGE", 10**9)
    gathered = augment.move_images(images, numbers, *chosen)
    assert torch.equal(copied, gathered)
    assert copied.is_contiguous(memory_format=torch.channels_last)
    assert gathered.is_contiguous(memory_format=torch.channels_last)


def test_normalizing_leaves_what_is_normalized_alone() -> None:
    features = torch.arange(6.0).reshape(2, 3)
    normalise = views.Normaliser((1.0,), (2.0,), torch.device("cpu"), scale=1, dimensions=1)
    assert torch.equal(normalise(features), (torch.arange(6.0).reshape(2, 3) - 1) / 2)
    assert torch.equal(features, torch.arange(6.0).reshape(2, 3))
