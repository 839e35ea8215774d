"""Claims follow the records: change a record, and they change."""

import math
from dataclasses import replace

import pytest
import torch
from mbrl_worlds import bad, factor, good, made_up

from tutorlib.lab import UsageError, judge, recorded, select
from tutorlib.lab.records import NoRecordsError
from tutorlib.papers.mbrl import analysis, claims, exact
from tutorlib.papers.mbrl.config import Config
from tutorlib.papers.mbrl.problem import PanFlute


def show(monkeypatch, records):
    def found(name):
        if name not in records:
            raise NoRecordsError(name)
        return records[name]

    monkeypatch.setattr(claims, "recorded", found)


def verdicts(monkeypatch, records):
    show(monkeypatch, records)
    return {c.id.removeprefix("mbrl."): judge(c).verdict for c in claims.CLAIMS}


def test_all_claims_hold_in_a_good_world(monkeypatch):
    found = verdicts(monkeypatch, made_up(good))
    assert (found.pop("C2"), found.pop("C4")) == ("in part", "in part")  # in part at most
    assert found == dict.fromkeys(("C1", "C3"), "holds")


def test_no_claim_holds_in_a_bad_world(monkeypatch):
    found = verdicts(monkeypatch, made_up(bad))
    # Of two things that are equal neither is clearly larger; in the flute of C3 nobody is ahead of chance.
    assert found == dict.fromkeys(("C1", "C2", "C3", "C4"), "contradicted in part")


def test_agents_that_play_the_flute_like_chance_are_not_compared(monkeypatch):
    def value(agent, score):
        def of(own, c, metric):
            flute = own == "online" and metric == "score" and c.environment == "flute"
            return (score if c.agent == agent else 0.05) if flute else good(own, c, metric)

        return of

    def parts(agent, score):
        found = detail(monkeypatch, made_up(value(agent, score)), "C3")
        return {part.verdict for name, part in found.parts.items() if name.startswith("flute")}

    assert parts("simple", 0.06) == {"not tested here"}  # ahead of replay, and chance has 0.066
    assert parts("simple", 0.08) == {"holds", "not tested here"}  # latent models are not
    assert parts("gaussian", 0.08) == {"holds", "not tested here"}
    assert parts("er", 0.08) == {"contradicted"}  # one that has learned is enough


def test_the_rate_of_chance_is_that_of_random_presses():
    generator, lives, pipes = torch.Generator().manual_seed(0), 20_000, 3
    env = PanFlute(pipes)
    state = env.start(torch.rand(lives, env.start_noise, generator=generator))
    rates = []
    for _ in range(40):
        a = torch.randint(pipes, (lives,), generator=generator)
        state, reward, _ = env.transition(state, a, torch.rand(lives, env.step_noise, generator=generator))
        rates.append(float(reward.mean()))
    assert sum(rates[5:]) / 35 == pytest.approx(analysis.uniform_rate(pipes), abs=2e-3)
    assert rates[0] < analysis.uniform_rate(pipes) / 2  # silence first


@pytest.mark.parametrize(("claim", "study", "which", "name", "worse", "expected"), [
    ("C1", "sets", {"bits": 3, "more": 0}, "ratio", 1.9, "contradicted in part"),
    ("C1", "sets", {"bits": 2, "more": 2}, "ratio", 2.0, "in part"),
    ("C1", "sets", {"bits": 2, "more": 0}, "ratio", 7.0, "contradicted in part"),
    ("C1", "sets", {"bits": 4}, "violations", 1, "contradicted"),
    ("C2", "ensemble", {"agent": "er", "target_period": 50}, "spread", 0.19, "contradicted in part"),
    ("C2", "ensemble", {"agent": "simple", "target_period": 25}, "spread", 0.8, "contradicted in part"),
    ("C2", "ensemble", {"agent": "simple"}, "fit", 3, "not tested here"),
    ("C3", "online", {"agent": "gaussian", "environment": "flute", "updates": 4}, "score", -0.1, "in part"),
    ("C3", "online", {"agent": "categorical", "environment": "maze"}, "score", -10.1, "contradicted in part"),
    ("C2", "ensemble", {"pipes": 3}, "rate", 1 / 27, "not tested here"),
    ("C3", "online", {"agent": "simple", "environment": "maze", "updates": 1}, "score", -11.0, "contradicted in part"),
    ("C3", "online", {"agent": "er", "environment": "flute", "updates": 4}, "score", 0.6, "contradicted in part"),
])  # fmt: skip
def test_each_part_of_a_claim_can_fail(monkeypatch, claim, study, which, name, worse, expected):
    def value(own, c, metric):
        hit = own == study and metric == name and all(getattr(c, k) == v for k, v in which.items())
        return worse if hit else good(own, c, metric)

    assert verdicts(monkeypatch, made_up(value))[claim] == expected


