"""The numbers and claims of GoGePo over records made up for the purpose: each verdict is turned by its numbers."""

from dataclasses import replace

import numpy as np
import pytest

from tutorlib.lab import Record, UsageError, judge
from tutorlib.lab.experiment import plain
from tutorlib.lab.records import NoRecordsError
from tutorlib.papers.gogepo import analysis, claims, terms
from tutorlib.papers.gogepo.baselines import Ars
from tutorlib.papers.gogepo.contest import Contest, reduced
from tutorlib.papers.gogepo.experiments import NOISE, PAPER
from tutorlib.papers.gogepo.modes import Modes

COMMANDS = [float(c) for c in range(-100, 101, 10)]
C1, C2, C3, C4, C5 = claims.CLAIMS


def course(returns, greedy, champion=95.0):
    n = 20
    grow = np.linspace(-60.0, returns, n)
    return {
        "steps": [5000 * (k + 1) for k in range(n)], "command": [1.0] * n, "returns": grow.tolist(),
        "greedy": np.linspace(0.0, greedy, n).tolist(), "champion": [champion] * n, "predicted": [0.0] * n,
    }  # fmt: skip


def record(config, seed, returns, greedy, achieved):
    """Return a record whose last sweep is ``achieved`` of each command."""
    sweeps = {
        "steps": [0, 100_000], "commands": COMMANDS, "achieved": [[0.0] * 21, [achieved(c) for c in COMMANDS]],
        "predicted": [[0.0] * 21] * 2,
    }  # fmt: skip
    metrics = {"course": course(returns, greedy), "sweeps": sweeps, "map": {}}
    return Record("gogepo.mountaincar", "paper", plain(config), seed, metrics, 1.0, {"device": "cpu"})


def judged(
    monkeypatch, claim, *, returns=90.0, greedy=90.0, achieved=lambda c: c, random=0.0, untrained=10.0, seeds=20
):
    """Return the verdict on ``claim`` where runs end with these returns, and those with noise alone with ``random``."""
    records = [
        record(
            config,
            seed,
            level + 0.1 * seed,
            best + 0.1 * (seed % 3),
            lambda c, own=seed, answer=answer: own * 0.01 + answer(c),
        )
        for config, level, best, answer in (
            (PAPER, returns, greedy, achieved),
            (NOISE, random, untrained, lambda c: 0.0),
        )
        for seed in range(seeds)
    ]
    monkeypatch.setattr(claims, "recorded", lambda name, tier: records)
    return judge(claim)


def test_a_generator_that_follows_its_commands_holds(monkeypatch):
    found = judged(monkeypatch, C1)
    assert found.verdict == "holds"
    assert found.parts[terms.FOLLOWS].interval.value == pytest.approx(1.0)
    assert found.parts[terms.NEAR].interval.value == pytest.approx(0.0005, abs=1e-3)
    assert judged(monkeypatch, C1, achieved=lambda c: -c).verdict == "contradicted"
    near = judged(monkeypatch, C1, achieved=lambda c: c + 60)
    assert (near.parts[terms.FOLLOWS].verdict, near.parts[terms.NEAR].verdict) == ("holds", "contradicted")
    assert judged(monkeypatch, C1, greedy=-50.0, random=-20.0).verdict == "not tested here", "random is as good"


def some(monkeypatch, claim, ours, noise, *, seeds=None):
    """Return the verdict on ``claim`` where so many seeds of both lines are recorded, of runs that would let it hold.

    ``seeds``: how many the runs were ended after, by a decision that ``terms`` name.
    """
    if seeds is not None:
        monkeypatch.setattr(terms, "STOPPED", ("2026-12-02", seeds))
        monkeypatch.setattr(terms, "RUN", terms.SEEDS[:seeds])
    records = [record(PAPER, s, 90.0 + s % 2, 90.0 + 0.1 * s, lambda c: c) for s in range(ours)]
    records += [record(NOISE, s, 0.0 + 0.1 * s, 10.0, lambda c: 0.0) for s in range(noise)]

    def found(name, tier):
        if not records:
            raise NoRecordsError(name)
        return records

    monkeypatch.setattr(claims, "recorded", found)
    return judge(claim)


