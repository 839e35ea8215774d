"""The numbers and claims of MetaGenRL over records made up for the purpose: each verdict is turned by its numbers."""

import json
from dataclasses import replace

import pytest

from tutorlib.lab import Record, UsageError, judge
from tutorlib.lab.experiment import plain
from tutorlib.papers.metagenrl import analysis, claims, terms
from tutorlib.papers.metagenrl.experiments import (
    ABLATED,
    EVOLVED,
    INNER,
    LEFT_OUT,
    MINUTE,
    POPULATION,
    PPO,
    RATES,
    TRAIN,
)

C1, C2, C3, C4, C5, C6, C7, C8, C9 = claims.CLAIMS
LEVELS = {"untrained": 10.0, "learned": 40.0, "gae": 30.0, "ddpg": 60.0, "random": 0.0, "evolved": 12.0, "ppo": 35.0}
STUDIES = (TRAIN, LEFT_OUT, ABLATED, INNER, POPULATION, EVOLVED, PPO)
SPREAD = (-1.0, 1.0, -1.0, 1.0)


def record(experiment, config, seed, levels, *, scale=1.0):
    """Return a record whose fresh agents end around ``levels``, by way to learn; moments lie between their ends."""
    whole, config = config, getattr(config, "base", config)
    moments = config.snapshots
    ends = {"gae": levels["gae"], "ddpg": levels["ddpg"], "evolved": levels["evolved"], "ppo": levels["ppo"]}
    for m in range(moments + 1):
        between = levels["untrained"] + (levels["learned"] - levels["untrained"]) * m / moments
        ends[f"learned {m}"] = levels.get(f"learned {m}", between)
    noise = 0.1 * (seed % 3)
    width = {way: scale * (2.0 - float(way.split()[1]) / moments) if "learned" in way else 1.0 for way in ends}
    iterations = [config.steps, config.steps + config.random_steps, config.steps + config.test_steps]
    metrics = {
        "returns": {
            env: {way: [end + noise + width[way] * x for x in SPREAD] for way, end in ends.items()}
            for env in config.test_environments
        },
        "evals": {
            "iterations": iterations,
            "fresh": {
                env: {way: [0.0, levels["random"], end + noise] for way, end in ends.items()}
                for env in config.test_environments
            },
        },
    }  # fmt: skip
    own = json.loads(json.dumps(plain(whole)))
    return Record(experiment, "study", own, seed, metrics, 1.0, {"device": "cpu"})


def judged(monkeypatch, claim, change=lambda experiment, config: {}, seeds=range(10, 20), **how):
    """Return what is found of ``claim`` where runs end at ``LEVELS`` but for what ``change`` says of them."""

    def records(name):
        experiment = next(e for e in STUDIES if e.name == name)
        return [
            record(name, config, seed, LEVELS | change(experiment, config), **how)
            for config in experiment.tiers["study"].configs
            for seed in seeds
        ]

    monkeypatch.setattr(claims, "recorded", records)
    return judge(claim)


def verdicts(found):
    return {name: part.verdict for name, part in found.parts.items()}


def test_an_objective_better_than_its_start_holds(monkeypatch):
    found = judged(monkeypatch, C1)
    assert found.verdict == "holds"
    assert found.parts[terms.HELPS["reach"]].interval.value == pytest.approx(30.0)
    assert found.parts[terms.HELPS["reach"]].interval.unit == "meta-seeds"
    assert "1,833 numbers, its population 117,792" in found.detail
    assert judged(monkeypatch, C1, lambda e, c: {"learned": 5.0}).verdict == "contradicted"
    dead = {"learned": 4.0, "gae": 4.0, "ddpg": 4.0, "random": 5.0}
    assert judged(monkeypatch, C1, lambda e, c: dead).verdict == "not tested here", "random is as good"
    assert judged(monkeypatch, C1, seeds=range(10, 14)).verdict == "not tested here"


