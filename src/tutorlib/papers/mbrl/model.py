"""The networks of the paper (2211.02222): the Q-network, the simple model, and the two models with a latent state.

All are multilayer perceptrons with 3 hidden layers of 200 ELUs. A perceptron here is a pure function of a flat vector
of parameters theta, and always of a stack of them: every tensor is ``[seeds, batch, ...]``, theta is
``[seeds, parameters]``, and each layer is one batched matrix product for all seeds. One network is a stack of one.

What is random is made from uniforms in (0, 1) that the caller drew.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from types import MappingProxyType
from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F

from tutorlib.lab.errors import bad_argument, checked, expect_fields
from tutorlib.nn import parameter_count, run_layers, split_layers, truncated_normal
from tutorlib.shapes import Float, Tensor


class _ELU(torch.autograd.Function):
    """ELU with the gradient written out, for a compiler.

    It would keep a layer's input too, and take the exponential again to learn the output's sign.
    """

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return F.elu(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx: Any, *g: Tensor) -> Tensor:
        (y,) = ctx.saved_tensors
        return torch.where(y > 0, g[0], g[0] * (y + 1))


def elu_(x: Float[Tensor, "seeds batch units"]) -> Float[Tensor, "seeds batch units"]:
    """Return x where it is positive, else exp(x) - 1; it overwrites x, or a compiler does where it can."""
    return cast(Tensor, _ELU.apply(x)) if torch.compiler.is_compiling() else F.elu_(x)


ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = MappingProxyType(
    {"elu": elu_, "relu": torch.relu_, "tanh": torch.tanh_}
)
"""Of hidden layers; the paper's is elu. They overwrite a layer's output, which nothing else reads: the gradient is then
taken from the activation, without a second exponential."""
KINDS = ("gaussian", "categorical")
LEAST = 1e-6
"""floor of a standard deviation"""
ENCODER_LEAST = 0.1
"""added to the standard deviations of the encoder"""

Function = Callable[[Tensor], Tensor]
"""``[seeds, batch, inputs]`` to ``[seeds, batch, outputs]``"""


@dataclass(frozen=True)
class MLP:
    """Hidden layers of equal size, then a linear layer, as a function of flat parameter vectors."""

    inputs: int
    outputs: int
    hidden: int = 200
    """units of a hidden layer"""
    layers: int = 3
    """hidden layers"""
    activation: str = "elu"
    """one of ``ACTIVATIONS``"""
    sizes: list[tuple[int, int]] = field(init=False, repr=False, compare=False)
    """inputs and outputs of each linear layer"""
    parameters: int = field(init=False, repr=False, compare=False)
    """the length of theta"""

    def __post_init__(self) -> None:
        expect_fields(self, sizes=("inputs", "outputs", "hidden", "layers"), choices={"activation": tuple(ACTIVATIONS)})
        # Worked out once: a step asks many times, and a compiled one could not.
        object.__setattr__(self, "sizes", list(pairwise([self.inputs, *self.layers * [self.hidden], self.outputs])))
        object.__setattr__(self, "parameters", parameter_count(self.sizes))

    @checked()
    def initial_parameters(self, seeds: int, generator: torch.Generator) -> Float[Tensor, "seeds parameters"]:
        """Return theta before training: weights normal with sd 1/sqrt(inputs), cut at two sd, and offsets 0."""
        pieces = []
        for before, after in self.sizes:
            sd = 1 / math.sqrt(before)
            w = truncated_normal((seeds, before, after), sd, generator).flatten(1)
            pieces.append(w)
            pieces.append(w.new_zeros(seeds, after))
        return torch.cat(pieces, dim=-1)

    def __call__(
        self, theta: Float[Tensor, "seeds parameters"], x: Float[Tensor, "seeds batch inputs"]
    ) -> Float[Tensor, "seeds batch outputs"]:
        """Return the network's output; raises ``UsageError`` if theta has another length than ``parameters``."""
        return self.of(theta)(x)

    def of(self, theta: Float[Tensor, "seeds parameters"]) -> Function:
        """Return the network with these parameters, taken apart once for many calls; raises as a call does."""
        layers, activation = split_layers(theta, self.sizes), ACTIVATIONS[self.activation]
        return lambda x: run_layers(layers, x, activation)


class Normal(NamedTuple):
    """Independent normal laws."""

    mean: Float[Tensor, "seeds batch latents"]
    sd: Float[Tensor, "seeds batch latents"]


