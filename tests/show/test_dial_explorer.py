"""The dial explorer in a real browser: what it writes, plays and shows, held against the library's own policies."""

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch
from axe_playwright_python.sync_playwright import Axe
from dials import COMMANDS, ENV, EYES, GENERATOR, POLICY, WORLD, fake_dial, numbers
from pages import MODEL, document
from playwright.sync_api import Locator, Page, expect

from tutorlib.envs.classic import ControlState
from tutorlib.show.dial import dial_data, dial_picture
from tutorlib.show.explorer import Explorer
from tutorlib.show.style import png

pytestmark = pytest.mark.browser

HOST = ".tutorlib-dial-explorer"
DATA = dial_data(**fake_dial())
LOAD = """async (source) => {
  window.module = await import(URL.createObjectURL(new Blob([source], { type: 'text/javascript' })));
}"""


@pytest.fixture(scope="module")
def twin() -> str:
    return Explorer("dial_explorer", DATA, "A dial").html


def mounted(page: Page) -> Locator:
    root = page.locator(HOST)
    expect(root.locator("svg.map")).to_be_visible()
    return root


def written(stage: int, command: float) -> torch.Tensor:
    """The library's policy, [1, 1, weights]."""
    rho = torch.tensor([numbers(stage)], dtype=torch.double) / 1000
    return GENERATOR.generate(rho, torch.tensor([[(command - 2.0) * 0.1]], dtype=torch.double))


@cache
def played(stage: int, command: float) -> tuple[list[list[float]], list[float], list[float]]:
    """The library's episode: states, actions, returns so far."""
    theta = written(stage, command)
    mean, scale = (torch.tensor(part, dtype=torch.double) for part in EYES[stage])
    x = torch.tensor([[[[WORLD["angle"], WORLD["speed"]]]]], dtype=torch.double)
    state = ControlState(x, torch.zeros(1, 1, 1, dtype=torch.long))
    states, actions, returns = [x.flatten().tolist()], [], [0.0]
    for _ in range(ENV.horizon):
        action = POLICY.act(theta, (ENV.observe(state) - mean) / scale)
        state, reward, _ = ENV.advance(state, action)
        states.append(state.x.flatten().tolist())
        actions.append(action.item())
        returns.append(returns[-1] + reward.item())
    return states, actions, returns


@pytest.mark.parametrize(("stage", "command"), [(0, 0.0), (0, 12.0), (1, 4.0), (1, 5.5)])
def test_policies_are_those_of_the_library_s_generator(visit: Callable[..., Page], stage: int, command: float) -> None:
    page = visit(document())
    page.evaluate(LOAD, Explorer("dial_explorer", DATA, "Weights").source)
    write = """([data, stage, command]) => module.write(data, stage, command).flatMap(
      ({ w, b }) => [...w.flatMap((row) => [...row]), ...b])"""
    found = page.evaluate(write, [DATA, stage, command])
    assert found == pytest.approx(written(stage, command).flatten().tolist(), abs=1e-12)
    other = written(stage, command + 4).flatten()
    assert (other - torch.tensor(found)).abs().max() > 1e-3  # the command matters
    x = [[0.3, -1.0, 2.0], [0.0, 0.0, 0.0], [-0.5, 0.2, -3.0]]
    act = "([data, stage, command, rows]) => rows.map((x) => module.act(module.write(data, stage, command), x))"
    expected = POLICY.act(written(stage, command), torch.tensor(x, dtype=torch.double).view(1, 1, 3, 3)).flatten()
    assert page.evaluate(act, [DATA, stage, command, x]) == pytest.approx(expected.tolist(), abs=1e-12)


