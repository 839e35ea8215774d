"""The bandit explorer in a real browser: what it plays and shows, held against the library's own lives."""

import re
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from axe_playwright_python.sync_playwright import Axe
from bandits import FAMILIES, GRID, fake_bandit, random_theta
from pages import MODEL, document
from playwright.sync_api import Locator, Page, expect

from tutorlib.data.counter import words
from tutorlib.envs.bandits import BernoulliBandit
from tutorlib.papers.symla.game import Course, numbered, symla, thompson, ucb1, uniform
from tutorlib.papers.symla.model import SymLA
from tutorlib.show.bandit import PLAYERS, bandit_data, bandit_picture
from tutorlib.show.explorer import Explorer
from tutorlib.show.style import png

pytestmark = pytest.mark.browser

HOST = ".tutorlib-bandit-explorer"
PULLS, LIVES = 40, 30
DATA = bandit_data(**fake_bandit())
LOAD = """async (source) => {
  window.module = await import(URL.createObjectURL(new Blob([source], { type: 'text/javascript' })));
}"""


@pytest.fixture(scope="module")
def twin() -> str:
    return Explorer("bandit_explorer", DATA, "A game of bandits").html


def mounted(page: Page) -> Locator:
    root = page.locator(HOST)
    expect(root.locator(".chart svg").first).to_be_visible()
    return root


@cache
def courses(arms: int, family: str, first: int = 1, last: int = LIVES) -> list[Course]:
    """The library's lives of each player on bandits ``first`` to ``last``."""
    env, draw = BernoulliBandit(arms, family), numbered(torch.arange(first, last + 1))
    return [symla(random_theta().double(), env, PULLS, draw), *(f(env, PULLS, draw) for f in (thompson, ucb1, uniform))]


def assert_same(found: list[dict[str, Any]], expected: list[Course]) -> None:
    """Hold lives that were played in the browser against the library's."""
    for i, life in enumerate(found):
        assert life["p"] == pytest.approx(expected[0].p[i].tolist(), abs=1e-7)
        assert life["best"] == int(expected[0].p[i].argmax())
        for played, course in zip(life["courses"], expected, strict=True):
            assert played["actions"] == course.actions[i].tolist()
            assert played["rewards"] == course.rewards[i].tolist()
            assert played["regret"] == pytest.approx(course.regret[i].tolist(), abs=1e-5)


PLAY = """([data, arms, family, first, last]) => Array.from({ length: last - first + 1 },
  (_, i) => module.lifeOf(data, { arms, family, bandit: first + i }))"""


def test_random_words_are_those_of_the_counter(visit: Callable[..., Page]) -> None:
    page = visit(document())
    page.evaluate(LOAD, Explorer("bandit_explorer", DATA, "Words").source)
    for key, stream, index, n in ((0, 0, 0, 4), (1, 3, 99, 11), (999_999, 2**32 - 1, 2**32 - 1, 1), (2**31, 4, 7, 140)):
        found = page.evaluate("(arguments_) => [...module.words(...arguments_)]", [key, stream, index, n])
        assert found == words(key, stream, torch.tensor(index), n).tolist()


@pytest.mark.parametrize(("arms", "family"), [(2, "independent"), (3, "easy"), (8, "medium"), (20, "hard")])
def test_everyone_pulls_the_same_arms_as_in_the_library(visit: Callable[..., Page], arms: int, family: str) -> None:
    page = visit(document())
    page.evaluate(LOAD, Explorer("bandit_explorer", DATA, "Lives").source)
    numbers = (1, LIVES) if arms < 20 else (999_990, 999_999)
    expected = courses(arms, family, *numbers)
    assert_same(page.evaluate(PLAY, [DATA, arms, family, *numbers]), expected)
    assert len(set(expected[0].actions.flatten().tolist())) == arms


