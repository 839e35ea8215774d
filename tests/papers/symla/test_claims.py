"""Verdicts on SymLA follow the records: each part of a claim can fail, and what came later cannot help."""

import re
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from symla_worlds import NAMES, bad, good, made_up

from tutorlib.lab import judge
from tutorlib.lab.records import NoRecordsError, Record
from tutorlib.papers.symla import claims, figures, terms
from tutorlib.show.style import HEAT

PAGES = Path(__file__).parents[3] / "notebooks/symla"


def judged(monkeypatch, records):
    def found(name):
        if name not in records:
            raise NoRecordsError(name)
        return records[name]

    monkeypatch.setattr(claims, "recorded", found)
    return {c.id.removeprefix("symla."): judge(c) for c in claims.CLAIMS}


def verdicts(monkeypatch, records):
    return {name: evidence.verdict for name, evidence in judged(monkeypatch, records).items()}


def test_all_that_is_tested_holds_in_a_good_world(monkeypatch):
    found = judged(monkeypatch, made_up(good))
    untested = {
        "C1": {terms.LOST_MAP, terms.SAME_POLE},
        "C4": {terms.LOST_MAP, terms.SAME_POLE},
        "C6": {terms.QUARTERS},
        "C8": {"N² operations"},
    }
    for name, evidence in found.items():
        parts = {part: own.verdict for part, own in evidence.parts.items()}
        assert {part for part, verdict in parts.items() if verdict == "not tested here"} == untested.get(name, set())
        assert set(parts.values()) <= {"holds", "not tested here"}
        assert evidence.verdict == ("in part" if name in untested else "holds")


def test_no_claim_holds_in_a_bad_world(monkeypatch):
    found = judged(monkeypatch, made_up(bad))
    assert "holds" not in {evidence.verdict for evidence in found.values()}
    assert (found["C2"].verdict, found["C6"].verdict) == ("contradicted", "inconclusive")  # as good as random
    # Nobody learned anything: that shuffling makes no difference says nothing.
    for name, part in (("C1", terms.SAME_MAP), ("C1", terms.EQUAL_MAP), ("C4", terms.LEARN), ("C3", terms.SAME_ARM)):
        assert (found[name].parts[part].verdict, found[name].parts[part].why) == (
            "not tested here",
            "no learner beats random",
        )


@pytest.mark.parametrize(("claim", "part", "agent", "test", "worse"), [
    ("C1", terms.SAME_MAP, "symla", "shuffled", 0.6),
    ("C1", terms.EQUAL_MAP, "meta-rnn", "shuffled", 0.9),
    ("C1", terms.MOVE, "meta-rnn", "both", 0.01),
    ("C2", "hard", "symla", "hard", 0.19),
    ("C3", "20 arms", "symla", "arms 20", 0.19),
    ("C3", terms.SAME_ARM, "symla", "flipped", 0.19),
    ("C3", terms.LOST_ARM, "meta-rnn", "flipped", 0.02),
    ("C3", terms.SIZES["size 3"], "symla", "size 3", 0.6),
    ("C3", terms.SIZES["size 4"], "symla", "size 4", 0.6),
    ("C3", terms.MORE_ACTIONS, "symla", "more actions", 0.6),
    ("C4", terms.SIZES["size 5"], "symla", "size 5", 0.5),
    ("C4", terms.PADDED, "symla", "padded", 0.7),
    ("C4", terms.LARGER, "symla", "larger", -0.1),
    ("C4", terms.LEARNED_MAP, "symla", "shuffled", 0.6),
    ("C4", terms.STAND, "meta-rnn", "standard", 0.04),
    ("C4", terms.FALL, "meta-rnn", "both", 0.01),
    ("C4", terms.LEARN, "symla", "both", 0.04),
    ("C5", terms.COLLECTS, "symla", "swapped", -0.2),
    ("C5", terms.WRONG, "meta-rnn", "swapped", 0.2),
    ("C6", terms.BETTER, "symla", "cartpole", 0.05),
    ("C6", terms.LEARNS, "symla", "cartpole", 0.05),
    ("C7", "easy", "symla", "easy", 0.1),
    ("C7", terms.LEARN, "symla", "standard", 0.04),
])  # fmt: skip
def test_each_part_of_a_claim_can_fail(monkeypatch, claim, part, agent, test, worse):
    def value(c, label, quarter):
        return worse if c.agent == agent and label == test else good(c, label, quarter)

    found = judged(monkeypatch, made_up(value))[claim]
    assert found.parts[part].verdict in ("inconclusive", "contradicted")
    assert found.verdict != "holds"


