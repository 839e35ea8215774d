"""Verdicts follow the records: each part of a claim can fail."""

from dataclasses import replace

import pytest
from rcgvf_worlds import BY_NAME, bad, good, made_up

from tutorlib.envs.lock import Lock
from tutorlib.lab import judge
from tutorlib.lab.records import NoRecordsError
from tutorlib.lab.verdicts import DEAD
from tutorlib.papers.rcgvf import claims, recurrent, terms, untrained
from tutorlib.papers.rcgvf.algorithm import Config
from tutorlib.papers.rcgvf.fading import Fading
from tutorlib.papers.rcgvf.maze import Maze


def show(monkeypatch, records):
    def found(name):
        if name not in records:
            raise NoRecordsError(name)
        return records[name]

    monkeypatch.setattr(claims, "recorded", found)


def judged(monkeypatch, records):
    show(monkeypatch, records)
    return {c.id.removeprefix("rcgvf."): judge(c) for c in claims.CLAIMS}


def verdicts(monkeypatch, records):
    return {name: evidence.verdict for name, evidence in judged(monkeypatch, records).items()}


CORRIDOR, ROOMS = "KeyCorridorS3R1", "MultiRoom-N3-S6"
MIDDLE = {"RND": 1e-2, "NovelD": 2e-2, "AGAC": 2e-3, "RC-GVF": 10.0, "RC-GVF, panorama": 10.0}
MIDDLE |= {"PPO + counts": 5e-3, "NovelD + counts": 2e-2, "AGAC + counts": 5e-3}
"""weights that those which were run bracket"""


@pytest.fixture
def fair(monkeypatch):
    """Worlds in which chance finds nothing, and weights that bracket the released strength."""
    monkeypatch.setattr(claims, "LUCK", dict.fromkeys((CORRIDOR, ROOMS), 0.0))
    monkeypatch.setattr(claims, "MATCHING", MIDDLE)


def test_claims_in_a_good_world(monkeypatch):
    """Two of the weights are no good in the lock, and two claims have parts that nobody studies."""
    found = verdicts(monkeypatch, made_up(good))
    assert {name: found[name] for name in ("C1", "C4", "C5")} == dict.fromkeys(("C1", "C4", "C5"), "in part")


@pytest.mark.usefixtures("fair")
def test_claims_in_a_world_in_which_weights_hardly_matter(monkeypatch):
    def world(c):
        if isinstance(c, Config) and c.method == "rcgvf":
            return 14.0
        if isinstance(c, recurrent.Config) and c.method == "rcgvf":
            return 0.8
        return good(c)

    found = verdicts(monkeypatch, made_up(world))
    assert found == {"C1": "holds", "C2": "holds", "C3": "holds", "C4": "in part", "C5": "in part"}


@pytest.mark.usefixtures("fair")
def test_no_claim_holds_in_a_bad_world(monkeypatch):
    found = verdicts(monkeypatch, made_up(bad))
    assert found == {
        "C1": "contradicted in part",  # equally far is not far enough to say, and PPO explores as well
        "C2": "contradicted",
        "C3": "contradicted",
        "C4": "contradicted in part",
        "C5": "contradicted in part",
    }


@pytest.mark.parametrize(
    ("method", "column", "part", "verdict"),
    [
        ("rnd", 12.5, "ahead of RND, weight 100", "inconclusive"),
        ("noveld", 12.5, "ahead of NovelD, weight 100", "inconclusive"),
        ("noveld", 18.0, "ahead of NovelD, weight 100", "contradicted"),
        ("ppo", 6.0, "PPO alone stays behind", "contradicted"),
        ("rcgvf", 9.0, "ahead of RND, weight 20", "inconclusive"),
    ],
)
def test_each_part_of_the_first_claim_can_fail(monkeypatch, method, column, part, verdict):
    def world(c):
        if isinstance(c, Config) and c.method == "rcgvf":
            return column if method == "rcgvf" else 14.0
        return column if isinstance(c, Config) and c.method == method else good(c)

    found = judged(monkeypatch, made_up(world))["C1"]
    assert found.verdict != "holds"
    assert found.parts[part].verdict == verdict
    if method == "rcgvf":
        assert found.interval.value == pytest.approx(1.0)


def in_the_lock(ours, theirs):
    """A world in which RC-GVF comes to one column and all others to another."""
    return lambda c: (ours if c.method == "rcgvf" else theirs) if isinstance(c, Config) else good(c)


