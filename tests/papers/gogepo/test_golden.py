"""What the paper's own code computes, number by number: weights, actions, values, every gradient, recency weights."""

import re

import pytest
import torch

from tutorlib.nn import slope
from tutorlib.papers.gogepo.algorithm import recency_weights
from tutorlib.papers.gogepo.model import Evaluator, Generator, Policy

POLICY = Policy(observations=5, actions=2, limit=1.5, hidden=(32, 32))
GENERATOR = Generator(POLICY, block=16, embedding=8, hidden=(24, 24))
EVALUATOR = Evaluator(POLICY, states=7, hidden=(20, 20))
KINDS = {"input": "in_embeddings", "hidden": "hidden_embeddings.0", "output": "out_embeddings"}
# The file rounds these to 8 digits.
RECENCY = [
    0.0296374, 0.03327923, 0.03788271, 0.04387652, 0.05198448, 0.06352915, 0.08120337, 0.11143117, 0.17406324,
    0.37311272,
]  # fmt: skip


def layers(g, prefix):
    """Return linear layers as flat weights: ours are [in, out], weights before biases."""
    names = sorted(name for name in g if re.fullmatch(re.escape(prefix) + r"\.\d\.weight", name))
    assert len(names) == 3
    parts = [part for name in names for part in (g[name].T, g[name.replace("weight", "bias")])]
    return [part.flatten() for part in parts]


def rho_of(g, prefix=""):
    """Return the generator's weights, or their gradient, as one flat vector."""
    parts = []
    for kind, embeddings in KINDS.items():
        parts.append(g[f"{prefix}generator.{embeddings}"].flatten())
        for net in ("net_w", "net_b"):
            parts += layers(g, f"{prefix}generator.{kind}_hn.{net}")
    return torch.cat(parts)


def w_of(g, prefix=""):
    """Return the evaluator's weights, or their gradient, as one flat vector."""
    states = [g[f"{prefix}evaluator.probing_states.{k}"] for k in range(7)]
    return torch.cat([*states, *layers(g, f"{prefix}evaluator.v_net")])


@pytest.fixture(scope="module")
def g(golden):
    return {name: torch.from_numpy(array) for name, array in golden("gogepo").items()}


def close(found, expected):
    assert found.dtype == torch.double
    torch.testing.assert_close(found, expected.view_as(found), rtol=0, atol=1e-9)


def two(*tensors):
    """Return two runs of each, the second of other numbers: they must not touch."""
    return [torch.stack([x, x.flip(0) * 0.7]) for x in tensors]


def test_the_generated_weights_are_the_papers(g):
    rho, c = two(rho_of(g), g["command"].squeeze(-1))
    found = GENERATOR.generate(rho, c)
    assert found.shape == (2, 4, 1314)
    close(found[0], g["theta"])


def test_the_actions_are_the_papers(g):
    theta, x = two(g["theta"], g["observations"])
    found = POLICY.act(theta, x.unsqueeze(1))
    close(found[0].transpose(0, 1), g["actions"])
    assert found.abs().max() <= 1.5


def test_the_values_are_the_papers(g):
    w, theta = two(w_of(g), g["theta"])
    close(EVALUATOR.value(w, theta)[0], g["value"])


def test_the_loss_and_every_gradient_are_the_papers(g):
    rho, w, c, target = two(rho_of(g), w_of(g), g["command"].squeeze(-1), g["target"])

    def loss(rho, w):
        return (EVALUATOR.value(w, GENERATOR.generate(rho, c)) - target).square().mean(dim=-1)

    close(loss(rho, w)[0], g["loss"])
    close(slope(lambda own: loss(own, w), rho)[0], rho_of(g, "grad."))
    close(slope(lambda own: loss(rho, own), w)[0], w_of(g, "grad."))


def test_the_recency_weights_are_the_papers():
    found = recency_weights(10, 1.1, torch.device("cpu"))
    torch.testing.assert_close(found, torch.tensor(RECENCY, dtype=found.dtype), rtol=0, atol=1e-8)
