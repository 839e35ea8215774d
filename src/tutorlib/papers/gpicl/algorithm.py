"""GPICL (2212.04458): meta-train a sequence model to be a learning algorithm.

Meta-training: repeat: draw a batch of tasks, draw a sequence of examples from each, predict
every label from the examples before it, and take one Adam step on the mean cross-entropy. Meta-testing: no gradient;
one forward pass over a sequence of an unseen task shows how well the network learned from it.

Every tensor has a leading axis of runs, one run too: independent ones of one shape, each with its own seed, number of
tasks, bias, learning rate and epsilon. Everything random is a function of (seed, step), so the state of a run is its
parameters, its two moments, and the number of steps.

Unknown in the paper and our own choice: learning rate (2e-3), warm-up (100 steps), clipping (at a norm of 1) and, where
it is not swept, epsilon (1e-12). A replication that worked took a rate of 2e-4, an epsilon of 1e-10, and clips at 2.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import NamedTuple

import torch
import torch.nn.functional as F

from tutorlib.lab import Context, Trial
from tutorlib.lab.batching import column, common
from tutorlib.lab.errors import bad_argument, expect_fields
from tutorlib.lab.loop import repeat
from tutorlib.nn import FlatModule, Moments, adam_step, clip_by_norm
from tutorlib.papers.gpicl.model import ModelConfig, initial_parameters, network
from tutorlib.papers.gpicl.problem import BASE_SETS, INFINITE, PROJECTIONS, BaseSet, TaskLaw, base_sets, meta_batch
from tutorlib.shapes import Float, Int, Tensor

OPTIMIZERS = ("adam", "sign")
VARIES = ("tasks", "bias", "lr", "eps")
"""the fields in which the runs of a batch may differ, besides their seeds"""


@dataclass(frozen=True)
class Config:
    """One meta-training run. Defaults are the live setting; the paper's value stands in brackets."""

    dataset: str = "digits"
    """base set bar D, one of ``problem.BASE_SETS`` [mnist or fashion-mnist, their official parts]"""
    classes: int = 4
    """C [10]"""
    inputs: int = 16
    """N_x, the dimension of a projected input [3072: 32x32x3]"""
    rank: int = 16
    """r, the dimension of the coordinates z; principal directions of the base set [all]"""
    pixels: int = 14
    """side of the images before that; digits stay 8x8 [32]"""
    projection: str = "gaussian"
    """A^(k): gaussian, orthogonal or identity [gaussian]"""
    permuted: bool = True
    """whether tasks permute their labels [yes]"""
    length: int = 32
    """T, examples in a sequence [100]"""
    tasks: int | str = "inf"
    """K, the number of tasks, or "inf" for a new task in every sequence [2^0 to 2^25]"""
    bias: float = 0.0
    """b, the share of sequences that take the fixed permutation rho_0 [0; 0.9 in Table 1]"""
    architecture: str = "transformer"
    """transformer, lstm, outer-product or mlp [all four]"""
    width: int = 64
    """N_M, the model size; N_H of LSTM and MLP [256]"""
    layers: int = 2
    """blocks [4]"""
    heads: int = 2
    """attention heads, or matrices of the outer-product LSTM [8]"""
    head_dim: int = 32
    """size of keys, queries and values, or side of a matrix [32]"""
    positions: str = "learned"
    """learned or none [learned]"""
    position_std: float = 0.3
    """std of the learned positions at the start [unknown]"""
    batch: int = 32
    """B, sequences in a meta-batch [unknown for the Transformer]"""
    steps: int = 1600
    """meta-training steps [50,000 or more]"""
    optimizer: str = "adam"
    """adam, or sign: the sign of the first moment alone, Adam's limit for vanishing epsilon [both]"""
    lr: float = 2e-3
    """alpha, the learning rate after warm-up [unknown]"""
    beta1: float = 0.9
    """decay of the first moment"""
    beta2: float = 0.98
    """decay of the second moment"""
    eps: float = 1e-12
    """Adam's epsilon [swept in the paper]"""
    warmup: int = 100
    """steps of linear warm-up [unknown]"""
    max_grad_norm: float = 1.0
    """largest gradient norm [unknown]"""
    num_evals: int = 16
    """how often meta-training stops to evaluate, evenly spaced, the last step included"""

    def __post_init__(self) -> None:
        expect_fields(
            self,
            counts=("steps", "warmup", "num_evals"),
            sizes=("inputs", "rank", "pixels", "batch"),
            positive=("lr", "max_grad_norm", "eps"),
            shares=("bias",),
            choices={"projection": PROJECTIONS, "dataset": BASE_SETS, "optimizer": OPTIMIZERS},
        )
        if self.tasks != "inf" and not (isinstance(self.tasks, int) and 1 <= self.tasks <= 2**31):
            raise bad_argument("tasks", self.tasks, "a whole number from 1 to 2^31, or 'inf'")
        for name in ("beta1", "beta2"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise bad_argument(name, getattr(self, name), "at least 0 and below 1")
        if self.steps % self.num_evals:
            raise bad_argument("num_evals", self.num_evals, f"a divisor of steps={self.steps}")
        if self.projection != "gaussian" and self.rank > self.inputs:
            expected = f"gaussian where rank={self.rank} exceeds inputs={self.inputs}"
            raise bad_argument("projection", self.projection, expected)
        _ = self.model, self.law  # they refuse sizes that no network or task can have

    @property
    def model(self) -> ModelConfig:
        """The sizes of the network."""
        values = asdict(self)
        return ModelConfig(**{field.name: values[field.name] for field in fields(ModelConfig)})

    @property
    def law(self) -> TaskLaw:
        """The task law."""
        return TaskLaw(self.inputs, self.rank, self.classes, self.projection, self.permuted)

    @property
    def bases(self) -> tuple[BaseSet, BaseSet]:
        """The training and test part of the base set, at the scale of the law."""
        return base_sets(self.dataset, self.classes, self.rank, self.pixels, self.inputs)


class Hyper(NamedTuple):
    """What may differ between the runs of a batch."""

    seed: Int[Tensor, "runs"]
    tasks: Int[Tensor, "runs"]
    biased: Int[Tensor, "runs"]
    lr: Float[Tensor, "runs"]
    eps: Float[Tensor, "runs"]


class State(NamedTuple):
    """All that changes while runs learn."""

    theta: Float[Tensor, "runs parameters"]
    m: Float[Tensor, "runs parameters"]
    v: Float[Tensor, "runs parameters"]


def hyper(trials: Sequence[Trial], device: torch.device) -> Hyper:
    """Return the hyper-parameters of ``trials``."""
    return Hyper(
        seed=torch.tensor([trial.seed for trial in trials], dtype=torch.int64, device=device),
        tasks=column(trials, lambda c: INFINITE if c.tasks == "inf" else c.tasks, device, torch.int64),
        biased=column(trials, lambda c: round(c.bias * c.batch), device, torch.int64),
        lr=column(trials, "lr", device),
        eps=column(trials, "eps", device),
    )


def initial_state(f: FlatModule, trials: Sequence[Trial], device: torch.device) -> State:
    """Return the state before the first step; each run's parameters come from its own seed."""
    start = [initial_parameters(f.module, torch.Generator().manual_seed(trial.seed)) for trial in trials]
    theta = torch.stack(start).to(device)
    return State(theta, torch.zeros_like(theta), torch.zeros_like(theta))


def predict(
    f: FlatModule,
    theta: Float[Tensor, "runs parameters"],
    x: Float[Tensor, "runs batch time inputs"],
    y: Int[Tensor, "runs batch time"],
) -> Float[Tensor, "runs batch time classes"]:
    """Return each run's logits for every y_j, on sequences of its own."""
    if len(theta) == 1:  # vmap costs a tenth of the speed on a CPU, so one network is not a batch of one
        return f(theta[0], x[0], y[0]).unsqueeze(0)
    return f(theta, x, y)


def objective(
    f: FlatModule,
    theta: Float[Tensor, "runs parameters"],
    x: Float[Tensor, "runs batch time inputs"],
    y: Int[Tensor, "runs batch time"],
) -> Float[Tensor, "runs"]:
    """Return J(theta) / T of each run: the mean over sequences and positions of ell(f_theta(D_{1:j-1}, x_j), y_j)."""
    logits = predict(f, theta, x, y)
    losses = F.cross_entropy(logits.flatten(0, -2), y.flatten(), reduction="none").view(y.shape)
    return losses.mean(dim=(-2, -1))  # gpicl-idea-objective, over T


def adam(state: State, g: Float[Tensor, "runs parameters"], step: int | Int[Tensor, ""], c: Config, h: Hyper) -> State:
    """Return the state after one step of Adam, or of its sign variant; ``step`` counts from 0.

    Where ``|g|`` is far below epsilon, Adam is SGD with rate alpha/epsilon; for vanishing epsilon a steady gradient
    moves a parameter by alpha, whatever its size, and the sign of m does the same: see the
    derivation 'gpicl-idea-adam' in the chapter.
    """
    t = step.double() if isinstance(step, Tensor) else step
    warm = (t + 1) / c.warmup
    warm = warm.clamp(max=1.0) if isinstance(warm, Tensor) else min(1.0, warm)
    alpha = (h.lr * warm).unsqueeze(-1)  # [runs, 1], as epsilon
    if c.optimizer == "sign":
        m = c.beta1 * state.m + (1 - c.beta1) * g
        return State(state.theta - alpha * m.sign(), m, state.v)
    eps = h.eps.unsqueeze(-1)
    # gpicl-idea-adam
    theta, (m, v) = adam_step(state.theta, Moments(state.m, state.v), g, t, alpha, c.beta1, c.beta2, eps)
    return State(theta, m, v)


def meta_step(
    f: FlatModule, base: BaseSet, state: State, step: int | Int[Tensor, ""], c: Config, h: Hyper
) -> tuple[State, Float[Tensor, "runs"]]:
    """Return the state after meta-training step number ``step``, and the objective before it.

    In a compiled step its number is a tensor: a whole number would be compiled anew in each step.
    """
    x, y = meta_batch(base, c.law, h.seed, step, h.tasks, h.biased, c.batch, c.length)
    g, losses = _slope(lambda theta: objective(f, theta, x, y), state.theta)
    return adam(state, clip_by_norm(g, c.max_grad_norm), step, c, h), losses


def _slope(
    loss: Callable[[Tensor], Float[Tensor, "runs"]], theta: Float[Tensor, "runs parameters"]
) -> tuple[Float[Tensor, "runs parameters"], Float[Tensor, "runs"]]:
    """Return the gradient of each run's own loss, and the losses; runs do not touch, so it is that of the sum."""

    def total(theta: Tensor) -> tuple[Tensor, Tensor]:
        losses = loss(theta)
        return losses.sum(), losses

    if torch.compiler.is_compiling():  # a graph has no tape, and the tape is faster by a fifth where there is no graph
        return torch.func.grad(total, has_aux=True)(theta)
    theta = theta.detach().requires_grad_()
    with torch.enable_grad():
        whole, losses = total(theta)
        (g,) = torch.autograd.grad(whole, theta)
    return g, losses.detach()


class Trained(NamedTuple):
    """What meta-training leaves."""

    f: FlatModule
    theta: Float[Tensor, "runs parameters"]
    losses: Float[Tensor, "steps runs"]
    evals: list[Tensor]
    """what ``evaluate`` returned, each time"""


Evaluate = Callable[[FlatModule, Float[Tensor, "runs parameters"]], Tensor]


def meta_train(trials: Sequence[Trial], context: Context, evaluate: Evaluate | None = None) -> Trained:
    """Meta-train ``trials``, which may differ in seed and the fields of ``VARIES``, side by side.

    ``evaluate(f, theta)`` is called ``num_evals`` times, evenly spaced. For what is kept, and for runs that diverge,
    see ``lab.loop.repeat``. Raises ``UsageError`` for trials that differ in more.
    """
    c = common(trials, VARIES)
    h = hyper(trials, context.device)
    base = c.bases[0].to(context.device)
    with context.device:
        f = FlatModule(network(c.model))
    learn = context.compiled(meta_step)

    def step(state: State, number: int) -> tuple[State, Tensor]:
        counted = torch.full((), number, device=context.device) if context.compile else number
        return learn(f, base, state, counted, c, h)

    def seen(state: State, done: int) -> Tensor:
        assert evaluate is not None
        return evaluate(f, state.theta)

    course = repeat(
        step,
        initial_state(f, trials, context.device),
        c.steps,
        context,
        title=f"meta-training, K={c.tasks}",
        seeds=[trial.seed for trial in trials],
        eval_every=c.steps // c.num_evals,
        evaluate=seen if evaluate else None,
        advice=f"a smaller lr than {c.lr} may help",
    )
    return Trained(f, course.state.theta, course.log, course.evals)


@torch.no_grad()
def learning_curve(
    f: FlatModule,
    theta: Float[Tensor, "runs parameters"],
    x: Float[Tensor, "runs sequences time inputs"],
    y: Int[Tensor, "runs sequences time"],
) -> Float[Tensor, "runs time"]:
    """Return the accuracy of each run at each position: meta-testing, a forward pass and nothing else."""
    return (predict(f, theta, x, y).argmax(dim=-1) == y).float().mean(dim=-2)


PHASES = ("no learning", "task memorisation", "task identification", "partial", "general learning")


def phase(seen: Sequence[float], unseen: Sequence[float], chance: float, best: float, infinite: bool) -> str:
    """Return the phase of a run: which of the algorithms of the chapter's table its network implements.

    The table is in 'gpicl-idea-questions', and this rule in words in 'gpicl-idea-rule'. A run that memorises may gain
    within a sequence, but less than it knows at first (or it knows 0.7 of ``best`` at first).

    ``seen`` and ``unseen`` are pairs (accuracy of the first prediction, mean of the last ten); ``best`` is what
    1-NN reaches at the end; ``infinite`` says that no task is met twice, so seen tasks mean nothing.
    """
    first, last = seen
    if last < chance + 0.1 or (infinite and unseen[1] < chance + 0.1):
        return "no learning"
    if unseen[1] > chance + 0.6 * (best - chance):
        return "general learning"
    if unseen[1] >= chance + 0.1:
        return "partial"
    # Between the two, the larger share names it: what is known at first, or what is gained within the sequence.
    memorised = first > 0.7 * best or first - chance > last - first
    return "task memorisation" if memorised else "task identification"
