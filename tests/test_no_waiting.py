"""Training and environments never wait for a device: what the source may not call, and what a step may not do.

A GPU works on while Python queues the next operations. Whoever reads a value waits until it is computed, so one read in
a step costs as much as many operations. The source is searched for the calls that read; single steps are run while
every operation is watched; and where there is a GPU, it is told to refuse.
"""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from lives import EVERY, name_of, random_actions, uniform
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tutorlib.envs import MiniGrid
from tutorlib.lab import Context
from tutorlib.nn import no_moments, step_generator
from tutorlib.papers.mbrl import algorithm as mbrl
from tutorlib.papers.metagenrl import population as metagenrl
from tutorlib.papers.metagenrl.config import FORMS as METAGENRL
from tutorlib.papers.metagenrl.config import Config as MetaGenRL
from tutorlib.papers.metagenrl.config import setting_of
from tutorlib.papers.rcgvf import algorithm as rcgvf

LIBRARY = Path(__file__).parents[1] / "src" / "tutorlib"
FOLDERS = (
    "papers/*/algorithm.py",
    "papers/mbrl/acting.py",
    "papers/mbrl/l*.py",
    "papers/metagenrl/[bmp]*.py",
    "papers/rcgvf/b*.py",
    "papers/rcgvf/recurrent*.py",
    "rl/*.py",
    "envs/*.py",
)
FILES = sorted(path for folder in FOLDERS for path in LIBRARY.glob(folder))
READS = ("item", "cpu", "numpy", "tolist")

EXCEPTIONS = {
    "envs/minigrid_rooms.py:obstructed_maze.make": "draws a level, on the CPU and before training",
    "envs/minigrid_picture.py:picture": "draws a picture, of NumPy's arrays",
    "envs/gym.py:SingleMiniGrid.__init__": "one environment on the CPU, whose answers are NumPy's",
    "envs/gym.py:SingleMiniGrid._seen": "the same",
    "envs/gym.py:SingleMiniGrid.render": "the same",
    "envs/simulated.py:_reset": "a simulator on the CPU, whose numbers are NumPy's",
    "envs/simulated.py:_step": "the same",
}
"""Functions that may read values, and why."""


def reads(node: ast.AST, place: str = "") -> Iterator[tuple[str, int, str]]:
    """Return function, line and name of each call that reads values from a device."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.ClassDef):
            yield from reads(child, f"{place}.{child.name}".lstrip("."))
            continue
        if isinstance(child, ast.Call) and isinstance(child.func, ast.Attribute):
            to_cpu = child.func.attr == "to" and any(ast.unparse(part) == "'cpu'" for part in child.args)
            if child.func.attr in READS or to_cpu:
                yield place, child.lineno, ast.unparse(child)
        yield from reads(child, place)


def found_in(source: str) -> list[tuple[str, int, str]]:
    return list(reads(ast.parse(source)))


def test_no_step_reads_a_value() -> None:
    assert {
        "papers/mbrl/algorithm.py",
        "papers/mbrl/acting.py",
        "papers/mbrl/learner.py",
        "papers/rcgvf/algorithm.py",
        "papers/rcgvf/bonus.py",
        "rl/ppo.py",
        "envs/minigrid.py",
    } <= {path.relative_to(LIBRARY).as_posix() for path in FILES}
    met = set()
    for path in FILES:
        name = path.relative_to(LIBRARY).as_posix()
        for place, line, call in found_in(path.read_text(encoding="utf-8")):
            where = f"{name}:{place}"
            assert where in EXCEPTIONS, f"{name}, line {line}: {call} waits for the device"
            met.add(where)
    assert met == set(EXCEPTIONS), "an exception that nothing needs"


def test_the_search_finds_what_reads() -> None:
    source = """
class A:
    def f(self, x):
        return [y.item() for y in x], g(x).mean().cpu(), x.to("cpu", torch.float64), x.to(device)
def h(x):
    def inner():
        return x.numpy() if x.items() else x.tolist
    return inner().tolist()
x.cpu().tolist()
"""
    found = [(place, call) for place, _, call in found_in(source)]
    assert found == [
        ("A.f", "y.item()"),
        ("A.f", "g(x).mean().cpu()"),
        ("A.f", "x.to('cpu', torch.float64)"),
        ("h.inner", "x.numpy()"),
        ("h", "inner().tolist()"),
        ("", "x.cpu().tolist()"),
        ("", "x.cpu()"),
    ]


# Every operation of a step.

aten = torch.ops.aten
WAITS = (
    aten._local_scalar_dense,
    aten.nonzero,
    aten.masked_select,
    aten.equal,
    aten.is_nonzero,
    aten._unique2,
    aten.lift_fresh,
)
"""Operations that give Python a value, or a tensor whose size depends on values, or that make a tensor of Python's
numbers, which are then copied to the device."""


class Watch(TorchDispatchMode):
    """Notes the operations for which the program would wait on a GPU; this works on any device."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Do the operation, and note it if it waits."""
        by_mask = func.overloadpacket in (aten.index, aten.index_put, aten.index_put_) and any(
            isinstance(part, torch.Tensor) and part.dtype == torch.bool for part in tree_leaves(args[1])
        )
        if func.overloadpacket in WAITS or by_mask:
            self.waits.append(str(func))
        return func(*args, **(kwargs or {}))


