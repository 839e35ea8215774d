"""The sequence models of GPICL (2212.04458): Transformer (Fig. 1), LSTM, outer-product LSTM, and an MLP.

Token j is the input x_j beside the label of the example before it, so one causal pass predicts every y_j from
(x_1, y_1), ..., (x_{j-1}, y_{j-1}), x_j. The MLP of Fig. 2a sees x_j alone: it can only know tasks by heart.

Differences from the paper: where LayerNorm stands in the Transformer, the activation and the initialisation are not
known; here blocks are pre-LN with GELU, and linear maps start as torch's do by default. The outer-product LSTM
follows the appendix as far as it is known.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import einsum, rearrange
from torch import nn

from tutorlib.lab.errors import bad_argument, checked, expect_fields
from tutorlib.nn import lstm
from tutorlib.shapes import Bool, Float, Int, Tensor

ARCHITECTURES = ("transformer", "lstm", "outer-product", "mlp")
POSITIONS = ("learned", "none")


@dataclass(frozen=True)
class ModelConfig:
    """Sizes of a sequence model. The paper: a Transformer of width 256, 4 layers, 8 heads of 32, sequences of 100."""

    inputs: int = 16
    """N_x, the dimension of an input"""
    classes: int = 4
    """C, the number of labels"""
    length: int = 32
    """T, the longest sequence (the paper: 100)"""
    architecture: str = "transformer"
    """transformer, lstm, outer-product or mlp"""
    width: int = 64
    """N_M, the dimension of a token inside the Transformer; N_H, the hidden size of LSTM and MLP"""
    layers: int = 2
    """number of blocks (Transformer)"""
    heads: int = 2
    """attention heads per block (Transformer), or number of matrices (outer-product LSTM)"""
    head_dim: int = 32
    """N_K, the size of keys, queries and values of one head, or side of a matrix (outer-product LSTM)"""
    positions: str = "learned"
    """learned positional embedding, or none (Transformer)"""
    position_std: float = 0.3
    """standard deviation of the learned positions at the start"""

    def __post_init__(self) -> None:
        expect_fields(
            self,
            sizes=("inputs", "classes", "length", "width", "layers", "heads", "head_dim"),
            minimum={"classes": 2},
            maximum={"layers": 1_000},
            not_negative=("position_std",),
            choices={"architecture": ARCHITECTURES, "positions": POSITIONS},
        )
        if self.length < 2:
            raise bad_argument("length", self.length, "at least 2: a learner needs one example before its query")

    @property
    def state_size(self) -> int:
        """N_S: how many numbers reach the next prediction (see 'gpicl-idea-state' in the chapter).

        Transformer: keys and values of all layers and positions. LSTM: cell and hidden vector. Outer-product LSTM:
        the matrices and the hidden vector. MLP: nothing.
        """
        return {
            "transformer": 2 * self.layers * self.length * self.heads * self.head_dim,
            "lstm": 2 * self.width,
            "outer-product": self.heads * (self.head_dim**2 + self.head_dim),
            "mlp": 0,
        }[self.architecture]


def network(config: ModelConfig) -> nn.Module:
    """Return the network that ``config`` describes; each maps (x, y) to logits for every y_j."""
    kinds: tuple[Callable[[ModelConfig], nn.Module], ...] = (Transformer, LSTM, OuterProductLSTM, MLP)
    return dict(zip(ARCHITECTURES, kinds, strict=True))[config.architecture](config)


def tokens(
    x: Float[Tensor, "batch time inputs"], y: Int[Tensor, "batch time"], classes: int
) -> Float[Tensor, "batch time features"]:
    """Return token j = (x_j, one-hot of y_{j-1}); the first token carries zeros in place of a label (Fig. 1)."""
    one_hot = (y.unsqueeze(-1) == torch.arange(classes, device=y.device)).to(x.dtype)
    previous = torch.cat([torch.zeros_like(one_hot[:, :1]), one_hot[:, :-1]], dim=1)
    return torch.cat([x, previous], dim=-1)


class Block(nn.Module):
    """Pre-LN block: causal self-attention, then a two-layer MLP, each added to the token it reads."""

    def __init__(self, c: ModelConfig) -> None:
        super().__init__()
        self.heads = c.heads
        self.norm_attention = nn.LayerNorm(c.width)
        # No biases here: a bias on the keys shifts all scores of a query alike, so its gradient is rounding noise.
        self.query_key_value = nn.Linear(c.width, 3 * c.heads * c.head_dim, bias=False)
        self.out = nn.Linear(c.heads * c.head_dim, c.width)
        self.norm_mlp = nn.LayerNorm(c.width)
        self.up = nn.Linear(c.width, 4 * c.width)
        self.down = nn.Linear(4 * c.width, c.width)

    @staticmethod
    def future(t: int, device: torch.device) -> Bool[Tensor, "time time"]:
        """Return the mask of the pairs (query, key) in which the key comes after the query."""
        return torch.ones(t, t, dtype=torch.bool, device=device).triu(diagonal=1)

    def forward(self, h: Float[Tensor, "batch time width"]) -> Float[Tensor, "batch time width"]:
        """Return the tokens after attention over their past and the MLP."""
        qkv = self.query_key_value(self.norm_attention(h))
        q, k, v = rearrange(qkv, "b t (three heads d) -> three b heads t d", three=3, heads=self.heads)
        scores = (q @ k.transpose(-2, -1)) / math.sqrt(q.shape[-1])
        scores = scores.masked_fill(self.future(q.shape[-2], q.device), -math.inf)
        a = scores.softmax(dim=-1) @ v
        h = h + self.out(rearrange(a, "b heads t d -> b t (heads d)"))
        return h + self.down(F.gelu(self.up(self.norm_mlp(h))))


class Transformer(nn.Module):
    """f_theta: the causal Transformer that reads a data set as a sequence and predicts every label in it."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.embed = nn.Linear(config.inputs + config.classes, config.width)
        if config.positions == "learned":
            self.positions = nn.Parameter(torch.empty(config.length, config.width))
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, config.classes)

    def forward(
        self, x: Float[Tensor, "batch time inputs"], y: Int[Tensor, "batch time"]
    ) -> Float[Tensor, "batch time classes"]:
        """Return logits for every y_j; those at position j depend on (x, y) before j and on x_j alone."""
        h = self.embed(tokens(x, y, self.config.classes))
        if self.config.positions == "learned":
            h = h + self.positions[: x.shape[1]]
        for block in self.blocks:
            h = block(h)
        return self.head(self.norm(h))