class Categories(NamedTuple):
    """Independent laws over classes."""

    logits: Float[Tensor, "seeds batch latents classes"]


Law = Normal | Categories
"""of a latent state"""


def draw(law: Law, u: Float[Tensor, "seeds batch latents"]) -> Float[Tensor, "seeds batch phi"]:
    """Return a sample phi of ``law``, through which gradients flow: one uniform for each latent.

    Normal: mean + sd eps. Categories: one-hot, with the gradient of the probabilities (straight-through).
    """
    if isinstance(law, Normal):
        return law.mean + law.sd * torch.special.ndtri(u)
    p = law.logits.softmax(dim=-1)
    # The first class at which the summed probability exceeds u; rounding may leave the whole sum below it.
    chosen = (p.cumsum(dim=-1) <= u.unsqueeze(-1)).sum(dim=-1, keepdim=True).clamp(max=p.shape[-1] - 1)
    hot = (chosen == torch.arange(p.shape[-1], device=p.device)).to(p.dtype)
    return (hot + (p - p.detach())).flatten(-2)  # exactly one-hot, as p - p is exactly 0


def kl(first: Law, second: Law) -> Float[Tensor, "seeds batch"]:
    """Return KL(first || second), summed over latents.

    Normal: log(s2 / s1) + (s1^2 + (m1 - m2)^2) / (2 s2^2) - 1/2. Categories: sum_c p1 (log p1 - log p2).
    Raises ``UsageError`` for laws of different kinds.
    """
    if isinstance(first, Normal) and isinstance(second, Normal):
        ratio = (first.sd.square() + (first.mean - second.mean).square()) / (2 * second.sd.square())
        return (second.sd.log() - first.sd.log() + ratio - 0.5).sum(dim=-1)  # mbrl-method-klnormal
    if isinstance(first, Categories) and isinstance(second, Categories):
        log_p1, log_p2 = first.logits.log_softmax(dim=-1), second.logits.log_softmax(dim=-1)
        return (log_p1.exp() * (log_p1 - log_p2)).sum(dim=(-2, -1))
    raise bad_argument("second", type(second).__name__, f"a law of the same kind as first, {type(first).__name__}")


def stop_gradient(law: Law) -> Law:
    """Return the law without gradients, sg in the paper's losses."""
    return type(law)(*(part.detach() for part in law))


class Prediction(NamedTuple):
    """What a simple model says of (x, a)."""

    reward: Float[Tensor, "seeds batch"]
    """mean of a normal law with sd 1"""
    not_done: Float[Tensor, "seeds batch"]
    """logit of the probability that the episode goes on"""
    next: Float[Tensor, "seeds batch observations"]
    """logit of each bit of the next observation"""


class LatentPrediction(NamedTuple):
    """What a latent model says of (phi, a)."""

    reward: Float[Tensor, "seeds batch"]
    not_done: Float[Tensor, "seeds batch"]
    next: Law
    """of the next phi"""


def split(theta: Float[Tensor, "seeds parameters"], nets: Mapping[str, MLP]) -> dict[str, Tensor]:
    """Return the parameter vectors of several networks, by name, that theta holds one after the other."""
    total = sum(net.parameters for net in nets.values())
    if theta.shape[-1] != total:
        raise bad_argument("theta", tuple(theta.shape), f"(seeds, {total})")
    return dict(zip(nets, theta.split([net.parameters for net in nets.values()], dim=-1), strict=True))


def _initial(nets: Mapping[str, MLP], seeds: int, generator: torch.Generator) -> Tensor:
    return torch.cat([net.initial_parameters(seeds, generator) for net in nets.values()], dim=-1)


Transition = Callable[[Tensor, Tensor, Tensor], Tensor]
"""x, the action one-hot, and uniforms for a sample, to the next x"""


def _outcome(nets: Mapping[str, MLP], theta: Tensor, xa: Tensor) -> tuple[Tensor, Tensor]:
    parts = split(theta, nets)
    reward, not_done = (nets[name](parts[name], xa).squeeze(-1) for name in ("reward", "not_done"))
    return reward, not_done.sigmoid()


