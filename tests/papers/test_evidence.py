"""What the protocol asks of the records behind each claim: seeds, how many, a random line, and bars that came first."""

import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tutorlib import papers
from tutorlib.lab import TUNING_SEEDS, Claim, Record, judge, recorded, records, table, verdicts
from tutorlib.lab.records import load_published
from tutorlib.lab.verdicts import FEWEST
from tutorlib.papers.vsml import analysis as vsml
from tutorlib.papers.vsml.terms import EARLY

ROOT = Path(papers.__file__).parent

ENOUGH = 10
"""test seeds that a study has"""
RULE = "2026-11-30"
"""the day since which it has"""

DAYS = {
    "2026-11-21": "gpicl.phases gpicl.references",
    "2026-11-24": "gpicl.features gpicl.games gpicl.length gpicl.plateau gpicl.single gpicl.state gpicl.table "
    "gpicl.table-references gpicl.transition gpicl.variants",
    "2026-11-25": "symla.bandits symla.biased symla.contextual symla.player vsml.cloning vsml.learn "
    "vsml.plateau vsml.references",
    "2026-11-26": "mbrl.ablations mbrl.bugs mbrl.dreams mbrl.offline mbrl.online mbrl.sets rcgvf.ablations "
    "rcgvf.aliasing rcgvf.dissipation rcgvf.lock rcgvf.minigrid rcgvf.privileged rcgvf.rooms rcgvf.tdlambda "
    "symla.cartpole symla.grid symla.references symla.rl2 vsml.matrix vsml.special",
    "2026-11-29": "rcgvf.passes",
    "2026-11-30": "mbrl.ensemble symla.exchanged vsml.longer",
    "2026-12-01": "gogepo.dial",
}
"""Studies whose records hold no day, by the day on which the first of today's numbers stood in the history."""
DAY = {study: day for day, studies in DAYS.items() for study in studies.split()}

FEW = {
    "vsml.longer": "its Meta RNN stands beside VSML of vsml.matrix, seed by seed, which has five",
}
"""Why a judged study that is no older than the rule has fewer test seeds."""

EARLIER = {
    ("gpicl.C4", "gpicl.phases"): "The bar of bias was there on 2026-11-21",
    ("gpicl.C5", "gpicl.phases"): "The bar of online SGD on digits was there on 2026-11-21",
    ("gpicl.C5", "gpicl.references"): "The bar of online SGD on digits was there on 2026-11-21",
}
"""Records that are older than the terms of a claim, and the condition that says why they may judge it."""


@dataclass
class Judged:
    """A claim, what the records say, and what was read and asked for that."""

    claim: Claim
    verdict: str
    studies: dict[str, list[Record]]
    asked_who_is_alive: bool


def judged(monkeypatch: pytest.MonkeyPatch) -> Iterator[Judged]:
    """Judge each claim of each paper."""
    read: dict[str, list[Record]] = {}
    asked: list[str] = []
    alive = verdicts.alive

    def load(path: Path) -> list[Record]:
        found = load_published(path)
        read[found[0].experiment] = found
        return found

    def ask(*args, **words):
        asked.append("alive")
        return alive(*args, **words)

    monkeypatch.setattr(records, "load_published", load)
    for path in sorted(ROOT.glob("*/claims.py")):
        module = importlib.import_module(f"tutorlib.papers.{path.parent.name}.claims")
        if hasattr(module, "alive"):
            monkeypatch.setattr(module, "alive", ask)
        for claim in module.CLAIMS:
            read.clear()
            asked.clear()
            verdict = judge(claim).verdict
            yield Judged(
                claim, verdict, {name: own for name, own in read.items() if own[0].tier == "study"}, bool(asked)
            )


@pytest.fixture(scope="module")
def everything() -> Iterator[list[Judged]]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        found = list(judged(monkeypatch))
        assert len(found) >= 33
        assert sum(len(one.studies) for one in found) >= 50
        yield found


def days(study: str, own: list[Record]) -> set[str]:
    """Return the days on which records were computed."""
    found = {r.provenance.get("day", DAY.get(study, "")) for r in own}
    assert "" not in found, f"{study}: its records say no day: say in DAYS when they first stood in the history"
    return found


# Seeds.


def test_a_claim_names_the_seeds_of_what_it_reads_and_what_was_tuned_has_others(everything: list[Judged]):
    for one in everything:
        terms = one.claim.terms
        if not one.studies:
            continue
        assert {r.seed for own in one.studies.values() for r in own} == set(terms.seeds), one.claim.id
        tuning = set()
        for study in one.studies:
            slug, _, name = study.partition(".")
            path = ROOT / slug / "recorded" / f"{name}-tuning.json"
            # Of a study that is still being tuned nothing is chosen yet.
            if path.exists() and study != "mbrl.online":
                tuning |= {r.seed for r in load_published(path)}
        assert tuning == set(terms.tuning), one.claim.id
        assert tuning <= set(TUNING_SEEDS)
        assert not tuning & set(terms.seeds)


