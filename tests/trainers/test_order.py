"""The order of the data is a function of seed and epoch; batches are all of one size."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from trainers import order


@given(seed=st.integers(0, 2**31), epoch=st.integers(1, 1000), images=st.integers(1, 300), batch=st.integers(1, 100))
def test_an_epoch_shows_distinct_images_in_full_batches(seed: int, epoch: int, images: int, batch: int) -> None:
    numbers = order.epoch_batches(seed, epoch, images, batch)
    assert numbers.shape == (max(1, images // batch), min(batch, images))
    assert len(set(numbers.flatten().tolist())) == numbers.numel()
    assert int(numbers.min()) >= 0
    assert int(numbers.max()) < images


def test_order_depends_on_seed_and_epoch_and_not_on_global_state() -> None:
    torch.manual_seed(1)
    first = order.epoch_order(5, 1, 100)
    torch.manual_seed(2)
    assert torch.equal(first, order.epoch_order(5, 1, 100))
    assert not torch.equal(first, order.epoch_order(5, 2, 100))
    assert not torch.equal(first, order.epoch_order(6, 1, 100))


def test_what_is_left_out_changes_from_epoch_to_epoch() -> None:
    seen = torch.cat([order.epoch_batches(0, epoch, 70, 64).flatten() for epoch in range(1, 9)]).unique()
    assert len(seen) == 70


def test_streams_of_chance_are_kept_apart() -> None:
    assert len({order.derive(*parts) for parts in [(1, "a"), (1, "b"), (2, "a"), (12, ""), (1, "2")]}) == 5