@dataclass(frozen=True)
class SimpleModel:
    """Predicts the next observation itself, each bit an independent Bernoulli variable given (o, a).

    The state x on which Q acts and from which the model goes on is the observation.
    """

    observations: int
    """D, bits of an observation"""
    actions: int
    hidden: int = 200
    layers: int = 3
    official_bernoulli_logit: bool = False
    """sample a bit with its logit for its probability, as the paper's code does: below 0 never, above 1 always"""
    activation: str = "elu"
    nets: dict[str, MLP] = field(init=False, repr=False, compare=False)
    """the networks, all on (o, one-hot a)"""

    def __post_init__(self) -> None:
        expect_fields(self, sizes=("observations", "actions", "hidden", "layers"))
        inputs = self.observations + self.actions
        outputs = {"reward": 1, "not_done": 1, "next": self.observations}
        nets = {name: MLP(inputs, n, self.hidden, self.layers, self.activation) for name, n in outputs.items()}
        object.__setattr__(self, "nets", nets)  # they refuse other sizes that no network can have

    @property
    def parameters(self) -> int:
        """The length of theta: 296,466 for a maze of 4 x 4."""
        return sum(net.parameters for net in self.nets.values())

    @property
    def inputs(self) -> int:
        """What Q reads: an observation."""
        return self.observations

    @property
    def noise(self) -> int:
        """Uniforms for a sample: one for each bit."""
        return self.observations

    @checked()
    def initial_parameters(self, seeds: int, generator: torch.Generator) -> Float[Tensor, "seeds parameters"]:
        """Return theta before training."""
        return _initial(self.nets, seeds, generator)

    def state(
        self,
        theta: Float[Tensor, "seeds parameters"],
        o: Float[Tensor, "seeds batch observations"],
        u: Float[Tensor, "seeds batch noise"],
    ) -> Float[Tensor, "seeds batch observations"]:
        """Return x: the observation."""
        return o

    def predict(
        self,
        theta: Float[Tensor, "seeds parameters"],
        x: Float[Tensor, "seeds batch observations"],
        a: Float[Tensor, "seeds batch actions"],
    ) -> Prediction:
        """Return the laws of reward, continuation and next observation after the one-hot action a in x."""
        nets, xa = self.nets, torch.cat([x, a], dim=-1)
        out = {name: nets[name](part, xa) for name, part in split(theta, nets).items()}
        return Prediction(out["reward"].squeeze(-1), out["not_done"].squeeze(-1), out["next"])

    def sample(
        self, prediction: Prediction, u: Float[Tensor, "seeds batch observations"]
    ) -> Float[Tensor, "seeds batch observations"]:
        """Return a next observation."""
        return self._bits(prediction.next, u)

    def outcome(
        self,
        theta: Float[Tensor, "seeds parameters"],
        x: Float[Tensor, "seeds batch observations"],
        a: Float[Tensor, "seeds batch actions"],
    ) -> tuple[Float[Tensor, "seeds batch"], Float[Tensor, "seeds batch"]]:
        """Return the mean reward and the probability that the episode goes on."""
        return _outcome(self.nets, theta, torch.cat([x, a], dim=-1))

    def transition(self, theta: Float[Tensor, "seeds parameters"]) -> Transition:
        """Return the function that samples the next x."""
        net = self.nets["next"].of(split(theta, self.nets)["next"])
        return lambda x, a, u: self._bits(net(torch.cat([x, a], dim=-1)), u)

    def _bits(self, logit: Tensor, u: Tensor) -> Tensor:
        return (u < (logit if self.official_bernoulli_logit else logit.sigmoid())).to(logit.dtype)


