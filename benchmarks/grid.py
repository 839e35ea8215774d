"""How fast a grid of sub-RNNs ticks, and how much memory a lifetime of backpropagation needs.

    python benchmarks/grid.py [--device cuda] [--rounds 5] [--compile]
    python benchmarks/grid.py --memory
    python benchmarks/grid.py --learning [--rows forward] [--rounds 3]

Compares, in turn and in one run: the batched but unfactorised form (every sub-RNN's inputs side by side, one product,
messages mapped for every sub-RNN and then averaged), ``grid_tick`` (factorised), the same compiled, and on a GPU the
same as one CUDA graph of 20 ticks. ``--memory`` runs one lifetime of 500 examples at 784 x 10 forwards and backwards
in a process of its own and prints its peak. ``--learning`` times whole lifetimes of VSML, eager and compiled in turn,
by the CPU clock: meta-test (forward), the gradient of the meta-loss (BPTT) and the losses of a population (ES).
"""

import argparse
import math
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import torch

from tutorlib.lab import Context, pick_device
from tutorlib.nn.grid import GridConfig, GridState, grid_tick, initial_parameters, split, zero_state
from tutorlib.papers.vsml.algorithm import lifetime, lifetime_in, online, online_loss
from tutorlib.papers.vsml.model import dense

GRID = GridConfig()
SIZES = {"MNIST 784x10, 1 sequence": (1, 784, 10), "digits 64x10, 8": (8, 64, 10), "prototypes 8x4, 32": (32, 8, 4)}
FLOP = 2 * 16 * 64
"""Of the one product that is left for each sub-RNN; pointwise work comes on top."""
BYTES = 256
"""h and c, read and written once in float32: the traffic that no form can avoid."""


def unfactorised(
    theta: torch.Tensor, state: GridState, m: torch.Tensor, mb: torch.Tensor, config: GridConfig
) -> GridState:
    part, at = {}, 0
    for name, shape in config.shapes.items():
        part[name] = theta[at : at + math.prod(shape)].view(shape)
        at += math.prod(shape)
    weights = torch.cat([part["w_m"], part["w_b"], part["w_h"]])
    h, c = state.h, state.c
    shape = (*h.shape[:-1], -1)
    for _ in range(config.micro_ticks):
        z = torch.cat([m.unsqueeze(-2).expand(shape), mb.unsqueeze(-3).expand(shape), h], dim=-1) @ weights
        i, g, f, o = (z + part["beta"]).chunk(4, dim=-1)
        c = torch.sigmoid(f + config.forget_bias) * c + torch.sigmoid(i + config.input_bias) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
    forward = (h @ part["v_F"] + part["o_F"]).mean(dim=-3)
    return GridState(h, c, forward, (h @ part["v_B"] + part["o_B"]).mean(dim=-2))


def seconds(run: Callable[[], object], device: torch.device, at_least: float = 0.2) -> float:
    """Return the seconds of one call, over as many calls as fill ``least`` seconds."""
    calls, spent = 1, 0.0
    while True:
        if device.type == "cuda":
            torch.cuda.synchronize()
        started = time.perf_counter()
        for _ in range(calls):
            run()
        if device.type == "cuda":
            torch.cuda.synchronize()
        spent = time.perf_counter() - started
        if spent > at_least:
            return spent / calls
        calls *= 2


def graphed(run: Callable[[], object], ticks: int = 20) -> Callable[[], object]:
    """Return ``run`` repeated ``ticks`` times as one CUDA graph."""
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for _ in range(3):
            run()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(ticks):
            run()
    return graph.replay


def ticks(device: torch.device, rounds: int, compiled: bool, only: str) -> None:
    for name, (e, a, b) in ((n, s) for n, s in SIZES.items() if only in n):
        generator = torch.Generator().manual_seed(0)
        theta = initial_parameters(GRID, generator).to(device)
        state = zero_state(GRID, (), e, a, b, theta)
        m, mb = torch.randn(e, a, 8, device=device), torch.randn(e, b, 8, device=device)
        p = split(theta, GRID)
        forms: dict[str, tuple[Callable[[], object], int]] = {
            "unfactorised": (lambda s=state, m=m, mb=mb, t=theta: unfactorised(t, s, m, mb, GRID), 1),
            "factorised": (lambda s=state, m=m, mb=mb, p=p: grid_tick(p, s, m, mb, GRID), 1),
        }
        if compiled:
            fast = torch.compile(grid_tick, dynamic=False)
            forms["compiled"] = (lambda s=state, m=m, mb=mb, p=p, f=fast: f(p, s, m, mb, GRID), 1)
        if device.type == "cuda":
            forms["graphed"] = (graphed(forms["factorised"][0]), 20)
        with torch.no_grad():
            for run, _ in forms.values():
                run()
            times = {form: [] for form in forms}
            for _ in range(rounds):
                for form, (run, many) in forms.items():
                    times[form].append(seconds(run, device) / many)
        medians = {form: statistics.median(t) for form, t in times.items()}
        per_tick = e * a * b * GRID.micro_ticks
        for form, t in medians.items():
            rate = per_tick / t
            print(
                f"{name}: {form} {rate:.3g} micro ticks/s, {medians['unfactorised'] / t:.2f}x unfactorised, "
                f"{rate * FLOP / 1e9:.1f} GFLOP/s, {rate * BYTES / 1e9:.2f} GB/s of states"
            )
    n = 2**24 if device.type == "cpu" else 2**28
    x, out = torch.randn(n, device=device), torch.empty(n, device=device)
    copy = seconds(lambda: out.copy_(x), device)
    h, w = torch.randn(2**14, 16, device=device), torch.randn(16, 64, device=device)
    product = seconds(lambda: h @ w, device)
    sigmoid = seconds(lambda: torch.sigmoid(x, out=out), device)
    print(
        f"limits measured in this run: {8 * n / copy / 1e9:.1f} GB/s copied, "
        f"{2 * h.numel() * 64 / product / 1e9:.0f} GFLOP/s in products of this shape, "
        f"{n / sigmoid / 80:.3g} micro ticks/s if the 80 sigmoids of one were all"
    )