@pytest.mark.parametrize(("stage", "command"), [(0, 0.0), (1, 12.0)])
def test_episodes_are_those_of_the_library_s_pendulum(visit: Callable[..., Page], stage: int, command: float) -> None:
    page = visit(document())
    page.evaluate(LOAD, Explorer("dial_explorer", DATA, "Episodes").source)
    run = page.evaluate("([data, stage, command]) => module.episodeOf(data, stage, command)", [DATA, stage, command])
    states, actions, returns = played(stage, command)
    assert len(run["states"]) == 31
    for here, there in zip(run["states"], states, strict=True):
        assert here == pytest.approx(there, abs=1e-9)
    assert run["actions"] == pytest.approx(actions, abs=1e-9)
    assert run["returns"] == pytest.approx(returns, abs=1e-9)
    assert max(actions) - min(actions) > 0.05


def shown(root: Locator) -> dict[str, Any]:
    return root.evaluate("host => ({ ...host.dataset })")


def assert_shows(root: Locator, stage: int, command: int) -> None:
    """Hold what is shown against the data and the library."""
    given, found = fake_dial()["stages"][stage], shown(root)
    earned, asked = played(stage, COMMANDS[command])[2][-1], COMMANDS[command]
    assert float(found["command"]) == asked
    assert int(found["stage"]) == given["episodes"]
    assert float(found["earned"]) == pytest.approx(earned, abs=1e-9)
    assert float(found["achieved"]) == given["achieved"][command]
    assert [float(x) for x in found["place"].split()] == given["places"][command]
    expect(root.locator("output")).to_have_text(
        f"Asked for {asked:g}: this policy earns {earned:.1f} here, and {given['achieved'][command]:.1f} on average."
    )
    expect(root.get_by_role("slider")).to_have_attribute("aria-valuetext", f"{asked:g}")
    expect(root.locator("svg.dial text.mark")).to_have_text(f"best so far: {given['best']:.0f}")
    assert root.locator("svg.map .bead").count() == len(COMMANDS)
    table = root.locator("table tbody tr").nth(command).locator("td").all_text_contents()
    assert table == [f"{part['achieved'][command]:.1f}" for part in fake_dial()["stages"]]


def test_it_opens_at_the_start_and_every_knob_works_by_keyboard(visit: Callable[..., Page], twin: str) -> None:
    root = mounted(visit(document(twin)))
    assert_shows(root, 1, 2)
    slider = root.get_by_role("slider")
    slider.focus()
    slider.press("ArrowLeft")
    assert_shows(root, 1, 1)
    slider.press("End")
    assert_shows(root, 1, 3)
    root.get_by_role("radio").first.check()
    assert_shows(root, 0, 3)
    slider.press("Home")
    assert_shows(root, 0, 0)


def test_the_plot_can_be_dragged(visit: Callable[..., Page], twin: str) -> None:
    page = visit(document(twin))
    root = mounted(page)
    frame = root.locator("svg.dial").bounding_box()
    assert frame is not None
    middle = frame["y"] + frame["height"] / 2
    page.mouse.move(frame["x"] + frame["width"] * 0.5, middle)
    assert_shows(root, 1, 2)  # nothing is held
    page.mouse.down()
    page.mouse.move(frame["x"] + frame["width"] * 0.12, middle, steps=4)
    assert_shows(root, 1, 0)
    page.mouse.up()
    page.mouse.move(frame["x"] + frame["width"] * 0.9, middle)
    assert_shows(root, 1, 0)


def test_it_moves_by_itself_pauses_and_steps(visit: Callable[..., Page], twin: str) -> None:
    page = visit(document(twin))
    root = mounted(page)
    page.wait_for_function("(host) => Number(document.querySelector(host).dataset.step) > 3", arg=HOST)
    root.get_by_role("button", name="pause").click()
    at = int(shown(root)["step"])
    page.wait_for_timeout(300)
    assert int(shown(root)["step"]) == at
    root.get_by_role("button", name="one step").click()
    assert int(shown(root)["step"]) == (at + 1 if at < 30 else 0)
    root.get_by_label("speed").select_option("2×")
    root.get_by_role("button", name="play").click()
    page.wait_for_function("([host, at]) => Number(document.querySelector(host).dataset.step) !== at",
                           arg=[HOST, int(shown(root)["step"])])  # fmt: skip


