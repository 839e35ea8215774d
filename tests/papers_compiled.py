"""A small run of each algorithm whose steps are compiled: ``RUNS``, and a script that has torch trace their graphs.

The script runs in a process of its own: while tests run, every call of the library checks its shapes, which no graph
can hold. Graphs are run as they are: what makes machine code of them takes a minute, and is tested by those who make
it.
"""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch.utils import _pytree as pytree

from tutorlib.lab import Context, Trial, compiling, experiment
from tutorlib.papers.gogepo.algorithm import Config as Gogepo
from tutorlib.papers.gogepo.algorithm import train as train_gogepo
from tutorlib.papers.gpicl.algorithm import Config as Gpicl
from tutorlib.papers.gpicl.algorithm import meta_train as train_gpicl
from tutorlib.papers.mbrl import offline
from tutorlib.papers.mbrl.algorithm import Config as Mbrl
from tutorlib.papers.mbrl.algorithm import train as train_mbrl
from tutorlib.papers.metagenrl.config import Config as Metagenrl
from tutorlib.papers.metagenrl.ppo import PPO, ppo
from tutorlib.papers.metagenrl.training import train as train_metagenrl
from tutorlib.papers.rcgvf.algorithm import Config as Rcgvf
from tutorlib.papers.rcgvf.algorithm import train as train_rcgvf
from tutorlib.papers.rcgvf.recurrent import train as train_recurrent
from tutorlib.papers.rcgvf.recurrent_config import Config as Recurrent
from tutorlib.papers.symla import algorithm as symla
from tutorlib.papers.vsml import algorithm as vsml
from tutorlib.papers.vsml import cloning
from tutorlib.papers.vsml.problem import Streams

GPICL = Gpicl(tasks=16, width=8, layers=1, heads=1, head_dim=8, steps=4, num_evals=2)
GOGEPO = Gogepo(steps=100, episodes=2, horizon=4, width=8, block=4, embedding=2, net_width=8, states=3, batch=3,
                evaluator_steps=2, generator_steps=3, generator_lr=1e-3, eval_episodes=2, sweep_every=2,
                sweep_commands=2, sweep_episodes=1)  # fmt: skip
METAGENRL = Metagenrl(agents=2, steps=104, test_agents=1, test_steps=104, num_evals=1, hidden=6, capacity=500, batch=3,
                      window=5, random_steps=50, objective_hidden=4, summary=3, memory=4, anneal=1,
                      second_order="product")  # fmt: skip
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
RECURRENT = Recurrent("rcgvf", "MultiRoom-N2-S4", num_steps=8, num_envs=2, bptt=4, minibatch_size=8, updates=2,
                      update_epochs=1, levels=4, d=8, num_evals=1)  # fmt: skip
SYMLA = symla.Config(length=7, pairs=2, lifetimes=3, generations=3, num_evals=1, hidden=4, message=2)
CLONING = cloning.Config(steps=3, batch=8, num_evals=1)
VSML = vsml.Config(streams=Streams(inputs=4, classes=3, length=7), size=6, message=3, sequences=4, steps=3, num_evals=1)


def of_trials(train: Callable, config: object, trials: int = 2) -> Callable[[Context], object]:
    return lambda context: train([Trial(config, seed) for seed in range(trials)], context)


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


def clone(context: Context) -> object:
    return cloning.clone_backprop(Trial(CLONING, 0), context)


def generate(context: Context) -> object:
    return train_gogepo([Trial(GOGEPO, seed) for seed in (0, 1)], context).state.learner


def objective(context: Context) -> object:
    """Return what is left but the replay, of which a step that is no graph writes."""
    state = train_metagenrl([Trial(METAGENRL, seed) for seed in (0, 1)], context).state
    return state.population.learner, state.shared, state.fresh.learner


def on_policy(context: Context) -> object:
    config = PPO(METAGENRL, rollout=26, update_epochs=2, minibatches=2)
    return ppo([Trial(config, seed) for seed in (0, 1)], context)


def of_life(name: str, size: str) -> Callable[[Context], object]:
    return of_trials(symla.meta_train, replace(SYMLA, environment=name, sizes=size))