def detail(monkeypatch, records, claim):
    show(monkeypatch, records)
    return judge(next(c for c in claims.CLAIMS if c.id == f"mbrl.{claim}"))


def test_the_control_can_fail_in_each_part(monkeypatch):
    """C4 holds in part at most; what its parts say stands in its detail."""
    found = detail(monkeypatch, made_up(good), "C4")
    assert "differ between agents: none" in found.detail
    assert found.parts["a single true step gains less than half"].verdict == "holds"
    assert found.parts["rates tuned for each agent"].verdict == "not tested here"
    assert found.interval.value == pytest.approx(8.0)

    def explained(own, c, name):
        return 0.5 if own == "ablations" and c.agent == "perfect" and c.length == 1 else good(own, c, name)

    found = detail(monkeypatch, made_up(explained), "C4")
    assert found.parts["a single true step gains less than half"].verdict == found.verdict[:12] == "contradicted"

    def fewer(own, c, name):
        return 1 if name == "transitions" and c.agent == "er" else good(own, c, name)

    assert "differ between agents: transitions" in detail(monkeypatch, made_up(fewer), "C4").detail
    records = made_up(good)
    wide = [
        replace(r, config=r.config | {"hidden": 128}) if r.config["agent"] == "simple" else r
        for r in records["mbrl.online"]
    ]
    assert "differ between agents: hidden" in detail(monkeypatch, records | {"mbrl.online": wide}, "C4").detail

    def all_fail(own, c, name):
        return explained(own, c, name) if name != "transitions" else fewer(own, c, name)

    def hopeless(own, c, name):
        if own in ("offline", "ablations") and c.agent == "perfect":
            return 4.0 if name == "rmse_all" and c.length != 1 else 3.0
        return all_fail(own, c, name)

    found = detail(monkeypatch, made_up(hopeless), "C4")
    verdicts = [part.verdict for part in found.parts.values()]
    assert verdicts == [*["contradicted"] * 3, "not tested here", "contradicted"]


def test_few_seeds_and_missing_studies_decide_nothing(monkeypatch):
    assert set(verdicts(monkeypatch, made_up(good, seeds=range(3))).values()) == {"not tested here"}
    assert set(verdicts(monkeypatch, {}).values()) == {"not tested here"}


def test_where_an_environment_is_missing_nothing_is_said_of_it(monkeypatch):
    """C3 asks for both; C4 compares the settings of those that are there."""
    records = made_up(good)
    flute = [r for r in records["mbrl.online"] if r.config["environment"] == "flute"]
    found = detail(monkeypatch, records | {"mbrl.online": flute}, "C3")
    assert found.verdict == "in part"
    assert found.interval.value == pytest.approx(0.5)
    assert {name: part.verdict for name, part in found.parts.items()} == {
        "maze, much data": "not tested here",
        "maze, little data": "not tested here",
        "flute, much data": "holds",
        "flute, little data": "holds",
        **{name: "holds" if name.startswith("flute") else "not tested here" for name in claims.OF_LATENT},
    }
    assert "maze, much" not in found.detail
    assert "maze, much data: 0.9" in detail(monkeypatch, records, "C3").detail
    assert detail(monkeypatch, records | {"mbrl.online": flute}, "C4").verdict == "in part"


def test_of_what_is_shipped_the_maze_does_not_count():
    """Until it is recorded again."""
    found = {c.id: judge(c) for c in claims.CLAIMS}
    parts = {name: part.verdict for name, part in found["mbrl.C3"].parts.items()}
    assert parts["maze, much data"] == parts["maze, little data"] == "not tested here"
    for claim in ("mbrl.C3", "mbrl.C4"):
        assert "Records of the maze are withdrawn: The fourth channel" in found[claim].detail


# Evaluations before the first update