def test_the_pendulum_of_the_command_before_stays_as_a_ghost(visit: Callable[..., Page], twin: str) -> None:
    root = mounted(visit(document(twin), reduced_motion="reduce"))
    expect(root.locator(".rod.before")).to_have_count(0)
    angle, _ = played(1, COMMANDS[2])[0][-1]
    root.get_by_role("slider").press("ArrowRight")
    ghost = root.locator(".rod.before")
    expect(ghost).to_have_count(1)
    across = float(ghost.get_attribute("x2")) - float(ghost.get_attribute("x1"))
    assert across == pytest.approx(120 * math.sin(angle), abs=1e-6)


def test_who_wants_no_motion_sees_the_end_and_can_play(visit: Callable[..., Page], twin: str) -> None:
    page = visit(document(twin), reduced_motion="reduce")
    root = mounted(page)
    page.wait_for_timeout(300)
    assert shown(root)["step"] == "30"
    root.get_by_role("button", name="play").click()
    expect(root.get_by_role("button", name="pause")).to_be_visible()
    page.wait_for_function("(host) => Number(document.querySelector(host).dataset.step) < 30", arg=HOST)


def test_pictures_are_large_and_nothing_overflows(visit: Callable[..., Page], twin: str) -> None:
    page = visit(document(twin), reduced_motion="reduce")
    root = mounted(page)
    for width in (1280, 728, 400, 320):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(100)
        boxes = [svg.bounding_box() for svg in root.locator("svg").all()]
        assert all(box["height"] >= 360 for box in boxes)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert (boxes[0]["y"] == boxes[1]["y"]) == (width > 650)
        ends = root.evaluate(
            "host => [...host.shadowRoot.querySelectorAll('svg text, button')]"
            ".map((node) => node.getBoundingClientRect()).flatMap(({ left, right }) => [left, right])"
        )
        assert min(ends) >= 15
        assert max(ends) <= width - 15


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_to_complain_about(visit: Callable[..., Page], twin: str, width: int, theme: str) -> None:
    page = visit(document(twin, theme=theme), width=width)
    page.evaluate(f"document.body.style.background = '{'#14181e' if theme == 'dark' else '#fff'}'")
    root = mounted(page)
    expect(root).to_have_attribute("data-scheme", theme)
    root.get_by_text("numbers of all stages").click()
    found = Axe().run(page, context=".tutorlib-explorer").response
    assert [(v["id"], [node["html"] for node in v["nodes"]]) for v in found["violations"]] == []
    assert {"color-contrast", "button-name", "svg-img-alt", "label"} <= {rule["id"] for rule in found["passes"]}


def test_without_scripts_the_picture_stands_in(visit: Callable[..., Page]) -> None:
    html = Explorer("dial_explorer", DATA, "A dial", png(dial_picture(DATA))).html
    page = visit(document(html), java_script_enabled=False)
    expect(page.get_by_role("img", name="A dial")).to_be_visible()


def test_a_live_model_is_followed_saved_and_left(visit: Callable[..., Page]) -> None:
    page = visit(document('<div id="here"></div>'))
    source = Explorer("dial_explorer", DATA, "Live").source
    page.evaluate(MODEL, [source, DATA, {"command": 99, "stage": -3}])
    root = mounted(page)
    assert_shows(root, 0, 3)  # cut to what there is
    page.evaluate("model.set('selection', { command: 1, stage: 1 })")
    assert_shows(root, 1, 1)
    root.get_by_role("slider").press("ArrowRight")
    assert page.evaluate("[saved, model.get('selection')]") == [1, {"command": 2, "stage": 1}]
    page.evaluate("window.kept = document.querySelector('#here').firstElementChild")
    page.evaluate("clean()")
    step = page.evaluate("kept.dataset.step")
    assert page.evaluate("[model.listeners(), document.querySelector('#here').children.length]") == [0, 0]
    page.wait_for_timeout(400)
    assert page.evaluate("kept.dataset.step") == step, "nothing moves any more"
    assert page.evaluate("model.get('data')") == DATA