def test_each_environment_that_was_left_out_counts(monkeypatch):
    assert judged(monkeypatch, C2).verdict == "holds"

    def one_fails(experiment, config):
        return {"learned": -5.0} if config.test_environments == ("pend",) else {}

    found = verdicts(judged(monkeypatch, C2, one_fails))
    assert {name for name, verdict in found.items() if verdict == "contradicted"} == {
        terms.HELPS["pend"], terms.TRAINS["pend"],
    }  # fmt: skip
    helps_not = verdicts(judged(monkeypatch, C2, lambda e, c: {"untrained": 50.0}))
    assert {helps_not[terms.HELPS[name]] for name in terms.ALL} == {"contradicted"}
    assert {helps_not[terms.TRAINS[name]] for name in terms.ALL} == {"holds"}


def test_reinforce_is_held_against_it_and_ddpg_is_told(monkeypatch):
    found = judged(monkeypatch, C3)
    assert verdicts(found)[terms.BEATS["cartup"]] == verdicts(found)[terms.BEATS["reach"]] == "holds"
    assert found.verdict == "holds"
    assert found.parts[terms.OUTRUNS["cartup"]].interval.value == pytest.approx(5.0)
    assert "With PPO Reach earns 35.100" in found.detail
    found = verdicts(judged(monkeypatch, C3, lambda e, c: {"ppo": 45.0}))
    assert {found[terms.OUTRUNS[name]] for name in terms.MAIN} == {"contradicted"}
    found = judged(monkeypatch, C3)
    assert "CartUp: less than DDPG by 20.000" in found.against[0]
    assert judged(monkeypatch, C3, lambda e, c: {"gae": 45.0}).verdict == "contradicted in part"


def test_evolution_at_equal_steps(monkeypatch):
    found = judged(monkeypatch, C4)
    assert found.verdict == "holds"
    assert found.parts[terms.OVER_ES].interval.value == pytest.approx(28.0)
    better = judged(monkeypatch, C4, lambda e, c: {"evolved": 50.0} if getattr(c, "generations", 0) == 2 else {})
    assert better.verdict == "contradicted"
    more = judged(monkeypatch, C4, lambda e, c: {"evolved": 50.0} if getattr(c, "generations", 0) == 20 else {})
    assert more.verdict == "holds"
    assert "in ten times as many 50.100" in more.detail


def test_later_objectives_are_faster_and_steadier(monkeypatch):
    assert judged(monkeypatch, C6).verdict == "holds"
    late = {f"learned {m}": 10.0 for m in range(3)}
    found = verdicts(judged(monkeypatch, C6, lambda e, c: late))
    assert (found[terms.EARLY], found[terms.FASTER]) == ("inconclusive", "holds")
    found = verdicts(judged(monkeypatch, C6, lambda e, c: {"learned 1": 50.0}))
    assert (found[terms.EARLY], found[terms.FASTER]) == ("holds", "contradicted")
    assert verdicts(judged(monkeypatch, C6, scale=-1.0))[terms.STEADIER] == "holds", "signs do not matter"
    assert verdicts(judged(monkeypatch, C6, scale=0.0))[terms.STEADIER] == "inconclusive"


def test_what_the_objective_reads(monkeypatch):
    def worse(*missing):
        return lambda e, c: {"learned": 20.0} if e is ABLATED and not set(missing) & set(c.inputs) else {}

    found = judged(monkeypatch, C7, worse("value", "following"))
    assert found.verdict == "holds"
    assert "gains 10.000" in found.detail
    found = verdicts(judged(monkeypatch, C7, worse("time")))
    assert (found[terms.VALUES], found[terms.NO_TIME]) == ("inconclusive", "contradicted")
    found = verdicts(judged(monkeypatch, C7, worse("following")))
    assert (found[terms.NO_FOLLOWING], found[terms.NO_VALUE]) == ("contradicted", "holds")
    found = verdicts(judged(monkeypatch, C7, worse("value")))
    assert (found[terms.NO_FOLLOWING], found[terms.NO_VALUE]) == ("holds", "contradicted")


