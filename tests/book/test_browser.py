"""The built pages in Chromium, served from a folder of a web server as a project's pages are."""

import gzip
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, Response, Route
from toc import PAGES

from tutorlib.lab import Record, recorded, table
from tutorlib.papers.gpicl.analysis import tasks_label
from tutorlib.papers.mbrl.analysis import class_label, classes
from tutorlib.papers.rcgvf.analysis import methods as rcgvf_methods

pytestmark = pytest.mark.browser

MADE = ["search", "genindex", "py-modindex"]  # pages that no file of the book stands for
MATHJAX = "https://cdn.jsdelivr.net/npm/mathjax@"
MODES: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light", "viewport": {"width": 1280, "height": 900}},
    "dark and narrow": {"color_scheme": "dark", "viewport": {"width": 400, "height": 800}, "has_touch": True},
}
MAX_BYTES = 600_000
COMPRESSED = {".html", ".css", ".js", ".svg", ".json"}

THEME = {
    # rule: (a piece of each element that breaks it, why it stays)
    "region": ("navbar-brand", "the theme's title at the top of the sidebar stands in no landmark"),
}
"""What axe-core holds against every page of the theme; everything else is a fault of ours."""


RULES = {
    "default-src": "'none'",
    # No script in a page, no attribute that is one, no eval, no blob. MathJax comes from elsewhere, with its fonts.
    "script-src": f"'self' {MATHJAX}3/",
    "font-src": f"'self' {MATHJAX}3/",
    # Attributes and elements with styles: docutils and the theme (widths), pandas (tables), MathJax (all it draws).
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' data:",  # the theme's style sheets hold small pictures, an explorer's box the one of its start
    "connect-src": "'self'",  # the search
    "form-action": "'self'",
    "base-uri": "'none'",
}
"""The Content-Security-Policy that all pages are served under."""


class Handler(SimpleHTTPRequestHandler):
    """Serves the book under ``/tutorlib/`` and nothing else, so a link to the server's root fails."""

    def end_headers(self) -> None:
        self.send_header("Content-Security-Policy", "; ".join(f"{kind} {sources}" for kind, sources in RULES.items()))
        super().end_headers()

    def translate_path(self, path: str) -> str:
        inside = path.removeprefix("/tutorlib/")
        return super().translate_path("/" + inside if inside != path else "/nothing-here")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(site)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/tutorlib/"
    server.shutdown()
    server.server_close()
    thread.join()


