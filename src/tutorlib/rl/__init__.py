"""Parts of reinforcement learning that papers share: returns, advantages, losses of PPO, DQN and TD3, and replay."""

from tutorlib.nn import clip_by_norm
from tutorlib.rl.dqn import dqn_targets, softmax_action, td_loss
from tutorlib.rl.ppo import entropy, policy_loss, value_loss
from tutorlib.rl.replay import Experience, Replay, add, empty_replay, num_stored, sample, sample_from
from tutorlib.rl.returns import advantages, lambda_returns
from tutorlib.rl.td3 import ActorCritic, masked_mean, polyak, smoothed_action, td3_targets, twin_loss
from tutorlib.rl.windows import (
    Steps,
    WindowReplay,
    Windows,
    add_steps,
    empty_windows,
    longest_episode,
    num_finished,
    sample_windows,
    windows_from,
)

__all__ = [
    "ActorCritic",
    "Experience",
    "Replay",
    "Steps",
    "WindowReplay",
    "Windows",
    "add",
    "add_steps",
    "advantages",
    "clip_by_norm",
    "dqn_targets",
    "empty_replay",
    "empty_windows",
    "entropy",
    "lambda_returns",
    "longest_episode",
    "masked_mean",
    "num_finished",
    "num_stored",
    "policy_loss",
    "polyak",
    "sample",
    "sample_from",
    "sample_windows",
    "smoothed_action",
    "softmax_action",
    "td3_targets",
    "td_loss",
    "twin_loss",
    "value_loss",
    "windows_from",
]
