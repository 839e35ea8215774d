"""What the shipped records say about VSML's claims, typed in by hand, and that changed records change it."""

from dataclasses import replace

import made_up
import numpy as np
import pytest

from tutorlib.lab import Evidence, Record, judge, recorded
from tutorlib.lab.seeds import tuned
from tutorlib.lab.verdicts import CONTRADICTED, CONTRADICTED_IN_PART, DEAD, HOLDS, IN_PART, INCONCLUSIVE, UNTESTED
from tutorlib.papers.vsml import analysis, claims, experiments

BY_ID = {claim.id.removeprefix("vsml."): claim for claim in claims.CLAIMS}
AGAIN, OTHER = claims.AGAIN.values()


def judged(monkeypatch: pytest.MonkeyPatch, name: str, **studies: list[Record]) -> Evidence:
    """Return what is found with some studies in place of the shipped ones."""

    def read(study: str) -> list[Record]:
        own = study.removeprefix("vsml.")
        return studies[own] if own in studies else recorded(study)

    monkeypatch.setattr(claims, "recorded", read)
    return judge(BY_ID[name])


def changed(records: list[Record], value: float, *path: str, where=lambda r: True) -> list[Record]:
    """Return copies of records with the metric at ``path`` set to ``value``, and a little of the seed, in some."""

    def put(metrics: dict, first: str, *rest: str) -> dict:
        return metrics | {first: put(metrics[first], *rest) if rest else value + made_up.jitter(seed)}

    found = []
    for r in records:
        seed = r.seed
        found.append(replace(r, metrics=put(dict(r.metrics), *path)) if where(r) else r)
    return found


def test_the_shipped_verdicts() -> None:
    found = {name: judge(claim).verdict for name, claim in BY_ID.items()}
    assert found == {
        "C1": HOLDS,
        "C2": HOLDS,
        "C3": HOLDS,
        "C4": HOLDS,
        "C5": CONTRADICTED,
        "C6": CONTRADICTED_IN_PART,
        "C7": CONTRADICTED_IN_PART,
        "C8": IN_PART,
    }


def test_association_is_judged_at_every_rate_and_no_rate_raises_the_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    found = judged(monkeypatch, "C5")
    by_rate = {name: part.verdict for name, part in found.parts.items()}
    assert by_rate == {
        AGAIN: CONTRADICTED,
        OTHER: CONTRADICTED,
        **{f"{AGAIN}, SGD at {rate}": HOLDS for rate in ("0.001", "0.003", "0.01", "0.03")},
        **{f"{AGAIN}, SGD at {rate}": CONTRADICTED for rate in ("0.1", "0.3")},
        **{f"{OTHER}, SGD at {rate}": HOLDS for rate in ("0.001", "0.003", "0.01")},
        f"{OTHER}, SGD at 0.03": INCONCLUSIVE,
        **{f"{OTHER}, SGD at {rate}": CONTRADICTED for rate in ("0.1", "0.3")},
    }
    assert found.verdict == CONTRADICTED
    assert "ahead of SGD at 0.001, 0.003, 0.01, 0.03 and behind at 0.1, 0.3" in found.detail
    references = changed(recorded("vsml.references"), 0.95, "sgd_0.01", "one_shot", "same")
    found = judged(monkeypatch, "C5", references=references)
    assert found.parts[f"{AGAIN}, SGD at 0.01"].verdict == CONTRADICTED
    assert "ahead of SGD at 0.001, 0.003, 0.03 and behind at 0.01, 0.1, 0.3" in found.detail


def test_the_lead_at_first_counts_what_evolution_strategies_found(monkeypatch: pytest.MonkeyPatch) -> None:
    found = judged(monkeypatch, "C6")
    assert found.parts["mnist, ES"].interval.value == pytest.approx(-0.0955, abs=1e-3)
    assert found.parts["kmnist, ES"].verdict == CONTRADICTED
    assert found.against == (f"The lowest of the added means: mnist, ES, {found.parts['mnist, ES'].interval}.",)

    def by_es(r: Record) -> bool:
        return r.config["estimator"] == "es"

    learn = changed(recorded("vsml.learn"), 0.5, "kmnist", "0_50", where=by_es)
    assert judged(monkeypatch, "C6", learn=learn).verdict == IN_PART  # now it is ahead there
    for name in claims.EARLY:
        learn = changed(learn, 0.1, name, "0_50", where=lambda r: not by_es(r))
        learn = changed(learn, 0.9, name, "0_50", where=by_es)
    found = judged(monkeypatch, "C6", learn=learn)
    assert {found.parts[f"{name}, ES"].verdict for name in claims.EARLY} == {HOLDS}
    assert found.verdict == CONTRADICTED, "what was added later raises no verdict"


