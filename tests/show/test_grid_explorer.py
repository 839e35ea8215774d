"""The twin of the grid explorer in a real browser: what it shows is held against the data it was given."""

import json
import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from fakes import BIASES, POSITIONS, STEPS, TASKS, WIDTHS, fake_grid
from pages import MODEL, document
from playwright.sync_api import Locator, Page, expect

from tutorlib.show.explorer import Explorer
from tutorlib.show.grid import grid_data

pytestmark = pytest.mark.browser

METRICS = ("unseen_last", "seen_last", "seen_first")
HOST = ".tutorlib-grid-explorer"


@pytest.fixture(scope="module")
def twin(data: dict[str, Any]) -> str:
    return Explorer("grid_explorer", data, "Map of phases").html


SNAPSHOT = """host => {
  const root = host.shadowRoot;
  const slider = root.querySelector('#slider');
  const selected = [...root.querySelectorAll('[role="gridcell"][aria-selected="true"]')];
  return {
    attributes: Object.fromEntries([...host.attributes].map((a) => [a.name.replace('data-', ''), a.value])),
    slider: [slider.valueAsNumber, slider.getAttribute('aria-valuetext')],
    lists: ['#x', '#y'].map((id) => root.querySelector(id).selectedIndex),
    toggle: [...root.querySelectorAll('input[type="radio"]')].findIndex((input) => input.checked),
    selected: selected.map((cell) => cell.getAttribute('aria-label')),
    tabbable: [...root.querySelectorAll('.cell[tabindex="0"]')].map((cell) => selected.includes(cell)),
    said: root.querySelector('output').innerText,
    chart: root.querySelector('svg').getAttribute('aria-label'),
  };
}"""


def assert_shows(root: Locator, *, toggle: int, step: int, y: int, x: int) -> None:
    """Hold attributes, controls, output and chart of one selection against the raw data."""
    raw, shown = RAW, root.evaluate(SNAPSHOT)
    phase = raw["phase"][toggle][step][y][x]
    values = {name: raw["values"][name][toggle][step][y][x] for name in METRICS}
    texts = {f"value-{name}": "" if value is None else f"{value:.3f}" for name, value in values.items()}
    expected = {
        "x": str(WIDTHS[x]),
        "y": TASKS[y],
        "step": str(STEPS[step]),
        "toggle": BIASES[toggle],
        **texts,
    }
    expected["phase"] = "" if phase is None else raw["phases"][phase]["name"]
    assert {name: shown["attributes"][name] for name in expected} == expected
    assert (shown["slider"], shown["lists"], shown["toggle"]) == ([step, str(STEPS[step])], [x, y], toggle)
    assert shown["tabbable"] == [True]
    (name,) = shown["selected"]
    place = f"model width {WIDTHS[x]}, number of tasks K {TASKS[y]}"
    assert name.startswith(f"{place}: ")
    bias = f"share of sequences with the fixed permutation {BIASES[toggle]}"
    assert shown["said"].startswith(f"{place}, meta-training step {STEPS[step]}, {bias}:")
    if phase is None:
        assert "no run" in shown["said"]
        assert "no run" in name
        return
    low, high = (raw[end]["unseen_last"][toggle][step][y][x] for end in ("low", "high"))
    votes = raw["votes"][toggle][step][y][x]
    for words in (expected["phase"], f"{votes} of 3 seeds", f"({low:.3f} to {high:.3f})", *texts.values()):
        assert words in shown["said"]
    assert expected["phase"] in name
    seen, unseen = (curve["values"][toggle][step][y][x][-1] for curve in raw["chart"]["curves"])
    references = "1-NN 0.929, online SGD 0.831, chance 0.250"
    assert shown["chart"].endswith(f"at 32: {references}, seen tasks {seen:.3f}, unseen tasks {unseen:.3f}")


RAW = fake_grid()
START = {"toggle": 0, "step": len(STEPS) - 1, "y": 8, "x": 3}


def mounted(page: Page) -> Locator:
    root = page.locator(HOST)
    expect(root.locator("svg")).to_be_visible()
    return root


