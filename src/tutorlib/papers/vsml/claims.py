"""The claims of VSML (2012.14905), each with a check over the recorded studies.

Thresholds were set before the study that they judge had run.
"""

import math
from collections.abc import Sequence

import numpy as np

from tutorlib.lab import Claim, Evidence, Interval, Record, interval, recorded
from tutorlib.lab.claims import HOLDS, IN_PART, above, weakest
from tutorlib.lab.records import NoRecordsError
from tutorlib.papers.vsml.analysis import best_online, lead, off_diagonal, values, variants
from tutorlib.papers.vsml.experiments import MATRIX_TRAIN
from tutorlib.papers.vsml.measures import MATRIX_TEST
from tutorlib.papers.vsml.special_cases import CASES

ROUNDING = 9
"""decimal digits to which two computations of the same thing agree in double precision, at least"""

SETTING = (
    "Meta-trained on prototypes of 8 numbers and 4 classes over 50 examples (paper: MNIST, 784 inputs, 10 classes, 500 "
    "examples)"
)


def _learned() -> list[Record]:
    """Return the runs of the main setting: BPTT with gate biases +1 and 0."""
    return variants(recorded("vsml.learn"))["bptt"]


def _said(parts: dict[str, tuple[str, Interval]]) -> str:
    return "; ".join(f"{name} {found} ({verdict})" for name, (verdict, found) in parts.items())


def _unifying() -> Evidence:
    """C1: special cases, equal to their own formulas to rounding."""
    records = recorded("vsml.special")
    # Decimal digits that agree; a difference of 0 counts as the last digit of double precision.
    digits = {name: [-math.log10(max(g, 1e-16)) for g in values(records, "gap", name)] for name in CASES}
    parts = [above([own - ROUNDING for own in found], 0.0)[0] for found in digits.values()]
    fewest = [min(own) for own in zip(*digits.values(), strict=True)]
    detail = (
        f"Decimal digits to which a grid of sub-RNNs and the formula of old agree, in double precision, at the special "
        f"case where they agree least (bar {ROUNDING}): {', '.join(name.replace('_', ' ') for name in CASES)}. The "
        f"derivations are in the idea notebook."
    )
    return Evidence(weakest(parts), interval(fewest), detail)


def _expressive() -> Evidence:
    """C2: shared weights and sparsity are enough for a learner that learns tasks it never met."""
    verdict, found = above(values(_learned(), "prototypes", "100_200"), 0.8)
    detail = f"Accuracy on examples 101 to 200 of prototype tasks never seen (chance .25, bar .8). {SETTING}."
    return Evidence(verdict, found, detail)


def _cloned() -> Evidence:
    """C3: backpropagation is implemented by running in forward mode: within 5 points of exact SGD, deep within 10."""
    records = [r for r in recorded("vsml.cloning") if "mnist" in r.metrics]
    bars = {"shallow": 0.05, "deep": 0.10}
    parts = {}
    for kind in ("digits", "mnist", "fashion-mnist"):
        for network, bar in bars.items():
            margins = [bar - gap for gap in values(records, kind, network, "gap")]
            parts[f"{kind} {network}"] = above(margins, 0.0)
    last = {name: float(np.mean(values(records, "mnist", name, "clone", "last"))) for name in bars}
    detail = (
        "Bar minus the points by which the clone's last accuracy is below exact SGD's on the same stream (bars: 5 "
        f"points shallow, 10 with a hidden layer): {_said(parts)}. On MNIST (14 x 14) the clone ends at "
        f"{last['shallow']:.2f} and {last['deep']:.2f} after 500 examples. The clone saw no images (paper: MNIST)."
    )
    return Evidence(weakest([v for v, _ in parts.values()]), parts["digits shallow"][1], detail)


def _generalises() -> Evidence:
    """C4: theta found on one kind of data learns others."""
    learned = _learned()
    parts = {
        f"{name}, examples 51 to 100": above(values(learned, name, "50_100"), bar)
        for name, bar in (("digits", 0.55), ("mnist", 0.4), ("fashion-mnist", 0.4), ("kmnist", 0.25))
    }
    detail = f"Accuracy at sizes that were never trained, chance .1 (bars .55, .4, .4, .25): {_said(parts)}. {SETTING}."
    try:
        records = recorded("vsml.matrix")
    except NoRecordsError:
        verdict = weakest([v for v, _ in parts.values()])
        return Evidence(IN_PART if verdict == HOLDS else verdict, parts["digits, examples 51 to 100"][1], detail)
    ours, theirs = (off_diagonal(records, name, MATRIX_TRAIN, list(MATRIX_TEST)) for name in ("vsml", "meta-rnn"))
    parts["off the matrix's diagonal, minus the Meta RNN"] = above([ours[s] - theirs[s] for s in ours], 0.1)
    detail = (
        f"Accuracy at sizes that were never trained, chance .1 (bars .55, .4, .4, .25); and the mean over all pairs of "
        f"different data sets, minus that of a Meta RNN (bar .1): {_said(parts)}. {SETTING}; matrix: 4 x 4 pixels, "
        f"four classes."
    )
    found = parts["digits, examples 51 to 100"][1]
    return Evidence(weakest([v for v, _ in parts.values()]), found, detail)


