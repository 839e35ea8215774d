"""How the book's Matplotlib figures look: colours with a role, one style, and bands for spread over seeds.

The palette is Okabe and Ito's, which readers with any common colour blindness can tell apart. Figures have a
white ground in both of the book's modes, because its dark mode puts a white card behind a picture.
"""

import io
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from types import MappingProxyType
from typing import Any, cast

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.colors import is_color_like
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.textpath import TextPath
from numpy.typing import ArrayLike
from PIL import Image

from tutorlib.lab.errors import bad_argument, checked
from tutorlib.lab.statistics import Interval

BLACK = "#000000"
ORANGE = "#e69f00"
SKY = "#56b4e9"
GREEN = "#009e73"
YELLOW = "#f0e442"
BLUE = "#0072b2"
VERMILLION = "#d55e00"
PURPLE = "#cc79a7"
GREY = "#767676"

SEEN = BLUE
"""Tasks that were met in meta-training."""
UNSEEN = VERMILLION
"""Tasks that were not."""
REFERENCE = GREY
"""A learner or a bound to compare with; told apart by dashes and a label, not by colour."""
PAPER = BLACK
"""A number read from the paper."""
OURS = GREEN
"""The method of the chapter, where it stands beside baselines."""
BASELINE = ORANGE
"""A baseline that was trained like the method."""

METHODS: Mapping[str, str] = MappingProxyType(
    {
        "SymLA": OURS, "MetaRNN": BASELINE, "MetaRNN, permuted": PURPLE, "MetaRNN, augm.": PURPLE,
        "Thompson": BLUE, "UCB1": VERMILLION, "random": REFERENCE,
        "RC-GVF": OURS, "RND": BASELINE, "NovelD": SKY, "AGAC": BLUE, "PPO": REFERENCE,
        "error": VERMILLION, "disagreement": BLUE, "product": OURS,
        "model-free": BASELINE, "model-based": OURS,
        "replay": BASELINE, "simple model": OURS, "Gaussian latent": SKY, "categorical latent": PURPLE,
        "perfect model": BLACK,
        "GoGePo": OURS, "PSSVF": SKY, "ARS": BASELINE, "DDPG": BLUE, "UDRL": PURPLE, "noise alone": REFERENCE,
    }
)  # fmt: skip
"""Colours of methods, by the name that legends give them: the same in all figures and explorers of the book."""
NAMES: Mapping[str, str] = MappingProxyType(
    {
        BLACK: "ink", ORANGE: "orange", SKY: "sky", GREEN: "green", BLUE: "blue", VERMILLION: "vermillion",
        PURPLE: "purple", GREY: "soft",
    }
)  # fmt: skip
"""Colours by the name that the style sheet of the explorers has for them, which knows light and dark."""

CYCLE = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, BLACK)
"""Colours of lines that have no role, in order."""

HEAT = "viridis"
"""Colour map of every heat map; the explorers use the same one."""

WIDTH = 6.4
"""Width of a figure in inches; with it, 9 points on the page are 9 points in the file."""

STYLE = MappingProxyType(
    {
        "figure.figsize": (WIDTH, 3.6),
        "figure.dpi": 110,
        "figure.facecolor": "white",
        "figure.constrained_layout.use": True,
        "savefig.dpi": 150,
        "savefig.facecolor": "white",
        "font.family": "DejaVu Sans",  # comes with Matplotlib, so a figure is the same on every machine
        "font.size": 9.5,
        "axes.titlesize": 10.5,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.labelsize": 9.5,
        "xtick.labelsize": 9,
        "ytick.labelsize": 9,
        "legend.fontsize": 9,
        "legend.frameon": False,
        "axes.facecolor": "white",
        "axes.edgecolor": "#8a9099",
        "axes.labelcolor": "#222832",
        "text.color": "#222832",
        "xtick.color": "#515b6b",
        "ytick.color": "#515b6b",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.grid.axis": "y",
        "axes.axisbelow": True,
        "grid.color": "#e3e6ea",
        "grid.linewidth": 0.8,
        "lines.linewidth": 1.8,
        "lines.markersize": 4.5,
        "image.cmap": HEAT,
        "axes.prop_cycle": cycler(color=CYCLE),
    }
)
"""The settings that ``style`` makes."""


def style() -> AbstractContextManager[Any]:
    """Give all figures made from now on the book's look.

    Call it at the head of a notebook, or write ``with style():`` to have the old settings back afterwards.
    """
    stack = ExitStack()
    # Not rc_context: that one restores the old settings also when nobody keeps it.
    stack.callback(mpl.rcParams.update, cast(Any, {key: mpl.rcParams[cast(Any, key)] for key in STYLE}))
    mpl.rcParams.update(cast(Any, STYLE))
    return stack