def test_the_plateau_is_named_with_its_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    found = judged(monkeypatch, "C8")
    assert found.parts[claims.PLATEAU].verdict == HOLDS
    assert "leave the plateau at meta-step 175, 280, 210, 175, 175" in found.detail
    early = [replace(r, metrics=r.metrics | {"escape": 50}) for r in recorded("vsml.learn")]
    found = judged(monkeypatch, "C8", learn=early)
    assert (found.parts[claims.PLATEAU].verdict, found.verdict) == (CONTRADICTED, CONTRADICTED_IN_PART)
    assert "at meta-step 50, 50, 50, 50, 50" in found.detail
    assert found.against[0].startswith("5 of 5 runs leave the plateau")
    never = [replace(r, metrics=r.metrics | {"escape": None}) for r in recorded("vsml.learn")]
    assert judged(monkeypatch, "C8", learn=never).against == ()
    assert found.parts[claims.COST].verdict == UNTESTED


def test_fewer_inputs_are_judged_and_raise_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    found = judged(monkeypatch, "C7")
    assert found.parts[claims.SMALLER].verdict == CONTRADICTED
    assert found.parts[claims.SMALLER].interval.high == pytest.approx(-0.0504, abs=1e-4)
    assert "0.85 on plain digits, 0.98 and 0.95 with three and five classes, 0.63 with 4 x 4" in found.detail
    learn = changed(recorded("vsml.learn"), 0.9, claims.SMALLER, "100_200")
    assert judged(monkeypatch, "C7", learn=learn).verdict == IN_PART, "a projection is still open"
    for name in claims.SIZES:
        learn = changed(learn, 0.5, name, "100_200")
    assert judged(monkeypatch, "C7", learn=learn).verdict == CONTRADICTED, "what was added later raises no verdict"


def test_what_speaks_against_generality_stands_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    found = judged(monkeypatch, "C4")
    assert found.parts[claims.MATRIX].interval.value == pytest.approx(0.299, abs=1e-3)
    assert found.parts[claims.OFF_PLATEAU].interval.value == pytest.approx(0.310, abs=1e-3)
    es, biases, home = found.against
    assert "gate biases +5 and -5, mnist, examples 51 to 100: 0.517 [0.368, 0.666], not shown above 0.4" in biases
    assert "mnist, examples 51 to 100: 0.403 [0.247, 0.559], not shown above 0.4" in es
    assert "digits 0.21, fashion-mnist 0.25, kmnist 0.33" in home
    learn = recorded("vsml.learn")
    others = [r.config for key in ("es", "bptt-slow") for r in analysis.variants(learn)[key]]
    learn = changed(learn, 0.5, "mnist", "50_100", where=lambda r: r.config in others)
    longer = [
        replace(r, metrics=r.metrics | {"kmnist": r.metrics["kmnist"] | {"100_200": 0.5}})
        for r in recorded("vsml.longer")
    ]
    found = judged(monkeypatch, "C4", learn=learn, longer=longer)
    assert len(found.against) == 1
    assert "kmnist -0.09" in found.against[0]
    found = judged(monkeypatch, "C4", longer=made_up.longer(off=0.65))
    assert found.parts[claims.MATRIX].verdict == INCONCLUSIVE
    assert found.verdict == IN_PART