def _associates() -> Evidence:
    """C5: one labelled example changes the prediction at once, more than it does for SGD."""
    learned, references = _learned(), recorded("vsml.references")
    sgd = best_online(
        references, "digits", "0_50", [f"sgd_{rate}" for rate in ("0.001", "0.003", "0.01", "0.03", "0.1", "0.3")]
    )
    parts = {}
    for name, what in (("same", "the same image again"), ("other", "another image of its class")):
        ours = _jump(learned, (), name)
        theirs = _jump(references, (sgd,), name)
        parts[what] = above([a - b for a, b in zip(ours, theirs, strict=True)], 0.1)
    detail = (
        f"Rise of the label's probability by one labelled digit, minus that of online SGD at its best rate for the "
        f"first 50 digits ({sgd.removeprefix('sgd_')}): {_said(parts)}. {SETTING}."
    )
    return Evidence(weakest([v for v, _ in parts.values()]), parts["the same image again"][1], detail)


def _jump(records: Sequence[Record], learner: tuple[str, ...], name: str) -> list[float]:
    before, after = (values(records, *learner, "one_shot", what) for what in ("before", name))
    return [b - a for a, b in zip(before, after, strict=True)]


EARLY = ("digits", "mnist", "fashion-mnist", "kmnist")


def _faster() -> Evidence:
    """C6: on the first 50 examples it is ahead of SGD and Adam at their best rates."""
    learned, references = _learned(), recorded("vsml.references")
    parts = {name: above(lead(learned, references, name, "0_50"), 0.0) for name in EARLY}
    detail = (
        f"Accuracy on the first 50 examples, minus that of the best of online SGD and Adam over 11 rates (chosen on "
        f"these very streams): {_said(parts)}. {SETTING}."
    )
    return Evidence(weakest([v for v, _ in parts.values()]), parts["digits"][1], detail)


def _sizes() -> Evidence:
    """C7: other sizes, class counts, orders and projections: comparable to the reference."""
    learned = _learned()
    reference = values(learned, "digits", "100_200")
    parts = {}
    for name in ("digits-shuffled", "digits-projected", "digits-12x12", "digits-3", "digits-5"):
        own = values(learned, name, "100_200")
        parts[name] = above([a - b for a, b in zip(own, reference, strict=True)], -0.05)
    detail = (
        f"Accuracy on examples 101 to 200 minus that on plain 8 x 8 digits, allowed to be 5 points lower: "
        f"{_said(parts)}. {SETTING}."
    )
    return Evidence(weakest([v for v, _ in parts.values()]), parts["digits-shuffled"][1], detail)


def _limits() -> Evidence:
    """C8: gradient descent overtakes later; meta-training starts on a plateau."""
    learned, references = _learned(), recorded("vsml.references")
    parts = {
        f"{name}, examples 201 to 500": above([-x for x in lead(learned, references, name, "200_500")], 0.0)
        for name in EARLY
    }
    slow = variants(recorded("vsml.learn")).get("bptt-slow", [])
    if slow:
        # A run that never escaped counts with its whole budget.
        escapes = [r.metrics["escape"] or r.config["steps"] for r in slow]
        parts["meta-steps on the plateau, gate biases +5 and -5 (bar 60)"] = above([float(e) for e in escapes], 60.0)
    detail = (
        f"Accuracy of the best of online SGD and Adam minus VSML's, later in the stream; and the plateau's length: "
        f"{_said(parts)}. The cost, proportional to sub-RNNs, is arithmetic. {SETTING}."
    )
    return Evidence(weakest([v for v, _ in parts.values()]), parts["digits, examples 201 to 500"][1], detail)


CLAIMS = (
    Claim(
        "vsml.C1",
        "One view covers fast weights, Hebbian plasticity, learned rules and meta-trained recurrent nets.",
        "none needed: a derivation",
        _unifying,
    ),
    Claim(
        "vsml.C2",
        "Shared weights and sparsity are enough to express learning algorithms in a reusable way.",
        "no single number",
        _expressive,
    ),
    Claim(
        "vsml.C3",
        "With weights replaced by tiny LSTMs, backpropagation can be carried out by running forwards only.",
        "cloned on MNIST: about 90 % on MNIST, 80 % on Fashion-MNIST (shallow); 87 %, 76 % (deep) (second-hand)",
        _cloned,
    ),
    Claim(
        "vsml.C4",
        "Learning algorithms found from scratch work on data sets outside meta-training.",
        "curves unknown; about 79 % on MNIST and 68 % on Fashion-MNIST after 100 examples (table of GPICL)",
        _generalises,
    ),
    Claim(
        "vsml.C5",
        "They learn by fast association, unlike gradient descent.",
        "a figure; values unknown",
        _associates,
    ),
    Claim(
        "vsml.C6", "At first they learn faster per example than online SGD and Adam.", "Fig. 6; values unknown", _faster
    ),
    Claim(
        "vsml.C7",
        "The same parameters work for other numbers of inputs and classes, and for permuted and projected inputs.",
        "Fig. 7: comparable to the reference; values unknown",
        _sizes,
    ),
    Claim(
        "vsml.C8",
        "There are limits: premature convergence, cost, and meta-optimisation that gets stuck.",
        "no numbers",
        _limits,
    ),
)