def waits(step: Callable[[], Any]) -> list[str]:
    with Watch() as watch:
        step()
    return watch.waits


def environment_step(env: Any, device: str) -> Callable[[], Any]:
    """Return a function that goes on by a step and looks; lives have begun, which happens once."""
    if isinstance(env, MiniGrid):  # it lives on the device of its levels
        env = MiniGrid(env.levels.to(device), env.max_steps)
    state, u = env.start(uniform(5, env.start_noise).to(device)), uniform(5, env.step_noise).to(device)
    action = random_actions(env, 5).to(device)
    return lambda: env.observe(env.step(state, action, u)[0])


def rcgvf_iteration(method: str, device: str) -> Callable[[], Any]:
    """Return a function that acts, looks back and learns once: 8 steps, 6 minibatches."""
    c = rcgvf.Config(
        method, horizon=5, actions=3, num_envs=6, num_steps=8, updates=2, minibatch_size=16, update_epochs=2,
        d=6, hidden_z=8, hidden=8,
        width=16, num_evals=1,
    )  # fmt: skip
    seeds, on = (1, 2), torch.device(device)
    h = rcgvf.Hyper(*(torch.tensor([value, value], device=on) for value in (c.beta, c.gamma_z, c.lambda_z)))
    state = rcgvf.initial_state(c, seeds, on)
    return lambda: rcgvf.update(c, h, state, rcgvf.draw_noise(c, seeds, 0, on), 0)


def mbrl_iteration(agent: str, device: str) -> Callable[[], Any]:
    """Return a function that learns once from replay and, but for ``er``, from what its model imagines."""
    on = torch.device(device)
    c = mbrl.Config(agent, "buttons", size=3, buttons=2, batch=4, length=3, capacity=16, hidden=8, layers=1)
    setting, learner = mbrl.begin(c, [1, 2], on)
    generators = [torch.Generator(on).manual_seed(seed) for seed in (1, 2)]
    state = setting.env.start(mbrl.uniforms(generators, (1, setting.env.start_noise), on))
    replay = mbrl.empty_replay(setting.env.observations, state if agent == "perfect" else (), 2, c.capacity, on)
    return lambda: mbrl.update(setting, learner, replay, 16, generators)


def metagenrl_iteration(form: str, device: str) -> Callable[[], Any]:
    """Return a function that acts and learns once: critics, policies by all three parts, and the objective."""
    on = torch.device(device)
    c = MetaGenRL(agents=2, hidden=6, batch=3, window=5, objective_hidden=4, memory=4, second_order=form)
    setting = setting_of(c, on, c.environments)
    life = metagenrl.begin(setting, [torch.Generator().manual_seed(0)], 200, on)
    noise = metagenrl.drawn(setting, [step_generator(0, 0, on)], on, policy=True)
    alpha = setting.objective.initial_parameters(1, torch.Generator().manual_seed(0)).to(on)
    shared = metagenrl.Shared(alpha, alpha, no_moments(alpha), torch.zeros(1, 1, device=on))
    iteration = metagenrl.Iteration(setting, Context(on))
    weights = torch.full((2, 3), 0.5, device=on)

    def step() -> Any:
        lived = iteration.lived(life, noise, 150)
        taught = iteration.taught(lived, alpha.expand(2, -1), weights, noise, 150, (True, True, True))
        w = iteration.windows(taught, noise.meta, 150)
        return iteration.objective(setting, shared, taught.learner, w)

    return step


STEPS = [
    *(pytest.param(environment_step, env, id=name_of(env)) for env in EVERY),
    *(pytest.param(metagenrl_iteration, form, id=f"metagenrl, {form}") for form in METAGENRL),
    *(pytest.param(rcgvf_iteration, method, id=f"rcgvf, {method}") for method in rcgvf.METHODS),
    *(pytest.param(mbrl_iteration, agent, id=f"mbrl, {agent}") for agent in mbrl.AGENTS),
]


@pytest.mark.parametrize(("make", "what"), STEPS)
def test_no_operation_of_a_step_waits(make: Callable[..., Callable[[], Any]], what: Any) -> None:
    assert waits(make(what, "cpu")) == []


def test_the_watch_sees_what_waits() -> None:
    x = torch.arange(4.0)
    for step in (
        lambda: x.sum().item(),
        lambda: bool(x.isfinite().all()),
        lambda: int(x.argmax()),
        lambda: x[x > 1],
        lambda: x.clone().__setitem__(x > 1, torch.ones(2)),
        lambda: (x > 1).nonzero(),
        lambda: x.masked_select(x > 1),
        lambda: torch.equal(x, x + 1),
        lambda: x.unique(),
        lambda: x + torch.tensor([1.0]),
    ):
        assert waits(step)
    assert not waits(lambda: x[x.long()].where(x > 1, 0).sum())


@pytest.mark.gpu
@pytest.mark.parametrize(("make", "what"), STEPS)
def test_a_gpu_is_never_waited_for(make: Callable[..., Callable[[], Any]], what: Any) -> None:
    step = make(what, "cuda")
    step()  # the first time, libraries allocate what they need
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        step()
    finally:
        torch.cuda.set_sync_debug_mode("default")
