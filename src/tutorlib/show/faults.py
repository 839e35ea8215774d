"""What a reader of a figure would stumble over, as far as Matplotlib can tell."""

import re
from collections.abc import Iterator

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from numpy.typing import ArrayLike

from tutorlib.lab.errors import checked

LEAST = 8.0
"""points that letters of a figure have at least: on a phone, where a figure is drawn smaller, 9 pixels"""
MATHEMATICS = re.compile(r"\$[^$]+\$")


@checked()
def faults(figure: Figure) -> list[str]:
    """Return what a reader would stumble over, a sentence each: a legend that covers data, small letters, raw notation.

    A legend covers data where its box meets a line, a point, a bar or a word; what lies in no axes is left out. Letters
    have at least ``LEAST`` points. Notation is raw where a word has TeX outside of dollar signs, such as ``gamma_z``.
    """
    figure.draw_without_rendering()
    said = []
    for text in figure.findobj(Text):
        words = text.get_text()
        if not words.strip() or not text.get_visible():
            continue
        if (size := float(text.get_fontsize())) < LEAST:
            said.append(f"{words!r} has {size:g} points, expected at least {LEAST:g}")
        if set("_^\\$") & set(MATHEMATICS.sub("", words)):
            said.append(f"{words!r} shows raw notation")
    for legend in figure.findobj(Legend):
        box = Bbox.from_extents(*legend.get_window_extent().extents)
        for ax in figure.axes:
            said += [f"a legend covers {what}" for what in _met(ax, box)]
    return said


def _met(ax: Axes, box: Bbox) -> Iterator[str]:
    """Yield what of the data of ``ax`` meets ``box``, in pixels."""
    for line in ax.lines:
        drawn = line.get_transform().transform_path(line.get_path())
        joined = line.get_linestyle() != "None"
        if drawn.intersects_bbox(box, filled=False) if joined else _within(drawn.vertices, box):
            yield f"the line {line.get_label()!r}"
    for cloud in ax.collections:
        if isinstance(cloud, PathCollection):
            points = cloud.get_offset_transform().transform(np.asarray(cloud.get_offsets(), dtype=float))
            if _within(points, box):
                yield f"points of {cloud.get_label()!r}"
    for bar in ax.patches:
        if isinstance(bar, Rectangle) and bar.get_window_extent().overlaps(box):
            yield "a bar"
    for text in ax.texts:
        if text.get_text() and text.get_window_extent().overlaps(box):
            yield f"the words {text.get_text()!r}"


def _within(points: ArrayLike, box: Bbox) -> bool:
    """Return whether one of ``points``, [n, 2], lies in ``box``."""
    x, y = np.asarray(points, dtype=float).reshape(-1, 2).T
    return bool(((x >= box.x0) & (x <= box.x1) & (y >= box.y0) & (y <= box.y1)).any())
