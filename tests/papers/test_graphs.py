"""The compiled steps of every paper keep the rules of CUDA graphs (``lab.compiling``), and are the eager ones."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import jaxtyping
import pytest
import torch
from replays import replays
from torch.utils import _pytree as pytree

from tutorlib.lab import Context, Trial, compiling, experiment
from tutorlib.papers.gpicl.algorithm import Config as Gpicl
from tutorlib.papers.gpicl.algorithm import meta_train as train_gpicl
from tutorlib.papers.mbrl import offline
from tutorlib.papers.mbrl.algorithm import Config as Mbrl
from tutorlib.papers.mbrl.algorithm import train as train_mbrl
from tutorlib.papers.rcgvf.algorithm import Config as Rcgvf
from tutorlib.papers.rcgvf.algorithm import train as train_rcgvf
from tutorlib.papers.vsml import algorithm as vsml
from tutorlib.papers.vsml.problem import Streams

GPICL = Gpicl(tasks=16, width=8, layers=1, heads=1, head_dim=8, steps=4, num_evals=2)
RCGVF = Rcgvf("rcgvf", horizon=5, actions=3, num_envs=6, num_steps=8, updates=2, minibatch_size=16, update_epochs=2,
              d=6, hidden_z=8, hidden=8, width=16, num_evals=1)  # fmt: skip
FLUTE = Mbrl(environment="flute", size=2, steps=12, learning_starts=8, target_period=2, batch=4, length=2, capacity=16,
             hidden=8, layers=1, eval_every=6, eval_episodes=2, eval_length=5)  # fmt: skip
EXAMPLE = offline.Offline(
    agent="categorical",
    pipes=2,
    transitions=9,
    updates=4,
    target_period=2,
    batch=4,
    length=2,
    hidden=8,
    layers=1,
    num_evals=1,
)
VSML = vsml.Config(streams=Streams(inputs=4, classes=3, length=7), size=6, message=3, sequences=4, steps=3, num_evals=1)


def of_trials(train: Callable, config: object) -> Callable[[Context], object]:
    return lambda context: train([Trial(config, seed) for seed in (0, 1)], context)


def of_seeds(train: Callable, config: object) -> Callable[[Context], object]:
    def run(context: Context) -> object:
        learner = train(config, [3, 4], context).learner
        return learner.q, learner.target_params, learner.model

    return run


def vsml_run(context: Context, runs: int = 2, **changes: object) -> object:
    """Return meta-gradients and losses of three meta-steps: Adam would make much of a gradient that is nearly zero."""
    config = replace(VSML, **changes)
    gradient = vsml.meta_gradient(config, context)
    theta = torch.stack([vsml.initial_parameters(config, seed) for seed in range(runs)])
    return [gradient(theta, [torch.Generator().manual_seed(10 * k + n) for n in range(runs)]) for k in range(3)]


RUNS = {
    "gpicl": (of_trials(train_gpicl, GPICL), {"meta_step": 4}),
    "gpicl, sign": (of_trials(train_gpicl, replace(GPICL, optimizer="sign")), {"meta_step": 4}),
    "rcgvf": (of_trials(train_rcgvf, RCGVF), None),
    "mbrl, replay": (of_seeds(train_mbrl, replace(FLUTE, agent="er")), {"act": 12, "learn": 4}),
    "mbrl, simple": (of_seeds(train_mbrl, replace(FLUTE, agent="simple")), {"act": 12, "learn": 4}),
    "mbrl, example": (of_seeds(offline.learn, EXAMPLE), {"learn": 4}),
    "vsml": (partial(vsml_run), {"lifetime": 12, "backwards": 12}),
    "vsml, chunk": (partial(vsml_run, chunk=3), {"lifetime": 12, "backwards": 12}),
    "vsml, backward pass": (
        partial(vsml_run, layerwise=True, hidden=(5,), backward_pass=True, separate_backward=True, batch=2),
        {"lifetime": 12, "backwards": 12},
    ),
    "vsml, es": (partial(vsml_run, runs=1, estimator="es"), {"lifetime": 12}),
}


def graphs_of_vsml(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vsml, "EXAMPLES", 2)  # of 7 examples: four graphs, the last of one example


@pytest.mark.parametrize("name", RUNS)
def test_a_run_of_graphs_is_the_run(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    graphs_of_vsml(monkeypatch)
    run, calls = RUNS[name]
    plain = run(Context())
    with replays() as graphs:
        found = run(Context(compile=True))
    assert graphs.names
    if calls is not None:
        assert {step: graphs.names.count(step) for step in set(graphs.names)} == calls
    pairs = [
        pair for pair in zip(pytree.tree_leaves(found), pytree.tree_leaves(plain), strict=True)
        if isinstance(pair[0], torch.Tensor)
    ]  # fmt: skip
    assert pairs
    for ours, eager in pairs:
        torch.testing.assert_close(ours, eager, rtol=1e-4, atol=1e-5)


@pytest.fixture
def whole(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Let torch trace steps as whole graphs and run them as they are; note each graph."""
    graphs: list[str] = []
    compiled = torch.compile

    def compile(step: Callable, **how: object) -> Callable:
        def backend(graph, inputs, options):
            assert options == {"triton.cudagraphs": True}
            graphs.append(step.__name__)
            return graph.forward

        return compiled(step, **(how | {"backend": backend}))

    monkeypatch.setattr(torch, "compile", compile)
    monkeypatch.setattr(compiling, "captures", lambda device: True)
    monkeypatch.setattr(experiment, "captures", lambda device: True)
    jaxtyping.config.update("jaxtyping_disable", True)  # checks of shapes cannot be traced
    torch.compiler.reset()
    yield graphs
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")
@pytest.mark.parametrize("name", ["vsml", "vsml, backward pass"])
def test_a_lifetime_is_one_graph_there_and_one_back(name: str, whole, monkeypatch: pytest.MonkeyPatch) -> None:
    graphs_of_vsml(monkeypatch)
    run, _ = RUNS[name]
    found = run(Context(compile=True))
    assert sorted(whole) == ["backwards", "backwards", "lifetime", "lifetime"], "of two examples, and of the last one"
    for ours, eager in zip(pytree.tree_leaves(found), pytree.tree_leaves(run(Context())), strict=True):
        torch.testing.assert_close(ours, eager, rtol=1e-4, atol=1e-5)
