"""Claims follow the records: verdicts on what is recorded, and on worlds that are made up."""

import pytest
from gpicl_records import by_size, made_up, plateau, references_of_the_table, ten, with_metrics

from tutorlib.lab import judge, recorded
from tutorlib.lab.records import NoRecordsError, Record
from tutorlib.papers.gpicl import analysis, claims, experiments
from tutorlib.papers.gpicl.algorithm import Config


@pytest.fixture(scope="module")
def study():
    return recorded("gpicl.phases")


@pytest.fixture(scope="module")
def references():
    return recorded("gpicl.references")


def show_only(monkeypatch, records: dict[str, list[Record]]) -> None:
    """Let the claims find ``records`` by experiment, and no others."""

    def found(name):
        if name not in records:
            raise NoRecordsError(name)
        return records[name]

    monkeypatch.setattr(claims, "recorded", found)


def evidence(monkeypatch, claim, change):
    """Judge ``claim`` after ``change`` has been applied to every record it reads."""
    real = {name: recorded(name) for name in ("gpicl.phases", "gpicl.references")}
    show_only(monkeypatch, {name: [change(r) for r in records] for name, records in real.items()})
    return judge(next(c for c in claims.CLAIMS if c.id == claim))


def general(r: Record) -> Record:
    """A world in which everything with endless tasks and bias learns, and nothing else does."""
    good = r.config["tasks"] == "inf" and r.config["bias"] == 0.9
    value = (0.85 if good else 0.25) + 0.002 * r.seed
    return with_metrics(r, **{s: {"last": value} for s in ("unseen", "random", "blobs", "wine")}, phase="partial")


def nothing(r: Record) -> Record:
    return with_metrics(r, **{s: {"last": 0.25 + 0.002 * r.seed} for s in ("unseen", "random", "blobs", "wine")})


@pytest.mark.parametrize(("claim", "change", "verdict"), [
    ("gpicl.C1", general, "holds"),
    ("gpicl.C1", nothing, "contradicted"),
    ("gpicl.C4", general, "in part"),  # batch size and epsilon are not studied yet
    ("gpicl.C4", nothing, "inconclusive"),
    ("gpicl.C2", nothing, "contradicted"),
    ("gpicl.C5", nothing, "contradicted in part"),
    ("gpicl.C8", general, "contradicted in part"),  # all of them end alike
])  # fmt: skip
def test_verdicts_follow_the_records(monkeypatch, claim, change, verdict):
    found = evidence(monkeypatch, claim, change)
    assert found.verdict == verdict
    assert found.interval.count == 5


RECORDED = {
    "gpicl.C1": ("holds", {"digits": "holds", "random": "holds", "blobs": "holds", "wine": "holds"}),
    "gpicl.C2": (
        "inconclusive",
        {
            "without bias": "inconclusive",
            "with bias 0.9": "holds",
            "without bias, 4000 steps": "holds",
            "width, without bias": "inconclusive",
            "width, with bias 0.9": "holds",
        },
    ),
    "gpicl.C3": (
        "contradicted in part",
        {
            "state minus parameters": "inconclusive",
            "state alone": "inconclusive",
            "state alone, these nine networks": "contradicted",
        },
    ),
    "gpicl.C4": (
        "in part",
        {
            "bias": "holds",
            "batch 32 to 128": "holds",
            "epsilon 1e-3 to 1e-12": "holds",
            "epsilon 1e-5 to 1e-12": "inconclusive",
            "sign updates": "not tested here",
        },
    ),
    "gpicl.C5": (
        "in part",
        {
            "online SGD, digits": "holds",
            **{f"{m}, {n}": "inconclusive" for m in ("sgd", "maml") for n in ("mnist", "fashion-mnist", "kmnist")},
            "VSML": "not tested here",
        },
    ),
    "gpicl.C6": ("inconclusive", {"KMNIST": "inconclusive"}),
    "gpicl.C7": ("in part", {"8 to 16": "not tested here", "16 to 32": "not tested here", "32 to 64": "holds"}),
    "gpicl.C8": ("in part", {"runs on one side": "holds", "distance from the mean": "inconclusive"}),
}


@pytest.mark.parametrize("claim", claims.CLAIMS, ids=lambda claim: claim.id)
def test_verdicts_on_what_is_recorded(claim):
    found = judge(claim)
    assert (found.verdict, {name: part.verdict for name, part in found.parts.items()}) == RECORDED[claim.id]


def test_what_speaks_against_is_said_with_its_number():
    said = {claim.id: " ".join(judge(claim).against) for claim in claims.CLAIMS}
    assert "largest rise from one width to the next is 0.161 [0.115, 0.206]" in said["gpicl.C2"]
    assert "rank correlation of 0.83" in said["gpicl.C3"]
    assert "heads of 2 and 8 numbers" in said["gpicl.C3"]
    assert "1.203 [1.130, 1.276] times as many steps as Adam" in said["gpicl.C4"]
    assert "batches of 128 have seen 1.472 [1.306, 1.637] times as many" in said["gpicl.C4"]
    assert "wine -0.104" in said["gpicl.C5"]
    assert "0.033 [0.012, 0.053] is there at equal numbers of examples" in said["gpicl.C7"]
    assert "Of the other seeds: 1 general learning, 4 task identification" in said["gpicl.C8"]
    assert said["gpicl.C1"] == said["gpicl.C6"] == ""