class LSTM(nn.Module):
    """The LSTM of Table 1: cell and hidden vector of ``width`` numbers carry all that was learned."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.token = nn.Linear(config.inputs + config.classes, 4 * config.width)
        self.recurrent = nn.Linear(config.width, 4 * config.width, bias=False)
        self.head = nn.Linear(config.width, config.classes)

    def forward(
        self, x: Float[Tensor, "batch time inputs"], y: Int[Tensor, "batch time"]
    ) -> Float[Tensor, "batch time classes"]:
        """Return logits for every y_j; those at position j depend on (x, y) before j and on x_j alone."""
        from_tokens = self.token(tokens(x, y, self.config.classes))
        h = c = x.new_zeros(x.shape[0], self.config.width)
        hidden = []
        for from_token in from_tokens.unbind(dim=1):
            i, f, g, o = (from_token + self.recurrent(h)).chunk(4, dim=-1)
            h, c = lstm(i, f, g, o, c)
            hidden.append(h)
        return self.head(torch.stack(hidden, dim=1))


class OuterProductLSTM(nn.Module):
    """An LSTM whose cell is one s x s matrix per head, written by outer products and read by a query.

    Its state grows with s^2 while its parameters grow as those of an LSTM with s units per head.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        units = config.heads * config.head_dim
        self.token = nn.Linear(config.inputs + config.classes, 8 * units)
        self.recurrent = nn.Linear(units, 8 * units, bias=False)
        self.strength = nn.Parameter(torch.zeros(config.heads))
        self.head = nn.Linear(units, config.classes)

    def forward(
        self, x: Float[Tensor, "batch time inputs"], y: Int[Tensor, "batch time"]
    ) -> Float[Tensor, "batch time classes"]:
        """Return logits for every y_j; those at position j depend on (x, y) before j and on x_j alone."""
        heads, s = self.config.heads, self.config.head_dim
        from_tokens = self.token(tokens(x, y, self.config.classes))
        strength = F.softplus(self.strength)[:, None, None]
        c = x.new_zeros(x.shape[0], heads, s, s)
        h = x.new_zeros(x.shape[0], heads * s)
        hidden = []
        # Only time is a loop: every head of every sequence is a row of the same tensors.
        for from_token in from_tokens.unbind(dim=1):
            numbers = rearrange(from_token + self.recurrent(h), "b (heads n s) -> b heads n s", heads=heads, s=s)
            keys, q, o = numbers[:, :, :6].tanh(), numbers[:, :, 6], numbers[:, :, 7]
            k1, k2 = strength * keys[:, :, :3], keys[:, :, 3:]
            i, g, f = (k1.unsqueeze(-1) * k2.unsqueeze(-2)).unbind(dim=2)  # three outer products
            c = (f + 1.0).sigmoid() * c + i.sigmoid() * g
            r = einsum(c, q, "b heads a b2, b heads a -> b heads b2")
            h = (o.sigmoid() * r.tanh()).flatten(1)
            hidden.append(h)
        return self.head(torch.stack(hidden, dim=1))


class MLP(nn.Module):
    """The network of Fig. 2a: two hidden ReLU layers that see one input and no example (N_D = 1)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.first = nn.Linear(config.inputs, config.width)
        self.second = nn.Linear(config.width, config.width)
        self.head = nn.Linear(config.width, config.classes)

    def forward(
        self, x: Float[Tensor, "batch time inputs"], y: Int[Tensor, "batch time"]
    ) -> Float[Tensor, "batch time classes"]:
        """Return logits for every y_j; those at position j depend on x_j alone."""
        return self.head(self.second(self.first(x).relu()).relu())


@checked()
def initial_parameters(net: nn.Module, generator: torch.Generator) -> Float[Tensor, "parameters"]:
    """Return a start for the parameters of ``net`` as one vector, drawn on the CPU from ``generator``.

    Linear maps: uniform in +-1/sqrt(fan-in), torch's default. Positions: N(0, position_std^2). LayerNorm: the identity.
    Strength of the outer-product LSTM: 0, so that softplus makes ln 2 of it.
    """
    assert isinstance(net.config, ModelConfig)
    start = []
    for name, p in net.named_parameters():
        module = net.get_submodule(name.rpartition(".")[0])
        if name == "positions":
            value = net.config.position_std * torch.randn(p.shape, generator=generator)
        elif name == "strength":
            value = torch.zeros(p.shape)
        elif isinstance(module, nn.LayerNorm):
            value = torch.ones(p.shape) if name.endswith("weight") else torch.zeros(p.shape)
        else:
            assert isinstance(module, nn.Linear)
            value = (2 * torch.rand(p.shape, generator=generator) - 1) / math.sqrt(module.in_features)
        start.append(value.flatten())
    return torch.cat(start)
