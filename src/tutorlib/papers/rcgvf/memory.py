"""The networks of RC-GVF (2211.10282) in MiniGrid: they look at 7 x 7 cells, and some of them remember.

As in ``model``, networks of one shape run side by side: weights are a stack ``[nets, parameters]`` of flat vectors, and
``nets`` are seeds. A convolution with kernels of 2 x 2 is a matrix product over patches. The sizes are those of the
released code for d = 128 pseudo-rewards.

Four of them: the actor-critic and the adversary of AGAC, with an LSTM; Z, random, without memory, whose shape RND's and
NovelD's predictor has; and the predictor of RC-GVF, whose K heads share convolutions and LSTM. ``Network.layers`` gives
a network's layers by the names of its parts: ``layers["lstm"]``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from tutorlib import nn
from tutorlib.lab.errors import MOST_SIZE, bad_argument, checked, expect_fields
from tutorlib.nn import Layers, parameter_count, split_layers
from tutorlib.papers.rcgvf.model import MLP, run
from tutorlib.shapes import Bool, Float, Tensor

VIEW = 7
"""cells along a side of what is seen"""
ACTIONS = 7


def convolve(
    layers: Layers, x: Float[Tensor, "nets batch height width channels"]
) -> Float[Tensor, "nets batch less_height less_width features"]:
    """Return a convolution with kernels of 2 x 2 and no padding; the weights see a patch row by row."""
    patches = torch.cat([x[..., :-1, :-1, :], x[..., :-1, 1:, :], x[..., 1:, :-1, :], x[..., 1:, 1:, :]], dim=-1)
    flat = run(layers, patches.flatten(1, 3))
    return flat.unflatten(1, patches.shape[1:4])


def pool(x: Float[Tensor, "nets batch height width channels"]) -> Float[Tensor, "nets batch half_h half_w channels"]:
    """Return the largest value of each 2 x 2 cells, for an even height and width."""
    rows = torch.maximum(x[:, :, ::2], x[:, :, 1::2])  # many times as fast as amax over two axes
    return torch.maximum(rows[:, :, :, ::2], rows[:, :, :, 1::2])


def see(convolutions: Layers, x: Tensor) -> Float[Tensor, "nets batch features"]:
    """Return what three convolutions make of images ``[nets, batch, 7, 7, channels]``, bytes or numbers.

    ReLU stands between them and not after the last, as in Z; pooling follows the first.
    """
    first, second, third = ([layer] for layer in convolutions)
    x = x.to(convolutions[0][0].dtype)  # bytes 0 to 10 go in as they are
    x = pool(convolve(first, x).relu())  # 7 x 7 -> 6 x 6 -> 3 x 3
    x = convolve(second, x).relu()  # -> 2 x 2
    return convolve(third, x).flatten(2)  # -> 1 x 1, which leaves features alone


def see_all(convolutions: Layers, x: Tensor) -> Float[Tensor, "nets *batch features"]:
    """Return ``see`` of images ``[nets, *batch, 7, 7, channels]``, with any axes after the first."""
    flat = x.reshape(len(x), -1, *x.shape[-3:])
    return see(convolutions, flat).reshape(*x.shape[:-3], -1)


def features(convolutions: Layers, x: Tensor) -> Float[Tensor, "nets *batch features"]:
    """Return what an LSTM is given of images: ``see_all``, with ReLU after the last convolution, too.

    So see the actor-critic, the adversary and RC-GVF's predictor. Z has no ReLU there: its pseudo-rewards have both
    signs.
    """
    return see_all(convolutions, x).relu()


def lstm_step(
    lstm: Layers, x: Float[Tensor, "nets batch inputs"], memory: Float[Tensor, "nets batch two_units"]
) -> Float[Tensor, "nets batch two_units"]:
    """Return the memory (h, c) of an LSTM after one step; ``lstm`` are the layers of x and of h."""
    of_x, of_h = ([layer] for layer in lstm)
    h, c = memory.chunk(2, dim=-1)
    i, f, g, o = (run(of_x, x) + run(of_h, h)).chunk(4, dim=-1)  # gates [nets, batch, units], in torch's order
    return torch.cat(nn.lstm(i, f, g, o, c), dim=-1)


def unroll(
    lstm: Layers,
    x: Float[Tensor, "nets time batch inputs"],
    is_first: Bool[Tensor, "nets time batch"],
    memory: Float[Tensor, "nets batch two_units"],
) -> tuple[Float[Tensor, "nets time batch units"], Float[Tensor, "nets times batch two_units"]]:
    """Return h_t of each step, and the memory before each step and after the last.

    ``is_first``: whether an episode begins with this step; what was remembered is then forgotten.
    """
    steps = [memory]
    for t in range(x.shape[1]):
        memory = lstm_step(lstm, x[:, t], memory * (~is_first[:, t]).unsqueeze(-1))  # the mask m_t
        steps.append(memory)
    memories = torch.stack(steps, dim=1)
    return memories[:, 1:].chunk(2, dim=-1)[0], memories


def unroll_segments(
    lstm: Layers, x: Tensor, is_first: Bool[Tensor, "nets n bptt"], memory: Float[Tensor, "nets n two_units"]
) -> tuple[Float[Tensor, "nets n bptt units"], Float[Tensor, "nets n less two_units"]]:
    """Return h of every frame of segments, from the memories before them, and the memory before all but the first."""
    h, memories = unroll(lstm, x.transpose(1, 2), is_first.transpose(1, 2), memory)
    return h.transpose(1, 2), memories[:, 1:-1].transpose(1, 2)


Shapes = tuple[tuple[int, int], ...]
"""entries in and out of layers"""


@dataclass(frozen=True)
class Network:
    """A network as a function of a flat vector: the shapes of its layers, by parts, and how they begin."""

    parts: tuple[tuple[str, Shapes], ...]
    """name and layers of each part, in the order of the flat vector"""
    unit_parts: tuple[str, ...] = field(default=(), compare=False)
    """parts whose weights into a unit begin with length 1 and no bias; others begin uniform, as torch's"""

    def __post_init__(self) -> None:
        expect_fields(self)

    @property
    def shapes(self) -> Shapes:
        """Entries in and out of each layer, in the order of the flat vector."""
        return tuple(shape for _, shapes in self.parts for shape in shapes)

    @property
    def parameters(self) -> int:
        """The number of weights and biases."""
        return parameter_count(self.shapes)

    @checked()
    def initial(self, generator: torch.Generator) -> Float[Tensor, "parameters"]:
        """Return the start.

        Uniform in (-1, 1) / sqrt(n) is torch's own rule for convolutions and linear layers of n inputs, and for LSTMs
        of n units, which have n inputs here, too.
        """
        return torch.cat(
            [
                MLP(shape).initial_unit(generator) if name in self.unit_parts else MLP(shape).initial(generator)
                for name, shapes in self.parts
                for shape in shapes
            ]
        )

    def layers(self, theta: Float[Tensor, "nets parameters"]) -> dict[str, Layers]:
        """Return the layers of each part; raise ``UsageError`` if the length of ``theta`` is not this network's."""
        layers = iter(split_layers(theta, self.shapes))
        return {name: [next(layers) for _ in shapes] for name, shapes in self.parts}