def test_the_slider_shows_every_step_by_keyboard(visit: Callable[..., Page], twin: str) -> None:
    page = visit(document(twin))
    root = mounted(page)
    assert_shows(root, **START)
    root.locator("#slider").focus()
    page.keyboard.press("Home")
    for step in range(len(STEPS)):
        assert_shows(root, **START | {"step": step})
        page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    assert_shows(root, **START | {"step": len(STEPS) - 2})
    page.keyboard.press("End")
    assert_shows(root, **START)


def test_the_arrow_keys_reach_every_cell_and_stop_at_the_edges(visit: Callable[..., Page], twin: str) -> None:
    page = visit(document(twin))
    root = mounted(page)
    root.locator('[role="gridcell"][tabindex="0"]').focus()
    for y in reversed(range(len(TASKS))):
        page.keyboard.press("Home")
        for x in range(len(WIDTHS)):
            assert_shows(root, **START | {"y": y, "x": x})
            assert root.evaluate("host => host.shadowRoot.activeElement.ariaSelected") == "true"
            page.keyboard.press("ArrowRight")
        assert_shows(root, **START | {"y": y, "x": 3})
        page.keyboard.press("ArrowDown")
    assert_shows(root, **START | {"y": 0, "x": 3})
    page.keyboard.press("Control+Home")
    page.keyboard.press("Tab")
    assert_shows(root, **START | {"y": 0, "x": 3})
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("End")
    page.keyboard.press("ArrowLeft")
    assert_shows(root, **START | {"y": 1, "x": 2})


def test_selects_toggle_and_clicks_choose_what_they_say(visit: Callable[..., Page], twin: str) -> None:
    page = visit(document(twin))
    root = mounted(page)
    root.get_by_role("radio", name="0.9").focus()
    page.keyboard.press("ArrowRight")  # radio buttons wrap around
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowRight")
    assert_shows(root, **START | {"toggle": 1})
    root.get_by_label("model width").and_(root.locator("select")).select_option("16")
    assert_shows(root, **START | {"toggle": 1, "x": 1})
    root.get_by_label("number of tasks K").and_(root.locator("select")).select_option("2⁹")
    assert_shows(root, toggle=1, step=15, y=3, x=1)
    root.get_by_role("gridcell", name="model width 32, number of tasks K 2¹¹:").click()
    assert_shows(root, toggle=1, step=15, y=5, x=2)


def test_the_lists_follow_the_keys(visit: Callable[..., Page], twin: str) -> None:
    page = visit(document(twin))
    root = mounted(page)
    for name in ("seen_first", "seen_last", "unseen_last"):
        root.locator("#metric").focus()
        page.keyboard.press("ArrowUp")
        expect(root).to_have_attribute("data-metric", name)
    root.locator("#x").focus()
    page.keyboard.press("ArrowUp")
    root.locator("#y").focus()
    page.keyboard.press("Home")
    assert_shows(root, **START | {"x": 2, "y": 0})


def test_every_cell_prints_its_number_or_its_phase(visit: Callable[..., Page], twin: str) -> None:
    root = mounted(visit(document(twin)))
    colourings = root.locator("#metric option").all_inner_texts()
    assert colourings == [metric["label"] for metric in RAW["metrics"]] + ["phase"]
    cells = root.locator('[role="gridcell"]')
    order = [(y, x) for y in reversed(range(9)) for x in range(4)]  # the first value is the lowest row
    for name in METRICS:
        root.get_by_label("colour by").select_option(index=METRICS.index(name))
        expect(root).to_have_attribute("data-metric", name)
        values = [RAW["values"][name][0][15][y][x] for y, x in order]
        for text, value in zip(cells.all_inner_texts(), values, strict=True):
            assert re.fullmatch(r"(\.|1\.)\d\d" if value is not None else "", text)
            # the number shown has gone through three decimals before it is cut to two
            assert value is None or abs(float(text) - round(value, 3)) <= 0.00501
    root.get_by_label("colour by").select_option("phase")
    phases = [(RAW["phase"][0][15][y][x], RAW["votes"][0][15][y][x]) for y, x in order]
    letters = ["" if p is None else RAW["phases"][p]["short"] + ("" if v == 3 else f"{v}/3") for p, v in phases]
    assert cells.all_inner_texts() == letters


