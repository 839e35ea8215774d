"""What the explorers of the built pages show in Chromium, knob by knob, beside the records of the papers.

Each test has its paper's slug in its name: ``make check ONLY=gpicl`` chooses by it.
"""

from collections.abc import Callable

import pytest
import torch
from playwright.sync_api import Locator, Page
from visitor import Visitor

from tutorlib.lab import Record, recorded, table
from tutorlib.papers.gpicl.analysis import tasks_label
from tutorlib.papers.mbrl.analysis import class_label, classes
from tutorlib.papers.metagenrl import explorers
from tutorlib.papers.metagenrl.baselines import gae
from tutorlib.papers.metagenrl.experiments import MINUTE
from tutorlib.papers.metagenrl.model import standardised
from tutorlib.papers.rcgvf.analysis import methods as rcgvf_methods

pytestmark = pytest.mark.browser


def test_the_published_phase_map_of_gpicl_shows_the_records(visitor: Visitor) -> None:
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
        look = cell["evals.steps"].iloc[0].index(int(shown["step"]))
        last_look = look == len(cell["evals.steps"].iloc[0]) - 1  # it shows the final measurement
        for name in ("seen", "unseen"):
            curves = cell[f"{name}.curve"].tolist() if last_look else [run[look] for run in cell[f"evals.{name}"]]
            first = sum(curve[0] for curve in curves) / 5
            last = sum(sum(curve[-10:]) / 10 for curve in curves) / 5
            assert float(shown[f"value{name.title()}_first"]) == pytest.approx(first, abs=6e-4)
            assert float(shown[f"value{name.title()}_last"]) == pytest.approx(last, abs=6e-4)
        phases = cell["phase"].tolist() if last_look else [run[look] for run in cell["evals.phase"]]
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


def test_the_published_symmetry_breaker_of_symla_shows_the_records(visitor: Visitor) -> None:
    runs = table(recorded("symla.cartpole"))
    agents = [  # in the order of the readout
        runs[runs["agent"] == "symla"],
        runs[(runs["agent"] == "meta-rnn") & (runs["permuted"] == "none")],
        runs[runs["permuted"] == "both"],
    ]
    page = visitor.visit("light", "notebooks/symla/worlds.html")
    explorer = page.locator(".tutorlib-curves-explorer")
    visited = set()

    def compare() -> None:
        shown = explorer.evaluate("e => ({...e.dataset})")
        seen = "".join(str("xvθω".index(entry)) for entry in shown["seen"].split())
        done = "".join(str(("left", "right").index(action)) for action in shown["done"].split(", "))
        for i, own in enumerate(agents):
            at = own["orders.names"].iloc[0].index(f"{seen}/{done}")
            mean = 1000 * sum(means[at] for means in own["orders.mean"]) / len(own)
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


def test_the_published_plateau_of_vsml_shows_the_records(visitor: Visitor) -> None:
    runs = [(r, {**r.config, **r.config["streams"]}) for r in recorded("vsml.plateau")]
    page = visitor.visit("light", "notebooks/vsml/inside.html")
    explorer = page.locator(".tutorlib-curves-explorer")
    visited = set()

    def compare() -> None:
        shown = explorer.evaluate("e => ({...e.dataset})")
        bias = float(shown["bias"].replace("−", "-").split(",")[0])
        wanted = {"forget_bias": bias, "lr": float(shown["rate"])}
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


def test_the_published_fading_bonus_of_rcgvf_shows_the_records(visitor: Visitor) -> None:
    def runs(gamma: float) -> list[Record]:
        wanted = {"method": "rcgvf", "bonus": "product", "gamma_z": gamma}
        found = [r for r in recorded("rcgvf.dissipation") if wanted.items() <= r.config["learner"].items()]
        return [r for r in found if (r.config["right"], r.config["scale"]) == (0.5, 1.0)]

    page = visitor.visit("light", "notebooks/rcgvf/predictors.html")
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


