"""Parts of reinforcement learning that more than one paper uses: returns, advantages, and the losses of PPO."""

from tutorlib.rl.ppo import clip_by_norm, entropy, policy_loss, value_loss
from tutorlib.rl.returns import advantages, lambda_returns

__all__ = ["advantages", "clip_by_norm", "entropy", "lambda_returns", "policy_loss", "value_loss"]
