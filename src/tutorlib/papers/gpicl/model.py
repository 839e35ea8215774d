"""The sequence model of GPICL (2212.04458, Fig. 1): a causal Transformer.

Token j is the input x_j beside the label of the example before it, so one causal pass predicts every y_j from
(x_1, y_1), ..., (x_{j-1}, y_{j-1}), x_j. Differences from the paper: where LayerNorm stands, the activation and the
initialisation are not known; here blocks are pre-LN with GELU, and linear maps start as torch's do by default.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import nn

from tutorlib.lab.errors import bad_argument
from tutorlib.shapes import Bool, Float, Int, Tensor


@dataclass(frozen=True)
class TransformerConfig:
    """Sizes of the Transformer. The paper: width 256, 4 layers, 8 heads of 32, sequences of 100."""

    inputs: int = 16
    """N_x, the dimension of an input"""
    classes: int = 4
    """C, the number of labels"""
    length: int = 32
    """T, the longest sequence (the paper: 100)"""
    width: int = 64
    """N_M, the model size: the dimension of a token inside the network"""
    layers: int = 2
    """number of blocks"""
    heads: int = 2
    """attention heads per block"""
    head_dim: int = 32
    """N_K, the size of keys, queries and values of one head"""
    position_std: float = 0.3
    """standard deviation of the learned positions at the start"""

    def __post_init__(self) -> None:
        for name in ("inputs", "classes", "width", "layers", "heads", "head_dim"):
            if getattr(self, name) < 1:
                raise bad_argument(name, getattr(self, name), "a positive integer")
        if self.length < 2:
            raise bad_argument("length", self.length, "at least 2: a learner needs one example before its query")
        if self.classes < 2:
            raise bad_argument("classes", self.classes, "at least 2 labels")

    @property
    def state_size(self) -> int:
        """N_S: the numbers that reach the next prediction, keys and values of all layers and positions."""
        return 2 * self.layers * self.length * self.heads * self.head_dim


def tokens(
    x: Float[Tensor, "batch time inputs"], y: Int[Tensor, "batch time"], classes: int
) -> Float[Tensor, "batch time features"]:
    """Return token j = (x_j, one-hot of y_{j-1}); the first token carries zeros in place of a label (Fig. 1)."""
    one_hot = (y.unsqueeze(-1) == torch.arange(classes, device=y.device)).to(x.dtype)
    previous = torch.cat([torch.zeros_like(one_hot[:, :1]), one_hot[:, :-1]], dim=1)
    return torch.cat([x, previous], dim=-1)


class Block(nn.Module):
    """Pre-LN block: causal self-attention, then a two-layer MLP, each added to the token it reads."""

    def __init__(self, c: TransformerConfig) -> None:
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

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.embed = nn.Linear(config.inputs + config.classes, config.width)
        self.positions = nn.Parameter(torch.empty(config.length, config.width))
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, config.classes)

    def forward(
        self, x: Float[Tensor, "batch time inputs"], y: Int[Tensor, "batch time"]
    ) -> Float[Tensor, "batch time classes"]:
        """Return logits for every y_j; those at position j depend on (x, y) before j and on x_j alone."""
        h = self.embed(tokens(x, y, self.config.classes)) + self.positions[: x.shape[1]]
        for block in self.blocks:
            h = block(h)
        return self.head(self.norm(h))


def initial_parameters(net: Transformer, generator: torch.Generator) -> Float[Tensor, "parameters"]:
    """Return a start for the parameters of ``net`` as one vector, drawn on the CPU from ``generator``.

    Linear maps: uniform in +-1/sqrt(fan-in), torch's default. Positions: N(0, position_std^2). LayerNorm: the identity.
    """
    start = []
    for name, p in net.named_parameters():
        module = net.get_submodule(name.rpartition(".")[0])
        if name == "positions":
            value = net.config.position_std * torch.randn(p.shape, generator=generator)
        elif isinstance(module, nn.LayerNorm):
            value = torch.ones(p.shape) if name.endswith("weight") else torch.zeros(p.shape)
        else:
            assert isinstance(module, nn.Linear)
            value = (2 * torch.rand(p.shape, generator=generator) - 1) / math.sqrt(module.in_features)
        start.append(value.flatten())
    return torch.cat(start)
