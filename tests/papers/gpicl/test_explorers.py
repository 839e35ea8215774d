"""The explorers follow the records and the library's own functions."""

import dataclasses
import gzip
import html
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tutorlib.lab import recorded, table
from tutorlib.lab.errors import UsageError
from tutorlib.lab.records import Record
from tutorlib.papers.gpicl import explorers
from tutorlib.papers.gpicl.algorithm import PHASES
from tutorlib.papers.gpicl.analysis import tasks_label
from tutorlib.show.explorer import MAX_DATA_BYTES, Explorer, to_json
from tutorlib.show.packing import unpack

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

MAX_PAGE_BYTES = 300_000
"""Most bytes that an explorer may add to a page, its module, its data and its picture taken together."""


@pytest.fixture(scope="module")
def study() -> list[Record]:
    return recorded("gpicl.phases")


@pytest.fixture(scope="module")
def references() -> list[Record]:
    return recorded("gpicl.references")


@pytest.fixture(scope="module")
def games() -> Record:
    return recorded("gpicl.games")[0]


def assert_holds(data: dict[str, Any], study: list[Record], cells: list[tuple[int, int, int, int]]) -> None:
    """Hold what the explorer has for ``cells`` (bias, tasks, width, look) against the records."""
    frame = table(study)
    biases, widths = sorted(set(frame["bias"])), sorted(set(frame["width"]))
    names = {tasks_label(k): k for k in set(frame["tasks"])}
    ks = [names[label] for label in data["y"]["values"]]
    values = {name: unpack(packed) for name, packed in data["values"].items()}
    lines = [unpack(curve["values"]) for curve in data["chart"]["curves"]]
    phases, votes = unpack(data["phase"]), unpack(data["votes"])
    for b, k, w, look in cells:
        runs = frame[(frame["bias"] == biases[b]) & (frame["tasks"] == ks[k]) & (frame["width"] == widths[w])]
        assert len(runs) == 5
        for name, line in zip(("seen", "unseen"), lines, strict=True):
            # The last look is the final measurement, on more sequences.
            last = look == len(data["slider"]["values"]) - 1
            curves = np.array(runs[f"{name}.curve"].tolist() if last else [run[look] for run in runs[f"evals.{name}"]])
            assert values[f"{name}_last"][b][look][k][w] == pytest.approx(curves[:, -10:].mean(), abs=6e-4)
            assert values[f"{name}_first"][b][look][k][w] == pytest.approx(curves[:, 0].mean(), abs=6e-4)
            assert line[b][look][k][w] == pytest.approx(curves.mean(0), abs=6e-4)
            lows = curves[:, -10:].mean(axis=1)
            assert unpack(data["low"][f"{name}_last"])[b][look][k][w] == pytest.approx(lows.min(), abs=6e-4)
            assert unpack(data["high"][f"{name}_last"])[b][look][k][w] == pytest.approx(lows.max(), abs=6e-4)
        named = runs["phase"].tolist() if last else [run[look] for run in runs["evals.phase"]]
        voted = PHASES[phases[b][look][k][w]]
        assert named.count(voted) == votes[b][look][k][w] == max(map(named.count, named))