@pytest.mark.parametrize(
    "agent", [SymLA(1, 4), SymLA(1, 4, hidden=5, message=3, micro_ticks=3, scale=4.0)], ids=["default", "other sizes"]
)
def test_logits_are_those_of_the_library_s_agent(visit: Callable[..., Page], agent: SymLA) -> None:
    theta = random_theta(7, agent)
    grid = GRID | {name: getattr(agent, name) for name in ("hidden", "message", "micro_ticks", "scale")}
    data = bandit_data(**fake_bandit(theta=theta, grid=grid))
    page = visit(document())
    page.evaluate(LOAD, Explorer("bandit_explorer", data, "Logits").source)
    pulls = [(t * t % 4, float(t % 3 == 0)) for t in range(PULLS)]
    play = """([data, arms, pulls]) => {
      const agent = module.symla(module.netOf(data), arms);
      return [[null, 0], ...pulls].map(([action, reward]) => agent(action, reward));
    }"""
    found = page.evaluate(play, [data, agent.actions, pulls])
    theta = theta.double()
    parts, h = agent.prepare(theta), agent.start(theta, theta.new_zeros(1, 0))
    a, r = theta.new_zeros(1, 4), theta.new_zeros(1)
    for t, logits in enumerate(found):
        h, expected = agent.step(parts, h, theta.new_ones(1, 1), a, r)
        assert logits == pytest.approx(expected[0].tolist(), abs=1e-9)
        if t < PULLS:
            a, r = torch.eye(4).double()[pulls[t][0]].unsqueeze(0), theta.new_tensor([pulls[t][1]])
    assert np.ptp(found[-1]) > 0.1  # arms differ


SNAPSHOT = """host => {
  const root = host.shadowRoot;
  const all = (selector) => [...root.querySelectorAll(selector)];
  const cells = (rows) => rows.map((row) => [...row.children].map((cell) => cell.textContent.trim()));
  return {
    attributes: { ...host.dataset },
    said: root.querySelector('output').innerText,
    arms: cells(all('.arms tbody tr')),
    widths: all('.arms tbody tr').map((row) => (
      [...row.querySelectorAll('.fill')].map((node) => parseFloat(node.style.width)))),
    score: cells(all('.score tbody tr')),
    rows: cells([...all('details')[0].querySelectorAll('tbody tr')]),
    chart: root.querySelector('.chart svg').getAttribute('aria-label'),
    disabled: Object.fromEntries(all('button').map((node) => [node.innerText, node.disabled])),
    values: [root.querySelector('#arms').getAttribute('aria-valuetext'), root.querySelector('#bandit').value,
      root.querySelector('#family0').closest('.choices').querySelector(':checked').parentElement.innerText],
  };
}"""


def assert_shows(root: Locator, arms: int, family: str, bandit: int, pulls: int, revealed: bool = False) -> None:
    """Hold all that is shown after ``pulls`` pulls against the library's lives."""
    shown, expected = root.evaluate(SNAPSHOT), courses(arms, family, bandit, bandit)
    actions = [course.actions[0, :pulls].tolist() for course in expected]
    rewards = [course.rewards[0, :pulls].tolist() for course in expected]
    regrets = [[0.0, *course.regret[0].tolist()] for course in expected]
    attributes = {"arms": str(arms), "family": family, "bandit": str(bandit), "pulls": str(pulls)}
    attributes["revealed"] = str(revealed).lower()
    attributes |= {name.lower(): " ".join(str(a + 1) for a in row) for name, row in zip(PLAYERS, actions, strict=True)}
    assert {name: shown["attributes"][name] for name in attributes} == attributes
    label = next(kind["label"] for kind in FAMILIES if kind["name"] == family)
    assert shown["values"] == [f"{arms}{' (as in meta-training)' if arms in (2, 4) else ''}", str(bandit), label]

    if pulls:
        last = [f"arm {row[-1] + 1} {'pays' if paid[-1] else 'does not pay'}" for row, paid in zip(actions, rewards)]  # noqa: B905
        assert shown["said"] == f"Pull {pulls}. {'. '.join(f'{n}: {w}' for n, w in zip(PLAYERS, last, strict=True))}."
    else:
        assert shown["said"] == f"Bandit {bandit}, {arms} arms. Nobody has pulled yet."
    assert shown["score"] == [
        [name, f"{sum(paid):.0f} of {pulls}", f"{regret[pulls]:.2f}"]
        for name, paid, regret in zip(PLAYERS, rewards, regrets, strict=True)
    ]
    p = expected[0].p[0].tolist()
    best = int(np.argmax(p))
    hidden = ["?"] * arms
    told = [f"{value:.2f}{' ★, the best' if b == best else ''}" for b, value in enumerate(p)]
    counts = [[row.count(b) for row in actions] for b in range(arms)]
    assert shown["arms"] == [[str(b + 1), (told if revealed else hidden)[b], *map(str, counts[b])] for b in range(arms)]
    for b in range(arms):
        shares = [100 * count / max(1, pulls) for count in counts[b]]
        assert shown["widths"][b] == pytest.approx([100 * p[b] if revealed else 0, *shares], abs=0.051)
    assert shown["rows"] == [
        [str(t + 1)]
        + [f"{actions[i][t] + 1} {'✓' if rewards[i][t] else '✗'} {regrets[i][t + 1]:.2f}" for i in range(len(PLAYERS))]
        for t in range(pulls)
    ]
    read = dict(re.findall(r"(\w+) (\d+\.\d+)(?:, |$)", shown["chart"].partition(f"at {pulls}: ")[2]))
    assert {name: float(value) for name, value in read.items()} == pytest.approx(
        {name: regret[pulls] for name, regret in zip(PLAYERS, regrets, strict=True)}, abs=0.0051
    )
    dead = {name for name, off in shown["disabled"].items() if off}
    assert dead == ({"from the start"} if pulls == 0 else {"one pull", "play to the end"} if pulls == PULLS else set())