CONTRAST = """host => {
  const luminance = (colour) => {
    const [r, g, b] = colour.match(/[\\d.]+/g).slice(0, 3).map((c) => c / 255)
      .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  return [...host.shadowRoot.querySelectorAll('[role="gridcell"]:not(.missing)')].map((cell) => {
    const style = getComputedStyle(cell);
    const [a, b] = [luminance(style.color), luminance(style.backgroundColor)];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  });
}"""


def test_numbers_stand_out_from_every_colour_of_the_scale(visit: Callable[..., Page]) -> None:
    ramp = [[[[(y * 4 + x) / 35 for x in range(4)] for y in range(9)] for _ in STEPS] for _ in BIASES]
    raw = fake_grid(values=dict.fromkeys(METRICS, ramp), start={"metric": "unseen_last"})
    raw["metrics"][0]["low"] = 0
    root = mounted(visit(document(Explorer("grid_explorer", grid_data(**raw), "Ramp").html)))
    ratios = root.evaluate(CONTRAST)
    assert len(ratios) == 36
    assert min(ratios) >= 4.5


def test_a_cell_without_a_run_says_so(visit: Callable[..., Page], twin: str) -> None:
    page = visit(document(twin))
    root = mounted(page)
    expect(root.get_by_text("hatched: no run")).to_be_visible()
    empty = root.get_by_role("gridcell", name="model width 8, number of tasks K ∞: no run")
    assert "repeating-linear-gradient" in empty.evaluate("cell => getComputedStyle(cell).backgroundImage")
    empty.click()
    assert_shows(root, **START | {"x": 0})
    assert root.locator("path.series").count() == 0
    assert root.locator("path.reference").count() == 3


def test_hovering_shows_numbers_and_leaves_the_selection_alone(visit: Callable[..., Page], twin: str) -> None:
    page = visit(document(twin))
    root = mounted(page)
    assert root.locator(".tip").is_hidden()
    root.get_by_role("gridcell", name="model width 32, number of tasks K 2⁸:").hover()
    tip = root.locator(".tip")
    expect(tip).to_be_visible()
    said = tip.inner_text()
    for name in METRICS:
        assert f"{RAW['values'][name][0][15][2][2]:.3f}" in said
    assert root.locator("path.ghost").count() == 2
    assert_shows(root, **START)
    page.mouse.move(5, 5)
    expect(tip).to_be_hidden()
    assert root.locator("path.ghost").count() == 0


def test_the_chart_draws_and_tells_the_curves(visit: Callable[..., Page], twin: str) -> None:
    page = visit(document(twin))
    root = mounted(page)
    curves = [curve["values"][0][15][8][3] for curve in RAW["chart"]["curves"]]
    paths = [path.get_attribute("d") for path in root.locator("path.series").all()]
    for values, path in zip(curves, paths, strict=True):
        points = [tuple(map(float, point.split(","))) for point in path[1:].split("L")]
        assert len(points) == len(POSITIONS)
        (left, _), (right, _) = points[0], points[-1]
        for (px, py), position, value in zip(points, POSITIONS, values, strict=True):
            assert px == pytest.approx(left + (position - 1) / 31 * (right - left), abs=0.11)
            assert py == pytest.approx(222 - value * (222 - 24), abs=0.2)
    chart = root.locator(".chart")
    spot = points[6]
    chart.hover(position={"x": spot[0] + 2, "y": 100})
    expect(root.get_by_role("img")).to_have_attribute("aria-label", re.compile(f"at 12: .*{curves[1][6]:.3f}$"))
    expect(root.locator("svg text.strong").last).to_contain_text("tasks .")
    page.mouse.move(5, 5)
    expect(root.locator("line.probe")).to_have_count(0)
    root.get_by_text("numbers of the chart").click()
    rows = [row.split("\t") for row in root.locator("tbody tr").all_inner_texts()]
    assert [row[0] for row in rows] == [str(position) for position in POSITIONS]
    assert [row[4] for row in rows] == [f"{value:.3f}" for value in curves[0]]
    assert [row[5] for row in rows] == [f"{value:.3f}" for value in curves[1]]