def test_phase_explorer_holds_the_means_over_seeds(study: list[Record], references: list[Record]) -> None:
    data = explorers.phase_explorer(study, references).data
    looks, ks, widths = (len(data[axis]["values"]) for axis in ("slider", "y", "x"))
    ends = [(0, 0, widths - 1, looks - 1), (1, ks - 1, widths - 1, looks - 1), (0, ks // 2, 0, 4), (1, ks - 1, 0, 0)]
    assert_holds(data, study, ends)
    shown = unpack(data["values"]["unseen_last"])[1][-1][ks - 1][widths - 1]
    assert shown == 0.886  # what the text and claim C1 say of the same runs
    assert (data["marker"]["x"], data["marker"]["y"]) == (widths - 1, ks - 1)
    assert [line["label"] for line in data["chart"]["references"]] == ["ceiling", "1-NN", "online SGD"]


def full_study() -> list[Record]:
    """A made-up study of 8 task counts, 4 widths, 2 biases, 5 seeds, 12 looks and 32 positions, of noise alone."""
    draw = np.random.default_rng(0)
    looks = [200 * (i + 1) for i in range(12)]

    def curves() -> list[list[float]]:
        return draw.uniform(0.2, 1.0, (12, 32)).round(3).tolist()

    records = []
    for tasks in (1, 4, 16, 64, 256, 1024, 4096, "inf"):
        for width in (8, 16, 32, 64):
            for bias in (0.0, 0.9):
                for seed in range(5):
                    config = {"tasks": tasks, "width": width, "bias": bias, "classes": 4, "length": 32}
                    named = draw.choice(PHASES, 12).tolist()
                    evals = {"steps": looks, "seen": curves(), "unseen": curves(), "phase": named}
                    final = draw.uniform(0.2, 1.0, (2, 32)).round(3).tolist()
                    metrics = {"evals": evals, "phase": draw.choice(PHASES)}
                    metrics |= {name: {"curve": curve} for name, curve in zip(("seen", "unseen"), final, strict=True)}
                    records.append(Record("gpicl.phases", "study", config, seed, metrics, 1.0, {"device": "cpu"}))
    return records


def test_a_study_of_the_full_size_fits(references: list[Record]) -> None:
    """Noise does not compress, so a true study is smaller on its way to the reader than this one."""
    study = full_study()
    shown = explorers.phase_explorer(study, references)
    size = len(to_json(shown.data).encode())
    assert 100_000 < size < 0.65 * MAX_DATA_BYTES, size
    assert len(shown.html.encode()) < MAX_PAGE_BYTES
    assert len(gzip.compress(shown.html.encode())) < 200_000
    assert_holds(
        shown.data, study, [(b, k, w, look) for b in (0, 1) for k in (0, 7) for w in (0, 3) for look in (0, 11)]
    )


def test_recorded_explorer_stays_light(study: list[Record], references: list[Record]) -> None:
    shown = explorers.phase_explorer(study, references)
    assert len(shown.html.encode()) < MAX_PAGE_BYTES


def test_every_explorer_has_a_picture_for_where_no_script_runs(
    study: list[Record], references: list[Record], games: Record
) -> None:
    shown = (
        explorers.phase_explorer(study, references),
        explorers.epsilon_explorer(),
        explorers.learner_explorer(games),
    )
    for explorer in shown:
        bundle, _ = explorer._repr_mimebundle_()
        assert sorted(bundle) == ["image/png", "text/html", "text/plain"]
        assert f'<img class="fallback" alt="{html.escape(explorer.label)}"' in bundle["text/html"], explorer
        assert bundle["image/png"] in bundle["text/html"]


@pytest.fixture
def play(chromium: "Browser") -> Iterator[Callable[[Explorer], "Page"]]:
    """Show explorers in pages without a network; in the end they must have asked for nothing."""
    asked: list[str] = []
    context = chromium.new_context()

    def answer(route: "Route") -> None:
        asked.append(route.request.url)
        route.abort()

    def show(explorer: Explorer) -> "Page":
        page = context.new_page()
        page.set_content(f"<!doctype html><title>A page</title>{explorer.html}")
        page.locator(".tutorlib-explorer svg").first.wait_for()
        return page

    context.route(re.compile("^(?!blob:|data:)"), answer)
    yield show
    context.close()
    assert asked == []


@pytest.mark.browser
def test_the_epsilon_calculator_by_keyboard(play: Callable[[Explorer], "Page"]) -> None:
    page = play(explorers.epsilon_explorer())
    host = page.locator(".tutorlib-curves-explorer")
    visited = set()

    def compare() -> None:
        shown = host.evaluate("host => ({ ...host.dataset })")
        g, eps = power(shown["gradient"]), 0.0 if shown["eps"] == "sign" else power(shown["eps"])
        assert float(shown["valueStep"]) == pytest.approx(g / (g + eps), rel=6e-4)
        assert float(shown["valueLonger"]) == pytest.approx(1 + eps / g, rel=6e-4)
        assert shown["valueRegime"] in host.locator("output").inner_text()
        visited.add((shown["gradient"], shown["eps"]))

    assert host.evaluate("host => [host.dataset.gradient, host.dataset.eps]") == ["10⁻¹⁰", "10⁻⁸"]
    for _ in explorers.EPSILONS:
        host.locator("#gradient").focus()
        page.keyboard.press("Home")
        for _ in explorers.GRADIENTS:
            compare()
            page.keyboard.press("ArrowRight")
        host.locator("input[type=radio]:checked").focus()
        page.keyboard.press("ArrowRight")
    assert len(visited) == len(explorers.EPSILONS) * len(explorers.GRADIENTS)


@pytest.mark.browser
def test_the_recorded_games_by_keyboard(play: Callable[[Explorer], "Page"], games: Record) -> None:
    page = play(explorers.learner_explorer(games))
    host = page.locator(".tutorlib-guess-explorer")
    m, classes = games.metrics["games"], games.config["classes"]
    host.get_by_role("button", name="guess A").focus()
    for game, labels in enumerate(m["labels"][:2]):
        points, mine, model, nearest = np.array(m["points"][game]), 0, 0, 0
        for j, label in enumerate(labels):
            guess = (label + j % 2) % classes
            page.keyboard.press(str(guess + 1))
            mine += guess == label
            model += np.argmax(m["probabilities"][game][j]) == label
            closest = labels[((points[:j] - points[j]) ** 2).sum(axis=1).argmin()] if j else 0
            nearest += closest == label
            shown = host.evaluate("host => ({ ...host.dataset })")
            assert (shown["game"], shown["shown"], shown["label"]) == (str(game + 1), str(j + 1), "ABCDEFGH"[label])
            tallies = [f"{right}/{j + 1}" for right in (mine, model, nearest)]
            assert [shown[who] for who in ("reader", "model", "nearest")] == tallies
            bars = host.locator(".bars .hidden").all_text_contents()
            expected = m["probabilities"][game][j]
            assert [float(bar.partition(": ")[2]) for bar in bars] == pytest.approx(expected, abs=6e-4)
        page.keyboard.press("Enter")  # the focus is on "next game"
        host.get_by_role("button", name="guess A").focus()


SIZES = [1e-12, 3e-9, 1e-8, 0.02]


@pytest.mark.parametrize("eps", [1e-4, 1e-8, 1e-16])
def test_adam_under_a_steady_gradient_follows_the_closed_form(eps: float) -> None:
    expected = [g / (g + eps) for g in SIZES]
    assert explorers.steady_step(SIZES, eps) == pytest.approx(expected, rel=1e-9)
    assert explorers.steady_step(SIZES, eps, steps=1) == pytest.approx(expected, rel=1e-9)


def test_the_sign_variant_moves_by_alpha() -> None:
    assert explorers.steady_step(SIZES, None) == pytest.approx([1.0] * 4, rel=1e-12)


def power(text: str) -> float:
    """Read 10⁻⁸."""
    assert text.startswith("10")
    return 10.0 ** int(text[2:].translate(str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")))


def test_epsilon_explorer_holds_the_closed_form() -> None:
    data = explorers.epsilon_explorer().data
    choosers = {chooser["name"]: chooser["values"] for chooser in data["choosers"]}
    sizes = [power(text) for text in choosers["gradient"]]
    epsilons = [0.0 if text == "sign" else power(text) for text in choosers["eps"]]
    assert sizes == pytest.approx([10.0**e for e in range(-12, 0)])
    assert (epsilons[0], epsilons[-2], epsilons[-1]) == pytest.approx((1e-4, 1e-16, 0))
    numbers = {number["name"]: number["values"] for number in data["numbers"]}
    default, chosen = (unpack(line["values"]) for line in data["lines"])
    positions = np.array(data["positions"])
    np.testing.assert_allclose(10 ** np.array(default), positions / (positions + 1e-8), rtol=2e-4)
    for i, eps in enumerate(epsilons):
        np.testing.assert_allclose(10 ** np.array(chosen[i]), positions / (positions + eps), rtol=2e-4)
        for j, g in enumerate(sizes):
            assert numbers["step"][i][j] == pytest.approx(g / (g + eps), rel=6e-4)
            assert numbers["longer"][i][j] == pytest.approx(1 + eps / g, rel=6e-4)
            assert data["marks"][0]["x"][i][j] == pytest.approx(g)
            assert data["marks"][0]["y"][i][j] == pytest.approx(g / (g + eps), rel=1e-5)
            words = numbers["regime"][i][j]
            assert ("SGD" in words) == (0 < g <= eps / 99)
            assert ("moves by α" in words) == (g >= 99 * eps)
            assert "SGD" not in words or power(words.partition("α/ε = ")[2].removesuffix(" α")) == pytest.approx(
                1 / eps
            )


GAMES, LENGTH, CLASSES = 3, 12, 3


def games_record(**changes: Any) -> Record:
    """A made-up record of ``gpicl.games``."""
    draw = np.random.default_rng(1)
    labels = draw.integers(CLASSES, size=(GAMES, LENGTH))
    points = (np.eye(3)[labels][..., :2] + 0.2 * draw.normal(size=(GAMES, LENGTH, 2))).round(3)
    probabilities = draw.dirichlet([1.0] * CLASSES, size=(GAMES, LENGTH)).round(3)
    metrics = {
        "games": {
            "points": points.tolist(),
            "labels": labels.tolist(),
            "probabilities": probabilities.tolist(),
        },
        "unseen": {"curve": np.linspace(0.33, 0.8, LENGTH).round(3).tolist()},
        "nearest": {"curve": np.linspace(0.33, 0.9, LENGTH).round(3).tolist()},
    }
    config = {"classes": CLASSES, "length": LENGTH}
    return Record("gpicl.games", "study", config, 0, metrics | changes, 1.0, {"device": "cpu"})


def test_learner_explorer_holds_the_games_of_the_record() -> None:
    record = games_record()
    data = explorers.learner_explorer(record).data
    for name in ("points", "labels", "probabilities"):
        assert unpack(data[name]) == record.metrics["games"][name]
    points, labels = np.array(record.metrics["games"]["points"]), np.array(record.metrics["games"]["labels"])
    for game, guesses in enumerate(unpack(data["nearest"])):
        assert guesses[0] == 0
        for j in range(1, LENGTH):  # by hand: the label of the nearest point before
            distances = ((points[game, :j] - points[game, j]) ** 2).sum(axis=1)
            assert guesses[j] == labels[game, distances.argmin()]
    curves = {curve["label"]: unpack(curve["values"]) for curve in data["curves"]}
    assert curves["ceiling"][0] == pytest.approx(1 / 3, abs=1e-3)
    # After one example: right if it is of the query's class, else one in two of the others is.
    assert 2 * curves["ceiling"][1] - curves["ceiling"][0] == pytest.approx(1 / 3 + 2 / 3 / 2, abs=3e-3)
    for name, metric in (("model, mean", "unseen"), ("1-NN, mean", "nearest")):
        assert curves[name][-1] == pytest.approx(np.mean(record.metrics[metric]["curve"]), abs=6e-4)


def test_learner_explorer_refuses_other_records() -> None:
    with pytest.raises(UsageError, match=r"record.experiment='gpicl.phases': expected 'gpicl.games'"):
        explorers.learner_explorer(dataclasses.replace(games_record(), experiment="gpicl.phases"))
    metrics = games_record().metrics
    del metrics["games"]["labels"], metrics["nearest"]
    with pytest.raises(UsageError, match=r"record.metrics=\[.*\]: expected also games.labels, nearest.curve"):
        explorers.learner_explorer(dataclasses.replace(games_record(), metrics=metrics))
    short = games_record(unseen={"curve": [0.5]})
    with pytest.raises(UsageError, match="model, mean has length 1: expected 12"):
        explorers.learner_explorer(short)