def button(root: Locator, name: str) -> Locator:
    return root.get_by_role("button", name=name)


def test_a_game_with_buttons(visit: Callable[..., Page], twin: str) -> None:
    root = mounted(visit(document(twin)))
    assert_shows(root, 5, "independent", 1, 20)
    button(root, "one pull").click()
    assert_shows(root, 5, "independent", 1, 21)
    button(root, "reveal the probabilities").click()
    assert_shows(root, 5, "independent", 1, 21, revealed=True)
    button(root, "from the start").click()
    assert_shows(root, 5, "independent", 1, 0, revealed=True)
    button(root, "play to the end").click()
    assert_shows(root, 5, "independent", 1, PULLS, revealed=True)
    button(root, "hide the probabilities").click()
    assert_shows(root, 5, "independent", 1, PULLS)
    button(root, "reveal the probabilities").click()
    button(root, "new bandit").click()  # a new one is hidden again
    assert_shows(root, 5, "independent", 2, 0)
    root.get_by_label("0.75, others 0.25").check()
    button(root, "play to the end").click()
    assert_shows(root, 5, "medium", 2, PULLS)
    root.get_by_label("bandit number").fill("999999")
    root.get_by_label("bandit number").press("Enter")
    assert_shows(root, 5, "medium", 999_999, 0)
    button(root, "new bandit").click()  # after the last number comes the first
    assert_shows(root, 5, "medium", 1, 0)


def test_a_game_by_keyboard(visit: Callable[..., Page], twin: str) -> None:
    page = visit(document(twin))
    root = mounted(page)
    page.keyboard.press("Tab")
    expect(root.get_by_role("slider")).to_be_focused()
    page.keyboard.press("ArrowLeft")
    assert_shows(root, 4, "independent", 1, 20)
    page.keyboard.press("End")
    assert_shows(root, 20, "independent", 1, 20)
    page.keyboard.press("Home")
    assert_shows(root, 2, "independent", 1, 20)
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    assert_shows(root, 2, "easy", 1, 20)
    for _ in range(3):
        page.keyboard.press("Tab")
    expect(button(root, "one pull")).to_be_focused()
    for pulls in range(21, 24):
        page.keyboard.press("Enter")
        assert_shows(root, 2, "easy", 1, pulls)
    page.keyboard.press("Tab")
    page.keyboard.press(" ")
    assert_shows(root, 2, "easy", 1, PULLS)
    expect(button(root, "from the start")).to_be_focused()  # a dead button holds no focus
    page.keyboard.press(" ")
    assert_shows(root, 2, "easy", 1, 0)
    expect(button(root, "one pull")).to_be_focused()


@pytest.mark.parametrize("wanted", ["", "0", "-3", "1e9", "2.4"])
def test_a_number_that_is_none_becomes_one(visit: Callable[..., Page], twin: str, wanted: str) -> None:
    root = mounted(visit(document(twin)))
    root.get_by_label("bandit number").fill("7")
    root.get_by_label("bandit number").press("Tab")
    root.get_by_label("bandit number").fill(wanted)
    root.get_by_label("bandit number").press("Tab")
    assert_shows(root, 5, "independent", {"1e9": 999_999, "2.4": 2}.get(wanted, 1), 0)


