"""How fast GoGePo writes policies and learns, at the paper's sizes, on one CPU thread.

python benchmarks/generators.py               both comparisons
python benchmarks/generators.py --rounds 3    each three times; a number is the median

Two things are timed, each in turn with its plain form in the same run, by the processor's time, so that other work on
the machine counts little:

- 16 policies of 66,817 weights are written: all blocks of a kind as one batch, against a loop over blocks.
- The updates after an episode (4 of the evaluator, 19 of the generator, batches of 16): flat parameters and all
  policies side by side, against modules of PyTorch with their optimiser, layer by layer and policy by policy.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from tutorlib.nn import run_layers
from tutorlib.papers.gogepo.algorithm import Learner, Setting, begin, learn
from tutorlib.papers.gogepo.buffer import recency_table
from tutorlib.papers.gogepo.config import Config
from tutorlib.papers.gogepo.model import Generator

STORED = 64
"""policies in the buffer of the updates"""


def block_by_block(generator: Generator, rho: Tensor, c: Tensor) -> Tensor:
    """Return what ``generator.generate`` returns for one run, by a call of each shared network for each block."""
    policies = []
    shared = generator.split(rho)
    for command in c[0]:
        layers: dict[int, Tensor] = {}
        for kind in generator.kinds:
            z, h_w, h_b = shared[kind.name]
            first = 0
            for layer, (i, j) in zip(kind.layers, kind.tiles, strict=True):
                weights = torch.empty(j * kind.rows, i * kind.columns)
                biases = torch.zeros(j * kind.rows)
                for x in range(i):
                    for y in range(j):
                        row = torch.cat([z[0, first + x * j + y], command[None]])[None, None]
                        out, inner = slice(y * kind.rows, (y + 1) * kind.rows), slice(x * kind.columns, None)
                        block = run_layers(h_w, row, torch.relu).view(kind.rows, kind.columns)
                        weights[out, inner][:, : kind.columns] = block
                        biases[out] += run_layers(h_b, row, torch.relu)[0, 0] / i
                layers[layer] = torch.cat([weights.flatten(), biases]) * 2 / generator.policy.shapes[layer][0] ** 0.5
                first += i * j
        policies.append(torch.cat([layers[layer] for layer in sorted(layers)]))
    return torch.stack(policies)[None]


def mlp(*sizes: int) -> nn.Sequential:
    parts: list[nn.Module] = []
    for n, m in pairwise(sizes):
        parts += [nn.Linear(n, m), nn.ReLU()]
    return nn.Sequential(*parts[:-1])


class PlainGenerator(nn.Module):
    """The generator as modules: two networks for each layer of the policy, which are called for its blocks."""

    def __init__(self, c: Config) -> None:
        super().__init__()
        self.c, self.kinds = c, c.generator.kinds
        hidden = (c.net_width,) * c.layers
        self.z = nn.ParameterList(nn.Parameter(torch.randn(kind.blocks, c.embedding)) for kind in self.kinds)
        self.weights = nn.ModuleList(mlp(c.embedding + 1, *hidden, k.rows * k.columns) for k in self.kinds)
        self.biases = nn.ModuleList(mlp(c.embedding + 1, *hidden, k.rows) for k in self.kinds)

    def forward(self, command: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Return weights and biases of each layer of the policy for one command."""
        layers = []
        for kind, z, h_w, h_b, (n, _) in zip(
            self.kinds, self.z, self.weights, self.biases, self.c.policy.shapes, strict=True
        ):
            ((i, j),) = kind.tiles
            rows = torch.cat([z, command.expand(len(z), 1)], dim=1)
            blocks = h_w(rows).view(i, j, kind.rows, kind.columns)
            w = blocks.permute(1, 2, 0, 3).reshape(j * kind.rows, i * kind.columns)
            b = h_b(rows).view(i, j * kind.rows).mean(dim=0)
            layers.append((w * 2 / n**0.5, b * 2 / n**0.5))
        return layers


class PlainEvaluator(nn.Module):
    """Probing states, and a network of the actions there."""

    def __init__(self, c: Config) -> None:
        super().__init__()
        self.states = nn.Parameter(torch.rand(c.states, c.policy.observations))
        self.u = mlp(c.states * c.policy.actions, *(c.net_width,) * c.layers, 1)

    def forward(self, policy: list[tuple[Tensor, Tensor]]) -> Tensor:
        h = self.states
        for w, b in policy:
            h = F.linear(h, w, b).tanh()
        return self.u(h.flatten())[0]


