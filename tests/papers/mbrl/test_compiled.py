"""A compiled run is the run: one graph for each of its two steps, the same numbers up to rounding.

It runs in a process of its own: while tests run every call of the library checks its shapes, which no graph can hold.
Graphs are run as they are: what makes machine code of them takes a minute, and is tested by those who make it.
"""

import json
import subprocess
import sys

import pytest

SCRIPT = """
import json
from dataclasses import replace
import torch
from tutorlib.lab import Context
from tutorlib.papers.mbrl import algorithm, config, offline

config.MAZES = 5
real, asked, graphs = torch.compile, [], []

def backend(graph, inputs):
    graphs.append(graph)
    return graph.forward

def compile(step, **how):
    asked.append((step.__name__, {"fullgraph": how["fullgraph"]}))
    return real(step, backend=backend, **how)

torch.compile = compile
small = algorithm.Config(
    environment="maze", size=2, steps=12, learning_starts=8, target_period=2, batch=4, length=2, capacity=16,
    hidden=8, layers=1,
    eval_every=6, eval_episodes=2, eval_length=5,
)
example = offline.Offline(
    agent="categorical", pipes=2, transitions=9, updates=4, target_period=2, batch=4, length=2,
    hidden=8, layers=1, num_evals=1
)

def distance(one, other):
    pairs = [(getattr(one, name), getattr(other, name)) for name in ("q", "target_params", "model")]
    pairs += zip(one.q_moments, other.q_moments)
    return max(float((a - b).abs().max()) if a.numel() else 0.0 for a, b in pairs)

def found(run, c):
    asked.clear(), graphs.clear()
    plain, compiled = (run(c, [3, 4], Context(compile=on)) for on in (False, True))
    return {
        "asked": list(asked), "graphs": len(graphs), "distance": distance(plain.learner, compiled.learner),
        "updates": compiled.learner.updates,
    }

runs = [("er", "flute"), ("simple", "maze")]
answer = {agent: found(algorithm.train, replace(small, agent=agent, environment=world)) for agent, world in runs}
answer["example"] = found(offline.learn, example)
print(json.dumps(answer))
"""
WHOLE = {"fullgraph": True}


@pytest.fixture(scope="module")
def found():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("agent", ["er", "simple"])
def test_a_compiled_run_is_the_run(found, agent):
    own = found[agent]
    assert own["asked"] == [["learn", WHOLE], ["act", WHOLE]]
    assert own["graphs"] == 2, "neither is compiled anew in a later step"
    assert own["distance"] < 1e-6
    assert own["updates"] == 4


def test_the_compiled_example_is_the_example(found):
    own = found["example"]
    assert (own["asked"], own["graphs"], own["updates"]) == ([["learn", WHOLE]], 1, 4)
    assert own["distance"] < 1e-6
