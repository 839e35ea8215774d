"""Evolution strategies: an unbiased gradient of the smoothed loss, and what makes it usable."""

import pytest
import torch

from tutorlib.evolution import Population, centred_ranks, estimate, gradient, members, perturbations
from tutorlib.lab.errors import UsageError
from tutorlib.shapes import Tensor


def test_members_are_antithetic() -> None:
    theta = torch.tensor([1.0, 2.0])
    eps = perturbations(theta, 3, torch.Generator().manual_seed(0))
    all_of_them = members(theta, eps, 0.1)
    assert all_of_them.shape == (6, 2)
    torch.testing.assert_close(all_of_them[:3] + all_of_them[3:], (2 * theta).expand(3, 2))
    torch.testing.assert_close((all_of_them[:3] - theta) / 0.1, eps)


def test_the_estimate_is_the_gradient_of_the_smoothed_loss() -> None:
    """For L = (a t)^3 in each coordinate t, E L(t + sigma eps) is known: its gradient is 3 a^3 (t^2 + sigma^2)."""
    theta, sigma, a = torch.tensor([0.5, -1.0], dtype=torch.float64), 0.3, 1.5

    def losses(population: Tensor) -> Tensor:
        return (a * population).pow(3).sum(dim=1)

    g, mean = estimate(losses, theta, Population(200_000, sigma), torch.Generator().manual_seed(0))
    expected = 3 * a**3 * (theta.square() + sigma**2)
    assert (g - expected).abs().max() < 0.1
    assert abs(mean - ((a * theta) ** 3 + 3 * a**3 * theta * sigma**2).sum()) < 0.05


def test_of_a_linear_loss_one_pair_gives_the_projected_gradient() -> None:
    slope, theta = torch.tensor([2.0, -1.0, 0.5]), torch.zeros(3)
    eps = perturbations(theta, 1, torch.Generator().manual_seed(1))
    g = gradient(eps, members(theta, eps, 0.1) @ slope, 0.1)
    torch.testing.assert_close(g, eps[0] * (eps[0] @ slope))


def test_common_random_numbers_cancel_noise_that_both_of_a_pair_see() -> None:
    theta = torch.zeros(4, dtype=torch.float64)
    noise = torch.randn(16, generator=torch.Generator().manual_seed(2), dtype=torch.float64) * 100

    def estimates(shared: bool) -> Tensor:
        both = torch.cat([noise[:8], noise[:8] if shared else noise[8:]])
        return estimate(lambda m: m.sum(dim=1) + both, theta, Population(8, 0.1), torch.Generator().manual_seed(0))[0]

    quiet = estimate(lambda m: m.sum(dim=1), theta, Population(8, 0.1), torch.Generator().manual_seed(0))[0]
    torch.testing.assert_close(estimates(True), quiet)
    assert (estimates(False) - quiet).norm() > 10


def test_ranks() -> None:
    assert centred_ranks(torch.tensor([3.0, 1.0, 2.0, 10.0])).tolist() == pytest.approx([1 / 6, -0.5, -1 / 6, 0.5])
    assert centred_ranks(torch.tensor([5.0, 5.0, 1.0])).tolist() == [0.25, 0.25, -0.5]
    theta = torch.zeros(3)
    population = Population(20, 0.1, ranks=True)

    def found(scale: float) -> Tensor:
        return estimate(lambda m: scale * m[:, 0].exp(), theta, population, torch.Generator().manual_seed(0))[0]

    assert torch.equal(found(1.0), found(1000.0))
    assert found(1.0)[0] > 1


@pytest.mark.parametrize("ranks", [False, True])
def test_runs_side_by_side_are_the_runs_alone(ranks: bool) -> None:
    theta, population = torch.arange(12.0).view(3, 4), Population(5, 0.1, ranks)

    def losses(m: Tensor) -> Tensor:
        return m.pow(3).sum(dim=-1)

    def generators() -> list[torch.Generator]:
        return [torch.Generator().manual_seed(seed) for seed in (4, 2, 9)]

    g, mean = estimate(losses, theta, population, generators())
    for i, own in enumerate(generators()):
        alone = estimate(losses, theta[i], population, own)
        torch.testing.assert_close(g[i], alone[0])
        torch.testing.assert_close(mean[i], alone[1])
    assert perturbations(theta, 5, generators()).shape == (3, 5, 4)


@pytest.mark.parametrize(("theta", "count"), [((3, 4), 2), ((3, 4), 0), ((4,), 1)])
def test_each_run_has_a_generator(theta: tuple[int, ...], count: int) -> None:
    with pytest.raises(UsageError, match=f"^generator={count}: expected one generator for one theta, and one for each"):
        perturbations(torch.zeros(theta), 2, [torch.Generator() for _ in range(count)])
    with pytest.raises(UsageError, match="^generator=1: expected one generator for one theta, and one for each run"):
        perturbations(torch.zeros(3, 4), 2, torch.Generator())


@pytest.mark.parametrize(
    ("settings", "said"),
    [((0, 0.1), "pairs=0"), ((-3, 0.1), "pairs=-3"), ((4, 0.0), "sigma=0.0"), ((4, float("nan")), "sigma=nan")],
)
def test_populations_that_cannot_be_are_refused(settings: tuple, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Population(*settings)
