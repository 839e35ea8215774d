"""The networks of GoGePo (2207.01570): a deep policy, the generator that writes its weights, and their evaluator.

A policy pi_theta is a multilayer perceptron of tanh units, and theta is one flat vector: layer after layer its weights
[out, in] and then its biases. Nobody trains it: the generator G_rho writes it, for a command c.

The generator cuts each weight matrix into blocks of f x f. A block has a learned embedding z of its own, and all blocks
of one kind of layer (input, hidden, output) share two small networks, of which one writes weights and one biases:

    W_ij = H_w([z_ij; c])    b_j = mean_i H_b([z_ij; c])    both times 2 / sqrt(inputs of the layer)

where i counts tiles along the inputs and j along the outputs. So a matrix of 256 x 256 is 256 rows of one batch.

The evaluator V_w sees of a policy only its fingerprint, the actions in K probing states, which are learned, too.

Axes: every tensor begins with ``runs``, which learn side by side and do not touch; ``policies`` are those of one run.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from einops import rearrange

from tutorlib.lab.errors import MOST_SIZE, bad_argument, checked, expect_fields
from tutorlib.nn import Layers, parameter_count, run_layers, split_layers
from tutorlib.shapes import Float, Tensor


def _chain(*sizes: int) -> list[tuple[int, int]]:
    """Return entries in and out of each layer of a network with these sizes."""
    return list(pairwise(sizes))


@dataclass(frozen=True)
class Policy:
    """A deterministic policy of tanh units, whose weights come from outside."""

    observations: int
    """O, entries of an observation"""
    actions: int
    """A, entries of an action"""
    limit: float = 1.0
    """a_max: actions lie in [-a_max, a_max]"""
    hidden: tuple[int, ...] = (256, 256)
    """units of each hidden layer"""

    def __post_init__(self) -> None:
        expect_fields(self, sizes=("observations", "actions", "hidden"), positive=("limit",))
        if not self.hidden:
            raise bad_argument("hidden", self.hidden, "at least one hidden layer")

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """Entries in and out of each layer."""
        return _chain(self.observations, *self.hidden, self.actions)

    @property
    def size(self) -> int:
        """n, entries of theta: 66,817 for MountainCarContinuous at the paper's sizes."""
        return parameter_count(self.shapes)

    @checked()
    def act(
        self,
        theta: Float[Tensor, "runs policies weights"],
        x: Float[Tensor, "runs #policies batch observations"],
    ) -> Float[Tensor, "runs policies batch actions"]:
        """Return a_max tanh(... tanh(W_1 x + b_1) ...): each policy's actions for its own observations.

        With one entry in its axis of policies, ``x`` is for all policies of a run. Raises ``UsageError`` for another
        number of weights.
        """
        if theta.shape[-1] != self.size:
            raise bad_argument("theta", tuple(theta.shape), f"{self.size} weights in the last axis")
        runs, policies = theta.shape[:2]
        h = x.expand(-1, policies, -1, -1).flatten(0, 1)
        parts = theta.flatten(0, 1).split([k for n, m in self.shapes for k in (n * m, m)], dim=-1)
        for weights, biases, (n, m) in zip(parts[::2], parts[1::2], self.shapes, strict=True):
            h = torch.baddbmm(biases.unsqueeze(-2), h, weights.unflatten(-1, (m, n)).mT).tanh()
        return self.limit * h.unflatten(0, (runs, policies))


class Kind(NamedTuple):
    """A kind of layer, whose blocks share two networks."""

    name: str
    """input, hidden or output"""
    layers: tuple[int, ...]
    """which layers of the policy are of this kind"""
    rows: int
    """outputs of a block"""
    columns: int
    """inputs of a block"""
    tiles: tuple[tuple[int, int], ...]
    """of each layer, how many blocks there are along its inputs and along its outputs"""

    @property
    def blocks(self) -> int:
        """Of all layers of this kind together."""
        return sum(i * j for i, j in self.tiles)