def test_probabilities_are_not_on_the_page_before_they_are_revealed(visit: Callable[..., Page], twin: str) -> None:
    root = mounted(visit(document(twin)))
    told = [f"{value:.2f}" for value in courses(5, "independent", 1, 1)[0].p[0].tolist()]
    columns = "host => [...host.shadowRoot.querySelectorAll('.arms tr')].map((row) => row.children[1].outerHTML).join()"
    assert not any(value in root.evaluate(columns) for value in told)
    button(root, "reveal").click()
    assert all(value in root.evaluate(columns) for value in told)


MEANS = """host => {
  const many = host.shadowRoot.querySelector('.many');
  return {
    said: many.querySelector('output').innerText,
    rows: [...many.querySelectorAll('tbody tr')].map((row) => [...row.children].map((cell) => cell.textContent)),
    chart: many.querySelector('svg').getAttribute('aria-label'),
  };
}"""


def assert_means(root: Locator, arms: int, family: str) -> None:
    """Wait until all bandits were played, and hold the mean regrets against the library's."""
    expect(root.locator(".many output")).to_contain_text("Mean regret", timeout=20_000)
    shown = root.evaluate(MEANS)
    regrets = [course.regret.numpy() for course in courses(arms, family)]
    ends = [(r[:, -1].mean(), 1.96 * r[:, -1].std(ddof=1) / LIVES**0.5) for r in regrets]
    words_ = ", ".join(f"{name} {mean:.1f} ± {half:.1f}" for name, (mean, half) in zip(PLAYERS, ends, strict=True))
    assert shown["said"] == f"Mean regret of {LIVES} bandits after {PULLS} pulls (95 % interval): {words_}."
    assert [row[0] for row in shown["rows"]] == [str(t) for t in range(4, 41, 4)]
    for row in shown["rows"]:
        told = [[float(number) for number in cell.split(" ± ")] for cell in row[1:]]
        at = [r[:, int(row[0]) - 1] for r in regrets]
        assert np.allclose(told, [(r.mean(), 1.96 * r.std(ddof=1) / LIVES**0.5) for r in at], atol=0.0051)
    read = dict(re.findall(r"(\w+) (\d+\.\d+)(?:, |$)", shown["chart"].partition(f"at {PULLS}: ")[2]))
    assert [float(read[name]) for name in PLAYERS] == pytest.approx([mean for mean, _ in ends], abs=0.0051)


def test_many_bandits_at_once_and_again_for_other_arms(visit: Callable[..., Page], twin: str) -> None:
    root = mounted(visit(document(twin)))
    expect(root.locator(".many output")).to_be_hidden()
    button(root, "30 bandits at once").click()
    assert_means(root, 5, "independent")
    arms = 8
    for _ in range(3):  # faster than they can be played
        root.get_by_role("slider").press("ArrowRight")
    assert_means(root, arms, "independent")
    root.get_by_label("0.9, others 0.1").check()
    assert_means(root, arms, "easy")
    button(root, "new bandit").click()  # the mean is the same
    assert_means(root, arms, "easy")
    button(root, "hide the mean").click()
    expect(root.locator(".many output")).to_be_hidden()
    assert_shows(root, arms, "easy", 2, 0)


def test_names_are_told_and_results_announced(visit: Callable[..., Page], twin: str) -> None:
    root = mounted(visit(document(twin)))
    expect(root).to_have_attribute("aria-label", "A game of bandits")
    for said in root.locator("output").all():
        expect(said).to_have_attribute("aria-live", "polite")
    heads = root.locator(".arms thead th").all_inner_texts()
    assert [head.strip() for head in heads] == ["arm", "pays with", *PLAYERS]


def test_labels_of_lines_never_cover_each_other(visit: Callable[..., Page], twin: str) -> None:
    root = mounted(visit(document(twin), width=400))
    button(root, "from the start").click()
    for _ in range(6):
        tops = sorted(label.bounding_box()["y"] for label in root.locator("svg text.thin, svg text.strong").all())
        assert len(tops) == 4
        assert all(b - a >= 14.9 for a, b in pairwise(tops))
        button(root, "one pull").click()


