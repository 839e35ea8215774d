"""Parts of reinforcement learning that papers share: returns, advantages, the losses of PPO and DQN, and replay."""

from tutorlib.nn import clip_by_norm
from tutorlib.rl.dqn import dqn_targets, softmax_action, td_loss
from tutorlib.rl.ppo import entropy, policy_loss, value_loss
from tutorlib.rl.replay import Experience, Replay, add, empty_replay, num_stored, sample, sample_from
from tutorlib.rl.returns import advantages, lambda_returns

__all__ = [
    "Experience",
    "Replay",
    "add",
    "advantages",
    "clip_by_norm",
    "dqn_targets",
    "empty_replay",
    "entropy",
    "lambda_returns",
    "num_stored",
    "policy_loss",
    "sample",
    "sample_from",
    "softmax_action",
    "td_loss",
    "value_loss",
]
