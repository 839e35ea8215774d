"""Figures on every page: room before they come, a size at which phones can read them, and a dark twin.

A stored figure is a picture on white. Its dark twin has the page's ground in place of white, light ink in place of
dark, and dark tints in place of pale ones; the colours of methods stay what they are. What fills a rectangle, such as
a heat map or a picture of a maze, stays as it is: captions speak of its bright and its dark fields.
"""

import re
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage
from sphinx.application import Sphinx

BEFORE_LOADING = 300  # loading.py lets pictures wait, at priority 400

FIGURE = re.compile(
    r'<a class="(?P<class>reference internal image-reference)" href="(?P<file>[^"]+\.png)">'
    r'<img (?P<rest>[^>]*?)style="width: (?P<width>\d+)px; height: (?P<height>\d+)px;"(?P<end>[^>]*)>\s*</a>'
)
ALT = re.compile(r'\balt="[^"]*"')
SUFFIX = "-dark.png"

GROUND = (0x12, 0x12, 0x12)
"""the theme's own in the dark"""
GREY = (0.03, 0.075)
"""chroma, in OKLab: what has less is ink or ground, what has more is a colour, and between lies a tint"""
PICTURE, BAR = 48, 12
"""pixels that a picture within a figure has at least, and the shorter side of a bar of colours"""
FULL, HALF = 0.85, 0.45
"""share of its rectangle that a picture fills at least"""
MARKS = 0.05
"""share that white marks in it may have; more is the ground between bars"""
NO_WHITE = 250

FROM_LINEAR = np.array(
    [[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566],
     [0.0883024619, 0.2817188376, 0.6299787005]]
)  # fmt: skip
TO_LAB = np.array(
    [[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099],
     [0.0259040371, 0.7827717662, -0.8086757660]]
)  # fmt: skip
"""Ottosson's matrices of OKLab, from linear red, green and blue over the cones."""


def setup(app: Sphinx) -> None:
    app.connect("builder-inited", add_files)
    app.connect("build-finished", prepare, priority=BEFORE_LOADING)


def add_files(app: Sphinx) -> None:
    app.add_js_file("edges.js", loading_method="defer")


def prepare(app: Sphinx, exception: Exception | None) -> None:
    """Give the figures of all finished pages their size and their dark twin."""
    if exception or app.builder.format != "html":
        return
    site = Path(app.outdir)
    for path in site.rglob("*.html"):
        before = path.read_text(encoding="utf-8")
        for name in {figure["file"] for figure in FIGURE.finditer(before)}:
            picture = path.parent / name
            twin = picture.with_name(picture.stem + SUFFIX)
            if not twin.exists():  # the name of a picture changes with its content
                in_the_dark(Image.open(picture)).save(twin)
        after = FIGURE.sub(both, before)
        if after != before:
            path.write_text(after, encoding="utf-8")


def both(figure: re.Match[str]) -> str:
    """Return a figure and its twin, of which a page shows one; both have their size before they are loaded."""
    width, height = figure["width"], figure["height"]
    size = f'width="{width}" height="{height}" style="--wide: {width}px"'
    alt = ALT.search(figure["rest"] + figure["end"])
    twin = figure["file"].removesuffix(".png") + SUFFIX
    return (
        f'<a class="{figure["class"]}" href="{figure["file"]}"><img {figure["rest"]}{size}{figure["end"]}>'
        f'<img class="in-the-dark" {alt[0] if alt else ""} src="{twin}" {size}></a>'
    )


def in_the_dark(picture: Image.Image) -> Image.Image:
    """Return the twin of a picture that has a palette of at most 128 colours, as all stored ones have."""
    entries = np.asarray(picture.getpalette("RGB"), dtype=np.uint8).reshape(-1, 3)[:128]
    places = np.asarray(picture)
    kept = pictures(places, entries)
    twin = Image.fromarray(np.where(kept, places + len(entries), places).astype(np.uint8), "P")
    twin.putpalette(np.concatenate([dark(entries), entries]).tobytes())
    return twin


def pictures(places: np.ndarray, entries: np.ndarray) -> np.ndarray:
    """Return where, [height, width], pictures stand within a figure: heat maps, their bars of colours, and the like.

    ``places``, [height, width], are places in the palette ``entries``, [colours, 3]. A picture fills a rectangle, or
    half of one where it is a map of many colours, which a line with its band does not.
    """
    parts, _ = ndimage.label((entries.min(axis=1) < NO_WHITE)[places])
    colourful = np.hypot(*oklab(entries).T[1:]) > GREY[1]
    filled = np.zeros(places.shape, dtype=bool)
    for number, box in enumerate(ndimage.find_objects(parts), 1):
        short, long = sorted(side.stop - side.start for side in box)
        if short < BAR or long < PICTURE:
            continue
        part = parts[box] == number
        if short < PICTURE:  # a bar of colours, without the ticks beside it
            within = part[part.mean(axis=1) > 0.5][:, part.mean(axis=0) > 0.5]
            full = within.size > 0.6 * part.size and within.mean() > FULL
        else:
            full = part.mean() > FULL
        count = np.bincount(places[box][part], minlength=len(entries)) / part.sum()
        many = (count > 0.003).sum()
        if (full and many >= 3) or (many >= 12 and part.mean() > HALF and count[colourful].sum() > 0.9):
            whole = ndimage.binary_fill_holes(part)  # with the marks of white
            filled[box] |= whole if (whole & ~part).mean() < MARKS else part
    return filled


def oklab(colours: np.ndarray) -> np.ndarray:
    """Return ``colours``, [n, 3], of 0 to 255, as lightness and two axes of colour, [n, 3]."""
    share = colours / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    lab: np.ndarray = np.cbrt(linear @ FROM_LINEAR.T) @ TO_LAB.T
    return lab


def dark(colours: np.ndarray) -> np.ndarray:
    """Return what stands in the dark for ``colours``, [n, 3], of 0 to 255, on white."""
    lab = oklab(colours)
    light, chroma = lab[:, 0], np.hypot(lab[:, 1], lab[:, 2])
    tint = np.clip((chroma - GREY[0]) / (GREY[1] - GREY[0]), 0, 1)
    ink = 0.96 - (0.96 - 0.18) * light**1.35  # white becomes the ground, black nearly white
    colour = np.maximum(light, 0.45 + 0.35 * light)  # the darkest colours a little lighter
    lab[:, 0] = tint * colour + (1 - tint) * ink
    cones = (lab @ np.linalg.inv(TO_LAB).T) ** 3
    back = np.clip(cones @ np.linalg.inv(FROM_LINEAR).T, 0, 1)
    shares = np.where(back <= 0.0031308, 12.92 * back, 1.055 * back ** (1 / 2.4) - 0.055)
    mapped: np.ndarray = np.round(255 * shares).astype(np.uint8)
    mapped[(colours >= NO_WHITE).all(axis=1)] = GROUND
    return mapped