def altered(records, study, test, value, **config):
    """The records with the score of a step in ``test`` set in those runs of ``study`` that have ``config``."""
    changed = []
    for r in records[study]:
        if all(r.config[name] == own for name, own in config.items()):
            found = r.metrics[test] | dict.fromkeys(("mean", "first", "last"), value * (1 + 0.001 * r.seed))
            r = Record(**{**r.__dict__, "metrics": r.metrics | {test: found}})
        changed.append(r)
    return records | {study: changed}


def test_agents_are_compared_at_equal_sizes(monkeypatch):
    """The MetaRNN of three contexts decides nothing; that of two does."""
    records = made_up(good)
    three = altered(records, "symla.contextual", "shuffled", 0.9, agent="meta-rnn", sizes="3")
    assert verdicts(monkeypatch, three) == verdicts(monkeypatch, records)
    two = judged(monkeypatch, altered(records, "symla.contextual", "shuffled", 0.9, agent="meta-rnn", sizes="2"))
    assert two["C1"].verdict == two["C4"].verdict == "contradicted in part"
    assert two["C1"].parts[terms.EQUAL_MAP].verdict == "contradicted"


def test_a_bar_that_came_after_its_records_tests_fresh_seeds_alone(monkeypatch):
    records = made_up(good)
    seen = altered(records, "symla.biased", "flipped", 0.2, agent="symla")
    assert judged(monkeypatch, seen)["C5"].parts[terms.SAME_ARM].verdict == "holds"
    fresh = judged(monkeypatch, altered(records, "symla.exchanged", "flipped", 0.2))
    assert fresh["C5"].parts[terms.SAME_ARM].verdict == "contradicted"
    assert fresh["C5"].parts[terms.SAME_ARM].interval.count == 10
    assert fresh["C5"].verdict == "contradicted in part"


def test_a_rival_that_does_not_beat_random_is_none(monkeypatch):
    def value(c, label, quarter):
        return 0.2 if c.agent == "meta-rnn" and label == c.family == "hard" else good(c, label, quarter)

    found = judged(monkeypatch, made_up(value))["C7"]
    assert found.verdict == "in part"
    assert {name for name, part in found.parts.items() if part.why == "no learner beats random"} == {"hard"}


def poles_of(first, later):
    """A world in which SymLA's failures on CartPole after the grid are so in its first 20 steps, and so afterwards."""
    records = made_up(good)
    grid = []
    for r in records["symla.grid"]:
        if r.config["agent"] == "symla":
            curve = [own * (1 + 0.001 * r.seed) for own in [first] + [later] * 19]
            found = {"mean": sum(curve) / 20, "first": sum(curve[:5]) / 5, "last": curve[-1], "curve": curve}
            r = Record(**{**r.__dict__, "metrics": r.metrics | {"cartpole": found}})
        grid.append(r)
    return records | {"symla.grid": grid}


def test_the_first_steps_on_cartpole_say_nothing_and_do_not_help(monkeypatch):
    """Free first steps alone contradicted C6: the part is withdrawn, the verdict stays."""
    found = judged(monkeypatch, poles_of(0.0, 0.03))["C6"]
    assert found.parts[terms.QUARTERS].verdict == "not tested here"
    assert "SymLA -6.0" in found.parts[terms.QUARTERS].why
    assert found.parts[terms.LEARNS].verdict == "inconclusive"
    assert found.interval.value == pytest.approx(0.0, abs=1e-9)
    assert found.verdict == "contradicted in part"
    assert judged(monkeypatch, poles_of(0.03, 0.03))["C6"].verdict == "in part"


def test_equal_seconds_are_no_cost(monkeypatch):
    records = made_up(good)
    equal = [Record(**{**r.__dict__, "seconds": 0.1 * r.config["generations"]}) for r in records["symla.bandits"]]
    assert verdicts(monkeypatch, records | {"symla.bandits": equal})["C8"] == "inconclusive"