@pytest.mark.parametrize("claim", [C1, C2, C3], ids=lambda claim: claim.id)
def test_while_runs_are_missing_it_says_which_and_judges_nothing(monkeypatch, claim):
    for ours, noise, lack in (
        (3, 0, "GoGePo has 3 of 20 seeds, noise alone has none"),
        (20, 0, "noise alone has none"),
        (20, 19, "noise alone has 19 of 20 seeds"),
        (0, 20, "GoGePo has none"),
    ):
        found = some(monkeypatch, claim, ours, noise)
        assert found.verdict == "not tested here"
        assert found.detail == f"Not judged yet: {lack}."
        assert found.interval is None
        assert {part.why for name, part in found.parts.items() if name != terms.SMALL} == {lack}
        assert {*claim.terms.bars} <= {*found.parts}
    assert some(monkeypatch, claim, 0, 0).detail == "No study is recorded yet."
    assert some(monkeypatch, claim, 20, 20).verdict == "holds"


@pytest.mark.parametrize("claim", [C1, C2, C3], ids=lambda claim: claim.id)
def test_runs_that_were_ended_early_lower_the_verdict_and_are_listed(monkeypatch, claim):
    assert some(monkeypatch, claim, 8, 8, seeds=8).verdict == "in part", "it would hold"
    assert some(monkeypatch, claim, 9, 8, seeds=8).verdict == "in part", "the ninth does not count"
    assert some(monkeypatch, claim, 8, 7, seeds=8).detail == "Not judged yet: noise alone has 7 of 8 seeds."
    assert some(monkeypatch, claim, 4, 4, seeds=4).verdict == "not tested here", "fewer than five seeds"
    listed = terms.fewer(claim.terms.bars, ("2026-12-02", 8))
    changed = replace(claim, terms=replace(claim.terms, changes=listed))
    monkeypatch.setattr(terms, "STOPPED", None)
    monkeypatch.setattr(terms, "RUN", terms.SEEDS)
    assert some(monkeypatch, changed, 20, 20).verdict == "holds", "what is listed moves no bar"
    assert [change.part for change in listed] == [*claim.terms.bars]
    assert {change.reason for change in listed} == {
        "Of 20 seeds 8 were run, for want of time. The bar stays; the claim holds in part at most."
    }


def test_ended_early_a_claim_that_is_contradicted_stays_so(monkeypatch):
    monkeypatch.setattr(terms, "STOPPED", ("2026-12-02", 20))
    assert judged(monkeypatch, C1, achieved=lambda c: -c).verdict == "contradicted"


def test_nothing_is_ended_early_without_a_word():
    """Whoever ends the runs says so in ``terms``, and all three claims list it."""
    for claim in (C1, C2, C3):
        assert claim.terms.changes == terms.fewer(claim.terms.bars)
        assert claim.terms.seeds == terms.SEEDS == tuple(range(20))
    assert (*range(20),)[: len(terms.RUN)] == terms.RUN
    assert (terms.STOPPED is None) == (len(terms.RUN) == 20)
    assert C4.terms.changes[3:] == terms.fewer({terms.ARS: -10.0})


def test_a_switch_is_no_dial(monkeypatch):
    """The bar of the correlation is passed by a switch with two positions; it is said."""
    switch = judged(monkeypatch, C1, achieved=lambda c: 90.0 if c >= 0 else -30.0)
    assert switch.parts[terms.FOLLOWS].verdict == "holds"
    (words,) = switch.against
    assert words.startswith("Of commands from 10 to 80, a share of 0.000")
    assert words.endswith("has a correlation of 0.866.")
    assert judged(monkeypatch, C1).against == ()
    line = np.linspace(-1, 1, 10_000)
    assert np.corrcoef(line, line > 0)[0, 1] == pytest.approx(claims.SWITCH, abs=1e-3)
    never = judged(monkeypatch, C1, returns=-40.0, greedy=-30.0, random=-80.0, achieved=lambda c: c)
    assert never.against == (), "no run has seen returns in between"


def test_better_than_its_own_start_and_than_noise_holds(monkeypatch):
    assert judged(monkeypatch, C2).verdict == "holds"
    parts = judged(monkeypatch, C2, untrained=95.0).parts
    assert (parts[terms.RISES].verdict, parts[terms.EXPLORES].verdict) == ("contradicted", "holds")
    parts = judged(monkeypatch, C2, returns=-5.0).parts
    assert (parts[terms.RISES].verdict, parts[terms.EXPLORES].verdict) == ("holds", "contradicted")
    assert "kept, gets 95" in judged(monkeypatch, C2).against[0]


