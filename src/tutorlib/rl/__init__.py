"""Parts of reinforcement learning that papers share: returns, advantages, the losses of PPO and DQN, and replay."""

from tutorlib.nn import clip_by_norm
from tutorlib.rl.dqn import dqn_targets, softmax_action, td_loss
from tutorlib.rl.ppo import entropy, policy_loss, value_loss
from tutorlib.rl.replay import Experience, Replay, empty_replay, held, recall, recall_of, store
from tutorlib.rl.returns import advantages, lambda_returns

__all__ = [
    "Experience",
    "Replay",
    "advantages",
    "clip_by_norm",
    "dqn_targets",
    "empty_replay",
    "entropy",
    "held",
    "lambda_returns",
    "policy_loss",
    "recall",
    "recall_of",
    "softmax_action",
    "store",
    "td_loss",
    "value_loss",
]
