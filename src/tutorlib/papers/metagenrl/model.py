"""The objective that is learned: a small network over a window of steps, read backwards in time (1910.04098).

It sees actions, what the policy would do there, rewards and values, and no observation. Its weights alpha are one flat
vector, and always a stack of them: every tensor is ``[nets, batch, time, ...]``, one entry of ``nets`` for each agent.

``full`` is the paper's network; ``structured`` is ours for a minute of one core: there the network says how good a step
was, and the distance of the action from the policy's is given.
"""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch

from tutorlib.lab.errors import bad_argument, expect_fields
from tutorlib.nn import NormedMLP, lstm
from tutorlib.shapes import Float, Tensor

KINDS = ("full", "structured")
INPUTS = ("reward", "time", "following", "value")
"""what the objective reads of a step besides the actions: r, the place in the window, V of the next step, V"""


class Seen(NamedTuple):
    """What an objective may read of windows. None of it moves with the policy that is updated: values are constants."""

    action: Float[Tensor, "nets batch time actions"]
    reward: Float[Tensor, "nets batch time"]
    done: Float[Tensor, "nets batch time"]
    value: Float[Tensor, "nets batch time"]
    """V_t = Q(s_t, pi(s_t))"""
    following: Float[Tensor, "nets batch time"]
    """V_{t+1}, of the window's last step too"""
    mask: Float[Tensor, "nets batch time"]
    """1 for steps, 0 for padding after them"""
    used: Float[Tensor, "nets actions"]
    """1 for actions that the agent's environment has, 0 for padding"""


def last_of(mask: Float[Tensor, "nets batch time"]) -> Float[Tensor, "nets batch time"]:
    """Return 1 for the last step of each window."""
    return mask * (1 - torch.cat([mask[..., 1:], torch.zeros_like(mask[..., :1])], dim=-1))


def standardised(
    x: Float[Tensor, "nets batch time"], mask: Float[Tensor, "nets batch time"], epsilon: float = 1e-8
) -> Float[Tensor, "nets batch time"]:
    """Return (x - mean) / sqrt(variance + epsilon) over each agent's steps; 0 in padding."""
    count = mask.sum(dim=(1, 2), keepdim=True).clamp(min=1)
    mean = (x * mask).sum(dim=(1, 2), keepdim=True) / count
    off = (x - mean) * mask
    return off / (off.square().sum(dim=(1, 2), keepdim=True) / count + epsilon).sqrt()


def standardised_values(
    seen: Seen, epsilon: float = 1e-8
) -> tuple[Float[Tensor, "nets batch time"], Float[Tensor, "nets batch time"]]:
    """Return V_t and V_{t+1} standardised alike, by the moments of V_0 to V_T of all windows."""
    weight = torch.cat([seen.mask, last_of(seen.mask)], dim=-1)
    values = torch.cat([seen.value, seen.following], dim=-1)
    count = weight.sum(dim=(1, 2), keepdim=True).clamp(min=1)
    mean = (values * weight).sum(dim=(1, 2), keepdim=True) / count
    sd = (((values - mean) * weight).square().sum(dim=(1, 2), keepdim=True) / count + epsilon).sqrt()
    return (seen.value - mean) / sd * seen.mask, (seen.following - mean) / sd * seen.mask


def read_backwards(
    x: Float[Tensor, "nets batch time inputs"],
    w_x: Float[Tensor, "nets inputs gates"],
    w_h: Float[Tensor, "nets units gates"],
    b: Float[Tensor, "nets gates"],
    active: Float[Tensor, "nets batch time"],
) -> Float[Tensor, "nets batch time units"]:
    """Return what an LSTM says at each step that reads from the last step to the first, in forward order.

    Gates stand in the order input, candidate, forget, output; 1 is added to the forget gate. It starts from zeros.
    Where a step is not ``active`` its state stays and it says 0: so padding at a window's end is not read.
    """
    gates = torch.baddbmm(b.unsqueeze(1), x.flatten(1, 2), w_x).unflatten(1, x.shape[1:3])
    h = c = x.new_zeros(*x.shape[:2], w_h.shape[1])
    out = []
    for t in reversed(range(x.shape[2])):
        i, g, f, o = torch.baddbmm(gates[:, :, t], h, w_h).chunk(4, dim=-1)
        new_h, new_c = lstm(i, f + 1, g, o, c)  # metagenrl-idea-cell
        on = active[:, :, t].unsqueeze(-1)
        out.append(new_h * on)
        h, c = h + on * (new_h - h), c + on * (new_c - c)
    return torch.stack(out[::-1], dim=2)


