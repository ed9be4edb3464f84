"""A figure with its words, as SVG for a page, as an SVG file, and as PDF."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import Final

import matplotlib as mpl
from matplotlib.figure import Figure

from hypermix.report.pen import canvas, write
from hypermix.report.svg import ROLES, to_svg

_HEAD: Final = '<?xml version="1.0" encoding="UTF-8"?>\n'


@dataclass(frozen=True)
class Drawing:
    """A figure and what it shows.

    Attributes:
        figure: The figure; its colors are those of `hypermix.report.svg.ROLES`.
        title: Its name for those who cannot see it.
        text: What can be seen on it.
    """

    figure: Figure = field(repr=False)
    title: str
    text: str

    def svg(self, name: str) -> str:
        """Return SVG for a page, whose style sheet gives it colors; ids start with `name`."""
        return to_svg(self.figure, name, self.title, self.text)

    def svg_file(self, name: str) -> str:
        """Return the text of an SVG file that needs no style sheet: it has a background and its own colors."""
        drawn = to_svg(self.figure, name, self.title, self.text)
        end = drawn.index("</desc>") + len("</desc>")
        return f'{_HEAD}{drawn[:end]}<rect width="100%" height="100%" fill="{ROLES["paper"]}"/>{drawn[end:]}\n'

    def pdf(self) -> bytes:
        """Return a PDF file; equal figures give equal bytes."""
        stream = io.BytesIO()
        # 42 embeds TrueType, whose texts can be searched and edited; publishers refuse the default, Type 3. The user's
        # own matplotlibrc must not change the bytes.
        with mpl.rc_context({"pdf.fonttype": 42, "pdf.compression": 6, "pdf.use14corefonts": False}):
            self.figure.savefig(
                stream,
                format="pdf",
                metadata={"CreationDate": None, "Title": self.title},
                facecolor=ROLES["paper"],
            )
        return stream.getvalue()


def blank(title: str, reason: str, width_px: float) -> Drawing:
    """Return a figure that says why there is nothing to show.

    Args:
        title: The name of the figure.
        reason: One sentence.
        width_px: Width in pixels.
    """
    figure, axes = canvas(width_px, 70)
    write(axes, 8, 26, title, "ink", size=13, bold=True)
    write(axes, 8, 50, reason, "muted")
    return Drawing(figure, title, reason)
