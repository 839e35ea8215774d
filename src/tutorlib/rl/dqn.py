"""The parts of DQN (Mnih et al. 2015): targets from a copy of Q, the loss, and actions by a softmax over Q."""

from tutorlib.lab.errors import bad_argument, checked
from tutorlib.shapes import Float, Int, Tensor


@checked(positive=("temperature",))
def softmax_action(
    q: Float[Tensor, "*batch actions"], temperature: float | Float[Tensor, "*#batch 1"], u: Float[Tensor, "*batch"]
) -> Int[Tensor, "*batch"]:
    """Return a ~ Categorical(softmax(q / temperature)): the first action at which the summed probability exceeds u.

    Raises ``UsageError`` for a number ``temperature`` that is not positive; the values of tensors are not read.
    """
    p = (q / temperature).softmax(dim=-1)
    return (p.cumsum(dim=-1) <= u.unsqueeze(-1)).sum(dim=-1).clamp(max=q.shape[-1] - 1)


@checked(shares=("gamma",))
def dqn_targets(
    reward: Float[Tensor, "*batch"],
    not_done: Float[Tensor, "*batch"],
    following: Float[Tensor, "*batch actions"],
    gamma: float,
) -> Float[Tensor, "*batch"]:
    """Return r + gamma c max_a' Q^-(x', a'), from the values ``following`` that the copy of Q gives the next state.

    ``not_done``: c, the probability that the episode goes on. Raises ``UsageError`` for ``gamma`` outside [0, 1].
    """
    if not following.shape[-1]:
        raise bad_argument("following", following, "the value of at least one action")
    return reward + gamma * not_done * following.amax(dim=-1)


@checked()
def td_loss(
    q: Float[Tensor, "*seeds batch"], target: Float[Tensor, "*seeds batch"], weight: Float[Tensor, "*seeds batch"]
) -> Float[Tensor, "*seeds"]:
    """Return the mean of w (Q(x, a) - target)^2 over the batch of each seed: no Huber loss, no clipping."""
    return (weight * (q - target).square()).mean(dim=-1)


__all__ = ["dqn_targets", "softmax_action", "td_loss"]