def test_what_untrained_networks_do_is_in_no_score():
    records = made_up(good)["mbrl.online"]
    assert all(50.0 in r.metrics["evals"]["score"] for r in records), "an evaluation comes before the first update"
    for record in records:
        steps, scores = analysis.course(record)
        assert min(steps) > record.config["learning_starts"] == 250
        assert len(steps) == (7 if analysis.regime(record) == "little" else 9)
        assert 50.0 not in scores
        assert analysis.score(record) == pytest.approx(sum(scores) / len(scores))
    for agent in analysis.AGENTS:
        assert max(analysis.scores(records, "flute", "little", agent)) < 1


def test_a_verdict_on_agents_that_act_is_the_lower_of_both_scores(monkeypatch):
    records = made_up(good)

    def earlier(lead):
        """Records in whose earlier score, the mean over all evaluations, the simple model leads replay by so much."""
        changed = [
            replace(r, metrics=r.metrics | {"score": lead * factor(r.seed) if r.config["agent"] == "simple" else 0.0})
            for r in records["mbrl.online"]
        ]
        found = detail(monkeypatch, records | {"mbrl.online": changed}, "C3")
        assert found.interval.value == pytest.approx(0.5), "the number is that of today's score"
        return {part.verdict for name, part in found.parts.items() if name not in claims.OF_LATENT}

    assert earlier(0.2) == {"holds"}
    assert earlier(-0.2) == {"contradicted"}


def test_agents_in_the_maze_are_compared_if_one_is_above_random_moves(monkeypatch):
    def maze(score):
        def of(own, c, metric):
            return good(own, c, metric) + (score + 10 if (own, metric) == ("online", "score") and
                                           c.environment == "maze" else 0)  # fmt: skip

        found = detail(monkeypatch, made_up(of), "C3")
        return {part.verdict for name, part in found.parts.items() if name.startswith("maze")}

    assert maze(-20.8) == {"not tested here"}  # the simple model: -20.3
    assert maze(-20.6) == {"holds"}


def test_the_return_of_random_moves_is_worked_out():
    """Values of uniformly random moves within 100 steps, in the mazes of evaluations."""
    env = Config(size=3).world()
    generator = torch.Generator().manual_seed(0)
    state = env.start(torch.rand(40_000, env.start_noise, generator=generator))
    cell = torch.arange(9)
    target = exact.moved(cell[:, None], torch.arange(5), 3)
    blocked = state.wall[:, target]
    after = torch.where(blocked, cell[:, None], target.expand_as(blocked))
    here = exact.at_cell(state.goal, 3)
    v = torch.zeros(state.wall.shape, dtype=torch.double)
    for _ in range(100):
        moved = v.gather(1, after.flatten(1)).view(after.shape).mean(dim=-1)
        v = -1 + (1 - env.event) * moved + env.event * v.gather(1, state.goal[:, None])
        v = v.masked_fill(here, -1.0)
    assert analysis.chance("maze", 3) == pytest.approx(float(v.gather(1, state.agent[:, None]).mean()), abs=0.2)
    assert analysis.chance("flute", 4) == analysis.uniform_rate(4)
    for unknown in (("maze", 4), ("buttons", 4)):
        with pytest.raises(UsageError, match="environment="):
            analysis.chance(*unknown)


def test_errors_are_compared_if_one_agent_plays_better_than_random_presses(monkeypatch):
    def played(rate):
        def of(own, c, metric):
            return rate if own in ("offline", "ablations") and metric == "rate" else good(own, c, metric)

        return [part.verdict for part in detail(monkeypatch, made_up(of), "C4").parts.values()][:2]

    assert played(0.06) == ["not tested here"] * 2  # random presses: 0.066
    assert played(0.07) == ["holds"] * 2


# Ensembles


