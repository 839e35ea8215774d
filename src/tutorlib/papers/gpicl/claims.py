"""The claims of GPICL's abstract (C1 to C4) and body (C5 to C8), judged over the recorded studies.

Unseen accuracy well above chance means chance + 0.2; a sharp transition is a jump of 0.4 between neighbouring numbers
of tasks. Parts that were added after runs had been seen are listed as changes, and can only lower a verdict.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from tutorlib.lab import Claim, Evidence, Record, interval, recorded, share, table
from tutorlib.lab.records import NoRecordsError
from tutorlib.lab.verdicts import exceeds, untested
from tutorlib.papers.gpicl.analysis import (
    on_plateau,
    over_networks,
    rank_correlations,
    size_correlation,
    ten_class_runs,
)
from tutorlib.papers.gpicl.measures import TABLES
from tutorlib.papers.gpicl.terms import (
    BASELINES,
    BIMODAL,
    FEATURES,
    FIXED_NETWORKS,
    GENERAL,
    INTERVENTIONS,
    LENGTH,
    LENGTHS,
    PAIRS,
    SEEDS,
    STATE,
    TRANSITION,
)

BUDGET = "8x8 digits, 4 classes, 31 examples, width 64, 2 layers (paper: 10 classes, 99 examples, width 256)."
TEN = "14x14 pixels in 16 directions, 10 classes, 63 examples, width 64 (paper: 32x32x3, 99 examples, width 256)."


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


def _jumps(accuracies: pd.DataFrame, over: str = "tasks", beside: tuple[str, ...] = ()) -> list[float]:
    """Return the largest rise of unseen accuracy from one value of ``over`` to the next, one per seed.

    Rises are taken within each choice of the fields ``beside``.
    """
    rises = []
    for _, frame in accuracies.groupby("seed"):
        lines = [runs for _, runs in frame.groupby(list(beside))] if beside else [frame]
        ends = [runs.assign(order=runs[over].map(_order)).sort_values("order")["unseen.last"] for runs in lines]
        rises.append(max(float(line.diff().max()) for line in ends))
    return rises


def _order(tasks: object) -> float:
    return float("inf") if tasks == "inf" else float(str(tasks))


def _transition() -> Evidence:
    """C2: sharp transitions between memorising, generalising and failing to train."""
    bars, unit = TRANSITION.bars, "meta-seeds"
    by_bias = {"without bias": _phases(bias=0.0), "with bias 0.9": _phases(bias=0.9)}
    parts = {name: exceeds(_jumps(runs[runs["width"] == 64]), bars[name], unit=unit) for name, runs in by_bias.items()}
    longer = "without bias, 4000 steps"
    try:
        parts[longer] = exceeds(_jumps(table(recorded("gpicl.transition"))), bars[longer], unit=unit)
    except NoRecordsError:
        parts[longer] = untested("no study is recorded yet")
    for bias, runs in by_bias.items():
        parts[f"width, {bias}"] = exceeds(_jumps(runs, "width", ("tasks",)), bars[f"width, {bias}"], unit=unit)
    plain = by_bias["without bias"]
    endless = interval(_jumps(plain[plain["tasks"] == "inf"], "width"), unit)
    detail = (
        f"Largest rise of unseen accuracy from one number of tasks to the next, and from one width to the next. Phases "
        f"met without bias at width 64: {', '.join(sorted(set(plain[plain['width'] == 64]['phase'])))}."
    )
    against = (
        f"Without bias and with endless tasks the largest rise from one width to the next is {endless}: no sharp one.",
    )
    return Evidence(parts, "without bias", detail, against)


def _paired(left: pd.DataFrame, right: pd.DataFrame) -> Sequence[float]:
    return (left["unseen.last"].to_numpy() - right["unseen.last"].to_numpy()).tolist()


def _interventions() -> Evidence:
    """C4: bias, larger batches, a smaller epsilon and sign updates each take meta-training off the plateau sooner."""
    bars = INTERVENTIONS.bars
    against: tuple[str, ...] = ()
    gain = _paired(_phases(tasks="inf", bias=0.9, width=64), _phases(tasks="inf", bias=0.0, width=64))
    parts = {"bias": exceeds(gain, bars["bias"], -bars["bias"], unit="meta-seeds")}
    usual: dict[str, object] = {"bias": 0.9, "batch": 32, "eps": 1e-12, "optimizer": "adam"}
    # Each pair is (without the intervention, with it).
    pairs: dict[str, tuple[dict[str, object], dict[str, object]]] = {
        "batch 32 to 128": ({}, {"batch": 128}),
        "epsilon 1e-3 to 1e-12": ({"eps": 1e-3}, {}),
        "epsilon 1e-5 to 1e-12": ({"eps": 1e-5}, {}),
    }
    try:
        runs = table(recorded("gpicl.plateau"))
        for name, (without, changed) in pairs.items():
            before, after = _exits(runs, usual | without), _exits(runs, usual | changed)
            parts[name] = exceeds((before / after).dropna().map(math.log2).tolist(), bars[name], unit="meta-seeds")
        signs = (_exits(runs, usual | {"optimizer": "sign"}) / _exits(runs, usual)).dropna().tolist()
        if signs:
            against = (
                f"Updates by sign, at the one rate that was tried (5e-4), stay on the plateau for "
                f"{interval(signs, 'meta-seeds')} times as many steps as Adam.",
            )
        larger, smaller = ((_exits(runs, usual | {"batch": size}), size) for size in (128, 32))
        seen = ((larger[0] * larger[1]) / (smaller[0] * smaller[1])).dropna().tolist()
        if len(seen) > 1:
            against += (
                "Fewer steps with larger batches are not fewer sequences: until the plateau ends, batches of 128 have "
                f"seen {interval(seen, 'meta-seeds')} times as many as batches of 32.",
            )
    except NoRecordsError:
        parts |= {name: untested("no study is recorded yet") for name in pairs}
    parts["sign updates"] = untested(
        "their rate was not tuned; five rates on five tuning seeds, and ten test seeds beside Adam, would take 0.5 "
        "core-hours"
    )
    detail = (
        "Gain in unseen accuracy by giving 90 % of the sequences one fixed permutation, after 2400 steps; and how "
        "often the plateau halves (log2 of the ratio of its lengths). Epsilons between 1e-5 and 1e-12, such as the "
        "usual 1e-8, have no runs of their own."
    )
    return Evidence(parts, "bias", detail, against)


def _exits(runs: pd.DataFrame, selected: dict[str, object]) -> pd.Series:
    """Return the length of the plateau by seed; a run that never left it counts with its whole budget."""
    for name, value in selected.items():
        runs = runs[runs[name] == value]
    return runs["exit"].where(runs["exit"] > 0, runs["steps"]).set_axis(runs["seed"])


def _state() -> Evidence:
    """C3: accuracy follows the size of the state more closely than the number of parameters."""
    records = recorded("gpicl.state")
    bars, pairs = STATE.bars, rank_correlations(records)
    difference, alone = over_networks(records)
    parts = {
        "state minus parameters": exceeds(difference, bars["state minus parameters"]),
        "state alone": exceeds(alone, bars["state alone"]),
        FIXED_NETWORKS: exceeds([state for state, _ in pairs], bars[FIXED_NETWORKS], unit="meta-seeds"),
    }
    fixed = interval([state - parameters for state, parameters in pairs], "meta-seeds")
    detail = (
        f"Spearman's correlation of unseen accuracy (mean of the seeds) with the state size minus that with the number "
        f"of parameters, over sizes of Transformer, LSTM and outer-product LSTM; and the first of them alone. What "
        f"varies is the network, so its interval is the jackknife's over networks. With these nine networks as fixed "
        f"the difference is {fixed} over meta-seeds, which says nothing about others."
    )
    against = [
        f"The sizes of these networks go together, with a rank correlation of {size_correlation(records):.2f}: so few "
        f"of them cannot tell state from parameters."
    ]
    if any(map(on_plateau, records)):
        against.append(_stuck(records))
    return Evidence(parts, "state minus parameters", detail, tuple(against))


def _stuck(records: Sequence[Record]) -> str:
    """Return a sentence on the networks of ``gpicl.state`` that have state and no accuracy."""
    sizes = sorted(
        {r.config["head_dim"] for r in records if r.config["architecture"] == "transformer" and on_plateau(r)}
    )
    return (
        f"Transformers with heads of {' and '.join(map(str, sizes))} numbers have more state than most of the "
        f"recurrent networks, and are still on their plateau."
    )


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
    records = recorded("gpicl.length")
    runs = {t: {r.seed: r for r in records if r.config["length"] == t} for t in LENGTHS}
    stuck = {t: sum(map(on_plateau, by_seed.values())) for t, by_seed in runs.items()}
    parts = {}
    for name, (a, b) in zip(LENGTH.bars, pairwise(LENGTHS), strict=True):
        if stuck[a] or stuck[b]:
            many = " and ".join(f"{stuck[t]} of {len(runs[t])} runs at {t} examples" for t in (a, b) if stuck[t])
            parts[name] = untested(f"{many} are still on the plateau after 1600 steps")
        else:
            rises = [_last(runs[b][seed]) - _last(runs[a][seed]) for seed in sorted(runs[a].keys() & runs[b].keys())]
            parts[name] = exceeds(rises, LENGTH.bars[name], unit="meta-seeds")
    detail = (
        "Rise of the accuracy of the last ten predictions from one length to the next. Only 32 to 64 is a test: what "
        "shorter sequences lack is the end of their plateau."
    )
    return Evidence(parts, "32 to 64", detail, _split(runs[32], runs[64]))


def _last(record: Record) -> float:
    return float(record.metrics["unseen"]["last"])


def _split(short: Mapping[int, Record], long: Mapping[int, Record]) -> tuple[str, ...]:
    """Return a sentence on how the rise from short to long sequences comes about: by training, or by more examples."""
    seeds = sorted(short.keys() & long.keys())
    if len(seeds) < 2:
        return ()
    ours, theirs = (np.array([runs[seed].metrics["unseen"]["curve"] for seed in seeds]) for runs in (short, long))
    there = theirs[:, 22:32].mean(1)  # as many examples as the last ten predictions of the short sequence see
    trained = interval((there - ours[:, 22:32].mean(1)).tolist(), "meta-seeds")
    read = interval((theirs[:, -10:].mean(1) - there).tolist(), "meta-seeds")
    return (
        f"Of the rise from 32 to 64, {trained} is there at equal numbers of examples: a network that was meta-trained "
        f"on longer sequences. The further examples themselves bring {read}.",
    )


def _against_baselines() -> Evidence:
    """C5: at least as good as online SGD and MAML."""
    bars = BASELINES.bars
    against: tuple[str, ...] = ()
    ours = _phases(tasks="inf", bias=0.9, width=64).set_index("seed")["unseen.last"]
    sgd = table(recorded("gpicl.references")).set_index("seed")["sgd.last"]
    name = "online SGD, digits"
    parts = {name: exceeds((ours - sgd).dropna().tolist(), bars[name], unit="meta-seeds")}
    detail = "Accuracy minus that of online SGD at its best rate of three (chosen on these very tasks), and of MAML."
    try:
        records, references = recorded("gpicl.table"), table(recorded("gpicl.table-references")).set_index("seed")
        (steps, planned), *longer = ten_class_runs(records, "mnist-test").items()

        def gaps(runs: Sequence[Record], learner: str, name: str) -> list[float]:
            differences = table(runs).set_index("seed")[f"{name}.last"] - references[f"{learner}.{name}.last"]
            return [float(gap) for gap in differences.dropna()]

        for learner, name in PAIRS:
            what = f"{learner}, {name.removesuffix('-test')}"
            parts[what] = exceeds(gaps(planned, learner, name), bars[what], unit="meta-seeds")
        detail = f"{detail} Ten classes: meta-trained on MNIST for {steps} steps. {TEN}"
        for more, runs in longer:
            lead = interval(gaps(runs, "sgd", "mnist-test"), "meta-seeds")
            detail += (
                f" After {more} steps the lead over SGD on MNIST is {lead}; that budget was chosen when these seeds "
                f"had been seen, so it is not judged."
            )
            tables = {t: interval(gaps(runs, "sgd", t), "meta-seeds") for t in TABLES}
            behind = ", ".join(f"{name} {gap}" for name, gap in tables.items() if gap.high < 0)
            if behind:
                against += (f"After {more} steps it is still behind online SGD on tables of numbers: {behind}.",)
    except NoRecordsError:
        for learner, name in PAIRS:
            parts[f"{learner}, {name.removesuffix('-test')}"] = untested("no study is recorded yet")
    parts["VSML"] = untested("no study is recorded yet")
    return Evidence(parts, "online SGD, digits", detail, against)


def _bimodal() -> Evidence:
    """C8: at the transition a run ends in one phase or the other, rarely between."""
    try:
        runs = table(recorded("gpicl.transition"))
        runs = runs[runs["tasks"] == 1024].sort_values("seed")
    except NoRecordsError:
        runs = _phases(tasks=1024, bias=0.0, width=64)
    sides = [phase in ("task identification", "task memorisation", "general learning") for phase in runs["phase"]]
    ends, bars = runs["unseen.last"], BIMODAL.bars
    parts = {
        "runs on one side": exceeds(share(sides, "meta-seeds"), bars["runs on one side"]),
        "distance from the mean": exceeds(
            (ends - ends.mean()).abs().tolist(), bars["distance from the mean"], unit="meta-seeds"
        ),
    }
    detail = (
        f"Share of runs at K = 1024 that ended on one side of the transition ({_counts(runs['phase'])}), and the mean "
        f"distance of their unseen accuracy from its mean, which is 0 if all end alike."
    )
    fresh = runs[~runs["seed"].isin(SEEDS)]
    against = (
        f"This number of tasks was chosen when seeds 0 to 4 had ended on both sides. Of the other seeds: "
        f"{_counts(fresh['phase'])}.",
    )
    return Evidence(parts, "runs on one side", detail, against if len(fresh) else ())


def _counts(phases: pd.Series) -> str:
    return ", ".join(f"{count} {phase}" for phase, count in phases.value_counts().sort_index().items())


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
        "unseen accuracy jumps from chance to 0.6 above it between 2¹³ and 2¹⁵ tasks (Fig. 4, eye reading)",
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
        "Interventions help meta-training: a biased task distribution, larger task batches, a smaller Adam epsilon or "
        "updates by sign.",
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
        "seen near 2¹⁴ tasks; numbers unknown",
        _bimodal,
        BIMODAL,
        budget=BUDGET,
    ),
)