class Visitor:
    """One window per mode, with a list of all that went wrong in it since the last visit."""

    def __init__(self, browser: Browser, address: str):
        self.browser, self.address = browser, address
        self.pages: dict[str, Page] = {}
        self.problems: list[str] = []
        self.requested: set[str] = set()

    def visit(self, mode: str, place: str) -> Page:
        if mode not in self.pages:
            self.pages[mode] = self.open(self.browser.new_context(**MODES[mode]))
        page = self.pages[mode]
        self.problems.clear()
        self.requested.clear()
        page.goto(self.address + place)
        # An explorer replaces its picture once it has drawn itself.
        # (Not by wait_for_function, which evaluates a text, and that is forbidden here.)
        page.wait_for_selector(".tutorlib-explorer .fallback", state="detached")
        return page

    def open(self, context: BrowserContext) -> Page:
        context.route(lambda url: not url.startswith(self.address), self.outside)
        page = context.new_page()
        page.on("console", self.message)
        page.on("pageerror", lambda error: self.problems.append(f"page error: {error}"))
        page.on("response", self.response)
        return page

    def outside(self, route: Route) -> None:
        if route.request.url.startswith(MATHJAX):
            route.fulfill(body="", content_type="text/javascript")
        else:
            self.problems.append(f"request to {route.request.url[:200]}")
            route.abort()

    def message(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(f"console: {message.text}")

    def response(self, response: Response) -> None:
        if response.status >= 400:
            self.problems.append(f"{response.status} {response.url}")
        if response.url.startswith(self.address):
            self.requested.add(response.url.removeprefix(self.address).partition("?")[0].partition("#")[0])


@pytest.fixture(scope="module")
def visitor(chromium: Browser, address: str) -> Visitor:
    return Visitor(chromium, address)


CONTRAST = "color-contrast"

KINDS_OF_TEXT = """() => {
  // What decides an element's contrast: colour and size of its letters, and all that is painted under them.
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const kinds = new Map();
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !element.checkVisibility()) continue;
    const {color, fontSize, fontWeight, textShadow} = getComputedStyle(element);
    const kind = [color, fontSize, fontWeight, textShadow];
    for (let e = element; e; e = e.parentElement) {
      const {backgroundColor, backgroundImage, opacity, filter, position} = getComputedStyle(e);
      kind.push([backgroundColor, backgroundImage, opacity, filter, position === "static" ? "" : position]);
    }
    const key = JSON.stringify([...new Set(kind.map(part => JSON.stringify(part)))]);
    kinds.set(key, [...(kinds.get(key) ?? []), element].slice(0, SAMPLES));
  }
  document.querySelectorAll("[data-contrast]").forEach(e => e.removeAttribute("data-contrast"));
  const fields = document.querySelectorAll("input, select, textarea");  // whose text is no text node
  [...kinds.values(), ...fields].flat().forEach(e => e.setAttribute("data-contrast", ""));
}""".replace("SAMPLES", "3")
"""Marks three elements of each kind of text: on a page of 14,000 elements axe-core takes 20 s to measure all."""


def faults(page: Page, rules: Sequence[str] = ()) -> dict[str, list[str]]:
    """Return the elements that break a rule of axe-core, by rule; ``rules`` names some instead of all."""
    options: dict[str, Any] = {"resultTypes": ["violations"], "preload": False}  # it would load style sheets again
    if rules:
        options["runOnly"] = [rule for rule in rules if rule != CONTRAST]
    else:
        options["rules"] = {CONTRAST: {"enabled": False}}
    found = Axe().run(page, options=options).response["violations"] if options.get("runOnly", True) else []
    if not rules or CONTRAST in rules:
        page.evaluate(KINDS_OF_TEXT)
        only = {"resultTypes": ["violations"], "preload": False, "runOnly": [CONTRAST]}
        found += Axe().run(page, {"include": [["[data-contrast]"]]}, only).response["violations"]
    return {rule["id"]: [node["html"] for node in rule["nodes"]] for rule in found}


def ours(found: dict[str, list[str]]) -> dict[str, list[str]]:
    """Return ``found`` without what the theme is excused for."""
    left = {
        rule: [html for html in elements if rule not in THEME or THEME[rule][0] not in html]
        for rule, elements in found.items()
    }
    return {rule: elements for rule, elements in left.items() if elements}


def brightness(page: Page, selector: str) -> float:
    """Return how bright the background of an element is, from 0 to 1."""
    colour = page.eval_on_selector(selector, "element => getComputedStyle(element).backgroundColor")
    red, green, blue = (int(part) for part in re.findall(r"\d+", colour)[:3])
    return (0.2126 * red + 0.7152 * green + 0.0722 * blue) / 255


@cache
def transferred(path: Path) -> int:
    """Return how many bytes a file takes on its way; pictures and fonts are compressed already."""
    content = path.read_bytes()
    return len(gzip.compress(content)) if path.suffix in COMPRESSED else len(content)


@pytest.mark.parametrize("place", [*PAGES, *MADE])
@pytest.mark.parametrize("mode", MODES)
def test_page(visitor: Visitor, site: Path, mode: str, place: str) -> None:
    page = visitor.visit(mode, f"{place}.html")
    assert not visitor.problems
    weight = sum(transferred(site / name) for name in visitor.requested)
    assert 50_000 < weight <= MAX_BYTES
    assert not [name for name in visitor.requested if "webfonts" in name], "an icon is not in the small fonts"
    if mode == "light":
        assert brightness(page, "body") > 0.85
        assert not ours(faults(page))
    else:  # the rules that depend on colours and on widths; the others have seen this page
        assert brightness(page, "body") < 0.15
        assert not ours(faults(page, ["color-contrast", "scrollable-region-focusable"]))
        # Tables and code scroll within their own boxes, the page does not.
        widths = page.evaluate("[document.documentElement.scrollWidth, document.querySelector('main').scrollWidth]")
        assert max(widths) <= MODES[mode]["viewport"]["width"]


def test_one_pale_word_among_many_is_found(visitor: Visitor) -> None:
    page = visitor.visit("light", f"{PAGES[0]}.html")
    page.evaluate("""() => [...document.querySelectorAll("main p")].filter(p => p.checkVisibility()).at(-1)
      .insertAdjacentHTML("beforeend", '<b id="pale" style="color: #999; background: #fff">pale</b>')""")
    for rules in ([], [CONTRAST]):
        found = ours(faults(page, rules))
        assert set(found) == {CONTRAST}
        (element,) = found[CONTRAST]
        assert 'id="pale"' in element


def test_the_theme_still_has_the_faults_that_it_is_excused_for(visitor: Visitor) -> None:
    assert set(faults(visitor.visit("light", "search.html"))) == set(THEME)


def test_the_first_address_leads_to_the_first_page(visitor: Visitor) -> None:
    page = visitor.visit("light", "")
    page.wait_for_url(f"**/{PAGES[0]}.html")


def test_search_finds_a_word_of_the_glossary(visitor: Visitor) -> None:
    page = visitor.visit("light", "search.html?q=plateau")
    page.wait_for_selector("#search-results .search-summary:has-text('finished')")
    found = page.eval_on_selector_all("#search-results li a", "links => links.map(a => a.textContent)")
    assert "Glossary" in found
    assert not visitor.problems


def test_the_switch_makes_a_page_dark_and_light(visitor: Visitor) -> None:
    page = visitor.visit("light", f"{PAGES[0]}.html")
    switch = page.locator(".theme-switch-button >> visible=true")
    seen = []
    for _ in range(3):  # light, dark, and what the system says
        switch.click()
        page.evaluate("Promise.all(document.getAnimations().map(fading => fading.finished))")
        seen.append(page.get_attribute("html", "data-theme"))
        assert (brightness(page, "body") < 0.5) == (seen[-1] == "dark")
        assert not ours(faults(page, ["color-contrast"]))
    page.evaluate("localStorage.clear()")
    assert set(seen) == {"light", "dark"}


def test_the_rules_that_pages_are_served_under_allow_no_script_in_a_page(visitor: Visitor) -> None:
    page = visitor.visit("light", f"{PAGES[0]}.html")
    page.evaluate("""() => {
      document.addEventListener("securitypolicyviolation", ({ violatedDirective }) => {
        document.body.dataset.refused = (document.body.dataset.refused ?? "") + violatedDirective + " ";
      });
      const script = document.createElement("script");
      script.textContent = "document.body.dataset.ran = 'yes'";
      document.body.append(script);
      document.body.insertAdjacentHTML("beforeend", "<b id=pressed onclick='document.body.dataset.ran = 1'>x</b>");
      document.querySelector("#pressed").click();
      import(URL.createObjectURL(new Blob([""], { type: "text/javascript" }))).catch(() => {});
    }""")
    page.wait_for_selector("body[data-refused*='script-src-elem script-src-attr script-src-elem']")
    assert page.get_attribute("body", "data-ran") is None
    visitor.problems.clear()  # which are these three


def test_the_buttons_of_the_theme_do_what_they_say(visitor: Visitor) -> None:
    page = visitor.visit("light", f"{PAGES[0]}.html")
    page.evaluate("for (const name of ['print', 'toggleFullScreen']) window[name] = () => { document.title = name }")
    for name in ("print", "toggleFullScreen"):
        page.locator(f"[data-press={name}]").dispatch_event("click")
        assert page.title() == name


def test_explorers_live_on_pages_that_are_opened_from_the_disk(chromium: Browser, site: Path) -> None:
    """As ``make book`` says: no server, no network. A browser loads no module and no data from there, only scripts."""
    context = chromium.new_context(offline=True)
    page = context.new_page()
    found = 0
    for place in PAGES:
        expected = (site / f"{place}.html").read_text(encoding="utf-8").count('class="tutorlib-explorer"')
        if expected:
            page.goto((site / f"{place}.html").as_uri(), wait_until="domcontentloaded")
            page.wait_for_selector(".tutorlib-explorer .fallback", state="detached")
            assert page.locator(".tutorlib-explorer svg").count() >= expected
            found += expected
    context.close()
    assert found >= 8


def test_the_published_phase_map_shows_the_records(visitor: Visitor) -> None:
    """Turn every knob of the explorer by keyboard, with no outside request, and compare it with the records."""
    runs = table(recorded("gpicl.phases"))
    page = visitor.visit("light", "notebooks/gpicl/method.html")
    explorer = page.locator(".tutorlib-grid-explorer")
    slider, radios = explorer.locator("input[type=range]"), explorer.locator("input[type=radio]")
    visited = set()

    def compare() -> None:
        shown = explorer.evaluate("e => ({...e.dataset})")
        tasks = next(k for k in set(runs["tasks"]) if tasks_label(k) == shown["y"])
        cell = runs[
            (runs["tasks"] == tasks) & (runs["width"] == int(shown["x"])) & (runs["bias"] == float(shown["toggle"]))
        ]
        assert len(cell) == 5
        look = cell["looks"].iloc[0].index(int(shown["step"]))
        for name in ("seen", "unseen"):
            curves = [run[look] for run in cell[f"look_{name}"]]
            first = sum(curve[0] for curve in curves) / 5
            last = sum(sum(curve[-10:]) / 10 for curve in curves) / 5
            assert float(shown[f"value{name.title()}_first"]) == pytest.approx(first, abs=6e-4)
            assert float(shown[f"value{name.title()}_last"]) == pytest.approx(last, abs=6e-4)
        phases = [run[look] for run in cell["look_phase"]]
        assert phases.count(shown["phase"]) == max(map(phases.count, phases))
        visited.add((shown["x"], shown["y"], shown["toggle"], shown["step"]))

    assert size_of_numbers(explorer) != "0px"
    compare()
    slider.focus()
    for key in ("Home", "ArrowRight", "ArrowRight", "End"):
        page.keyboard.press(key)
        compare()
    radios.first.focus()
    page.keyboard.press("Space")
    compare()
    explorer.locator('[role="gridcell"][tabindex="0"]').focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowLeft", "ArrowDown", "ArrowRight", "ArrowUp"):
        page.keyboard.press(key)
        compare()
    assert len(visited) >= 10, "the keys did not move the selection"
    assert visitor.problems == []


def test_the_published_symmetry_breaker_shows_the_records(visitor: Visitor) -> None:
    runs = table(recorded("symla.cartpole"))
    agents = [  # in the order of the readout
        runs[runs["agent"] == "symla"],
        runs[(runs["agent"] == "meta-rnn") & (runs["permuted"] == "none")],
        runs[runs["permuted"] == "both"],
    ]
    page = visitor.visit("light", "notebooks/symla/results.html")
    explorer = page.locator(".tutorlib-curves-explorer")
    visited = set()

    def compare() -> None:
        shown = explorer.evaluate("e => ({...e.dataset})")
        seen = "".join(str("xvθω".index(entry)) for entry in shown["seen"].split())
        done = "".join(str(("left", "right").index(action)) for action in shown["done"].split(", "))
        for i, own in enumerate(agents):
            at = own["orders"].iloc[0].index(f"{seen}/{done}")
            mean = 1000 * sum(means[at] for means in own["order_mean"]) / len(own)
            assert float(shown[f"valueAgent{i}"]) == pytest.approx(mean, rel=1e-3, abs=1e-3)
        visited.add((seen, done))

    compare()
    explorer.locator("input[type=range]").focus()
    for key in ("ArrowRight", "ArrowRight", "End", "ArrowLeft"):
        page.keyboard.press(key)
        compare()
    explorer.locator("input[type=radio]").first.focus()
    page.keyboard.press("ArrowRight")
    compare()
    assert len(visited) >= 6, "the keys did not move the selection"
    assert visitor.problems == []


def test_the_published_plateau_shows_the_records(visitor: Visitor) -> None:
    runs = [(r, {**r.config, **r.config["streams"]}) for r in recorded("vsml.plateau")]
    page = visitor.visit("light", "notebooks/vsml/results.html")
    explorer = page.locator(".tutorlib-curves-explorer")
    visited = set()

    def compare() -> None:
        shown = explorer.evaluate("e => ({...e.dataset})")
        bias = float(shown["bias"].replace("−", "-").split(",")[0])
        wanted = {"forget_bias": bias, "rate": float(shown["rate"])}
        wanted |= {name: int(shown[name]) for name in ("length", "classes")}
        own = [r for r, c in runs if wanted.items() <= c.items()]
        assert len(own) == 5
        assert float(shown["valueLoss"]) == pytest.approx(sum(r.metrics["loss"] for r in own) / 5, abs=2e-3)
        escapes = sorted(r.metrics["escape"] or 10**9 for r in own)
        assert shown["valueEscape"] == (str(escapes[2]) if escapes[2] < 10**9 else "none within the run")
        visited.add(tuple(wanted.values()))

    compare()
    for slider in explorer.locator("input[type=range]").all():
        slider.focus()
        for key in ("Home", "End"):
            page.keyboard.press(key)
            compare()
    for radio in explorer.locator("input[type=radio]").all():
        radio.check()
        compare()
    assert len(visited) >= 7, "the knobs did not move the selection"
    assert visitor.problems == []


def size_of_numbers(explorer: Locator) -> str:
    """Return the font size of the numbers in an explorer's grid; there is no room for them in one of many columns."""
    return explorer.locator('[role="gridcell"]').first.evaluate("e => getComputedStyle(e).fontSize")


def keys_through(page: Page, explorer: Locator, compare: Callable[[], None]) -> None:
    """Turn each slider to both ends and one step back, and choose each button; compare each time."""
    for slider in explorer.locator("input[type=range]").all():
        slider.focus()
        for key in ("Home", "End", "ArrowLeft"):
            page.keyboard.press(key)
            compare()
    for radio in explorer.locator("input[type=radio]").all():
        radio.check()
        compare()


def test_the_published_fading_bonus_shows_the_records(visitor: Visitor) -> None:
    def runs(gamma: float) -> list[Record]:
        wanted = {"method": "rcgvf", "bonus": "product", "gamma_z": gamma}
        found = [r for r in recorded("rcgvf.dissipation") if wanted.items() <= r.config["learner"].items()]
        return [r for r in found if (r.config["right"], r.config["scale"]) == (0.5, 1.0)]

    page = visitor.visit("light", "notebooks/rcgvf/results.html")
    explorer = page.locator(".tutorlib-curves-explorer", has_text="How a bonus fades under a fixed policy")
    visited = set()

    def compare() -> None:
        shown = explorer.evaluate("e => ({...e.dataset})")
        own = runs(float(shown["gamma"]))
        assert len(own) == 5
        for name in ("error", "disagreement", "bonus"):
            first, last = (sum(r.metrics[name][i] for r in own) for i in (0, -1))
            assert float(shown[f"value{name.title()}"]) == pytest.approx(first / last, rel=5e-3, abs=5e-3)
        visited.add((shown["gamma"], shown["view"]))

    keys_through(page, explorer, compare)
    assert len(visited) >= 4, "the knobs did not move the selection"
    assert visitor.problems == []


def test_the_published_lock_shows_the_records(visitor: Visitor) -> None:
    groups = list(rcgvf_methods(recorded("rcgvf.lock")).values())
    page = visitor.visit("light", "notebooks/rcgvf/results.html")
    explorer = page.locator(".tutorlib-curves-explorer", has_text="How far into the lock")
    visited = set()

    def compare() -> None:
        shown = explorer.evaluate("e => ({...e.dataset})")
        look = [f"{n / 1000:g}" for n in groups[0][0].metrics["frames"]].index(shown["frames"])
        for i, own in enumerate(groups):
            some = own if shown["seed"].startswith("mean") else [own[int(shown["seed"].split()[1])]]
            for name, key in (("farthest", f"valueFar{i}"), ("greedy", f"valueGreedy{i}")):
                mean = sum(r.metrics[name][look] for r in some) / len(some)
                assert float(shown[key].replace("−", "-")) == pytest.approx(mean, rel=5e-3, abs=5e-3)
        visited.add((shown["frames"], shown["seed"]))

    keys_through(page, explorer, compare)
    assert len(visited) >= 8, "the knobs did not move the selection"
    assert visitor.problems == []


def test_the_published_version_spaces_show_the_records(visitor: Visitor) -> None:
    groups = {
        class_label(bits, more): [
            r for r in recorded("mbrl.sets") if (r.config["bits"], r.config["more"]) == (bits, more)
        ]
        for bits, more in classes(recorded("mbrl.sets"))
    }
    page = visitor.visit("light", "notebooks/mbrl/results.html")
    explorer = page.locator(".tutorlib-curves-explorer", has_text="Which values are still possible")
    visited = set()

    def compare() -> None:
        shown = explorer.evaluate("e => ({...e.dataset})")
        own, n = groups[shown["models"]], int(shown["transitions"])
        assert len(own) == 5
        for name in ("models", "based", "free"):
            assert float(shown[f"value{name.title()}"].replace(",", "")) == own[0].metrics[f"example_{name}"][n]
        ratio = sum(r.metrics["free"][n] / r.metrics["based"][n] for r in own) / 5
        assert float(shown["valueRatio"]) == pytest.approx(ratio, rel=5e-3)
        visited.add((shown["models"], shown["transitions"]))

    keys_through(page, explorer, compare)
    assert len(visited) >= 5, "the knobs did not move the selection"
    assert visitor.problems == []


def test_the_published_dream_shows_the_record(visitor: Visitor) -> None:
    (record,) = recorded("mbrl.dreams")
    found, pipes = record.metrics, record.config["pipes"]
    cells = [f"pipe {i}, cell {j}" for i in range(pipes) for j in range(i + 1)]
    page = visitor.visit("light", "notebooks/mbrl/results.html")
    explorer = page.locator(".tutorlib-grid-explorer", has_text="A tune as it is, and as the model dreams it")
    visited = set()

    def compare() -> None:
        shown = explorer.evaluate("e => ({...e.dataset})")
        look, cell, step = found["looks"].index(int(shown["step"])), cells.index(shown["y"]), int(shown["x"].split()[0])
        rows = {
            "truth": found["truth"][step][cell],
            "dream": found["dreamt"][look][step][cell],
            "probability": found["probability"][look][step - 1][cell] if step else None,
            "dream, logit as probability": found["official"][look][step][cell],
        }
        expected = rows[shown["toggle"]]
        if expected is None:
            assert shown.get("valueOn", "") in ("", "–", "-")
        else:
            assert float(shown["valueOn"]) == pytest.approx(expected, abs=6e-3)
        visited.add((shown["x"], shown["y"], shown["toggle"], shown["step"]))

    assert size_of_numbers(explorer) == "0px"
    explorer.locator('[role="gridcell"][tabindex="0"]').focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowRight", "ArrowRight", "ArrowRight", "ArrowUp"):
        page.keyboard.press(key)
        compare()
    keys_through(page, explorer, compare)
    assert len(visited) >= 8, "the knobs did not move the selection"
    assert visitor.problems == []
