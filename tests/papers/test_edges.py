"""No best value lies at an edge of what was tried, but those that are listed here and named beside their claims."""

import ast
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from tutorlib import papers
from tutorlib.lab import Record, UsageError, recorded, select, tuned
from tutorlib.lab.records import load_published
from tutorlib.lab.seeds import expect_inside
from tutorlib.papers.gpicl.measures import SGD_RATES
from tutorlib.papers.metagenrl.analysis import score
from tutorlib.papers.metagenrl.experiments import ON_POLICY
from tutorlib.papers.rcgvf import analysis as rcgvf
from tutorlib.papers.rcgvf import terms as rcgvf_terms
from tutorlib.papers.vsml import analysis as vsml
from tutorlib.papers.vsml import terms as vsml_terms

ROOT = Path(papers.__file__).parent

RCGVF = {
    ("rcgvf.ablations", "error only", 0.5),
    ("rcgvf.ablations", "disagreement only", 3.0),
    ("rcgvf.ablations", "RND, large", 2.5),
    ("rcgvf.minigrid", "RND", 0.002),
    ("rcgvf.minigrid", "NovelD", 0.004),
    ("rcgvf.minigrid", "AGAC", 0.0004),
    ("rcgvf.minigrid", "RC-GVF", 2.0),
    ("rcgvf.rooms", "RND", 0.002),
    ("rcgvf.rooms", "NovelD", 0.004),
    ("rcgvf.rooms", "AGAC", 0.0004),
    ("rcgvf.rooms", "RC-GVF", 2.0),
    ("rcgvf.privileged", "AGAC + counts", 0.001),
    ("rcgvf.privileged", "RC-GVF, panorama", 2.0),
}
"""Weights of RC-GVF's studies; those of MiniGrid are withdrawn."""

VSML = {
    ("digits", "0_50", "adam_0.03"),
    ("digits", "50_100", "adam_0.03"),
    ("digits-4x4", "100_200", "sgd_0.3"),
    ("digits-4x4", "200_500", "adam_0.03"),
    ("sum-sign", "200_500", "adam_0.0003"),
}
"""Rates of gradient descent that VSML is compared with."""

GPICL = {("gpicl.table-references", "breast-cancer", 0, 0.03)}
"""Rates of online SGD, chosen for each seed. No claim is about this set."""

PICKS = {
    "gogepo/explorers.py dial_explorer": "the command nearest to the one that is shown first",
    "gpicl/analysis.py vote": "the phase that most seeds are in",
    "gpicl/measures.py _references": "a rate: SGD",
    "gpicl/measures.py _table_references": "a rate: SGD",
    "mbrl/claims.py _online": "a verdict",
    "rcgvf/analysis.py at_best": "a weight: refuses edges",
    "rcgvf/claims.py _evidence": "the part that is shown",
    "symla/claims.py _unseen_actions": "the part that is shown",
    "vsml/analysis.py best_online": "a rate: refuses edges",
    "vsml/claims.py _faster": "the part that is shown",
    "vsml/claims.py _unifying": "the part that is shown",
}
"""Each function of a paper that takes the best of something by a score of its own, and of what."""


