"""Lifetimes as graphs of some examples: what they give is what the examples give one by one."""

from collections.abc import Iterator
from dataclasses import replace

import jaxtyping
import pytest
import torch
from vsml_streams import TINY, generator, stream

from tutorlib.lab import Context, Trial
from tutorlib.papers.vsml import algorithm
from tutorlib.papers.vsml.algorithm import initial_parameters, learner, meta_gradient, meta_train, online_accuracy


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Let a compiled context trace whole graphs and run them as they are; count the graphs."""
    graphs = []

    def backend(graph, inputs):
        graphs.append(len(graph.graph.nodes))
        return graph.forward

    compiled = torch.compile
    monkeypatch.setattr(torch, "compile", lambda step, **how: compiled(step, **(how | {"backend": backend})))
    jaxtyping.config.update("jaxtyping_disable", True)  # checks of shapes cannot be traced
    torch.compiler.reset()
    yield graphs
    jaxtyping.config.update("jaxtyping_disable", False)


quietly = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")
"""What torch's tracer warns of in its own looks at tensors."""
NETWORKS = {
    "dense": TINY,
    "norm": replace(TINY, layer_norm=True, hidden=(5,), feed_label=True),
    "backward": replace(TINY, layerwise=True, hidden=(5,), backward_pass=True, separate_backward=True, batch=2),
    "convolution": replace(TINY, convolutions=1, backward_pass=True),
}


@quietly
@pytest.mark.parametrize(
    ("name", "estimator"),
    [("dense", "bptt"), ("dense", "es"), ("norm", "es"), ("backward", "bptt"), ("convolution", "bptt")],
)
def test_graphs_of_some_examples_give_what_they_give_one_by_one(
    name: str, estimator: str, traced: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(algorithm, "EXAMPLES", 2)  # of 4 examples: two calls of one graph
    config = replace(NETWORKS[name], estimator=estimator, streams=replace(TINY.streams, length=4))
    theta = initial_parameters(config, 0).unsqueeze(0)
    g, loss = meta_gradient(config)(theta, [generator()])
    found_g, found_loss = meta_gradient(config, Context(compile=True))(theta, [generator()])
    assert len(traced) == 1
    torch.testing.assert_close(found_loss, loss, rtol=0, atol=1e-6)
    torch.testing.assert_close(found_g, g, rtol=1e-4, atol=1e-6)


@quietly
def test_compiled_lifetimes_may_have_activation_checkpoints(traced: list[int]) -> None:
    config, theta = replace(TINY, chunk=3, streams=replace(TINY.streams, length=6)), initial_parameters(TINY, 0)[None]
    g, _ = meta_gradient(config)(theta, [generator()])
    torch.testing.assert_close(meta_gradient(config, Context(compile=True))(theta, [generator()])[0], g)
    assert traced


@quietly
def test_meta_training_and_meta_testing_are_compiled_where_the_run_is(
    traced: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(algorithm, "EXAMPLES", 4)
    meta_train([Trial(TINY, 0)], Context())
    assert not traced
    meta_train([Trial(TINY, 0)], Context(compile=True))
    assert len(traced) == 1
    (x, y), theta = stream(2, 8, 4, 3), initial_parameters(TINY, 0)
    run = learner(TINY, context=Context(compile=True))
    found = online_accuracy(run, theta, x.float(), y, 0)
    assert len(traced) == 2
    assert torch.equal(found, online_accuracy(learner(TINY), theta, x.float(), y, 0))
