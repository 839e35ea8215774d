"""The networks of GoGePo: the paper's counts and first statistics, blocks, a policy beside PyTorch's, bad sizes."""

import math

import pytest
import torch
from torch import nn

from tutorlib.lab import UsageError
from tutorlib.nn import slope
from tutorlib.papers.gogepo.model import Evaluator, Generator, Policy

# Entries of observation and action, largest action; weights of the policy, numbers of generator and evaluator.
COUNTS = {
    "InvertedPendulum": (4, 1, 3.0, 67_329, 507_249, 118_305),
    "MountainCarContinuous": (2, 1, 1.0, 66_817, 499_025, 117_905),
    "Swimmer": (8, 2, 1.0, 68_610, 528_066, 170_305),
    "Hopper": (11, 3, 1.0, 69_635, 544_771, 222_105),
}
# Standard deviations of the first generated W_1, b_1, W_2, b_2, W_3, b_3 in the paper's code, over 5 seeds.
FIRST = {
    "InvertedPendulum": (0.109, 0.103, 0.0138, 0.0096, 0.0119, 0.0009),
    "Swimmer": (0.074, 0.073, 0.0133, 0.0093, 0.0136, 0.005),
    "Hopper": (0.062, 0.060, 0.0131, 0.0091, 0.0131, 0.007),
}
SMALL = Policy(3, 2, limit=1.5, hidden=(8, 8))


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def started(net, runs):
    return torch.stack([net.initial(torch.Generator().manual_seed(seed)) for seed in range(runs)])


@pytest.mark.parametrize("name", COUNTS)
def test_the_numbers_of_weights_are_the_papers(name):
    observations, actions, limit, weights, generator, evaluator = COUNTS[name]
    policy = Policy(observations, actions, limit)
    assert policy.size == weights
    assert Generator(policy).size == generator == len(Generator(policy).initial(torch.Generator()))
    assert Evaluator(policy).size == evaluator == len(Evaluator(policy).initial(torch.Generator()))


@pytest.mark.parametrize("name", FIRST)
def test_the_first_generated_weights_spread_as_in_the_papers_code(name):
    """A spread differs between generators by a tenth for W_2 and by more for what has few entries: 20 are drawn.

    The largest bias layer of the output has three entries, and a spread of so few says little: it is left out.
    """
    policy = Policy(*COUNTS[name][:3])
    theta = Generator(policy).generate(started(Generator(policy), 20), torch.zeros(20, 1))[:, 0]
    parts = theta.split([k for n, m in policy.shapes for k in (n * m, m)], dim=-1)
    found = [part.std(dim=-1).mean() for part in parts[:5]]
    for ours, theirs in zip(found, FIRST[name], strict=False):
        assert float(ours) == pytest.approx(theirs, rel=0.2)


def test_the_first_generator_hardly_hears_its_command():
    """The paper's code: |theta(1) - theta(0)| is 0.0035 on average, V about 0.04, actions spread by 0.02 to 0.07."""
    policy = Policy(*COUNTS["Hopper"][:3])
    generator, evaluator = Generator(policy), Evaluator(policy)
    theta = generator.generate(started(generator, 5), torch.tensor([[0.0, 1.0]]).expand(5, -1))
    assert float((theta[:, 1] - theta[:, 0]).abs().mean()) == pytest.approx(0.0035, rel=0.3)
    w = started(evaluator, 5)
    assert evaluator.value(w, theta).abs().mean() < 0.1
    assert 0.005 < evaluator.fingerprint(w, theta).std(dim=-1).mean() < 0.05
    states = evaluator.probing_states(w)
    assert states.min() >= 0
    assert states.max() <= 1
    assert float(states.mean()) == pytest.approx(0.5, abs=0.02)


def test_a_policy_is_pytorchs_network_with_the_same_weights():
    theta, x = draw(2, 3, SMALL.size), draw(2, 3, 5, 3, seed=1)
    found = SMALL.act(theta, x)
    for run in range(2):
        for which in range(3):
            net = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 2), nn.Tanh())
            nn.utils.vector_to_parameters(theta[run, which], net.parameters())
            torch.testing.assert_close(found[run, which], 1.5 * net(x[run, which]))


