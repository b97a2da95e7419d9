"""What files say of how images are prepared, in every form that they say it, comes to what their own library makes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
import transformers
from PIL import Image

from tests.trainers.test_preprocessing import preprocessor
from trainers import preprocessing
from trainers.errors import TeacherInvalid
from trainers.preprocessing import Preprocessing
from trainers.zoo import statements

PIXELS = np.asarray(
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (6, 6, 3)).astype(np.uint8)).resize(
        (28, 28), Image.Resampling.BILINEAR
    )
)
MEAN, STD = [0.48, 0.45, 0.4], [0.26, 0.25, 0.27]
SHORTER = {"size": {"shortest_edge": 24}, "do_center_crop": True, "crop_size": {"height": 20, "width": 20}}
PROCESSORS: list[tuple[str, dict[str, Any]]] = [
    ("ViTImageProcessor", {"size": {"height": 20, "width": 20}}),
    ("ViTImageProcessor", {"size": {"height": 20, "width": 20}, "do_rescale": False, "image_mean": [120.0] * 3}),
    ("ViTImageProcessor", {"size": {"height": 20, "width": 20}, "rescale_factor": 1 / 127.5, "resample": 2}),
    ("ViTImageProcessor", {"size": {"height": 20, "width": 20}, "do_normalize": False}),
    ("ViTImageProcessor", {"do_resize": False}),
    ("CLIPImageProcessor", SHORTER),
    ("CLIPImageProcessor", {**SHORTER, "crop_size": {"height": 20, "width": 16}}),
    ("BitImageProcessor", {**SHORTER, "do_center_crop": False}),
    ("ConvNextImageProcessor", {"size": {"shortest_edge": 14}, "crop_pct": 0.875}),
    ("LevitImageProcessor", {"size": {"shortest_edge": 21}, "crop_size": {"height": 20, "width": 20}}),
    ("EfficientNetImageProcessor", {"size": {"height": 20, "width": 20}}),
    ("EfficientNetImageProcessor", {"size": {"height": 20, "width": 20}, "rescale_offset": True, "include_top": False}),
    ("MobileViTImageProcessor", {"size": {"shortest_edge": 24}, "crop_size": {"height": 20, "width": 20}}),
    ("MobileNetV2ImageProcessor", SHORTER),
]


@pytest.mark.parametrize(("kind", "settings"), PROCESSORS)
def test_a_processors_own_numbers_are_ours(tmp_path: Path, kind: str, settings: dict[str, Any]) -> None:
    """At most two grey levels away, as resizing rounds."""
    means = {} if kind == "MobileViTImageProcessor" else {"image_mean": MEAN, "image_std": STD}
    processor = getattr(transformers, kind)(**{**means, **settings})
    processor.save_pretrained(tmp_path)
    said = statements.stated(tmp_path / "own.pth", "", {})
    assert said is not None
    expected = processor(images=torch.tensor(PIXELS).permute(2, 0, 1), return_tensors="pt")["pixel_values"]
    images = preprocessor(said, PIXELS)(torch.tensor(PIXELS).permute(2, 0, 1)[None])
    assert images.shape == expected.shape
    level = (said.value_range[1] - said.value_range[0]) / 255 / min(said.std)
    assert (images - expected).abs().max() <= 2.01 * level


HALF = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}


@pytest.mark.parametrize(
    ("processor", "expected"),
    [
        ({**HALF, "size": 20}, {"size": (20, 20)}),
        ({**HALF, "size": [20, 16]}, {"size": (20, 16)}),
        ({**HALF, "size": {"height": 20, "width": 16}}, {"size": (20, 16)}),
        ({**HALF, "size": 20, "resample": "lanczos"}, {"interpolation": "bicubic"}),
        ({**HALF, "size": 20, "resample": None}, {"interpolation": "bilinear"}),
        ({**HALF, "size": 20, "resample": 0}, {"interpolation": "nearest"}),
        ({"image_mean": 0.5, "image_std": 0.5, "size": 20}, {"mean": (0.5,), "std": (0.5,)}),
        ({"do_normalize": False, "size": 20}, {"mean": (0.0,), "std": (1.0,)}),
        ({"do_flip_channel_order": True, "size": 20}, {"channel_order": "bgr", "mean": (0.0,)}),
        ({**HALF, "do_resize": False, "size": None}, {"size": None}),
        ({**HALF, "do_rescale": False, "size": 20}, {"value_range": (0.0, 255.0)}),
    ],
)
def test_each_form_of_a_processor_is_read(tmp_path: Path, processor: dict[str, Any], expected: dict[str, Any]) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(processor))
    said = statements.stated(tmp_path / "own.pth", "", {})
    assert said is not None
    assert {name: getattr(said, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("name", "document", "words"),
    [
        ("preprocessor_config.json", {**HALF, "size": {"longest_edge": 300}}, "no height and width"),
        ("preprocessor_config.json", {"do_normalize": True, "size": 20}, "has no image_mean"),
        ("preprocessor_config.json", {**HALF, "do_resize": False, "do_center_crop": True}, "without resizing"),
        ("preprocessor_config.json", {**HALF, "size": 20, "do_center_crop": True, "crop_size": 24}, "crop is unknown"),
        ("preprocessor_config.json", {**HALF, "image_std": [0.0] * 3, "size": 20}, "must be positive"),
        ("config.json", {"mean": [0.5] * 3, "std": "half", "input_size": [3, 8, 8]}, "cannot be followed"),
        ("config.json", {"mean": [0.5] * 3, "std": [0.5] * 3, "input_size": [8]}, "cannot be followed"),
    ],
)
def test_what_cannot_be_followed_is_refused_with_the_way_out(
    tmp_path: Path, name: str, document: dict[str, Any], words: str
) -> None:
    (tmp_path / name).write_text(json.dumps(document))
    with pytest.raises(TeacherInvalid, match=f"{words}.*"):
        statements.stated(tmp_path / "own.pth", "", {})
    with pytest.raises(TeacherInvalid, match="Say with --preprocessing how they are prepared"):
        statements.stated(tmp_path / "own.pth", "", {})


@pytest.mark.parametrize("document", [{"pretrained_cfg": None}, {"model_type": "vit"}, [1], "text"])
def test_what_says_nothing_of_images_is_passed_over(tmp_path: Path, document: Any) -> None:
    for name in ("config.json", "preprocessor_config.json"):
        (tmp_path / name).write_text(json.dumps(document))
    assert statements.stated(tmp_path / "own.pth", "", {}) is None


def test_forms_of_timms() -> None:
    grey = statements.of_timm({"mean": 0.1307, "std": 0.3081, "input_size": [1, 28, 28], "crop_pct": None})
    assert grey == Preprocessing("custom", (0.1307,), (0.3081,), size=(28, 28), channel_order="grey")
    plain = statements.of_timm({"mean": [0.5] * 3, "std": [0.5] * 3, "input_size": None, "interpolation": "random"})
    assert (plain.size, plain.interpolation) == ((224, 224), "bicubic")


@pytest.mark.parametrize("name", ["inception_v3", "googlenet"])
def test_published_weights_of_models_that_prepare_images_themselves(name: str) -> None:
    """torchvision gives these models what it prepares for ImageNet, and they bring it to -1..1."""
    published = next(iter(torchvision.models.get_model_weights(name)))
    transforms = published.transforms()
    said = statements.of_transforms(transforms, name)
    model = torchvision.models.get_model(name, num_classes=2, init_weights=False, aux_logits=False)
    model.transform_input = True
    pixels = torch.rand(1, 3, 4, 4)
    mean, std = (torch.tensor(values).reshape(3, 1, 1) for values in (transforms.mean, transforms.std))
    ours = (pixels - torch.tensor(said.mean).reshape(-1, 1, 1)) / torch.tensor(said.std).reshape(-1, 1, 1)
    assert torch.allclose(model._transform_input((pixels - mean) / std), ours, atol=1e-6)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"preset": "custom", "mean": 0.5, "std": 0.25, "size": 20}, ((0.5,), (0.25,), (20, 20))),
        ({"preset": "custom", "mean": [0.1, 0.2, 0.3], "std": 0.25}, ((0.1, 0.2, 0.3), (0.25,), None)),
    ],
)
def test_a_number_stands_for_equal_ones(document: dict[str, Any], expected: Any) -> None:
    said = preprocessing.from_document(document)
    assert (said.mean, said.std, said.size) == expected


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"mean": []}, "needs a mean and std, or one of the presets dataset, unit, half, imagenet"),
        ({"mean": float("nan")}, "finite"),
        ({"std": float("inf")}, "finite"),
        ({"size": 0}, "1 or more"),
        ({"size": [1, 2, 3]}, "a height and a width"),
        ({"value_range": 1}, "two numbers"),
        ({"value_range": [1, 0]}, "rise"),
        ({"mean": "a"}, "could not convert"),
        ({"mean": [0.0] * 2, "std": [1.0] * 3}, "mean"),
        ({"unknown": 1}, "no preprocessing"),
    ],
)
def test_preparations_that_are_none(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        preprocessing.from_document({"preset": "custom", "mean": 0.5, "std": 0.5, **change})
