"""The push explorer in a real browser: what it computes and shows, held against the library's own objective."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from pages import MODEL, document
from playwright.sync_api import Locator, Page, expect
from pushing import POLICY, REWARDS, SIZES, STEPS, VALUES, advantages_by_library, alpha_of, drawn, fake_push

from tutorlib.show.explorer import Explorer
from tutorlib.show.push import push_data, push_picture
from tutorlib.show.style import png

pytestmark = pytest.mark.browser

HOST = ".tutorlib-push-explorer"
DATA = push_data(**fake_push())
LOAD = """async (source) => {
  window.module = await import(URL.createObjectURL(new Blob([source], { type: 'text/javascript' })));
}"""


@pytest.fixture(scope="module")
def twin() -> str:
    return Explorer("push_explorer", DATA, "Pushes of an objective").html


def mounted(page: Page) -> Locator:
    root = page.locator(HOST)
    expect(root.locator(".stage svg")).to_be_visible()
    return root


@pytest.mark.parametrize(
    "sizes",
    [SIZES, SIZES | {"other_layers": 0}, {"hidden": 5, "other_layers": 1, "summary": 8, "memory": 16}],
    ids=["two layers", "none", "odd"],
)
def test_advantages_are_those_of_the_library(visit: Callable[..., Page], sizes: dict[str, int]) -> None:
    data = push_data(**fake_push(sizes=sizes, alpha=alpha_of(sizes).tolist()))
    page = visit(document())
    page.evaluate(LOAD, Explorer("push_explorer", data, "Numbers").source)
    for seed in range(4):
        reward, value = drawn(STEPS, seed=50 + seed).tolist(), (2 * drawn(STEPS + 1, seed=60 + seed)).tolist()
        found = page.evaluate(
            "([data, s]) => module.advantagesOf(data, module.netOf(data), s)",
            [data, {"reward": reward, "value": value}],
        )
        learned, gae = advantages_by_library(reward, value, sizes)
        assert found["learned"] == pytest.approx(learned, abs=1e-9)
        assert found["gae"] == pytest.approx(gae, abs=1e-9)
        assert np.ptp(learned) > 0.1


SNAPSHOT = """host => {
  const root = host.shadowRoot;
  const all = (selector) => [...root.querySelectorAll(selector)];
  const at = (node, name) => Number(node.getAttribute(name));
  return {
    attributes: { ...host.dataset },
    said: root.querySelector('output').innerText,
    handles: all('.handle').map((node) => [node.dataset.row, at(node, 'data-step'), at(node, 'aria-valuenow')]),
    tabs: all('.handle[tabindex="0"]').map((node) => node.dataset.row),
    arrows: all('.stage .push').map((node) => {
      const [stem, head] = [node.querySelector('line'), node.querySelector('path')];
      return stem ? Number(/^M[-\\d.]+ ([-\\d.e]+)l/.exec(head.getAttribute('d'))[1]) - at(stem, 'y1') : 0;
    }),
    ghosts: all('.stage .faint').length,
    rows: all('details tbody tr').map((row) => [...row.children].map((cell) => cell.textContent)),
  };
}"""
UNIT = (536 - 354) / 3  # pixels of 1 on the axis of actions


def told(x: float) -> str:
    return f"{'−' if x < 0 else '+'}{abs(x):.2f}"


def assert_shows(root: Locator, **changed: Sequence[float]) -> None:
    """Hold all that is shown against the library, for a window with ``changed`` rows."""
    shown = root.evaluate(SNAPSHOT)
    usual = {"reward": REWARDS[0].tolist(), "value": VALUES[0].tolist(), "action": DATA["actions"]}
    now: dict[str, Any] = usual | changed
    learned, gae = advantages_by_library(now["reward"], now["value"])
    for name, expected in (("learned", learned), ("gae", gae)):
        assert [float(x) for x in shown["attributes"][name].split()] == pytest.approx(expected, abs=6e-5)
    assert [x for _, _, x in shown["handles"]] == pytest.approx([*now["reward"], *now["value"], *now["action"]])
    away = 2 * (np.array(now["action"]) - POLICY.numpy())
    pushes = np.stack([away * learned, away * gae, DATA["slopes"]]) / np.array(DATA["spreads"])[:, None]
    ends = np.clip(POLICY.numpy() + 0.3 * np.clip(pushes, -2.6, 2.6), -1.5, 1.5)
    lengths = (POLICY.numpy() - ends) * UNIT  # pixels grow downwards
    lengths[abs(lengths) < 1] = 0
    assert np.array(shown["arrows"]) == pytest.approx(lengths.T.flatten(), abs=0.01)
    if now == usual:
        assert shown["said"].startswith("As recorded")
        assert shown["ghosts"] == 0
    else:
        before = advantages_by_library(usual["reward"], usual["value"])
        moved = [
            sum(abs(a - b) > 0.25 for a, b in zip(x, y, strict=True))
            for x, y in zip((learned, gae), before, strict=True)
        ]
        words = f"more than 0.25 in {moved[0]} of {STEPS} steps, GAE's in {moved[1]}."
        assert words in shown["said"]
        assert shown["attributes"]["moved"] == f"{moved[0]} {moved[1]}"
        assert shown["ghosts"] == 3 * STEPS
    assert sorted(shown["tabs"]) == ["action", "reward", "value"]
    for t, row in enumerate(shown["rows"]):
        assert [row[0], *row[5:7]] == [str(t + 1), told(learned[t]), told(gae[t])]


def raised(row: str, step: int, number: float) -> list[float]:
    usual = {"reward": REWARDS[0].tolist(), "value": VALUES[0].tolist(), "action": DATA["actions"]}[row]
    return [*usual[:step], number, *usual[step + 1 :]]


def test_it_opens_with_its_change(visit: Callable[..., Page], twin: str) -> None:
    root = mounted(visit(document(twin)))
    assert_shows(root, reward=raised("reward", 3, 2.0))
    expect(root).to_have_attribute("data-step", "4")


def test_buttons(visit: Callable[..., Page], twin: str) -> None:
    root = mounted(visit(document(twin)))
    press = lambda name: root.get_by_role("button", name=name).click()  # noqa: E731
    press("as recorded")
    assert_shows(root)
    press("raise the value of step 4")
    assert_shows(root, value=raised("value", 3, 3.0))
    press("one step earlier")
    assert_shows(root, value=raised("value", 2, 3.0))
    press("raise the reward of step 4")
    assert_shows(root, reward=raised("reward", 3, 2.0))
    for step in (2, 1, 0, 5):  # after the first comes the last
        press("one step earlier")
        assert_shows(root, reward=raised("reward", step, 2.0))


def test_it_plays_to_the_first_step_and_pauses(visit: Callable[..., Page], twin: str) -> None:
    page = visit(document(twin))
    page.clock.install()
    root = mounted(page)
    root.get_by_role("button", name="play").click()
    assert_shows(root, reward=raised("reward", 2, 2.0))
    page.clock.run_for(850)
    assert_shows(root, reward=raised("reward", 1, 2.0))
    root.get_by_role("button", name="pause").click()
    page.clock.run_for(3000)
    assert_shows(root, reward=raised("reward", 1, 2.0))
    root.get_by_role("button", name="play").click()
    page.clock.run_for(3000)
    assert_shows(root, reward=raised("reward", 0, 2.0))
    expect(root.get_by_role("button", name="play")).to_be_visible()


def test_who_wants_no_motion_steps_by_hand(visit: Callable[..., Page], twin: str) -> None:
    root = mounted(visit(document(twin), reduced_motion="reduce"))
    expect(root.get_by_text("play")).to_be_hidden()
    root.get_by_role("button", name="one step earlier").click()
    assert_shows(root, reward=raised("reward", 2, 2.0))


def test_by_keyboard(visit: Callable[..., Page], twin: str) -> None:
    page = visit(document(twin))
    root = mounted(page)
    page.keyboard.press("Tab")
    expect(root.get_by_role("slider", name="reward of step 4")).to_be_focused()
    page.keyboard.press("Delete")
    assert_shows(root)
    page.keyboard.press("ArrowLeft")
    expect(root.get_by_role("slider", name="reward of step 3")).to_be_focused()
    page.keyboard.press("ArrowUp")
    assert_shows(root, reward=raised("reward", 2, float(REWARDS[0, 2]) + 0.1))
    page.keyboard.press("Home")
    assert_shows(root, reward=raised("reward", 2, -2.0))
    page.keyboard.press("Delete")
    page.keyboard.press("Tab")
    expect(root.get_by_role("slider", name="value of step 3")).to_be_focused()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    expect(root.get_by_role("slider", name="value after the last step")).to_be_focused()
    page.keyboard.press("End")
    assert_shows(root, value=raised("value", STEPS, 3.0))
    page.keyboard.press("Delete")
    page.keyboard.press("Tab")
    expect(root.get_by_role("slider", name=f"action of step {STEPS}")).to_be_focused()
    page.keyboard.press("PageUp")
    assert_shows(root, action=raised("action", STEPS - 1, -0.75))


@pytest.mark.parametrize(("row", "step"), [("reward", 1), ("value", 0), ("action", 2)])
def test_dragging(visit: Callable[..., Page], twin: str, row: str, step: int) -> None:
    page = visit(document(twin))
    root = mounted(page)
    root.get_by_role("button", name="as recorded").click()
    before = root.locator(f'[data-row="{row}"][data-step="{step}"]').bounding_box()
    assert before is not None
    x, y = before["x"] + before["width"] / 2, before["y"] + before["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x, y - 12, steps=3)
    page.mouse.up()
    pixels = {"reward": (98 - 28) / 4, "value": (202 - 132) / 6, "action": UNIT}[row]
    expect(root).to_have_attribute("data-row", row)
    number = root.evaluate(SNAPSHOT)["handles"]
    (found,) = (x for kind, t, x in number if (kind, t) == (row, step))
    usual = {"reward": REWARDS[0].tolist(), "value": VALUES[0].tolist(), "action": DATA["actions"]}[row][step]
    assert found == pytest.approx(usual + 12 / pixels, abs=1.6 / pixels)
    assert_shows(root, **{row: raised(row, step, found)})
    page.mouse.move(x, y - 60)  # it was let go
    assert root.evaluate(SNAPSHOT)["handles"] == number


def test_nothing_overflows_a_narrow_page(visit: Callable[..., Page], twin: str) -> None:
    page = visit(document(twin))
    root = mounted(page)
    for width in (320, 400, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(150)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        ends = root.evaluate(
            "host => [...host.shadowRoot.querySelectorAll('svg text, button, .handle .dot, .keys li')]"
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
    root.get_by_text("numbers of the window").click()
    found = Axe().run(page, context=".tutorlib-explorer").response
    assert [(v["id"], [node["html"] for node in v["nodes"]]) for v in found["violations"]] == []
    assert {"color-contrast", "button-name", "aria-input-field-name"} <= {rule["id"] for rule in found["passes"]}


def test_names_are_told_and_results_announced(visit: Callable[..., Page], twin: str) -> None:
    root = mounted(visit(document(twin)))
    expect(root).to_have_attribute("aria-label", "Pushes of an objective")
    expect(root.locator("output")).to_have_attribute("aria-live", "polite")


def test_without_scripts_the_picture_stands_in(visit: Callable[..., Page]) -> None:
    zero = np.zeros((2, STEPS))
    html = Explorer("push_explorer", DATA, "Pushes", png(push_picture(DATA, zero, zero))).html
    page = visit(document(html), java_script_enabled=False)
    expect(page.get_by_role("img", name="Pushes")).to_be_visible()


def test_a_live_model_is_followed_saved_and_left(visit: Callable[..., Page]) -> None:
    page = visit(document('<div id="here"></div>'))
    source = Explorer("push_explorer", DATA, "Live").source
    wanted = {"reward": [99, "a", None], "row": "credit", "step": 77, "value": 3}
    page.evaluate(MODEL, [source, DATA, wanted])  # cut to what there is
    root = mounted(page)
    assert_shows(root, reward=raised("reward", 0, 2.0))
    expect(root).to_have_attribute("data-step", str(STEPS))
    page.evaluate("window.model.set('selection', {})")
    assert_shows(root, reward=raised("reward", 3, 2.0))
    root.get_by_role("button", name="as recorded").click()
    assert page.evaluate("window.saved") == 1
    page.evaluate("window.clean()")
    assert page.evaluate("window.model.listeners()") == 0
    expect(root).to_have_count(0)