def test_labels_of_lines_never_cover_each_other(visit: Callable[..., Page], twin: str) -> None:
    page = visit(document(twin), width=400)
    root = mounted(page)
    root.locator("#slider").focus()
    page.keyboard.press("Home")
    for _ in STEPS:
        boxes = [label.bounding_box() for label in root.locator("svg text.thin, svg text.strong").all()]
        tops = sorted(box["y"] for box in boxes)
        assert len(tops) == 5
        assert all(b - a >= 14.9 for a, b in pairwise(tops))
        assert all(box["x"] + box["width"] <= 400 for box in boxes)
        page.keyboard.press("ArrowRight")


COLOURS = """host => {
  const style = (selector) => getComputedStyle(host.shadowRoot.querySelector(selector));
  const { backgroundColor, color } = getComputedStyle(host);
  const list = style('select').backgroundColor;
  return [backgroundColor, color, style('path.series').stroke, style('svg text').fill, list];
}"""


def test_the_page_changes_between_light_and_dark(visit: Callable[..., Page], twin: str) -> None:
    page = visit(document(twin), color_scheme="dark")
    root = mounted(page)
    expect(root).to_have_attribute("data-scheme", "light")  # the page's word counts, not the system's
    light = root.evaluate(COLOURS)
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    expect(root).to_have_attribute("data-scheme", "dark")
    dark = root.evaluate(COLOURS)
    assert all(a != b for a, b in zip(light, dark, strict=True))
    page.evaluate("document.documentElement.style.setProperty('--pst-color-background', 'rgb(1, 2, 3)')")
    assert root.evaluate(COLOURS)[0] == "rgb(1, 2, 3)"
    page.evaluate("document.documentElement.dataset.theme = 'light'")
    expect(root).to_have_attribute("data-scheme", "light")
    assert root.evaluate(COLOURS)[1:4] == light[1:4]


def test_where_the_page_says_nothing_the_system_decides(visit: Callable[..., Page], twin: str) -> None:
    page = visit(document(twin, theme=""), color_scheme="dark")
    root = mounted(page)
    expect(root).to_have_attribute("data-scheme", "dark")
    page.emulate_media(color_scheme="light")
    expect(root).to_have_attribute("data-scheme", "light")
    page.evaluate("document.body.dataset.jpThemeLight = 'false'")  # as JupyterLab says it
    expect(root).to_have_attribute("data-scheme", "dark")


def test_panels_stand_side_by_side_or_stacked_and_never_overflow(visit: Callable[..., Page], twin: str) -> None:
    page = visit(document(twin), width=400)
    root = mounted(page)
    for width, stacked in ((400, True), (320, True), (1280, False), (760, False)):
        page.set_viewport_size({"width": width, "height": 900})
        left, right = (panel.bounding_box() for panel in root.locator(".panel").all())
        assert (left["y"] + left["height"] <= right["y"]) == stacked
        # no wait_for: the chart must follow the width within a few frames
        page.wait_for_timeout(100)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        widths = root.evaluate(
            "host => [...host.shadowRoot.querySelectorAll('.panel, svg text, .cell')]"
            ".map((node) => node.getBoundingClientRect()).flatMap(({ left, right }) => [left, right])"
        )
        assert min(widths) >= 19
        assert max(widths) <= width - 19


