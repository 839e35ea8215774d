"""Returns and advantages of a rollout of T steps, which may hold several episodes and may stop within one.

Time is the first axis, ``[time, *batch]``; all axes after it broadcast, so heads can share rewards, and each seed can
have a discount of its own. ``done[t]`` says whether the episode ended with step t. Then the step after it belongs to
another episode, and counts for nothing: m_{t+1} = 1 - done[t] below. ``last`` holds the values after the rollout's
last step, V_T.
"""

import torch

from tutorlib.lab.errors import bad_argument, checked
from tutorlib.shapes import Bool, Float, Tensor


@checked(shares=("gamma", "lam"))
def lambda_returns(
    rewards: Float[Tensor, "time *#batch"],
    values: Float[Tensor, "time *#batch"],
    last: Float[Tensor, "*#batch"],
    done: Bool[Tensor, "time *#batch"],
    gamma: float | Float[Tensor, "*#batch"],
    lam: float | Float[Tensor, "*#batch"],
) -> Float[Tensor, "time *batch"]:
    """Return the TD(lambda) targets G_t = r_t + gamma m_{t+1} (lam G_{t+1} + (1 - lam) V_{t+1}), where G_T = V_T.

    ``lam`` = 0 looks one step ahead; ``lam`` = 1 sums all rewards to the end of the episode or of the rollout. Raises
    ``UsageError`` for a number ``gamma`` or ``lam`` outside [0, 1]; the values of tensors are not read.
    """
    not_done = (~done).to(values.dtype)
    g, targets = last, []
    for t in reversed(range(len(rewards))):
        v = values[t + 1] if t + 1 < len(rewards) else last
        g = rewards[t] + gamma * not_done[t] * (lam * g + (1 - lam) * v)
        targets.append(g)
    return torch.stack(targets[::-1])


@checked(shares=("gamma", "lam"))
def advantages(
    rewards: Float[Tensor, "time *#batch"],
    values: Float[Tensor, "time *#batch"],
    last: Float[Tensor, "*#batch"],
    done: Bool[Tensor, "time *#batch"],
    gamma: float | Float[Tensor, "*#batch"],
    lam: float | Float[Tensor, "*#batch"],
) -> Float[Tensor, "time *batch"]:
    """Return the generalised advantage estimates A_t = delta_t + gamma lam m_{t+1} A_{t+1}, where A_T = 0 and
    delta_t = r_t + gamma m_{t+1} V_{t+1} - V_t.

    A_t + V_t is the TD(lambda) target of step t. Raises ``UsageError`` as ``lambda_returns`` does.
    """
    for name, of_batch in (("last", last), ("gamma", gamma), ("lam", lam)):
        if isinstance(of_batch, Tensor) and of_batch.dim() >= values.dim():
            raise bad_argument(
                name, of_batch, f"a tensor with at most {values.dim() - 1} axes, those of values after time"
            )
    not_done = (~done).to(values.dtype)
    delta = rewards + gamma * not_done * torch.cat([values[1:], last.expand_as(values[:1])]) - values
    a, result = torch.zeros_like(delta[0]), []
    for t in reversed(range(len(delta))):
        a = delta[t] + gamma * lam * not_done[t] * a
        result.append(a)
    return torch.stack(result[::-1])


__all__ = ["advantages", "lambda_returns"]