@dataclass(frozen=True)
class Objective:
    """L_alpha: one number for each step; the policy descends along their gradient."""

    kind: str = "full"
    """one of ``KINDS``"""
    hidden: int = 32
    """units of every layer that is no LSTM"""
    action_layers: int = 3
    """layers over each pair (a, pi(s)), before the mean over actions"""
    other_layers: int = 2
    """hidden layers over the other inputs"""
    summary: int = 8
    """entries that are left of the other inputs"""
    memory: int = 32
    """units of the LSTM"""
    head_layers: int = 2
    """hidden layers after the LSTM"""
    bound: float = 1000.0
    """the largest output of the full objective"""
    inputs: tuple[str, ...] = INPUTS
    """which of ``INPUTS`` are read"""
    official_padding: bool = False
    """whether windows that are shorter than others lose their first steps, as in the paper's code, and not their
    padding"""
    epsilon: float = 1e-12
    """added to a variance in layer normalisation"""
    constant_mean: bool = False
    """see ``nn.NormedMLP``"""
    on_actions: NormedMLP = field(init=False, repr=False, compare=False)
    on_others: NormedMLP = field(init=False, repr=False, compare=False)
    head: NormedMLP = field(init=False, repr=False, compare=False)
    pieces: list[int] = field(init=False, repr=False, compare=False)
    """lengths of the parts of alpha"""

    def __post_init__(self) -> None:
        expect_fields(
            self,
            sizes=("hidden", "summary", "memory"),
            minimum={"action_layers": 1},
            maximum={"action_layers": 64, "other_layers": 64, "head_layers": 64},
            positive=("bound", "epsilon"),
            choices={"kind": KINDS, "inputs": INPUTS},
        )
        if not self.inputs or len(set(self.inputs)) < len(self.inputs):
            raise bad_argument("inputs", self.inputs, "at least one, and none twice")
        n = self.hidden
        how: dict[str, Any] = {"epsilon": self.epsilon, "constant_mean": self.constant_mean}
        actions = NormedMLP(2, n, n, self.action_layers - 1, "mixed", open=False, **how)
        others = NormedMLP(len(self.inputs), self.summary, n, self.other_layers, "mixed", normed=False)
        object.__setattr__(self, "on_actions", actions)
        object.__setattr__(self, "on_others", others)
        object.__setattr__(self, "head", NormedMLP(self.memory, 1, n, self.head_layers, "mixed", **how))
        gates = 4 * self.memory
        lengths = [others.parameters, self.lstm_inputs * gates, self.memory * gates, gates, self.head.parameters]
        object.__setattr__(self, "pieces", [actions.parameters if self.kind == "full" else 0, *lengths])

    @property
    def lstm_inputs(self) -> int:
        """Entries of what the LSTM reads in a step."""
        return self.summary + (self.hidden if self.kind == "full" else 0)

    @property
    def parameters(self) -> int:
        """The length of alpha: 15,497 at the paper's sizes."""
        return sum(self.pieces)

    def initial_parameters(
        self, nets: int, generator: torch.Generator, initial: str = "glorot"
    ) -> Float[Tensor, "nets parameters"]:
        """Return alpha before meta-training; ``initial`` is one of ``nn.normed.INITIALS``."""
        whole = NormedMLP(self.lstm_inputs + self.memory, 4 * self.memory, layers=0, normed=False)
        parts = [net.initial_parameters(nets, generator, initial) for net in (self.on_others, whole, self.head)]
        if self.kind == "full":
            parts.insert(0, self.on_actions.initial_parameters(nets, generator, initial))
        return torch.cat(parts, dim=-1)

    def __call__(
        self, alpha: Float[Tensor, "nets parameters"], pi: Float[Tensor, "nets batch time actions"], seen: Seen
    ) -> Float[Tensor, "nets batch time"]:
        """Return L_alpha of each step, from the policy's actions ``pi``; what it says of padding means nothing.

        Raises ``UsageError`` if alpha has another length than ``parameters``.
        """
        if alpha.shape[-1] != self.parameters:
            raise bad_argument("alpha", alpha, f"{self.parameters} parameters in the last axis")
        acting, others, w_x, w_h, b, head = alpha.split(self.pieces, dim=-1)
        x = self.on_others(others, self._inputs(seen))
        if self.kind == "full":
            features = self.on_actions(acting, torch.stack([seen.action, pi], dim=-1))
            share = (seen.used / seen.used.sum(dim=-1, keepdim=True))[:, None, None, :, None]
            x = torch.cat([(features * share).sum(dim=-2), x], dim=-1)
        gates = 4 * self.memory
        active = seen.mask.flip(-1) if self.official_padding else seen.mask
        h = read_backwards(x, w_x.unflatten(-1, (-1, gates)), w_h.unflatten(-1, (-1, gates)), b, active)
        y = self.head(head, h).squeeze(-1)
        if self.kind == "full":
            return self.bound * (y / self.bound).tanh()  # metagenrl-idea-network
        return standardised(y, seen.mask) * distance(pi, seen)  # metagenrl-idea-structured

    def _inputs(self, seen: Seen) -> Float[Tensor, "nets batch time inputs"]:
        value, following = standardised_values(seen)
        steps = seen.mask.shape[-1]
        time = torch.arange(steps, device=value.device, dtype=value.dtype) / steps
        known = {
            "reward": standardised(seen.reward, seen.mask),
            "time": time.expand_as(value),
            "following": following * (1 - seen.done),
            "value": value,
        }
        return torch.stack([known[name] for name in self.inputs], dim=-1)


def distance(pi: Float[Tensor, "nets batch time actions"], seen: Seen) -> Float[Tensor, "nets batch time"]:
    """Return the mean of (a - pi)^2 over the actions that there are."""
    return ((seen.action - pi).square() * seen.used[:, None, None]).sum(dim=-1) / seen.used.sum(dim=-1)[:, None, None]


__all__ = [
    "INPUTS",
    "KINDS",
    "Objective",
    "Seen",
    "distance",
    "last_of",
    "read_backwards",
    "standardised",
    "standardised_values",
]