class Shared(NamedTuple):
    """What the blocks of one kind of layer have in common, and what they have not."""

    embeddings: Float[Tensor, "runs blocks z"]
    """z, each block's own: layers one after the other, in each the tile of the inputs first"""
    weights: Layers
    """H_w"""
    biases: Layers
    """H_b"""


@dataclass(frozen=True)
class Generator:
    """G_rho: a command in, all weights of a policy out."""

    policy: Policy
    block: int = 16
    """f: hidden units of the policy in one tile; divides the units of each hidden layer"""
    embedding: int = 8
    """entries of z"""
    hidden: tuple[int, ...] = (256, 256)
    """units of each hidden layer of the shared networks"""

    def __post_init__(self) -> None:
        expect_fields(self, sizes=("block", "embedding", "hidden"))
        for units in self.policy.hidden:
            if units % self.block:
                raise bad_argument("block", self.block, f"a divisor of the policy's {units} hidden units")

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds of layers that the policy has; there are hidden ones only with two hidden layers or more."""
        p, f = self.policy, self.block
        tiles = [units // f for units in p.hidden]
        kinds = [Kind("input", (0,), f, p.observations, ((1, tiles[0]),))]
        if len(tiles) > 1:
            kinds.append(Kind("hidden", tuple(range(1, len(tiles))), f, f, tuple(_chain(*tiles))))
        return (*kinds, Kind("output", (len(tiles),), p.actions, f, ((tiles[-1], 1),)))

    def _shapes(self, kind: Kind) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Return entries in and out of the layers of H_w and of H_b."""
        inputs = self.embedding + 1
        return _chain(inputs, *self.hidden, kind.rows * kind.columns), _chain(inputs, *self.hidden, kind.rows)

    def _sizes(self) -> list[int]:
        """Return how long the parts of rho are: of each kind the embeddings, H_w and H_b."""
        return [
            size for kind in self.kinds
            for size in (kind.blocks * self.embedding, *map(parameter_count, self._shapes(kind)))
        ]  # fmt: skip

    @property
    def size(self) -> int:
        """The number of entries of rho: 499,025 for MountainCarContinuous at the paper's sizes."""
        return sum(self._sizes())

    @checked()
    def initial(self, generator: torch.Generator) -> Float[Tensor, "generator"]:
        """Return rho before training: embeddings normal, the shared networks as PyTorch starts linear layers."""
        pieces = []
        for kind in self.kinds:
            z = torch.randn(kind.blocks * self.embedding, generator=generator, device=generator.device)
            pieces += [z, *(_linear(shapes, generator) for shapes in self._shapes(kind))]
        return torch.cat(pieces)

    @checked()
    def split(self, rho: Float[Tensor, "runs generator"]) -> dict[str, Shared]:
        """Return the parts of rho by the name of a kind; raise ``UsageError`` for another number of entries."""
        if rho.shape[-1] != self.size:
            raise bad_argument("rho", tuple(rho.shape), f"{self.size} entries in the last axis")
        parts = iter(rho.split(self._sizes(), dim=-1))
        shared = {}
        for kind in self.kinds:
            z, weights, biases = next(parts), next(parts), next(parts)
            of_weights, of_biases = self._shapes(kind)
            shared[kind.name] = Shared(
                z.unflatten(-1, (kind.blocks, self.embedding)),
                split_layers(weights, of_weights),
                split_layers(biases, of_biases),
            )
        return shared

    @checked()
    def generate(
        self, rho: Float[Tensor, "runs generator"], c: Float[Tensor, "runs policies"]
    ) -> Float[Tensor, "runs policies weights"]:
        """Return theta = G_rho(c) for each command of each run; commands are in units of the range of returns.

        All blocks of one kind, of all commands, are one batch of each shared network.
        """
        shared, policies = self.split(rho), c.shape[1]
        layers: list[Tensor] = [c] * len(self.policy.shapes)
        for kind in self.kinds:
            z, h_w, h_b = shared[kind.name]
            rows = torch.cat(  # [z; c], one for each block of each policy
                [
                    z.unsqueeze(1).expand(-1, policies, -1, -1),
                    c[..., None, None].expand(-1, -1, kind.blocks, -1),
                ],
                dim=-1,
            ).flatten(1, 2)
            blocks, biases = (run_layers(h, rows, torch.relu).unflatten(1, (policies, -1)) for h in (h_w, h_b))
            counts = [i * j for i, j in kind.tiles]
            each = zip(kind.layers, kind.tiles, blocks.split(counts, 2), biases.split(counts, 2), strict=True)
            for layer, (i, j), in_w, in_b in each:  # gogepo-idea-blocks
                w = rearrange(in_w, "r p (i j) (o n) -> r p (j o i n)", i=i, j=j, o=kind.rows)
                b = in_b.unflatten(2, (i, j)).mean(dim=2).flatten(2)  # over the tiles of the inputs
                layers[layer] = torch.cat([w, b], dim=-1) * _scale(self.policy.shapes[layer][0])
        return torch.cat(layers, dim=-1)