@checked()
def band(
    ax: Axes,
    x: ArrayLike,
    mean: ArrayLike,
    low: ArrayLike,
    high: ArrayLike,
    *,
    label: str | None = None,
    colour: str = SEEN,
    **line: Any,
) -> Line2D:
    """Draw ``mean`` over ``x`` with a pale band from ``low`` to ``high``, and return the line.

    Args:
        ax: where to draw.
        x: positions, [n].
        mean: the line, [n].
        low: lower edge of the band, [n], for instance of an interval over seeds.
        high: upper edge, [n].
        label: words for the legend.
        colour: of the line and the band.
        **line: further settings of the line, as in ``Axes.plot``.

    Raises:
        UsageError: if the lengths differ or an upper edge lies below its lower edge.
    """
    if not is_color_like(colour):
        raise bad_argument("colour", colour, "a colour of Matplotlib's, such as '#0072b2'")
    arrays = (("x", x), ("mean", mean), ("low", low), ("high", high))
    xs, middle, bottom, top = (_numbers(name, values) for name, values in arrays)
    for name, values in (("mean", middle), ("low", bottom), ("high", top)):
        if values.shape != xs.shape or values.ndim != 1:
            raise bad_argument(f"{name} shape", values.shape, f"the shape of x, {xs.shape}, with one axis")
    if np.any(bottom > top):
        first = int(np.argmax(bottom > top))
        raise bad_argument(f"low[{first}]", float(bottom[first]), f"at most high[{first}]={float(top[first])}")
    ax.fill_between(xs, bottom, top, color=colour, alpha=0.18, linewidth=0)
    return ax.plot(xs, middle, color=colour, label=label, **line)[0]


@checked()
def interval_band(
    ax: Axes, x: ArrayLike | Sequence[Any], intervals: Sequence[Interval], *, label: str, colour: str, **line: Any
) -> Line2D:
    """Draw ``intervals`` as the line of their values with its ``band``, and return the line.

    ``x``: a position for each, [n]. ``label``, ``colour`` and ``line`` are those of ``band``.

    Raises:
        UsageError: if there are not as many positions as intervals.
    """
    places = _numbers("x", x)
    if places.shape != (len(intervals),):
        raise bad_argument("x shape", places.shape, f"one position for each of {len(intervals)} intervals")
    values, low, high = ([getattr(each, name) for each in intervals] for name in ("value", "low", "high"))
    return band(ax, places, values, low, high, label=label, colour=colour, **line)


@checked()
def whiskers(ax: Axes, at: ArrayLike, intervals: Sequence[Interval], *, horizontal: bool = False) -> None:
    """Draw ``intervals`` over what shows their values: a thin line from low to high, with caps.

    Args:
        ax: where to draw.
        at: positions, [n].
        intervals: one for each position.
        horizontal: whether values lie along the horizontal axis, as in lying bars.

    Raises:
        UsageError: if there are not as many positions as intervals.
    """
    places = _numbers("at", at)
    if places.shape != (len(intervals),):
        raise bad_argument("at shape", places.shape, f"one position for each of {len(intervals)} intervals")
    values = np.array([interval.value for interval in intervals])
    ends = (
        np.array([[interval.value - interval.low, interval.high - interval.value] for interval in intervals])
        .reshape(-1, 2)
        .T
    )
    x, y = (values, places) if horizontal else (places, values)
    along: dict[str, Any] = {"xerr": ends} if horizontal else {"yerr": ends}
    ax.errorbar(x, y, **along, fmt="none", ecolor="black", elinewidth=0.9, capsize=2)


@checked(positive=("share",))
def fit_title(ax: Axes, words: str, share: float = 1.0) -> None:
    """Give ``ax`` a title that breaks into as many lines as it needs to stay within the figure.

    ``share`` is the part of the figure's width that ``ax`` has. A title begins where the axes do, right of the ticks
    and the name of the vertical axis, for which 70 points are kept.
    """
    width = 72 * ax.figure.bbox.width / ax.figure.dpi * share - 70
    font = ax.set_title("", loc=mpl.rcParams["axes.titlelocation"]).get_fontproperties()

    def fits(line: str) -> bool:
        return bool(TextPath((0, 0), line, prop=font).get_extents().width <= width)

    lines: list[str] = []
    for given in words.split("\n"):
        line, *rest = given.split(" ")
        for word in rest:
            longer = f"{line} {word}"
            if not fits(longer):
                lines.append(line)
            line = longer if fits(longer) else word
        lines.append(line)
    ax.set_title("\n".join(lines), loc=mpl.rcParams["axes.titlelocation"])


def _numbers(name: str, values: Any) -> np.ndarray:
    try:
        return np.asarray(values, dtype=float)
    except (TypeError, ValueError):
        raise bad_argument(name, values, "numbers along one axis") from None


@checked()
def png(figure: Figure) -> bytes:
    """Return ``figure`` as the bytes of a PNG file with a palette, the same whenever the figure is."""
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png")
    return in_palette(drawn.getvalue())


@checked()
def in_palette(picture: bytes) -> bytes:
    """Return a PNG file with at most 128 colours: enough for lines, maps and text on white, at a third of the bytes."""
    image, small = Image.open(io.BytesIO(picture)), io.BytesIO()
    if image.mode == "P":
        return picture
    image.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(small, format="png", optimize=True)
    return small.getvalue()
