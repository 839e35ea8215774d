"""The numbers and claims of GoGePo over records made up for the purpose: each verdict is turned by its numbers."""

import numpy as np
import pytest

from tutorlib.lab import Record, UsageError, judge
from tutorlib.lab.experiment import plain
from tutorlib.papers.gogepo import analysis, claims, terms
from tutorlib.papers.gogepo.experiments import NOISE, PAPER

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


def test_what_has_no_study_is_not_tested():
    for claim in claims.CLAIMS:
        assert claim.terms is not None
        assert {change.part for change in claim.terms.changes} == ({*terms.IN_SMALL.values()} if claim is C4 else set())
        assert claim.terms.bars
    for claim in (C4, C5):
        assert judge(claim).verdict == "not tested here"


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
    nowhere = made(steps, [20.0] * 101)
    with pytest.raises(UsageError, match="stage=-1: expected a stage with a command"):
        analysis.error(nowhere)
    assert analysis.correlation(nowhere) == 0.0


def test_leads_are_of_the_same_seeds():
    one, other = made([10, 20], [1.0, 5.0]), made([10, 20], [1.0, 2.0])
    assert analysis.leads([one], "returns", [other], "returns") == [3.0]
    with pytest.raises(UsageError, match=r"others=\[\]"):
        analysis.leads([one], "returns", [], "returns")
