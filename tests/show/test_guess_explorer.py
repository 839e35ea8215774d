"""The guessing game in a real browser: played by keyboard, and held against the data it was given."""

import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from fakes import CLASSES, GAMES, LENGTH, fake_games
from pages import MODEL, document
from playwright.sync_api import Locator, Page, expect

from tutorlib.show.explorer import Explorer
from tutorlib.show.guess import guess_data, guess_picture
from tutorlib.show.style import png

pytestmark = pytest.mark.browser

HOST = ".tutorlib-guess-explorer"
RAW = fake_games()
MEANS = {
    label: [np.mean(RAW[name][: j + 1]) for j in range(LENGTH)]
    for label, name in (("ceiling", "ceiling"), ("model, mean", "model_curve"), ("1-NN, mean", "nearest_curve"))
}


@pytest.fixture(scope="module")
def twin() -> str:
    return Explorer("guess_explorer", guess_data(**RAW), "A guessing game").html


def mounted(page: Page) -> Locator:
    root = page.locator(HOST)
    expect(root.locator(".chart svg")).to_be_visible()
    return root


SNAPSHOT = """host => {
  const root = host.shadowRoot;
  const all = (selector) => [...root.querySelectorAll(selector)];
  return {
    attributes: { ...host.dataset },
    said: root.querySelector('output').innerText,
    asked: root.querySelector('.ask').innerText,
    bars: all('.bars .hidden').map((node) => node.textContent),
    widths: all('.fill').map((node) => parseFloat(node.style.width)),
    score: all('.score tr').map((row) => row.innerText.split('\\t')),
    plane: root.querySelector('.plane svg').getAttribute('aria-label'),
    letters: all('.plane text:not(.asked)').map((node) => node.textContent),
    shapes: all('.plane .shape').map((node) => `${node.style.fill} ${node.tagName} ${node.points?.numberOfItems ?? 0}`),
    spots: all('.plane .shape').map((node) => node.getBBox()).map((b) => [b.x + b.width / 2, b.y + b.height / 2]),
    unknown: all('.plane text.asked').length,
    chart: root.querySelector('.chart svg').getAttribute('aria-label'),
    disabled: all('button').map((node) => node.disabled),
    rows: all('details tbody tr').map((row) => [...row.children].map((cell) => cell.textContent)),
  };
}"""


def letter(k: int | None) -> str:
    return "–" if k is None else "ABCD"[k]


def tally(guesses: Sequence[int | None], labels: Sequence[int]) -> tuple[int, int]:
    pairs = [(guess, label) for guess, label in zip(guesses, labels, strict=True) if guess is not None]
    return sum(guess == label for guess, label in pairs), len(pairs)


def assert_shows(root: Locator, game: int, guesses: Sequence[int | None]) -> None:
    """Hold all that is shown after ``guesses`` against the raw data."""
    shown, raw, n = root.evaluate(SNAPSHOT), RAW["games"][game], len(guesses)
    labels, models, nearest = raw["labels"][:n], np.argmax(raw["probabilities"], 1).tolist()[:n], raw["nearest"][:n]
    scores = {"you": tally(guesses, labels), "model": tally(models, labels), "1-NN": tally(nearest, labels)}
    attributes = {"game": str(game + 1), "shown": str(n), "label": letter(labels[-1]) if n else ""}
    for name, (right, of) in zip(("reader", "model", "nearest"), scores.values(), strict=True):
        attributes[name] = f"{right}/{of}"
    assert {name: shown["attributes"][name] for name in attributes} == attributes
    assert shown["score"] == [
        [who, f"{right} of {of}", f"{right / of * 100 + 1e-9:.0f} %" if of else "–"]
        for who, (right, of) in scores.items()
    ]
    over = n == LENGTH
    assert shown["asked"] == ("The game is over." if over else f"Which label has point {n + 1}?")
    assert shown["unknown"] == (0 if over else 1)
    # Buttons: one for each label, next game, restart, show the rest.
    assert shown["disabled"] == [over] * CLASSES + [False, n == 0, over]
    assert shown["letters"] == [letter(k) for k in labels]
    looks = {k: {look for k2, look in zip(labels, shown["shapes"], strict=True) if k2 == k} for k in set(labels)}
    assert all(len(same) == 1 for same in looks.values())
    assert len(set.union(set(), *looks.values())) == len(looks)
    if n == 0:
        assert shown["said"].startswith(f"Game {game + 1} of {GAMES}: {LENGTH} points, {CLASSES} labels.")
        assert shown["bars"] == [f"label {letter(k)}: not yet" for k in range(CLASSES)]
        assert shown["rows"] == []
        return
    probabilities = raw["probabilities"][n - 1]
    assert shown["bars"] == [f"label {letter(k)}: {p:.3f}" for k, p in enumerate(probabilities)]
    assert shown["widths"] == pytest.approx([100 * p for p in probabilities])
    mine, label = guesses[-1], labels[-1]
    said = {True: f"Right: it is {letter(label)}.", False: f"No: it is {letter(label)}, not {letter(mine)}."}
    assert shown["said"].startswith(f"Point {n}. {f'It is {letter(label)}.' if mine is None else said[mine == label]}")
    assert f"The model said {letter(models[-1])} (probability {max(probabilities):.2f})" in shown["said"]
    assert f"1-NN said {letter(nearest[-1])}." in shown["said"]
    assert ("The game is over." in shown["said"]) == over
    columns = (labels, guesses, models, nearest)
    assert [[row[0], *row[2:]] for row in shown["rows"]] == [
        [str(i + 1), *(letter(column[i]) for column in columns)] for i in range(n)
    ]
    told = dict(
        re.findall(r"([^,:;]+(?:, mean)?) (\d\.\d+)(?: \(at \d+\))?(?:, |$)", shown["chart"].partition("at 9: ")[2])
    )
    expected = {who: right / of for who, (right, of) in scores.items() if of and who != "1-NN"}
    for who, values in MEANS.items():
        expected[who] = values[-1]
    assert {who: float(value) for who, value in told.items()} == pytest.approx(expected, abs=6e-4)