def _convolutions(channels: int, sizes: Sequence[int]) -> tuple[str, Shapes]:
    """Return the part of three convolutions: a patch of 2 x 2 has four times the entries of a cell."""
    return "convolutions", tuple((4 * n, m) for n, m in zip((channels, *sizes), sizes, strict=False))


MEMORY = 128
"""entries of the memory of the actor-critic and of the adversary: h and c of 64 units"""


def adversary(channels: int = 3) -> Network:
    """Return the adversary of AGAC: the actor-critic's convolutions, LSTM and actor.

    ``channels`` of an image: 3, or 12 for a panorama.
    """
    lstm = ("lstm", ((64, 256), (64, 256)))
    actor = ("actor", ((64, 64), (64, ACTIONS)))
    return Network((_convolutions(channels, (16, 32, 64)), lstm, actor), ("actor",))


def actor_critic(channels: int = 3) -> Network:
    """Return the actor-critic; ``channels`` of an image: 3, or 12 for a panorama."""
    critic = ("critic", ((64, 64), (64, 1)))
    return Network((*adversary(channels).parts, critic), ("actor", "critic"))


def logits_of(layers: dict[str, Layers], h: Float[Tensor, "nets *batch 64"]) -> Float[Tensor, "nets *batch actions"]:
    """Return the logits of an actor: the actor-critic's, or the adversary's."""
    return _tanh_between(layers["actor"], h)