LEARNING = {
    "forward 784x10": (784, 10, 1, 20),
    "forward 64x10": (64, 10, 1, 100),
    "forward 8x4": (8, 4, 1, 200),
    "forward 8x4, 32 sequences": (8, 4, 32, 50),
    "BPTT 784x10": (784, 10, 1, 10),
    "BPTT 8x4, 32 sequences": (8, 4, 32, 50),
    "ES 784x10, 8 members": (784, 10, 8, 10),
    "ES 8x4, 128 members": (8, 4, 128, 50),
}
"""inputs, classes, sequences or members, and examples"""


def learning(rounds: int, only: str) -> None:
    for name, (a, b, many, time_steps) in ((n, s) for n, s in LEARNING.items() if only in n):
        torch.compiler.reset()
        generator = torch.Generator().manual_seed(0)
        net = dense((a, b))
        members = (many,) if name.startswith("ES") else ()
        shape = (many, 1) if members else (many,)
        theta = net.initial_parameters(generator)
        thetas = theta + 0.05 * torch.randn(*members, len(theta), generator=generator)
        x = torch.randn(*shape, time_steps, a, generator=generator)
        y = torch.randint(b, (*shape, time_steps), generator=generator)
        forms = {"eager": lifetime, "compiled": lifetime_in(Context(compile=True))}

        def run(live: Callable, name: str = name, data: tuple = (net, thetas, x, y)) -> torch.Tensor:
            net, thetas, x, y = data
            if not name.startswith("BPTT"):
                with torch.no_grad():
                    return online(net, thetas, x, y, live=live)
            leaf = thetas.clone().requires_grad_()
            return torch.autograd.grad(online_loss(online(net, leaf, x, y, live=live), y), leaf)[0]

        eager, compiled = (run(live) for live in forms.values())
        apart = float((eager - compiled).abs().max() / eager.abs().max())
        times: dict[str, list[float]] = {form: [] for form in forms}
        for _ in range(rounds):
            for form, live in forms.items():
                for _ in range(3):
                    started = time.process_time()
                    run(live)
                    times[form].append((time.process_time() - started) / time_steps * 1e6)
        fastest = {form: min(t) for form, t in times.items()}  # other work on the machine can only add
        print(
            f"{name}: eager {fastest['eager']:.0f} us an example, compiled {fastest['compiled']:.0f} us, "
            f"{fastest['eager'] / fastest['compiled']:.2f}x; they differ by {apart:.0e}",
            flush=True,
        )


def memory(examples: int, chunk: int) -> None:
    """Run one lifetime forwards and backwards at the size of MNIST and print the peak memory of this process."""
    torch.set_num_threads(1)
    net = dense((784, 10))
    generator = torch.Generator().manual_seed(0)
    theta = net.initial_parameters(generator).requires_grad_()
    x, y = torch.randn(1, examples, 784, generator=generator), torch.randint(10, (1, examples), generator=generator)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    started = time.perf_counter()
    online_loss(online(net, theta, x, y, generator, chunk or None), y).backward()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    spent = time.perf_counter() - started
    print(
        f"BPTT over {examples} examples at 784x10, chunk {chunk or 'none'}: peak {peak:.2f} GB "
        f"({before:.2f} before the run), {spent:.1f} s"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--sizes", default="", help="only those with this in their name")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--learning", action="store_true")
    parser.add_argument("--rows", default="", help="only rows of --learning with this in their name")
    parser.add_argument("--lifetime", type=int, nargs=2, metavar=("EXAMPLES", "CHUNK"), help="one memory run, in here")
    arguments = parser.parse_args()
    if arguments.lifetime:
        memory(*arguments.lifetime)
    elif arguments.memory:
        for run in (("100", "0"), ("500", "10")):  # without checkpoints, a fifth of the lifetime says enough
            subprocess.run([sys.executable, __file__, "--lifetime", *run], check=True)
    elif arguments.learning:
        torch.set_num_threads(1)
        learning(arguments.rounds, arguments.rows)
    else:
        torch.set_num_threads(1)
        ticks(pick_device(arguments.device), arguments.rounds, arguments.compile, arguments.sizes)