def test_nothing_overflows_a_narrow_page(visit: Callable[..., Page], twin: str) -> None:
    page = visit(document(twin))
    root = mounted(page)
    root.get_by_role("slider").press("End")
    button(root, "play to the end").click()
    button(root, "reveal").click()
    button(root, "30 bandits at once").click()
    expect(root.locator(".many output")).to_contain_text("Mean regret", timeout=20_000)
    for width, stacked in ((320, True), (370, True), (400, True), (1280, False)):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(150)
        left, right = (panel.bounding_box() for panel in root.locator(".panel").all())
        assert (left["y"] + left["height"] <= right["y"]) == stacked
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        ends = root.evaluate(
            "host => [...host.shadowRoot.querySelectorAll('.panel, svg text, button, .score, .arms th, .arms td')]"
            ".map((node) => node.getBoundingClientRect()).flatMap(({ left, right }) => [left, right])"
        )
        assert min(ends) >= 19
        assert max(ends) <= width - 19
        # No word of a cell is cut or runs into the next cell.
        cut = root.evaluate(
            "host => [...host.shadowRoot.querySelectorAll('.arms th, .arms td')]"
            ".filter((cell) => cell.scrollWidth > cell.clientWidth + 1).map((cell) => cell.textContent)"
        )
        assert cut == []


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_to_complain_about(visit: Callable[..., Page], twin: str, width: int, theme: str) -> None:
    page = visit(document(twin, theme=theme), width=width)
    page.evaluate(f"document.body.style.background = '{'#14181e' if theme == 'dark' else '#fff'}'")
    root = mounted(page)
    expect(root).to_have_attribute("data-scheme", theme)
    root.get_by_text("pull by pull").click()
    button(root, "30 bandits at once").click()
    expect(root.locator(".many output")).to_contain_text("Mean regret", timeout=20_000)
    root.get_by_text("numbers of the mean regrets").click()
    for name in ("reveal the probabilities", "one pull"):
        found = Axe().run(page, context=".tutorlib-explorer").response
        assert [(v["id"], [node["html"] for node in v["nodes"]]) for v in found["violations"]] == []
        assert {"color-contrast", "button-name", "svg-img-alt", "label"} <= {rule["id"] for rule in found["passes"]}
        button(root, name).click()


def test_the_page_changes_between_light_and_dark(visit: Callable[..., Page], twin: str) -> None:
    page = visit(document(twin))
    root = mounted(page)
    look = "h => [h, h.shadowRoot.querySelector('button')].map((n) => getComputedStyle(n).backgroundColor)"
    light = root.evaluate(look)
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    expect(root).to_have_attribute("data-scheme", "dark")
    assert all(a != b for a, b in zip(light, root.evaluate(look), strict=True))


def test_without_scripts_the_picture_stands_in(visit: Callable[..., Page]) -> None:
    regrets = {
        player: course.regret.mean(dim=0).numpy()
        for player, course in zip(PLAYERS, courses(5, "independent"), strict=True)
    }
    html = Explorer("bandit_explorer", DATA, "A game of bandits", png(bandit_picture(DATA, regrets))).html
    page = visit(document(html), java_script_enabled=False)
    expect(page.get_by_role("img", name="A game of bandits")).to_be_visible()


def test_one_family_has_no_buttons(visit: Callable[..., Page]) -> None:
    data = bandit_data(**fake_bandit(families=FAMILIES[1:2]))
    root = mounted(visit(document(Explorer("bandit_explorer", data, "One family").html)))
    expect(root.get_by_text("success probabilities")).to_be_hidden()
    expect(root).to_have_attribute("data-family", "easy")


def test_a_live_model_is_followed_saved_and_left(visit: Callable[..., Page]) -> None:
    page = visit(document('<div id="here"></div>'))
    source = Explorer("bandit_explorer", DATA, "Live").source
    wanted = {"arms": 99, "family": "none", "bandit": -4, "pulls": 1e9, "revealed": 1, "many": True}
    page.evaluate(MODEL, [source, DATA, wanted])
    root = mounted(page)
    assert_shows(root, 20, "independent", 1, PULLS, revealed=True)  # cut to what there is
    page.evaluate("model.set('selection', { arms: 3, bandit: 12, pulls: 5, family: 'hard' })")
    assert_shows(root, 3, "hard", 12, 5)
    button(root, "one pull").click()
    kept = {"arms": 3, "family": "hard", "bandit": 12, "pulls": 6, "revealed": False, "many": False}
    assert page.evaluate("[saved, model.get('selection')]") == [1, kept]
    button(root, "30 bandits at once").click()
    page.evaluate("clean()")  # in the middle of the bandits
    assert page.evaluate("[model.listeners(), document.querySelector('#here').children.length]") == [0, 0]
    page.wait_for_timeout(200)
    assert page.evaluate("model.get('data')") == DATA