def test_reaching_the_flag_with_deep_policies_holds(monkeypatch):
    found = judged(monkeypatch, C3)
    assert found.verdict == "holds"
    assert found.parts[terms.SMALL].verdict == "holds"
    assert "499,025 numbers writes 66,817 weights; a plain one would have 17,238,273" in found.detail
    assert judged(monkeypatch, C3, greedy=-5.0, random=-50.0).verdict == "contradicted"
    assert judged(monkeypatch, C3, seeds=4).parts[terms.DEEP].verdict == "not tested here"


def test_bars_are_fixed_and_what_was_added_is_named():
    for claim in claims.CLAIMS:
        assert claim.terms is not None
        added = {change.part for change in claim.terms.changes if change.earlier is None}
        assert added == ({*terms.IN_SMALL.values()} if claim is C4 else set())
        assert claim.terms.bars


def in_world(method, world, seed, greedy, returns):
    config = plain(Contest(method, reduced(world)))
    course = {"steps": [100 * k for k in range(1, 21)], "greedy": [greedy] * 20, "returns": [returns] * 20}
    return Record("gogepo.worlds", "study", config, seed, {"course": course}, 1.0, {"device": "cpu"})


def beside_search(monkeypatch, levels, paper=None, seeds=10):
    """Return the verdict on C4: ``levels`` of GoGePo and ARS by world; of noise alone -300. ``paper``: their levels."""
    small = [
        in_world(method, world, seed, level + 0.1 * ((seed + shift) % 3), -300.0 + seed)
        for world, (ours, search) in levels.items()
        for shift, (method, level) in enumerate((("gogepo", ours), ("ars", search), ("noise", -300.0)))
        for seed in range(seeds)
    ]
    ours = [record(PAPER, seed, 90.0, (paper or (0, 0))[0] + seed % 2, lambda c: c) for seed in range(20)]
    noise = [record(NOISE, seed, -50.0 + seed, 0.0, lambda c: c) for seed in range(20)]
    last = {"course": course(0.0, paper[1] if paper else 0.0)}
    search = [
        Record("gogepo.ars", "paper", plain(Ars(PAPER)), seed, last, 1.0, {"device": "cpu"}) for seed in range(20)
    ]
    search = search if paper else []

    def found(name, tier="study"):
        records = {"gogepo.worlds": small, "gogepo.mountaincar": ours + noise, "gogepo.ars": search}[name]
        if not records:
            raise NoRecordsError(name)
        return sorted(records, key=lambda r: str(r.seed))  # as a file has them

    monkeypatch.setattr(claims, "recorded", found)
    return judge(C4)


EQUAL = {"pend": (40.0, 45.0), "point": (-45.0, -35.0), "cartup": (60.0, 70.0)}


def test_competing_is_not_to_be_far_below_random_search(monkeypatch):
    found = beside_search(monkeypatch, EQUAL)
    assert {found.parts[name].verdict for name in terms.IN_SMALL.values()} == {"holds"}
    assert found.parts[terms.ARS].verdict == "not tested here"
    assert found.verdict == "not tested here", "parts that were added raise no verdict"
    assert found.parts[terms.IN_SMALL["pend"]].interval.value == pytest.approx(-5.0, abs=0.1)
    assert len(found.against) == 3, "ARS is better in each world, though not by much"
    whole = beside_search(monkeypatch, EQUAL, paper=(90.0, 95.0))
    assert (whole.parts[terms.ARS].verdict, whole.verdict) == ("holds", "holds")
    assert "MountainCarContinuous: GoGePo gets 88" in whole.detail
    assert beside_search(monkeypatch, EQUAL, paper=(70.0, 95.0)).parts[terms.ARS].verdict == "contradicted"