def test_the_meta_rnn_is_compared_where_it_left_its_plateau(monkeypatch: pytest.MonkeyPatch) -> None:
    assert analysis.off_plateau(made_up.longer(), "meta-rnn", experiments.MATRIX_TRAIN) == tuple(
        experiments.MATRIX_TRAIN
    )
    stuck = made_up.longer(stuck=("random", "kmnist"))
    rows = ("prototypes", "digits", "fashion-mnist", "all but digits")
    assert analysis.off_plateau(stuck, "meta-rnn", experiments.MATRIX_TRAIN) == rows
    for r in stuck:
        if r.metrics["escape"] == 0:  # the others count with all their runs, and these rows with none
            r.metrics["digits"]["100_200"] = 0.0
    matrix = made_up.matrix(off=0.7)
    found = judged(monkeypatch, "C4", matrix=matrix, longer=stuck)
    assert found.parts[claims.OFF_PLATEAU].interval.value == pytest.approx(0.4)
    assert found.parts[claims.MATRIX].interval.value > 0.4
    everywhere = made_up.longer(stuck=tuple(experiments.MATRIX_TRAIN))
    found = judged(monkeypatch, "C4", matrix=matrix, longer=everywhere)
    assert found.parts[claims.OFF_PLATEAU].verdict == UNTESTED
    assert found.parts[claims.MATRIX].verdict == HOLDS


@pytest.mark.parametrize(("ours", "theirs", "verdict"), [(0.26, 0.1, UNTESTED), (0.1, 0.26, CONTRADICTED_IN_PART)])
def test_learners_that_only_guess_are_not_compared(
    monkeypatch: pytest.MonkeyPatch, ours: float, theirs: float, verdict: str
) -> None:
    """Guesses are right in .278: .25, and .5 of Sum Sign. What was contradicted is not raised."""
    assert claims._guessing(()) == pytest.approx((8 * 0.25 + 0.5) / 9)
    assert claims._guessing(["digits", "kmnist"]) == claims._guessing(())
    found = judged(monkeypatch, "C4", matrix=made_up.matrix(off=ours), longer=made_up.longer(off=theirs))
    for name in (claims.MATRIX, claims.OFF_PLATEAU):
        assert (found.parts[name].verdict, found.parts[name].why) == (UNTESTED, DEAD)
    assert found.verdict == (IN_PART if verdict == UNTESTED else verdict)
    found = judged(monkeypatch, "C4", matrix=made_up.matrix(off=0.3), longer=made_up.longer(off=0.1))
    assert found.parts[claims.MATRIX].verdict == HOLDS


def test_off_the_diagonal_of_some_rows() -> None:
    tested = list(made_up.measures.MATRIX_TEST)
    records = made_up.longer(off=0.2)
    for r in records:
        if analysis.stream_name(r.config["streams"], experiments.MATRIX_TRAIN) == "digits":
            r.metrics["random"]["100_200"] = 0.2 + 0.9 + made_up.jitter(r.seed)
    found = analysis.off_diagonal(records, "meta-rnn", experiments.MATRIX_TRAIN, tested, rows=["digits"])
    assert found == pytest.approx({s: 0.3 + made_up.jitter(s) for s in made_up.SEEDS})
    found = analysis.off_diagonal(records, "meta-rnn", experiments.MATRIX_TRAIN, tested, rows=["digits", "kmnist"])
    assert np.mean(list(found.values())) == pytest.approx(0.254)


def test_the_meta_rnn_has_the_rate_that_is_best_on_its_tuning_seeds_and_as_much_computing() -> None:
    tuning = recorded("vsml.longer", "tuning")
    best = tuned(tuning, lambda own: -np.mean([r.metrics["evals"]["loss"][19] for r in own]), ["lr"])
    tiers = {name: experiments.LONGER.tier(name) for name in ("tuning", "study")}
    assert {(c.lr, c.steps, c.learner) for c in tiers["study"].configs} == {(best["lr"], 1000, "meta-rnn")}
    assert {c.streams for c in tiers["study"].configs} == set(experiments.MATRIX_TRAIN.values())
    c = tiers["tuning"].configs[0]
    assert 20 * c.steps // c.num_evals == 1000, "losses just before step 1,000"
    assert tuple(tiers["tuning"].seeds) == BY_ID["C4"].terms.tuning
    short = recorded("vsml.matrix")
    seconds = {
        name: np.median([r.seconds for r in short if r.config["learner"] == name]) / 400
        for name in ("vsml", "meta-rnn")
    }
    assert 1000 * seconds["meta-rnn"] == pytest.approx(400 * seconds["vsml"], rel=0.2)