def test_more_inner_steps(monkeypatch):
    assert judged(monkeypatch, C8).verdict == "holds", "no better, no worse"
    found = verdicts(judged(monkeypatch, C8, lambda e, c: {"learned": 50.0} if c.inner_steps == 5 else {}))
    assert (found[terms.THREE], found[terms.FIVE]) == ("holds", "contradicted")
    found = verdicts(judged(monkeypatch, C8, lambda e, c: {"learned": 50.0} if c.inner_steps == 3 else {}))
    assert (found[terms.THREE], found[terms.FIVE]) == ("contradicted", "holds")


def test_more_agents_and_environments(monkeypatch):
    def by_size(e, c):
        return {"learned": 10.0 * c.agents ** (1 / 2)} if e is POPULATION else {}

    assert judged(monkeypatch, C9, by_size).verdict == "holds"
    for agents, part in ((1, terms.ONE), (2, terms.TWO), (4, terms.FOUR)):
        found = verdicts(
            judged(monkeypatch, C9, lambda e, c, n=agents: {"learned": 70.0} if c.agents == n else by_size(e, c))
        )
        assert [name for name, verdict in found.items() if verdict == "contradicted"] == [part]
    found = verdicts(judged(monkeypatch, C9, lambda e, c: {"learned": 50.0} if e is LEFT_OUT else by_size(e, c)))
    assert [name for name, verdict in found.items() if verdict == "contradicted"] == [terms.MORE]


def test_every_claim_has_terms_and_what_has_no_study_is_not_tested():
    assert [claim.id for claim in claims.CLAIMS] == [f"metagenrl.C{i}" for i in range(1, 10)]
    for claim in claims.CLAIMS:
        assert claim.terms is not None
        assert claim.terms.bars
        assert claim.terms.changes == ()
        assert not set(claim.terms.seeds) & {0, 1, 2}, "they were looked at"
    for e in STUDIES:
        assert e.tiers["study"].seeds == terms.SEEDS
    assert TRAIN.tiers["tuning"].seeds == terms.TUNING
    assert judge(C5).verdict == "not tested here"


# Numbers


def test_numbers_of_a_record():
    one = record("metagenrl.train", replace(MINUTE, snapshots=2), 11, LEVELS)
    assert analysis.learned(one) == "learned 2"
    assert analysis.learned(one, 1) == "learned 1"
    assert analysis.environments(one) == ["cartup", "reach"]
    assert analysis.final(one, "reach", "gae") == pytest.approx(30.2)
    assert analysis.chance(one, "reach") == 0.0
    assert analysis.score(one) == pytest.approx(40.2)
    assert analysis.score(one, "ddpg") == pytest.approx(60.2)
    assert analysis.level(one) == pytest.approx(40.2), "the look at the end of acting at random is none of learning"
    assert analysis.spread(one, "learned 2") == pytest.approx((4 / 3) ** 0.5)
    assert analysis.leads([one], "reach", None) == pytest.approx([40.2])
    assert analysis.leads([one], "reach", "gae") == pytest.approx([10.0])
    with pytest.raises(UsageError, match=r"a look after iteration 1000, the last at random"):
        analysis.chance(replace(one, metrics={"evals": {"iterations": [900, 1700]}}), "reach")


def test_each_way_has_its_best_rate_and_none_at_an_edge():
    best = {"policy_lr": RATES[1], "gae_lr": RATES[2], "ddpg_lr": RATES[1]}

    def tried(best):
        found = []
        for config in TRAIN.tiers["tuning"].configs:
            levels = LEVELS | {
                way: 20.0 if getattr(config, name) == best[name] else 0.0
                for way, name in (("learned", "policy_lr"), ("gae", "gae_lr"), ("ddpg", "ddpg_lr"))
            }
            found += [record("metagenrl.train", config, seed, levels) for seed in terms.TUNING]
        return found

    assert analysis.rates(tried(best)) == {"learned": RATES[1], "gae": RATES[2], "ddpg": RATES[1]}
    with pytest.raises(UsageError, match="ddpg_lr=0.01: expected a best value inside the range"):
        analysis.rates(tried(best | {"ddpg_lr": RATES[-1]}))