def jump(r: Record) -> Record:
    """A world in which many tasks and a wide network make a learner, and few or a narrow one do not."""
    many = r.config["tasks"] == "inf" or r.config["tasks"] >= 1024
    good = many and r.config["width"] >= 32
    return with_metrics(r, unseen={"last": (0.85 if good else 0.25) + 0.002 * r.seed})


def judged_on(monkeypatch, claim: str, **changes):
    """Judge ``claim`` on recorded studies, each by its own change."""
    real = {name: recorded(f"gpicl.{name}") for name in changes}
    return verdict_on(monkeypatch, claim, **{name: [changes[name](r) for r in real[name]] for name in real})


def test_jumps_over_tasks_and_over_widths_are_a_transition(monkeypatch):
    found = judged_on(monkeypatch, "gpicl.C2", phases=jump, transition=jump)
    assert found.verdict == "holds"
    assert [p.interval.value for p in found.parts.values()] == pytest.approx([0.6] * 5, abs=0.01)
    assert [p.interval.count for p in found.parts.values()] == [5, 5, 10, 5, 5]
    assert judged_on(monkeypatch, "gpicl.C2", phases=jump).verdict == "in part"  # no runs of 4000 steps


def test_parts_that_were_added_to_the_transition_do_not_lift_it(monkeypatch):
    def by_seed(r):  # without bias two of five seeds jump, as in the records; with bias all do
        return jump(r) if r.config["bias"] or r.seed < 2 else nothing(r)

    found = judged_on(monkeypatch, "gpicl.C2", phases=by_seed, transition=jump)
    assert found.parts["without bias"].verdict == "inconclusive"
    assert found.parts["with bias 0.9"].verdict == "holds"
    assert found.verdict == "inconclusive"


def test_a_transition_over_tasks_alone_says_nothing_of_widths(monkeypatch):
    def every_width(r):
        many = r.config["tasks"] == "inf" or r.config["tasks"] >= 1024
        return with_metrics(r, unseen={"last": (0.85 if many else 0.25) + 0.002 * r.seed})

    found = judged_on(monkeypatch, "gpicl.C2", phases=every_width, transition=every_width)
    assert found.verdict == "contradicted in part"
    assert {p.verdict for name, p in found.parts.items() if name.startswith("width")} == {"contradicted"}


ENDS = {"alike": lambda seed: 0.9, "in two groups": lambda seed: 0.9 if seed < 5 else 0.25}


@pytest.mark.parametrize(("ends", "verdict", "distance"), [
    ("alike", "contradicted in part", 0.0),
    ("in two groups", "holds", 0.325),
])  # fmt: skip
def test_runs_that_end_alike_do_not_end_on_two_sides(monkeypatch, ends, verdict, distance):
    def end(r):
        value = ENDS[ends](r.seed)
        return with_metrics(
            r, unseen={"last": value}, phase="general learning" if value > 0.5 else "task identification"
        )

    found = judged_on(monkeypatch, "gpicl.C8", transition=end)
    assert found.verdict == verdict
    assert found.parts["runs on one side"].verdict == "holds"
    assert found.parts["distance from the mean"].interval.value == pytest.approx(distance)


def test_fewer_than_five_seeds_decide_nothing(monkeypatch):
    real = recorded("gpicl.phases")
    show_only(monkeypatch, {"gpicl.phases": [general(r) for r in real if r.seed < 4]})
    assert judge(claims.CLAIMS[0]).verdict == "not tested here"


def test_claims_without_a_study_are_not_yet_tested(monkeypatch):
    show_only(monkeypatch, {})
    assert {judge(c).verdict for c in claims.CLAIMS} == {"not tested here"}


def verdict_on(monkeypatch, claim, **records):
    show_only(monkeypatch, {f"gpicl.{name.replace('_', '-')}": found for name, found in records.items()})
    return judge(next(c for c in claims.CLAIMS if c.id == claim))


def test_state_is_the_bottleneck_where_accuracy_follows_it(monkeypatch):
    found = verdict_on(monkeypatch, "gpicl.C3", state=by_size(0))
    assert found.parts["state alone"].verdict == found.parts["state alone, these nine networks"].verdict == "holds"
    assert found.parts["state alone"].interval.value == pytest.approx(1.0)
    assert all(state == pytest.approx(1.0) for state, _ in analysis.rank_correlations(by_size(0)))
    # Nine networks whose sizes go together: even a perfect correlation is not shown to be closer than the other.
    assert (found.verdict, found.parts["state minus parameters"].verdict) == ("inconclusive", "inconclusive")
    other = verdict_on(monkeypatch, "gpicl.C3", state=by_size(1))
    assert other.parts["state minus parameters"].interval.value == pytest.approx(-(1 - 0.828), abs=1e-3)
    assert other.verdict == "inconclusive"


