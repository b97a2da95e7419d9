"""Pictures of each of Pillow's modes as RGB of 8 bits: scaled where they are deeper, refused where nobody knows how."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_EIGHT_BITS = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB", "HSV"})
_PREMULTIPLIED = {"La": "LA", "RGBa": "RGBA"}
_SIXTEEN_BITS = frozenset({"I;16", "I;16L", "I;16B", "I;16N"})
_SIXTEEN_IN_THIRTY_TWO = frozenset({"PNG", "PPM"})  # formats whose 16 bits Pillow may give as mode I
_BITS_PER_SAMPLE, _PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0  # TIFF's tags, and a value of the second


class ModeRefused(ValueError):
    """A picture whose values have no range that its file tells of."""


def is_deep(image: Image.Image) -> bool:
    """Whether it is grey with up to 16 bits in each pixel."""
    return image.mode in _SIXTEEN_BITS or (image.mode == "I" and image.format in _SIXTEEN_IN_THIRTY_TWO)


def highest(image: Image.Image) -> int:
    """The greatest value of a deep picture, of 65,535."""
    return int(_values(image).max())


def rgb(image: Image.Image) -> Image.Image:
    """The picture as RGB of 8 bits. 16 bits are scaled from their whole range; transparency is dropped.

    ModeRefused for 32 bits and floats, whose range is whatever wrote them, and for modes that nobody knows.
    """
    if is_deep(image):
        scaled = np.rint(_values(image) * (255 / 65535)).astype(np.uint8)
        return Image.fromarray(scaled).convert("RGB")
    if image.mode in _PREMULTIPLIED:
        return image.convert(_PREMULTIPLIED[image.mode]).convert("RGB")
    if image.mode not in _EIGHT_BITS:
        raise ModeRefused(
            f"its mode is {image.mode}, whose darkest and lightest values a file does not tell: save it with 8 or 16 "
            "bits a channel"
        )
    if image.mode == "P" and isinstance(image.info.get("transparency"), bytes):
        image = image.convert("RGBA")  # the same colours, and no warning that transparency is lost
    return image.convert("RGB")


def _values(image: Image.Image) -> NDArray[np.float64]:
    """The grey levels of a deep picture, [height, width] from 0 to 65,535."""
    values = np.asarray(image).astype(np.float64)
    tags = getattr(image, "tag_v2", {}) if image.format == "TIFF" else {}
    bits = int(tags.get(_BITS_PER_SAMPLE, (16,))[0])
    values *= 65535 / (2**bits - 1)
    return 65535 - values if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO else values
