"""The experiments of VSML: one entry per figure, each with its tiers. Reduced settings stand here and nowhere else."""

from collections.abc import Mapping
from dataclasses import replace

from tutorlib.lab import Experiment, Tier, grid
from tutorlib.papers.vsml import baselines, cloning, special_cases
from tutorlib.papers.vsml.config import VARIES, Config, has_batch_axis
from tutorlib.papers.vsml.measures import (
    PICTURES,
    SMALL,
    data_of_cloning,
    data_of_learn,
    data_of_matrix,
    data_of_plateau,
    data_of_references,
    run_cloning,
    run_learn,
    run_matrix,
    run_plateau,
    run_references,
    run_special_cases,
)
from tutorlib.papers.vsml.problem import Streams

FAST = Config(forget_bias=1.0, input_bias=0.0, steps=300)
"""Gate biases of +1 and 0 leave the plateau soonest at 50 examples."""
SLOW = Config(steps=420)
"""The code's own biases, +5 and -5."""
ES = Config(forget_bias=1.0, input_bias=0.0, estimator="es", sequences=64, lr=0.025, steps=600)
PAPER = Config(
    streams=Streams(
        kinds=("mnist",),
        inputs=784,
        classes=10,
        length=500,
        side=28,
        part="official-train",
        projection="bank",
        permuted=False,
        scaling="unfiltered",
    ),
    estimator="es",
    sequences=1024,
    lr=0.025,
    steps=10_000,
    num_evals=100,
)
FIGURE_8 = ("mnist", "fashion-mnist", "random-fixed", "emnist", "kmnist")
"""The code's sets for Fig. 8: each alone, all, and all but one."""


def without(left_out: str) -> tuple[str, ...]:
    """Return the sets of Fig. 8 but one."""
    return tuple(kind for kind in FIGURE_8 if kind != left_out)


def of_figure_8(kinds: tuple[str, ...], padded: bool) -> Streams:
    """Return streams of these sets; ``padded`` names all 62 classes of EMNIST, as a learner of one size needs."""
    names = 62 if "emnist" in kinds else 10
    shown = names if padded and names < 62 else 0
    return replace(PAPER.streams, kinds=kinds, classes=62 if padded else names, shown=shown)


ONE_SHOT_PAPER = replace(
    PAPER,
    streams=replace(PAPER.streams, kinds=("omniglot",), classes=5, length=6, projection="none"),
    backward_pass=True,
    feed_label=True,
    loss_type="last",
    steps=100_000,
)
"""The code's few-shot run: five characters of Omniglot, one drawing of each, and a query."""
PAPER_SEEDS = tuple(range(5))
"""Seeds at the paper's size; the paper's own are unknown, but for the six of cloning, as recalled."""
PAPER_BPTT = replace(PAPER, estimator="bptt", layer_norm=True, sequences=128, lr=1e-3, max_grad_norm=25.0, chunk=10)

LEARN = Experiment(
    name="vsml.learn",
    title="Meta-trained on prototypes of 8 numbers and 4 classes; tested on other data at other sizes",
    figure="Figs. 6 and 7, and the introspection of the paper's section 5",
    run=run_learn,
    data=data_of_learn,
    varies=VARIES,
    alone=has_batch_axis,
    tiers={
        "live": Tier((replace(FAST, steps=204),), seeds=(0,)),
        "study": Tier((FAST, SLOW, ES), seeds=(0, 1, 2, 3, 4)),
        "paper": Tier((PAPER, PAPER_BPTT, ONE_SHOT_PAPER), seeds=PAPER_SEEDS),
    },
)

REFERENCES = Experiment(
    name="vsml.references",
    title="Online SGD and Adam on the same streams, at every rate of the grid",
    figure="Fig. 6, curves SGD and Adam",
    run=run_references,
    data=data_of_references,
    cpu_only=True,
    tiers={
        "live": Tier((FAST,), seeds=(0,)),
        "study": Tier((FAST,), seeds=(0, 1, 2, 3, 4)),
        "paper": Tier((PAPER,), seeds=tuple(range(10))),
    },
)

QUICK = Config(sequences=16, steps=200, num_evals=40)
BIASES = ((1.0, 0.0), (3.0, -3.0), (5.0, -5.0))

PLATEAU = Experiment(
    name="vsml.plateau",
    title="How long the plateau lasts: gate biases, learning rate, horizon and number of classes",
    figure="none; the explorer",
    run=run_plateau,
    data=data_of_plateau,
    varies=VARIES,
    alone=has_batch_axis,
    tiers={
        "live": Tier((replace(QUICK, forget_bias=1.0, input_bias=0.0, streams=Streams(length=25)),), seeds=(0,)),
        "study": Tier(
            tuple(
                replace(QUICK, forget_bias=f, input_bias=i, lr=lr, streams=Streams(classes=classes, length=length))
                for f, i in BIASES
                for lr in (5e-3, 1e-2, 2e-2)
                for length in (10, 25)
                for classes in (2, 4)
            ),
            seeds=(0, 1, 2, 3, 4),
        ),
        "paper": Tier(
            tuple(
                replace(PAPER_BPTT, lr=lr, steps=2000, forget_bias=f, input_bias=i)
                for f, i in BIASES
                for lr in (1e-3, 1e-2)
            ),
            seeds=PAPER_SEEDS,
        ),
    },
)