@pytest.mark.parametrize("below", [False, True])
def test_bonuses_are_not_compared_where_nobody_comes_farther_than_chance(monkeypatch, below):
    """Chance comes to 3.5 here, and half a column is added by seeds. What was contradicted is not raised."""
    ours, theirs = (0.0, 2.9) if below else (2.9, 0.0)
    found = judged(monkeypatch, made_up(in_the_lock(ours, theirs)))["C1"]
    ahead = [part for name, part in found.parts.items() if name.startswith("ahead of")]
    assert {(part.verdict, part.why) for part in ahead} == {("not tested here", DEAD)}
    assert len(ahead) == 6
    assert found.verdict == ("contradicted in part" if below else "in part")
    found = judged(monkeypatch, made_up(in_the_lock(4.5, 1.0)))["C1"]
    assert {part.verdict for name, part in found.parts.items() if name.startswith("ahead of")} == {"holds"}


def test_chance_has_as_many_episodes_as_the_lock_had():
    record = made_up(good, ["lock"])["rcgvf.lock"][0]
    assert claims._farthest_by_chance(record) == untrained.random_farthest(Lock(20, 10), 6144) > 3


@pytest.mark.usefixtures("fair")
def test_in_a_grid_world_where_nobody_succeeds_nothing_is_compared(monkeypatch):
    found = judged(monkeypatch, made_up(lambda c: 0.0, GRIDS))
    for name in ("C2", "C3"):
        assert {part.why for part in found[name].parts.values()} == {DEAD}
        assert found[name].verdict == "not tested here"
    found = judged(monkeypatch, made_up(lambda c: 0.05 * (c.method == "rcgvf"), GRIDS))
    assert {part.verdict for part in found["C2"].parts.values()} == {"inconclusive"}
    assert {part.verdict for part in found["C3"].parts.values()} == {"holds"}


@pytest.mark.parametrize(
    ("which", "dead"),
    [
        ({"method": "rnd"}, ["RND is blind", "RND fades", "RC-GVF keeps more than RND"]),
        (
            {"method": "rcgvf", "gamma_z": 0.9, "memory": True},
            ["RC-GVF sees the difference", "RC-GVF keeps more than RND", terms.LASTS, terms.SEES_MORE],
        ),
        ({"method": "rcgvf", "gamma_z": 0.0, "memory": True}, [terms.LASTS, terms.SEES_MORE]),
    ],
)
def test_a_predictor_that_has_learned_nothing_keeps_all_and_that_is_no_merit(monkeypatch, which, dead):
    records = made_up(good)
    flat = {"cell": [1.0, 1.0, 1.0], "end": [1.0, 1.0, 1.0]}
    records["rcgvf.aliasing"] = [
        replace(r, metrics={"evals": r.metrics["evals"] | {"visited": flat}})
        if which.items() <= r.config.items() else r
        for r in records["rcgvf.aliasing"]
    ]  # fmt: skip
    found = judged(monkeypatch, records)["C4"]
    assert [name for name, part in found.parts.items() if part.why == DEAD] == dead
    assert found.verdict != "holds"


def test_the_weights_and_tasks_are_those_that_were_run():
    for name, task in claims.TASKS.items():
        assert {c.task for c in BY_NAME[name].tiers["study"].configs} == {task}
    for name, weights in (
        ("lock", terms.LOCK_WEIGHTS),
        ("minigrid", terms.GRID_WEIGHTS),
        ("rooms", terms.GRID_WEIGHTS),
        ("privileged", terms.GRID_WEIGHTS),
    ):
        configs = BY_NAME[name].tiers["study"].configs
        assert sorted({c.beta for c in configs if c.method == "rcgvf"}) == list(weights)


@pytest.mark.usefixtures("fair")
@pytest.mark.parametrize(("claim", "world"), [("C2", CORRIDOR), ("C2", ROOMS), ("C3", CORRIDOR)])
@pytest.mark.parametrize("method", ["ppo", "rnd", "noveld", "agac"])
def test_in_each_grid_world_each_other_method_can_refute_a_claim(monkeypatch, method, claim, world):
    told = claim == "C3"

    def other(mean):
        def found(c):
            if isinstance(c, recurrent.Config) and c.method == "rcgvf":
                return 0.8
            changed = isinstance(c, recurrent.Config) and (c.task, c.method, c.counts) == (world, method, told)
            return mean if changed else good(c)

        return found

    # C2 asks for a lead of 0.1; C3 allows to be 0.1 behind. RC-GVF has a mean return of 0.8.
    enough, too_much = (0.89, 0.92) if told else (0.69, 0.92)
    assert verdicts(monkeypatch, made_up(other(enough)))[claim] == "holds"
    found = judged(monkeypatch, made_up(other(too_much)))[claim]
    if (method, told) == ("rnd", True):  # it knows nothing of counts
        assert found.verdict == "holds"
        return
    assert found.verdict == "contradicted in part"
    assert found.interval.value == pytest.approx(0.8 - too_much)
    place = {CORRIDOR: "corridor", ROOMS: "rooms"}[world]
    words = f"not behind {LABELS[method]} + counts" if told else f"{place}: ahead of {LABELS[method]}"
    lost = {name for name, part in found.parts.items() if part.verdict == "contradicted"}
    assert lost == {f"{words}, weight {weight:g}" for weight in terms.GRID_WEIGHTS}


