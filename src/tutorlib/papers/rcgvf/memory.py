"""The networks of RC-GVF (2211.10282) in MiniGrid: they look at 7 x 7 cells, and some of them remember.

As in ``model``, networks of one shape run side by side: weights are a stack ``[nets, parameters]`` of flat vectors, and
``nets`` are seeds. A convolution with kernels of 2 x 2 is a matrix product over patches. The sizes are those of the
released code for d = 128 pseudo-rewards.

Four of them: the actor-critic and the adversary of AGAC, with an LSTM; Z, random, without memory, whose shape RND's and
NovelD's predictor has; and the predictor of RC-GVF, whose K heads share eyes and LSTM.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

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


def see(layers: Layers, x: Tensor) -> Float[Tensor, "nets batch features"]:
    """Return what three convolutions make of images ``[nets, batch, 7, 7, channels]``, bytes or numbers.

    ReLU stands between them and not after the last, as in Z; pooling follows the first.
    """
    x = pool(convolve(layers[:1], x.to(layers[0][0].dtype)).relu())  # 7 x 7 -> 6 x 6 -> 3 x 3
    x = convolve(layers[1:2], x).relu()  # -> 2 x 2
    return convolve(layers[2:3], x).flatten(2)  # -> 1 x 1


def see_all(layers: Layers, x: Tensor) -> Float[Tensor, "nets *batch features"]:
    """Return ``see`` of images ``[nets, *batch, 7, 7, channels]``, with any axes after the first."""
    flat = x.reshape(len(x), -1, *x.shape[-3:])
    return see(layers, flat).reshape(*x.shape[:-3], -1)


def features(layers: Layers, x: Tensor) -> Float[Tensor, "nets *batch features"]:
    """Return what an LSTM is given of images: ``see_all``, with ReLU after the last convolution, too.

    These are the eyes of the actor-critic, of the adversary and of RC-GVF's predictor. Z has none but ``see_all``.
    """
    return see_all(layers, x).relu()


def lstm_step(
    layers: Layers, x: Float[Tensor, "nets batch inputs"], memory: Float[Tensor, "nets batch two_units"]
) -> Float[Tensor, "nets batch two_units"]:
    """Return the memory (h, c) of an LSTM after one step; ``layers`` are those of x and of h."""
    h, c = memory.chunk(2, dim=-1)
    i, f, g, o = (run(layers[:1], x) + run(layers[1:2], h)).chunk(4, dim=-1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return torch.cat([o.sigmoid() * c.tanh(), c], dim=-1)


def unroll(
    layers: Layers,
    x: Float[Tensor, "nets time batch inputs"],
    fresh: Bool[Tensor, "nets time batch"],
    memory: Float[Tensor, "nets batch two_units"],
) -> tuple[Float[Tensor, "nets time batch units"], Float[Tensor, "nets times batch two_units"]]:
    """Return h_t of each step, and the memory before each step and after the last.

    ``fresh``: whether an episode begins with this step; what was remembered is then forgotten.
    """
    found = [memory]
    for t in range(x.shape[1]):
        memory = lstm_step(layers, x[:, t], memory * (~fresh[:, t]).unsqueeze(-1))
        found.append(memory)
    memories = torch.stack(found, dim=1)
    return memories[:, 1:].chunk(2, dim=-1)[0], memories


@dataclass(frozen=True)
class Network:
    """A network as a function of a flat vector: the shapes of its layers, and how they begin."""

    shapes: tuple[tuple[int, int], ...]
    """entries in and out of each layer, in the order of the flat vector"""
    units: tuple[int, ...] = field(default=(), compare=False)
    """numbers of the layers whose weights begin as units of length 1 with no bias; others uniform, as torch's"""

    def __post_init__(self) -> None:
        expect_fields(self, most={"units": MOST_SIZE})

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
                MLP(shape).initial_unit(generator) if i in self.units else MLP(shape).initial(generator)
                for i, shape in enumerate(self.shapes)
            ]
        )

    def layers(self, theta: Float[Tensor, "nets parameters"]) -> Layers:
        """Return ``theta`` in its parts; raise ``UsageError`` if its length is not this network's."""
        return split_layers(theta, self.shapes)


def _eyes(channels: int, sizes: Sequence[int]) -> tuple[tuple[int, int], ...]:
    return tuple((4 * n, m) for n, m in zip((channels, *sizes), sizes, strict=False))


