"""How fast the networks of GPICL train: tokens per second, and their share of the matrix-product peak.

python benchmarks/networks.py                 one CPU thread
python benchmarks/networks.py --device cuda   GPU

One training step is forward pass, gradient, clipping and Adam on given sequences, in 32-bit floats. All sides of a
ratio are timed in turn in the same run; a number is the median over the rounds.
"""

import argparse
import math
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tutorlib.lab import Trial, device_name, pick_device
from tutorlib.nn import FlatModule
from tutorlib.papers.gpicl.algorithm import Config, State, adam, hyper, initial_state, objective
from tutorlib.papers.gpicl.experiments import LIVE, PAPER
from tutorlib.papers.gpicl.model import ModelConfig, OuterProductLSTM, Transformer, network, tokens

Step = Callable[[], object]


class PlainLayer(nn.Module):
    """Pre-LN attention and MLP as they stand in a textbook: three maps, an explicit mask, a softmax."""

    def __init__(self, c: ModelConfig) -> None:
        super().__init__()
        inner = c.heads * c.head_dim
        self.c = c
        self.q, self.k, self.v = (nn.Linear(c.width, inner, bias=False) for _ in range(3))
        self.out = nn.Linear(inner, c.width)
        self.norm1, self.norm2 = nn.LayerNorm(c.width), nn.LayerNorm(c.width)
        self.up, self.down = nn.Linear(c.width, 4 * c.width), nn.Linear(4 * c.width, c.width)

    def forward(self, h: Tensor) -> Tensor:
        z = self.norm1(h)
        q, k, v = (m(z).unflatten(-1, (self.c.heads, -1)).transpose(1, 2) for m in (self.q, self.k, self.v))
        scores = q @ k.transpose(-1, -2) / math.sqrt(self.c.head_dim)
        later = torch.ones(h.shape[1], h.shape[1], dtype=torch.bool, device=h.device).triu(1)
        mixed = scores.masked_fill(later, -torch.inf).softmax(-1) @ v
        h = h + self.out(mixed.transpose(1, 2).flatten(2))
        return h + self.down(F.gelu(self.up(self.norm2(h))))


class Around(nn.Module):
    """Tokens and positions before ``body``, a linear head behind it."""

    def __init__(self, c: ModelConfig, body: nn.Module) -> None:
        super().__init__()
        self.c, self.body = c, body
        self.embed = nn.Linear(c.inputs + c.classes, c.width)
        self.positions = nn.Parameter(0.3 * torch.randn(c.length, c.width))
        self.norm, self.head = nn.LayerNorm(c.width), nn.Linear(c.width, c.classes)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.head(self.norm(self.body(self.embed(tokens(x, y, self.c.classes)) + self.positions)))


class Encoder(nn.Module):
    """``torch.nn.TransformerEncoder`` with a causal mask, the sizes of ours."""

    def __init__(self, c: ModelConfig) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(
            c.width, c.heads, 4 * c.width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, c.layers, enable_nested_tensor=False)
        self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(c.length))

    def forward(self, h: Tensor) -> Tensor:
        return self.encoder(h, mask=self.mask, is_causal=True)