@pytest.mark.parametrize(("exponent", "slow", "small", "held"), [(1.0, 2.0, 1.1, {"batch", "1e-3", "1e-5"}),
    (1.0, 2.0, 1.0, {"batch", "1e-3"}), (1.0, 1.0, 1.1, {"batch", "1e-5"}), (0.0, 2.0, 1.1, {"1e-3", "1e-5"})],
)  # fmt: skip
def test_interventions_hold_if_each_shortens_the_plateau(monkeypatch, exponent, slow, small, held):
    phases = [general(r) for r in recorded("gpicl.phases")]
    found = verdict_on(monkeypatch, "gpicl.C4", phases=phases, plateau=plateau(exponent, slow, small))
    names = {"batch 32 to 128": "batch", "epsilon 1e-3 to 1e-12": "1e-3", "epsilon 1e-5 to 1e-12": "1e-5"}
    assert {short for name, short in names.items() if found.parts[name].verdict == "holds"} == held
    assert found.verdict == "in part"  # never more: updates by sign are not tested
    assert found.parts["sign updates"].verdict == "not tested here"


def test_a_run_that_never_leaves_counts_with_its_budget(monkeypatch):
    runs = [with_metrics(r, exit=0) if r.config["eps"] == 1e-3 else r for r in plateau(1.0, 2.0)]
    phases = [general(r) for r in recorded("gpicl.phases")]
    found = verdict_on(monkeypatch, "gpicl.C4", phases=phases, plateau=runs)
    own = found.parts["epsilon 1e-3 to 1e-12"]
    assert own.interval.value == pytest.approx(0.675, abs=5e-4)  # log2 of 1600 over about 1002 steps
    assert own.verdict == "holds"


@pytest.mark.parametrize(("ours", "verdict"), [(0.5, "in part"), (0.3, "contradicted in part")])
def test_the_comparison_with_sgd_and_maml_never_holds_in_full_without_vsml(
    monkeypatch, study, references, ours, verdict
):
    runs = [ten("mnist-test", s, ours) for s in range(5)]
    runs += [ten("mnist-test", s, 0.8 - ours, steps=6000) for s in range(5)]  # a budget chosen later does not count
    found = verdict_on(monkeypatch, "gpicl.C5", phases=study, references=references, table=runs,
                       table_references=references_of_the_table(0.45))  # fmt: skip
    assert found.verdict == verdict
    assert {p.verdict for name, p in found.parts.items() if "," in name and "online" not in name} == {
        "holds" if ours > 0.45 else "contradicted"
    }


@pytest.mark.parametrize(("gain", "verdict"), [(0.03, "holds"), (-0.1, "contradicted")])
def test_features_help_if_they_raise_accuracy_on_kmnist(monkeypatch, gain, verdict):
    plain_runs = [ten("mnist-test", s, v, steps=n) for n, v in ((2000, 0.4), (6000, 0.45)) for s in range(5)]
    behind = [made_up(experiments.TEN, s, **{"kmnist-features": {"last": 0.4 + gain + 0.002 * s}}) for s in range(5)]
    assert verdict_on(monkeypatch, "gpicl.C6", table=plain_runs, features=behind).verdict == verdict


def lengths(slope: float) -> list[Record]:
    """Runs whose accuracy depends on the length they were meta-trained on, and not on what they have read."""
    ends = {(t, s): 0.5 + slope * t + 1e-4 * slope * s * t for t in (8, 16, 32, 64) for s in range(5)}
    return [made_up(Config(length=t), s, unseen={"last": a, "curve": [a] * t}) for (t, s), a in ends.items()]


@pytest.mark.parametrize(("slope", "verdict"), [(0.002, "holds"), (-0.002, "contradicted")])
def test_longer_sequences_help_if_each_step_does(monkeypatch, slope, verdict):
    found = verdict_on(monkeypatch, "gpicl.C7", length=lengths(slope))
    assert found.verdict == verdict
    assert f"Of the rise from 32 to 64, {32 * slope:.3f}" in found.against[0]
    assert "bring 0.000 [0.000, 0.000]" in found.against[0]


def test_lengths_at_which_runs_are_on_their_plateau_are_not_compared(monkeypatch):
    def stuck(r):
        return with_metrics(r, unseen={"last": 0.3}) if (r.config["length"], r.seed) == (16, 3) else r

    found = verdict_on(monkeypatch, "gpicl.C7", length=[stuck(r) for r in lengths(0.002)])
    assert [p.verdict for p in found.parts.values()] == ["not tested here", "not tested here", "holds"]
    assert "1 of 5 runs at 16 examples" in found.parts["8 to 16"].why
    assert found.verdict == "in part"