def test_the_published_lock_of_rcgvf_shows_the_records(visitor: Visitor) -> None:
    groups = list(rcgvf_methods(recorded("rcgvf.lock")).values())
    page = visitor.visit("light", "notebooks/rcgvf/results.html")
    explorer = page.locator(".tutorlib-curves-explorer", has_text="How far into the lock")
    visited = set()

    def compare() -> None:
        shown = explorer.evaluate("e => ({...e.dataset})")
        place = [f"{n / 1000:g}" for n in groups[0][0].metrics["evals"]["frames"]].index(shown["frames"])
        for i, own in enumerate(groups):
            some = own if shown["seed"].startswith("mean") else [own[int(shown["seed"].split()[1])]]
            for name, key in (("farthest", f"valueFar{i}"), ("greedy", f"valueGreedy{i}")):
                mean = sum(r.metrics["evals"][name][place] for r in some) / len(some)
                assert float(shown[key].replace("−", "-")) == pytest.approx(mean, rel=5e-3, abs=5e-3)
        visited.add((shown["frames"], shown["seed"]))

    keys_through(page, explorer, compare)
    assert len(visited) >= 8, "the knobs did not move the selection"
    assert visitor.problems == []


def test_the_published_version_spaces_of_mbrl_show_the_records(visitor: Visitor) -> None:
    groups = {
        class_label(bits, more): [
            r for r in recorded("mbrl.sets") if (r.config["bits"], r.config["more"]) == (bits, more)
        ]
        for bits, more in classes(recorded("mbrl.sets"))
    }
    page = visitor.visit("light", "notebooks/mbrl/offline.html")
    explorer = page.locator(".tutorlib-curves-explorer", has_text="Which values are still possible")
    visited = set()

    def compare() -> None:
        shown = explorer.evaluate("e => ({...e.dataset})")
        own, n = groups[shown["models"]], int(shown["transitions"])
        assert len(own) == 5
        for name in ("models", "based", "free"):
            assert float(shown[f"value{name.title()}"].replace(",", "")) == own[0].metrics["example"][name][n]
        ratio = sum(r.metrics["free"][n] / r.metrics["based"][n] for r in own) / 5
        assert float(shown["valueRatio"]) == pytest.approx(ratio, rel=5e-3)
        visited.add((shown["models"], shown["transitions"]))

    keys_through(page, explorer, compare)
    assert len(visited) >= 5, "the knobs did not move the selection"
    assert visitor.problems == []