def press(page: Page, k: int) -> None:
    page.keyboard.press(str(k + 1))


def test_a_whole_game_by_keyboard_and_the_next(visit: Callable[..., Page], twin: str) -> None:
    page = visit(document(twin))
    root = mounted(page)
    assert_shows(root, 0, [])
    page.keyboard.press("Tab")
    expect(root.get_by_role("button", name="guess A")).to_be_focused()
    labels = RAW["games"][0]["labels"]
    guesses: list[int | None] = []
    for i, label in enumerate(labels):
        guesses.append(label if i % 3 else (label + 1) % CLASSES)
        press(page, guesses[-1])
        assert_shows(root, 0, guesses)
    press(page, 0)  # the game is over
    assert_shows(root, 0, guesses)
    expect(root.get_by_role("button", name="next game")).to_be_focused()
    for game in (1, 2, 0):
        page.keyboard.press("Enter")
        assert_shows(root, game, [])
    press(page, 2)
    assert_shows(root, 0, [2])


def test_buttons_guess_start_again_and_show_the_rest(visit: Callable[..., Page], twin: str) -> None:
    page = visit(document(twin))
    root = mounted(page)
    for k in (3, 0):
        root.get_by_role("button", name=f"guess {letter(k)}").click()
    assert_shows(root, 0, [3, 0])
    root.get_by_role("button", name="restart").click()
    assert_shows(root, 0, [])
    root.get_by_role("button", name="guess B").click()
    root.get_by_role("button", name="show the rest").click()
    assert_shows(root, 0, [1] + [None] * (LENGTH - 1))
    expect(root.get_by_role("button", name="next game")).to_be_focused()
    assert "You: " in root.locator("output").inner_text()
    root.get_by_role("button", name="next game").click()
    root.get_by_role("button", name="show the rest").click()
    assert_shows(root, 1, [None] * LENGTH)
    assert "You: no guess" in root.locator("output").inner_text()


def test_keys_that_are_no_guess_do_nothing(visit: Callable[..., Page], twin: str) -> None:
    page = visit(document(twin))
    root = mounted(page)
    root.get_by_role("button", name="guess A").focus()
    for key in ("0", "5", "9", "a", "-", "Control+1", "Alt+2"):
        page.keyboard.press(key)
    assert_shows(root, 0, [])
    page.mouse.click(5, 5)
    page.keyboard.press("1")  # the focus is elsewhere on the page
    assert_shows(root, 0, [])


def test_points_lie_where_the_data_say(visit: Callable[..., Page], twin: str) -> None:
    root = mounted(visit(document(twin)))
    root.get_by_role("button", name="show the rest").click()
    points = np.array(RAW["games"][0]["points"])
    shown = np.array(root.evaluate(SNAPSHOT)["spots"])
    scale = 100 / (1.16 * np.ptp(points, axis=0).max())
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    expected = 50 + (points - middle) * scale * np.array([1, -1])
    assert np.abs(shown - expected).max() < 1.1  # the middle of a triangle's box is not its centre
    assert 0 < shown.min() < shown.max() < 100


def test_nobody_s_answer_is_on_the_page_before_the_reader_s(visit: Callable[..., Page], twin: str) -> None:
    """The words for point j appear with the guess of point j, not before."""
    page = visit(document(twin))
    root = mounted(page)
    root.get_by_role("button", name="guess A").focus()
    seen = []
    for _ in range(LENGTH):
        seen.append(root.evaluate("host => host.shadowRoot.querySelector('.panels').textContent"))
        press(page, 0)
    for j, probabilities in enumerate(RAW["games"][0]["probabilities"]):
        words = [f"label {letter(k)}: {p:.3f}" for k, p in enumerate(probabilities)]
        assert not all(word in seen[j] for word in words)
        assert j + 1 == LENGTH or all(word in seen[j + 1] for word in words)


def test_the_result_is_announced_and_names_are_told(visit: Callable[..., Page], twin: str) -> None:
    root = mounted(visit(document(twin)))
    expect(root).to_have_attribute("aria-label", "A guessing game")
    expect(root.locator("output")).to_have_attribute("aria-live", "polite")
    x, y = RAW["games"][0]["points"][0]
    place = f"{x:.2f}, {y:.2f}".replace("-", "−")
    expect(root.locator(".plane svg")).to_have_attribute(
        "aria-label", re.compile(f"0 labelled points.* lies at {place}$")
    )


