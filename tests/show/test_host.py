"""How a page shows an explorer: under strict rules for contents, beside a live widget, and where one is broken."""

from collections.abc import Callable
from typing import Any

import pytest
from bandits import fake_bandit
from fakes import fake_curves, fake_games, fake_grid
from pages import document
from playwright.sync_api import Page, expect

from tutorlib.show.bandit import bandit_data
from tutorlib.show.curves import curves_data
from tutorlib.show.explorer import Explorer
from tutorlib.show.grid import grid_data
from tutorlib.show.guess import guess_data

pytestmark = pytest.mark.browser

Visit = Callable[..., Page]
FIGURES: dict[str, Callable[[], dict[str, Any]]] = {
    "bandit": lambda: bandit_data(**fake_bandit()),
    "curves": lambda: curves_data(**fake_curves()),
    "grid": lambda: grid_data(**fake_grid()),
    "guess": lambda: guess_data(**fake_games()),
}
# What VS Code lets an output do, without its permission for styles.
RULES = "default-src 'none'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; img-src data:; style-src 'self'"


def explorer(kind: str, **changes: Any) -> Explorer:
    return Explorer(f"{kind}_explorer", FIGURES[kind]() | changes, "A figure")


@pytest.mark.parametrize("kind", FIGURES)
def test_an_explorer_needs_no_blob_and_no_styles_in_the_page(visit: Visit, kind: str) -> None:
    page = visit(document(explorer(kind).html).replace(' style="margin: 20px"', ""), rules=RULES)
    host = page.locator(f".tutorlib-{kind}-explorer")
    expect(host.locator("svg").first).to_be_visible()
    assert page.locator(".fallback").count() == 0
    assert host.evaluate("e => getComputedStyle(e).display") == "block"  # its own style sheet is there


LIVE = """([key, selection]) => {
  const state = { key, selection };
  const calls = new Set();
  window.saved = 0;
  window.live = {
    get: (name) => state[name],
    set: (name, value) => { state[name] = value; calls.forEach((call) => call()); },
    on: (event, call) => event === 'change:selection' && calls.add(call),
    save_changes: () => { window.saved += 1; },
  };
}"""


def announce(page: Page, key: str, selection: dict[str, int]) -> None:
    """Do what the module of a live widget does in a front end that makes its model."""
    page.evaluate(LIVE, [key, selection])
    widget = explorer("curves").widget
    assert widget.key == key
    page.evaluate(
        """source => import(URL.createObjectURL(new Blob([source], { type: 'text/javascript' })))
           .then(({ default: widget }) => widget.initialize({ model: window.live }))""",
        str(widget._esm),
    )


def test_a_twin_and_a_live_widget_share_their_selection(visit: Visit) -> None:
    figure = explorer("curves")
    page = visit(document(figure.html, figure.html))
    hosts = page.locator(".tutorlib-curves-explorer")
    expect(hosts).to_have_count(2)

    def shown(bias: str, rate: str) -> None:
        for host in hosts.all():
            expect(host).to_have_attribute("data-bias", bias)
            expect(host).to_have_attribute("data-rate", rate)

    shown("0.9", "2e-3")
    announce(page, figure.key, {"bias": 0, "rate": 1})
    shown("0", "1e-3")
    page.evaluate("live.set('selection', { bias: 1, rate: 0 })")  # from Python
    shown("0.5", "3e-4")
    assert page.evaluate("saved") == 0
    hosts.first.locator("#rate").focus()
    page.keyboard.press("ArrowRight")
    shown("0.5", "1e-3")
    assert page.evaluate("[saved, live.get('selection')]") == [1, {"bias": 1, "rate": 1}]


def test_a_choice_from_before_the_live_widget_came_is_kept(visit: Visit) -> None:
    figure = explorer("curves")
    page = visit(document(figure.html))
    host = page.locator(".tutorlib-curves-explorer")
    host.locator("#rate").focus()
    page.keyboard.press("Home")
    announce(page, figure.key, {})
    expect(host).to_have_attribute("data-rate", "3e-4")
    assert page.evaluate("live.get('selection')") == {"bias": 2, "rate": 0}


def test_a_live_widget_of_another_content_is_none_of_its_business(visit: Visit) -> None:
    page = visit(document(explorer("curves", title="Another").html))
    host = page.locator(".tutorlib-curves-explorer")
    expect(host).to_have_attribute("data-bias", "0.9")
    announce(page, explorer("curves").key, {"bias": 0, "rate": 1})
    page.evaluate("live.set('selection', { bias: 1, rate: 0 })")
    expect(host).to_have_attribute("data-bias", "0.9")


def test_a_broken_explorer_keeps_its_words_and_leaves_the_others_alone(visit: Visit) -> None:
    broken = Explorer("curves_explorer", {"title": "Nothing to draw"}, "A broken figure")
    page = visit(document(broken.html, explorer("curves").html), forgiven="TypeError")
    expect(page.locator(".tutorlib-curves-explorer svg")).to_be_visible()
    expect(page.get_by_text("A broken figure (Interactive figure")).to_be_visible()
    assert page.locator(".tutorlib-explorer > div").count() == 1


@pytest.mark.parametrize("decimals", [300, 400, -3])
def test_decimals_beyond_what_a_browser_shows(visit: Visit, decimals: int) -> None:
    """Python refuses them; where they get through, a figure still draws itself."""
    raw = fake_curves(y={"label": "loss", "low": 0, "high": 3})
    curves = curves_data(**raw)
    for line in curves["lines"]:
        line["values"] |= {"decimals": decimals, "low": 10 ** max(0, decimals)}
    html = Explorer("curves_explorer", curves, "A figure").html, explorer("grid", decimals=decimals).html
    page = visit(document(*html))
    for kind in ("curves", "grid"):
        expect(page.locator(f".tutorlib-{kind}-explorer svg")).to_be_visible()
    assert "NaN" not in page.locator(".tutorlib-curves-explorer svg").inner_html()
    value = page.locator(".tutorlib-grid-explorer").get_attribute("data-value-unseen_last")
    assert value is not None
    assert len(value) <= 22
