"""Figures of the built pages: their twins for the dark, their room before they come, and their size on a phone."""

import io
from pathlib import Path

import numpy as np
import pytest
from boxes import measured
from PIL import Image
from playwright.sync_api import Browser, Page
from soup import Soups
from toc import PAGES
from tutorlib_book.figures import BAR, GROUND, NO_WHITE, PICTURE, dark, in_the_dark, pictures
from visitor import MODES, Visitor

from tutorlib.show import style

NOTEBOOKS = [page for page in PAGES if page.startswith("notebooks/")]
PAGE = "notebooks/rcgvf/results"
SEEN = "all => all.filter(e => e.checkVisibility()).map(e => [e.className, e.currentSrc || e.src])"


def luminance(colours: np.ndarray) -> np.ndarray:
    share = colours / 255
    found: np.ndarray = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4) @ (
        0.2126,
        0.7152,
        0.0722,
    )
    return found


def of_hex(*colours: str) -> np.ndarray:
    return np.array([[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in colours], dtype=np.uint8)


def test_every_figure_has_a_twin_and_both_have_their_size(site: Path, soups: Soups) -> None:
    count = 0
    for page in NOTEBOOKS:
        for link in soups[page].select("article a.image-reference"):
            light, twin = link.select("img")
            assert "in-the-dark" in (twin.get("class") or ())
            assert twin["alt"] == light["alt"]
            with Image.open((site / page).parent / str(light["src"])) as picture:
                size = picture.size
            with Image.open((site / page).parent / str(twin["src"])) as picture:
                assert picture.size == size
            for image in (light, twin):
                assert image["loading"] == "lazy"
                assert [int(str(image[side])) for side in ("width", "height")] == [side // 2 for side in size]
            count += 1
    assert count > 100


# What a twin shows


def test_colours_can_be_told_from_the_dark_ground_and_from_each_other() -> None:
    texts = [style.STYLE[key] for key in ("text.color", "axes.labelcolor", "xtick.color", "ytick.color")]
    colours = [*dict.fromkeys([*style.METHODS.values(), *style.CYCLE]), *texts]
    twins = dark(of_hex(*colours))
    contrast = (luminance(twins) + 0.05) / (luminance(np.array(GROUND)) + 0.05)
    assert {colour: share for colour, share in zip(colours, contrast, strict=True) if share < 4.5} == {}
    assert len(set(map(tuple, dark(of_hex(*style.NAMES)).tolist()))) == len(style.NAMES)


def test_white_becomes_the_ground_and_pale_tints_are_dark() -> None:
    assert dark(of_hex("#ffffff")).tolist() == [list(GROUND)]
    bands = [255 - 0.18 * (255 - of_hex(colour)[0]) for colour in style.CYCLE]
    assert luminance(dark(np.array(bands))).max() < 0.09
    order = luminance(dark(np.repeat(np.arange(250)[:, None], 3, axis=1)))
    assert (np.diff(order) <= 0).all()  # what is darker in the light is lighter in the dark


def figure_of(*parts: tuple[slice, slice, np.ndarray]) -> Image.Image:
    """Return a picture on white of 200 x 200 pixels, with a palette, that holds ``parts``."""
    drawn = np.full((200, 200, 3), 255, dtype=np.uint8)
    for rows, columns, colours in parts:
        drawn[rows, columns] = colours
    file = io.BytesIO()
    Image.fromarray(drawn).save(file, format="png")
    return Image.open(io.BytesIO(style.in_palette(file.getvalue())))


HEAT = of_hex("#440154", "#21918c", "#fde725")[np.arange(100 * 100).reshape(100, 100) // 1000 % 3]


def test_a_heat_map_and_its_bar_stay_as_they_are_with_their_white_marks() -> None:
    marked = HEAT.copy()
    marked[40:44, 40:44] = 255
    bar = of_hex("#440154", "#777777", "#fde725")[np.arange(100) // 34][:, None]
    figure = figure_of((slice(20, 120), slice(20, 120), marked), (slice(20, 120), slice(150, 150 + BAR), bar))
    before, after = (np.asarray(picture.convert("RGB")) for picture in (figure, in_the_dark(figure)))
    for columns in (slice(20, 120), slice(150, 150 + BAR)):
        assert (before[20:120, columns] == after[20:120, columns]).all()
    assert (after[0] == GROUND).all()


def test_bars_lines_and_small_things_are_no_pictures() -> None:
    one = of_hex("#767676")[0]
    line = np.where(np.eye(100, dtype=bool)[:, :, None], one, np.uint8(255))
    small = HEAT[: PICTURE - 1, : PICTURE - 1]
    for part in (np.broadcast_to(one, (100, 100, 3)), line, small):
        rows, columns, _ = part.shape
        figure = figure_of((slice(20, 20 + rows), slice(20, 20 + columns), part))
        entries = np.asarray(figure.getpalette("RGB"), dtype=np.uint8).reshape(-1, 3)
        assert (entries[np.asarray(figure)].min(axis=-1) < NO_WHITE).any()
        assert not pictures(np.asarray(figure), entries).any()


# In a browser


@pytest.mark.browser
@pytest.mark.parametrize("mode", MODES)
def test_one_of_both_is_seen_and_has_the_ground_of_the_page(visitor: Visitor, site: Path, mode: str) -> None:
    page = visitor.visit(mode, f"{PAGE}.html")
    seen = page.locator("article a.image-reference > img").evaluate_all(SEEN)
    assert len(seen) == page.locator("article a.image-reference").count() >= 5
    assert {name for name, _ in seen} == {"" if mode == "light" else "in-the-dark"}
    look = "all => all.map(e => getComputedStyle(e)).map(e => [e.filter, e.padding, e.backgroundColor])"
    for looks in page.locator("article a.image-reference > img >> visible=true").evaluate_all(look):
        assert looks == ["none", "0px", "rgba(0, 0, 0, 0)"]
    body = page.evaluate("getComputedStyle(document.body).backgroundColor")
    for _, address in seen:
        with Image.open(site / "_images" / address.rpartition("/")[2]) as picture:
            assert f"rgb{picture.convert('RGB').getpixel((0, 0))}" == body


@pytest.mark.browser
@pytest.mark.parametrize("mode", MODES)
def test_nothing_jumps_when_pictures_come(chromium: Browser, address: str, mode: str) -> None:
    context = chromium.new_context(**MODES[mode])
    page = context.new_page()
    context.route("**/_images/*", lambda route: route.abort())
    measure = """all => all.map(e => [e.complete && e.naturalWidth > 0, e.clientHeight,
      e.clientWidth * e.getAttribute("height") / e.getAttribute("width")])"""
    page.goto(f"{address}{PAGE}.html")
    images = page.locator("article a.image-reference > img >> visible=true")
    before = images.evaluate_all(measure)
    context.close()
    assert len(before) >= 5
    for loaded, height, expected in before:
        assert not loaded
        assert height == pytest.approx(expected, abs=1.5)
        assert height > 100


def small(page: Page) -> list[str]:
    return [line for line in measured(page)["found"] if line.startswith("too small")]


@pytest.mark.browser
def test_a_figure_of_a_phone_scrolls_at_a_size_that_can_be_read_and_says_so(visitor: Visitor) -> None:
    page = visitor.visit("dark and narrow", f"{PAGE}.html")
    assert not measured(page)["found"]
    box = page.locator("a.image-reference[data-more=right]").first
    box.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("a.image-reference[data-more^=left]")
    page.add_style_tag(content="a.image-reference > img { max-width: 100% !important }")
    assert small(page)


BROKEN = {
    "cut": "[data-more] { overflow: hidden !important }",
    "cut, or without a sign": "[data-more] { mask-image: none !important }",
    "too wide": "article p { width: 120% }",
}


@pytest.mark.browser
@pytest.mark.parametrize("fault", BROKEN)
def test_what_is_cut_or_scrolls_without_a_sign_is_found(visitor: Visitor, fault: str) -> None:
    page = visitor.visit("dark and narrow", f"{PAGE}.html")
    page.add_style_tag(content=BROKEN[fault])
    assert [line for line in measured(page)["found"] if line.startswith(fault)]