@pytest.mark.parametrize(("world", "bar"), [("pend", -10.0), ("point", -12.0), ("cartup", -15.0)])
def test_far_below_is_a_tenth_of_the_range(monkeypatch, world, bar):
    search = EQUAL[world][1]
    for lead, verdict in ((bar + 1, "holds"), (bar - 1, "contradicted")):
        found = beside_search(monkeypatch, EQUAL | {world: (search + lead, search)})
        assert found.parts[terms.IN_SMALL[world]].verdict == verdict
    better = beside_search(monkeypatch, EQUAL | {world: (search + 5, search)})
    assert not any(world in words for words in better.against)
    assert len(better.against) == 2
    dead = beside_search(monkeypatch, EQUAL | {world: (-400.0, -400.0)})
    assert dead.parts[terms.IN_SMALL[world]].verdict == "not tested here", "noise is better"


def taught(monkeypatch, one, two, untrained=0.0, seeds=10):
    """Return the verdict on C5: of one mode and of two the correlations by the evaluator's loss and by regression."""
    x = np.linspace(0.0, 1.0, 21) - 0.5
    off = x**2 - (x**2).mean()

    def achieved(correlation):
        line = x / np.linalg.norm(x)
        return (correlation * line + np.sqrt(1 - correlation**2) * off / np.linalg.norm(off)).tolist()

    records = [
        Record(
            "gogepo.modes", "study", plain(Modes()), seed,
            {
                mode: {
                    "commands": x.tolist(), "evaluator": achieved(a - 0.001 * seed), "regression": achieved(b),
                    "untrained": achieved(untrained + 0.001 * seed),
                }
                for mode, (a, b) in (("one", one), ("two", two))
            }
            | {"apart": 2.0},
            1.0, {"device": "cpu"},
        )
        for seed in range(seeds)
    ]  # fmt: skip
    monkeypatch.setattr(claims, "recorded", lambda name, tier="study": records)
    return judge(C5)


def test_two_modes_are_judged_by_the_lead_in_correlation(monkeypatch):
    found = taught(monkeypatch, (0.9, 0.88), (0.9, 0.5))
    assert found.verdict == "holds"
    assert found.parts[terms.MODES].interval.value == pytest.approx(0.3955, abs=1e-3)
    assert "One mode: 0.895" in found.detail
    assert found.against == ()
    worse = taught(monkeypatch, (0.9, 0.5), (0.5, 0.9))
    assert worse.verdict == "contradicted"
    assert "the lead changes by -0.800" in worse.against[0], "two modes should be harder for regression"
    assert taught(monkeypatch, (0.9, 0.88), (-0.5, -0.9)).verdict == "not tested here", "neither follows"
    assert taught(monkeypatch, (0.9, 0.88), (0.9, 0.5), seeds=4).verdict == "not tested here"


# Numbers


def made(steps, returns, sweep_steps=(0, 100), achieved=None, commands=(-100.0, 0.0, 50.0, 100.0)):
    metrics = {
        "course": {"steps": list(steps), "returns": list(returns)},
        "sweeps": {
            "steps": list(sweep_steps), "commands": list(commands), "achieved": [[0.0] * 4, achieved or [0.0] * 4],
        },
    }  # fmt: skip
    return Record("gogepo.mountaincar", "paper", plain(PAPER), 0, metrics, 1.0, {"device": "cpu"})


def test_the_last_tenth_weighs_episodes_by_their_steps():
    """Of 100 steps the last 10: three of an episode of 30, and one of 7."""
    assert analysis.late(made([63, 93, 100], [1.0, 2.0, 12.0]), "returns") == pytest.approx((3 * 2 + 7 * 12) / 10)


def test_a_curve_has_what_was_known_by_then():
    found = analysis.at_steps(made([15, 20, 38, 41], [1.0, 2.0, 3.0, 4.0]), "returns", 10)
    assert found == ([10, 20, 30, 40], [1.0, 2.0, 2.0, 3.0])