def step_of_module(net: nn.Module, x: Tensor, y: Tensor) -> Step:
    """Return a training step as most code has it: ``torch.optim.Adam``, ``clip_grad_norm_``."""
    optimizer = torch.optim.Adam(net.parameters(), 1e-4, (0.9, 0.98), 1e-12)

    def step() -> None:
        loss = F.cross_entropy(net(x, y).flatten(0, 1), y.flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()

    return step


def step_of_ours(c: Config, x: Tensor, y: Tensor, device: torch.device, compiled: bool = False) -> Step:
    """Return the library's training step, on given sequences."""
    trial = [Trial(c, 0)]
    f, h = FlatModule(network(c.model).to(device)), hyper(trial, device)
    state = [initial_state(f, trial, device)]
    x, y = x[None], y[None]  # one run

    def loss_of(theta: Tensor) -> Tensor:
        return objective(f, theta, x, y)

    def update(state: State, g: Tensor) -> State:
        g = g * (c.max_grad_norm / g.norm(dim=-1, keepdim=True)).clamp(max=1.0)
        return adam(state, g, 200, c, h)

    if compiled:
        loss_of, update = torch.compile(loss_of), torch.compile(update)

    def step() -> None:
        theta = state[0].theta.detach().requires_grad_()
        (g,) = torch.autograd.grad(loss_of(theta).sum(), theta)
        with torch.no_grad():
            state[0] = update(state[0], g)

    return step


class NaiveOuterProductLSTM(OuterProductLSTM):
    """The same network, one sequence and one head at a time."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        heads, s = self.config.heads, self.config.head_dim
        from_tokens, strength = self.token(tokens(x, y, self.config.classes)), F.softplus(self.strength)
        logits = []
        for sequence in from_tokens:
            c, h, out = [x.new_zeros(s, s)] * heads, x.new_zeros(heads * s), []
            for token in sequence:
                numbers = (token + self.recurrent(h)).view(heads, 8, s)
                parts = []
                for n in range(heads):
                    k1, k2 = strength[n] * numbers[n, :3].tanh(), numbers[n, 3:6].tanh()
                    i, g, f = (torch.outer(a, b) for a, b in zip(k1, k2, strict=True))
                    c[n] = (f + 1.0).sigmoid() * c[n] + i.sigmoid() * g
                    parts.append(numbers[n, 7].sigmoid() * (numbers[n, 6] @ c[n]).tanh())
                h = torch.cat(parts)
                out.append(self.head(h))
            logits.append(torch.stack(out))
        return torch.stack(logits)


def seconds(steps: dict[str, Step], rounds: int, device: torch.device, budget: float = 2.0) -> dict[str, float]:
    """Return the median time of one call of each of ``steps``, timed in turn."""
    took: dict[str, list[float]] = {name: [] for name in steps}
    calls = {}
    for name, step in steps.items():
        step()
        begin = time.perf_counter()
        step()
        _wait(device)
        calls[name] = max(1, int(budget / (time.perf_counter() - begin)))
    for _ in range(rounds):
        for name, step in steps.items():
            begin = time.perf_counter()
            for _ in range(calls[name]):
                step()
            _wait(device)
            took[name].append((time.perf_counter() - begin) / calls[name])
    return {name: statistics.median(times) for name, times in took.items()}


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def flops(c: ModelConfig, sequences: int) -> float:
    """Return the floating-point operations of a step's matrix products: forward, and twice that backward."""
    net = Transformer(c)
    maps = sum(m.weight.numel() for m in net.modules() if isinstance(m, nn.Linear))
    attention = 2 * c.layers * c.length * c.heads * c.head_dim  # per token: q k^T and the sum of values, no mask
    return 3 * 2 * sequences * c.length * (maps + attention)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default=None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--no-compile", action="store_true", help="leave the compiled row out (it needs a C++ compiler)"
    )
    arguments = parser.parse_args()
    device = pick_device(arguments.device)
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, {device_name(device)}, one CPU thread")
    torch.manual_seed(0)

    matrix = torch.randn(1536, 1536, device=device)
    for name, c, sequences in (("the paper's sizes", PAPER, 32), ("the live sizes", LIVE, 32)):
        m = c.model
        x = torch.randn(sequences, m.length, m.inputs, device=device)
        y = torch.randint(m.classes, (sequences, m.length), device=device)
        plain = Around(m, nn.Sequential(*(PlainLayer(m) for _ in range(m.layers)))).to(device)
        steps = {
            "peak": lambda: matrix @ matrix,
            "plain eager": step_of_module(plain, x, y),
            "TransformerEncoder": step_of_module(Around(m, Encoder(m)).to(device), x, y),
            "ours": step_of_ours(c, x, y, device),
        }
        if not arguments.no_compile:
            steps["ours, compiled"] = step_of_ours(c, x, y, device, compiled=True)
        times = seconds(steps, arguments.rounds, device)
        peak = 2 * 1536**3 / times.pop("peak")
        print(f"{name}: {sequences} sequences of {m.length}; matrix products reach {peak / 1e9:.0f} GFLOP/s")
        for side, took in times.items():
            rate, share = sequences * m.length / took, flops(m, sequences) / took / peak
            print(f"    {side:20s} {rate:9.0f} tokens/s  {share:4.0%} of the peak  {times['ours'] / took:.2f}x ours")

    c = ModelConfig(architecture="outer-product", heads=4, head_dim=16)
    x, y = torch.randn(32, 32, 16, device=device), torch.randint(4, (32, 32), device=device)
    naive, ours = (step_of_module(kind(c).to(device), x, y) for kind in (NaiveOuterProductLSTM, OuterProductLSTM))
    times = seconds({"naive": naive, "ours": ours}, arguments.rounds, device)
    print(f"outer-product LSTM 4x16, 32 sequences of 32: {times['naive'] / times['ours']:.1f}x its loops")


if __name__ == "__main__":
    main()