def test_each_block_is_written_from_its_own_embedding_alone():
    """Block (i, j) of W_2 are the rows of tile j and the columns of tile i; the bias of tile j averages over i."""
    generator = Generator(SMALL, block=4, embedding=3, hidden=(5,))
    rho, c = started(generator, 1), torch.tensor([[0.3]])
    kinds = {kind.name: kind for kind in generator.kinds}
    assert {name: kind.tiles for name, kind in kinds.items()} == {
        "input": ((1, 2),), "hidden": ((2, 2),), "output": ((2, 1),),
    }  # fmt: skip
    changed = rho.clone()
    generator.split(changed)["hidden"].embeddings[0, 1] += 1.0  # i = 0, j = 1
    parts = [generator.generate(own, c)[0, 0].split([24, 8, 64, 8, 16, 2]) for own in (rho, changed)]
    other = [i for i in range(6) if not torch.equal(parts[0][i], parts[1][i])]
    assert other == [2, 3]
    moved = (parts[0][2] != parts[1][2]).view(8, 8)
    assert moved[4:, :4].all()
    assert moved.sum() == 16
    assert (parts[0][3] != parts[1][3]).tolist() == [False] * 4 + [True] * 4
    h_w, h_b = generator.split(rho)["hidden"][1:]
    rows = torch.cat([generator.split(rho)["hidden"].embeddings[0, [1, 3]], c.expand(2, 1)], dim=-1)
    (w_1, b_1), (w_2, b_2) = h_b
    expected = ((rows @ w_1[0] + b_1[0]).relu() @ w_2[0] + b_2[0]).mean(dim=0) * 2 / math.sqrt(8)
    torch.testing.assert_close(parts[0][3][4:], expected)
    (w_1, b_1), (w_2, b_2) = h_w
    block = (rows[:1] @ w_1[0] + b_1[0]).relu() @ w_2[0] + b_2[0]
    torch.testing.assert_close(parts[0][2].view(8, 8)[4:, :4], block.view(4, 4) * 2 / math.sqrt(8))


@pytest.mark.parametrize("hidden", [(8,), (8, 8), (8, 4, 12)])
def test_any_number_of_hidden_layers_is_written(hidden):
    policy = Policy(3, 2, hidden=hidden)
    generator = Generator(policy, block=4, embedding=2, hidden=(5, 5))
    theta = generator.generate(started(generator, 2), draw(2, 3))
    assert theta.shape == (2, 3, policy.size)
    assert (theta != 0).all()
    assert [len(kind.layers) for kind in generator.kinds] == [1, *([len(hidden) - 1] if len(hidden) > 1 else []), 1]


def test_the_gradient_of_the_value_reaches_weights_and_probing_states_and_no_other_run():
    evaluator = Evaluator(SMALL, states=4, hidden=(6, 6))
    w, theta = started(evaluator, 2), draw(2, 3, SMALL.size)
    by_w = slope(lambda own: evaluator.value(own, theta)[:1].sum(dim=-1), w)
    assert (by_w[0, : 4 * 3] != 0).all()
    assert (by_w[1] == 0).all()
    by_theta = torch.func.grad(lambda own: evaluator.value(w, own)[0, 1])(theta)
    assert (by_theta[0, 1] != 0).any()
    assert (by_theta[0, [0, 2]] == 0).all()
    assert (by_theta[1] == 0).all()


def test_bad_sizes_are_named():
    with pytest.raises(UsageError, match=r"block=3: expected a divisor of the policy's 8 hidden units"):
        Generator(SMALL, block=3)
    with pytest.raises(UsageError, match="hidden=.*at least one hidden layer"):
        Policy(3, 2, hidden=())
    with pytest.raises(UsageError, match="limit=0"):
        Policy(3, 2, limit=0.0)
    with pytest.raises(UsageError, match="states=60000"):
        Evaluator(SMALL, states=60_000)
    generator = Generator(SMALL, block=4, hidden=(5,))
    with pytest.raises(UsageError, match="rho="):
        generator.split(torch.zeros(1, 7))
    with pytest.raises(UsageError, match="theta="):
        SMALL.act(torch.zeros(1, 1, 7), torch.zeros(1, 1, 1, 3))
    evaluator = Evaluator(SMALL, states=4)
    with pytest.raises(UsageError, match="w="):
        evaluator.probing_states(torch.zeros(1, 7))