def test_the_published_dream_of_mbrl_shows_the_record(visitor: Visitor) -> None:
    (record,) = recorded("mbrl.dreams")
    found, pipes = record.metrics, record.config["pipes"]
    cells = [f"pipe {i}, cell {j}" for i in range(pipes) for j in range(i + 1)]
    page = visitor.visit("light", "notebooks/mbrl/offline.html")
    explorer = page.locator(".tutorlib-grid-explorer", has_text="A tune as it is, and as the model dreams it")
    visited = set()

    def compare() -> None:
        shown = explorer.evaluate("e => ({...e.dataset})")
        evals, cell, step = found["evals"], cells.index(shown["y"]), int(shown["x"].split()[0])
        place = evals["updates"].index(int(shown["step"]))
        rows = {
            "truth": found["truth"][step][cell],
            "dream": evals["dreamt"][place][step][cell],
            "probability": evals["probability"][place][step - 1][cell] if step else None,
            "dream, logit as probability": evals["official"][place][step][cell],
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


def test_the_scoreboard_is_short_and_a_mark_opens_its_line(visitor: Visitor) -> None:
    page = visitor.visit("light", "book/scoreboard.html")
    assert page.locator("table.matrix").evaluate("e => e.getBoundingClientRect().bottom") < 900  # one screen
    heights = page.locator("details.claim").evaluate_all("all => all.map(e => e.getBoundingClientRect().height)")
    assert max(heights) < 70, "three lines of text at most, closed"
    assert page.evaluate("document.documentElement.scrollHeight") < 1200 + 60 * len(heights)
    mark = page.locator("table.matrix a.mark", has_text="✗").first
    line = page.locator(str(mark.get_attribute("href")))
    assert line.get_attribute("open") is None
    mark.click()
    page.wait_for_selector("details.claim[open]")
    assert line.get_attribute("open") is not None
    assert line.locator("summary").evaluate("e => e.getBoundingClientRect().top") < 900
    page.goto(page.url.partition("#")[0])
    page.goto(visitor.address + "book/scoreboard.html#claim-vsml-C1")  # as from another page
    page.wait_for_selector("#claim-vsml-C1[open]")
    assert visitor.problems == []


@pytest.mark.parametrize("place", ["book/intro", "book/scoreboard", "book/status"])
def test_every_mark_of_a_matrix_is_in_view_on_a_narrow_page(visitor: Visitor, place: str) -> None:
    page = visitor.visit("dark and narrow", f"{place}.html")
    assert page.locator("table.matrix").count() == 1
    box = page.locator(".matrix-box")
    assert box.evaluate("box => box.scrollWidth <= box.clientWidth")
    sizes = page.locator("a.mark").evaluate_all(
        "all => all.map(e => e.getBoundingClientRect()).map(e => [e.width, e.height, e.right])"
    )
    assert min(min(width, height) for width, height, _ in sizes) >= 24  # a finger's least
    assert max(right for *_, right in sizes) <= 400


def test_the_published_dial_of_gogepo_shows_the_record(visitor: Visitor) -> None:
    """It opens on the claim: nearly what is asked for is earned. Then every knob, beside the record."""
    (record,) = recorded("gogepo.dial")
    stages, commands = record.metrics["stages"], record.metrics["commands"]
    page = visitor.visit("light", "notebooks/gogepo/idea.html")
    explorer = page.locator(".tutorlib-dial-explorer")
    visited = set()

    def compare() -> None:
        shown = explorer.evaluate("e => ({...e.dataset})")
        stage = next(part for part in stages if part["episodes"] == int(shown["stage"]))
        at = commands.index(float(shown["command"]))
        assert float(shown["achieved"]) == stage["achieved"][at]
        assert [float(x) for x in shown["place"].split()] == stage["places"][at]
        visited.add((shown["command"], shown["stage"]))

    opened = explorer.evaluate("e => ({...e.dataset})")
    assert abs(float(opened["earned"]) - float(opened["command"])) < 3
    assert abs(float(opened["achieved"]) - float(opened["command"])) < 3
    assert all(svg.bounding_box()["height"] >= 360 for svg in explorer.locator("svg.dial, svg.map").all())
    compare()
    keys_through(page, explorer, compare)
    assert len(visited) == 8, "the knobs did not move the selection"
    assert visitor.problems == []


def test_the_preview_of_gogepo_has_no_explorer_yet(visitor: Visitor) -> None:
    """The explorer stands in its idea."""
    page = visitor.visit("light", "book/previews/gogepo.html")
    assert page.get_by_text("It reports no result of ours yet.").count() == 1
    assert page.locator("[class*=tutorlib-][class*=-explorer]").count() == 0


def test_the_published_microscope_of_metagenrl_shows_the_library_s_numbers(visitor: Visitor) -> None:
    """It opens on a step that is paid more; a higher value, by keyboard, is answered as the library answers it."""
    record = explorers.recorded_objective()
    alpha, _, seen = explorers.batch_of(record)
    page = visitor.visit("light", "notebooks/metagenrl/idea.html")
    explorer = page.locator(".tutorlib-push-explorer")

    def compare(reward: list[float], value: list[float]) -> None:
        r, v = seen.reward.clone(), torch.cat([seen.value, seen.following[..., -1:]], dim=-1)
        r[0, 0], v[0, 0] = torch.tensor(reward), torch.tensor(value)
        now = seen._replace(reward=r, value=v[..., :-1], following=v[..., 1:])
        by_gae = standardised(gae(now, MINUTE.gamma, MINUTE.gae_lambda), now.mask)
        for name, credit in (("learned", explorers.learned_advantages(MINUTE, alpha, now)), ("gae", by_gae)):
            shown = [float(x) for x in (explorer.get_attribute(f"data-{name}") or "").split()]
            assert shown == pytest.approx(credit[0, 0].tolist(), abs=1e-4)

    reward, value = list(record["reward"][0]), list(record["value"][0])
    reward[8] = 1.0
    compare(reward, value)
    assert explorer.get_attribute("data-moved") == "1 9"
    handle = explorer.locator(".handle[data-row=value][tabindex='0']")
    at = int(handle.get_attribute("data-step") or "")
    handle.press("End")
    moved = explorer.locator(f".handle[data-row=value][data-step='{at}']")
    value[at] = float(moved.get_attribute("aria-valuenow") or "")
    assert value[at] > record["value"][0][at]
    compare(reward, value)
    assert visitor.problems == []