def test_each_judged_study_has_ten_test_seeds_or_a_reason(everything: list[Judged]):
    few = set()
    for study, own in {study: own for one in everything for study, own in one.studies.items()}.items():
        seeds = {r.seed for r in own}
        assert len(seeds) >= FEWEST, study
        if len(seeds) < ENOUGH and max(days(study, own)) >= RULE:
            few.add(study)
            slow = float(np.median([r.seconds for r in own])) > 600
            assert slow or study in FEW, f"{study} has {len(seeds)} seeds, and a run takes less than ten minutes"
    assert few == set(FEW), "a reason that is no longer needed"
    said = (ROOT.parents[2] / "book" / "judging.md").read_text()
    assert "Many studies here are older than this rule and have five." in said


# The random line.


def test_each_judged_claim_has_a_random_line_or_says_why_there_is_none(everything: list[Judged]):
    """It asks who is alive, or its terms name the line, or say that there is none and why."""
    for one in everything:
        lines = (
            [words for words in one.claim.terms.conditions if words.startswith("Random line: ")] if one.studies else []
        )
        if one.studies and one.verdict != verdicts.UNTESTED and not one.asked_who_is_alive:
            assert len(lines) == 1, one.claim.id
            assert re.match(r"Random line: (none; \w|(chance|random|0)\b)", lines[0]), one.claim.id


def test_what_terms_say_of_chance_is_so():
    """Of those lines that say that a learner is above chance: its lowest mean is."""
    phases, state, features, references = (
        table(recorded(f"gpicl.{name}")) for name in ("phases", "state", "features", "table-references")
    )
    assert phases[(phases["tasks"] == "inf") & (phases["bias"] == 0.9)]["unseen.last"].mean() > 1 / 4
    assert state["unseen.last"].max() > 1 / 4 + 0.5
    assert table(recorded("gpicl.references"))["sgd.last"].min() > 1 / 4
    assert features["kmnist-features.last"].min() > 1 / 10
    for learner in ("sgd", "maml"):
        for name in ("mnist", "fashion-mnist", "kmnist"):
            assert references[f"{learner}.{name}-test.last"].min() > 1 / 10
    runs, online = vsml.variants(recorded("vsml.learn"))["bptt"], recorded("vsml.references")
    for name in EARLY:
        for window in ("0_50", "200_500"):
            best = vsml.best_online(online, name, window)
            assert min(vsml.values(online, best, name, window)) > 0.1
    chance = {"digits-3": 1 / 3, "digits-5": 1 / 5}
    for name in ("digits", "digits-shuffled", "digits-projected", "digits-12x12", "digits-4x4", *chance):
        assert min(vsml.values(runs, name, "100_200")) > chance.get(name, 0.1)
    for r in recorded("vsml.cloning"):
        for kind in ("digits", "mnist", "fashion-mnist"):
            for network, bar in (("shallow", 0.05), ("deep", 0.1)):
                assert kind not in r.metrics or r.metrics[kind][network]["exact"]["last"] > 0.1 + bar
    for name in ("same", "other"):
        assert min(vsml.jump(runs, (), name)) > 0
        assert all(min(vsml.jump(online, (learner,), name)) > 0 for learner in vsml.ONLINE)


# Days.


def test_no_terms_are_younger_than_the_records_that_they_judge(everything: list[Judged]):
    earlier = set()
    for one in everything:
        for study, own in one.studies.items():
            fixed, day = one.claim.terms.fixed, min(days(study, own))
            if fixed > day:
                words = EARLIER.get((one.claim.id, study), "nowhere")
                (said,) = [c for c in one.claim.terms.conditions if c.startswith(words)] or [""]
                assert said, f"{one.claim.id}: terms of {fixed}, records of {study} of {day}"
                assert max(re.findall(r"\d{4}-\d\d-\d\d", said)) <= day
                earlier.add((one.claim.id, study))
    assert earlier == set(EARLIER)


def test_records_that_hold_a_day_are_not_listed():
    shipped = {path: load_published(path) for path in ROOT.glob("*/recorded/*-study.json")}
    without = {own[0].experiment for own in shipped.values() if not all("day" in r.provenance for r in own)}
    assert without == set(DAY)
    assert len(DAY) == sum(len(studies.split()) for studies in DAYS.values())
