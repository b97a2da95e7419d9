"""A bias of early stopping is found where there is one, and none where there is none."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import figures
from benchmarks.calibration import bias, bias_halving
from benchmarks.common import output
from trainers.replay import synthetic
from trainers.replay.world import World


@pytest.fixture(scope="module")
def world() -> World:
    """By its formula SGD has small temperatures ahead early and large ones late; AdamW has none that overtakes."""
    return synthetic.world()


def test_where_no_temperature_is_early_each_lies_at_all_epochs_as_it_does_at_the_end(world: World) -> None:
    truth = bias_halving.level(world)
    assert np.array_equal(truth[:, -1], world.truth[:, -1])
    for of_each in bias_halving.temperatures(world).values():
        means = np.stack([truth[cells].mean(axis=0) for cells in of_each])
        assert means - means.mean(axis=0) == pytest.approx(
            (means - means.mean(axis=0))[:, -1:].repeat(means.shape[1], 1)
        )


def test_halving_loses_where_temperatures_overtake_each_other_and_not_elsewhere(world: World) -> None:
    late = bias_halving.losses(world, "halving from 1/27", 60, ["sgd"], lucky=False)
    never = bias_halving.losses(world, "halving from 1/27", 60, ["adamw"], lucky=False)
    assert late.by_temperature.low > 0.2
    assert abs(never.by_temperature.mean) < 0.1
    assert 27 / 27 < late.trainings < 5


def test_a_bracket_that_begins_at_the_end_stops_nobody(world: World) -> None:
    kept, spent = bias_halving._halved(world, world.truth[None, :4], 1.0)
    assert kept.all()
    assert spent == 4


def test_the_command_tells_the_order_and_the_loss(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "RESULTS", tmp_path)
    monkeypatch.setattr(bias, "WAYS", {"halving from 1/9": bias_halving.WAYS["halving from 1/9"]})
    assert bias.main(["--tiny", "--keep", "b"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines[:-1])) <= 80
    assert set(json.loads(lines[-1])["by_temperature_points"]["synthetic"]) == {"sgd", "adamw", "sgd and adamw"}
    page = figures.written("<!-- figures: bias b -->\n<!-- end -->\n", output.RESULTS)
    assert "| points lost; of them by T | halving from 1/9 |" in page
    assert "| synthetic, sgd | +" in page
