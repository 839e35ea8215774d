"""Figures and claims follow the records: change a record, and they change."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from matplotlib.figure import Figure

from tutorlib.envs import CartPole
from tutorlib.lab import UsageError, judge, select
from tutorlib.lab.experiment import plain
from tutorlib.lab.records import NoRecordsError, Record
from tutorlib.papers.symla import analysis, claims, experiments, explorers, figures, problem
from tutorlib.papers.symla.problem import ARMS, MATRIX
from tutorlib.show.packing import unpack

NAMES = ("bandits", "biased", "contextual", "cartpole", "grid", "references")
BY_NAME = {e.name: e for e in experiments.EXPERIMENTS}


def made_up(value, names=NAMES, seeds=range(5)) -> dict[str, list[Record]]:
    """Return records of all studies; ``value(config, test, part)`` is the score of a step, plus a little by seed."""
    found = {}
    for name in names:
        found[f"symla.{name}"] = [
            Record(f"symla.{name}", "study", plain(c), s, _metrics(name, c, s, value), 2.0 + s, {"device": "none"})
            for c in BY_NAME[f"symla.{name}"].tiers["study"].configs
            for s in seeds
        ]
    return found


def _metrics(name, c, seed, value):
    tests = problem.tests(c.environment, int(c.sizes), c.length, c.agent == "symla" or name == "references")
    labels = list(tests)
    if name == "references":
        labels = [f"random {t}" for t in tests] + [f"{p} {t}" for p in ("thompson", "ucb") for t in tests]
    metrics = {"evals": {"steps": [10, 20], "reward": [0.1, 0.2], "score": [0.5, 0.9]}}
    for label in labels:
        # The seed moves every score alike: differences are then exact.
        found = {part: value(c, label, part) * (1 + 0.001 * seed) for part in ("mean", "first", "last")}
        found["curve"] = [found["mean"]] * 10
        if name == "references":
            player, _, test = label.partition(" ")
            metrics.setdefault(player, {})[test] = found
        else:
            metrics[label] = found
    if c.environment == "cartpole" and name != "references":
        metrics["orders"] = {"names": ["0123/01", "1023/01"], "mean": [0.01, 0.02 + 0.001 * seed]}
    return metrics


def good(c, label, part):
    """A world in which every claim is true."""
    ours, fits = c.agent == "symla", label in ("standard", c.family)
    if label.endswith("cartpole") or c.environment == "cartpole":
        if label.startswith("random"):
            return 0.045
        if label == "cartpole":
            return 0.02 if part == "last" else 0.03
        return 0.01 if ours else (0.002 if fits or c.permuted != "none" else 0.05)
    if c.environment == "bandit":
        best = 0.02 if ours or fits or label == "biased" else 0.3
        return 0.2 if label.split()[0] in ("random", "thompson", "ucb") else best
    if c.environment == "contextual-bandit":
        return 0.95 if ours or fits else 0.34
    return 0.2 if ours or fits else -0.2


def bad(c, label, part):
    """A world in which none is: nobody learns, and shuffling makes no difference to anyone."""
    if c.environment == "cartpole" or label.endswith("cartpole"):
        return 0.045
    if c.environment == "bandit":
        return 0.2 if label.startswith("random") or c.agent == "symla" else 0.1
    return 0.5 if c.environment == "contextual-bandit" else -0.01 if c.agent == "symla" else 0.01


def show(monkeypatch, records):
    def found(name):
        if name not in records:
            raise NoRecordsError(name)
        return records[name]

    monkeypatch.setattr(claims, "recorded", found)


def verdicts(monkeypatch, records):
    show(monkeypatch, records)
    return {c.id.removeprefix("symla."): judge(c).verdict for c in claims.CLAIMS}


def test_all_claims_hold_in_a_good_world(monkeypatch):
    found = verdicts(monkeypatch, made_up(good))
    assert found.pop("C8") == "in part"  # in part at most
    assert set(found.values()) == {"holds"}


def test_no_claim_holds_in_a_bad_world(monkeypatch):
    found = verdicts(monkeypatch, made_up(bad))
    # What is symmetric stays so when nothing is learned; that part is true in any world.
    assert {name for name, verdict in found.items() if verdict == "in part"} <= {"C1", "C3", "C4", "C5", "C8"}
    assert "holds" not in found.values()
    assert (found["C2"], found["C6"]) == ("contradicted", "inconclusive")  # no better than random, and no worse


@pytest.mark.parametrize(("claim", "agent", "test", "worse"), [
    ("C1", "symla", "both", 0.05),
    ("C2", "symla", "hard", 0.19),
    ("C3", "symla", "arms 20", 0.19),
    ("C3", "symla", "flipped", 0.19),
    ("C3", "meta-rnn", "flipped", 0.02),
    ("C4", "symla", "shuffled", 0.6),
    ("C4", "meta-rnn", "shuffled", 0.9),
    ("C4", "meta-rnn", "standard", 0.04),
    ("C5", "symla", "swapped", -0.2),
    ("C5", "meta-rnn", "swapped", 0.2),
    ("C6", "symla", "cartpole", 0.05),
    ("C7", "symla", "easy", 0.1),
])  # fmt: skip
def test_each_part_of_a_claim_can_fail(monkeypatch, claim, agent, test, worse):
    def value(c, label, part):
        return worse if c.agent == agent and label == test else good(c, label, part)

    assert verdicts(monkeypatch, made_up(value))[claim] != "holds"


def test_equal_seconds_are_no_cost(monkeypatch):
    records = made_up(good)
    equal = [Record(**{**r.__dict__, "seconds": 0.1 * r.config["generations"]}) for r in records["symla.bandits"]]
    assert verdicts(monkeypatch, records | {"symla.bandits": equal})["C8"] == "inconclusive"


def test_few_seeds_and_missing_studies_decide_nothing(monkeypatch):
    few = verdicts(monkeypatch, made_up(good, seeds=range(3)))
    assert set(few.values()) <= {"not tested here", "in part"}
    assert set(verdicts(monkeypatch, {}).values()) == {"not tested here"}


def test_without_cartpole_and_the_grid_claims_hold_in_part(monkeypatch):
    records = made_up(good, [name for name in NAMES if name not in ("cartpole", "grid")])
    show(monkeypatch, records)
    found = {c.id: judge(c) for c in claims.CLAIMS}
    assert found["symla.C6"].verdict == "not tested here"
    # What C1 says of bandits came later, and cannot help it.
    for name, verdict in {"C1": "not tested here", "C4": "in part", "C5": "in part", "C7": "in part"}.items():
        assert found[f"symla.{name}"].verdict == verdict
        assert "not yet studied" in found[f"symla.{name}"].detail
    bad_rest = verdicts(monkeypatch, {name: r for name, r in made_up(bad).items() if name in records})
    assert "holds" not in bad_rest.values()


def test_the_shipped_records_give_a_verdict_on_each_claim_that_was_studied():
    found = {claim.id.removeprefix("symla."): judge(claim) for claim in claims.CLAIMS}
    assert {name for name, evidence in found.items() if evidence.verdict == "not tested here"} <= {"C6"}
    for name in ("C2", "C3", "C4", "C7"):
        assert found[name].interval.count >= 5


@pytest.fixture(scope="module")
def records():
    return made_up(good)


@pytest.fixture
def ax():
    return Figure().subplots()


def test_analysis_reads_lives_not_steps(records):
    bandits, references = records["symla.bandits"], records["symla.references"]
    matrix = analysis.regret_matrix(bandits, "meta-rnn")
    assert list(matrix.index) == list(matrix.columns) == list(MATRIX)
    assert matrix.loc["easy", "easy"].value == pytest.approx(0.02 * 50 * 1.002)
    assert matrix.loc["easy", "hard"].value == pytest.approx(0.3 * 50 * 1.002)  # rows are meta-training
    table = analysis.arms_table(bandits, references)
    assert list(table.columns) == list(ARMS)
    assert table.loc["random", 20].value == pytest.approx(0.2 * 50 * 1.002)
    assert analysis.diagonal_ratios(bandits)["hard"] == [1.0] * 5
    poles = select(records["symla.cartpole"], agent="symla")
    assert analysis.score(poles, "both").value == pytest.approx(10.02)
    gain = analysis.improvement(poles, references, "both")
    assert gain[0] == pytest.approx(35.0)
    assert analysis.plateau(poles[0], 0.7) == 20
    assert analysis.plateau(poles[0], 0.95) == 0
    assert analysis.orders_table(poles).loc["1023/01", 3] == pytest.approx(23.0)
    with pytest.raises(UsageError, match="fields="):
        select(bandits, agent="nobody")


def test_figures_show_the_records(records, ax):
    figures.draw_matrix(ax, records["symla.bandits"], "meta-rnn")
    texts = [t.get_text() for t in ax.texts]
    assert len(texts) == 25
    assert texts[:2] == ["1.0", "15.0"]


def test_arms_and_references_are_lines(records, ax):
    figures.draw_arms(ax, records["symla.bandits"], records["symla.references"])
    assert len(ax.lines) == 4
    assert ax.lines[0].get_ydata() == pytest.approx([1.002] * 5)


def test_bars_are_scores(records, ax):
    poles = records["symla.cartpole"]
    groups = {
        "SymLA": select(poles, agent="symla"),
        "MetaRNN": select(poles, agent="meta-rnn", permuted="none", generations=240),
        "MetaRNN, permuted": select(poles, permuted="both"),
    }
    figures.draw_bars(ax, groups, {"standard": "as trained", "both": "shuffled"}, "failures in 1,000 steps")
    heights = [bar.get_height() for bar in ax.patches]
    assert heights == pytest.approx([10.02, 10.02, 2.004, 50.1, 2.004, 2.004])
    figures.draw_random(ax, records["symla.references"], "cartpole", "both")
    assert ax.lines[-1].get_ydata()[0] == pytest.approx(45.09)
    assert len({figures.colour_of(g) for g in groups.values()}) == 3
    with pytest.raises(UsageError, match="groups="):
        figures.draw_bars(ax, {}, {"both": "shuffled"}, "")


def test_courses_lives_and_orders_are_drawn(records):
    axes = Figure().subplots(1, 3)
    poles = {"SymLA": select(records["symla.cartpole"], agent="symla")}
    figures.draw_course(axes[0], poles, "failures in 1,000 steps")
    assert len(axes[0].lines) == 6
    assert axes[0].lines[-1].get_ydata().tolist() == [500.0, 900.0]
    figures.draw_life(axes[1], poles, "both", "failures", 1000.0)
    assert np.allclose(axes[1].lines[0].get_xdata(), np.arange(5, 100, 10))
    figures.draw_life(axes[1], {"random": records["symla.references"][:5]}, "easy", "", 1.0, 400, "random")
    assert axes[1].lines[-1].get_xdata()[-1] == 380
    assert axes[1].lines[-1].get_color() != axes[1].lines[0].get_color()
    figures.draw_orders(axes[2], poles)
    assert axes[2].lines[0].get_ydata().tolist() == pytest.approx([10.0, 22.0])


def test_each_order_has_a_curve_for_each_seed(records):
    with_curves = [r for r in records["symla.cartpole"] if r.config["agent"] == "symla"]
    curves = analysis.order_curves([remade(r, 2) for r in with_curves])
    assert list(curves)[:2] == ["0123/01", "0132/01"]
    assert curves["0132/01"][3] == pytest.approx([1001 + 3, 2001 + 3])


def remade(record, points=5):
    """The record with all 48 orders: failure rates that say order, agent, seed and place."""
    orders = problem.orders(CartPole()).names
    place = {"symla": 0, "meta-rnn": 100 if record.config["permuted"] == "none" else 200}[record.config["agent"]]
    curve = [[i + 1 + (place + n) / 1000 + record.seed / 1000 for i in range(points)] for n in range(len(orders))]
    means = [(n + place + record.seed) / 1000 for n in range(len(orders))]
    return replace(record, metrics=record.metrics | {"orders": {"names": orders, "mean": means, "curve": curve}})


def test_the_symmetry_explorer_holds_the_records(records):
    poles = [remade(r) for r in records["symla.cartpole"]]
    groups = {
        "SymLA": select(poles, agent="symla"),
        "MetaRNN": select(poles, agent="meta-rnn", permuted="none"),
        "MetaRNN, augm.": select(poles, permuted="both"),
    }
    data = explorers.symmetry_explorer(groups, records["symla.references"]).data
    seen, done = data["choosers"]
    assert (len(seen["values"]), seen["values"][:2]) == (24, ["x v θ ω", "x v ω θ"])
    assert done["values"] == ["left, right", "right, left"]
    names = problem.orders(CartPole()).names
    for s, d in ((0, 0), (1, 0), (7, 1), (23, 1)):
        n = names.index(f"{ORDERS[s]}/{('01', '10')[d]}")
        for line, number, place in zip(data["lines"], data["numbers"], (0, 100, 200), strict=False):
            assert unpack(line["values"])[s][d] == pytest.approx([1000 * (i + 1) + place + n + 2 for i in range(5)])
            assert number["values"][s][d] == pytest.approx(place + n + 2)
    assert data["positions"] == [10, 30, 50, 70, 90]
    assert unpack(data["lines"][3]["values"]) == pytest.approx([45.09] * 5)
    assert "240 generations" in data["note"]


ORDERS = ["".join(map(str, p)) for p in permutations(range(4))]


def test_the_symmetry_explorer_refuses_other_records(records):
    for groups in ({}, {"SymLA": records["symla.grid"]}):
        with pytest.raises(UsageError, match="groups="):
            explorers.symmetry_explorer(groups, records["symla.references"])
