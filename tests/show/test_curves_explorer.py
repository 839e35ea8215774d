"""The twin of the curves explorer in a real browser: what it shows is held against the data it was given."""

import math
import re
from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from fakes import BIASES_OF_CURVES, ESCAPES, RATES, STEPS_OF_CURVES, curve_of, fake_curves, last
from pages import MODEL, document
from playwright.sync_api import Locator, Page, expect

from tutorlib.show.curves import curves_data, curves_picture
from tutorlib.show.explorer import Explorer
from tutorlib.show.style import png

pytestmark = pytest.mark.browser

HOST = ".tutorlib-curves-explorer"
WORDS = ["waits", "waits", "goes", "goes far"]


@pytest.fixture(scope="module")
def twin() -> str:
    return Explorer("curves_explorer", curves_data(**fake_curves()), "Plateaus").html


def mounted(page: Page) -> Locator:
    root = page.locator(HOST)
    expect(root.locator("svg")).to_be_visible()
    return root


def number_of(text: str) -> float:
    """Read a number as the explorer writes it, such as 1.23·10⁻⁷."""
    text = text.translate(str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻−", "0123456789--"))
    mantissa, _, exponent = text.rpartition("10-") if re.search(r"(^|·)10-", text) else (text, "", "")
    return float(mantissa.rstrip("·") or 1) * 10 ** -int(exponent or 0)


SNAPSHOT = """host => {
  const root = host.shadowRoot;
  return {
    attributes: Object.fromEntries([...host.attributes].map((a) => [a.name.replace('data-', ''), a.value])),
    radio: [...root.querySelectorAll('input[type="radio"]')].findIndex((input) => input.checked),
    slider: [root.querySelector('#rate').valueAsNumber, root.querySelector('#rate').getAttribute('aria-valuetext')],
    said: root.querySelector('output').innerText,
    chart: root.querySelector('svg').getAttribute('aria-label'),
    path: root.querySelector('path.series').getAttribute('d'),
    ring: [...root.querySelectorAll('circle.mark')].map((c) => ['cx', 'cy'].map((name) => +c.getAttribute(name))),
    frame: ['x1', 'x2'].map((name) => +root.querySelector('.gridline').getAttribute(name)),
  };
}"""


def assert_shows(root: Locator, bias: int, rate: int) -> None:
    """Hold attributes, controls, readout and chart of one combination against the raw data."""
    shown = root.evaluate(SNAPSHOT)
    values, escape = curve_of(BIASES_OF_CURVES[bias], RATES[rate]), ESCAPES[bias][rate]
    attributes = shown["attributes"]
    assert (attributes["bias"], attributes["rate"]) == (f"{BIASES_OF_CURVES[bias]:g}", RATES[rate])
    assert (shown["radio"], shown["slider"]) == (bias, [rate, RATES[rate]])
    assert float(attributes["value-last"]) == pytest.approx(last(values), rel=1e-3)
    assert attributes["value-escape"] == ("" if escape is None else str(escape))
    assert attributes["value-words"] == WORDS[rate]
    said = re.sub(r"\s+", " ", shown["said"])
    assert said.startswith(f"bias {attributes['bias']}, learning rate {RATES[rate]}:")
    assert said.endswith(f"a small rate {WORDS[rate]}")
    told = re.search("loss in the end (.*) escapes at step (.*) a small rate", said)
    assert number_of(told[1]) == pytest.approx(last(values), rel=0.006)
    assert told[2] == ("–" if escape is None else str(escape))
    mark = "" if escape is None else f"escape: meta-training step {escape}, loss 1.42; "
    slow = curve_of(0.0, RATES[rate])  # the other line
    ends = ["2000" if line[-1] is None else "2400" for line in (slow, values)]
    head, _, here = shown["chart"].partition(f"at {max(ends)}: without bias ")
    assert head == f"loss against meta-training step; {mark}"
    read = re.fullmatch(r"([^ ]*)(?: \(at (\d+)\))?, loss ([^ ]*)(?: \(at (\d+)\))?", here)
    assert [read[2] or max(ends), read[4] or max(ends)] == ends
    assert [number_of(read[1]), number_of(read[3])] == pytest.approx([last(slow), last(values)], rel=0.006)
    left, right = shown["frame"]
    points = [tuple(map(float, point.split(","))) for point in shown["path"][1:].split("L")]
    present = [(step, value) for step, value in zip(STEPS_OF_CURVES, values, strict=True) if value is not None]
    for (px, py), (step, value) in zip(points, present, strict=True):
        assert px == pytest.approx(left + step / 2400 * (right - left), abs=0.11)
        assert py == pytest.approx(222 - math.log(value / 0.01) / math.log(200) * (222 - 24), abs=0.15)
    ring = (
        [] if escape is None else [(left + escape / 2400 * (right - left), 222 - math.log(142) / math.log(200) * 198)]
    )
    assert [tuple(spot) for spot in shown["ring"]] == [pytest.approx(spot, abs=0.1) for spot in ring]


def test_every_combination_by_keyboard(visit: Callable[..., Page], twin: str) -> None:
    page = visit(document(twin))
    root = mounted(page)
    assert_shows(root, 2, 2)
    root.get_by_role("radio", name="0.9").focus()
    for bias in range(3):
        page.keyboard.press("ArrowRight")  # radio buttons wrap around
        root.locator("#rate").focus()
        page.keyboard.press("Home")
        for rate in range(len(RATES)):
            assert_shows(root, bias, rate)
            page.keyboard.press("ArrowRight")
        assert_shows(root, bias, len(RATES) - 1)
        root.get_by_role("radio", name=f"{BIASES_OF_CURVES[bias]:g}", exact=True).focus()


def test_a_line_over_one_chooser_stays_when_the_other_turns(visit: Callable[..., Page], twin: str) -> None:
    root = mounted(visit(document(twin)))
    thin = root.locator("path.reference")
    before = thin.get_attribute("d")
    root.get_by_role("radio", name="0.5").check()
    assert thin.get_attribute("d") == before
    root.locator("#rate").fill("3")
    assert thin.get_attribute("d") != before


def test_pointing_reads_all_lines_and_the_table_holds_them(visit: Callable[..., Page], twin: str) -> None:
    page = visit(document(twin))
    root = mounted(page)
    left, right = root.evaluate(SNAPSHOT)["frame"]
    root.locator(".chart").hover(position={"x": left + (right - left) * 1210 / 2400, "y": 100})
    name = root.get_by_role("img").get_attribute("aria-label")
    told = re.search("at 1200: without bias (.*), loss (.*)$", name)
    place = STEPS_OF_CURVES.index(1200)
    assert number_of(told[1]) == pytest.approx(curve_of(0.0, RATES[2])[place], rel=0.006)
    assert number_of(told[2]) == pytest.approx(curve_of(0.9, RATES[2])[place], rel=0.006)
    page.mouse.move(5, 5)
    expect(root.locator("line.probe")).to_have_count(0)
    root.get_by_text("numbers of the chart").click()
    rows = [row.split("\t") for row in root.locator("tbody tr").all_inner_texts()]
    assert [row[0] for row in rows] == [str(step) for step in STEPS_OF_CURVES]
    for row, slow, fast in zip(rows, curve_of(0.0, RATES[2]), curve_of(0.9, RATES[2]), strict=True):
        assert row[1] == "–" if slow is None else number_of(row[1]) == pytest.approx(slow, rel=0.006)
        assert number_of(row[2]) == pytest.approx(fast, rel=0.006)


def test_whole_numbers_are_told_to_the_last_digit(visit: Callable[..., Page]) -> None:
    """Three digits would make 1230 of step 1234."""
    raw = fake_curves(positions=[1025, *STEPS_OF_CURVES[6:], 2401])
    raw["x"]["high"] = 2401
    lines = [0.5] * len(raw["positions"])
    raw["lines"] = [{"label": "loss", "values": lines, "over": ()}]
    raw["marks"] = [{"label": "escape", "x": 1234, "over": ()}]
    numbers = {"step": 1234, "many": 123_456, "huge": 33_554_432, "below": -4321, "part": 12.34}
    raw["numbers"] = [{"name": n, "label": n, "values": value, "over": ()} for n, value in numbers.items()]
    root = mounted(visit(document(Explorer("curves_explorer", curves_data(**raw), "Whole numbers").html)))
    said = re.sub(r"\s+", " ", root.locator("output").inner_text())
    assert said.endswith("step 1234 many 123456 huge 3.36·10⁷ below −4321 part 12.3")
    name = root.get_by_role("img").get_attribute("aria-label")
    assert name == "loss against meta-training step; escape: meta-training step 1234; at 2401: loss 0.5"
    root.get_by_text("numbers of the chart").click()
    rows = root.locator("tbody tr").all_inner_texts()
    assert [row.split("\t")[0] for row in rows] == [str(position) for position in raw["positions"]]


COLOURS = """host => {
  const style = (selector) => getComputedStyle(host.shadowRoot.querySelector(selector));
  const { backgroundColor, color } = getComputedStyle(host);
  return [backgroundColor, color, style('path.series').stroke, style('path.reference').stroke, style('.mark').stroke];
}"""


def test_the_page_changes_between_light_and_dark(visit: Callable[..., Page], twin: str) -> None:
    page = visit(document(twin))
    root = mounted(page)
    light = root.evaluate(COLOURS)
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    expect(root).to_have_attribute("data-scheme", "dark")
    assert all(a != b for a, b in zip(light, root.evaluate(COLOURS), strict=True))


STROKES = """host => {
  const rgb = (name) => {
    const probe = host.shadowRoot.appendChild(document.createElement("i"));
    probe.style.color = `var(--${name})`;
    const found = getComputedStyle(probe).color;
    probe.remove();
    return found;
  };
  const drawn = [...host.shadowRoot.querySelectorAll("path.series, path.reference")];
  return [drawn.map((path) => getComputedStyle(path).stroke), ["orange", "green", "c1"].map(rgb)];
}"""


def test_a_method_has_its_own_colour_whatever_its_place(visit: Callable[..., Page]) -> None:
    raw = fake_curves()
    flat = [0.5] * len(STEPS_OF_CURVES)
    raw["lines"] = [
        {"label": "RC-GVF", "values": flat, "over": ()},
        {"label": "loss", "values": flat, "over": ()},
        {"label": "RND", "values": flat, "over": (), "thin": True},
    ]
    root = mounted(visit(document(Explorer("curves_explorer", curves_data(**raw), "Methods").html)))
    drawn, named = root.evaluate(STROKES)
    assert drawn == named, "thin ones are drawn first"
    assert len(set(drawn)) == 3


def test_controls_and_chart_have_names(visit: Callable[..., Page], twin: str) -> None:
    root = mounted(visit(document(twin)))
    expect(root).to_have_attribute("aria-label", "Plateaus")
    expect(root.get_by_role("group", name="bias", exact=True).get_by_role("radio")).to_have_count(3)
    expect(root.get_by_role("slider", name="learning rate")).to_have_attribute("aria-valuetext", RATES[2])
    expect(root.locator("output")).to_have_attribute("aria-live", "polite")


def test_nothing_overflows_a_narrow_page(visit: Callable[..., Page], twin: str) -> None:
    page = visit(document(twin))
    root = mounted(page)
    for width, stacked in ((320, True), (400, True), (1280, False)):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(100)
        left, right = (panel.bounding_box() for panel in root.locator(".panel").all())
        assert (left["y"] + left["height"] <= right["y"]) == stacked
        ends = root.evaluate(
            "host => [...host.shadowRoot.querySelectorAll('.panel, svg text')]"
            ".map((node) => node.getBoundingClientRect()).flatMap(({ left, right }) => [left, right])"
        )
        assert min(ends) >= 19
        assert max(ends) <= width - 19


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_to_complain_about(visit: Callable[..., Page], twin: str, width: int, theme: str) -> None:
    page = visit(document(twin, theme=theme), width=width)
    page.evaluate(f"document.body.style.background = '{'#14181e' if theme == 'dark' else '#fff'}'")
    root = mounted(page)
    expect(root).to_have_attribute("data-scheme", theme)
    root.get_by_text("numbers of the chart").click()
    found = Axe().run(page, context=".tutorlib-explorer").response
    assert [(v["id"], [node["html"] for node in v["nodes"]]) for v in found["violations"]] == []
    assert {"color-contrast", "label", "svg-img-alt"} <= {rule["id"] for rule in found["passes"]}


def test_without_scripts_the_picture_stands_in(visit: Callable[..., Page]) -> None:
    data = curves_data(**fake_curves())
    html = Explorer("curves_explorer", data, "Plateaus", png(curves_picture(data))).html
    page = visit(document(html), java_script_enabled=False)
    expect(page.get_by_role("img", name="Plateaus")).to_be_visible()
    page = visit(document(html))
    mounted(page)
    assert page.locator(".fallback").count() == 0


def test_a_live_model_is_followed_saved_and_left(visit: Callable[..., Page]) -> None:
    page = visit(document('<div id="here"></div>'))
    data: dict[str, Any] = curves_data(**fake_curves())
    page.evaluate(MODEL, [Explorer("curves_explorer", data, "Live").source, data, {"bias": 99, "rate": "one", "no": 1}])
    root = mounted(page)
    assert_shows(root, 2, 0)  # cut to what the choosers have
    page.evaluate("model.set('selection', { bias: 1, rate: 3 })")
    assert_shows(root, 1, 3)
    root.locator("#rate").focus()
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("[saved, model.get('selection')]") == [1, {"bias": 1, "rate": 2}]
    page.evaluate("clean()")
    assert page.evaluate("[model.listeners(), document.querySelector('#here').children.length]") == [0, 0]
    assert page.evaluate("model.get('data')") == data  # the data is not written to