@dataclass(frozen=True)
class Evaluator:
    """V_w: all weights of a policy in, the return that it is expected to get out."""

    policy: Policy
    states: int = 200
    """K, probing states"""
    hidden: tuple[int, ...] = (256, 256)
    """units of each hidden layer of U"""

    def __post_init__(self) -> None:
        expect_fields(self, sizes=("states", "hidden"))
        if self.states * self.policy.actions > MOST_SIZE:
            raise bad_argument("states", self.states, f"at most {MOST_SIZE} actions in all of them")

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """Entries in and out of each layer of U."""
        return _chain(self.states * self.policy.actions, *self.hidden, 1)

    @property
    def size(self) -> int:
        """The number of entries of w, probing states among them: 117,905 for MountainCarContinuous in the paper."""
        return self.states * self.policy.observations + parameter_count(self.shapes)

    @checked()
    def initial(self, generator: torch.Generator) -> Float[Tensor, "evaluator"]:
        """Return w before training: probing states uniform in [0, 1], U as PyTorch starts linear layers."""
        states = torch.rand(self.states * self.policy.observations, generator=generator, device=generator.device)
        return torch.cat([states, _linear(self.shapes, generator)])

    @checked()
    def probing_states(self, w: Float[Tensor, "runs evaluator"]) -> Float[Tensor, "runs states observations"]:
        """Return the K states of each run, as the policy sees them: normalised observations."""
        if w.shape[-1] != self.size:
            raise bad_argument("w", tuple(w.shape), f"{self.size} entries in the last axis")
        o = self.policy.observations
        return w[:, : self.states * o].unflatten(-1, (self.states, o))

    @checked()
    def fingerprint(
        self, w: Float[Tensor, "runs evaluator"], theta: Float[Tensor, "runs policies weights"]
    ) -> Float[Tensor, "runs policies actions"]:
        """Return [pi_theta(s_1), ..., pi_theta(s_K)], K A numbers for each policy."""
        return self.policy.act(theta, self.probing_states(w).unsqueeze(1)).flatten(2)

    @checked()
    def value(
        self, w: Float[Tensor, "runs evaluator"], theta: Float[Tensor, "runs policies weights"]
    ) -> Float[Tensor, "runs policies"]:
        """Return V_w(theta) = U([pi_theta(s_1), ..., pi_theta(s_K)]), in units of return."""
        u = split_layers(w[:, self.states * self.policy.observations :], self.shapes)
        return run_layers(u, self.fingerprint(w, theta), torch.relu).squeeze(-1)  # gogepo-idea-fingerprint


def _scale(inputs: int) -> float:
    """Return 2 / sqrt(inputs), the root in float32: so has the paper's code it, in whatever precision weights are."""
    return 2 / float(np.float32(math.sqrt(inputs)))


def _linear(shapes: Sequence[tuple[int, int]], generator: torch.Generator) -> Tensor:
    """Return flat layers whose weights and biases are uniform in +-1 / sqrt(inputs)."""
    parts = [
        (2 * torch.rand((n + 1) * m, generator=generator, device=generator.device) - 1) / math.sqrt(n)
        for n, m in shapes
    ]
    return torch.cat(parts)


__all__ = ["Evaluator", "Generator", "Kind", "Policy", "Shared"]