def values_of(layers: dict[str, Layers], h: Float[Tensor, "nets *batch 64"]) -> Float[Tensor, "nets *batch"]:
    """Return the critic's values."""
    return _tanh_between(layers["critic"], h).squeeze(-1)


def _tanh_between(layers: Layers, h: Float[Tensor, "nets *batch units"]) -> Float[Tensor, "nets *batch outputs"]:
    """Return the output of two layers with tanh between them, whatever the axes between nets and units."""
    first, second = ([layer] for layer in layers)
    flat = h.reshape(len(h), -1, h.shape[-1])
    return run(second, run(first, flat).tanh()).reshape(*h.shape[:-1], -1)


def z_network(channels: int, d: int, width: int = 0) -> Network:
    """Return Z, an image to d pseudo-rewards; RND's and NovelD's predictor has the same shape.

    Its inner convolutions have a quarter and a half of ``width`` features; 0: of d.
    """
    size = width or d
    return Network((_convolutions(channels, (size // 4, size // 2, d)),))


@dataclass(frozen=True)
class Predictor:
    """RC-GVF's: V^(k) of history; the K heads share all but their last two layers.

    A step of history is what is seen, the action before it, and the pseudo-rewards before it.
    """

    channels: int = 3
    d: int = 128
    heads: int = 2
    """K"""
    width: int = 0
    """units of the LSTM, from which all inner sizes follow; 0: d"""

    def __post_init__(self) -> None:
        expect_fields(self, sizes=("channels", "d", "heads"), maximum={"width": MOST_SIZE})
        if self.size < 4 or self.size % 4:
            raise bad_argument("width" if self.width else "d", self.size, "a multiple of 4")

    @property
    def size(self) -> int:
        """Units of the LSTM."""
        return self.width or self.d

    @property
    def memory(self) -> int:
        """Entries of the memory: h and c of the LSTM's units."""
        return 2 * self.size

    @property
    def network(self) -> Network:
        """Convolutions, a layer for each input of the LSTM, the LSTM, and the heads."""
        n, d = self.size, self.d
        heads = tuple((f"head {k}", ((n, 2 * n), (2 * n, d))) for k in range(self.heads))
        return Network(
            (
                _convolutions(self.channels, (n // 4, n // 2, n)),
                ("image", ((n, n // 2),)),
                ("last action", ((ACTIONS, n // 4),)),
                ("last pseudo-rewards", ((d, n // 4),)),
                ("lstm", ((n, 4 * n), (n, 4 * n))),
                *heads,
            )
        )

    def lstm_inputs(
        self,
        layers: dict[str, Layers],
        look: Tensor,
        last_actions: Float[Tensor, "nets *batch actions"],
        last_pseudo_rewards: Float[Tensor, "nets *batch d"],
    ) -> Float[Tensor, "nets *batch size"]:
        """Return the LSTM's input: a half of it from the image, a quarter each from the action and z before it.

        ``look`` is the image ``[nets, *batch, 7, 7, channels]``; ``last_actions`` are one-hot.
        """
        seen = features(layers["convolutions"], look)
        inputs = {"image": seen, "last action": last_actions, "last pseudo-rewards": last_pseudo_rewards}
        parts = [run(layers[name], x.reshape(len(x), -1, x.shape[-1])) for name, x in inputs.items()]
        return torch.cat(parts, dim=-1).reshape(*seen.shape[:-1], -1)

    def predictions(
        self, layers: dict[str, Layers], h: Float[Tensor, "nets *batch size"]
    ) -> Float[Tensor, "nets heads *batch d"]:
        """Return V^(k) of all heads."""
        flat = h.reshape(len(h), -1, self.size)
        v = [run(layers[f"head {k}"], flat) for k in range(self.heads)]
        return torch.stack(v, dim=1).reshape(len(h), self.heads, *h.shape[1:-1], self.d)


__all__ = [
    "ACTIONS",
    "MEMORY",
    "VIEW",
    "Network",
    "Predictor",
    "actor_critic",
    "adversary",
    "convolve",
    "features",
    "logits_of",
    "lstm_step",
    "pool",
    "see",
    "see_all",
    "unroll",
    "unroll_segments",
    "values_of",
    "z_network",
]
