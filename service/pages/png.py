"""Conversion of SVG pictures to PNG by resvg, with the packaged font, so that every machine draws the same."""

from __future__ import annotations

from importlib import resources

import resvg_py

ZOOM = 2.0
"""Points for each unit of the picture: sharp on dense screens and in print."""


def draw_png(picture: str) -> bytes:
    """The SVG as PNG, in its light colours.

    No font of the machine is used: a small installation has none, and then words would be missing.
    """
    with resources.as_file(resources.files("service.pages") / "fonts") as fonts:
        return bytes(
            resvg_py.svg_to_bytes(
                svg_string=picture,
                zoom=ZOOM,
                background="#ffffff",
                skip_system_fonts=True,
                font_dirs=[str(fonts)],
                font_family="DejaVu Sans",
                sans_serif_family="DejaVu Sans",
            )
        )