RUNS: dict[str, tuple[Callable[[Context], object], dict[str, int], int | dict[str, int]]] = {
    "gpicl": (of_trials(train_gpicl, GPICL), {"meta_step": 4}, 1),
    "gpicl, three of another size": (
        of_trials(train_gpicl, replace(GPICL, width=16, length=9), 3),
        {"meta_step": 4},
        1,
    ),
    "gpicl, sign": (of_trials(train_gpicl, replace(GPICL, optimizer="sign")), {"meta_step": 4}, 1),
    "gogepo": (generate, {"evaluator_step": 4, "generator_step": 6}, 1),
    "metagenrl": (
        objective,
        {"acted": 208, "critics_learnt": 10, "policies_learnt": 6, "objective_learnt": 3},
        {"acted": 2, "critics_learnt": 2, "policies_learnt": 2, "objective_learnt": 1},
    ),
    "metagenrl, ppo": (on_policy, {"chosen": 104, "ppo_gradient": 16}, 1),
    "rcgvf": (of_trials(train_rcgvf, RCGVF), {"act": 16, "policy_gradient": 12, "predictor_gradient": 12}, 1),
    "rcgvf, recurrent": (
        of_trials(train_recurrent, RECURRENT),
        {"act": 16, "policy_gradient": 4, "bonus_gradient": 4},
        1,
    ),
    "rcgvf, adversary": (
        of_trials(train_recurrent, replace(RECURRENT, method="agac")),
        {"act": 16, "policy_gradient": 4, "bonus_gradient": 4},
        1,
    ),
    "mbrl, replay": (of_seeds(train_mbrl, replace(FLUTE, agent="er")), {"act": 12, "learn": 4}, 1),
    "mbrl, simple": (of_seeds(train_mbrl, replace(FLUTE, agent="simple")), {"act": 12, "learn": 4}, 1),
    "mbrl, example": (of_seeds(offline.learn, EXAMPLE), {"learn": 4}, 1),
    "symla, bandits": (of_life("bandit", "2,3"), {"live": 24}, 4),
    "symla, cartpole": (of_life("cartpole", "2"), {"live": 12}, 2),
    "symla, grid": (of_life("heart-grid", "2"), {"live": 12}, 2),
    "symla, meta-rnn": (of_trials(symla.meta_train, replace(SYMLA, agent="meta-rnn")), {"live": 12}, 2),
    "vsml": (vsml_run, {"lifetime": 12, "backwards": 12}, 2),
    "vsml, chunk": (partial(vsml_run, chunk=3), {"lifetime": 12, "backwards": 12}, 2),
    "vsml, backward pass": (
        partial(vsml_run, layerwise=True, hidden=(5,), backward_pass=True, separate_backward=True, batch=2),
        {"lifetime": 12, "backwards": 12},
        2,
    ),
    "vsml, es": (partial(vsml_run, runs=1, estimator="es"), {"lifetime": 12}, 2),
    "vsml, cloning": (clone, {"cloning_gradient": 3}, 1),
}
"""A run, how often it calls each of its compiled steps, and how many graphs there are of each: one, or those of a whole
piece of a lifetime and of its last step, for each size; of MetaGenRL's, those of the population and of fresh agents."""


def short_pieces() -> None:
    """Let lifetimes be graphs of two steps: of 7 there are four, the last of one step."""
    vsml.EXAMPLES = symla.STEPS = 2


def traced(run: Callable[[Context], object]) -> dict[str, Any]:
    """Return how many graphs torch made of each step of a compiled run, and how far it ends from the eager one."""
    plain, graphs, whole, compiled = run(Context()), Counter[str](), True, torch.compile

    def compile(step: Callable, **how: Any) -> Callable:
        nonlocal whole
        whole = whole and how["fullgraph"]

        def backend(graph: torch.fx.GraphModule, inputs: object, **options: object) -> Callable:
            graphs[step.__name__] += 1
            return graph.forward

        return compiled(step, **(how | {"backend": backend}))

    torch.compile = compile  # type: ignore[assignment]
    found = run(Context(compile=True))
    torch.compile = compiled
    pairs = zip(pytree.tree_leaves(found), pytree.tree_leaves(plain), strict=True)
    far = [
        float((one.double() - other.double()).abs().max()) for one, other in pairs
        if isinstance(one, torch.Tensor) and one.numel()
    ]  # fmt: skip
    return {"graphs": graphs, "whole": whole, "numbers": len(far), "distance": max(far)}


if __name__ == "__main__":
    compiling.captures = experiment.captures = lambda device: True
    short_pieces()
    print(json.dumps({name: traced(run) for name, (run, *_) in RUNS.items()}))