def test_two_explorers_and_a_copy_share_a_page(visit: Callable[..., Page], twin: str) -> None:
    raw = fake_grid(start={"step": 4, "x": 0, "y": 0, "toggle": 1})
    other = Explorer("grid_explorer", grid_data(**raw), "Another map").html
    page = visit(document(twin, other, twin))
    roots = page.locator(HOST)
    expect(roots).to_have_count(3)
    first, second, copy = (roots.nth(i) for i in range(3))
    assert_shows(first, **START)
    assert_shows(second, toggle=1, step=4, y=0, x=0)
    second.locator("#slider").focus()
    page.keyboard.press("ArrowRight")
    copy.get_by_role("radio", name="0.9").check()
    assert_shows(first, **START)
    assert_shows(second, toggle=1, step=5, y=0, x=0)
    assert_shows(copy, **START | {"toggle": 1})
    assert page.get_by_role("group", name="Another map").count() == 1


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_to_complain_about(visit: Callable[..., Page], twin: str, width: int, theme: str) -> None:
    page = visit(document(twin, theme=theme), width=width)
    page.evaluate(f"document.body.style.background = '{'#14181e' if theme == 'dark' else '#fff'}'")
    root = mounted(page)
    root.get_by_text("numbers of the chart").click()
    for colouring in ("phase", RAW["metrics"][0]["label"]):
        root.get_by_label("colour by").select_option(colouring)
        found = Axe().run(page, context=".tutorlib-explorer").response
        assert [(v["id"], [node["html"] for node in v["nodes"]]) for v in found["violations"]] == []
        rules = {rule["id"] for rule in found["passes"]}
        assert {"color-contrast", "label", "select-name", "aria-required-children", "svg-img-alt"} <= rules


def test_axes_of_one_value_and_a_map_without_phases(visit: Callable[..., Page]) -> None:
    raw = fake_grid()
    raw |= {"phases": (), "phase": None, "votes": None, "low": None, "high": None, "marker": None}
    for array in (*raw["values"].values(), *(curve["values"] for curve in raw["chart"]["curves"])):
        array[:] = [array[0][-1:]]
    raw["slider"]["values"], raw["toggle"]["values"] = [4000], ["0"]
    root = mounted(visit(document(Explorer("grid_explorer", grid_data(**raw), "Plain").html)))
    assert root.locator("#slider").is_hidden()
    assert root.locator("fieldset").is_hidden()
    expect(root).to_have_attribute("data-metric", "seen_first")
    expect(root).to_have_attribute("data-phase", "")
    assert root.locator(".phase, .ranges, .marked").count() == 0


def test_without_scripts_the_picture_stands_in(visit: Callable[..., Page], data: dict[str, Any]) -> None:
    html = Explorer("grid_explorer", data, "Map of phases").html
    page = visit(document(html), java_script_enabled=False)
    expect(page.get_by_text("Map of phases (Interactive figure")).to_be_visible()
    page = visit(document(html))
    mounted(page)
    assert page.locator(".fallback").count() == 0


def test_a_live_model_is_followed_saved_and_left(visit: Callable[..., Page], data: dict[str, Any]) -> None:
    page = visit(document('<div id="here"></div>'))
    source = Explorer("grid_explorer", data, "Live").source
    page.evaluate(MODEL, [source, data, {"x": 1, "y": 99, "step": "two", "metric": "none"}])
    root = mounted(page)
    assert_shows(root, toggle=0, step=0, y=8, x=1)  # cut to what the axes have
    expect(root).to_have_attribute("data-metric", "phase")
    page.evaluate("model.set('selection', { x: 2, y: 2, step: 3, toggle: 1 })")
    assert_shows(root, toggle=1, step=3, y=2, x=2)
    root.locator("#slider").focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("[saved, model.get('selection')]") == [
        1,
        {"x": 2, "y": 2, "step": 4, "toggle": 1, "metric": "phase"},
    ]
    assert page.evaluate("model.listeners()") == 1
    page.evaluate("clean()")
    assert page.evaluate("[model.listeners(), document.querySelector('#here').children.length]") == [0, 0]
    page.evaluate("document.documentElement.dataset.theme = 'dark'")  # nobody may answer
    assert json.loads(page.evaluate("JSON.stringify(model.get('data'))")) == data  # the data is not written to