def test_labels_of_lines_never_cover_each_other(visit: Callable[..., Page], twin: str) -> None:
    page = visit(document(twin), width=400)
    root = mounted(page)
    root.get_by_role("button", name="guess A").focus()
    for k in range(LENGTH):
        press(page, k % CLASSES)
        boxes = [label.bounding_box() for label in root.locator("svg text.thin, svg text.strong").all()]
        tops = sorted(box["y"] for box in boxes)
        assert len(tops) == 5
        assert all(b - a >= 14.9 for a, b in pairwise(tops))


def test_nothing_overflows_a_narrow_page(visit: Callable[..., Page], twin: str) -> None:
    page = visit(document(twin))
    root = mounted(page)
    root.get_by_role("button", name="show the rest").click()
    for width, stacked in ((320, True), (400, True), (1280, False)):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(100)
        left, right = (panel.bounding_box() for panel in root.locator(".panel").all())
        assert (left["y"] + left["height"] <= right["y"]) == stacked
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        ends = root.evaluate(
            "host => [...host.shadowRoot.querySelectorAll('.panel, svg text, button, .score')]"
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
    root.get_by_text("points so far").click()
    for _ in range(2):
        found = Axe().run(page, context=".tutorlib-explorer").response
        assert [(v["id"], [node["html"] for node in v["nodes"]]) for v in found["violations"]] == []
        assert {"color-contrast", "button-name", "svg-img-alt"} <= {rule["id"] for rule in found["passes"]}
        root.get_by_role("button", name="guess A").click()


def test_the_page_changes_between_light_and_dark(visit: Callable[..., Page], twin: str) -> None:
    page = visit(document(twin))
    root = mounted(page)
    look = "h => [h, h.shadowRoot.querySelector('button')].map((n) => getComputedStyle(n).backgroundColor)"
    light = root.evaluate(look)
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    expect(root).to_have_attribute("data-scheme", "dark")
    assert all(a != b for a, b in zip(light, root.evaluate(look), strict=True))


def test_without_scripts_the_picture_stands_in(visit: Callable[..., Page]) -> None:
    data = guess_data(**RAW)
    html = Explorer("guess_explorer", data, "A guessing game", png(guess_picture(data))).html
    page = visit(document(html), java_script_enabled=False)
    expect(page.get_by_role("img", name="A guessing game")).to_be_visible()


def test_one_game_has_no_next_one(visit: Callable[..., Page]) -> None:
    data = guess_data(**fake_games(games=RAW["games"][:1]))
    root = mounted(visit(document(Explorer("guess_explorer", data, "One game").html)))
    expect(root.get_by_text("next game")).to_be_hidden()
    root.get_by_role("button", name="show the rest").click()
    expect(root.get_by_role("button", name="restart")).to_be_focused()


@pytest.mark.parametrize("classes", [2, 8])
def test_as_few_and_as_many_labels_as_there_may_be(visit: Callable[..., Page], classes: int) -> None:
    labels = [k % classes for k in range(LENGTH)]
    points = [[float(k), float(k % 3)] for k in range(LENGTH)]
    even = [[1 / classes] * classes] * LENGTH
    game: Any = {"points": points, "labels": labels, "probabilities": even, "nearest": labels}
    data = guess_data(**fake_games(classes=classes, games=[game]))
    page = visit(document(Explorer("guess_explorer", data, "Labels").html), width=320)
    root = mounted(page)
    root.get_by_role("button", name="guess A").focus()
    press(page, classes - 1)
    expect(root).to_have_attribute("data-reader", "0/1")
    root.get_by_role("button", name="show the rest").click()
    looks = root.evaluate(SNAPSHOT)["shapes"][:classes]
    assert len({look.partition(") ")[2] or look for look in looks}) >= min(classes, 5)  # shapes alone
    assert len(set(looks)) == classes
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


def test_a_live_model_is_followed_saved_and_left(visit: Callable[..., Page]) -> None:
    page = visit(document('<div id="here"></div>'))
    data = guess_data(**RAW)
    source = Explorer("guess_explorer", data, "Live").source
    page.evaluate(MODEL, [source, data, {"game": 99, "guesses": [0, 7, "a", 1.5, *[1] * 20]}])
    root = mounted(page)
    assert_shows(root, GAMES - 1, [0, None, None, None, *[1] * (LENGTH - 4)])  # cut to what there is
    page.evaluate("model.set('selection', { game: 1, guesses: [2] })")
    assert_shows(root, 1, [2])
    root.get_by_role("button", name="guess A").focus()
    press(page, 3)
    assert page.evaluate("[saved, model.get('selection')]") == [1, {"game": 1, "guesses": [2, 3]}]
    page.evaluate("clean()")
    assert page.evaluate("[model.listeners(), document.querySelector('#here').children.length]") == [0, 0]
    assert page.evaluate("model.get('data')") == data
