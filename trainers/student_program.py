"""A student that Thermowell has distilled, by itself.

`python student.py PICTURE ...` names the class of each picture, or all that it shows, where it may show several. In a
program:

    from student import Student
    student = Student()                      # reads student.json and student.safetensors beside this file
    name, share = student.classify(Image.open("a.png"))[0]

Of a student whose examples are no pictures, `classify` takes one example's numbers, and `logits` those of many.

Needs torch, pillow and safetensors.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn

BATCH = 256


# --- architecture
def build(architecture: Mapping[str, Any]) -> nn.Module:
    """The network without its weights."""
    raise NotImplementedError(architecture["name"])


# --- end of the architecture


class Student:
    """The network with its weights, and how its images are prepared."""

    def __init__(self, folder: str | Path = Path(__file__).parent) -> None:
        self.info = json.loads(Path(folder, "student.json").read_text(encoding="utf-8"))
        self.model = build(self.info["architecture"])
        self.model.load_state_dict(load_file(Path(folder, "student.safetensors")))
        self.model = self.model.to(memory_format=torch.channels_last).eval()
        self.preprocessing = self.info["preprocessing"]
        self.classes: list[str] = self.info["class_names"]
        self.several = self.info.get("targets") == "several"
        self.pictures = self.info.get("inputs", "images") == "images"
        shape, scale = [-1, *[1] * len(self.preprocessing["size"])], 255 if self.pictures else 1
        mean, std = (torch.tensor(self.preprocessing[name]).mul(scale).reshape(shape) for name in ("mean", "std"))
        self._mean, self._std = mean, std

    def prepare(self, picture: Any) -> Tensor:
        """A picture as pixels [channels, height, width] (uint8) of the student's size; other examples as they are."""
        if not self.pictures:
            return torch.as_tensor(picture)
        height, width = self.preprocessing["size"]
        if self.preprocessing["resize"] == "shorter side":
            picture = _fit(_colours(picture), height)
        else:
            picture = picture.convert("L") if self.preprocessing["channels"] == 1 else _colours(picture)
        raw = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8)
        pixels = raw.reshape(picture.height, picture.width, -1).permute(2, 0, 1)
        if pixels.shape[1:] != (height, width):
            whole = F.interpolate(pixels[None].float(), (height, width), mode="bilinear", antialias=True)
            pixels = whole[0].round().clamp(0, 255).to(torch.uint8)
        return pixels

    def logits(self, pixels: Tensor) -> Tensor:
        """The logits [n, classes] of prepared pictures [n, channels, height, width] (uint8), or of other examples."""
        outputs = []
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=self.info["precision"] == "bf16"):
            for part in torch.split(pixels, BATCH):
                outputs.append(self.model((part.float() - self._mean) / self._std).float())
        return torch.cat(outputs)

    def classify(self, picture: Any, most: int = 5) -> list[tuple[str, float]]:
        """The most probable classes of a picture and their probabilities, falling; of several that may be there at once
        each has a probability of its own, and those above 0.5 are there.
        """
        logits = self.logits(self.prepare(picture)[None])[0]
        shares = logits.sigmoid() if self.several else logits.softmax(-1)
        best = shares.topk(min(most, len(self.classes)))
        return [(self.classes[number], float(share)) for share, number in zip(*map(Tensor.tolist, best), strict=True)]


def _colours(picture: Image.Image) -> Image.Image:
    """The picture as RGB of 8 bits; 16 bits are scaled from their whole range, transparency is dropped."""
    if picture.mode.startswith("I"):
        picture = picture.convert("I").point(lambda level: level * (1 / 257) + 0.5).convert("L")
    if picture.mode == "P" and "transparency" in picture.info:
        picture = picture.convert("RGBA")
    return picture.convert("RGB")


def _fit(picture: Image.Image, size: int) -> Image.Image:
    """The picture with its shorter side resized to `size`, and its middle kept."""
    scale = size / min(picture.size)
    width, height = (max(size, round(length * scale)) for length in picture.size)
    left, top = (width - size) // 2, (height - size) // 2
    return picture.resize((width, height), Image.Resampling.BILINEAR).crop((left, top, left + size, top + size))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: python student.py PICTURE ...")
    student = Student()
    if not student.pictures:
        sys.exit("its examples are no pictures: in Python, Student().classify(example) takes their numbers")
    for path in sys.argv[1:]:
        with Image.open(path) as image:
            shares = student.classify(image, len(student.classes) if student.several else 5)
        names = [f"{name} {share:.1%}" for name, share in shares if share > 0.5 or not student.several]
        print(f"{path}: {', '.join(names)}")