@pytest.mark.usefixtures("fair")
def test_a_lead_that_is_too_small_is_no_defeat(monkeypatch):
    def close(c):
        if isinstance(c, recurrent.Config):
            return 0.8 if c.method == "rcgvf" else 0.75
        return good(c)

    assert verdicts(monkeypatch, made_up(close))["C2"] == "inconclusive"


@pytest.mark.usefixtures("fair")
def test_where_chance_succeeds_bonuses_are_not_compared(monkeypatch):
    monkeypatch.setattr(claims, "LUCK", {CORRIDOR: 0.011, ROOMS: 0.009})
    found = judged(monkeypatch, made_up(lambda c: 0.8 if getattr(c, "method", "") == "rcgvf" else 0.5, GRIDS))
    assert found["C3"].verdict == "not tested here"
    assert "no bonus is needed in KeyCorridorS3R1" in found["C3"].detail
    told = {name.partition(":")[0]: set() for name in found["C2"].parts}
    for name, part in found["C2"].parts.items():
        told[name.partition(":")[0]].add(part.verdict)
    assert told == {"corridor": {"not tested here"}, "rooms": {"holds"}}


@pytest.mark.usefixtures("fair")
@pytest.mark.parametrize(("label", "tested"), [("RC-GVF", 0), ("RND", 9), ("AGAC", 9)])
def test_weights_that_miss_the_released_strength_are_not_judged(monkeypatch, label, tested):
    monkeypatch.setattr(claims, "MATCHING", MIDDLE | {label: MIDDLE[label] / 5})  # the edge of what was run
    found = judged(monkeypatch, made_up(lambda c: 0.8 if getattr(c, "method", "") == "rcgvf" else 0.5, GRIDS))["C2"]
    if not tested:
        assert (found.verdict, found.parts) == ("not tested here", {})
        assert "RC-GVF 1 to 25" in found.detail
        return
    rooms = {name: part.verdict for name, part in found.parts.items() if name.startswith("rooms")}
    assert list(rooms.values()).count("holds") == tested
    assert {name for name, verdict in rooms.items() if verdict == "not tested here"} == {
        f"rooms: ahead of {label}, weight {weight:g}" for weight in terms.GRID_WEIGHTS
    }


GRIDS = ("minigrid", "rooms", "privileged")
LABELS = {"ppo": "PPO", "rnd": "RND", "noveld": "NovelD", "agac": "AGAC"}


@pytest.mark.parametrize(
    ("method", "gamma", "end", "part"),
    [
        ("rnd", 0.9, 0.02, "RND is blind"),
        ("rcgvf", 0.9, 0.08, "RC-GVF sees the difference"),
        ("rcgvf", 0.0, 0.32, "a future keeps more than memory alone"),
        ("rcgvf", 0.0, 0.9, "a future sees more than memory alone"),
    ],
)
def test_each_part_of_the_fourth_claim_can_fail(monkeypatch, method, gamma, end, part):
    def world(c):
        changed = isinstance(c, Maze) and c.memory and (c.method, c.gamma_z) == (method, gamma)
        return end if changed else good(c)

    found = judged(monkeypatch, made_up(good))["C4"]
    assert found.interval.value == pytest.approx(0.3 - 0.03, abs=0.01)
    assert not any("sees the difference, too" in words for words in found.against)
    assert {name for name, own in found.parts.items() if own.verdict != "holds"} == {"the paper's grid worlds"}
    found = judged(monkeypatch, made_up(world))["C4"]
    assert found.verdict == "contradicted in part"
    assert found.parts[part].verdict == "contradicted"