MATRIX_TRAIN: Mapping[str, Streams] = {
    "prototypes": SMALL,
    "digits": PICTURES,
    "random": replace(SMALL, kinds=("random",)),
    "fashion-mnist": replace(PICTURES, kinds=("fashion-mnist",)),
    "kmnist": replace(PICTURES, kinds=("kmnist",)),
    "all but digits": replace(PICTURES, kinds=("fashion-mnist", "kmnist", "random", "prototypes")),
}
TABLE = Config(forget_bias=1.0, input_bias=0.0, sequences=16, steps=400, num_evals=20, layer_norm=True)
"""With LayerNorm, as in the paper's code, more runs on images leave the plateau; baselines have none."""
OTHER = replace(TABLE, lr=3e-3, layer_norm=False)
BASELINES = tuple(name for name in baselines.LEARNERS if name != "fast-weight-programmer")
"""The code's fast-weight programmer explodes from its own start, and the code's instructions run it nowhere."""


def _on_one_gpu(c: Config) -> Config:
    """Return ``c`` with fewer pairs at once where a grid has 62 columns, for EMNIST: all 1,024 would take 128 GB."""
    return replace(c, chunk=256) if c.learner == "vsml" and c.streams.classes == 62 else c


MATRIX = Experiment(
    name="vsml.matrix",
    title="Meta-trained on one data set, tested on the others: VSML beside learners without its symmetries",
    figure="Fig. 8",
    run=run_matrix,
    data=data_of_matrix,
    varies=VARIES,
    alone=has_batch_axis,
    tiers={
        "live": Tier((replace(TABLE, streams=SMALL, steps=100),), seeds=(0,)),
        "study": Tier(
            (
                *grid(TABLE, streams=tuple(MATRIX_TRAIN.values())),
                *grid(replace(OTHER, learner="meta-rnn"), streams=tuple(MATRIX_TRAIN.values())),
                *grid(replace(OTHER, streams=SMALL), learner=BASELINES[1:]),
            ),
            seeds=(0, 1, 2, 3, 4),
        ),
        "paper": Tier(
            tuple(
                _on_one_gpu(replace(PAPER, streams=of_figure_8(kinds, padded=name != "vsml"), learner=name))
                for name in ("vsml", *BASELINES)
                for kinds in (*((kind,) for kind in FIGURE_8), FIGURE_8, *map(without, FIGURE_8))
            ),
            seeds=PAPER_SEEDS,
        ),
    },
)

LONG = replace(OTHER, learner="meta-rnn", lr=1e-2, steps=1000)
"""As much computing as 400 steps of VSML: a step of the Meta RNN takes 0.4 times as long. With ``lr`` at its best on
the tuning seeds, where its runs on prototypes leave the plateau by 650 steps."""

LONGER = Experiment(
    name="vsml.longer",
    title="The Meta RNN of the matrix, meta-trained past its plateau, at a rate of its own",
    figure="Fig. 8, the Meta RNN",
    run=run_matrix,
    data=data_of_matrix,
    varies=VARIES,
    alone=has_batch_axis,
    tiers={
        "live": Tier((replace(LONG, streams=SMALL, steps=100),), seeds=(0,)),
        "tuning": Tier(
            grid(replace(LONG, streams=SMALL, steps=1500, num_evals=30), lr=(1e-3, 3e-3, 1e-2, 3e-2)),
            seeds=(1000, 1001),
        ),
        "study": Tier(grid(LONG, streams=tuple(MATRIX_TRAIN.values())), seeds=(0, 1, 2, 3, 4)),
    },
)

CLONE = cloning.Config(kinds=("digits", "mnist", "fashion-mnist"), streams=1, length=500, steps=8000, num_evals=16)

CLONING = Experiment(
    name="vsml.cloning",
    title="Sub-RNNs that were taught backpropagation train networks by running forwards, beside gradient descent",
    figure="Fig. 4, the paper's section 4.1 (C3)",
    run=run_cloning,
    data=data_of_cloning,
    tiers={
        "live": Tier((cloning.Config(steps=3000, num_evals=10, streams=2, length=400),), seeds=(0,)),
        "study": Tier(
            (
                CLONE,
                # One micro tick has to multiply and to add at once.
                replace(CLONE, micro_ticks=1, kinds=("digits",)),
            ),
            seeds=(0, 1, 2, 3, 4),
        ),
        # The paper's schedule is not known; its sets, its 28 x 28 pixels and its hidden layer are.
        "paper": Tier(
            (
                cloning.Config(
                    kinds=("mnist-official", "fashion-mnist-official"),
                    steps=200_000,
                    num_evals=200,
                    batch=4096,
                    side=28,
                    streams=16,
                    length=10_000,
                ),
            ),
            seeds=(0, 1, 2, 3, 4, 5),
        ),
    },
)

SPECIAL = Experiment(
    name="vsml.special",
    title="Older ideas as special cases: each by a grid of sub-RNNs and by its own formula",
    figure="none; the special cases of claim C1",
    run=run_special_cases,
    cpu_only=True,
    tiers={
        "live": Tier((special_cases.Config(),), seeds=(0,)),
        "study": Tier((special_cases.Config(),), seeds=(0, 1, 2, 3, 4)),
    },
)

EXPERIMENTS = (LEARN, REFERENCES, PLATEAU, MATRIX, LONGER, CLONING, SPECIAL)