def choices(tree: ast.AST, where: str) -> Iterator[str]:
    """Yield the functions of a file in which ``max`` or ``min`` has a key."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            for call in ast.walk(node):
                name = call.func.id if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) else ""
                if name in ("max", "min") and any(word.arg == "key" for word in call.keywords):
                    yield f"{where} {node.name}"


def test_each_function_that_takes_the_best_of_something_is_known():
    found = {
        name
        for path in ROOT.glob("*/*.py")
        for name in choices(ast.parse(path.read_text()), path.relative_to(ROOT).as_posix())
    }
    assert found == set(PICKS)


# RC-GVF


def edges_of(study: str, which: dict, score: Callable, withdrawn: bool = False) -> set[tuple[str, str, float]]:
    """Return the labels whose best weight is refused where no edge is named, with that weight."""
    found = set()
    for label, fields in which.items():
        runs = rcgvf.by_weight(select(recorded(study, withdrawn=withdrawn), **fields))
        best = max(runs, key=lambda weight: score(runs[weight]))
        try:
            rcgvf.at_best([r for own in runs.values() for r in own], score, label)
        except UsageError:
            found.add((study, label, best))
    return found


def test_best_weights_of_rcgvf_at_an_edge_are_those_listed(monkeypatch: pytest.MonkeyPatch):
    listed = {(study, label, weight) for study, own in rcgvf.EDGES.items() for label, weight in own.items()}
    assert listed == RCGVF
    monkeypatch.setattr(rcgvf, "EDGES", {})
    ablations = {label: fields for label, fields in rcgvf.PARTS.items() if label not in rcgvf.METHODS}
    found = edges_of("rcgvf.lock", dict(rcgvf.METHODS), rcgvf.explored)
    found |= edges_of("rcgvf.ablations", ablations, rcgvf.explored)
    for study, which in (("minigrid", rcgvf.BLIND), ("rooms", rcgvf.BLIND), ("privileged", rcgvf.PRIVILEGED)):
        found |= edges_of(f"rcgvf.{study}", dict(which), rcgvf.mean_return_of_all, withdrawn=True)
    assert found == RCGVF


def test_conditions_of_rcgvf_name_each_edge():
    by_study = {
        "rcgvf.ablations": (rcgvf_terms.EXPLORES, rcgvf_terms.ALIASING),
        "rcgvf.minigrid": (rcgvf_terms.WITHOUT_COUNTS,),
        "rcgvf.rooms": (rcgvf_terms.WITHOUT_COUNTS,),
        "rcgvf.privileged": (rcgvf_terms.WITH_COUNTS,),
    }
    for study, label, weight in RCGVF:
        for terms in by_study[study]:
            (said,) = (words for words in terms.conditions if "another may be better" in words)
            assert f"{label} {weight:g}" in said


# VSML


def wanted() -> Iterator[tuple[str, str, Sequence[str]]]:
    """Yield each set and window that claims and pages compare, and the learners that they compare with."""
    sgd = tuple(learner for learner in vsml.ONLINE if learner.startswith("sgd"))
    for name in vsml_terms.EARLY:
        for window in ("0_50", "50_100", "100_200", "200_500"):
            yield name, window, vsml.ONLINE
    for name in ("digits-projected", "digits-shuffled", "digits-4x4", "sum-sign"):
        yield name, "200_500", vsml.ONLINE
    yield "digits", "500_1000", vsml.ONLINE
    yield "digits", "0_50", sgd
    for name in ("digits", "digits-projected", "digits-4x4", "digits-3", "digits-5"):
        yield name, "100_200", sgd


def test_best_rates_of_vsml_at_an_edge_are_those_listed(monkeypatch: pytest.MonkeyPatch):
    references = recorded("vsml.references")
    assert {(*place, learner) for place, own in vsml.EDGES.items() for learner in own} == VSML
    best = [(place, vsml.best_online(references, *place)) for place in wanted()]
    monkeypatch.setattr(vsml, "EDGES", {})
    refused = set()
    for place, learner in best:
        try:
            vsml.best_online(references, *place)
        except UsageError:
            refused.add((*place[:2], learner))
    assert refused == VSML


def test_conditions_of_vsml_name_each_edge_that_a_claim_meets():
    assert "Adam's largest, .03" in " ".join(vsml_terms.FASTER.conditions)
    assert "SGD is best at .3, the largest rate that was tried" in " ".join(vsml_terms.OTHER_SIZES.conditions)


# GPICL, whose runs themselves take the best rate


def test_best_rates_of_gpicl_at_an_edge_are_those_listed():
    found = set()
    for name, places in (("gpicl.references", ("",)), ("gpicl.table-references", None)):
        for r in recorded(name):
            for place in places or r.metrics["sgd"]:
                ends = [r.metrics[f"sgd_{rate}"] for rate in SGD_RATES]
                last = [(end[place] if place else end)["last"] for end in ends]
                best = SGD_RATES[int(np.argmax(last))]
                own = r.metrics["sgd"][place] if place else r.metrics["sgd"]
                assert own["last"] == max(last)
                try:
                    expect_inside("lr", best, SGD_RATES)
                except UsageError:
                    found.add((name, place, r.seed, best))
    assert found == GPICL


# Studies with seeds of their own for tuning


def _loss_after_1000(own: Sequence[Record]) -> float:
    return -float(np.mean([r.metrics["evals"]["loss"][19] for r in own]))


def _fit(own: Sequence[Record]) -> float:
    return -sum(math.log(x) for r in own for look in r.metrics["evals"]["residual"] for x in look)


def test_what_was_chosen_on_tuning_seeds_lies_inside_what_was_tried():
    """A study that is tuned joins with how it was; of one that is not yet complete nothing is chosen."""
    shipped = {load_published(path)[0].experiment for path in ROOT.glob("*/recorded/*-tuning.json")}
    assert shipped == {"vsml.longer", "mbrl.ensemble", "mbrl.online", "metagenrl.ppo"}
    assert tuned(recorded("vsml.longer", "tuning"), _loss_after_1000, ["lr"]) == {"lr": 0.01}
    records = recorded("mbrl.ensemble", "tuning")
    scores = {lr: _fit(select(records, lr=lr)) for lr in sorted({r.config["lr"] for r in records})}
    best = max(scores, key=scores.__getitem__)
    expect_inside("lr", best, list(scores))
    assert {r.config["lr"] for r in recorded("mbrl.ensemble")} == {best}
    ppo = recorded("metagenrl.ppo", "tuning")
    assert tuned(ppo, lambda group: float(np.mean([score(r, "ppo") for r in group])), ["lr"]) == {"lr": ON_POLICY.lr}
    online = papers.experiments()["mbrl.online"].trials("tuning")
    assert len(recorded("mbrl.online", "tuning")) < len(online), "complete: say here how it is chosen"