def test_ensembles_of_which_too_few_fit_do_not_count(monkeypatch):
    records = made_up(good, seeds=range(10))
    every = records["mbrl.ensemble"]
    assert analysis.fitting(every, ("er", "simple"), 25, 3000) == list(range(10))
    assert analysis.narrowing(every, 25, 3000) == pytest.approx([math.log(3 * factor(s)) for s in range(10)])
    assert analysis.mean_residual(every[0], 500) == pytest.approx(0.01)

    def loosened(seeds, fit):
        return [
            replace(r, metrics={"evals": r.metrics["evals"] | {"fit": 5 * [5] + [fit]}})
            if r.seed in seeds and r.config["agent"] == "simple" and r.config["target_period"] == 25
            else r
            for r in every
        ]

    some = loosened((0, 1, 2), 3)
    assert analysis.fitting(some, ("er", "simple"), 25, 3000) == [3, 4, 5, 6, 7, 8, 9]
    assert analysis.fitting(some, ("er", "simple"), 25, 2500) == list(range(10))
    assert len(analysis.narrowing(loosened((0, 1, 2), 4), 25, 3000)) == 10
    assert len(analysis.of_fitting(some, "er", 25, 3000, "rate")) == 7
    found = detail(monkeypatch, records | {"mbrl.ensemble": some}, "C2")
    assert found.interval.count == 7
    assert found.interval.unit == "draws of data"
    assert "7 of 10 draws count" in found.detail
    assert "without 0.010, with a model 0.010" in found.detail
    found = detail(monkeypatch, records | {"mbrl.ensemble": loosened(range(6), 3)}, "C2")
    assert [part.verdict for part in found.parts.values()][:5] == ["not tested here", *4 * ["holds"]]
    assert found.parts["3,000 updates, Q copied every 25"].why.startswith("4 draws of data")
    with pytest.raises(UsageError, match="stop=700: expected one of 500, 1000"):
        analysis.seen_at(every[0], "spread", 700, "seen")


def test_errors_of_the_example_say_nothing_of_what_data_leave_open(monkeypatch):
    found = detail(monkeypatch, made_up(good), "C2")
    old = list(found.parts.values())[6:]
    assert len(old) == 4
    assert [part.why for part in old] == [*3 * [claims.DIVERGES], claims.PLAYS]
    assert found.verdict == "in part"


def test_a_narrowing_off_the_data_is_more_than_one_on_them(monkeypatch):
    def part(seen):
        """``seen``: replay's spread on the pairs of the data over that on the others; the model's is half."""

        def value(own, c, metric):
            return seen if metric == "seen" and c.agent == "er" else good(own, c, metric)

        return detail(monkeypatch, made_up(value, seeds=range(10)), "C2").parts[claims.UNSEEN]

    assert part(0.2).verdict == "holds"
    assert part(0.2).interval.value == pytest.approx(0.5 / 0.2)
    assert part(0.5).verdict == "inconclusive"
    assert part(0.6).verdict == "contradicted"


def test_what_is_shipped_of_the_first_evaluation_speaks_against_the_control():
    found = judge(claims.CLAIMS[3])
    assert found.parts["the true environment as the model"].verdict == "holds"
    sooner = found.parts["the true environment, first evaluation"]
    assert (sooner.verdict, found.verdict) == ("contradicted", "contradicted in part")
    assert sooner.interval.value == pytest.approx(0.663, abs=1e-3)


def test_what_is_shipped_of_latent_models():
    parts = {name: part.verdict for name, part in judge(claims.CLAIMS[2]).parts.items() if name.startswith("flute")}
    assert parts == {
        "flute, much data": "inconclusive",
        "flute, little data": "holds",
        "flute, much data, gaussian": "contradicted",
        "flute, much data, categorical": "inconclusive",
        "flute, little data, gaussian": "not tested here",
        "flute, little data, categorical": "inconclusive",
    }


def test_what_is_shipped_shows_divergence():
    """Replay's errors over the simple model's of 200 transitions: below 1 first, four times in the end."""
    er, simple = (select(recorded("mbrl.offline"), agent=agent, transitions=200) for agent in ("er", "simple"))
    course = [analysis.factor(analysis.log_ratios(er, simple, at=i)).value for i in range(5)]
    assert course == pytest.approx([0.734, 1.020, 2.690, 3.979, 4.000], abs=1e-3)
    (against,) = judge(claims.CLAIMS[3]).against
    assert against.startswith("After 500 updates the errors compare as 0.")


def test_what_is_shipped_of_ensembles():
    """The verdicts by hand: copies every 25 and 50 hold; every 100 has seven draws, and is not settled."""
    found = judge(claims.CLAIMS[1])
    assert found.verdict == "in part"
    parts = [part for part in found.parts.values() if part.interval]
    assert [part.verdict for part in parts] == ["holds", "holds", "inconclusive", "holds", "holds", "inconclusive"]
    assert [part.interval.count for part in parts] == [10, 10, 7, 8, 7, 10]
    assert parts[-1].interval.value == pytest.approx(math.exp(0.017), abs=1e-3), "hardly more off the data than on them"
    assert (found.interval.low, found.interval.value, found.interval.high) == pytest.approx(
        (1.212, 2.191, 3.959), abs=1e-3
    )
    (against,) = found.against
    assert against == "On the pairs of the data, where nothing is missing, the ratio is 2.155 [1.154, 4.025]."