def test_commands_are_judged_inside_of_what_was_seen():
    returns = [*np.linspace(-10, 60, 100).tolist(), 500.0]
    steps = range(1, 102)
    run = made(steps, returns, achieved=[9.0, 20.0, 70.0, 9.0])
    commands, achieved = analysis.response(run)
    assert commands.tolist() == [0.0, 50.0]
    assert achieved.tolist() == [20.0, 70.0]
    assert analysis.correlation(run) == pytest.approx(1.0)
    assert analysis.error(run) == pytest.approx(20 / 200)
    early = made(steps, returns, sweep_steps=(30, 100))
    assert analysis.response(early, 0)[0].tolist() == [0.0], "what came later was not seen"
    assert analysis.correlation(early, 0) == 0.0
    with pytest.raises(UsageError, match="stage=0: expected a stage that comes after an episode"):
        analysis.response(run, 0)
    told = made(steps, returns, achieved=[9.0, 20.0, 70.0, 9.0])
    told.metrics["sweeps"]["inside"] = [[], [40.0, 120.0]]
    assert analysis.response(told)[0].tolist() == [50.0, 100.0], "a record of rounds brings its quantiles"
    with pytest.raises(UsageError, match="stage=0"):
        analysis.response(told, 0)
    nowhere = made(steps, [20.0] * 101)
    with pytest.raises(UsageError, match="stage=-1: expected a stage with a command"):
        analysis.error(nowhere)
    assert analysis.correlation(nowhere) == 0.0


def test_the_share_of_commands_that_are_answered():
    run = made(range(1, 102), [*np.linspace(-100, 100, 101)], achieved=[0.0, 20.0, 95.0, 0.0])
    assert analysis.answered(run, -10.0, 60.0) == 0.5, "50 is asked for, and 95 earned"
    assert analysis.answered(run, 40.0, 60.0) == 0.0
    assert analysis.answered(run, 60.0, 80.0) is None


def test_what_is_missing_is_said_in_words():
    one = [made([1], [0.0])]
    assert analysis.missing({"a": one, "b": []}, (0, 1)) == "a has 1 of 2 seeds, b has none"
    assert analysis.missing({"a": one, "b": one}, (0,)) == ""
    assert analysis.missing({"a": one}, (1,)) == "a has none"


def tried(lr, noise, seed, greedy):
    run = in_world("ars", "cartup", seed, greedy, 0.0)
    return replace(run, tier="tuning", config=run.config | {"lr": lr, "noise": noise})


def test_rates_are_those_with_the_best_end_inside_what_was_tried():
    best = {(0.1, 0.1): 70.0, (0.3, 1.0): 65.0}
    grid = [(lr, noise) for lr in (0.03, 0.1, 0.3, 1.0) for noise in (0.03, 0.1, 0.3, 1.0)]
    records = [tried(lr, noise, s, best.get((lr, noise), 10.0) + s % 2) for lr, noise in grid for s in terms.TUNING]
    assert analysis.rates(records, "ars", "cartup") == {"lr": 0.1, "noise": 0.1}
    best[0.3, 1.0] = 75.0
    records = [tried(lr, noise, s, best.get((lr, noise), 10.0) + s % 2) for lr, noise in grid for s in terms.TUNING]
    with pytest.raises(UsageError, match=r"noise=1.0: expected a best value inside the range that was tried"):
        analysis.rates(records, "ars", "cartup")


def test_rates_of_the_modes_are_chosen_for_each_generator():
    def pupil(lr, seed):
        answers = {"commands": [0.0, 1.0, 2.0], "evaluator": [0.0, 1.0, 2.0 if lr == 1e-4 else 0.5]}
        answers["regression"] = [0.0, 1.0, 2.0 if lr == 1e-3 else 0.5]
        config = plain(Modes(lr=lr, regression_lr=lr))
        return Record("gogepo.modes", "tuning", config, seed, {"two": answers}, 1.0, {"device": "cpu"})

    records = [pupil(lr, seed) for lr in (3e-5, 1e-4, 3e-4, 1e-3, 3e-3) for seed in terms.TUNING]
    assert analysis.rate_of_modes(records, "evaluator") == 1e-4
    assert analysis.rate_of_modes(records, "regression") == 1e-3
    with pytest.raises(UsageError, match=r"regression_lr=0.001: expected a best value inside"):
        analysis.rate_of_modes([r for r in records if r.config["lr"] < 2e-3], "regression")
    with pytest.raises(UsageError, match="name='untrained'"):
        analysis.rate_of_modes(records, "untrained")


def test_leads_are_of_the_same_seeds():
    one, other = made([10, 20], [1.0, 5.0]), made([10, 20], [1.0, 2.0])
    assert analysis.leads([one], "returns", [other], "returns") == [3.0]
    with pytest.raises(UsageError, match=r"others=\[\]"):
        analysis.leads([one], "returns", [], "returns")