def test_few_seeds_and_missing_studies_decide_nothing(monkeypatch):
    few = verdicts(monkeypatch, made_up(good, seeds=range(2)))
    assert set(few.values()) == {"not tested here"}
    assert set(verdicts(monkeypatch, {}).values()) == {"not tested here"}


def test_without_cartpole_the_grid_and_fresh_seeds_claims_hold_in_part(monkeypatch):
    missing = ("cartpole", "grid", "exchanged")
    records = made_up(good, [name for name in NAMES if name not in missing])
    found = judged(monkeypatch, records)
    assert found["C6"].verdict == "not tested here"
    # What C1 says of bandits came later, and cannot help it.
    for name, verdict in {"C1": "not tested here", "C4": "in part", "C7": "in part"}.items():
        assert found[name].verdict == verdict
        assert "CartPole: not yet studied" in found[name].detail
    # Nor can the exchanged arms help C5, which came after their study.
    assert found["C5"].verdict == "not tested here"
    assert "Hearts and traps: not yet studied" in found["C5"].detail
    assert "On fresh seeds: not yet studied" in found["C3"].detail
    bad_rest = verdicts(monkeypatch, {name: r for name, r in made_up(bad).items() if name in records})
    assert "holds" not in bad_rest.values()


SHIPPED = {
    "C1": "in part",
    "C2": "in part",
    "C3": "contradicted in part",
    "C4": "contradicted in part",
    "C5": "holds",
    "C6": "contradicted in part",
    "C7": "in part",
    "C8": "in part",
}


@pytest.fixture(scope="module")
def shipped():
    return {claim.id.removeprefix("symla."): judge(claim) for claim in claims.CLAIMS}


def test_the_shipped_records_give_these_verdicts(shipped):
    assert {name: evidence.verdict for name, evidence in shipped.items()} == SHIPPED
    for name in SHIPPED:
        assert shipped[name].interval.count >= 5


def test_sizes_that_meta_training_had_not_are_told_and_judged(shipped):
    numbers = {"size 3": (0.636, "inconclusive"), "size 4": (0.326, "contradicted"), "size 5": (0.233, "contradicted")}
    for name in ("C3", "C4"):
        for test, (value, verdict) in numbers.items():
            part = shipped[name].parts[terms.SIZES[test]]
            assert (part.interval.value, part.verdict) == (pytest.approx(value, abs=5e-4), verdict)
        assert "4 x 4 0.326 [0.276, 0.376] (chance 0.250)" in " ".join(shipped[name].against)
    larger = shipped["C4"].parts[terms.LARGER]
    assert (larger.interval.value, larger.verdict) == (pytest.approx(0.029, abs=5e-4), "inconclusive")
    page = (PAGES / "worlds.md").read_text(encoding="utf-8")
    assert "0.326 [0.276, 0.376]" in page
    assert "0.03 [−0.07, 0.13]" in page


def test_what_decided_the_withdrawn_part_is_told(shipped):
    why = shipped["C6"].parts[terms.QUARTERS].why
    assert "SymLA -4.432 [-5.327, -3.537], random pushes -2.754 [-5.078, -0.430]" in why
    later = shipped["C6"].parts[terms.LEARNS]
    assert (later.interval.value, later.verdict) == (pytest.approx(0.847, abs=5e-4), "inconclusive")


def test_the_caption_of_the_matrix_says_which_end_is_dark():
    """The sentence under the picture, the colour map and the colour of the numbers in the cells agree."""

    def light(colour):
        red, green, blue, *_ = colour
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    page = (PAGES / "results.md").read_text(encoding="utf-8")
    (cell,) = (c for c in page.split("```{code-cell}") if "name: symla-fig-matrix" in c)
    (dark,) = re.findall(r"Dark is (low|high)", cell)
    assert "fig.colorbar(image" in cell
    axes = Figure().subplots()
    image = figures.draw_matrix(axes, made_up(good)["symla.bandits"], "meta-rnn")
    assert image.get_cmap().name == HEAT
    low, high = (light(image.cmap(image.norm(value))) for value in (0.0, 20.0))
    assert (low < high) == (dark == "low")
    for text in axes.texts:  # white numbers on the dark end
        on_dark = light(image.cmap(image.norm(float(text.get_text())))) < 0.4
        assert text.get_color() == ("white" if on_dark else "black")