@dataclass
class Plain:
    """The updates after an episode, as modules with their optimisers."""

    c: Config

    def __post_init__(self) -> None:
        self.generator, self.evaluator = PlainGenerator(self.c), PlainEvaluator(self.c)
        self.of_rho = torch.optim.Adam(self.generator.parameters(), lr=self.c.generator_lr)
        self.of_w = torch.optim.Adam(self.evaluator.parameters(), lr=self.c.evaluator_lr)
        with torch.no_grad():
            self.stored = [self.generator(torch.rand(1)) for _ in range(STORED)]
        self.r = torch.rand(STORED) * 100

    def __call__(self) -> None:
        for step in range(self.c.evaluator_steps + self.c.generator_steps):
            which = torch.randint(STORED, (self.c.batch,))
            self.of_w.zero_grad()
            if step < self.c.evaluator_steps:
                values = torch.stack([self.evaluator(self.stored[k]) for k in which.tolist()])
                (values - self.r[which]).square().mean().backward()
                self.of_w.step()
                continue
            self.of_rho.zero_grad()
            values = torch.stack([self.evaluator(self.generator(r[None] * self.c.scale)) for r in self.r[which]])
            (values - self.r[which]).square().mean().backward()
            self.of_rho.step()


@dataclass
class Ours:
    """The updates after an episode, of the library."""

    c: Config

    def __post_init__(self) -> None:
        self.setting: Setting
        self.setting, self.state = begin(self.c, [0], torch.device("cpu"))
        self.learner: Learner = self.state.learner
        self.table = recency_table(self.c.capacity, self.c.recency, torch.device("cpu"))
        self.state.buffer.theta[:, :STORED] = 0.1 * torch.randn(1, STORED, self.c.policy.size)
        self.state.buffer.r[:, :STORED] = torch.rand(1, STORED) * 100

    def __call__(self) -> None:
        u = torch.rand(1, self.c.evaluator_steps + self.c.generator_steps, self.c.batch)
        self.learner = learn(self.setting, self.learner, self.state.buffer, self.table, STORED - 1, u)


def seconds(f: Callable[[], object]) -> float:
    start = time.process_time()
    f()
    return time.process_time() - start


def operations(f: Callable[[], object]) -> int:
    """Return the operations of the matrix products in ``f``."""
    with FlopCounterMode(display=False) as counter:
        f()
    return counter.get_total_flops()


def in_turn(sides: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the median seconds of each side."""
    measured: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, f in sides.items():
            measured[name].append(seconds(f))
    return {name: statistics.median(times) for name, times in measured.items()}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=1)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    torch.manual_seed(0)
    c = Config()
    generator, rho = c.generator, c.generator.initial(torch.Generator().manual_seed(0))[None]
    commands = torch.linspace(-1, 1, 16)[None]
    with torch.no_grad():
        torch.testing.assert_close(
            generator.generate(rho, commands), block_by_block(generator, rho, commands), rtol=1e-4, atol=1e-5
        )
        took = in_turn(
            {
                "ours": lambda: generator.generate(rho, commands),
                "loop": lambda: block_by_block(generator, rho, commands),
            },
            rounds,
        )
    print(
        f"16 policies of {c.policy.size:,} weights: {1000 * took['ours']:.0f} ms; a loop over blocks "
        f"{1000 * took['loop']:.0f} ms, {took['loop'] / took['ours']:.1f}x"
    )
    matrix = torch.rand(1024, 1024)
    ours = Ours(c)
    work = operations(ours)
    took = in_turn({"ours": ours, "plain": Plain(c), "peak": lambda: [matrix @ matrix for _ in range(8)]}, rounds)
    peak = 8 * 2 * 1024**3 / took["peak"]
    print(
        f"4 + 19 updates, {work / 1e9:.0f} billion operations in matrix products: {took['ours']:.2f} s, "
        f"{work / took['ours'] / peak:.0%} of the peak ({peak / 1e9:.0f} GFLOP/s); "
        f"layer by layer {took['plain']:.2f} s, "
        f"{took['plain'] / took['ours']:.2f}x"
    )


if __name__ == "__main__":
    main()