@dataclass(frozen=True)
class LatentModel:
    """Predicts a latent state phi ~ q(.|o): 32 normal variables, or 32 variables of 32 classes.

    phi is the state on which Q acts; it is a function of one observation and of noise, with no memory. The transition
    p(.|phi, a) predicts the next one, and a decoder keeps phi tied to what was seen.
    """

    observations: int
    """D, bits of an observation"""
    actions: int
    kind: str = "categorical"
    """gaussian or categorical"""
    latents: int = 32
    """variables of phi"""
    classes: int = 32
    """of each variable; gaussian: unused"""
    hidden: int = 200
    layers: int = 3
    activation: str = "elu"
    nets: dict[str, MLP] = field(init=False, repr=False, compare=False)
    """the networks: encoder on o, decoder on phi, the others on (phi, one-hot a)"""

    def __post_init__(self) -> None:
        expect_fields(
            self,
            sizes=("observations", "actions", "latents", "classes", "hidden", "layers"),
            minimum={"classes": 2},
            choices={"kind": KINDS},
        )
        head = self.inputs if self.kind == "categorical" else 2 * self.latents
        both = self.inputs + self.actions
        sizes = {
            "encoder": (self.observations, head),
            "decoder": (self.inputs, self.observations),
            "next": (both, head),
            "reward": (both, 1),
            "not_done": (both, 1),
        }
        nets = {name: MLP(n, m, self.hidden, self.layers, self.activation) for name, (n, m) in sizes.items()}
        object.__setattr__(self, "nets", nets)  # they refuse other sizes that no network can have

    @property
    def inputs(self) -> int:
        """What Q reads, phi: 32 numbers, or 1024 of which 32 are 1."""
        return self.latents * (self.classes if self.kind == "categorical" else 1)

    @property
    def noise(self) -> int:
        """Uniforms for a sample: one for each variable."""
        return self.latents

    @property
    def parameters(self) -> int:
        """The length of theta."""
        return sum(net.parameters for net in self.nets.values())

    @checked()
    def initial_parameters(self, seeds: int, generator: torch.Generator) -> Float[Tensor, "seeds parameters"]:
        """Return theta before training."""
        return _initial(self.nets, seeds, generator)

    def encode(self, theta: Float[Tensor, "seeds parameters"], o: Float[Tensor, "seeds batch observations"]) -> Law:
        """Return q(.|o)."""
        return self._law(self.nets["encoder"](split(theta, self.nets)["encoder"], o), ENCODER_LEAST)

    def state(
        self,
        theta: Float[Tensor, "seeds parameters"],
        o: Float[Tensor, "seeds batch observations"],
        u: Float[Tensor, "seeds batch latents"],
    ) -> Float[Tensor, "seeds batch phi"]:
        """Return x: a sample phi of q(.|o)."""
        return draw(self.encode(theta, o), u)

    def decode(
        self, theta: Float[Tensor, "seeds parameters"], phi: Float[Tensor, "seeds batch phi"]
    ) -> Float[Tensor, "seeds batch observations"]:
        """Return the logit of each bit of the observation behind phi."""
        return self.nets["decoder"](split(theta, self.nets)["decoder"], phi)

    def predict(
        self,
        theta: Float[Tensor, "seeds parameters"],
        x: Float[Tensor, "seeds batch phi"],
        a: Float[Tensor, "seeds batch actions"],
    ) -> LatentPrediction:
        """Return the laws of reward, continuation and next phi after the one-hot action a in phi = x."""
        nets, parts, xa = self.nets, split(theta, self.nets), torch.cat([x, a], dim=-1)
        r, c, following = (nets[name](parts[name], xa) for name in ("reward", "not_done", "next"))
        return LatentPrediction(r.squeeze(-1), c.squeeze(-1), self._law(following, 0.0))

    def sample(
        self, prediction: LatentPrediction, u: Float[Tensor, "seeds batch latents"]
    ) -> Float[Tensor, "seeds batch phi"]:
        """Return a next phi."""
        return draw(prediction.next, u)

    def outcome(
        self,
        theta: Float[Tensor, "seeds parameters"],
        x: Float[Tensor, "seeds batch phi"],
        a: Float[Tensor, "seeds batch actions"],
    ) -> tuple[Float[Tensor, "seeds batch"], Float[Tensor, "seeds batch"]]:
        """Return the mean reward and the probability that the episode goes on."""
        return _outcome(self.nets, theta, torch.cat([x, a], dim=-1))

    def transition(self, theta: Float[Tensor, "seeds parameters"]) -> Transition:
        """Return the function that samples the next x."""
        net = self.nets["next"].of(split(theta, self.nets)["next"])
        return lambda x, a, u: draw(self._law(net(torch.cat([x, a], dim=-1)), 0.0), u)

    def _law(self, head: Tensor, extra: float) -> Law:
        """Return the law that a network's output stands for; sd = 2 sigmoid(x / 2), not below 1e-6, plus ``extra``."""
        if self.kind == "categorical":
            return Categories(head.unflatten(-1, (self.latents, self.classes)))
        mean, sd = head.chunk(2, dim=-1)
        return Normal(mean, (2 * (sd / 2).sigmoid()).clamp(min=LEAST) + extra)


__all__ = [
    "ACTIVATIONS",
    "KINDS",
    "MLP",
    "Categories",
    "Function",
    "LatentModel",
    "LatentPrediction",
    "Law",
    "Normal",
    "Prediction",
    "SimpleModel",
    "Transition",
    "draw",
    "kl",
    "split",
    "stop_gradient",
]