def actor_critic(channels: int = 3) -> Network:
    """Return the actor-critic; ``channels`` of an image: 3, or 12 for a panorama.

    Layers 0 to 2 see, 3 and 4 are the LSTM's, 5 and 6 the actor's, 7 and 8 the critic's.
    """
    lstm = ((64, 256), (64, 256))
    return Network((*_eyes(channels, (16, 32, 64)), *lstm, (64, 64), (64, ACTIONS), (64, 64), (64, 1)), (5, 6, 7, 8))


MEMORY = 128
"""entries of the memory of the actor-critic and of the adversary: h and c of 64 units"""


def heads_of(layers: Layers, h: Float[Tensor, "nets *batch 64"]) -> tuple[Tensor, Tensor]:
    """Return the actor's logits ``[nets, *batch, actions]`` and the critic's values ``[nets, *batch]``."""
    flat = h.reshape(len(h), -1, h.shape[-1])
    logits = run(layers[6:7], run(layers[5:6], flat).tanh())
    v = run(layers[8:9], run(layers[7:8], flat).tanh())
    return logits.reshape(*h.shape[:-1], -1), v.reshape(h.shape[:-1])


def adversary(channels: int = 3) -> Network:
    """Return the adversary of AGAC: the actor-critic's eyes, LSTM and actor."""
    return Network(actor_critic(channels).shapes[:7], (5, 6))


def adversary_logits(layers: Layers, h: Float[Tensor, "nets *batch 64"]) -> Float[Tensor, "nets *batch actions"]:
    """Return the adversary's logits."""
    flat = h.reshape(len(h), -1, h.shape[-1])
    return run(layers[6:7], run(layers[5:6], flat).tanh()).reshape(*h.shape[:-1], -1)


def z_network(channels: int, d: int, width: int = 0) -> Network:
    """Return Z, an image to d pseudo-rewards; RND's and NovelD's predictor has the same shape.

    Its inner convolutions have a quarter and a half of ``width`` features; 0: of d.
    """
    size = width or d
    return Network(_eyes(channels, (size // 4, size // 2, d)))


@dataclass(frozen=True)
class Predictor:
    """RC-GVF's: V^(k) of what was seen, done and felt so far; the K heads share all but their last two layers."""

    channels: int = 3
    d: int = 128
    heads: int = 2
    """K"""
    width: int = 0
    """units of the LSTM, from which all inner sizes follow; 0: d"""

    def __post_init__(self) -> None:
        expect_fields(self, sizes=("channels", "d", "heads"), most={"width": MOST_SIZE})
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
        """Layers 0 to 2 see; 3, 4 and 5 take in what was seen, done and felt; 6 and 7 are the LSTM's; then heads."""
        n, d = self.size, self.d
        taken = ((n, n // 2), (ACTIONS, n // 4), (d, n // 4))
        return Network(
            (
                *_eyes(self.channels, (n // 4, n // 2, n)),
                *taken,
                *2 * ((n, 4 * n),),
                *self.heads * ((n, 2 * n), (2 * n, d)),
            )
        )

    def taken_in(
        self,
        layers: Layers,
        look: Tensor,
        before: Float[Tensor, "nets *batch actions"],
        felt: Float[Tensor, "nets *batch d"],
    ) -> Float[Tensor, "nets *batch size"]:
        """Return the LSTM's input from the image, the action before it, one-hot, and the pseudo-rewards before it."""
        seen = features(layers, look)
        parts = [
            run(layers[i : i + 1], x.reshape(len(x), -1, x.shape[-1])) for i, x in ((3, seen), (4, before), (5, felt))
        ]
        return torch.cat(parts, dim=-1).reshape(*seen.shape[:-1], -1)

    def predictions(self, layers: Layers, h: Float[Tensor, "nets *batch size"]) -> Float[Tensor, "nets heads *batch d"]:
        """Return V^(k) of all heads."""
        flat = h.reshape(len(h), -1, self.size)
        found = [run(layers[8 + 2 * k : 10 + 2 * k], flat) for k in range(self.heads)]
        return torch.stack(found, dim=1).reshape(len(h), self.heads, *h.shape[1:-1], self.d)


__all__ = [
    "ACTIONS",
    "MEMORY",
    "VIEW",
    "Network",
    "Predictor",
    "actor_critic",
    "adversary",
    "adversary_logits",
    "convolve",
    "features",
    "heads_of",
    "lstm_step",
    "pool",
    "see",
    "see_all",
    "unroll",
    "z_network",
]