def test_what_memory_alone_sees_is_no_merit_of_a_future(monkeypatch):
    def world(c):
        return 2.0 + c.gamma_z if isinstance(c, Maze) and c.method == "rcgvf" and c.memory else good(c)

    found = judged(monkeypatch, made_up(world))["C4"]
    assert found.parts["a future sees more than memory alone"].verdict == "inconclusive"
    assert found.parts["RC-GVF sees the difference"].verdict == "inconclusive"
    assert found.parts["RC-GVF sees the difference"].interval.value > 0.99
    assert found.parts["a future keeps more than memory alone"].verdict == "holds"
    assert "Memory without a future (discount 0) sees the difference, too" in found.against[0]
    assert "share 0.995" in found.against[0]


def test_a_bonus_that_rnd_keeps_is_no_fading(monkeypatch):
    records = made_up(good)
    lasting = {name: {"cell": [1.0, 0.9, 0.2], "end": [1.0, 0.9, 0.2]} for name in ("visited", "unvisited")}
    records["rcgvf.aliasing"] = [
        replace(r, metrics={"evals": r.metrics["evals"] | lasting}) if r.config["method"] == "rnd" else r
        for r in records["rcgvf.aliasing"]
    ]
    found = judged(monkeypatch, records)["C4"]
    assert (found.verdict, found.parts["RND fades"].verdict) == ("contradicted in part", "contradicted")


@pytest.mark.parametrize(("field", "wrong"), [("gamma_z", 0.0), ("method", "rnd")])
def test_each_part_of_the_fifth_claim_can_fail(monkeypatch, field, wrong):
    def world(c):
        if isinstance(c, Fading) and getattr(c.learner, field) == wrong:
            return 0.4 if field == "gamma_z" else -0.5
        return good(c)

    found = judged(monkeypatch, made_up(good))["C5"]
    assert [part.verdict for part in found.parts.values()] == ["holds", "holds", "not tested here"]
    assert verdicts(monkeypatch, made_up(world))["C5"] == "contradicted in part"


def test_what_the_horizon_adds_is_said_and_speaks_against_the_claim_if_it_is_not_so_at_each_weight(monkeypatch):
    def far(c):
        return 14.0 if isinstance(c, Config) and c.method == "rcgvf" and c.beta in terms.LOCK_WEIGHTS else good(c)

    records = made_up(far)
    found = judged(monkeypatch, records)["C1"]
    assert "no future (discount 0), it comes to 13.400" in found.detail
    assert "1.000 [1.000, 1.000] with weight 500: so a part" in found.detail
    assert found.against == ()
    found = judged(monkeypatch, made_up(good))
    for claim in ("C1", "C4"):
        assert "-5.000 [-5.000, -5.000] with weight 20" in found[claim].against[-1]
        assert "from the future with 1 of 3 weights" in found[claim].against[-1]
        assert "with 1 of 3 weights" not in found[claim].detail
    del records["rcgvf.ablations"]
    assert "not yet studied" in judged(monkeypatch, records)["C1"].detail


def test_few_seeds_and_missing_studies_decide_nothing(monkeypatch):
    few = verdicts(monkeypatch, made_up(good, seeds=range(3)))
    assert set(few.values()) == {"not tested here"}
    assert set(verdicts(monkeypatch, {}).values()) == {"not tested here"}


def test_the_verdicts_of_the_shipped_records():
    found = {claim.id.removeprefix("rcgvf."): judge(claim) for claim in claims.CLAIMS}
    assert {name: own.verdict for name, own in found.items()} == {
        "C1": "in part",
        "C2": "not tested here",
        "C3": "not tested here",
        "C4": "in part",
        "C5": "in part",
    }
    assert [name for name, part in found["C4"].parts.items() if part.verdict == "holds"] == [
        "RND is blind",
        "RND fades",
    ]
    for name in ("C2", "C3"):
        assert "records are withdrawn" in found[name].detail
        assert "no bonus is needed in KeyCorridorS3R1" in found[name].detail
    assert "RND 2.7 to 68; AGAC 8 to 200; RC-GVF 19 to 470" in found["C2"].detail
    assert all(own.interval.count >= 5 for own in found.values() if own.interval)


def test_a_best_weight_at_an_end_is_said() -> None:
    """Of RND with as large a predictor the largest weight of three is the best; RND's and NovelD's lie inside."""
    (against,) = judge(claims.CLAIMS[0]).against
    assert against.endswith("may be better: RND, large (2.5 of 0.1, 0.5, 2.5).")
    assert "At an end" not in judge(claims.CLAIMS[0]).detail
