"""Mixed images: which, by how much, what their labels become, and that every way to show them is the same."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from tests.trainers.problems import assignment, problem
from trainers import run
from trainers.data import mixing, views
from trainers.engines.bank import BankEngine
from trainers.engines.loop import LoopEngine
from trainers.spec import AugmentationName, Data, EpochReport, Model, Training
from trainers.teaching import teacher
from trainers.teaching.prepared import Prepared
from trainers.zoo import weights

ALL = torch.arange(20)
NAMES: list[AugmentationName] = ["mixup", "cutmix", "crop_flip_mixup", "crop_flip_cutmix"]


def made(augmentation: AugmentationName, count: int = 3, seed: int = 0, streams: bool = False) -> views.Views:
    images = torch.arange(20 * 64).remainder(251).add(1).to(torch.uint8).reshape(20, 1, 8, 8)
    normalise = views.Normaliser((0.0,), (1 / 255,), torch.device("cpu"))  # leaves the pixels as they are
    return views.Views(images, normalise, augmentation, seed, count, streams)


@pytest.mark.parametrize("mix", ["mixup", "cutmix"])
def test_shares_are_uniform_and_partners_a_permutation(mix: mixing.Mix) -> None:
    drawn = mixing.draw(mix, 0, 2, 4000, (32, 32))
    assert torch.equal(drawn.partner.sort(-1).values, torch.arange(4000).expand(2, -1))
    assert float(drawn.share.min()) >= 0
    assert float(drawn.share.max()) <= 1
    if mix == "mixup":  # the box of a cutmix is cut at the border, so that its share is larger
        assert float(drawn.share.mean()) == pytest.approx(0.5, abs=0.02)
        assert float(drawn.share.std()) == pytest.approx(1 / 12**0.5, abs=0.02)
    assert torch.equal(drawn.share[0], mixing.draw(mix, 0, 1, 4000, (32, 32)).share[0])
    assert not torch.equal(drawn.share[0], mixing.draw(mix, 1, 1, 4000, (32, 32)).share[0])


def test_mixup_by_hand() -> None:
    shown, plain, drawn = made("mixup"), made("none").batch(0, ALL), mixing.draw("mixup", 0, 3, 20, (8, 8))
    for view in range(3):
        share = drawn.share[view][:, None, None, None]
        expected = share * plain + (1 - share) * plain[drawn.partner[view]]
        assert torch.allclose(shown.batch(view, ALL), expected, rtol=1e-6)


def test_cutmix_by_hand() -> None:
    """Each pixel is the image's own or its partner's, and the share is that of its own."""
    shown, plain, drawn = made("cutmix"), made("none").batch(0, ALL), mixing.draw("cutmix", 0, 3, 20, (8, 8))
    assert drawn.box is not None
    for view in range(3):
        got, other = shown.batch(view, ALL), plain[drawn.partner[view]]
        for number in range(20):
            top, bottom, left, right = drawn.box[view, number].tolist()
            expected = plain[number].clone()
            expected[:, top:bottom, left:right] = other[number][:, top:bottom, left:right]
            assert torch.equal(got[number], expected)
            taken = (bottom - top) * (right - left) / 64
            assert float(drawn.share[view, number]) == pytest.approx(1 - taken, abs=1e-6)
    assert len(set(drawn.share.flatten().tolist())) > 10


@pytest.mark.parametrize("augmentation", NAMES)
def test_every_way_shows_the_same(augmentation: AugmentationName, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kept, made from pixels, streamed; for one student and for several, each with a view of its own."""
    kept, streamed = made(augmentation), made(augmentation, streams=True)
    monkeypatch.setattr(views, "RESIDENT_BYTES", 0)
    gathered = made(augmentation)
    labels, numbers, view = torch.arange(20) % 10, torch.tensor([[3, 19, 0], [7, 7, 1]]), torch.tensor([[0], [2]])
    for other in (gathered, streamed):
        assert torch.equal(kept.batch(1, ALL), other.batch(1, ALL))
        assert torch.equal(kept.batch(view.expand_as(numbers), numbers), other.batch(view.expand_as(numbers), numbers))
        for one, same in zip(kept.targets(labels, view, numbers), other.targets(labels, view, numbers), strict=True):
            assert torch.equal(one, same)
    own, partner, share = kept.targets(labels, 2, numbers[1])
    drawn = mixing.draw(mixing.parts(augmentation)[1] or "mixup", 0, 3, 20, (8, 8))
    assert torch.equal(own, labels[numbers[1]])
    assert torch.equal(partner, labels[drawn.partner[2, numbers[1]]])
    assert torch.equal(share, drawn.share[2, numbers[1]])


def test_labels_alone_where_nothing_is_mixed() -> None:
    labels = torch.arange(20) % 10
    assert isinstance(made("crop_flip").targets(labels, 1, ALL), torch.Tensor)


@pytest.fixture(scope="module", params=["mixup", "crop_flip_cutmix"])
def mixed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    folder = tmp_path_factory.mktemp("mixed")
    data = Data("digits", train_size=96, augmentation=request.param)
    small = problem(data=data, student=Model("mlp", {"width": 16}), training=Training(3, 32))
    ready = run.prepare(small, run.Roots(folder, folder), "cpu")
    assert isinstance(ready, Prepared)
    return ready


def test_the_teacher_is_asked_of_the_mixed_image(mixed: Prepared) -> None:
    """Its cached logits are what its weights say of each view's very images."""
    assert not torch.equal(mixed.train_logits[0], mixed.train_logits[1])
    setting = mixed.test._setting
    model = teacher._untrained(setting)
    stored = weights.load(teacher._weights_path(teacher._place(setting)))
    model.load_state_dict(stored)
    with torch.no_grad():
        for view in range(2):
            said = model.eval()(mixed.views.batch(view, torch.arange(96)))
            assert torch.allclose(said, mixed.train_logits[view], atol=1e-4)


def test_bank_and_loop_agree(mixed: Prepared) -> None:
    rule = dataclasses.replace(mixed.problem.distillation, method="dkd")
    for ready in (mixed, dataclasses.replace(mixed, problem=dataclasses.replace(mixed.problem, distillation=rule))):
        losses = []
        for engine in (LoopEngine(ready, 2), BankEngine(ready, 2)):
            for seed in (1, 2):
                engine.admit(assignment(str(seed), seed, temperature=2.0 * seed, kd_weight=0.5, label_weight=0.5))
            told = [engine.step_epoch() for _ in range(2)]
            losses.append([one.train_loss for said in told for one in said if isinstance(one, EpochReport)])
        assert losses[0] == pytest.approx(losses[1], rel=1e-4)
        assert len(losses[0]) == 4
