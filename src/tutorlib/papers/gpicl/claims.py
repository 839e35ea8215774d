"""The claims of GPICL's abstract (C1 to C4) and body (C5 to C8), judged over the recorded studies.

Bars were fixed before the study ran. Unseen accuracy well above chance means chance + 0.2; a sharp transition is a
jump of 0.4 between neighbouring numbers of tasks.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import pandas as pd

from tutorlib.lab import Change, Claim, Evidence, Terms, recorded, share, table
from tutorlib.lab.records import NoRecordsError
from tutorlib.lab.verdicts import exceeds, untested
from tutorlib.papers.gpicl.analysis import rank_correlations, ten_class_runs

SEEDS, TEN_SEEDS = tuple(range(5)), tuple(range(10))
BUDGET = "8x8 digits, 4 classes, 31 examples, width 64, 2 layers (paper: 10 classes, 99 examples, width 256)."
TEN = "14x14 pixels in 16 directions, 10 classes, 63 examples, width 64 (paper: 32x32x3, 99 examples, width 256)."
PAIRS = tuple(
    (learner, name) for learner in ("sgd", "maml") for name in ("mnist-test", "fashion-mnist-test", "kmnist-test")
)
LENGTHS = (8, 16, 32, 64)

GENERAL = Terms(
    "2026-11-21",
    {"digits": 1 / 4 + 0.2, "random": 1 / 4 + 0.2, "blobs": 1 / 4 + 0.2, "wine": 1 / 3 + 0.2},
    ("Chance + 0.2; wine has three classes.",),
    SEEDS,
)
TRANSITION = Terms(
    "2026-11-21",
    {"without bias": 0.4, "with bias 0.9": 0.4},
    ("The largest rise from one number of tasks to the next (4x).",),
    SEEDS,
)
STATE = Terms(
    "2026-11-24",
    {"state minus parameters": 0.0, "state alone": 0.5},
    ("Sizes of Transformer, LSTM and outer-product LSTM; Spearman's correlation over them.",),
    SEEDS,
    changes=(
        Change(
            "2026-11-24",
            "Added after the study had run: to be the bottleneck, the state's own correlation must be above 0.5.",
            "state alone",
            None,
            0.5,
        ),
    ),
)
INTERVENTIONS = Terms(
    "2026-11-24",
    {"bias": 0.2, "batch 32 to 128": 0.0, "epsilon 1e-3 to 1e-12": 0.0},
    ("Bias: unseen accuracy after 2400 steps. The others: log2 of the ratio of plateaus.",),
    SEEDS,
)
BASELINES = Terms(
    "2026-11-24",
    {"online SGD, digits": 0.0, **{f"{learner}, {name.removesuffix('-test')}": 0.0 for learner, name in PAIRS}},
    ("Online SGD has the best of three rates, chosen on these very tasks.",),
    SEEDS,
)
FEATURES = Terms("2026-11-24", {"KMNIST": 0.0}, ("As many steps with features as without, paired seeds.",), SEEDS)
LENGTH = Terms(
    "2026-11-24",
    {f"{a} to {b}": 0.0 for a, b in pairwise(LENGTHS)},
    ("The last ten predictions, or the whole sequence where it is shorter.",),
    SEEDS,
)
BIMODAL = Terms("2026-11-21", {"runs on one side": 0.5}, ("K = 1024, without bias.",), TEN_SEEDS)


def _phases(**selected: object) -> pd.DataFrame:
    """Return the recorded phase map, rows where every field has the given value, in order of seed."""
    frame = table(recorded("gpicl.phases"))
    for name, value in selected.items():
        frame = frame[frame[name] == value]
    return frame.sort_values("seed")


def _general() -> Evidence:
    """C1: a black-box Transformer learns unseen tasks and unseen data sets."""
    runs = _phases(tasks="inf", bias=0.9, width=64)
    parts = {
        name: exceeds(runs[f"{'unseen' if name == 'digits' else name}.last"].tolist(), bar, unit="meta-seeds")
        for name, bar in GENERAL.bars.items()
    }
    return Evidence(parts, "digits", "Accuracy on unseen tasks after the last examples.")


def _jumps(accuracies: pd.DataFrame) -> list[float]:
    """Return the largest rise of unseen accuracy between neighbouring numbers of tasks, one per seed."""
    rises = []
    for _, runs in accuracies.groupby("seed"):
        line = runs.assign(order=runs["tasks"].map(_order)).sort_values("order")["unseen.last"]
        rises.append(float(line.diff().max()))
    return rises


def _order(tasks: object) -> float:
    return float("inf") if tasks == "inf" else float(str(tasks))


def _transition() -> Evidence:
    """C2: sharp transitions between memorising, generalising and failing to train."""
    plain, biased = (_phases(bias=bias, width=64) for bias in (0.0, 0.9))
    parts = {
        name: exceeds(_jumps(runs), TRANSITION.bars[name], unit="meta-seeds")
        for name, runs in (("without bias", plain), ("with bias 0.9", biased))
    }
    detail = (
        f"Largest rise of unseen accuracy from one number of tasks to the next (4x). Phases met without bias: "
        f"{', '.join(sorted(set(plain['phase'])))}."
    )
    return Evidence(parts, "without bias", detail)


def _paired(left: pd.DataFrame, right: pd.DataFrame) -> Sequence[float]:
    return (left["unseen.last"].to_numpy() - right["unseen.last"].to_numpy()).tolist()


def _interventions() -> Evidence:
    """C4: bias, larger batches and a smaller epsilon each take meta-training off the plateau sooner."""
    bars = INTERVENTIONS.bars
    gain = _paired(_phases(tasks="inf", bias=0.9, width=64), _phases(tasks="inf", bias=0.0, width=64))
    parts = {"bias": exceeds(gain, bars["bias"], -bars["bias"], unit="meta-seeds")}
    changes: dict[str, dict[str, object]] = {"batch 32 to 128": {"batch": 128}, "epsilon 1e-3 to 1e-12": {"eps": 1e-3}}
    try:
        runs = table(recorded("gpicl.plateau"))
        usual: dict[str, object] = {"bias": 0.9, "batch": 32, "eps": 1e-12, "optimizer": "adam"}
        for name, change in changes.items():
            before, after = (_exits(runs, usual | own) for own in ({}, change))
            if "eps" in change:
                before, after = after, before
            halved = (before / after).dropna().map(math.log2).tolist()
            parts[name] = exceeds(halved, bars[name], unit="meta-seeds")
    except NoRecordsError:
        parts |= {name: untested("no study is recorded yet") for name in changes}
    detail = (
        "Gain in unseen accuracy by giving 90 % of the sequences one fixed permutation, after 2400 steps; and how "
        "often the plateau halves (log2 of the ratio of its lengths)."
    )
    return Evidence(parts, "bias", detail)


def _exits(runs: pd.DataFrame, selected: dict[str, object]) -> pd.Series:
    """Return the length of the plateau by seed; a run that never left it counts with its whole budget."""
    for name, value in selected.items():
        runs = runs[runs[name] == value]
    return runs["exit"].where(runs["exit"] > 0, runs["steps"]).set_axis(runs["seed"])


def _state() -> Evidence:
    """C3: accuracy follows the size of the state more closely than the number of parameters."""
    pairs = rank_correlations(recorded("gpicl.state"))
    first, alone = STATE.bars
    parts = {
        first: exceeds([state - parameters for state, parameters in pairs], STATE.bars[first], unit="meta-seeds"),
        alone: exceeds([state for state, _ in pairs], STATE.bars[alone], unit="meta-seeds"),
    }
    detail = (
        "Spearman's correlation of unseen accuracy with the state size minus that with the number of parameters, over "
        "sizes of Transformer, LSTM and outer-product LSTM; and the first of them alone."
    )
    return Evidence(parts, first, detail)


def _features() -> Evidence:
    """C6: a frozen feature extractor trained on other data raises accuracy on an unseen data set."""
    with_features = table(recorded("gpicl.features")).set_index("seed")
    steps = int(with_features["steps"].iloc[0])
    plain = table(ten_class_runs(recorded("gpicl.table"), "mnist-test")[steps]).set_index("seed")
    gain = (with_features["kmnist-features.last"] - plain["kmnist-test.last"]).dropna().tolist()
    detail = (
        f"Meta-trained on MNIST, tested on KMNIST: accuracy behind a convolutional network trained on Omniglot, minus "
        f"that on pixels ({plain['kmnist-test.last'].mean():.3f}), after {steps} steps each, paired seeds."
    )
    return Evidence({"KMNIST": exceeds(gain, FEATURES.bars["KMNIST"], unit="meta-seeds")}, detail=detail)


def _length() -> Evidence:
    """C7: the last predictions of longer sequences are better."""
    runs = table(recorded("gpicl.length"))
    by_length = {t: runs[runs["length"] == t].set_index("seed")["unseen.last"] for t in LENGTHS}
    parts = {}
    for name, (a, b) in zip(LENGTH.bars, pairwise(LENGTHS), strict=True):
        rise = (by_length[b] - by_length[a]).dropna().tolist()
        parts[name] = exceeds(rise, LENGTH.bars[name], unit="meta-seeds")
    detail = (
        "Rise of the accuracy of the last ten predictions (of the whole sequence, if it is shorter) from one length to "
        "the next."
    )
    return Evidence(parts, detail=detail)


def _against_baselines() -> Evidence:
    """C5: at least as good as online SGD and MAML."""
    bars = BASELINES.bars
    ours = _phases(tasks="inf", bias=0.9, width=64).set_index("seed")["unseen.last"]
    sgd = table(recorded("gpicl.references")).set_index("seed")["sgd.last"]
    name = "online SGD, digits"
    parts = {name: exceeds((ours - sgd).dropna().tolist(), bars[name], unit="meta-seeds")}
    detail = "Accuracy minus that of online SGD at its best rate of three (chosen on these very tasks), and of MAML."
    try:
        records, references = recorded("gpicl.table"), table(recorded("gpicl.table-references")).set_index("seed")
        steps, longest = list(ten_class_runs(records, "mnist-test").items())[-1]
        runs = table(longest).set_index("seed")
        for learner, name in PAIRS:
            gap = (runs[f"{name}.last"] - references[f"{learner}.{name}.last"]).dropna().tolist()
            what = f"{learner}, {name.removesuffix('-test')}"
            parts[what] = exceeds(gap, bars[what], unit="meta-seeds")
        detail = f"{detail} Ten classes: meta-trained on MNIST for {steps} steps. {TEN}"
    except NoRecordsError:
        for learner, name in PAIRS:
            parts[f"{learner}, {name.removesuffix('-test')}"] = untested("no study is recorded yet")
    parts["VSML"] = untested("no study is recorded yet")
    return Evidence(parts, "online SGD, digits", detail)


def _bimodal() -> Evidence:
    """C8: at the transition a run ends in one phase or the other, rarely between."""
    try:
        runs = table(recorded("gpicl.transition"))
        runs = runs[runs["tasks"] == 1024].sort_values("seed")
    except NoRecordsError:
        runs = _phases(tasks=1024, bias=0.0, width=64)
    sides = [phase in ("task identification", "task memorisation", "general learning") for phase in runs["phase"]]
    counts = ", ".join(f"{count} {phase}" for phase, count in runs["phase"].value_counts().sort_index().items())
    detail = f"Share of runs at K = 1024 that ended on one side of the transition: {counts}."
    name = "runs on one side"
    return Evidence({name: exceeds(share(sides, "meta-seeds"), BIMODAL.bars[name])}, detail=detail)


CLAIMS = (
    Claim(
        "gpicl.C1",
        "Transformers can be meta-trained to learn in context on tasks and data sets they never saw.",
        "MNIST-trained: 73.7 % on MNIST, 62.2 % on Fashion-MNIST, 100 % on Random after 99 examples (Table 1)",
        _general,
        GENERAL,
        budget=BUDGET,
    ),
    Claim(
        "gpicl.C2",
        "Number of tasks and model size decide, by sharp transitions, between memorising, generalising and failing.",
        "unseen accuracy jumps from chance to 0.6 above it between 2^13 and 2^15 tasks (Fig. 4, eye reading)",
        _transition,
        TRANSITION,
        budget=BUDGET,
    ),
    Claim(
        "gpicl.C3",
        "The accessible state, not the number of parameters, is the bottleneck of the learned algorithm.",
        "Fig. 5; values unknown",
        _state,
        STATE,
        budget=BUDGET,
    ),
    Claim(
        "gpicl.C4",
        "Interventions help meta-training: a biased task distribution, larger task batches, a smaller Adam epsilon.",
        "Figs. 7 and 8; plateau lengths unknown",
        _interventions,
        INTERVENTIONS,
        budget=BUDGET,
    ),
    Claim(
        "gpicl.C5",
        "After 99 examples the learned algorithm is competitive with online SGD and MAML, and close to VSML.",
        "MNIST: 73.7 % against 70.3 % (SGD), 53.7 % (MAML), 79.0 % (VSML) (Table 1)",
        _against_baselines,
        BASELINES,
        budget=BUDGET,
    ),
    Claim(
        "gpicl.C6",
        "Pre-trained features combine domain knowledge with in-context learning.",
        "CIFAR10: about 45 % with features, 19.4 % without (reviews of Fig. 9)",
        _features,
        FEATURES,
        budget=TEN,
    ),
    Claim(
        "gpicl.C7",
        "Longer sequences give better final accuracy.",
        "unknown",
        _length,
        LENGTH,
        budget="8x8 digits, 4 classes, width 64 (paper: 10 classes, width 256).",
    ),
    Claim(
        "gpicl.C8",
        "At the transition, runs end either identifying tasks or learning in general, rarely in between.",
        "seen near 2^14 tasks; numbers unknown",
        _bimodal,
        BIMODAL,
        budget=BUDGET,
    ),
)
